"""Dates and times in the cells of a table, read as the wire writes them.

A time without its offset is local, in the time zone of the catalogue. A cell that can't be understood is kept as it
is, so that the decoder refuses the filing and names the cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from rules.calendar import local
from rules.periods import period_end
from rules.working_days import business_days_after
from streams.cells import read_text
from streams.mapping import TextField, TimeField, delay_parts
from streams.wire import instant_text, to_seconds

_LAST_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_ISO = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_REMEMBERED = 100_000

Read = Callable[[Any], str]


def time_reader(field: TimeField, zone: str = "UTC", year_end: int = 12) -> Read:
    """Return a function that reads a cell as a moment: a date, or an instant with its offset.

    A date is a day that begins in `zone`. A local time that the zone has twice, or not at all, is kept as its text.
    `year_end`: the month with which the year ends that `end_of` speaks of.
    """
    return _remembered(lambda cell: _moment(cell, field, zone, year_end))


def date_reader(field: TimeField, zone: str = "UTC", year_end: int = 12) -> Read:
    """Return a function that reads a cell as a date: midnight of any offset is the date that is written.

    Another time of day stays an instant, for the decoder to refuse; `end_of` takes the date of a local one.
    """
    return _remembered(lambda cell: _date(cell, field, zone, year_end))


def _remembered(read: Read) -> Read:
    seen: dict[Any, str] = {}

    def remembered(cell: Any) -> str:
        # the same instant is equal in every offset, and the date written in each another
        key = cell if isinstance(cell, str | int | float) else str(cell)
        found = seen.get(key)
        if found is None:
            if len(seen) > _REMEMBERED:
                seen.clear()
            found = seen[key] = read(cell)
        return found

    return remembered


def _moment(cell: Any, field: TimeField, zone: str, year_end: int) -> str:
    moment = _parsed(cell, field)
    if moment is None:
        return read_text(cell, TextField())
    if field.end_of:
        there = moment if moment.tzinfo is None else moment.astimezone(ZoneInfo(zone))
        return _end_of(there.date(), field, year_end)
    if moment.tzinfo is None and moment.time() == time():
        return moment.date().isoformat()
    return _instant(moment, zone)


def _date(cell: Any, field: TimeField, zone: str, year_end: int) -> str:
    moment = _parsed(cell, field)
    if moment is None:
        return read_text(cell, TextField())
    if moment.time() == time() or (field.end_of and moment.tzinfo is None):
        return _end_of(moment.date(), field, year_end)
    return moment.isoformat() if moment.tzinfo else _instant(moment, zone)


def _parsed(cell: Any, field: TimeField) -> datetime | None:
    """The cell's time, with an offset where one is written; a date is its midnight. None for what is no time."""
    if isinstance(cell, datetime):
        return cell
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)
    text = read_text(cell, TextField())
    try:
        if field.format:
            return datetime.strptime(text, field.format)
        return datetime.fromisoformat(text) if _ISO.fullmatch(text) else None
    except ValueError:
        return None


def _instant(moment: datetime, zone: str) -> str:
    if moment.tzinfo is not None:
        return instant_text(int(moment.timestamp() // 1))
    try:
        return instant_text(int(local(moment, zone).timestamp() // 1))
    except ValueError:
        return moment.isoformat()


def _end_of(day: date, field: TimeField, year_end: int) -> str:
    return (period_end(day, _LAST_MONTHS[field.end_of], year_end) if field.end_of else day).isoformat()


def delayed(told: str, delay: str, country: str = "", zone: str = "UTC") -> str:
    """Return a date or an instant moved by a delay; a text that is neither stays.

    Business days are those of the country, counted from the day in `zone`; they end in a date. Hours after a date
    are counted from its beginning in `zone`.
    """
    try:
        start = to_seconds(told, zone)
    except ValueError:
        return told
    count, unit = delay_parts(delay)
    if unit == "bd":
        day = datetime.fromtimestamp(start, UTC).astimezone(ZoneInfo(zone)).date()
        return business_days_after(day, count, country).isoformat()
    if unit == "d" and len(told) == len("2026-03-31"):
        return (date.fromisoformat(told) + timedelta(days=count)).isoformat()
    step = timedelta(days=count) if unit == "d" else timedelta(hours=count)
    return instant_text(start + int(step.total_seconds()))
