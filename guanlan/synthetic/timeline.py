"""The dates of a sector: as-of dates of its forms, and when each filing arrives."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from rules.working_days import is_business_day

Longs = NDArray[np.int64]

DAY = 86_400
WARM_UP = 45
EPOCH = date(1970, 1, 1)


def ordinal(day: date) -> int:
    """Return days since the epoch."""
    return (day - EPOCH).days


def to_date(day: int) -> date:
    """Return the date of a count of days since the epoch."""
    return EPOCH + timedelta(days=int(day))


@dataclass(frozen=True, slots=True)
class Timeline:
    """All in days since the epoch.

    open: business days over the whole time and a year beyond. live: the business days that are played live.
    daily: as-of dates of daily filings: the live days and a run-up, so that rules have history. quarters:
    as-of dates of quarterly filings. reference: the last quarter's end before the live days.
    """

    open: Longs
    live: Longs
    daily: Longs
    quarters: Longs
    reference: int

    @property
    def grid(self) -> Longs:
        """Every date on which some figure is needed."""
        return np.union1d(self.daily, self.quarters)

    def business_day(self, day: Longs | int, after: Longs | int) -> Longs:
        """Return the business day that is `after` business days later; 0 is the day itself or the next."""
        return np.asarray(self.open[np.searchsorted(self.open, day, side="right") + np.asarray(after) - 1])


def lay_out(end: date, quarters: int, live_days: int) -> Timeline:
    """Lay out a timeline whose last business day is `end` or the last before it.

    There are `quarters` quarter ends before the live days, and those within them.
    """
    first = end - timedelta(days=92 * (quarters + 2) + 2 * (live_days + WARM_UP))
    span = (ordinal(end) + 366) - ordinal(first)
    days = [first + timedelta(days=n) for n in range(span)]
    business = np.array([ordinal(d) for d in days if is_business_day(d)], np.int64)
    past = business[business <= ordinal(end)]
    live = past[-live_days:]
    quarter_ends = np.array(
        [ordinal(d) for d in days if d.month % 3 == 0 and (d + timedelta(days=1)).day == 1], np.int64
    )
    before = quarter_ends[quarter_ends < live[0]][-quarters:]
    within = quarter_ends[(quarter_ends >= live[0]) & (quarter_ends <= ordinal(end))]
    return Timeline(business, live, past[-(live_days + WARM_UP) :], np.concatenate([before, within]), int(before[-1]))
