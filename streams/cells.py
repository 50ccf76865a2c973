"""What a table's cell means: a number or a text; times are for `streams.table_times`.

A cell that can't be understood is kept as it is, so that the decoder refuses the filing and names the cell.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, time
from typing import Any

import msgspec

from streams.mapping import TextField

_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_NOT_FINITE = {"nan": b"NaN", "inf": b"Infinity", "-inf": b"-Infinity"}


def is_missing(cell: Any, missing: frozenset[str]) -> bool:
    """Whether nothing stands in the cell: None, a blank text, a text that means missing, a null of Parquet."""
    if cell is None:
        return True
    if isinstance(cell, str):
        stripped = cell.strip()
        return not stripped or stripped in missing
    return False


def read_number(cell: Any, shift: int = 0, scale: float = 1.0) -> Any:
    """Return a float, its decimal point moved by `shift` places and times `scale`; what is no number stays.

    "1,234.5" is 1234.5. The point moves in the decimal text, so 15.26 percent is the double nearest to 0.1526.
    NaN and infinities become the tokens that JSON does not have: the decoder then refuses them by name, instead
    of taking them for missing.
    """
    if isinstance(cell, bool):
        return cell
    text = cell.strip() if isinstance(cell, str) else str(cell)
    value = _parse_number(text, shift)
    if value is None:
        return text
    value *= scale
    return value if math.isfinite(value) else msgspec.Raw(_NOT_FINITE[str(value)])


def _parse_number(text: str, shift: int) -> float | None:
    plain = text.replace(",", "") if _GROUPED.fullmatch(text) else text
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


def read_text(cell: Any, field: TextField) -> str:
    """Return a cell that is not missing as text: looked up in the field's values, or behind its prefix.

    A whole number loses its ".0", because spreadsheets turn codes into numbers; so does midnight its time of day,
    because they have no dates.
    """
    if isinstance(cell, datetime) and cell.time() == time():
        cell = cell.date()
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = str(cell).strip()
    return field.values.get(text, text) if field.values else field.prefix + text
