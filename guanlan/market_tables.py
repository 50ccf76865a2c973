"""Tables of series, as CSV in and as CSV or JSON Lines out, for the systemic commands."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from guanlan.decimals import plain_number
from rules.problems import InputError, nearest
from streams.read_csv import csv_lines

if TYPE_CHECKING:
    from systemic.arrays import Matrix, Vector

Row = Mapping[str, str | float | int | None]

DAY = re.compile(r"(\d{4})([-/])(\d{2})\2(\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?(?:Z|[+-]\d\d:\d\d)?)?", re.ASCII)
QUARTER = re.compile(r"(?:(?P<y1>\d{4})[- ]?[Qq](?P<q1>[1-4])|[Qq](?P<q2>[1-4])[- ]?(?P<y2>\d{4}))")
MISSING = {"", "na", "nan", "n/a", "null", "none", "."}


@dataclass(frozen=True, slots=True)
class Table:
    """Series by column over rows in order of time: `labels` as written, `days` the dates that they name."""

    file: str
    labels: tuple[str, ...]
    days: tuple[date, ...]
    columns: tuple[str, ...]
    values: Matrix

    def never_below(self, least: float, what: str, names: Sequence[str] = ()) -> None:
        """Raise InputError, with the row, for a value below `least` in `names` (all columns by default)."""
        for name in names or self.columns:
            with np.errstate(invalid="ignore"):
                wrong = np.flatnonzero(self.column(name) < least)
            if len(wrong):
                told = f"{self.file}: {name!r} is {self.column(name)[wrong[0]]:g} on {self.labels[wrong[0]]}"
                raise InputError(f"{told}; {what}")

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
    """Read a CSV whose first column is a date or a quarter and whose others are numbers.

    Empty cells and NA are missing (NaN). InputError names the line and the cell of the first thing that is wrong:
    another number of cells, text where a number should be, a number beyond 1e30, a first cell that is neither a date
    nor a quarter, dates that do not ascend.
    """
    lines = list(csv_lines(path))
    if len(lines) < 2 or len(lines[0][1]) < 2:
        raise InputError(f"{path} should have a header, a first column of dates and at least one series")
    header = [cell.strip() for cell in lines[0][1]]
    columns = tuple(header[1:])
    if len(set(columns)) < len(columns):
        raise InputError(f"{path} has two columns {next(n for n, c in Counter(columns).items() if c > 1)!r}")
    labels = tuple(line[0].strip() for _, line in lines[1:])
    days = tuple(_day(path, number, line[0].strip(), header[0]) for number, line in lines[1:])
    values = np.array([_numbers(path, number, line, header) for number, line in lines[1:]])
    for earlier, later, (number, _) in zip(days, days[1:], lines[2:], strict=False):
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
        return plain_number(cell)
    except ValueError as err:
        raise InputError(f"{path}:{number}: column {name!r} {err}") from None


def _day(path: Path, number: int, label: str, column: str) -> date:
    try:
        return parse_day(label)
    except ValueError:
        where = f"{path}:{number}: the first column {column!r} is {label!r}"
        raise InputError(f"{where}, which is no date like 2008-09-15 and no quarter like 2008Q3") from None


def parse_day(label: str) -> date:
    """Return the day that `label` names; a quarter is its last day. ValueError when it is neither.

    A date is written as ISO 8601 does, or with slashes in that order; a midnight may stand behind it, of any offset:
    the date is the one that is written.

    >>> parse_day("2008-09-15"), parse_day("Q2 2008"), parse_day("2008Q4")
    (datetime.date(2008, 9, 15), datetime.date(2008, 6, 30), datetime.date(2008, 12, 31))
    """
    quarter = QUARTER.fullmatch(label)
    if quarter is None:
        if (day := DAY.fullmatch(label)) is None:
            raise ValueError(f"{label!r} is neither a date nor a quarter")
        return date(int(day[1]), int(day[3]), int(day[4]))
    year = int(quarter["y1"] or quarter["y2"])
    last_month = 3 * int(quarter["q1"] or quarter["q2"])
    following = date(year + last_month // 12, last_month % 12 + 1, 1)
    return following - timedelta(days=1)


def known_at(table: Table, days: Sequence[date], names: Sequence[str], lag: int = 0) -> Matrix:
    """Return the last values of `names` that were known on each day, (T, n); NaN before the first.

    A row of `table` is known from its own date plus `lag` days on.
    """
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
