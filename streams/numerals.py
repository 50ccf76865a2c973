"""How numbers are written in a table's cells: the decimal mark, marks between groups of digits, formats of sheets.

Nothing is guessed from a single cell. Where nobody says which mark is which, a column decides only by cells that can be
read in one way alone; the question is put to the whole column, before any value of it is used.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from rules.problems import InputError, short
from streams.tables import Shown

MARKS = (".", ",")
GROUPINGS = {
    "none": "",
    ",": ",",
    ".": ".",
    "'": "'’",
    "space": " \u00a0\u2009\u202f",
    "indian": ",",
}
"""What may stand between groups of three digits, by the name that a mapping gives it; "indian" is 12,34,567."""

_NOT_FINITE = {"nan": b"NaN", "inf": b"Infinity", "-inf": b"-Infinity"}
_PLAIN_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?")


def _grouped(marks: str, decimal: str, indian: bool = False) -> re.Pattern[str]:
    """A number in groups: one to three digits that do not start with 0, then groups of exactly three."""
    mark, point = f"[{re.escape(marks)}]", re.escape(decimal)
    groups = rf"(?:[1-9]\d?(?:{mark}\d\d)+|[1-9]\d?){mark}\d{{3}}" if indian else rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+"
    return re.compile(rf"[+-]?{groups}(?:{point}\d*)?")


_BY_POINT = _grouped(",", ".")
_BY_COMMA = _grouped(".", ",")


def read_number(cell: Any, shift: int = 0, scale: float = 1.0) -> Any:
    """Return a float, its decimal point moved by `shift` places and times `scale`; what is no number stays.

    "1,234.5" is 1234.5. The point moves in the decimal text, so 15.26 percent is the double nearest to 0.1526.
    NaN and infinities become the tokens that JSON does not have: the decoder then refuses them by name, instead
    of taking them for missing.
    """
    if isinstance(cell, bool):
        return cell
    if isinstance(cell, str):
        text = cell.strip()
        return _moved(text, text.replace(",", "") if _BY_POINT.fullmatch(text) else text, shift, scale)
    text = float.__repr__(cell) if isinstance(cell, float) else str(cell)
    return _moved(text, text, shift, scale)


def _moved(text: str, plain: str, shift: int, scale: float) -> Any:
    """Return the number that `plain` is, or `text` where it is none."""
    value = _parse(plain, shift)
    if value is None:
        return text
    value *= scale
    return value if math.isfinite(value) else msgspec.Raw(_NOT_FINITE[str(value)])


def _parse(plain: str, shift: int) -> float | None:
    if "_" in plain:
        return None
    try:
        value = float(plain)
        if shift and math.isfinite(value):
            has_exponent = "e" in plain or "E" in plain
            value = value * 10.0**shift if has_exponent else float(f"{plain}e{shift}")
    except ValueError:
        return None
    return value


class Numerals:
    """How the numbers of one file are written.

    `decimal` is "." or ",", or empty where nobody says; `grouping` one of GROUPINGS, by default the mark that `decimal`
    is not. `point` says that a comma can't be the decimal mark, because commas part the cells.
    """

    def __init__(self, path: Path, decimal: str = "", grouping: str = "", point: bool = False) -> None:
        self.path = path
        self.decimal = decimal
        self.point = point
        self._columns: dict[str, NumberColumn] = {}
        self._plain: Callable[[str], str | None] | None = None
        if decimal:
            marks = GROUPINGS[grouping] if grouping else "".join(mark for mark in MARKS if mark != decimal)
            self._plain = _reader(decimal, marks, grouping == "indian")

    def column(self, name: str) -> NumberColumn:
        """Return the column's reader; the same one for the same name."""
        found = self._columns.get(name)
        if found is None:
            found = self._columns[name] = NumberColumn(self.path, name, self._plain, self.point)
        return found

    def check(self) -> None:
        """Raise InputError for the first column whose numbers may mean two things; all of it must have been read."""
        for column in self._columns.values():
            column.check()


