"""Ladders: levels that compare one number with bounds, each harder to reach than the one before.

Where the weakest level does not hold, none does. So such a rule costs one comparison of a column, and its other
levels are looked at only where that one holds: for all rules at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rules.plan import Node, Rule
from rules.store import Bools, Floats, Indices

LEVELS = 3
_UPWARD = {"greater": (1.0, True), "greater_equal": (1.0, False), "less": (-1.0, True), "less_equal": (-1.0, False)}
"""By comparison: the sign that makes it an upward one, and whether its bound itself is too low."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """One rule's ladder: the number compared, numpy's comparison, the weakest bound (of no dimension)."""

    number: Node
    compare: np.ufunc
    weakest: Floats


class Ladders:
    """The ladders among some rules: `of[i]` is that of the i-th rule, None where it has none."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.of: list[Ladder | None] = [None] * len(rules)
        self._sign = np.ones(len(rules))
        self._strict: Bools = np.zeros(len(rules), np.bool_)
        self._bounds: Floats = np.full((LEVELS + 1, len(rules)), np.inf)
        for i, rule in enumerate(rules):
            self._add(i, rule)

    def _add(self, i: int, rule: Rule) -> None:
        first = rule.levels[0].condition
        if not all(_same_kind(first, level.condition) for level in rule.levels):
            return
        sign, strict = _UPWARD[first.op]
        bounds = [sign * _bound(level.condition) for level in rule.levels]
        if bounds != sorted(bounds) or [level.number for level in rule.levels] != sorted(x.number for x in rule.levels):
            return
        self.of[i] = Ladder(first.args[0], getattr(np, first.op), np.array(_bound(first)))
        self._sign[i], self._strict[i] = sign, strict
        for level, bound in zip(rule.levels, bounds, strict=True):
            self._bounds[level.number, i] = bound

    def levels(self, rule: Indices, values: Floats) -> NDArray[np.int8]:
        """Return the highest level that holds for each value of each rule; 0 for none, and where it is NaN."""
        held = np.zeros(len(values), np.int8)
        upward, strict = values * self._sign[rule], self._strict[rule]
        for number in range(1, LEVELS + 1):
            bound = self._bounds[number, rule]
            held[(upward > bound) | (~strict & (upward == bound) & np.isfinite(bound))] = number
        return held


def _same_kind(first: Node, other: Node) -> bool:
    return (
        first.op in _UPWARD
        and other.op == first.op
        and other.args[0] is first.args[0]
        and first.args[0].op != "constant"
        and other.args[1].op == "constant"
    )


def _bound(condition: Node) -> float:
    return cast(float, condition.args[1].params[0])
