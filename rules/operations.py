"""What each plan operation computes: numpy on whole columns, missing as NaN, truth as yes/no columns."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rules.calendar import expected
from rules.context import DAY, Column, Context, Truth
from rules.plan import Node
from rules.store import NEVER, Bools, Floats

YEAR = 365.25 * DAY

Operation = Callable[[Node, Context], Column]
OPERATIONS: dict[str, Operation] = {}


def operation(name: str) -> Callable[[Operation], Operation]:
    """Register an operation under a name; a second of the same name is refused."""

    def register(run: Operation) -> Operation:
        if name in OPERATIONS:
            raise ValueError(f"the operation {name!r} is registered twice")
        OPERATIONS[name] = run
        return run

    return register


def evaluate(node: Node, context: Context) -> Column:
    """Return the node's column in the context: float64 [n], Truth of [n], or text codes int32 [n]."""
    found = context.memo.get(node.id)
    if found is None:
        found = context.memo[node.id] = OPERATIONS[node.op](node, context)
    return found


def number(node: Node, context: Context) -> Floats:
    """Evaluate a number node."""
    return cast(Floats, evaluate(node, context))


def truth(node: Node, context: Context) -> Truth:
    """Evaluate a truth node."""
    return cast(Truth, evaluate(node, context))


@operation("constant")
def _constant(node: Node, context: Context) -> Column:
    return np.full(len(context), cast(float, node.params[0]))


@operation("truth")
def _truth(node: Node, context: Context) -> Column:
    yes = np.full(len(context), bool(node.params[0]))
    return Truth(yes, ~yes)


@operation("text")
def _text(node: Node, context: Context) -> Column:
    return np.full(len(context), context.world.code(str(node.params[0])), np.int32)


@operation("column")
def _column(node: Node, context: Context) -> Column:
    return context.column(str(node.params[0]), str(node.params[1]))


@operation("attribute")
def _attribute(node: Node, context: Context) -> Column:
    name = str(node.params[0])
    columns = context.world.texts if node.kind == "text" else context.world.numbers
    column: NDArray[np.int32] | Floats = columns[name][context.rows]
    return column


@operation("member")
def _member(node: Node, context: Context) -> Column:
    codes = [context.world.code(str(text)) for text in node.params]
    column = evaluate(node.args[0], context)
    yes = np.isin(cast(NDArray[np.int32], column), codes)
    return Truth(yes, ~yes)


def _pair(name: str, compute: Callable[[Floats, Floats], Floats]) -> None:
    @operation(name)
    def run(node: Node, context: Context) -> Column:
        with np.errstate(all="ignore"):
            found = compute(_operand(node.args[0], context), _operand(node.args[1], context))
        if found.ndim == 0:
            found = np.full(len(context), found)
        return found


def _operand(node: Node, context: Context) -> Floats:
    """A constant as a scalar, so that numpy need not read a column of it."""
    if node.op == "constant":
        return cast(Floats, np.float64(cast(float, node.params[0])))
    return number(node, context)


def _divide(a: Floats, b: Floats) -> Floats:
    found = np.divide(a, b)
    return np.where(np.isfinite(found), found, np.nan)


_pair("add", np.add)
_pair("subtract", np.subtract)
_pair("multiply", np.multiply)
_pair("divide", _divide)
_pair("pair_min", np.minimum)
_pair("pair_max", np.maximum)


@operation("negate")
def _negate(node: Node, context: Context) -> Column:
    return -number(node.args[0], context)


@operation("absolute")
def _absolute(node: Node, context: Context) -> Column:
    return np.abs(number(node.args[0], context))


def _comparison(name: str, holds: Callable[..., Bools], fails: Callable[..., Bools]) -> None:
    @operation(name)
    def run(node: Node, context: Context) -> Column:
        a, b = _operand(node.args[0], context), _operand(node.args[1], context)
        if a.ndim == b.ndim == 0:
            a = np.full(len(context), a)
        return Truth(holds(a, b), fails(a, b))


def _differ(a: Floats, b: Floats) -> Bools:
    """Known to differ: NaN differs from everything in numpy, but is unknown here."""
    return np.less(a, b) | np.greater(a, b)


