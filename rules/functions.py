"""The functions that rules may call: one builder each, its docstring the author's reference.

What looks back is missing where the newest filing is too old to be known itself. Late and revised filings count
as if they had been on time.

A builder checks its arguments and returns plan nodes; the arithmetic is in `rules.operations`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rules.calendar import has_deadline
from rules.compiler import Compiler
from rules.expressions import Call, ExpressionError, Name, Number, Text
from rules.plan import Node
from rules.problems import nearest
from rules.registry import OTHER_ATTRIBUTES
from rules.transitions import SEVERITIES
from rules.units import RATIO, Unit, unit_of
from rules.windows import DAY, parse_span

MAX_FILINGS = 400
STREAK_LIMIT = 12
CUSUM_FILINGS = 24
FORECAST_FILINGS = 8
GROUPING = ("type", "region", "peer_group", "dsib_bucket")

Builder = Callable[[Compiler, Call], Node]


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language: its name, how it is called, what it says, and its builder."""

    name: str
    usage: str
    doc: str
    build: Builder


FUNCTIONS: dict[str, Function] = {}
OF_ALL = (
    "Late and revised filings count in every function as if they had come on time and right: what was said of dates"
    " since is put right. What looks back is missing where the newest filing is too old to be known itself."
)
"""What holds for every function, for those who read the list."""


def function(usage: str) -> Callable[[Builder], Builder]:
    """Register a builder under the name its usage starts with; a second of the same name is refused."""

    def register(build: Builder) -> Builder:
        name = usage.partition("(")[0]
        if name in FUNCTIONS:
            raise ValueError(f"the function {name!r} is registered twice")
        FUNCTIONS[name] = Function(name, usage, (build.__doc__ or "").strip(), build)
        return build

    return register


def _usage(call: Call) -> ExpressionError:
    return ExpressionError(call.at, f"{call.function} is called as {FUNCTIONS[call.function].usage}", check="arguments")


def _expect(call: Call, low: int, high: int) -> None:
    if call.options:
        raise ExpressionError(call.options[0][1].at, f"{call.function} takes no argument {call.options[0][0]!r}")
    if not low <= len(call.args) <= high:
        raise _usage(call)


def _filings(call: Call, index: int, default: int) -> int:
    if len(call.args) <= index:
        return default
    arg = call.args[index]
    if not isinstance(arg, Number) or arg.fraction or arg.value != int(arg.value) or not 1 <= arg.value <= MAX_FILINGS:
        raise ExpressionError(arg.at, f"expected a whole number of filings, 1 to {MAX_FILINGS}", check="arguments")
    return int(arg.value)


def _window(call: Call, index: int) -> tuple[int, int]:
    arg = call.args[index]
    span = parse_span(arg.value) if isinstance(arg, Text) else None
    if span is None or span.filings > MAX_FILINGS or span.seconds > 4000 * DAY:
        raise ExpressionError(arg.at, "expected a window in quotes, as '4 filings' or '90d'", check="arguments")
    return span.filings, span.seconds


def _lag(c: Compiler, call: Call, default: int | None = None) -> tuple[Node, Node]:
    _expect(call, 2 if default is None else 1, 2)
    now = c.number(call.args[0])
    n = _filings(call, 1, default or 1)
    form = c.slowest_form(now, call.at)
    return now, c.graph.node("lag", (now,), (form, n), unit=now.unit)


@function("lag(x, n)")
def lag(c: Compiler, call: Call) -> Node:
    """The value of x as it stood n filings of x's form earlier; missing where it was, or fewer were filed."""
    return _lag(c, call)[1]


@function("change(x, n=1)")
def change(c: Compiler, call: Call) -> Node:
    """x less what it was n filings earlier. Missing where either is."""
    now, then = _lag(c, call, 1)
    return c.graph.node("subtract", (now, then), unit=now.unit)


@function("pct_change(x, n=1)")
def pct_change(c: Compiler, call: Call) -> Node:
    """The change of x over n filings, relative to the size of the earlier value, as a fraction.

    Missing where either value is, or the earlier one is zero.
    """
    now, then = _lag(c, call, 1)
    difference = c.graph.node("subtract", (now, then), unit=now.unit)
    size = c.graph.node("absolute", (then,), unit=now.unit)
    return c.graph.node("divide", (difference, size), unit=RATIO)


