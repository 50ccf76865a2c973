"""Reporting calendars: which as-of date a form expects, and when it is due."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import MAXYEAR, UTC, date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from rules.catalogue import DEADLINE, Form
from rules.periods import MONTHS, month_end
from rules.working_days import business_days_after, crosses_provisional, is_business_day

DAY = 86_400
LONGEST_YEARS = 5
"""A yearly form with the longest deadline that can be written, 999 days, was due for a year this far back."""
LATE_ANSWER_DAYS, LATE_ANSWER_HOURS = 2, 2
"""How long a question on a filing that came after its deadline may be answered, in business days; intraday in hours."""
_LAST_DAY = 253_370_764_800  # 9999-01-01
_SECONDS = {"min": 60, "h": 3600, "d": DAY}


def seconds(day: date) -> int:
    """Return the day's first second in UTC, since the epoch."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def parse_instant(text: str, zone: str = "UTC") -> int:
    """Return seconds since the epoch of an ISO date, at midnight UTC, or instant; one without offset counts in `zone`.

    Raises ValueError for anything else, and for a local time that the zone has twice or not at all.

    >>> parse_instant("1970-01-02")
    86400
    """
    if len(text) == 10:
        return seconds(date.fromisoformat(text))
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else local(moment, zone)).timestamp() // 1)


def local(moment: datetime, zone: str) -> datetime:
    """Return a time without offset as that of a time zone; raise ValueError where the zone has it twice or never."""
    found = moment.replace(tzinfo=ZoneInfo(zone), fold=0)
    if found.utcoffset() != found.replace(fold=1).utcoffset():
        raise ValueError(f"{zone} puts its clocks on or back at {moment.isoformat()}: write the offset")
    return found


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
        return begins(as_of + timedelta(days=1), form.zone) + count * _SECONDS[unit]
    last = business_days_after(as_of, count, country) if unit == "bd" else as_of + timedelta(days=count)
    return begins(last + timedelta(days=1), form.zone)


def is_provisional(form: Form, as_of: int, country: str = "CN") -> bool:
    """Whether the due date of the filing for an as-of second counts business days that are not announced yet."""
    match = DEADLINE.fullmatch(form.deadline)
    if match is None or match.group(2) != "bd" or form.frequency == "intraday":
        return False
    day = datetime.fromtimestamp(as_of, UTC).date()
    return crosses_provisional(day, business_days_after(day, int(match.group(1)), country), country)


@lru_cache(maxsize=10_000)
def local_midnight(day: int, zone: str) -> int:
    """Return when a day begins in a time zone, in seconds; `day` is its midnight UTC, what lies beyond years stays."""
    if not 0 <= day < _LAST_DAY:
        return day
    return begins(datetime.fromtimestamp(day, UTC).date(), zone)


def begins(day: date, zone: str) -> int:
    """Return the day's first second in a time zone, since the epoch."""
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
    return begins(last + timedelta(days=1), form.zone)


def act_by(deadline: tuple[int, str], seen_at: int, country: str = "CN", zone: str = "UTC") -> str:
    """Return until when to act on an alert that was seen at a moment: the last day, or the moment of hours.

    Days are those of the time zone; business days those of the country.

    >>> act_by((5, "bd"), seconds(date(2025, 1, 27)), "CN"), act_by((24, "h"), 0)
    ('2025-02-10', '1970-01-02T00:00:00Z')
    """
    count, unit = deadline
    moment = datetime.fromtimestamp(seen_at, UTC)
    if unit == "h":
        return (moment + timedelta(hours=count)).strftime("%Y-%m-%dT%H:%M:%SZ")
    day = moment.astimezone(ZoneInfo(zone)).date()
    return (business_days_after(day, count, country) if unit == "bd" else day + timedelta(days=count)).isoformat()


def act_is_provisional(deadline: tuple[int, str], seen_at: int, country: str = "CN", zone: str = "UTC") -> bool:
    """Whether until when to act counts business days that are not announced yet."""
    if deadline[1] != "bd":
        return False
    day = datetime.fromtimestamp(seen_at, UTC).astimezone(ZoneInfo(zone)).date()
    return crosses_provisional(day, business_days_after(day, deadline[0], country), country)


def answer_by(form: Form, as_of: int, submitted_at: int, country: str = "CN") -> int:
    """Return until when a question on a filing may be answered: the second from which it is judged without an answer.

    That is the form's deadline for the as-of second; where the filing came after it, or there is none, two business
    days after that of its submission, of an intraday form two hours.

    >>> monthly = Form("m", {}, "monthly", deadline="15d")
    >>> format_instant(answer_by(monthly, parse_instant("2025-03-31"), parse_instant("2025-04-02")))
    '2025-04-16'
    >>> format_instant(answer_by(monthly, parse_instant("2025-03-31"), parse_instant("2025-05-08")))
    '2025-05-13'
    """
    if has_deadline(form) and (end := due_at(form, as_of, country)) > submitted_at:
        return end
    if form.frequency == "intraday":
        return submitted_at + LATE_ANSWER_HOURS * 3600
    day = datetime.fromtimestamp(submitted_at, UTC).astimezone(ZoneInfo(form.zone)).date()
    return begins(business_days_after(day, LATE_ANSWER_DAYS, country) + timedelta(days=1), form.zone)


@cache
def _schedule(form: Form, year: int, country: str) -> tuple[tuple[int, int], ...]:
    """(due, as-of) of the periods that end in the year, by due date; of an intraday form of business days."""
    if form.frequency == "intraday":
        return tuple(sorted((due_at(form, moment, country), moment) for moment in _moments(form, year, country)))
    if form.frequency in MONTHS:
        step = MONTHS[form.frequency]
        ends = [month_end(year, month) for month in range(1, 13) if (month - form.year_end) % step == 0]
    else:
        first = date(year, 1, 1)
        days = (first + timedelta(days=n) for n in range(366))
        in_year = [d for d in days if d.year == year]
        ends = [d for d in in_year if (d.weekday() == 4 if form.frequency == "weekly" else is_business_day(d, country))]
    return tuple(sorted((due(form, end, country), seconds(end)) for end in ends))


def periods(form: Form, year: int, country: str = "CN") -> tuple[tuple[int, int], ...]:
    """Return (due, as-of) in seconds of the periods that end in a year, by due date."""
    return _schedule(form, year, country)


def _moments(form: Form, year: int, country: str) -> Iterator[int]:
    zone = ZoneInfo(form.zone)
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(366))
    for day in (d for d in days if d.year == year and is_business_day(d, country)):
        for time in form.times:
            local = datetime(day.year, day.month, day.day, time // 3600, time % 3600 // 60, tzinfo=zone)
            yield int(local.timestamp())


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


def next_due(form: Form, now: int, country: str = "CN") -> tuple[int, int] | None:
    """Return (due, as-of) in seconds of the first deadline after `now`; None where the form has none."""
    if not has_deadline(form):
        return None
    year = datetime.fromtimestamp(now, UTC).year
    coming = (found for at in range(year - LONGEST_YEARS, year + 2) for found in periods(form, at, country))
    return min((found for found in coming if found[0] > now), default=None)


def deadlines(form: Form, after: int, until: int, country: str = "CN") -> list[tuple[int, int]]:
    """Return (due, as-of) in seconds of every filing due after `after` and not after `until`, by due date."""
    found: list[tuple[int, int]] = []
    last = expected(form, until, country)
    while last is not None and last[0] > after:
        found.append(last)
        last = expected(form, last[0] - 1, country)
    return found[::-1]
