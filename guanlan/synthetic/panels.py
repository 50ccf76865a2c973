"""Values of forms as panels, and when each of their filings arrives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guanlan.synthetic.plots import DAILY, Cast
from guanlan.synthetic.timeline import DAY, Timeline
from rules.catalogue import Catalogue

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

QUARTERLY = ("cn.balance.q", "cn.prudential.q", "cn.solvency.q", "cn.digital.q")
HOLDINGS, IMPORTANCE = "cn.holdings.q", "cn.importance.a"
FORMS = (*QUARTERLY, DAILY, HOLDINGS, IMPORTANCE)
SOONEST = 6
OFFICE_OPENS, OFFICE_CLOSES = 1800, 32_400
CORRECTIONS_AT = 36_000
REVISED_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Panel:
    """All values of one form: `values[d, k, i]` at as-of day d, indicator k, member i."""

    form: str
    days: Longs
    members: NDArray[np.intp]
    indicators: tuple[str, ...]
    values: Floats


def schedule(
    panels: Mapping[str, Panel], catalogue: Catalogue, timeline: Timeline, cast: Cast, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Return every good filing in order of arrival, as columns.

    at: second of arrival. panel: position of the form in `FORMS`. day, member: positions in the panel.
    revision. Daily filings come on the next business day, quarterly ones from the sixth to the day before the
    deadline; a few of those are corrected within a week.
    """
    columns: list[tuple[Longs, ...]] = []
    for number, form in enumerate(FORMS):
        panel = panels[form]
        day, member = (a.ravel() for a in np.indices((len(panel.days), len(panel.members))))
        on = timeline.business_day(panel.days[day], _wait(form, catalogue, len(day), rng))
        if form in ("cn.balance.q", "cn.prudential.q"):
            delayed = (panel.members[member] == cast.late) & (panel.days[day] == cast.quarter)
            on = np.where(delayed, cast.late_until, on)
        at = on * DAY + rng.integers(OFFICE_OPENS, OFFICE_CLOSES, len(day))
        columns.append((at, np.full(len(day), number), day, member, np.zeros(len(day), np.int64)))
        again = _corrected(panel, day, member, cast, rng)
        wait = rng.integers(1, 6, len(again)) * (form in QUARTERLY)
        at = timeline.business_day(on[again], wait) * DAY + CORRECTIONS_AT
        revision = np.ones(len(again), np.int64)
        columns.append((at, np.full(len(again), number), day[again], member[again], revision))
    joined = [np.concatenate(parts) for parts in zip(*columns, strict=True)]
    order = np.lexsort((joined[4], joined[3], joined[1], joined[0]))
    order = order[joined[0][order] < (int(timeline.live[-1]) + 1) * DAY]
    names = ("at", "panel", "day", "member", "revision")
    return {name: column[order] for name, column in zip(names, joined, strict=True)}


def _wait(form: str, catalogue: Catalogue, filings: int, rng: np.random.Generator) -> Longs:
    if form == DAILY:
        return np.ones(filings, np.int64)
    return rng.integers(SOONEST, int(catalogue.forms[form].deadline.removesuffix("bd")) - 1, filings)


def _corrected(panel: Panel, day: Longs, member: Longs, cast: Cast, rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions of the filings that a revision follows."""
    who, when = panel.members[member], panel.days[day]
    if panel.form in QUARTERLY:
        return np.flatnonzero((rng.random(len(day)) < REVISED_SHARE) & (who != cast.late))
    if panel.form != DAILY:
        return np.zeros(0, np.intp)
    return np.flatnonzero((who == cast.in_thousands[1]) & (when == cast.in_thousands[2]))
