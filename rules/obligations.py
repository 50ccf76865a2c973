"""What institutions owe: from when and until when each has to file. Whoever asks who should have filed asks here.

An institution owes a form's filing for an as-of date if it is of the form's types and had begun by then: it begins on
the day it opened; where that is not known, when it was registered, or with its first filing of the form if that is for
an earlier date. From the day on which it closed it owes nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import numpy as np

from rules.calendar import parse_instant, seconds
from rules.catalogue import Form
from rules.registry import Institution
from rules.spans import EVER
from rules.store import NEVER, Bools, FormStore, Ints, Longs

if TYPE_CHECKING:
    from rules.context import World


class Tenure:
    """Since when, and until when, the institution in each row is one; in seconds.

    `opened`: the day it opened, NEVER where that is not known. `registered`: when it came into the registry; NEVER
    where nobody knows, so that it has always been there. `closed`: the day it closed, EVER where it did not.
    Days are those of the time zone `zone`, and stand at midnight in UTC as as-of dates do.
    """

    def __init__(self, rows: int, zone: str) -> None:
        self.opened: Longs = np.full(rows, NEVER)
        self.registered: Longs = np.full(rows, NEVER)
        self.closed: Longs = np.full(rows, EVER)
        self._zone = zone

    def grow(self, rows: int) -> None:
        """Make room for `rows` institutions."""
        wider = Tenure(rows, self._zone)
        for name in ("opened", "registered", "closed"):
            old = getattr(self, name)
            getattr(wider, name)[: len(old)] = old
            setattr(self, name, getattr(wider, name))

    def put(self, row: int, institution: Institution, otherwise: int) -> None:
        """Take what the registry says of an institution; it was registered `otherwise` where it does not say when."""
        self.opened[row] = _moment(institution.opened, int(NEVER))
        self.closed[row] = _moment(institution.closed, EVER)
        self.registered[row] = _moment(institution.registered, otherwise)

    def remember(self, rows: Ints, registered: Longs) -> None:
        """Take in when institutions were registered according to kept state, which may know it from earlier."""
        now = self.registered[rows]
        known = (registered != NEVER) & ((now == NEVER) | (registered < now))
        self.registered[rows] = np.where(known, registered, now)

    def begun(self, form: Form, store: FormStore, rows: Ints, as_of: Longs | int) -> Bools:
        """Whether each of n institutions had begun by an as-of second: one for all, or [n]."""
        opened, registered = self.opened[rows], self.registered[rows]
        known = registered if form.frequency == "intraday" else self._days(registered)
        since = np.where(opened != NEVER, opened, known)
        before: Bools = np.asarray(since <= as_of)
        if not before.all():
            before |= (opened == NEVER) & (store.oldest(rows) <= as_of)
        return before

    def _days(self, moments: Longs) -> Longs:
        if not (moments != NEVER).any():
            return moments
        distinct, place = np.unique(moments, return_inverse=True)
        return np.array([_day(moment, self._zone) for moment in distinct.tolist()], np.int64)[place]


def _moment(text: str, otherwise: int) -> int:
    """Seconds of an ISO date or instant; what can't be read says nothing."""
    try:
        return parse_instant(text)
    except ValueError:
        return otherwise


@lru_cache(maxsize=100_000)
def _day(moment: int, zone: str) -> int:
    """The day of a moment in a time zone, at midnight in UTC."""
    if moment == NEVER:
        return moment
    return seconds(datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(zone)).date())


def of_type(world: World, form: Form, rows: Ints) -> Bools:
    """Whether each of n institutions is of a type that files the form; all are where it names none."""
    if not form.types:
        return np.ones(len(rows), np.bool_)
    found: Bools = np.isin(world.texts["type"][rows], [world.code(kind) for kind in form.types])
    return found


def obliged(world: World, form: Form, rows: Ints, as_of: Longs | int, at: Longs | int) -> Bools:
    """Whether each of n institutions owes the form's filing for an as-of second, as things are at a moment.

    `as_of` and `at` are seconds, one for all or [n].
    """
    begun = world.tenure.begun(form, world.stores[form.id], rows, as_of)
    found: Bools = of_type(world, form, rows) & begun & (at < world.tenure.closed[rows])
    return found