_comparison("less", np.less, np.greater_equal)
_comparison("less_equal", np.less_equal, np.greater)
_comparison("greater", np.greater, np.less_equal)
_comparison("greater_equal", np.greater_equal, np.less)
_comparison("equal", np.equal, _differ)
_comparison("unequal", _differ, np.equal)


@operation("and")
def _and(node: Node, context: Context) -> Column:
    a, b = truth(node.args[0], context), truth(node.args[1], context)
    return Truth(a.yes & b.yes, a.no | b.no)


@operation("or")
def _or(node: Node, context: Context) -> Column:
    a, b = truth(node.args[0], context), truth(node.args[1], context)
    return Truth(a.yes | b.yes, a.no & b.no)


@operation("not")
def _not(node: Node, context: Context) -> Column:
    a = truth(node.args[0], context)
    return Truth(a.no, a.yes)


@operation("choice")
def _choice(node: Node, context: Context) -> Column:
    condition = truth(node.args[0], context)
    if node.kind == "number":
        then, otherwise = number(node.args[1], context), number(node.args[2], context)
        return np.where(condition.yes, then, np.where(condition.no, otherwise, np.nan))
    a, b = truth(node.args[1], context), truth(node.args[2], context)
    yes = (condition.yes & a.yes) | (condition.no & b.yes)
    return Truth(yes, (condition.yes & a.no) | (condition.no & b.no))


@operation("missing")
def _missing(node: Node, context: Context) -> Column:
    gone = np.isnan(number(node.args[0], context))
    return Truth(gone, ~gone)


@operation("lag")
def _lag(node: Node, context: Context) -> Column:
    earlier, there = context.back(str(node.params[0]), cast(int, node.params[1]))
    return np.where(there, number(node.args[0], earlier), np.nan)


def _window(node: Node, context: Context) -> tuple[Floats, NDArray[np.int64], Bools]:
    """Values [k, n] of the window, NaN outside it; their dates [k, n]; and where the window is long enough."""
    filings, seconds = cast(int, node.params[1]), cast(int, node.params[2])
    inside, mask = context.window(str(node.params[0]), filings, seconds)
    values = np.where(mask, number(node.args[0], inside).reshape(mask.shape), np.nan)
    known = np.count_nonzero(~np.isnan(values), axis=0)
    enough = mask.all(axis=0) & (2 * known >= filings) if filings else known >= 1
    return values, inside.at.reshape(mask.shape), enough & (known >= 1)


def _reduction(name: str, reduce: Callable[[Floats], Floats], least: int = 1) -> None:
    @operation(f"window_{name}")
    def run(node: Node, context: Context) -> Column:
        values, _, enough = _window(node, context)
        enough = enough & (np.count_nonzero(~np.isnan(values), axis=0) >= least)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = reduce(values)
        return np.where(enough & np.isfinite(found), found, np.nan)


def _mean(values: Floats) -> Floats:
    """Mean of the known values, kept between the smallest and the largest: of equal values it is exactly theirs."""
    found: Floats = np.clip(np.nanmean(values, axis=0), np.nanmin(values, axis=0), np.nanmax(values, axis=0))
    return found


def _std(values: Floats) -> Floats:
    """Sample standard deviation; exactly 0 of equal values, which rules ask for."""
    known = np.count_nonzero(~np.isnan(values), axis=0)
    found: Floats = np.sqrt(np.nansum((values - _mean(values)) ** 2, axis=0) / (known - 1))
    return found


def _zscore(values: Floats) -> Floats:
    spread = _std(values)
    return np.where(spread > 0, (values[0] - _mean(values)) / spread, np.nan)


_reduction("mean", _mean)
_reduction("median", lambda v: cast(Floats, np.nanmedian(v, axis=0)))
_reduction("min", lambda v: cast(Floats, np.nanmin(v, axis=0)))
_reduction("max", lambda v: cast(Floats, np.nanmax(v, axis=0)))
_reduction("std", _std, least=2)
_reduction("zscore", _zscore, least=2)


@operation("window_slope")
def _slope(node: Node, context: Context) -> Column:
    values, at, enough = _window(node, context)
    known = ~np.isnan(values)
    count = np.count_nonzero(known, axis=0)
    years = np.where(known, (at - context.at) / YEAR, np.nan)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        dx = years - np.nanmean(years, axis=0)
        found = np.nansum(dx * (values - _mean(values)), axis=0) / np.nansum(dx * dx, axis=0)
    return np.where(enough & (count >= 3) & np.isfinite(found), found, np.nan)


