"""Tables from files, row by row: CSV, JSON Lines, Parquet, XLSX. What a cell means is not decided here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rules.problems import InputError, short
from streams.limits import LIMITS, Limits
from streams.opening import guard, guarded, read_lines, read_whole_text
from streams.read_csv import read_csv
from streams.read_json import read_json_lines
from streams.tables import Row, Table, bounded, repeated

__all__ = ["Row", "Table", "check_file", "kind_of", "read_lines", "read_table", "read_whole_text"]


def read_table(path: Path, sheet: str = "", encoding: str = "", delimiter: str = "", limits: Limits = LIMITS) -> Table:
    """Open a file as a table, its format taken from its name (`.gz` around text is taken off).

    Cells are texts, numbers, dates or None, as the format has them; in a workbook also `Shown` and `Uncalculated`.
    Raises InputError, here or while rows are read, with one sentence, for whatever is wrong with the file, and for more
    than the limits.
    """
    check_file(path)
    with guard(path):
        table = _READERS[kind_of(path)](path, sheet, encoding, delimiter, limits)
    if twice := repeated(table.columns):
        raise InputError(f"{path}: the column {short(twice)} stands twice")
    return replace(table, rows=guarded(path, bounded(path, table.columns, table.rows, limits)))


def check_file(path: Path) -> None:
    """Raise InputError when the file is not there or its name tells no format that can be read."""
    with guard(path):
        path.stat()
    if kind_of(path) not in _READERS:
        known = ", ".join(sorted(_READERS))
        raise InputError(f"{path}: can't tell the format from the name; known: {known}")


def kind_of(path: Path) -> str:
    """Return the file's kind by its name: ".csv", ".jsonl" …, without a `.gz` behind it."""
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def is_json_lines(path: Path) -> bool:
    """Whether a file is JSON Lines by its name."""
    return kind_of(path) in (".jsonl", ".ndjson")


def _csv(path: Path, sheet: str, encoding: str, delimiter: str, limits: Limits) -> Table:
    return read_csv(path, encoding, delimiter, limits)


def _json_lines(path: Path, sheet: str, encoding: str, delimiter: str, limits: Limits) -> Table:
    return read_json_lines(path, limits)


def _parquet(path: Path, sheet: str, encoding: str, delimiter: str, limits: Limits) -> Table:
    from streams.read_parquet import read_parquet

    return read_parquet(path, limits)


def _workbook(path: Path, sheet: str, encoding: str, delimiter: str, limits: Limits) -> Table:
    from streams.read_xlsx import read_xlsx

    return read_xlsx(path, sheet, limits)


_READERS: dict[str, Callable[[Path, str, str, str, Limits], Table]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".xlsx": _workbook,
}
