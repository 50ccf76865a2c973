"""Tables from XLSX workbooks, through openpyxl's own parsers of parts, a row at a time.

openpyxl's read-only sheets are not used: they fill a gap between two rows with empty ones, hold all that was read, and
tell neither that a cell is shown as a percentage nor that a formula was never calculated.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zipfile import BadZipFile, ZipFile

from defusedxml.common import DefusedXmlException
from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.utils import get_column_letter
from openpyxl.utils.cell import range_boundaries
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet._reader import (
    CELL_TAG,
    COL_TAG,
    DATA_TAG,
    FORMULA_TAG,
    MERGE_TAG,
    ROW_TAG,
    WorkSheetParser,
)
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

from rules.problems import InputError, nearest
from streams.limits import Limits, over
from streams.opening import guard, opened
from streams.tables import Row, Shown, Table, Uncalculated

CUSTOM_FORMATS = 164
_TEXT_TAG = f"{{{SHEET_MAIN_NS}}}si"
_QUOTED = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
_THOUSANDS = re.compile(r"[0#?](,+)(?![0#?,])")
_TRUE = ("1", "true")


def read_xlsx(path: Path, sheet: str, limits: Limits) -> Table:
    """Open a sheet of a workbook: the one named, else the first.

    Unless it is named, a first sheet that is hidden, and hidden rows, are InputError: nobody sees them who looks at the
    workbook. The first row that is not empty names the columns.
    """
    rows = _rows(path, sheet, limits)
    opening = next(rows)
    return Table(path, opening.columns, rows, hidden=opening.hidden)


class _Opening(NamedTuple):
    columns: tuple[str, ...]
    hidden: frozenset[str]


def _rows(path: Path, sheet: str, limits: Limits) -> Iterator[Any]:
    """Yield what the table's head says, then its rows."""
    with guard(path), _no_entities(path), opened(path, limits, seekable=True) as source, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = _book(path, source, limits)
        page = _page(path, book, sheet)
        with book.part(page.target) as part:
            parser = _Parser(part, book, path)
            rows = parser.rows(limits)
            first = next(rows, None)
            if first is None:
                raise InputError(f"{path}: the sheet {page.name!r} is empty; its first row must name the columns")
            number, _, header = first
            width = max(header)
            if width > limits.columns:
                over(path, "columns", limits.columns)
            columns = tuple(_name(header.get(column)) for column in range(1, width + 1))
            unseen = frozenset() if sheet else parser.unseen(columns)
            yield _Opening(columns, unseen)
            yield from _body(path, rows, columns, named=bool(sheet))
            parser.check_merged(number, columns)


@contextmanager
def _no_entities(path: Path) -> Iterator[None]:
    try:
        yield
    except DefusedXmlException:
        raise InputError(f"{path}: declares entities of its own, which no workbook needs; it is not read") from None


def _body(
    path: Path, rows: Iterator[tuple[int, bool, dict[int, Any]]], columns: tuple[str, ...], named: bool
) -> Iterator[Row]:
    for number, hidden, cells in rows:
        if hidden and not named:
            raise InputError(f"{path}: row {number} is hidden; show it, or name the 'sheet' in a mapping")
        width = max(cells)
        if width > len(columns):
            yield Row(number, problem=f"the row has {width} cells, the header {len(columns)}")
        else:
            yield Row(number, {name: cells.get(column) for column, name in enumerate(columns, start=1)})


def _name(cell: Any) -> str:
    if isinstance(cell, Uncalculated):
        raise cell.refuse()
    return "" if cell is None else str(cell).strip()


class _Page(NamedTuple):
    name: str
    hidden: bool
    target: str


class _Book(ExcelReader):  # type: ignore[misc]
    """A workbook without its sheets' contents."""

    def __init__(self, source: BinaryIO, path: Path, limits: Limits) -> None:
        super().__init__(source, read_only=True, data_only=True)
        self.path = path
        self.limits = limits
        self.pages: list[_Page] = []

    def load(self) -> None:
        """Read what sheets have in common: texts, styles, names."""
        self.read_manifest()
        texts = self.package.find(SHARED_STRINGS)
        if texts is not None:
            with self.part(texts.PartName[1:]) as part:
                self.shared_strings = list(_texts(part))
        self.read_workbook()
        apply_stylesheet(self.archive, self.wb)
        self.pages = [
            _Page(sheet.name, sheet.state != "visible", relation.target)
            for sheet, relation in self.parser.find_sheets()
            if relation.target in self.valid_files and "chartsheet" not in relation.Type
        ]

    def part(self, name: str) -> _Part:
        """Open a part to be read a piece at a time."""
        return _Part(self.archive, name, self.path, self.limits)

    @cached_property
    def shown(self) -> Mapping[int, int]:
        """By how many places the numbers of a style are shown larger than they are, where they are."""
        found = {}
        for style, told in enumerate(self.wb._cell_styles):
            code = told.numFmtId
            custom = self.wb._number_formats
            text = BUILTIN_FORMATS.get(code) if code < CUSTOM_FORMATS else None
            if text is None and 0 <= code - CUSTOM_FORMATS < len(custom):
                text = custom[code - CUSTOM_FORMATS]
            if places := shown_places(text or ""):
                found[style] = places
        return found


def shown_places(number_format: str) -> int:
    """Return by how many places a format shows numbers larger than they are.

    >>> shown_places("0.00%"), shown_places("#,##0"), shown_places("#,##0.0,,"), shown_places('0.0"%"')
    (2, 0, -6, 0)
    """
    first = _QUOTED.sub("", number_format.split(";", maxsplit=1)[0])
    thousands = _THOUSANDS.search(first)
    return 2 * first.count("%") - 3 * (len(thousands[1]) if thousands else 0)


