"""How sure statistics are that look back in time: rows are resampled together with the rows they follow on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtr, fdtri, ncfdtr

from systemic.arrays import Indices, Matrix, Vector
from systemic.market.returns import complete_rows
from systemic.market.spillover import (
    Decomposition,
    fitted_to,
    moving_average,
    regression_rows,
    variance_decomposition,
)

REISER = "Reiser (2001), Confidence intervals for the Mahalanobis distance, Communications in Statistics 30(1)"
DOUBLINGS = 60
HALVINGS = 60


def pair_draws(returns: Matrix, draws: Indices, order: int) -> list[Indices]:
    """Return each draw as positions among the rows that `regression_rows` keeps.

    `draws` (R, T) name rows of `returns` (T, n); a row without `order` rows before it, or with a missing value
    there or in itself, is left out of the draw. So a resample never joins days that were apart.
    """
    rows = len(returns)
    windows = [returns[order - lag : rows - lag] for lag in range(order + 1)]
    place = np.full(rows, -1, dtype=np.int64)
    known = np.flatnonzero(complete_rows(*windows)) + order
    place[known] = np.arange(known.size)
    return [at[at >= 0] for at in place[draws]]


def spillover_replicates(
    returns: Matrix, draws: Indices, *, order: int = 1, horizon: int = 10, kind: Decomposition = "generalised"
) -> NDArray[np.float64]:
    """Return the spillover table of each resample (R, n, n): `systemic.market.spillover.Spillover` sums it up.

    NaN where a resample can't carry the autoregression. Resampling adds noise to n² coefficients, so tables of
    resamples lie above the estimate's: take `systemic.bootstrap.centred_bounds` of them. Cost: R times
    `spillover`.
    """
    n = returns.shape[1]
    design, response = regression_rows(returns, order)
    tables = np.full((len(draws), n, n), np.nan)
    for r, at in enumerate(pair_draws(returns, draws, order)):
        try:
            fitted = fitted_to(design[at], response[at], order)
        except ValueError:
            continue
        tables[r] = variance_decomposition(moving_average(fitted.lags, horizon), fitted.covariance, kind)
    return tables


def granger_replicates(returns: Matrix, draws: Indices, *, order: int = 1, level: float = 0.05) -> Vector:
    """Return the degree of Granger causality of each resample (R,); NaN where none can be tested.

    All F tests of a resample at once, over the days complete for every series. Degrees of resamples lie above the
    estimate's, which has less chance in it: take `systemic.bootstrap.centred_bounds` of them. Cost: O(R (T n² + n²)).
    """
    n = returns.shape[1]
    found = np.full(len(draws), np.nan)
    if n < 2 or len(returns) <= order:
        return found
    design, response = regression_rows(returns, order)
    own = np.arange(order) * n + np.arange(n)[:, None]
    both = np.concatenate([np.repeat(own[:, None], n, axis=1), np.repeat(own[None], n, axis=0)], axis=2)
    apart = ~np.eye(n, dtype=bool)
    for r, at in enumerate(pair_draws(returns, draws, order)):
        freedom = len(at) - 2 * order - 1
        if freedom < 1:
            continue
        lags, now = (_standard(x[at]) for x in (design[:, 1:], response))
        if lags is None or now is None:
            continue
        moments, cross = lags.T @ lags, lags.T @ now
        try:
            short = _explained(moments, cross, own, np.arange(n))[:, None]
            long = _explained(moments, cross, both[apart], np.nonzero(apart)[0])
        except np.linalg.LinAlgError:
            continue
        gain = long - np.broadcast_to(short, (n, n))[apart]
        ratio = gain / order / (np.maximum(len(at) - long, 1e-300) / freedom)
        found[r] = float((ratio > fdtri(order, freedom, 1 - level)).mean())
    return found


def _standard(columns: Matrix) -> Matrix | None:
    """Return columns of mean 0 and mean square 1; None where one does not move."""
    centred = columns - columns.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    return np.asarray(centred / spread) if (spread > 0).all() else None


def _explained(moments: Matrix, cross: Matrix, chosen: Indices, effect: Indices) -> Vector:
    """Sum of squares of each `effect` (m,) that its `chosen` regressors (m, k) explain."""
    right = cross[chosen, effect[:, None]]
    left = moments[chosen[:, :, None], chosen[:, None, :]]
    return np.asarray((right * np.linalg.solve(left, right[:, :, None])[:, :, 0]).sum(axis=1))


def turbulence_interval(value: float, rows: int, institutions: int, confidence: float = 0.9) -> tuple[float, float]:
    """Return low and high of the true squared Mahalanobis distance behind an estimate, in its unit.

    `value` is measured against the mean and covariance (T − 1) of `rows` days before, of so many `institutions`.
    Exact for normal returns: with N rows and n institutions, N (N − n) / (n (N − 1)) times the estimate follows the
    noncentral F of n and N − n degrees and noncentrality N times the truth, which is solved for (Reiser 2001).
    Too narrow where tails are fat. The truth lies below the estimate where n is not small against N. NaN where
    the estimate is, or N is not above n.
    """
    if not (np.isfinite(value) and rows > institutions > 0):
        return float("nan"), float("nan")
    freedom = rows - institutions
    ratio = value * rows * freedom / (institutions * (rows - 1))
    tail = (1 - confidence) / 2
    ends = [_noncentrality(ratio, institutions, freedom, share) / rows for share in (1 - tail, tail)]
    return ends[0], ends[1]


def _noncentrality(ratio: float, above: int, below: int, share: float) -> float:
    """Return the noncentrality at which `share` of the noncentral F lies below `ratio`; 0 where none does."""

    def under(noncentrality: float) -> float:
        return float(ncfdtr(above, below, noncentrality, ratio) if noncentrality else fdtr(above, below, ratio))

    if under(0.0) <= share:
        return 0.0
    low, high = 0.0, max(ratio * above, 1.0)
    for _ in range(DOUBLINGS):
        if under(high) <= share:
            break
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if under(middle) > share else (low, middle)
    return (low + high) / 2
