"""Judging a stack: rules × institutions in blocks that stay in the processor's cache, then the few pairs that matter.

Most pairs are quiet: no level holds, and nothing is remembered. A block costs one comparison of the weakest levels;
pairs that are not quiet, or unknown, are looked at together, whatever block they come from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from rules.context import Context
from rules.fold import Bytes
from rules.ladders import Ladder, Ladders
from rules.laps import Laps
from rules.operations import number, truth
from rules.plan import Rule
from rules.stacks import Stack, Stacked
from rules.store import Bools, Floats, Indices

BLOCK = 1 << 16
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
    """What was found of one stack: the pairs to fold, and those that are unknown, awake or not."""

    pairs: Pairs
    unknown: tuple[Indices, Indices]


def judge_stack(
    stack: Stack, ladders: Ladders, context: Context, system: Bools | None, awake: Bools, laps: Laps
) -> Judged:
    """Judge a stack at all places of the context. awake: [m, n], pairs of which something is remembered."""
    scope = scope_of(stack.template, context, system)
    blocks = list(_blocks(stack, ladders, context, scope, awake, laps))
    local, position, values = (np.concatenate(part) for part in zip(*blocks, strict=True))
    gone = np.isnan(values)
    if scope.unsure is not None:
        gone |= scope.unsure[position]
    out = None if scope.outside is None else scope.outside[position]
    if out is not None:
        gone &= ~out
    member = local - stack.members.start
    lost = np.flatnonzero(gone)
    unknown = local[lost], position[lost]
    asleep = lost[~awake[member[lost], position[lost]]]
    if len(asleep):
        keep = np.ones(len(local), np.bool_)
        keep[asleep] = False
        index = np.flatnonzero(keep)
        local, position, member, values, gone = (a[index] for a in (local, position, member, values, gone))
        out = None if out is None else out[index]
    held = ladders.levels(local, values)
    held[gone] = -1
    if out is not None:
        held[out] = 0
    return Judged(Pairs(local, position, held, _clear(stack, context, member, position)), unknown)


def _blocks(
    stack: Stack, ladders: Ladders, context: Context, scope: Scope, awake: Bools, laps: Laps
) -> Iterator[tuple[Indices, Indices, Floats]]:
    """Yield, by block, the pairs that are not known to be quiet, and the numbers that their levels compare."""
    ladder = ladders.of[stack.members.start]
    assert ladder is not None
    columns = len(context)
    rows = max(1, BLOCK // max(1, columns))
    inside = None if scope.outside is None else ~scope.outside
    room = np.empty((rows, columns), np.bool_)
    for first in range(0, stack.members.stop - stack.members.start, rows):
        part = slice(first, min(first + rows, stack.members.stop - stack.members.start))
        values = stacked_number(stack, ladder, context, part)
        laps.lap("derive")
        busy = room[: part.stop - part.start]
        ladder.fails(values, ladders.weakest[stack.members][part], out=busy)
        np.logical_not(busy, out=busy)
        if inside is not None:
            busy &= inside
        if scope.unsure is not None:
            busy |= scope.unsure
        busy |= awake[part]
        found = np.flatnonzero(busy)
        edges = np.searchsorted(found, np.arange(1, len(busy) + 1) * columns)
        member = np.repeat(np.arange(len(busy)), np.diff(edges, prepend=0))
        position = found - member * columns
        yield member + (stack.members.start + first), position, values[member, position]
        laps.lap("rules")


def stacked_number(stack: Stack, ladder: Ladder, context: Context, members: slice) -> Floats:
    """Return what the ladders of some members compare, [m, n]."""
    found = number(ladder.number, Stacked(context, stack.leaves.part(members)))
    return np.broadcast_to(found, (members.stop - members.start, len(context)))


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
