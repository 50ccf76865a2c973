"""Spans of as-of dates as packs write them: `from` the first day, `to` the last one, both included."""

from __future__ import annotations

from datetime import date

from rules.calendar import DAY, seconds
from rules.problems import short
from rules.source import Reader
from rules.store import NEVER

EVER = 2**62
"""The end of what has no end, in seconds."""


def day(r: Reader, key: str) -> date | None:
    """Return the date under a key; None where there is none, or it is none (which is reported)."""
    text = r.text(key, "")
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        r.problem(r.place(key), "shape", f"{key!r} must be a date, not {short(text)}", "as in 2026-03-31")
        return None


def dates(r: Reader) -> tuple[int, int]:
    """Return `from` and the end of `to` in seconds; without them NEVER and EVER."""
    first, last = day(r, "from"), day(r, "to")
    if first and last and last < first:
        r.problem(r.place("to"), "dates", "'to' is before 'from'", "both are days on which it is valid")
    since = int(NEVER) if first is None else seconds(first)
    return since, EVER if last is None else seconds(last) + DAY
