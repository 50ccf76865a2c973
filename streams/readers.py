"""Tables from files, row by row: CSV, JSON Lines, Parquet, XLSX. What a cell means is not decided here."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, cast

from rules.problems import InputError, nearest

DELIMITERS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number as a person finds it in the file, and its cells by column; `problem` if it is broken."""

    number: int
    cells: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """An open table. `columns` is empty where rows name their own columns (JSON Lines)."""

    path: Path
    columns: tuple[str, ...]
    rows: Iterator[Row]


def read_table(path: Path, sheet: str = "", encoding: str = "") -> Table:
    """Open a file as a table, its format taken from its name (`.gz` around text is taken off).

    Cells are texts, numbers, dates or None, as the format has them. Raises InputError, here or while rows are
    read, with one sentence.
    """
    check_file(path)
    with _readable(path):
        table = _READERS[kind_of(path)](path, sheet, encoding)
    repeated = sorted({name for name in table.columns if name and table.columns.count(name) > 1})
    if repeated:
        raise InputError(f"{path}: the column {repeated[0]!r} stands twice")
    return Table(path, table.columns, _guarded(path, table.rows))


def check_file(path: Path) -> None:
    """Raise InputError when the file is not there or its name tells no format that can be read."""
    with _readable(path):
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


def read_whole_text(path: Path) -> str:
    """Return a text file's text, which must be UTF-8."""
    with _readable(path):
        return path.read_text(encoding="utf-8-sig")


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a text file that are not blank, with their numbers, as the bytes they are."""
    with _readable(path), _open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line.rstrip(b"\r\n")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what can go wrong with a file a person named into InputError."""
    from zipfile import BadZipFile

    from openpyxl.utils.exceptions import InvalidFileException
    from pyarrow import ArrowException

    try:
        yield
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}{_near(path)}") from None
    except UnicodeDecodeError as err:
        raise InputError(
            f"{path}: byte {err.start} is not {err.encoding}; name the 'encoding' in a mapping, for example gb18030"
        ) from None
    except (BadZipFile, InvalidFileException, KeyError):
        raise InputError(f"{path}: is not an XLSX workbook") from None
    except (OSError, EOFError, LookupError, csv.Error, ArrowException) as err:
        said = (str(err) or type(err).__name__).splitlines()[0]
        raise InputError(f"{path}: can't be read: {said}") from None


def _near(path: Path) -> str:
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    guess = nearest(path.name, siblings)
    return f"; {guess}" if guess else ""


def _guarded(path: Path, rows: Iterator[Row]) -> Iterator[Row]:
    with _readable(path):
        yield from rows


def _open_bytes(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def _open_text(path: Path, encoding: str) -> TextIO:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    return cast(TextIO, opened(path, "rt", encoding=encoding or "utf-8-sig", newline=""))


def _csv(path: Path, sheet: str, encoding: str) -> Table:
    del sheet
    with _open_text(path, encoding) as file:
        header = file.readline()
    delimiter = max(DELIMITERS, key=header.count)
    rows = _csv_rows(path, encoding, delimiter)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{path}: is empty; the first line must name the columns")
    columns = tuple(name.strip() for name in first[1])
    return Table(path, columns, (_row(number, columns, cells) for number, cells in rows))


def _csv_rows(path: Path, encoding: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    with _open_text(path, encoding) as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells


def _row(number: int, columns: tuple[str, ...], cells: list[Any]) -> Row:
    if len(cells) != len(columns):
        return Row(number, problem=f"the row has {len(cells)} cells, the header {len(columns)}")
    return Row(number, dict(zip(columns, cells, strict=True)))


def _json_lines(path: Path, sheet: str, encoding: str) -> Table:
    del sheet, encoding
    return Table(path, (), (_json_row(number, line) for number, line in read_lines(path)))


def _json_row(number: int, line: bytes) -> Row:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return Row(number, problem="the line is not JSON")
    return Row(number, data) if isinstance(data, dict) else Row(number, problem="the line is not a JSON object")


def _parquet(path: Path, sheet: str, encoding: str) -> Table:
    import pyarrow.parquet as pq

    del sheet, encoding
    file = pq.ParquetFile(path)
    columns = tuple(file.schema_arrow.names)
    return Table(path, columns, _parquet_rows(file, columns))


def _parquet_rows(file: Any, columns: tuple[str, ...]) -> Iterator[Row]:
    number = 0
    with file:
        for batch in file.iter_batches(batch_size=1024):
            for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield Row(number, dict(zip(columns, cells, strict=True)))


def _workbook(path: Path, sheet: str, encoding: str) -> Table:
    import openpyxl

    del encoding
    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    if sheet and sheet not in book.sheetnames:
        guess = nearest(sheet, book.sheetnames) or f"there are: {', '.join(book.sheetnames)}"
        raise InputError(f"{path}: has no sheet {sheet!r}; {guess}")
    page = book[sheet or book.sheetnames[0]]
    page.reset_dimensions()
    rows = enumerate(page.iter_rows(values_only=True), start=1)
    filled = ((number, cells) for number, cells in rows if any(cell is not None for cell in cells))
    first = next(filled, None)
    if first is None:
        raise InputError(f"{path}: the sheet {page.title!r} is empty; its first row must name the columns")
    columns = tuple("" if name is None else str(name).strip() for name in first[1])
    return Table(path, columns, _workbook_rows(book, columns, filled))


def _workbook_rows(book: Any, columns: tuple[str, ...], filled: Iterator[tuple[int, Any]]) -> Iterator[Row]:
    try:
        for number, cells in filled:
            width = max((i for i, cell in enumerate(cells, start=1) if cell is not None), default=0)
            if width > len(columns):
                yield Row(number, problem=f"the row has {width} cells, the header {len(columns)}")
            else:
                padded = [*cells[: len(columns)], *[None] * (len(columns) - len(cells))]
                yield Row(number, dict(zip(columns, padded, strict=True)))
    finally:
        book.close()


_READERS: dict[str, Callable[[Path, str, str], Table]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
    ".xlsx": _workbook,
}