def _reduce(c: Compiler, call: Call, op: str, unit_is_ratio: bool = False) -> Node:
    _expect(call, 2, 2)
    x = c.number(call.args[0])
    filings, seconds = _window(call, 1)
    form = c.slowest_form(x, call.at)
    return c.graph.node(f"window_{op}", (x,), (form, filings, seconds), unit=RATIO if unit_is_ratio else x.unit)


@function("mean(x, window)")
def mean(c: Compiler, call: Call) -> Node:
    """Mean of x over the window ('4 filings' or '90d'), this filing included.

    Counted in filings it needs that many, at least half of them with a value; in days, at least one value; else it
    is missing.
    """
    return _reduce(c, call, "mean")


@function("median(x, window)")
def median(c: Compiler, call: Call) -> Node:
    """Median of x over the window; gaps as for mean."""
    return _reduce(c, call, "median")


@function("std(x, window)")
def std(c: Compiler, call: Call) -> Node:
    """Sample standard deviation of x over the window (n − 1); gaps as for mean, and at least two values."""
    return _reduce(c, call, "std")


@function("zscore(x, window)")
def zscore(c: Compiler, call: Call) -> Node:
    """How many standard deviations x is from its mean over the window, this filing included.

    Gaps as for mean, at least two values; missing where x is missing now, or all values are equal.
    """
    return _reduce(c, call, "zscore", unit_is_ratio=True)


@function("slope(x, window)")
def slope(c: Compiler, call: Call) -> Node:
    """Least-squares slope of x over the window, per year of event time; gaps as for mean, at least three values."""
    return _reduce(c, call, "slope")


@function("quantile(x, q, window)")
def quantile(c: Compiler, call: Call) -> Node:
    """The q-quantile (0 to 1, linear between values) of x over the window; gaps as for mean."""
    _expect(call, 3, 3)
    x, q = c.number(call.args[0]), _constant(call, 1, 0.0, 1.0)
    filings, seconds = _window(call, 2)
    form = c.slowest_form(x, call.at)
    return c.graph.node("window_quantile", (x,), (form, filings, seconds, q), unit=x.unit)


@function("ewma(x, n)")
def ewma(c: Compiler, call: Call) -> Node:
    """Exponentially weighted mean of x with a span of n filings (weight 2 / (n + 1) on the newest).

    Counts the last 3 n filings; missing ones are left out and the weights of the others scaled up. Needs n
    filings, at least half of them with a value.
    """
    _expect(call, 2, 2)
    x, n = c.number(call.args[0]), _filings(call, 1, 0)
    if n > MAX_FILINGS // 3:
        raise ExpressionError(call.args[1].at, f"a span of at most {MAX_FILINGS // 3} filings", check="arguments")
    form = c.slowest_form(x, call.at)
    return c.graph.node("window_ewma", (x,), (form, 3 * n, 0, n), unit=x.unit)


@function("cusum(x, target, slack)")
def cusum(c: Compiler, call: Call) -> Node:
    """Upper cumulative sum of x over its target (Page 1954): S = max(0, S + x − target − slack), from 0.

    Runs over the last 24 filings, or as many as there are; a missing value adds nothing. Missing where x is missing
    now. For a fall below a target give −x and −target.
    """
    _expect(call, 3, 3)
    x, target, slack = (c.number(arg) for arg in call.args)
    c.same_unit(x, target, call.args[1].at, "can't compare")
    c.same_unit(x, slack, call.args[2].at, "can't compare")
    form = c.slowest_form(x, call.at)
    excess = c.graph.node("subtract", (c.graph.node("subtract", (x, target), unit=x.unit), slack), unit=x.unit)
    return c.graph.node("window_cusum", (excess,), (form, CUSUM_FILINGS, 0), unit=x.unit)


