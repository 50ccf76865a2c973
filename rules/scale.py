"""Values in another unit: whether a group of values is off by one factor from where it should be.

A group is what has one unit together: the percent ratios of a filing, its amounts, or a column of a file. It is in
question when another unit explains it: divided by the same factor, all or nearly all of its values come back into
place, which is the plausible range of the catalogue, and near the value before. One indicator that collapses while
the others stand, an institution that doubles by a merger, a bank whose ratios were always odd: none of these is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from rules.catalogue import Catalogue

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.intp]

FACTORS: dict[str, tuple[float, ...]] = {
    # percent for fractions, per mille, basis points, and the other way round
    "ratio": (1e2, 1e-2, 1e3, 1e-3, 1e4, 1e-4),
    # cents, thousands, ten thousands (万), millions, hundred millions (亿)
    "currency": (1e2, 1e-2, 1e3, 1e-3, 1e4, 1e-4, 1e6, 1e-6, 1e8, 1e-8),
    "count": (1e2, 1e-2, 1e3, 1e-3, 1e4, 1e-4, 1e6, 1e-6),
}
"""By unit, the factors by which a value in another unit is off."""

NEAR = 0.5
"""How far a value may have moved since the one before, in powers of ten, to be in place: about threefold."""
EXACT = 0.15
"""How far the middle value of a group may be off the factor, in powers of ten: by two fifths."""
MOST = 0.7
"""Which part of the values that tell anything must be off by the factor."""
ENOUGH = 3
"""Values off those before that make a question by themselves, where all are plausible."""
SUSPICIOUS = 16.0
"""Off the value before by less than this, no value is in another unit: the closer look begins here."""


def in_other_units(
    values: Floats, before: Floats, low: Floats, high: Floats, factors: Sequence[float]
) -> tuple[Floats, Bools]:
    """Return by what factor each group is off, NaN where it is not, and which of its values say so.

    values, before: [m, n], m values of each of n groups and the known values before them; NaN is missing.
    low, high: [m, 1] or [m, n], the plausible ranges. The first result is [n]: a value is the factor times what it
    should be. The second is [m, n].
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
        told = ~np.isnan(values) & (values != 0.0)
        ratio = np.where(told & (before != 0.0), values / before, np.nan)
        step = np.log10(np.where(ratio > 0.0, ratio, np.nan))  # a change of sign says nothing of the unit
    moved = ~np.isnan(step)
    outside = told & ((values < low) | (values > high))
    found = np.full(values.shape[1], np.nan)
    which = np.zeros(values.shape, np.bool_)
    best = np.full(values.shape[1], np.inf)
    for factor in factors:
        power = np.log10(factor)
        with np.errstate(over="ignore", under="ignore"):
            right = values / factor
        fits = told & (right >= low) & (right <= high) & ~(moved & (np.abs(step - power) > NEAR))
        off = fits & (outside | moved)
        # what stands where it stood, or would leave its range by the factor, speaks against it
        against = told & ~off & (moved | outside | ~fits)
        votes = off.sum(axis=0)
        most = (votes > 0) & (votes >= MOST * (votes + against.sum(axis=0)))
        # too large to be plausible asks for itself; too small may be a collapse, which comes alone
        alone = (off & outside & (factor > 1.0)).any(axis=0)
        wanted = alone | (most & ((off & outside).any(axis=0) | (votes >= ENOUGH)))
        error = _middle_error(np.where(off & moved, step - power, np.nan))
        wanted &= ~(error > EXACT) | (alone & ~most)
        better = wanted & (np.nan_to_num(error, nan=EXACT) < best)
        best = np.where(better, np.nan_to_num(error, nan=EXACT), best)
        found = np.where(better, factor, found)
        which = np.where(better, off, which)
    return found, which


def _middle_error(steps: Floats) -> Floats:
    """Return how far the middle of each column [m, n] is off 0; NaN where a column is empty."""
    some = ~np.isnan(steps).all(axis=0)
    found = np.full(steps.shape[1], np.nan)
    if some.any():
        found[some] = np.abs(np.nanmedian(steps[:, some], axis=0))
    return found


def span(low: float, high: float) -> str:
    """Return a range as people read it.

    >>> span(0.2, float("inf"))
    '0.2 … ∞'
    """
    return f"{'-∞' if low == float('-inf') else f'{low:g}'} … {'∞' if high == float('inf') else f'{high:g}'}"


@dataclass(frozen=True, slots=True)
class Kind:
    """The indicators of a form that have one unit: places in the form's order, and plausible ranges [k, 1]."""

    unit: str
    places: Indices
    low: Floats
    high: Floats


class Finding(msgspec.Struct, frozen=True, array_like=True):
    """One unit of one filing that is in question: by which factor it is off, and the indicators that say so.

    Divided by `factor`, their values are in place. `likely` are the plausible ranges, `before` the last values known.
    """

    unit: str
    factor: float
    indicators: tuple[str, ...]
    values: tuple[float, ...]
    likely: tuple[tuple[float, float], ...]
    before: tuple[float | None, ...]


class Scale:
    """What is known of the units of one form's indicators: `names` in the form's order."""

    def __init__(self, catalogue: Catalogue, form: str) -> None:
        self.names = catalogue.reported(form)
        told = [catalogue.indicators[name] for name in self.names]
        self.low = np.array([i.likely_low for i in told], np.float64)
        self.high = np.array([i.likely_high for i in told], np.float64)
        self.kinds = []
        for unit in FACTORS:
            places = np.array([p for p, i in enumerate(told) if i.unit == unit], np.intp)
            if len(places):
                self.kinds.append(Kind(unit, places, self.low[places, None], self.high[places, None]))

    def outside(self, values: Floats) -> Bools:
        """Return which filings of [k, n] have a value outside its plausible range; a missing one is not."""
        found: Bools = np.any((values < self.low[:, None]) | (values > self.high[:, None]), axis=0)
        return found

    def look(self, values: Floats, before: Floats) -> list[list[Finding]]:
        """Return for each filing of [k, n] what of it is in question; `before` are the last values known, [k, n]."""
        found: list[list[Finding]] = [[] for _ in range(values.shape[1])]
        for kind in self.kinds:
            mine, last = values[kind.places], before[kind.places]
            factor, which = in_other_units(mine, last, kind.low, kind.high, FACTORS[kind.unit])
            for i in np.flatnonzero(~np.isnan(factor)).tolist():
                at = np.flatnonzero(which[:, i])
                places = kind.places[at].tolist()
                found[i].append(
                    Finding(
                        kind.unit,
                        float(factor[i]),
                        tuple(self.names[p] for p in places),
                        tuple(mine[at, i].tolist()),
                        tuple((float(self.low[p]), float(self.high[p])) for p in places),
                        tuple(None if np.isnan(v) else v for v in last[at, i].tolist()),
                    )
                )
        return found
