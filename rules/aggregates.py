"""Values across institutions: of the whole system, of a group, and an institution among its peers.

A value belongs to a date: every institution's expression is read as of it, of those who have filed for it.
Groups are institutions of one attribute value; `rules.peers` says who is in a peer group, and how much of a
group must have filed. A value whose group has not reported enough is missing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rules.context import Context, World
from rules.operations import number, operation, truth
from rules.peers import Coverage, cover, groups_at, reporting
from rules.plan import Node
from rules.store import NEVER, Bools, Floats, Ints

TRIM = 0.05
MAD_TO_SIGMA = 1.4826


def across(node: Node, context: Context) -> NDArray[np.float64]:
    """Run an aggregate: for each row, of the institutions in its group as of its date."""
    out = np.full(len(context), np.nan)
    for at in np.unique(context.at):
        here = np.flatnonzero(context.at == at)
        if at != NEVER and len(context.world.members):
            _at_date(node, context.world, context.rows[here], int(at), out, here)
    return out


def coverages(node: Node, context: Context) -> list[Coverage | None]:
    """Say of whom an aggregate is made, for each row; None where there is nobody."""
    out: list[Coverage | None] = [None] * len(context)
    for at in np.unique(context.at):
        here = np.flatnonzero(context.at == at)
        if at != NEVER and len(context.world.members):
            found = _at_date(node, context.world, context.rows[here], int(at), np.full(len(context), np.nan), here)
            for place, coverage in zip(here.tolist(), found, strict=True):
                out[place] = coverage
    return out


def _at_date(
    node: Node, world: World, rows: Ints, at: int, out: Floats, here: NDArray[np.intp]
) -> list[Coverage | None]:
    """Write the value of each row into its place `here` of `out`; return what it is made of."""
    members = world.members
    everyone = Context(world, members, np.full(len(members), at, np.int64))
    by, least = str(node.params[0]), float(node.params[1])  # type: ignore[arg-type]
    groups, own = groups_at(world, members, rows, by, at)
    expected, filed = reporting(node, everyone)
    values = [np.where(filed, _numbers(arg, everyone), np.nan) for arg in node.args]
    late = world.past_deadline(node, at)
    found: list[Coverage | None] = [None] * len(rows)
    for group in np.unique(own):
        inside = groups == group
        coverage = cover(everyone, inside & expected, inside & filed, len(_known(values[0], inside)))
        mine = np.flatnonzero(own == group)
        for place in mine.tolist():
            found[place] = coverage
        if coverage.expected and (coverage.reaches(least) or late):
            out[here[mine]] = _GROUPED[node.op](values, inside, members, rows[mine])
    return found


def _numbers(node: Node, context: Context) -> Floats:
    """A number column, or a condition as 1, 0 and NaN for unknown."""
    if node.kind == "number":
        return number(node, context)
    found = truth(node, context)
    return np.where(found.yes, 1.0, np.where(found.no, 0.0, np.nan))


Grouped = Callable[[list[Floats], Bools, Ints, Ints], "float | Floats"]
_GROUPED: dict[str, Grouped] = {}


def aggregate(name: str) -> Callable[[Grouped], Grouped]:
    """Register an aggregate as a plan operation.

    It gets the values of every member for each argument, which members are in the group, the members' rows,
    and the rows that ask; it returns one number for the group, or one for each row that asks.
    """

    def register(compute: Grouped) -> Grouped:
        operation(name)(across)
        _GROUPED[name] = compute
        return compute

    return register


def is_aggregate(node: Node) -> bool:
    """Whether the node needs other institutions than the one judged."""
    return node.op in _GROUPED


def _known(values: Floats, inside: Bools) -> Floats:
    chosen: Floats = values[inside]
    return chosen[~np.isnan(chosen)]


@aggregate("group_sum")
def _sum(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> float:
    known = _known(values[0], inside)
    return float(known.sum()) if len(known) else float("nan")


@aggregate("group_mean")
def _mean(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> float:
    known = _known(values[0], inside)
    return float(known.mean()) if len(known) else float("nan")


@aggregate("weighted_mean")
def _weighted(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> float:
    x, w = values[0][inside], values[1][inside]
    both = ~np.isnan(x) & ~np.isnan(w)
    total = float(w[both].sum())
    return float((x[both] * w[both]).sum() / total) if total else float("nan")


@aggregate("hhi")
def _hhi(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> float:
    known = _known(values[0], inside)
    total = float(known.sum())
    return float(((known / total) ** 2).sum()) if total > 0 else float("nan")


@aggregate("gini")
def _gini(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> float:
    known = np.sort(_known(values[0], inside))
    total = float(known.sum())
    weights = 2.0 * np.arange(1, len(known) + 1) - len(known) - 1
    return float((weights * known).sum() / (len(known) * total)) if total > 0 else float("nan")


@aggregate("count")
def _count(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> float:
    return float(np.nansum(values[0][inside]))


@aggregate("share_of")
def _share_of(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> float:
    holds, weight = values[0][inside], values[1][inside]
    both = ~np.isnan(holds) & ~np.isnan(weight)
    total = float(weight[both].sum())
    return float((holds[both] * weight[both]).sum() / total) if total > 0 else float("nan")


def _own(values: Floats, members: Ints, asking: Ints) -> Floats:
    place = np.searchsorted(members, asking)
    found = np.minimum(place, len(members) - 1)
    return np.where(members[found] == asking, values[found], np.nan)


@aggregate("share")
def _share(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> Floats:
    total = float(_known(values[0], inside).sum())
    return _own(values[0], members, asking) / total if total > 0 else np.full(len(asking), np.nan)


@aggregate("peer_median")
def _median(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> float:
    known = _known(values[0], inside)
    return float(np.median(known)) if len(known) else float("nan")


@aggregate("peer_mean")
def _trimmed(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> float:
    known = _known(values[0], inside)
    if not len(known):
        return float("nan")
    low, high = np.quantile(known, (TRIM, 1 - TRIM))
    inner = known[(known >= low) & (known <= high)]
    return float(inner.mean() if len(inner) else known.mean())


@aggregate("peer_percentile")
def _percentile(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> Floats:
    known, own = np.sort(_known(values[0], inside)), _own(values[0], members, asking)
    if not len(known):
        return np.full(len(asking), np.nan)
    below = np.searchsorted(known, own, "left")
    equal = np.searchsorted(known, own, "right") - below
    return np.where(np.isnan(own), np.nan, (below + 0.5 * equal) / len(known))


@aggregate("peer_rank")
def _rank(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> Floats:
    known, own = np.sort(_known(values[0], inside)), _own(values[0], members, asking)
    above = len(known) - np.searchsorted(known, own, "right")
    return np.where(np.isnan(own), np.nan, above + 1.0)


@aggregate("peer_zscore")
def _robust(values: list[Floats], inside: Bools, members: Ints, asking: Ints) -> Floats:
    known, own = _known(values[0], inside), _own(values[0], members, asking)
    if not len(known):
        return np.full(len(asking), np.nan)
    centre = np.median(known)
    spread = MAD_TO_SIGMA * np.median(np.abs(known - centre))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.where(spread > 0, (own - centre) / spread, np.nan)