def _reader(decimal: str, marks: str, indian: bool) -> Callable[[str], str | None]:
    """Return a function from a text to the number as Python writes it, None for a text that is none."""
    grouped = _grouped(marks, decimal, indian) if marks else None
    table = str.maketrans({**dict.fromkeys(marks, ""), decimal: "."})
    others = [mark for mark in MARKS if mark != decimal]

    def plain(text: str) -> str | None:
        if grouped is not None and grouped.fullmatch(text):
            return text.translate(table)
        if any(mark in text for mark in others):
            return None
        return text.replace(decimal, ".")

    return plain


class NumberColumn:
    """One column of numbers: reads its cells, and remembers what speaks for which decimal mark and which unit."""

    __slots__ = ("_comma", "_either", "_percent", "_plain", "_point_told", "_points", "_unshown", "name", "path")

    def __init__(self, path: Path, name: str, plain: Callable[[str], str | None] | None, point: bool) -> None:
        self.path = path
        self.name = name
        self._plain = plain
        self._point_told = point
        self._points = False  # a cell that only a decimal point explains
        self._comma: tuple[int, str] | None = None  # the first that only a decimal comma explains
        self._either: tuple[int, str] | None = None  # the first that both do, with another number each
        self._percent: int = 0  # the first row with a number that its format shows as another
        self._unshown: int = 0

    def read(self, cell: Any, row: int, shift: int = 0, scale: float = 1.0) -> Any:
        """Return the cell's number as `read_number` does. Raises InputError where the cell's format contradicts."""
        if isinstance(cell, str):
            text = cell.strip()
            if self._plain is not None:
                plain = self._plain(text)
                return text if plain is None else _moved(text, plain, shift, scale)
            if "," in text or ("." in text and not self._points):
                return self._weigh(text, row, shift, scale)
            return _moved(text, text, shift, scale)
        if isinstance(cell, float):
            if isinstance(cell, Shown):
                self._check_shown(cell, row, shift != 0 or scale != 1.0)
            elif cell and not self._unshown:
                self._unshown = row
        elif isinstance(cell, int) and cell and not self._unshown:
            self._unshown = row
        return read_number(cell, shift, scale)

    def _weigh(self, text: str, row: int, shift: int, scale: float) -> Any:
        grouped = "," in text and _BY_POINT.fullmatch(text) is not None
        by_point = grouped or ("," not in text and _parse(text, 0) is not None)
        by_comma = bool(_BY_COMMA.fullmatch(text) or _PLAIN_COMMA.fullmatch(text))
        if by_point and by_comma:
            if self._either is None and not (self._point_told and "," not in text):
                self._either = (row, text)
        elif by_point:
            self._points = True
        elif by_comma:
            self._comma = self._comma or (row, text)
        return _moved(text, text.replace(",", "") if grouped else text, shift, scale)

    def _check_shown(self, cell: Shown, row: int, moved: bool) -> None:
        if moved:
            shown = f"{float(cell) * 10.0**cell.places:g}{' %' if cell.places == 2 else ''}"
            raise InputError(
                f"{self.path}: row {row}: the column {short(self.name)} holds {float(cell):g}, which its format shows"
                f" as {shown}: it needs no unit, but the mapping gives it one; take out its 'unit' or 'scale'"
            )
        if cell and not self._percent:
            self._percent = row

    def check(self) -> None:
        """Raise InputError when the column's numbers may mean two things."""
        at = f"{self.path}: the column {short(self.name)}"
        if self._percent and self._unshown:
            both = f"row {self._percent} is shown as a percentage and row {self._unshown} is not"
            raise InputError(f"{at}: {both}; give all its cells one format")
        cure = 'say which is the decimal mark: `decimal: ","` or `decimal: "."` in a mapping, or --decimal'
        if self._either is not None and (self._comma is not None or not self._points):
            row, text = self._either
            raise InputError(f"{at}, row {row}: {text!r} is {_twice(text)}; {cure}")
        if self._comma is not None and not self._points:
            row, text = self._comma
            raise InputError(f"{at}, row {row}: {text!r} is a number only with a decimal comma; {cure}")


def _twice(text: str) -> str:
    by_point = float(text.replace(",", ""))
    by_comma = float(text.replace(".", "").replace(",", "."))
    return f"{by_point:.12g} with a decimal point and {by_comma:.12g} with a decimal comma"
