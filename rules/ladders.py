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

_FAILS = {"greater": np.less_equal, "greater_equal": np.less, "less": np.greater_equal, "less_equal": np.greater}


@dataclass(frozen=True, slots=True)
class Ladder:
    """One rule's ladder: the number compared, numpy's comparison and its opposite, the weakest bound (no dimension).

    `bounds`, by level, are those of an upward comparison; infinite for levels that are not there.
    """

    number: Node
    compare: np.ufunc
    fails: np.ufunc
    weakest: Floats
    sign: float
    strict: bool
    bounds: Floats


def ladder_of(rule: Rule) -> Ladder | None:
    """Return a rule's ladder; None where its levels are none."""
    first = rule.levels[0].condition
    if not all(_same_kind(first, level.condition) for level in rule.levels):
        return None
    sign, strict = _UPWARD[first.op]
    bounds = [sign * _bound(level.condition) for level in rule.levels]
    numbers = [level.number for level in rule.levels]
    if bounds != sorted(bounds) or numbers != sorted(numbers):
        return None
    upward = np.full(LEVELS + 1, np.inf)
    upward[numbers] = bounds
    return Ladder(first.args[0], getattr(np, first.op), _FAILS[first.op], np.array(_bound(first)), sign, strict, upward)


class Ladders:
    """The ladders among some rules: `of[i]` is that of the i-th rule, None where it has none.

    `weakest`, [rules, 1], are the bounds of the weakest levels. `above`, [rules], are those of the same comparisons
    as strict and upward ones: x <= 2 where -x > the number before -2.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.of = [ladder_of(rule) for rule in rules]
        found = [(i, ladder) for i, ladder in enumerate(self.of) if ladder is not None]
        self.weakest: Floats = np.full((len(rules), 1), np.inf)
        self.above: Floats = np.full(len(rules), np.inf)
        self._sign = np.ones(len(rules))
        self._strict: Bools = np.zeros(len(rules), np.bool_)
        self._bounds: Floats = np.full((LEVELS + 1, len(rules)), np.inf)
        for i, ladder in found:
            self.weakest[i] = ladder.weakest
            bound = ladder.sign * ladder.weakest
            self.above[i] = bound if ladder.strict else np.nextafter(bound, -np.inf)
            self._sign[i], self._strict[i], self._bounds[:, i] = ladder.sign, ladder.strict, ladder.bounds

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
        and constant_of(first.args[0]) is None
        and constant_of(other.args[1]) is not None
    )


def _bound(condition: Node) -> float:
    found = constant_of(condition.args[1])
    assert found is not None
    return found


def constant_of(node: Node) -> float | None:
    """The number that a node is in any context; None where that depends."""
    if node.op == "negate":
        found = constant_of(node.args[0])
        return None if found is None else -found
    return cast(float, node.params[0]) if node.op == "constant" else None