@function("forecast(x, ahead)")
def forecast(c: Compiler, call: Call) -> Node:
    """x carried on along its trend for the time given ('365d'): value now plus slope times time.

    The slope is robust (Theil–Sen: the median of slopes between all pairs) over the last 8 filings; at least
    four of them must have a value, and this one; else it is missing.
    """
    _expect(call, 2, 2)
    x = c.number(call.args[0])
    filings, seconds = _window(call, 1)
    if filings:
        raise ExpressionError(call.args[1].at, "expected a time in quotes, as '365d'", check="arguments")
    form = c.slowest_form(x, call.at)
    return c.graph.node("window_forecast", (x,), (form, FORECAST_FILINGS, 0, seconds), unit=x.unit)


def _constant(call: Call, index: int, low: float, high: float) -> float:
    arg = call.args[index]
    if not isinstance(arg, Number) or not low <= arg.value <= high:
        raise ExpressionError(arg.at, f"expected a number from {low:g} to {high:g}", check="arguments")
    return arg.value


def _extreme(c: Compiler, call: Call, op: str) -> Node:
    if len(call.args) == 2 and isinstance(call.args[1], Text):
        return _reduce(c, call, op)
    _expect(call, 2, 20)
    node = c.number(call.args[0])
    for arg in call.args[1:]:
        other = c.number(arg)
        c.same_unit(node, other, arg.at, f"{op} can't mix")
        unit = node.unit if node.unit is not None else other.unit
        node = c.graph.node(f"pair_{op}", (node, other), unit=unit)
    return node


@function("min(x, window)")
def minimum(c: Compiler, call: Call) -> Node:
    """Smallest value of x over the window, gaps as for mean; or min(a, b, …) of several, missing where one is."""
    return _extreme(c, call, "min")


@function("max(x, window)")
def maximum(c: Compiler, call: Call) -> Node:
    """Largest value of x over the window, gaps as for mean; or max(a, b, …) of several, missing where one is."""
    return _extreme(c, call, "max")


@function("abs(x)")
def absolute(c: Compiler, call: Call) -> Node:
    """Size of x without its sign; missing where x is."""
    _expect(call, 1, 1)
    x = c.number(call.args[0])
    return c.graph.node("absolute", (x,), unit=x.unit)


@function("streak(condition)")
def streak(c: Compiler, call: Call) -> Node:
    """How many filings in a row, up to this one, the condition has held; at most 12 are counted.

    Unknown breaks the run; where the condition is unknown now, the streak is missing.
    """
    _expect(call, 1, 1)
    condition = c.truth(call.args[0])
    form = c.slowest_form(condition, call.at)
    return c.graph.node("streak", (condition,), (form, STREAK_LIMIT, 0), unit=None)


@function("crossed(x, level)")
def crossed(c: Compiler, call: Call) -> Node:
    """Whether x has passed the level since the filing before, in either direction.

    Unknown where x is missing now or then: the first filing has crossed nothing that is known.
    """
    _expect(call, 2, 2)
    x, level = c.number(call.args[0]), c.number(call.args[1])
    c.same_unit(x, level, call.args[1].at, "can't compare")
    form = c.slowest_form(x, call.at)
    above = c.graph.node("greater_equal", (x, level), kind="truth")
    before = c.graph.node("lag", (x,), (form, 1), unit=x.unit)
    was_above = c.graph.node("greater_equal", (before, level), kind="truth")
    up = c.graph.node("and", (above, c.graph.node("not", (was_above,), kind="truth")), kind="truth")
    down = c.graph.node("and", (was_above, c.graph.node("not", (above,), kind="truth")), kind="truth")
    return c.graph.node("or", (up, down), kind="truth")


@function("missing(x)")
def missing(c: Compiler, call: Call) -> Node:
    """Whether x is missing: not filed, left out, or too old. Never unknown."""
    _expect(call, 1, 1)
    return c.graph.node("missing", (c.number(call.args[0]),), kind="truth")


@function("exists(x)")
def exists(c: Compiler, call: Call) -> Node:
    """Whether x has a value. Never unknown."""
    return c.graph.node("not", (missing(c, call),), kind="truth")


