"""How sure a number is: intervals by the stationary bootstrap, rank ranges, concordance of measures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from systemic.arrays import Indices, Matrix, Vector
from systemic.ranks import average_ranks

Statistic = Callable[[Matrix], Vector | float]


def optimal_block(series: Matrix) -> float:
    """Return the expected block length that suits the stationary bootstrap of the mean of `series`.

    Politis & White (2004), Econometric Reviews 23(1), with the correction of Patton, Politis & White (2009)
    28(4). `series` (T,) or (T, n): of several series the largest length is taken. At least 1, which is
    drawing days independently. Rows with a missing value are left out. Cost: O(T √T n).
    """
    table = np.asarray(series, dtype=np.float64).reshape(len(series), -1)
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) < 8:
        return 1.0
    return max([1.0, *(_block(column) for column in table.T)])


def _block(series: Vector) -> float:
    length = len(series)
    away = series - series.mean()
    variance = away @ away / length
    if variance <= 0:
        return 1.0
    quiet_run = max(5, int(np.sqrt(np.log10(length))))
    longest = int(np.ceil(np.sqrt(length))) + quiet_run
    covariances = np.array([away[lag:] @ away[: length - lag] / length for lag in range(min(longest, length - 1) + 1)])
    loud = np.abs(covariances[1:] / variance) >= 2 * np.sqrt(np.log10(length) / length)
    last_loud = len(loud)
    for start in range(len(loud) - quiet_run + 1):
        if not loud[start : start + quiet_run].any():
            last_loud = start
            break
    reach = min(2 * max(last_loud, 1), len(covariances) - 1)
    lags = np.arange(-reach, reach + 1)
    window = np.minimum(1.0, 2 * (1 - np.abs(lags) / reach))
    tapered = window * covariances[np.abs(lags)]
    bend, density = np.sum(np.abs(lags) * tapered), tapered.sum()
    if density <= 0:
        return 1.0
    block = (2 * bend**2 / (2 * density**2)) ** (1 / 3) * length ** (1 / 3)
    return float(min(block, np.ceil(min(3 * np.sqrt(length), length / 3))))


def stationary_indices(length: int, block: float, generator: np.random.Generator) -> Indices:
    """Return (length,) row numbers of one stationary-bootstrap sample (Politis & Romano 1994, JASA 89).

    Blocks start anywhere, run on past the end to the beginning, and have geometric lengths of mean `block`.
    """
    if block < 1:
        raise ValueError(f"the mean block length is at least 1, not {block}")
    fresh = generator.random(length) < 1 / block
    fresh[0] = True
    starts = generator.integers(length, size=length)
    first = np.maximum.accumulate(np.where(fresh, np.arange(length), 0))
    return np.asarray((starts[first] + np.arange(length) - first) % length, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and how sure it is; all (k,) in the unit of the statistic.

    `low` and `high` bound the percentile interval at `confidence`; `replicates` (R, k) are what it is made
    of. NaN where fewer than half of the replicates could be computed.
    """

    estimate: Vector
    low: Vector
    high: Vector
    standard_error: Vector
    confidence: float
    replicates: Matrix


