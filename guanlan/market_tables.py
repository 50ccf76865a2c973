"""Tables of series, as CSV in and as CSV or JSON Lines out, for the systemic commands."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rules.problems import InputError, nearest

if TYPE_CHECKING:
    from systemic.arrays import Matrix, Vector

Row = Mapping[str, str | float | int | None]

DATE_HEADERS = {"", "date", "day", "time", "month", "quarter", "period", "as_of"}
QUARTER = re.compile(r"(?:(?P<y1>\d{4})[- ]?[Qq](?P<q1>[1-4])|[Qq](?P<q2>[1-4])[- ]?(?P<y2>\d{4}))")
MISSING = {"", "na", "nan", "n/a", "null", "none", "."}


@dataclass(frozen=True, slots=True)
class Table:
    """Series by column over rows in order of time: `labels` as written, `days` as dates where they are dates."""

    file: str
    labels: tuple[str, ...]
    days: tuple[date, ...] | None
    columns: tuple[str, ...]
    values: Matrix

    def column(self, name: str) -> Vector:
        """Return one series; InputError with the nearest name when there is none."""
        return self.values[:, self.position(name)]

    def position(self, name: str) -> int:
        """Return the index of a column; InputError with the nearest name when there is none."""
        if name not in self.columns:
            raise InputError(f"{self.file} has no column {name!r}. {nearest(name, self.columns)}".strip())
        return self.columns.index(name)

    def select(self, names: Sequence[str]) -> Matrix:
        """Return the series `names` in that order, (T, n)."""
        return self.values[:, [self.position(name) for name in names]]


def read_table(path: Path) -> Table:
    """Read a CSV whose first column is a date, a quarter or a row label and whose others are numbers.

    Empty cells and NA are missing (NaN). InputError names the line of the first thing that is wrong:
    another number of cells, text where a number should be, an infinite number, dates that do not ascend.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = [(number, line) for number, line in enumerate(csv.reader(stream), 1) if any(map(str.strip, line))]
    except (OSError, UnicodeDecodeError, csv.Error) as err:
        raise InputError(f"{path} can't be read: {getattr(err, 'strerror', None) or err}") from err
    if len(lines) < 2 or len(lines[0][1]) < 2:
        raise InputError(f"{path} should have a header, a first column of dates and at least one series")
    header = [cell.strip() for cell in lines[0][1]]
    columns = tuple(header[1:])
    doubled = next((name for name in columns if columns.count(name) > 1), None)
    if doubled is not None:
        raise InputError(f"{path} has two columns {doubled!r}")
    labels = tuple(line[0].strip() for _, line in lines[1:])
    days = _days(labels)
    if days is None and header[0].lower() not in DATE_HEADERS:
        raise InputError(f"{path}: the first column {header[0]!r} should be a date, like 2008-09-15 or 2008Q3")
    values = np.array([_numbers(path, number, line, header) for number, line in lines[1:]])
    for earlier, later, (number, _) in zip(days or (), (days or ())[1:], lines[2:], strict=False):
        if later <= earlier:
            raise InputError(f"{path}:{number}: {later} comes after {earlier}; dates must ascend without repeats")
    return Table(str(path), labels, days, columns, values)


def _numbers(path: Path, number: int, line: list[str], header: list[str]) -> list[float]:
    if len(line) != len(header):
        raise InputError(f"{path}:{number}: {len(line)} cells where the header has {len(header)}")
    return [_number(path, number, cell.strip(), name) for cell, name in zip(line[1:], header[1:], strict=True)]


def _number(path: Path, number: int, cell: str, name: str) -> float:
    if cell.lower() in MISSING:
        return float("nan")
    try:
        value = float(cell)
    except ValueError:
        raise InputError(f"{path}:{number}: {cell!r} in column {name!r} is not a number") from None
    if np.isinf(value):
        raise InputError(f"{path}:{number}: the number in column {name!r} is infinite")
    return value


def _days(labels: Iterable[str]) -> tuple[date, ...] | None:
    try:
        return tuple(map(parse_day, labels))
    except ValueError:
        return None


def parse_day(label: str) -> date:
    """Return the day that `label` names; a quarter is its last day. ValueError when it is neither.

    >>> parse_day("2008-09-15"), parse_day("Q2 2008"), parse_day("2008Q4")
    (datetime.date(2008, 9, 15), datetime.date(2008, 6, 30), datetime.date(2008, 12, 31))
    """
    quarter = QUARTER.fullmatch(label)
    if quarter is None:
        return date.fromisoformat(label[:10].replace("/", "-"))
    year = int(quarter["y1"] or quarter["y2"])
    last_month = 3 * int(quarter["q1"] or quarter["q2"])
    following = date(year + last_month // 12, last_month % 12 + 1, 1)
    return following - timedelta(days=1)


def known_at(table: Table, days: Sequence[date], names: Sequence[str], lag: int = 0) -> Matrix:
    """Return the last values of `names` that were known on each day, (T, n); NaN before the first.

    A row of `table` is known from its own date plus `lag` days on. InputError when the rows have no dates.
    """
    if table.days is None:
        raise InputError(f"{table.file}: the rows need dates to be joined to other tables")
    latest = np.searchsorted([d.toordinal() + lag for d in table.days], [d.toordinal() for d in days], side="right") - 1
    chosen = table.select(names)
    return np.where((latest >= 0)[:, None], chosen[np.maximum(latest, 0)], np.nan)


def write_rows(rows: Iterable[Row], form: str, out: Path | None) -> None:
    """Write rows of the same keys as "csv" or "jsonl", to a file or to standard output; NaN is left empty."""
    stream = out.open("w", encoding="utf-8", newline="") if out else sys.stdout
    try:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            clean = {key: _plain(value) for key, value in row.items()}
            if form == "jsonl":
                stream.write(json.dumps(clean, ensure_ascii=False) + "\n")
                continue
            if writer is None:
                writer = csv.DictWriter(stream, list(clean), lineterminator="\n")
                writer.writeheader()
            writer.writerow(clean)
    finally:
        if out:
            stream.close()


def _plain(value: str | float | int | None) -> str | float | int | None:
    if value is None or isinstance(value, str):
        return value
    number = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(number, float) and not np.isfinite(number) else number