def _book(path: Path, source: BinaryIO, limits: Limits) -> _Book:
    try:
        book = _Book(source, path, limits)
        parts = book.archive.infolist()
        if sum(part.file_size for part in parts) > limits.unpacked_bytes:
            over(path, "bytes unpacked", limits.unpacked_bytes)
        for part in parts:
            if part.file_size > limits.part_bytes and not part.filename.startswith("xl/worksheets/"):
                over(path, f"bytes in {part.filename}", limits.part_bytes)
        book.load()
    except (BadZipFile, InvalidFileException, KeyError):
        raise InputError(f"{path}: is not an XLSX workbook") from None
    return book


def _page(path: Path, book: _Book, sheet: str) -> _Page:
    names = [page.name for page in book.pages]
    if not names:
        raise InputError(f"{path}: has no sheet with cells")
    if sheet:
        if sheet not in names:
            guess = nearest(sheet, names) or f"there are: {', '.join(names)}"
            raise InputError(f"{path}: has no sheet {sheet!r}; {guess}")
        return book.pages[names.index(sheet)]
    first = book.pages[0]
    if first.hidden:
        cure = f"name the 'sheet' in a mapping, or with --sheet; there are: {', '.join(names)}"
        raise InputError(f"{path}: the first sheet, {first.name!r}, is hidden; {cure}")
    return first


class _Part:
    """A part of the archive, read a piece at a time; text between two tags is bounded."""

    def __init__(self, archive: ZipFile, name: str, path: Path, limits: Limits) -> None:
        self._file = archive.open(name)
        self._path = path
        self._name = name
        self._most = 8 * limits.cell_characters
        self._run = 0

    def __enter__(self) -> _Part:
        return self

    def __exit__(self, *err: object) -> None:
        self._file.close()

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; raises InputError for endless text."""
        found = self._file.read(min(size, 1 << 16) if size > 0 else 1 << 16)
        last = found.rfind(b"<")
        self._run = self._run + len(found) if last < 0 else len(found) - last
        if self._run > self._most:
            over(self._path, f"bytes between two tags of {self._name}", self._most)
        return found


def _texts(part: _Part) -> Iterator[str]:
    """Yield the texts of a workbook's table of texts, dropping each element once it was read."""
    root = None
    for event, element in iterparse(part, events=("start", "end")):
        if root is None:
            root = element
        elif event == "end" and element.tag == _TEXT_TAG:
            yield (Text.from_tree(element).content or "").replace("x005F_", "")
            root.clear()


class _Parser(WorkSheetParser):  # type: ignore[misc]
    """Reads a sheet's rows; a cell's value knows how it is shown."""

    def __init__(self, part: _Part, book: _Book, path: Path) -> None:
        super().__init__(
            part,
            book.shared_strings,
            data_only=True,
            epoch=book.wb.epoch,
            date_formats=book.wb._date_formats,
            timedelta_formats=book.wb._timedelta_formats,
        )
        self._path = path
        self._shown = book.shown
        self._merged: list[str] = []
        self._unseen: set[int] = set()

    def parse_cell(self, element: Any) -> dict[str, Any]:
        """Return openpyxl's cell; its value may be Shown or Uncalculated."""
        cell: dict[str, Any] = super().parse_cell(element)
        value = cell["value"]
        if value is None:
            if element.get("t") != "str" and element.find(FORMULA_TAG) is not None:
                cell["value"] = Uncalculated(self._path, f"{get_column_letter(cell['column'])}{cell['row']}")
        elif type(value) in (int, float) and (places := self._shown.get(cell["style_id"])):
            cell["value"] = Shown(value, places)
        return cell

    def rows(self, limits: Limits) -> Iterator[tuple[int, bool, dict[int, Any]]]:
        """Yield the rows that are not empty: number, whether it is hidden, and its cells by column from 1."""
        data, since = None, 0
        for event, element in iterparse(self.source, events=("start", "end")):
            tag = element.tag
            if event == "start":
                if tag == DATA_TAG:
                    data = element
                continue
            since += tag == CELL_TAG
            if since > limits.columns:
                over(self._path, "cells in a row", limits.columns)
            if tag == ROW_TAG:
                since = 0
                number, told = self.parse_row(element)
                hidden = element.get("hidden") in _TRUE
                self.row_dimensions.clear()
                if data is not None:
                    data.clear()
                cells = {cell["column"]: cell["value"] for cell in told if cell["value"] is not None}
                if len({cell["column"] for cell in told}) < len(told):
                    raise InputError(f"{self._path}: row {number} has a cell twice")
                if cells:
                    yield number, hidden, cells
            elif tag == COL_TAG and element.get("hidden") in _TRUE:
                self._unseen.update(range(int(element.get("min")), min(int(element.get("max")), limits.columns) + 1))
            elif tag == MERGE_TAG:
                self._merged = [child.get("ref") for child in element][:100_000]

    def unseen(self, columns: tuple[str, ...]) -> frozenset[str]:
        """Return the columns that are hidden."""
        return frozenset(name for at, name in enumerate(columns, start=1) if at in self._unseen and name)

    def check_merged(self, header: int, columns: tuple[str, ...]) -> None:
        """Raise InputError for merged cells in the table: one value stands there for several cells."""
        for area in self._merged:
            left, _, _, bottom = range_boundaries(area)
            if bottom > header and any(columns[left - 1 :]):
                raise InputError(f"{self._path}: the cells {area} are merged; give each its own value")
