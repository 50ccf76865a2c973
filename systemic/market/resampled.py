"""Many resamples of one window at once: the replicates that intervals and rank ranges are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from systemic.arrays import Indices, Matrix, Vector
from systemic.bootstrap import optimal_block, stationary_indices
from systemic.market.covar import ENOUGH_DAYS, VarKind, covar_given
from systemic.market.returns import complete_rows

HALVINGS = 48
DOUBLINGS = 60


def draw_rows(series: Matrix, replications: int, seed: int = 0, block: float | None = None) -> Indices:
    """Return (R, T) row numbers: stationary-bootstrap samples of the rows of `series` (T,) or (T, n).

    `block` is the mean length of a run of rows, by default `optimal_block` of the absolute values.
    """
    generator = np.random.default_rng(seed)
    mean_block = optimal_block(np.abs(series)) if block is None else block
    return np.stack([stationary_indices(len(series), mean_block, generator) for _ in range(replications)])


def replicate(statistic: Callable[[Matrix], Vector | float], rows: Matrix, draws: Indices) -> Matrix:
    """Return (R, k): `statistic` of the rows (T, …) at each of the draws (R, T)."""
    return np.stack([np.atleast_1d(np.asarray(statistic(rows[draw]), dtype=np.float64)) for draw in draws])


def bounds(replicates: Matrix, confidence: float = 0.9) -> tuple[Vector, Vector]:
    """Return the percentile interval of each column of (R, k); NaN where under half of the replicates are known."""
    low, high = (np.full(replicates.shape[1], np.nan) for _ in range(2))
    usable = np.isfinite(replicates).sum(axis=0) * 2 >= len(replicates)
    if len(replicates) and usable.any():
        tail = (1 - confidence) / 2
        low[usable], high[usable] = np.nanquantile(replicates[:, usable], [tail, 1 - tail], axis=0)
    return low, high


def quantile_slopes(response: Matrix, regressor: Matrix, level: float) -> Vector:
    """Return the slope of the `level`-quantile regression of each row of `response` (R, T) on `regressor` (R, T).

    With one regressor and an intercept, the check loss, minimised over the intercept, is convex in the slope; its
    derivative is bisected for all rows at once. The same slope as the linear programme of
    `systemic.market.quantile` to ten digits, hundreds of times faster for many samples. NaN where a regressor
    does not move.
    """
    q = np.float64(level)
    rows, length = response.shape
    k = min(max(int(np.ceil(q * length)), 1), length) - 1
    everyone = np.arange(rows)

    def derivative(slope: Vector) -> Vector:
        residual = response - slope[:, None] * regressor
        pivot = np.argpartition(residual, k, axis=1)[:, k]
        below = residual < residual[everyone, pivot][:, None]
        score = q - below
        score[everyone, pivot] = 0.0
        score[everyone, pivot] = -score.sum(axis=1)
        return np.asarray(-(score * regressor).sum(axis=1), dtype=np.float64)

    spread = np.ptp(regressor, axis=1)
    moves = spread > 0
    reach = np.where(moves, np.ptp(response, axis=1) / np.where(moves, spread, 1.0), 0.0) + 1e-12
    low, high = -reach, reach.copy()
    for _ in range(DOUBLINGS):
        open_ = (derivative(low) > 0) | (derivative(high) < 0)
        if not (open_ & moves).any():
            break
        low, high = np.where(open_, 2 * low, low), np.where(open_, 2 * high, high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        rising = derivative(middle) >= 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return np.where(moves, (low + high) / 2, np.nan)


@dataclass(frozen=True, slots=True)
class CoVarReplicates:
    """CoVaR in distress and in the median state, of each institution in each resample (R, n); losses positive."""

    covar: Matrix
    covar_median: Matrix

    @property
    def delta(self) -> Matrix:
        """ΔCoVaR."""
        return np.asarray(self.covar - self.covar_median)


def covar_replicates(
    returns: Matrix,
    market_return: Vector,
    draws: Indices,
    level: float = 0.05,
    var: VarKind = "empirical",
    seed: int = 0,
) -> CoVarReplicates:
    """Return `systemic.market.covar.covar` of each resample.

    `draws` (R, T) are rows of `returns` (T, n) and `market_return` (T,). An institution that misses days is
    resampled from the days it has, apart from the others. NaN with fewer than 20 days.
    """
    out = np.full((2, len(draws), returns.shape[1]), np.nan)
    for i in range(returns.shape[1]):
        known = complete_rows(returns[:, i], market_return)
        own, system = returns[known, i], market_return[known]
        if len(own) < ENOUGH_DAYS or np.ptp(own) == 0:
            continue
        at = draws if known.all() else draw_rows(np.column_stack([system, own]), len(draws), seed + i)
        x, y = own[at], system[at]
        slope = quantile_slopes(y, x, level)
        k = min(max(int(np.ceil(level * len(own))), 1), len(own)) - 1
        base = np.partition(y - slope[:, None] * x, k, axis=1)[:, k]
        if var == "empirical":
            worst, middle = np.quantile(x, [level, 0.5], axis=1)
        else:
            middle = x.mean(axis=1)
            worst = middle + ndtri(level) * x.std(axis=1, ddof=1)
        out[:, :, i] = -(base + slope * worst), -(base + slope * middle)
    return CoVarReplicates(out[0], out[1])


def delta_covar_replicates(
    returns: Matrix, market_return: Vector, draws: Indices, level: float = 0.05, seed: int = 0
) -> Matrix:
    """Return (R, n): ΔCoVaR (a loss is positive, empirical VaR) of each institution in each resample."""
    return covar_replicates(returns, market_return, draws, level, seed=seed).delta


def covar_states_replicates(
    returns: Matrix, market_return: Vector, before: Matrix, draws: Indices, level: float = 0.05
) -> CoVarReplicates:
    """Return CoVaR on the last row given the states before it, refitted to each resample of days.

    A day is drawn with its returns and the states `before` it (T, k) (`systemic.market.covar.covar_given`), and
    read at the last row's states. Cost: 3 R n linear programmes, 5 ms each for five years of days.
    """
    out = np.full((2, len(draws), returns.shape[1]), np.nan)
    for r, at in enumerate(draws):
        found = covar_given(returns[at], market_return[at], before[at], before[-1:], level)
        out[:, r] = found.covar[-1], found.covar_median[-1]
    return CoVarReplicates(out[0], out[1])
