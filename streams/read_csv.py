"""Tables from CSV: text whose cells are parted by a comma, a semicolon, a tab or a bar."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from rules.problems import InputError
from streams.limits import LIMITS, Limits, over
from streams.opening import text_lines
from streams.tables import Row, Table

DELIMITERS = ",;\t|"
_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}


def read_csv(path: Path, encoding: str, delimiter: str, limits: Limits) -> Table:
    """Open a CSV file whose first line that is not blank names the columns."""
    lines = text_lines(path, encoding, limits)
    header = next((line for line in lines if line.strip()), None)
    if header is None:
        raise InputError(f"{path}: is empty; the first line must name the columns")
    mark = delimiter or _delimiter(path, header)
    rows = _rows(path, chain([header], lines), mark, limits)
    names = next(rows)[1]
    if len(names) > limits.columns:
        over(path, "columns", limits.columns)
    columns = tuple(name.strip() for name in names)
    return Table(path, columns, (_row(number, columns, cells) for number, cells in rows), point=mark == ",")


def csv_lines(path: Path, limits: Limits = LIMITS) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of comma-separated UTF-8 text that are not blank, with their numbers. Raises InputError."""
    try:
        path.stat()
    except OSError as err:
        raise InputError(f"{path} can't be read: {err.strerror}") from None
    return _rows(path, text_lines(path, "", limits), ",", limits)


def _delimiter(path: Path, header: str) -> str:
    """Return what parts the names of the header, outside of quotes. Raises InputError where two may."""
    bare = "".join(header.split('"')[::2])
    counts = {mark: bare.count(mark) for mark in DELIMITERS}
    most = max(counts.values())
    found = [mark for mark, count in counts.items() if count == most]
    if most and len(found) > 1:
        both = " or ".join(_NAMES[mark] for mark in found)
        raise InputError(f"{path}: can't tell whether {both} parts the columns; name the 'delimiter' in a mapping")
    return found[0]


def _rows(path: Path, lines: Iterator[str], delimiter: str, limits: Limits) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    longest = csv.field_size_limit(limits.cell_characters)
    try:
        while True:
            csv.field_size_limit(limits.cell_characters)
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as err:
                raise InputError(f"{path}: line {reader.line_num}: can't be read: {_said(err, limits)}") from None
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    finally:
        csv.field_size_limit(longest)


def _said(err: csv.Error, limits: Limits) -> str:
    if "field limit" in str(err):
        return f"a cell has more than {limits.cell_characters:,} characters; is a quote missing?"
    return str(err)


def _row(number: int, columns: tuple[str, ...], cells: list[str]) -> Row:
    if len(cells) != len(columns):
        return Row(number, problem=f"the row has {len(cells)} cells, the header {len(columns)}")
    return Row(number, dict(zip(columns, cells, strict=True)))
