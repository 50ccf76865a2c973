"""Values across institutions: of the whole system, of a group, and an institution among its peers.

A value belongs to a date: every institution's expression is read as of it, of those who have filed for it.
Groups are institutions of one attribute value. A value whose group has not reported enough is missing: fewer
than `MIN_COVERAGE` of the institutions that report the forms, unless the deadline of that date has passed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rules.catalogue import FREQUENCY_DAYS
from rules.context import DAY, Context, World
from rules.operations import number, operation, truth
from rules.plan import Node, walk
from rules.store import NEVER, Bools, Floats, Ints

MIN_COVERAGE = 0.8
TRIM = 0.05
MAD_TO_SIGMA = 1.4826


def across(node: Node, context: Context) -> NDArray[np.float64]:
    """Run an aggregate: for each row, of the institutions in its group as of its date."""
    out = np.full(len(context), np.nan)
    for at in np.unique(context.at):
        here = context.at == at
        if at != NEVER:
            out[here] = _at_date(node, context.world, context.rows[here], int(at))
    return out


def _at_date(node: Node, world: World, rows: Ints, at: int) -> Floats:
    members = world.members
    if not len(members):
        return np.full(len(rows), np.nan)
    everyone = Context(world, members, np.full(len(members), at, np.int64))
    by = str(node.params[0])
    groups, own = _groups(world, members, rows, by)
    reporting = _reporting(node, everyone)
    values = [np.where(reporting[1], _numbers(arg, everyone), np.nan) for arg in node.args]
    out = np.full(len(rows), np.nan)
    for group in np.unique(own):
        inside = (groups == group) if by else np.ones(len(members), np.bool_)
        if _covered(world, node, inside, reporting, at):
            mine = np.flatnonzero(own == group)
            out[mine] = _GROUPED[node.op](values, inside, members, rows[mine])
    return out


def _numbers(node: Node, context: Context) -> Floats:
    """A number column, or a condition as 1, 0 and NaN for unknown."""
    if node.kind == "number":
        return number(node, context)
    found = truth(node, context)
    return np.where(found.yes, 1.0, np.where(found.no, 0.0, np.nan))


def _groups(world: World, members: Ints, rows: Ints, by: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    if not by:
        return np.zeros(len(members), np.int32), np.zeros(len(rows), np.int32)
    codes = world.texts[by]
    return codes[members], codes[rows]


def _reporting(node: Node, everyone: Context) -> tuple[Bools, Bools]:
    """Who is expected to report the forms that the node reads, and who has.

    Expected are the types of institution that the form names, and whoever has filed it within a period.
    """
    expected = np.zeros(len(everyone), np.bool_)
    filed = np.ones(len(everyone), np.bool_)
    for form_id in sorted({str(n.params[0]) for n in walk(node) if n.op == "column"}):
        form = everyone.world.catalogue.forms[form_id]
        valid = int(form.validity_days * DAY)
        as_of = everyone.as_of(form_id)
        known = (as_of != NEVER) & (everyone.at - as_of <= valid + int(FREQUENCY_DAYS[form.frequency] * DAY))
        if form.types:
            types = [everyone.world.code(kind) for kind in form.types]
            known |= np.isin(everyone.world.texts["type"][everyone.rows], types)
        expected |= known
        now = as_of == everyone.at
        # a form that is filed for this very date counts by that; a slower one by what is still valid
        filed &= (now if now.any() else everyone.at - as_of <= valid) | ~known
    return expected, expected & filed


def _covered(world: World, node: Node, inside: Bools, reporting: tuple[Bools, Bools], at: int) -> bool:
    expected, filed = reporting
    wanted = int((expected & inside).sum())
    if not wanted:
        return False
    return int((filed & inside).sum()) >= MIN_COVERAGE * wanted or world.past_deadline(node, at)


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
