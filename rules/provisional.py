"""Deadlines that count working days of a year that is not announced yet, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from rules.calendar import DAY, due_at, expected, format_instant, has_deadline, is_provisional, periods
from rules.catalogue import Form

Open = dict[str, list[tuple[int, int]]]
"""By form: as-of dates and their deadlines, in seconds."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An open deadline that is another since working days were announced; times in seconds."""

    form: str
    as_of: int
    before: int
    after: int

    def __str__(self) -> str:
        before, after = format_instant(self.before), format_instant(self.after)
        return f"{self.form} as of {format_instant(self.as_of)} is due {after}, not {before} as was counted before"


def open_provisional(forms: Iterable[Form], now: int, country: str) -> Open:
    """Return the deadlines that are provisional and not passed at `now`, of periods that have ended."""
    if now < 0:  # nobody told the time yet
        return {}
    return {name: list(open_) for name, open_ in _all_open(tuple(forms), now // DAY, country)}


def moved(before: Mapping[str, Iterable[tuple[int, int]]], forms: Mapping[str, Form], country: str) -> list[Moved]:
    """Return those of the deadlines that are others by what is announced now. A form that is gone has none."""
    found = []
    for name, deadlines in before.items():
        if name in forms and has_deadline(forms[name]):
            told = ((as_of, due, due_at(forms[name], as_of, country)) for as_of, due in deadlines)
            found += [Moved(name, as_of, due, now) for as_of, due, now in told if due != now]
    return found


@lru_cache(maxsize=100)
def _all_open(forms: tuple[Form, ...], today: int, country: str) -> tuple[tuple[str, tuple[tuple[int, int], ...]], ...]:
    # once a day, not for each block of each checkpoint
    found = ((form.id, _open(form, today, country)) for form in forms)
    return tuple((name, open_) for name, open_ in found if open_)


def _open(form: Form, today: int, country: str) -> tuple[tuple[int, int], ...]:
    if not has_deadline(form) or "bd" not in form.deadline:
        return ()
    now = today * DAY
    last = expected(form, now, country)
    year = datetime.fromtimestamp(now, UTC).year
    first = year if last is None else datetime.fromtimestamp(last[1], UTC).year
    ended = (period for at in range(first, year + 1) for period in periods(form, at, country))
    return tuple((as_of, due) for due, as_of in ended if as_of <= now < due and is_provisional(form, as_of, country))
