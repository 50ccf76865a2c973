"""Reporting calendars: which as-of date a form expects, and when it is due."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

import holidays

from rules.catalogue import DEADLINE, Form

DAY = 86_400
LONGEST_YEARS = 5
"""A yearly form with the longest deadline that can be written, 999 days, was due for a year this far back."""
_SECONDS = {"min": 60, "h": 3600, "d": DAY}
_MONTHS = {"monthly": 1, "quarterly": 3, "half-yearly": 6, "yearly": 12}


def seconds(day: date) -> int:
    """Return the day's first second in UTC, since the epoch."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def parse_instant(text: str) -> int:
    """Return seconds since the epoch of an ISO date or instant; an instant without zone counts as UTC.

    Raises ValueError for anything else.

    >>> parse_instant("1970-01-02")
    86400
    """
    if len(text) == 10:
        return seconds(date.fromisoformat(text))
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


@lru_cache(maxsize=100_000)
def format_instant(instant: int) -> str:
    """Return the ISO date of an instant at midnight UTC, else the instant.

    >>> format_instant(86400), format_instant(86401)
    ('1970-01-02', '1970-01-02T00:00:01Z')
    """
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(instant))
    return moment.strftime("%Y-%m-%d") if instant % DAY == 0 else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def has_deadline(form: Form) -> bool:
    """Whether the form has a deadline that this module understands; an intraday one needs times of day too."""
    return (form.frequency != "intraday" or bool(form.times)) and DEADLINE.fullmatch(form.deadline) is not None


def due_at(form: Form, as_of: int, country: str = "CN") -> int:
    """Return when the filing for an as-of second is overdue: an intraday one so long after that very moment."""
    match = DEADLINE.fullmatch(form.deadline)
    if form.frequency == "intraday" and match is not None:
        return as_of + int(match.group(1)) * _SECONDS[match.group(2)]
    return due(form, datetime.fromtimestamp(as_of, UTC).date(), country)


def due(form: Form, as_of: date, country: str = "CN") -> int:
    """Return when the filing for `as_of` is overdue: the first second after its deadline day in the form's time zone.

    "15bd" counts business days of `country`'s calendar, "20d" days, "6h" and "30min" from the as-of day's end.
    """
    match = DEADLINE.fullmatch(form.deadline)
    if match is None:
        raise ValueError(f"the form {form.id!r} has no deadline")
    count, unit = int(match.group(1)), match.group(2)
    if unit in ("h", "min"):
        return _begins(as_of + timedelta(days=1), form.zone) + count * _SECONDS[unit]
    last = business_days_after(as_of, count, country) if unit == "bd" else as_of + timedelta(days=count)
    return _begins(last + timedelta(days=1), form.zone)


def _begins(day: date, zone: str) -> int:
    """The day's first second in a time zone."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp())


@lru_cache(maxsize=100_000)
def runs_out(form: Form, as_of: int, country: str = "CN", owed: bool = True) -> int:
    """Return from which second on the form's data have run out for whom it was last filed for an as-of second.

    That is the first deadline after it that was missed; where there is none, or the form is not `owed`, when its
    values are too old to be known.
    """
    if owed and has_deadline(form):
        year = datetime.fromtimestamp(as_of, UTC).year
        for candidate in range(year, min(year + 3, MAXYEAR)):
            missed = [due for due, end in _schedule(form, candidate, country) if end > as_of]
            if missed:
                return min(missed)
    valid = int(form.validity_days * DAY)
    if form.frequency == "intraday":
        return as_of + valid + 1
    last = datetime.fromtimestamp(as_of + valid, UTC).date()
    return _begins(last + timedelta(days=1), form.zone)


def business_days_after(day: date, count: int, country: str = "CN") -> date:
    """Return the count-th business day after a day.

    >>> business_days_after(date(2025, 3, 14), 2).isoformat()
    '2025-03-18'
    """
    for _ in range(count):
        day += timedelta(days=1)
        while not is_business_day(day, country):
            day += timedelta(days=1)
    return day


def act_by(deadline: tuple[int, str], seen_at: int, country: str = "CN", zone: str = "UTC") -> str:
    """Return until when to act on an alert that was seen at a moment: the last day, or the moment of hours.

    Days are those of the time zone; business days those of the country.

    >>> act_by((5, "bd"), seconds(date(2025, 1, 27)), "CN"), act_by((24, "h"), 0)
    ('2025-02-11', '1970-01-02T00:00:00Z')
    """
    count, unit = deadline
    moment = datetime.fromtimestamp(seen_at, UTC)
    if unit == "h":
        return (moment + timedelta(hours=count)).strftime("%Y-%m-%dT%H:%M:%SZ")
    day = moment.astimezone(ZoneInfo(zone)).date()
    return (business_days_after(day, count, country) if unit == "bd" else day + timedelta(days=count)).isoformat()


@cache
def _closed(country: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, years=year)) if country else frozenset()


def is_business_day(day: date, country: str = "CN") -> bool:
    """Whether the day is neither a weekend nor a public holiday of the country."""
    return day.weekday() < 5 and day not in _closed(country, day.year)


@cache
def _schedule(form: Form, year: int, country: str) -> tuple[tuple[int, int], ...]:
    """(due, as-of) of the periods that end in the year, by due date; of an intraday form those of business days."""
    if form.frequency == "intraday":
        return tuple(sorted((due_at(form, moment, country), moment) for moment in _moments(form, year, country)))
    if form.frequency in _MONTHS:
        step = _MONTHS[form.frequency]
        ends = [_month_end(year, month) for month in range(step, 13, step)]
    else:
        first = date(year, 1, 1)
        days = (first + timedelta(days=n) for n in range(366))
        in_year = [d for d in days if d.year == year]
        ends = [d for d in in_year if (d.weekday() == 4 if form.frequency == "weekly" else is_business_day(d, country))]
    return tuple(sorted((due(form, end, country), seconds(end)) for end in ends))


def _moments(form: Form, year: int, country: str) -> Iterator[int]:
    zone = ZoneInfo(form.zone)
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(366))
    for day in (d for d in days if d.year == year and is_business_day(d, country)):
        for time in form.times:
            local = datetime(day.year, day.month, day.day, time // 3600, time % 3600 // 60, tzinfo=zone)
            yield int(local.timestamp())


def _month_end(year: int, month: int) -> date:
    following = date(year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)


def expected(form: Form, now: int, country: str = "CN") -> tuple[int, int] | None:
    """Return (due, as-of) in seconds of the latest filing whose deadline has passed at `now`."""
    year = datetime.fromtimestamp(now, UTC).year
    # the year of a time zone may begin before that of UTC
    for candidate in range(year + (form.frequency == "intraday"), year - LONGEST_YEARS, -1):
        schedule = _schedule(form, candidate, country)
        index = bisect_right(schedule, (now, 2**62))
        if index:
            return schedule[index - 1]
    return None


def deadlines(form: Form, after: int, until: int, country: str = "CN") -> list[tuple[int, int]]:
    """Return (due, as-of) in seconds of every filing due after `after` and not after `until`, by due date."""
    found: list[tuple[int, int]] = []
    last = expected(form, until, country)
    while last is not None and last[0] > after:
        found.append(last)
        last = expected(form, last[0] - 1, country)
    return found[::-1]
