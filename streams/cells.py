"""What a table's cell means: a number, a text or a time.

A cell that can't be understood is kept as it is, so that the decoder refuses the filing and names the cell.
"""

from __future__ import annotations

import math
import re
from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from rules.calendar import DAY, due
from rules.catalogue import Form
from streams.mapping import TextField, TimeField, delay_parts
from streams.wire import from_seconds, to_seconds

_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")
_NOT_FINITE = {"nan": b"NaN", "inf": b"Infinity", "-inf": b"-Infinity"}
_LAST_MONTHS = {"month": 1, "quarter": 3, "year": 12}


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

    A whole number loses its ".0", because spreadsheets turn codes into numbers.
    """
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    text = str(cell).strip()
    return field.values.get(text, text) if field.values else field.prefix + text


def time_reader(field: TimeField) -> Callable[[Any], str]:
    """Return a function that reads a cell as the wire's time; what is no time comes back as its text."""
    seen: dict[Any, str] = {}

    def read(cell: Any) -> str:
        key = cell if isinstance(cell, str | int | float | date) else str(cell)
        found = seen.get(key)
        if found is None:
            if len(seen) > 100_000:
                seen.clear()
            found = seen[key] = _read_time(key, field)
        return found

    return read


def _read_time(cell: Any, field: TimeField) -> str:
    if isinstance(cell, datetime):
        moment = cell
    elif isinstance(cell, date):
        moment = datetime(cell.year, cell.month, cell.day)
    else:
        text = read_text(cell, TextField())
        try:
            moment = datetime.strptime(text, field.format) if field.format else _iso(text)
        except ValueError:
            return text
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if field.end_of:
        moment = _last_day(moment, _LAST_MONTHS[field.end_of])
    return from_seconds(int(moment.timestamp() // 1))


def _iso(text: str) -> datetime:
    return datetime.fromtimestamp(to_seconds(text), UTC)


def _last_day(moment: datetime, months: int) -> datetime:
    month = (moment.month + months - 1) // months * months
    return datetime(moment.year, month, monthrange(moment.year, month)[1], tzinfo=UTC)


def delayed(time: str, delay: str, country: str = "") -> str:
    """Return `time` moved by a delay; business days are those of the country. A text that is no time stays."""
    try:
        start = to_seconds(time)
    except ValueError:
        return time
    count, unit = delay_parts(delay)
    if unit == "bd":
        day = datetime.fromtimestamp(start, UTC).date()
        return from_seconds(due(Form("", {}, "daily", deadline=delay), day, country) - DAY)
    step = timedelta(days=count) if unit == "d" else timedelta(hours=count)
    return from_seconds(start + int(step.total_seconds()))
