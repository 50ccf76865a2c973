"""Alerts that stay at the highest level and get much worse within it: told again, each time the distance has doubled.

The reference is made anew from the history that is kept, so it needs no state and does not depend on how filings
were cut into batches: of the filings in a row up to now that were beyond the limit, the oldest counts as told, then
each whose distance from the limit is at least twice that of the one told last.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rules.context import Context, World
from rules.fold import Records
from rules.judge import WORSENED, Event
from rules.operations import number
from rules.plan import Gauge, Rule
from rules.store import Bools, Floats, Indices, Ints, Longs
from rules.transitions import SEVERITIES

FACTOR = 2.0
"""How many times the distance told last an alert must be beyond its limit."""

CRITICAL = SEVERITIES.index("critical")
_BELOW = frozenset({"below", "at_most"})
_ABOVE = frozenset({"above", "at_least"})


def worsened(rules: Sequence[Rule], world: World, form: str, before: Records, after: Records) -> list[Event]:
    """Return an event for each pair that was critical, still is, and is now much further beyond its limit.

    `before` and `after` are states of the same pairs around the filings just judged, which are the newest of `form`.
    A level that compares no number with a limit has no distance, nor has an alert that another comparison keeps open.
    """
    stays = (after.level == CRITICAL) & (before.level == CRITICAL) & (after.started == before.started)
    if not stays.any():
        return []
    pairs = after.take(np.flatnonzero(stays))
    rows, place = np.unique(pairs.row, return_inverse=True)
    at = np.zeros(len(rows), np.int64)
    at[place] = pairs.date
    past = _Past(world, form, rows.astype(np.int32), at)
    found: list[Event] = []
    for rule in np.unique(pairs.rule).tolist():
        gauge = rules[rule].gauges.get(CRITICAL)
        mine = np.flatnonzero(pairs.rule == rule)
        if gauge is None or gauge.side not in _BELOW | _ABOVE:
            continue
        told = pairs.take(mine[past.doubled(gauge, place[mine], pairs.started[mine])])
        columns = (told.row.tolist(), told.date.tolist(), told.started.tolist(), told.muted.tolist())
        found += [
            Event(rule, row, date, WORSENED, CRITICAL, CRITICAL, started, muted=muted)
            for row, date, started, muted in zip(*columns, strict=True)
        ]
    return found


class _Past:
    """The filings of some rows, newest first, as far as they are kept; each is looked at when it is needed."""

    def __init__(self, world: World, form: str, rows: Ints, at: Longs) -> None:
        self._form = form
        self._now = Context(world, rows, at)
        self._seen: list[tuple[Context, Bools]] = [(self._now, np.ones(len(rows), np.bool_))]
        self._horizon = world.catalogue.forms[form].horizon

    def _back(self, filings: int) -> tuple[Context, Bools]:
        while len(self._seen) <= filings:
            self._seen.append(self._now.back(self._form, len(self._seen)))
        return self._seen[filings]

    def _beyond(self, gauge: Gauge, filings: int, place: Indices) -> Floats:
        """How far each is beyond its limit so many filings ago; NaN where that is not known, or it is not beyond."""
        context, there = self._back(filings)
        distance = number(gauge.number, context) - number(gauge.limit, context)
        distance = -distance if gauge.side in _BELOW else distance
        known = np.where(there & (distance > 0), distance, np.nan)
        return known[place]

    def doubled(self, gauge: Gauge, place: Indices, started: Longs) -> Bools:
        """Whether the newest filing of each is at least twice as far beyond its limit as what was told last."""
        now, last = self._beyond(gauge, 0, place), self._beyond(gauge, 1, place)
        with np.errstate(invalid="ignore"):
            if not (now > last).any():
                return np.zeros(len(place), np.bool_)
        distances = [now, last, *(self._beyond(gauge, n, place) for n in range(2, self._horizon))]
        going = np.ones(len(place), np.bool_)
        for n, distance in enumerate(distances):
            going = going & ~np.isnan(distance) & (self._back(n)[0].at[place] >= started)
            distance[~going] = np.nan
        told = np.full(len(place), np.nan)
        for distance in distances[:0:-1]:
            with np.errstate(invalid="ignore"):
                told = np.where(np.isnan(told) | (distance >= FACTOR * told), distance, told)
        with np.errstate(invalid="ignore"):
            return np.asarray(now >= FACTOR * told)