@operation("window_quantile")
def _quantile(node: Node, context: Context) -> Column:
    values, _, enough = _window(node, context)
    q = cast(float, node.params[3])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = np.nanquantile(values, q, axis=0)
    return np.where(enough, found, np.nan)


@operation("window_ewma")
def _ewma(node: Node, context: Context) -> Column:
    span = cast(int, node.params[3])
    inside, mask = context.window(str(node.params[0]), cast(int, node.params[1]), 0)
    values = np.where(mask, number(node.args[0], inside).reshape(mask.shape), np.nan)
    known = ~np.isnan(values)
    decay = (1 - 2 / (span + 1)) ** np.arange(len(values))[:, None]
    weights = np.where(known, decay, 0.0)
    recent = np.count_nonzero(known[:span], axis=0)
    enough = mask[:span].all(axis=0) & (2 * recent >= span)
    with np.errstate(all="ignore"):
        found = np.where(known, values * weights, 0.0).sum(axis=0) / weights.sum(axis=0)
    lowest = np.where(known, values, np.inf).min(axis=0)
    highest = np.where(known, values, -np.inf).max(axis=0)
    return np.where(enough, np.clip(found, lowest, highest), np.nan)


@operation("window_cusum")
def _cusum(node: Node, context: Context) -> Column:
    inside, mask = context.window(str(node.params[0]), cast(int, node.params[1]), 0)
    excess = np.where(mask, number(node.args[0], inside).reshape(mask.shape), np.nan)
    total = np.zeros(len(context))
    for filing in np.nan_to_num(excess[::-1]):
        total = np.maximum(0.0, total + filing)
    return np.where(np.isnan(excess[0]), np.nan, total)


@operation("window_forecast")
def _forecast(node: Node, context: Context) -> Column:
    ahead = cast(int, node.params[3])
    inside, mask = context.window(str(node.params[0]), cast(int, node.params[1]), 0)
    values = np.where(mask, number(node.args[0], inside).reshape(mask.shape), np.nan)
    at = inside.at.reshape(mask.shape).astype(np.float64)
    first, second = np.triu_indices(len(values), 1)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        slopes = (values[first] - values[second]) / (at[first] - at[second])
        found = values[0] + np.nanmedian(slopes, axis=0) * ahead
    enough = np.count_nonzero(~np.isnan(values), axis=0) >= 4
    return np.where(enough, found, np.nan)


@operation("streak")
def _streak(node: Node, context: Context) -> Column:
    limit = cast(int, node.params[1])
    inside, mask = context.window(str(node.params[0]), limit, 0)
    condition = truth(node.args[0], inside)
    yes = condition.yes.reshape(mask.shape) & mask
    run = np.logical_and.accumulate(yes, axis=0).sum(axis=0).astype(np.float64)
    known_now = mask[0] & ~condition.unknown.reshape(mask.shape)[0]
    return np.where(known_now, run, np.nan)


@operation("age")
def _age(node: Node, context: Context) -> Column:
    oldest = np.min([context.as_of(str(form)) for form in node.params], axis=0)
    return np.where(oldest == NEVER, np.nan, (context.at - oldest) / DAY)


@operation("firing")
def _firing(node: Node, context: Context) -> Column:
    assert context.world.level_at is not None
    level = context.world.level_at(str(node.params[0]), context.rows, context.at)
    yes = level >= cast(int, node.params[1])
    return Truth(yes, ~yes)


@operation("overdue")
def _overdue(node: Node, context: Context) -> Column:
    form = context.world.catalogue.forms[str(node.params[0])]
    newest = context.as_of(form.id)
    late = np.zeros(len(context), np.bool_)
    for at in np.unique(context.at[context.at != NEVER]):
        wanted = expected(form, int(at), context.world.country)
        if wanted is not None:
            late |= (context.at == at) & (newest < wanted[1])
    if form.types:
        types = [context.world.code(kind) for kind in form.types]
        late &= np.isin(context.world.texts["type"][context.rows], types)
    return Truth(late, ~late)
