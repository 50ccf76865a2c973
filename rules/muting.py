"""Suppression as the engine decides it: what silences an alert, as bits of a mask that is folded with its level.

A suppressed alert is computed and told like any other, with its reasons; whoever notifies passes over it. What
is unknown silences nothing. An open alert silences others whether or not it is silenced itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rules.calendar import local_midnight
from rules.context import Context, World
from rules.operations import truth
from rules.plan import Rule, Waiver
from rules.store import Ints, Longs

UNLESS, WAIVED = 1, 2
FIRST_INHIBITOR = 2
"""The inhibitors' bits begin here."""


def can_be_muted(rule: Rule) -> bool:
    """Whether anything could ever silence the rule's alert."""
    return rule.unless is not None or bool(rule.inhibited_by or rule.waivers)


def muted(rule: Rule, context: Context, chosen: NDArray[np.intp]) -> Ints:
    """Mask of what silences the rule's alert at the chosen positions of the context."""
    found = np.zeros(len(chosen), np.int32)
    if rule.unless is not None:
        found[truth(rule.unless, context).yes[chosen]] |= UNLESS
    rows, at = context.rows[chosen], context.at[chosen]
    for number, inhibitor in enumerate(rule.inhibited_by, start=FIRST_INHIBITOR):
        assert context.world.level_at is not None
        found[context.world.level_at(inhibitor.rule, rows, at) >= inhibitor.level] |= 1 << number
    if rule.waivers:
        _waive(rule, context.world, rows, at, found)
    return found


def _waive(rule: Rule, world: World, rows: Ints, at: Longs, found: Ints) -> None:
    granted: dict[int, list[Waiver]] = {}
    for waiver in rule.waivers:
        if ends(waiver, world) > world.clock and waiver.institution in world.codes:
            granted.setdefault(world.codes[waiver.institution], []).append(waiver)
    own = world.texts["code"][rows]
    for i in np.flatnonzero(np.isin(own, list(granted))):
        if any(w.since <= at[i] < w.until for w in granted[int(own[i])]):
            found[i] |= WAIVED


def ends(waiver: Waiver, world: World) -> int:
    """Return when a waiver ends by the clock: after its last day in the catalogue's time zone."""
    return local_midnight(waiver.until, world.catalogue.timezone)


def waiver_at(rule: Rule, institution: str, at: int) -> Waiver | None:
    """Return the institution's waiver from the rule at an as-of second, if it has one."""
    mine = (w for w in rule.waivers if w.institution == institution and w.since <= at < w.until)
    return next(mine, None)


def reasons(rule: Rule, mask: int) -> list[str]:
    """Name what a mask says: "unless", "waiver", and the ids of rules."""
    named = [word for bit, word in ((UNLESS, "unless"), (WAIVED, "waiver")) if mask & bit]
    inhibitors = enumerate(rule.inhibited_by, start=FIRST_INHIBITOR)
    return named + [inhibitor.rule for number, inhibitor in inhibitors if mask & (1 << number)]