@function("age(x)")
def age(c: Compiler, call: Call) -> Node:
    """Days between the date judged and the as-of date of the newest filing that x comes from; oldest part counts.

    A filing that is too old to be known, or left x out, has an age; where nothing was filed it is missing.
    """
    _expect(call, 1, 1)
    x = c.number(call.args[0])
    forms = tuple(sorted(c.forms(x)))
    if not forms:
        raise ExpressionError(call.at, "age needs an indicator", check="arguments")
    return c.graph.node("age", (x,), forms, unit=unit_of("days"))


def _across(c: Compiler, call: Call, count: int, unit: Unit | None, default_by: str = "") -> Node:
    """An aggregate over `count` arguments, the group given by `by=`."""
    by = default_by
    for key, value in call.options:
        named = value.id if isinstance(value, Name) else value.value if isinstance(value, Text) else ""
        other = named.startswith(OTHER_ATTRIBUTES) and named != OTHER_ATTRIBUTES
        if key != "by" or not (named in GROUPING or other):
            summary = f"{call.function} knows by= one of {', '.join(GROUPING)}, or {OTHER_ATTRIBUTES}NAME"
            raise ExpressionError(value.at, summary, check="arguments")
        by = named
    if len(call.args) != count:
        raise _usage(call)
    args = tuple(c.any(arg) for arg in call.args)
    for node, arg in zip(args, call.args, strict=True):
        if not c.forms(node):
            raise ExpressionError(arg.at, f"{call.function} needs an indicator here", check="arguments")
    return c.graph.node(call.function, args, (by, c.min_coverage), unit=unit)


def _of_number(c: Compiler, call: Call, keeps_unit: bool = True, default_by: str = "") -> Node:
    if not call.args:
        raise _usage(call)
    return _across(c, call, 1, c.number(call.args[0]).unit if keeps_unit else RATIO, default_by)


@function("group_sum(x, by=attribute)")
def group_sum(c: Compiler, call: Call) -> Node:
    """Sum of x over all institutions, or over those that share the attribute. Missing values are left out.

    Like everything across institutions it is missing until 80 % of the group (by total assets; by count where no
    size is known) have reported for the date, or the deadline has passed; a rule's `min_coverage` sets another share.
    """
    return _of_number(c, call)


@function("group_mean(x, by=attribute)")
def group_mean(c: Compiler, call: Call) -> Node:
    """Mean of x over all institutions, or over those that share the attribute; gaps and coverage as for group_sum."""
    return _of_number(c, call)


@function("weighted_mean(x, w, by=attribute)")
def weighted_mean(c: Compiler, call: Call) -> Node:
    """Mean of x weighted by w; institutions where either is missing are left out; coverage as for group_sum."""
    return _across(c, call, 2, c.number(call.args[0]).unit if call.args else None)


@function("hhi(x, by=attribute)")
def hhi(c: Compiler, call: Call) -> Node:
    """Herfindahl index of x over institutions: the sum of squared shares, from 1/n to 1.

    Gaps and coverage as for group_sum; missing where the sum of x is not above zero.
    """
    return _of_number(c, call, keeps_unit=False)


@function("gini(x, by=attribute)")
def gini(c: Compiler, call: Call) -> Node:
    """Gini coefficient of x over institutions: 0 where all are equal, 1 − 1/n where one has all.

    Gaps and coverage as for group_sum; missing where the sum of x is not above zero.
    """
    return _of_number(c, call, keeps_unit=False)


@function("count(condition, by=attribute)")
def count(c: Compiler, call: Call) -> Node:
    """How many institutions the condition holds for; unknown does not count; coverage as for group_sum."""
    if len(call.args) == 1:
        c.truth(call.args[0])
    return _across(c, call, 1, None)


@function("share_of(condition, w, by=attribute)")
def share_of(c: Compiler, call: Call) -> Node:
    """Share of w that belongs to institutions for which the condition holds, of all where both are known.

    Coverage as for group_sum; missing where the sum of w is not above zero.
    """
    if len(call.args) == 2:
        c.truth(call.args[0])
        c.number(call.args[1])
    return _across(c, call, 2, RATIO)


