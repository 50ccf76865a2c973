"""Working days of a country: weekends, public holidays and make-up working weekends, as far as they are announced."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import MAXYEAR, date, timedelta
from functools import cache

import holidays

_FIRST, _LAST = 2000, 2100
"""The years in which notices are looked for."""


def is_business_day(day: date, country: str = "CN") -> bool:
    """Whether people work on the day: a make-up working weekend counts, a public holiday does not.

    Without a country, Monday to Friday.

    >>> is_business_day(date(2025, 2, 8)), is_business_day(date(2025, 2, 8), "US")
    (True, False)
    """
    return day in _business_days(country, day.year) if country else day.weekday() < 5


def business_days_after(day: date, count: int, country: str = "CN") -> date:
    """Return the count-th business day after a day.

    >>> business_days_after(date(2025, 1, 27), 5).isoformat()
    '2025-02-10'
    """
    for _ in range(count):
        day += timedelta(days=1)
        while not is_business_day(day, country):
            day += timedelta(days=1)
    return day


@cache
def last_announced(country: str) -> int | None:
    """Return the last year of which the make-up working weekends are known; None where the country has none.

    China's State Council announces those of a year in the autumn before it. A country that ever moved a working day
    to a weekend counts as one that announces.
    """
    if not country:
        return None
    known = holidays.country_holidays(country, years=range(_FIRST, _LAST))
    return max((day.year for day in known.weekend_workdays), default=None)


@cache
def is_provisional(country: str, year: int) -> bool:
    """Whether working days of the year may still change: they are not announced, or a holiday's date is an estimate.

    Holidays that follow the moon are estimates until they are announced.

    >>> is_provisional("CN", 2026), is_provisional("CN", 2090), is_provisional("US", 2090)
    (False, True, False)
    """
    if not country:
        return False
    last = last_announced(country)
    return (last is not None and year > last) or any(_estimates(country, year))


def crosses_provisional(first: date, last: date, country: str) -> bool:
    """Whether any of the days from `first` to `last` lies in a year that is provisional."""
    return any(is_provisional(country, year) for year in range(first.year, last.year + 1))


def _estimates(country: str, year: int) -> Iterator[bool]:
    """Yield, for each holiday of the year, whether its date is an estimate."""
    known = holidays.country_holidays(country, years=year)
    labels = (getattr(known, name, "") for name in ("estimated_label", "observed_estimated_label"))
    marks = [known.tr(label).partition("%s")[2] for label in labels if label]
    for names in known.values():
        yield any(name.endswith(mark) for name in names.split("; ") for mark in marks if mark)


@cache
def _business_days(country: str, year: int) -> frozenset[date]:
    # the notice of a year may move working days into the December before
    known = holidays.country_holidays(country, years=(year, min(year + 1, MAXYEAR)))
    days = (date(year, 1, 1) + timedelta(days=n) for n in range(366))
    return frozenset(day for day in days if day.year == year and known.is_working_day(day))