def interval(
    statistic: Statistic,
    rows: Matrix,
    *,
    confidence: float = 0.9,
    replications: int = 500,
    block: float | None = None,
    seed: int = 0,
) -> Interval:
    """Return `statistic(rows)` with its percentile interval under the stationary bootstrap.

    `rows` (T, …) are drawn whole, so that what happened on one day stays together; `block` is the expected
    number of consecutive rows in rows (default: `optimal_block` of the absolute values, whose persistence
    is what matters for tails and covariances). `statistic` maps rows to a number or a vector. The interval
    tells the sampling error of a stationary series, not the error of a wrong model nor of a crisis that
    the window has not seen. Same seed, same interval. Cost: `replications` times the statistic.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"the confidence lies between 0 and 1, not at {confidence}")
    if not len(rows):
        raise ValueError("there is no row to draw from")
    generator = np.random.default_rng(seed)
    mean_block = optimal_block(np.abs(rows)) if block is None else block
    estimate = np.atleast_1d(np.asarray(statistic(rows), dtype=np.float64))
    replicates = np.stack(
        [
            np.atleast_1d(statistic(rows[stationary_indices(len(rows), mean_block, generator)]))
            for _ in range(replications)
        ]
    )
    usable = np.isfinite(replicates).sum(axis=0) * 2 >= replications
    low, high, error = (np.full(len(estimate), np.nan) for _ in range(3))
    if usable.any():
        tail = (1 - confidence) / 2
        low[usable], high[usable] = np.nanquantile(replicates[:, usable], [tail, 1 - tail], axis=0)
        error[usable] = np.nanstd(replicates[:, usable], axis=0, ddof=1)
    return Interval(estimate, low, high, error, confidence, replicates)


def centred_bounds(
    estimate: ArrayLike,
    replicates: ArrayLike,
    confidence: float = 0.9,
    low: float = -np.inf,
    high: float = np.inf,
) -> tuple[Vector, Vector]:
    """Return an interval (k,) each about the `estimate` (k,), as wide as the `replicates` (R, k) scatter.

    Percentiles of the replicates less their median, added to the estimate, cut at `low` and `high`: for
    statistics that resampling shifts, whose plain percentiles may not contain the estimate. NaN where under half
    of the replicates are known.
    """
    drawn = np.asarray(replicates, dtype=np.float64)
    drawn = drawn.reshape(len(drawn), -1)
    middle = np.atleast_1d(np.asarray(estimate, dtype=np.float64))
    ends = np.full((2, len(middle)), np.nan)
    usable = np.isfinite(drawn).sum(axis=0) * 2 >= max(len(drawn), 1)
    if usable.any():
        tail = (1 - confidence) / 2
        at = np.nanquantile(drawn[:, usable], [tail, 0.5, 1 - tail], axis=0)
        ends[:, usable] = np.clip(middle[usable] + at[[0, 2]] - at[1], low, high)
    return ends[0], ends[1]


def rank_range(replicates: Matrix, confidence: float = 0.9) -> tuple[Vector, Vector]:
    """Return the best and worst rank of each column over the replicates, at `confidence`; rank 1 is largest.

    `replicates` (R, n) of a measure over resamples, reconstructions or models; ties share their mean rank;
    a missing entry ranks last in its row. Two (n,) vectors of ranks in 1 … n that occur among the replicates.

    >>> best, worst = rank_range(np.array([[3.0, 2.0, 1.0], [2.0, 3.0, 1.0]]), 1.0)
    >>> best.tolist(), worst.tolist()
    ([1.0, 1.0, 3.0], [2.0, 2.0, 3.0])
    """
    ranks = average_ranks(-np.nan_to_num(replicates, nan=-np.inf))
    tail = (1 - confidence) / 2
    best, worst = np.quantile(ranks, [tail, 1 - tail], axis=0, method="inverted_cdf")
    return np.asarray(best, dtype=np.float64), np.asarray(worst, dtype=np.float64)


def concordance(scores: Matrix) -> float:
    """Return Kendall's W of `scores` (m, n): how far m measures rank the same n institutions alike.

    1 when all agree, 0 when there is no agreement, 1 / m on average by chance for large n. Corrected for
    ties. Institutions that some measure does not know are left out. NaN with fewer than two measures or
    institutions, or when a measure tells nobody apart and so nothing can agree.
    Kendall & Babington Smith (1939), Annals of Mathematical Statistics 10(3).

    >>> concordance(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]))
    1.0
    """
    known = scores[:, np.isfinite(scores).all(axis=0)]
    m, n = known.shape
    if m < 2 or n < 2:
        return float("nan")
    ranks = average_ranks(known)
    totals = ranks.sum(axis=0)
    deviation = ((totals - totals.mean()) ** 2).sum()
    ties = sum(float((counts**3 - counts).sum()) for counts in (np.unique(row, return_counts=True)[1] for row in ranks))
    most = m**2 * (n**3 - n) - m * ties
    return float(12 * deviation / most) if most > 0 else float("nan")
