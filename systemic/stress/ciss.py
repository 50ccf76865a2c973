"""A composite indicator of systemic stress (CISS): ranks of raw indicators, weighed by their correlation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from systemic.arrays import Indices, Matrix, Vector
from systemic.registry import declare, measure

PAPER = (
    "Holló, Kremer, Lo Duca (2012), CISS: a composite indicator of systemic stress in the financial system, "
    "ECB Working Paper 1426"
)
MEDIAN = 0.5
UNIFORM_VARIANCE = 1 / 12

declare("stress_indicators", ("time", "indicator"), "ratio", "raw indicators, oldest first, higher is more stress")


def empirical_cdf(series: Vector, *, initial: int | None = None) -> Vector:
    """Return each value's rank among the values known then, divided by their number, in (0, 1].

    `series` (T,) of any unit. With `initial` = k the first k rows are ranked among themselves and every
    later row among all rows up to it (the paper's recursive transform: no later value enters); without it
    all rows are ranked together. Ties share the mean of their ranks. NaN where the value is missing.
    Cost: O(T log T), or O(T²) recursively.
    """
    known = np.isfinite(series)
    start = len(series) if initial is None else min(initial, len(series))
    scores = np.full(len(series), np.nan)
    for end in [start, *range(start + 1, len(series) + 1)]:
        fresh = np.arange(0 if end == start else end - 1, end)
        fresh = fresh[known[fresh]]
        history = np.sort(series[:end][known[:end]])
        below = np.searchsorted(history, series[fresh], side="left")
        up_to = np.searchsorted(history, series[fresh], side="right")
        scores[fresh] = (below + up_to + 1) / 2 / max(len(history), 1)
    return scores


def ewma_correlation(subindices: Matrix, *, decay: float = 0.93, initial: int | None = None) -> NDArray[np.float64]:
    """Return the exponentially weighted correlations of the sub-indices about ½, (T, m, m).

    Σ_t = decay · Σ_{t−1} + (1 − decay) · (s_t − ½)(s_t − ½)ᵀ. Σ_0 is the mean of (s − ½)(s − ½)ᵀ over the
    first `initial` rows, as in the paper; without it, or where nothing is known there, variances start at
    1/12 (of a uniform variable) and covariances at 0. A pair with a missing value keeps its covariance.
    `decay` is per row: 0.93 for weeks in the paper. Entries lie in [−1, 1], the diagonal is 1.
    """
    if not 0 < decay < 1:
        raise ValueError(f"the decay lies between 0 and 1, not at {decay}")
    rows, m = subindices.shape
    away = subindices - MEDIAN
    products = away[:, :, None] * away[:, None, :]
    state = np.eye(m) * UNIFORM_VARIANCE
    if initial:
        early = products[:initial]
        count = np.isfinite(early).sum(axis=0)
        mean = np.divide(np.nansum(early, axis=0), count, out=np.zeros((m, m)), where=count > 0)
        usable = (count > 0).all() and (np.diag(mean) > 0).all()
        state = mean if usable else state
    correlations = np.empty((rows, m, m))
    for t in range(rows):
        state = np.where(np.isfinite(products[t]), decay * state + (1 - decay) * products[t], state)
        deviation = np.sqrt(np.diag(state))
        correlations[t] = np.clip(state / np.outer(deviation, deviation), -1, 1)
    return correlations


@dataclass(frozen=True, slots=True)
class Composite:
    """A composite over time, and the parts that add up to it.

    `index` (T,) in [0, 1]. `subindices` (T, m) in (0, 1]. `contributions` (T, k), one for each raw
    indicator: its part of the index if all sub-indices were perfectly correlated; not negative.
    `correlation` (T,): what imperfect correlation takes away; not positive. At every row
    contributions.sum() + correlation = index. `groups` (k,) is each indicator's sub-index.
    `coverage` (T,) is the weight of the sub-indices that are known; rows below the limit are NaN.
    """

    index: Vector
    subindices: Matrix
    contributions: Matrix
    correlation: Vector
    groups: Indices
    coverage: Vector

    def subindex_contributions(self) -> Matrix:
        """Return the contributions summed by sub-index, (T, m)."""
        summed = np.zeros(self.subindices.shape)
        np.add.at(summed.T, self.groups, self.contributions.T)
        return summed


def composite(
    indicators: Matrix,
    groups: Sequence[int] | Indices | None = None,
    weights: ArrayLike | None = None,
    *,
    initial: int | None = None,
    decay: float = 0.93,
    min_coverage: float = 0.8,
) -> Composite:
    """Return the CISS of `indicators` (T, k), in which higher is more stress, with its parts.

    Each indicator is ranked (`empirical_cdf`, recursive after `initial` rows when given); a sub-index s is
    the plain mean of the ranks of its group (`groups` (k,) numbers from 0; by default each indicator is a
    group); index = (w ∘ s) C (w ∘ s)ᵀ with `weights` w (scaled to sum 1; equal by default) and C the EWMA
    correlations. It is 1 only when every indicator is at its record and all are perfectly correlated.

    The parts: with y = w ∘ s, sub-index j contributes y_j Σ y, shared equally among the group's known
    indicators in proportion to their ranks, and correlation takes Σ_ij y_i y_j (C_ij − 1).

    A missing indicator leaves its sub-index to the others; a missing sub-index leaves its weight to the
    others; below `min_coverage` of the weight the row is NaN. Cost: O(T k log T + T m²), ranks O(T² k)
    when recursive.
    """
    rows, k = indicators.shape
    number, share = _structure(k, groups, weights)
    scored = [empirical_cdf(indicators[:, i], initial=initial) for i in range(k)]
    ranks = np.column_stack(scored) if scored else np.empty((rows, 0))
    known = np.isfinite(ranks)
    filled = np.where(known, ranks, 0.0)
    member = np.asarray(number[:, None] == np.arange(len(share)), dtype=np.float64)
    count = known @ member
    subindices = np.divide(filled @ member, count, out=np.full(count.shape, np.nan), where=count > 0)

    coverage = np.asarray((count > 0) @ share, dtype=np.float64)
    judged = (coverage >= min_coverage) & (coverage > 0)
    scale = np.divide(1.0, coverage, out=np.full(rows, np.nan), where=judged)[:, None]
    weighed = np.where(count > 0, subindices, 0.0) * share * scale
    level = weighed.sum(axis=1)
    correlations = ewma_correlation(subindices, decay=decay, initial=initial)
    index = np.einsum("ti,tij,tj->t", weighed, correlations, weighed)
    index[~judged] = np.nan
    each = np.divide(filled, count[:, number], out=np.zeros((rows, k)), where=known)
    contributions = each * share[number] * scale * level[:, None]
    return Composite(index, subindices, contributions, index - level**2, number, coverage)


def _structure(
    indicators: int, groups: Sequence[int] | Indices | None, weights: ArrayLike | None
) -> tuple[Indices, Vector]:
    number = np.arange(indicators) if groups is None else np.asarray(groups, dtype=np.int64)
    m = int(number.max(initial=-1)) + 1
    if len(number) != indicators or set(number.tolist()) != set(range(m)):
        raise ValueError(f"groups must number the sub-indices of {indicators} indicators from 0 without a gap")
    share = np.full(m, 1.0) if weights is None else np.asarray(weights, dtype=np.float64)
    if share.shape != (m,) or not (share >= 0).all() or (m and not share.sum() > 0):
        raise ValueError(f"there must be {m} weights, none negative and not all zero")
    return number, share / max(share.sum(), 1e-300)


@measure(
    "stress_index",
    title={"en": "Composite indicator of systemic stress (CISS)", "zh": "系统性压力综合指标(CISS)"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference=PAPER,
    assumptions=(
        "an indicator's stress is its rank in its own history",
        "stress is worse when it is everywhere at once",
    ),
    complexity="O(T k log T + T m²)",
    inputs=("stress_indicators",),
)
def stress_index(stress_indicators: Matrix, *, decay: float = 0.93, min_coverage: float = 0.8) -> float:
    """Last value of the composite of all indicators, each its own sub-index with equal weight; in [0, 1].

    NaN where less than `min_coverage` of the indicators are known on the last row, or there is none.
    See `composite` for groups, weights and the parts.
    """
    if not stress_indicators.size:
        return float("nan")
    return float(composite(stress_indicators, decay=decay, min_coverage=min_coverage).index[-1])
