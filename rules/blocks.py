"""Judging a stack: the few pairs of rule and institution that the sieve leaves, all together."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from rules.context import Context
from rules.fold import Bytes
from rules.ladders import Ladders
from rules.laps import Laps
from rules.operations import truth
from rules.plan import Rule
from rules.sieve import Scope, sift
from rules.stacks import Stack, Stacked
from rules.store import Bools, Indices


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
    sifted = sift(stack, ladders, context, scope, awake, laps)
    member, position = sifted.member, sifted.position
    local = member + stack.members.start
    held = ladders.levels(local, sifted.values)
    gone = np.isnan(sifted.values)
    if scope.outside is not None:
        out = scope.outside[position]
        gone &= ~out
        held[out] = 0
    held[gone] = -1
    pairs = Stacked(context, stack.leaves, (member, position))
    if scope.unsure is None:
        pairs.memo[stack.number.id] = sifted.values
    return Judged(Pairs(local, position, held, _clear(stack.template, context, pairs, position)), sifted.lost)


def _clear(rule: Rule, context: Context, pairs: Stacked, position: Indices) -> Bools:
    """Where the rules' `clear` is known to hold, or the rule does not apply by its `where`."""
    if rule.clear is None or not len(position):
        return np.zeros(len(position), np.bool_)
    clear = np.array(np.broadcast_to(truth(rule.clear, pairs).yes, len(position)))
    if rule.where is not None:
        clear |= truth(rule.where, context).no[position]
    return clear