@function("share(x, by=attribute)")
def share(c: Compiler, call: Call) -> Node:
    """The institution's own share of the sum of x; missing where its own x is. Gaps and coverage as for group_sum."""
    return _of_number(c, call, keeps_unit=False)


@function("peer_median(x, by=peer_group)")
def peer_median(c: Compiler, call: Call) -> Node:
    """Median of x in the institution's peer group, itself included; gaps and coverage as for group_sum.

    As in the UBPR, institutions opened in the last five calendar years are compared with those of the same year
    only. Of fewer than ten peers the alert says so. Both hold for every peer function.
    """
    return _of_number(c, call, default_by="peer_group")


@function("peer_mean(x, by=peer_group)")
def peer_mean(c: Compiler, call: Call) -> Node:
    """Mean of x in the peer group without what lies outside its 5 % and 95 % quantiles, as in the UBPR.

    Of two peers, which both lie outside, it is the plain mean; gaps and coverage as for group_sum.
    """
    return _of_number(c, call, default_by="peer_group")


@function("peer_percentile(x, by=peer_group)")
def peer_percentile(c: Compiler, call: Call) -> Node:
    """Percentile rank of x among its peers, 0 to 1; equal values share the middle of their ranks.

    Missing where its own x is; peers without one are left out; coverage as for group_sum.
    """
    return _of_number(c, call, keeps_unit=False, default_by="peer_group")


@function("peer_rank(x, by=peer_group)")
def peer_rank(c: Compiler, call: Call) -> Node:
    """Rank of x among its peers: 1 for the largest; equal values share the better rank.

    Missing where its own x is; peers without one are left out; coverage as for group_sum.
    """
    node = _of_number(c, call, default_by="peer_group")
    return c.graph.node(node.op, node.args, node.params, unit=None)


@function("peer_zscore(x, by=peer_group)")
def peer_zscore(c: Compiler, call: Call) -> Node:
    """Robust z-score among peers: distance from their median in units of 1.4826 median absolute deviations.

    Missing where its own x is, or that deviation is zero; peers without x are left out; coverage as for group_sum.
    """
    return _of_number(c, call, keeps_unit=False, default_by="peer_group")


@function("firing(rule, level)")
def firing(c: Compiler, call: Call) -> Node:
    """Whether another rule's alert for the same subject is open, at the level named or above; never unknown.

    The level may be left out: any. The other rule is judged first; rules can't wait for each other in a circle.
    """
    _expect(call, 1, 2)
    ident = call.args[0]
    if not isinstance(ident, Text):
        raise ExpressionError(ident.at, "expected a rule's id in quotes", check="arguments")
    if ident.value not in c.rules:
        fix = nearest(ident.value, c.rules)
        raise ExpressionError(ident.at, f"there is no rule {ident.value!r}", fix, "unknown-rule")
    number = 1
    if len(call.args) > 1:
        level = call.args[1]
        name = level.value if isinstance(level, Text) else level.id if isinstance(level, Name) else ""
        if name not in SEVERITIES[1:]:
            raise ExpressionError(level.at, f"expected a level: {', '.join(SEVERITIES[1:])}", check="arguments")
        number = SEVERITIES.index(name)
    return c.graph.node("firing", params=(ident.value, number), kind="truth")


@function("overdue(form)")
def overdue(c: Compiler, call: Call) -> Node:
    """Whether the form that was due last has not been filed although its deadline has passed; never unknown.

    A late filing ends it; so does one of a later date. Who does not owe it is never overdue: who is not of the form's
    types, was not there yet or has closed (the registry's `opened`, `registered` and `closed`).
    """
    _expect(call, 1, 1)
    arg = call.args[0]
    form = arg.value if isinstance(arg, Text) else arg.id if isinstance(arg, Name) else ""
    if form not in c.catalogue.forms:
        raise ExpressionError(arg.at, f"there is no form {form!r}", nearest(form, c.catalogue.forms), "unknown-form")
    if not has_deadline(c.catalogue.forms[form]):
        raise ExpressionError(arg.at, f"the form {form!r} has no deadline in the catalogue", check="deadline")
    return c.graph.node("overdue", params=(form,), kind="truth")
