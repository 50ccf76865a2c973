"""What a table's cell means: a number or a text; times are for `streams.table_times`.

A cell that can't be understood is kept as it is, so that the decoder refuses the filing and names the cell.
"""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from streams.mapping import TextField
from streams.numerals import read_number
from streams.tables import Uncalculated

__all__ = ["is_missing", "read_number", "read_text"]


def is_missing(cell: Any, missing: frozenset[str]) -> bool:
    """Whether nothing stands in the cell: None, a blank text, a text that means missing, a null of Parquet.

    Raises InputError for a formula that was never calculated: nobody knows what stands there.
    """
    if cell is None:
        return True
    if isinstance(cell, str):
        stripped = cell.strip()
        return not stripped or stripped in missing
    if isinstance(cell, Uncalculated):
        raise cell.refuse()
    return False


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
