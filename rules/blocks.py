"""Judging a stack: rules × institutions in blocks that stay in the processor's cache, then the few pairs that matter.

Most pairs are quiet: no level holds, and nothing is remembered. A block costs one comparison of the weakest levels;
pairs that are not quiet, or unknown, are looked at together, whatever block they come from.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from rules.context import Context
from rules.fold import Bytes
from rules.ladders import Ladders
from rules.laps import Laps
from rules.operations import number, truth
from rules.plan import Rule
from rules.stacks import Stack, Stacked
from rules.store import Bools, Indices

BLOCK = 1 << 17
"""Numbers in a block."""


@dataclass(slots=True)
class Pairs:
    """Pairs that have to be folded: the rule's place in its group, the institution's in the context, what holds."""

    local: Indices
    position: Indices
    held: Bytes
    clear: Bools

    def take(self, index: Indices) -> Self:
        """Return the chosen pairs."""
        return type(self)(*(getattr(self, f.name)[index] for f in fields(self)))

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Return all pairs of some parts."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


@dataclass(frozen=True, slots=True)
class Scope:
    """Where rules apply: `outside` not at all, `unsure` perhaps; None for nowhere."""

    outside: Bools | None
    unsure: Bools | None


def scope_of(rule: Rule, context: Context, system: Bools | None) -> Scope:
    """Return where the rule applies; `system` marks rows that stand for the system, None where there are none."""
    outside: Bools | None = None
    if system is not None:
        outside = system if rule.scope == "institution" else ~system
    elif rule.scope == "system":
        outside = np.ones(len(context), np.bool_)
    unsure: Bools | None = None
    if rule.where is not None and not (where := truth(rule.where, context)).everywhere:
        unsure = where.unknown
        outside = where.no if outside is None else outside | where.no
        if unsure is not None:
            unsure = unsure & ~outside
    return Scope(outside, unsure)


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found of one stack: the pairs to fold, and member and position of those that are unknown."""

    pairs: Pairs
    unknown: tuple[Indices, Indices]


def judge_stack(
    stack: Stack, ladders: Ladders, context: Context, system: Bools | None, awake: Bools, laps: Laps
) -> Judged:
    """Judge a stack at all places of the context. awake: [m, n], pairs of which something is remembered."""
    scope = scope_of(stack.template, context, system)
    busy = _busy(stack, ladders, context, scope, awake, laps)
    member, position = _places(busy)
    ladder = ladders.of[stack.members.start]
    assert ladder is not None
    values = number(ladder.number, Stacked(context, stack.leaves, (member, position)))
    gone = np.isnan(values)
    if scope.unsure is not None:
        gone |= scope.unsure[position]
    out = None if scope.outside is None else scope.outside[position]
    if out is not None:
        gone &= ~out
    lost = np.flatnonzero(gone)
    unknown = member[lost], position[lost]
    asleep = lost[~awake[unknown]]
    if len(asleep):
        keep = np.ones(len(member), np.bool_)
        keep[asleep] = False
        index = np.flatnonzero(keep)
        position, member, values, gone = position[index], member[index], values[index], gone[index]
        out = None if out is None else out[index]
    local = member + stack.members.start
    held = ladders.levels(local, values)
    held[gone] = -1
    if out is not None:
        held[out] = 0
    return Judged(Pairs(local, position, held, _clear(stack, context, member, position)), unknown)


def _busy(stack: Stack, ladders: Ladders, context: Context, scope: Scope, awake: Bools, laps: Laps) -> Bools:
    """Return which pairs, [m, n], are not known to be quiet."""
    ladder = ladders.of[stack.members.start]
    assert ladder is not None
    count, columns = stack.members.stop - stack.members.start, len(context)
    busy = np.empty((count, columns), np.bool_)
    # a column is there already; what is computed should not leave the cache before it is compared
    rows = count if ladder.number.op == "column" else max(1, BLOCK // max(1, columns))
    for first in range(0, count, rows):
        part = slice(first, min(first + rows, count))
        values = number(ladder.number, Stacked(context, stack.leaves.part(part)))
        laps.lap("derive")
        quiet = ladder.fails(values, ladders.weakest[stack.members][part], out=busy[part])
        if scope.outside is not None:
            quiet |= scope.outside
        if scope.unsure is not None:
            quiet &= ~scope.unsure
        np.greater_equal(awake[part], quiet, out=quiet)
        laps.lap("rules")
    return busy


def _places(busy: Bools) -> tuple[Indices, Indices]:
    """Return row and column of what is set, in order."""
    found = np.flatnonzero(busy)
    rows, columns = busy.shape
    edges = np.searchsorted(found, np.arange(rows + 1) * columns)
    row = np.repeat(np.arange(rows), np.diff(edges))
    return row, found - row * columns


def _clear(stack: Stack, context: Context, member: Indices, position: Indices) -> Bools:
    """Where the rules' `clear` is known to hold, or the rule does not apply by its `where`."""
    rule = stack.template
    if rule.clear is None or not len(member):
        return np.zeros(len(member), np.bool_)
    pairs = Stacked(context, stack.leaves, (member, position))
    clear = np.array(np.broadcast_to(truth(rule.clear, pairs).yes, len(member)))
    if rule.where is not None:
        clear |= truth(rule.where, context).no[position]
    return clear
