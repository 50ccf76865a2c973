"""What each plan operation computes: numpy on whole columns, missing as NaN, truth as yes/no columns."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rules.calendar import expected
from rules.context import DAY, Column, Context, Truth
from rules.obligations import obliged
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
    found: Any = evaluate(node, context)
    return found  # type: ignore[no-any-return]


def truth(node: Node, context: Context) -> Truth:
    """Evaluate a truth node."""
    found: Any = evaluate(node, context)
    return found  # type: ignore[no-any-return]


def blank(node: Node, context: Context) -> Bools | None:
    """Where a number node is missing; None when it is missing nowhere."""
    found = context.blanks.get(node.id, _UNSEEN)
    if found is not _UNSEEN:
        return found
    column = number(node, context)
    # a sum of squares is NaN if and only if one of them is: half the price of looking at each
    if column.ndim == 1 and not isnan(column.dot(column)):
        gone = None
    else:
        gone = np.isnan(column)
        gone = gone if gone.any() else None
    context.blanks[node.id] = gone
    return gone


_UNSEEN: Bools = np.zeros(0, np.bool_)


def either(a: Bools | None, b: Bools | None) -> Bools | None:
    """Where at least one of two masks is set; None is a mask that is set nowhere."""
    return b if a is None else a if b is None or a is b else a | b


@operation("constant")
def _constant(node: Node, context: Context) -> Column:
    found = context.constant(node)
    return found if found.ndim else np.full(len(context), found)


@operation("truth")
def _truth(node: Node, context: Context) -> Column:
    return Truth.known(np.full(len(context), bool(node.params[0])))


@operation("text")
def _text(node: Node, context: Context) -> Column:
    return np.full(len(context), context.world.code(str(node.params[0])), np.int32)


@operation("column")
def _column(node: Node, context: Context) -> Column:
    return context.leaf(node)


@operation("parameter")
def _parameter(node: Node, context: Context) -> Column:
    return context.world.settings[str(node.params[0])].values(context.world, context.rows, context.at)


@operation("valid")
def _valid(node: Node, context: Context) -> Column:
    since, until = cast(tuple[int, int], node.params)
    yes = (context.at >= since) & (context.at < until)
    return Truth(yes, ~yes)


@operation("attribute")
def _attribute(node: Node, context: Context) -> Column:
    name = str(node.params[0])
    if node.kind == "text":
        return context.pick(context.world.texts[name])
    return context.pick(context.world.numbers[name])


@operation("member")
def _member(node: Node, context: Context) -> Column:
    codes = [context.world.code(str(text)) for text in node.params]
    column = evaluate(node.args[0], context)
    return Truth.known(np.isin(cast(NDArray[np.int32], column), codes))


def _pair(name: str, compute: Callable[[Floats, Floats], Floats]) -> None:
    @operation(name)
    def run(node: Node, context: Context) -> Column:
        with np.errstate(all="ignore"):
            found = compute(_operand(node.args[0], context), _operand(node.args[1], context))
        if found.ndim == 0:
            found = np.full(len(context), found)
        return found


def _operand(node: Node, context: Context) -> Floats:
    return context.constant(node) if node.op == "constant" else number(node, context)


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


def _comparison(name: str, holds: Callable[..., Bools]) -> None:
    @operation(name)
    def run(node: Node, context: Context) -> Column:
        a, b = _operand(node.args[0], context), _operand(node.args[1], context)
        if a.ndim == b.ndim == 0:
            a = np.full(len(context), a)
            return Truth.known(holds(a, b), either(np.isnan(a), np.full(len(context), np.isnan(b))))
        gone = [blank(arg, context) for arg, x in zip(node.args, (a, b), strict=True) if x.ndim]
        return Truth.known(holds(a, b), either(gone[0], gone[-1]))


def _differ(a: Floats, b: Floats) -> Bools:
    """Known to differ: NaN differs from everything in numpy, but is unknown here."""
    return np.less(a, b) | np.greater(a, b)


_comparison("less", np.less)
_comparison("less_equal", np.less_equal)
_comparison("greater", np.greater)
_comparison("greater_equal", np.greater_equal)
_comparison("equal", np.equal)
_comparison("unequal", _differ)


@operation("and")
def _and(node: Node, context: Context) -> Column:
    a, b = truth(node.args[0], context), truth(node.args[1], context)
    if a.unknown is None and b.unknown is None:
        return Truth.known(a.yes & b.yes)
    return Truth(a.yes & b.yes, a.no | b.no)


@operation("or")
def _or(node: Node, context: Context) -> Column:
    a, b = truth(node.args[0], context), truth(node.args[1], context)
    if a.unknown is None and b.unknown is None:
        return Truth.known(a.yes | b.yes)
    return Truth(a.yes | b.yes, a.no & b.no)


@operation("not")
def _not(node: Node, context: Context) -> Column:
    a = truth(node.args[0], context)
    return Truth.known(a.no, a.unknown)


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
    gone = blank(node.args[0], context)
    return Truth.known(np.zeros(len(context), np.bool_) if gone is None else gone)


@operation("lag")
def _lag(node: Node, context: Context) -> Column:
    earlier, there = context.back(str(node.params[0]), cast(int, node.params[1]))
    values = number(node.args[0], earlier)
    return values if there.all() else np.where(there, values, np.nan)


def _folded(combine: np.ufunc, columns: Sequence[Floats], out: Floats | None = None) -> Floats:
    """Return columns combined one after another, in `out` or in memory of its own: each pass costs as much as any."""
    if len(columns) == 1:
        return columns[0].copy()
    found: Floats = combine(columns[0], columns[1], out=out)
    for column in columns[2:]:
        combine(found, column, out=found)
    return found


@dataclass(frozen=True)
class _Window:
    """Values of the last k filings, newest first: a column [n] each, NaN where it does not count.

    Sums go column by column: the result for an institution must not depend on who else is in the batch, as it
    would with numpy's own order of summation. `whole` says that nothing is missing, `complete` where all k filings
    are there, None for everywhere.
    """

    columns: list[Floats]
    contexts: list[Context]
    whole: bool
    complete: Bools | None

    @functools.cached_property
    def known(self) -> NDArray[np.int64] | int:
        """How many values there are."""
        if self.whole:
            return len(self.columns)
        return sum((~np.isnan(column) for column in self.columns), np.zeros(self.columns[0].shape, np.int64))

    @property
    def at(self) -> list[Floats]:
        """Seconds of the filings."""
        return [context.at.astype(np.float64) for context in self.contexts]

    def total(self, columns: Sequence[Floats]) -> Floats:
        """Sum of the columns, missing values left out."""
        if not self.whole:
            columns = [np.where(np.isnan(column), 0.0, column) for column in columns]
        return _folded(np.add, columns)

    def lowest(self, out: Floats | None = None) -> Floats:
        """Smallest value; NaN where there is none."""
        return _folded(np.minimum if self.whole else np.fmin, self.columns, out)

    def highest(self, out: Floats | None = None) -> Floats:
        """Largest value; NaN where there is none."""
        return _folded(np.maximum if self.whole else np.fmax, self.columns, out)

    def mean(self) -> Floats:
        """Mean of the known values, between the smallest and the largest: of equal values it is exactly theirs."""
        found = self.total(self.columns)
        found /= self.known
        bound = self.lowest()
        np.maximum(found, bound, out=found)
        return np.minimum(found, self.highest(bound), out=found)

    def std(self) -> Floats:
        """Sample standard deviation; exactly 0 of equal values, which rules ask for."""
        mean = self.mean()
        squares = self.total([(column - mean) ** 2 for column in self.columns])
        found: Floats = np.sqrt(squares / (self.known - 1))
        return found


def _window(node: Node, context: Context) -> _Window:
    contexts, inside = context.window(str(node.params[0]), cast(int, node.params[1]), cast(int, node.params[2]))
    argument = node.args[0]
    columns = [number(argument, earlier) for earlier in contexts]
    if inside is not None:
        return _counted(columns, contexts, inside)
    whole = all(blank(argument, earlier) is None for earlier in contexts)
    return _Window(columns, contexts, whole, None)


def _counted(columns: Sequence[Floats], contexts: list[Context], inside: Sequence[Bools]) -> _Window:
    """A window of the values that count."""
    known = [np.where(mask, column, np.nan) for mask, column in zip(inside, columns, strict=True)]
    return _Window(known, contexts, False, np.logical_and.reduce(inside))


def _enough(node: Node, window: _Window, least: int = 1) -> Bools | None:
    """Where there are values enough, at least `least`; None for everywhere."""
    filings = cast(int, node.params[1])
    if window.whole and len(window.columns) >= least:
        return None
    known = window.known
    enough = known >= max(1, least)
    if filings:
        enough = enough & (2 * known >= filings)
        if window.complete is not None:
            enough = enough & window.complete
    return np.broadcast_to(enough, window.columns[0].shape)


def _only(found: Floats, enough: Bools | None) -> Floats:
    """`found` where it is a number and there were values enough, else NaN."""
    if enough is None and found.ndim == 1 and isfinite(found.dot(found)):
        return found
    good = np.isfinite(found)
    return np.where(good if enough is None else good & enough, found, np.nan)


def _reduction(name: str, reduce: Callable[[_Window], Floats], least: int = 1) -> None:
    """Register a reduction of windows. It must give NaN where a value is missing and the window is taken as whole.

    Few windows have gaps. So all are taken as whole first, and those of which that gives no number are looked at
    again, by themselves.
    """

    @operation(f"window_{name}")
    def run(node: Node, context: Context) -> Column:
        contexts, inside = context.window(str(node.params[0]), cast(int, node.params[1]), cast(int, node.params[2]))
        columns = [number(node.args[0], earlier) for earlier in contexts]
        with np.errstate(all="ignore"):
            found = np.broadcast_to(reduce(_Window(columns, contexts, True, None)), columns[0].shape)
            good = np.isfinite(found)
            if inside is not None:
                good &= np.logical_and.reduce(inside)
            if len(columns) < least:
                good[:] = False
            gaps = np.flatnonzero(~good)
            if not len(gaps):
                return found
            places = np.unravel_index(gaps, found.shape)
            few = [column[places] for column in columns]
            if inside is None:
                window = _Window(few, contexts, False, None)
            else:
                window = _counted(few, contexts, [mask[places[-1]] for mask in inside])
            found = found.copy()
            found[places] = _only(reduce(window), _enough(node, window, least))
        return found


def _median(window: _Window) -> Floats:
    ordered = np.sort(window.columns, axis=0)  # NaN last
    known = np.broadcast_to(window.known, ordered.shape[1:])
    low, high = (np.take_along_axis(ordered, np.maximum(at, 0)[None], 0)[0] for at in ((known - 1) // 2, known // 2))
    found: Floats = (low + high) / 2
    return np.where(np.isnan(ordered[-1]), np.nan, found) if window.whole else found


def _zscore(window: _Window) -> Floats:
    spread = window.std()
    return np.where(spread > 0, (window.columns[0] - window.mean()) / spread, np.nan)


_reduction("mean", _Window.mean)
_reduction("median", _median)
_reduction("min", _Window.lowest)
_reduction("max", _Window.highest)
_reduction("std", _Window.std, least=2)
_reduction("zscore", _zscore, least=2)


@operation("window_slope")
def _slope(node: Node, context: Context) -> Column:
    window = _window(node, context)
    gone = [np.isnan(column) for column in window.columns]
    years = [
        np.where(missing, np.nan, (earlier.at - context.at) / YEAR)
        for missing, earlier in zip(gone, window.contexts, strict=True)
    ]
    with np.errstate(all="ignore"):
        centre, mean = window.total(years) / window.known, window.mean()
        dx = [year - centre for year in years]
        above = window.total([d * (column - mean) for d, column in zip(dx, window.columns, strict=True)])
        found = above / window.total([d * d for d in dx])
    return _only(found, _enough(node, window, least=3))


@operation("window_quantile")
def _quantile(node: Node, context: Context) -> Column:
    window = _window(node, context)
    q = cast(float, node.params[3])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        found = np.nanquantile(window.columns, q, axis=0)
    enough = _enough(node, window)
    return found if enough is None else np.where(enough, found, np.nan)


@operation("window_ewma")
def _ewma(node: Node, context: Context) -> Column:
    span = cast(int, node.params[3])
    window = _window(node, context)
    weights = [(1 - 2 / (span + 1)) ** back for back in range(len(window.columns))]
    weight = window.total([np.where(np.isnan(c), 0.0, w) for c, w in zip(window.columns, weights, strict=True)])
    recent = _Window(window.columns[:span], window.contexts[:span], window.whole, None)
    _, inside = context.window(str(node.params[0]), cast(int, node.params[1]), 0)
    enough = np.broadcast_to(2 * recent.known >= span, weight.shape)
    if inside is not None:
        enough = enough & np.logical_and.reduce(inside[:span])
    with np.errstate(all="ignore"):
        found = window.total([c * w for c, w in zip(window.columns, weights, strict=True)]) / weight
    return np.where(enough, np.minimum(np.maximum(found, window.lowest()), window.highest()), np.nan)


@operation("window_cusum")
def _cusum(node: Node, context: Context) -> Column:
    columns = _window(node, context).columns
    total = np.zeros(len(context))
    for excess in reversed(columns):
        total = np.maximum(0.0, total + np.nan_to_num(excess))
    return np.where(np.isnan(columns[0]), np.nan, total)


@operation("window_forecast")
def _forecast(node: Node, context: Context) -> Column:
    ahead = cast(int, node.params[3])
    window = _window(node, context)
    values, at = np.array(window.columns), np.array(window.at)
    first, second = np.triu_indices(len(values), 1)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        slopes = (values[first] - values[second]) / (at[first] - at[second])
        found = values[0] + np.nanmedian(slopes, axis=0) * ahead
    return np.where(np.broadcast_to(window.known >= 4, found.shape), found, np.nan)


@operation("streak")
def _streak(node: Node, context: Context) -> Column:
    form, limit = str(node.params[0]), cast(int, node.params[1])
    run = np.zeros(len(context))
    now, inside = context.back(form, 0)
    condition = truth(node.args[0], now)
    known_now = inside if condition.unknown is None else inside & ~condition.unknown
    going = condition.yes & inside
    for back in range(1, limit + 1):
        if not np.count_nonzero(going):
            break
        run += going
        if back < limit:
            earlier, inside = context.back(form, back)
            going = going & inside & truth(node.args[0], earlier).yes
    return run if known_now.all() else np.where(known_now, run, np.nan)


@operation("age")
def _age(node: Node, context: Context) -> Column:
    oldest = np.min([context.as_of(str(form)) for form in node.params], axis=0)
    return np.where(oldest == NEVER, np.nan, (context.at - oldest) / DAY)


@operation("firing")
def _firing(node: Node, context: Context) -> Column:
    assert context.world.level_at is not None
    level = context.world.level_at(str(node.params[0]), context.rows, context.at)
    return Truth.known(level >= cast(int, node.params[1]))


@operation("overdue")
def _overdue(node: Node, context: Context) -> Column:
    form = context.world.catalogue.forms[str(node.params[0])]
    newest = context.as_of(form.id)
    late = np.zeros(len(context), np.bool_)
    for at in np.unique(context.at[context.at != NEVER]):
        wanted = expected(form, int(at), context.world.country)
        if wanted is not None:
            owed = obliged(context.world, form, context.rows, wanted[1], int(at))
            late |= (context.at == at) & (newest < wanted[1]) & owed
    return Truth.known(late)
