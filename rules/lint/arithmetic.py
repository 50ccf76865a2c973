"""The range of each plan operation's result, from those of its operands.

Rounding is monotone, so the ends of a sum or a product are those of the operands' ends, to the last digit. What
looks at other dates or institutions knows nothing of what is assumed here and now: it asks `facts.base`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from rules.lint.facts import Facts
from rules.lint.ranges import ANYTHING, INFINITE, NOTHING, Range, hull
from rules.plan import RUNGS, Node
from rules.spans import EVER
from rules.store import NEVER

Compute = Callable[[Node, Facts], Range]
RANGES: dict[str, Compute] = {}
SLACK = 1e-9
"""How far, relative to its size, a mean may round beyond the values it is of."""


def ranged(*ops: str) -> Callable[[Compute], Compute]:
    """Register how the range of operations comes about; a second for the same operation is refused."""

    def register(compute: Compute) -> Compute:
        for op in ops:
            if op in RANGES:
                raise ValueError(f"the range of {op!r} is registered twice")
            RANGES[op] = compute
        return compute

    return register


@ranged("constant")
def _constant(node: Node, facts: Facts) -> Range:
    value = float(node.params[0])  # type: ignore[arg-type]
    return Range(value, value, False)


@ranged("column")
def _column(node: Node, facts: Facts) -> Range:
    indicator = facts.catalogue.indicators[str(node.params[1])]
    return Range(indicator.low, indicator.high)


@ranged("parameter")
def _parameter(node: Node, facts: Facts) -> Range:
    """The values of all its rows; never missing where a default is valid for ever."""
    setting = facts.settings.get(str(node.params[0]))
    if setting is None or not setting.rows:
        return ANYTHING
    values = [row.value for row in setting.rows]
    always = any(row.rung == RUNGS[0] and row.since == NEVER and row.until == EVER for row in setting.rows)
    return Range(min(values), max(values), not always)


def _operands(node: Node, facts: Facts) -> tuple[Range, Range] | None:
    a, b = facts.range(node.args[0]), facts.range(node.args[1])
    return None if a.empty or b.empty else (a, b)


def _ends(a: Range, b: Range, compute: Callable[[float, float], float]) -> Range:
    bounds = [compute(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    if any(math.isnan(bound) for bound in bounds):
        return ANYTHING
    return hull(bounds, a.missing or b.missing or any(map(math.isinf, bounds)))


@ranged("add")
def _add(node: Node, facts: Facts) -> Range:
    pair = _operands(node, facts)
    return _ends(*pair, lambda x, y: x + y) if pair else NOTHING


@ranged("subtract")
def _subtract(node: Node, facts: Facts) -> Range:
    pair = _operands(node, facts)
    if pair and node.args[0] is node.args[1]:
        return Range(0.0, 0.0, True)
    return _ends(*pair, lambda x, y: x - y) if pair else NOTHING


@ranged("multiply")
def _multiply(node: Node, facts: Facts) -> Range:
    pair = _operands(node, facts)
    if pair is None:
        return NOTHING
    # 0 × ∞ at an end stands for 0 × something large: the ends are never reached where they are infinite
    return _ends(*pair, lambda x, y: 0.0 if x == 0 or y == 0 else x * y) if not _unbounded(pair) else _signed(pair)


def _unbounded(pair: tuple[Range, Range]) -> bool:
    return any(math.isinf(bound) for r in pair for bound in (r.low, r.high))


def _signed(pair: tuple[Range, Range]) -> Range:
    """The sign of a product whose size is not bounded."""
    a, b = pair
    if (a.low >= 0 and b.low >= 0) or (a.high <= 0 and b.high <= 0):
        return Range(0.0, INFINITE)
    if (a.low >= 0 and b.high <= 0) or (a.high <= 0 and b.low >= 0):
        return Range(-INFINITE, 0.0)
    return ANYTHING


@ranged("divide")
def _divide(node: Node, facts: Facts) -> Range:
    pair = _operands(node, facts)
    if pair is None:
        return NOTHING
    a, b = pair
    if b.low == b.high == 0:
        return NOTHING
    if node.args[0] is node.args[1]:
        return Range(1.0, 1.0, True)
    if _unbounded(pair) or b.low <= 0 <= b.high:
        return _signed(pair)
    return _ends(a, b, lambda x, y: x / y)


@ranged("negate")
def _negate(node: Node, facts: Facts) -> Range:
    a = facts.range(node.args[0])
    return Range(-a.high, -a.low, a.missing)


@ranged("absolute")
def _absolute(node: Node, facts: Facts) -> Range:
    a = facts.range(node.args[0])
    if a.empty or a.low >= 0:
        return a
    return Range(0.0 if a.high >= 0 else -a.high, max(-a.low, a.high), a.missing)


@ranged("pair_min", "pair_max")
def _extreme(node: Node, facts: Facts) -> Range:
    pair = _operands(node, facts)
    if pair is None:
        return NOTHING
    a, b = pair
    chosen = min if node.op == "pair_min" else max
    return Range(chosen(a.low, b.low), chosen(a.high, b.high), a.missing or b.missing)


@ranged("choice")
def _choice(node: Node, facts: Facts) -> Range:
    condition, then, otherwise = node.args
    found = NOTHING
    for outcome, branch in ((True, then), (False, otherwise)):
        there = facts.assume(condition, outcome)
        if there is not None:
            found = found.join(there.range(branch))
    return found if facts.can_be_unknown(condition) else _as_missing(found, facts, node)


def _as_missing(found: Range, facts: Facts, node: Node) -> Range:
    """A choice whose condition is always known is missing only where its branches are."""
    missing = any(facts.range(branch).missing for branch in node.args[1:])
    return Range(found.low, found.high, missing)


@ranged("lag")
def _lag(node: Node, facts: Facts) -> Range:
    a = facts.base.range(node.args[0])
    return Range(a.low, a.high)


@ranged("window_mean", "window_median", "window_min", "window_max", "window_ewma")
def _among(node: Node, facts: Facts) -> Range:
    """The engine keeps these between the smallest and the largest value."""
    a = facts.base.range(node.args[0])
    return Range(a.low, a.high)


@ranged("window_quantile", "peer_median", "peer_mean", "group_mean")
def _about(node: Node, facts: Facts) -> Range:
    return _widened(facts.base.range(node.args[0]))


def _widened(a: Range) -> Range:
    if a.empty:
        return NOTHING
    slack = SLACK * max(abs(a.low), abs(a.high))
    return Range(a.low - slack, a.high + slack) if math.isfinite(slack) else _half(a)


def _half(a: Range) -> Range:
    """What is left of a range without bound on one side: its sign."""
    return Range(0.0 if a.low >= 0 else -INFINITE, 0.0 if a.high <= 0 else INFINITE)


@ranged("window_std")
def _std(node: Node, facts: Facts) -> Range:
    a = facts.base.range(node.args[0])
    return NOTHING if a.empty else Range(0.0, a.high - a.low)


@ranged("window_zscore")
def _zscore(node: Node, facts: Facts) -> Range:
    """A deviation is one of those that the standard deviation sums: |z| ≤ √(n − 1)."""
    form, filings, seconds = str(node.params[0]), int(node.params[1]), int(node.params[2])  # type: ignore[arg-type]
    count = filings or facts.catalogue.forms[form].filings_within(seconds)
    most = math.sqrt(max(count - 1, 1)) * (1 + SLACK)
    return Range(-most, most)


@ranged("window_cusum")
def _cusum(node: Node, facts: Facts) -> Range:
    most, step = 0.0, facts.base.range(node.args[0]).high
    for _ in range(int(node.params[1])):  # type: ignore[arg-type]
        most = max(0.0, most + step)
    return Range(0.0, most)


@ranged("streak")
def _streak(node: Node, facts: Facts) -> Range:
    longest = float(node.params[1])  # type: ignore[arg-type]
    return Range(0.0, longest if facts.base.can(node.args[0], True) else 0.0)


@ranged("age", "count")
def _not_negative(node: Node, facts: Facts) -> Range:
    return Range(0.0, INFINITE)


@ranged("group_sum")
def _sum(node: Node, facts: Facts) -> Range:
    a = facts.base.range(node.args[0])
    if a.empty:
        return NOTHING
    return Range(a.low if a.low >= 0 else -INFINITE, a.high if a.high <= 0 else INFINITE)


@ranged("weighted_mean")
def _weighted(node: Node, facts: Facts) -> Range:
    x, weight = (facts.base.range(arg) for arg in node.args)
    return _widened(x) if weight.low >= 0 else ANYTHING


@ranged("gini", "hhi", "share")
def _part(node: Node, facts: Facts) -> Range:
    if facts.base.range(node.args[0]).low >= 0:
        return Range(0.0, 1.0 + SLACK)
    return Range(0.0, INFINITE) if node.op != "share" else ANYTHING


@ranged("share_of")
def _share_of(node: Node, facts: Facts) -> Range:
    return Range(0.0, 1.0 + SLACK) if facts.base.range(node.args[1]).low >= 0 else ANYTHING


@ranged("peer_percentile")
def _percentile(node: Node, facts: Facts) -> Range:
    return Range(0.0, 1.0)


@ranged("peer_rank")
def _rank(node: Node, facts: Facts) -> Range:
    return Range(1.0, INFINITE)
