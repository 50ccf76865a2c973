"""As-of dates: which of them a form has, and how one is read as it was written."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta

from rules.catalogue import OWN_FORMS, Form

MONTHS = {"monthly": 1, "quarterly": 3, "half-yearly": 6, "yearly": 12}
"""Of the frequencies whose as-of dates are ends of periods, how many months a period has."""


def month_end(year: int, month: int) -> date:
    """Return the month's last day.

    >>> month_end(2024, 2).isoformat()
    '2024-02-29'
    """
    return date(year, month, monthrange(year, month)[1])


def period_end(day: date, months: int, year_end: int = 12) -> date:
    """Return the last day of the period that a day lies in: of so many months, the year ending with `year_end`.

    >>> period_end(date(2024, 4, 1), 3).isoformat(), period_end(date(2024, 4, 1), 12, 3).isoformat()
    ('2024-06-30', '2025-03-31')
    """
    ahead = (year_end - day.month) % months
    years, month = divmod(day.month - 1 + ahead, 12)
    return month_end(day.year + years, month + 1)


def nearest_period_end(day: date, months: int, year_end: int = 12) -> date:
    """Return the period's end that is nearest to a day; of two as near the earlier.

    >>> nearest_period_end(date(2024, 4, 1), 3).isoformat()
    '2024-03-31'
    """
    later = period_end(day, months, year_end)
    years, month = divmod(later.year * 12 + later.month - 1 - months, 12)
    earlier = month_end(years, month + 1)
    return earlier if day - earlier <= later - day else later


def written_day(text: str) -> date:
    """Return the date of an as-of as it was written: a date, or midnight of any offset.

    >>> written_day("2026-03-31T00:00:00+08:00").isoformat()
    '2026-03-31'

    Raises ValueError for another time of day, and for what is no ISO date or instant.
    """
    if len(text) == 10:
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    if moment.time() != time():
        raise ValueError(f"it must be a date, as {moment.date()}, without a time of day")
    return moment.date()


def as_of_seconds(form: Form, text: str) -> int:
    """Return the seconds since the epoch, UTC, of an as-of that is filed for a form.

    `text`: a date, or an instant with its offset. An intraday form has instants. Every other has dates, each
    counted from its midnight UTC, and midnight of any offset means the date that is written. Monthly to yearly
    forms have ends of periods. Forms that Guanlan files itself are as of any date.

    Raises ValueError with what an as-of of the form must be, and the nearest one.
    """
    if form.frequency == "intraday" and len(text) > 10:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() // 1)
    try:
        day = written_day(text)
    except ValueError as err:
        raise ValueError(f"form {form.id} is {form.frequency}: {err}") from None
    months = MONTHS.get(form.frequency)
    if months is not None and not form.id.startswith(OWN_FORMS):
        nearest = nearest_period_end(day, months, form.year_end)
        if nearest != day:
            raise ValueError(f"form {form.id} is {form.frequency}, and no period ends then; the nearest end: {nearest}")
    return (day - date(1970, 1, 1)) // timedelta(seconds=1)
