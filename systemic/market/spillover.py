"""Diebold–Yılmaz spillovers: whose shocks move whom, from the variance decomposition of a VAR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from systemic.arrays import Matrix, Vector
from systemic.market.returns import complete_rows
from systemic.registry import measure

Decomposition = Literal["generalised", "cholesky"]

PAPER = (
    "Diebold, Yılmaz (2012), Better to give than to receive: predictive directional measurement of "
    "volatility spillovers, International Journal of Forecasting 28(1)"
)


@dataclass(frozen=True, slots=True)
class Autoregression:
    """A vector autoregression: y_t = intercept + Σ lag_l y_{t−l} + e_t, cov(e) = covariance.

    `lags` (p, n, n), [l, i, j] the effect of j, l + 1 rows ago, on i; `intercept` (n,); `covariance` (n, n)
    of the residuals with T − p − (1 + n p) degrees of freedom; `residuals` (T − p, n).
    """

    lags: NDArray[np.float64]
    intercept: Vector
    covariance: Matrix
    residuals: Matrix


def vector_autoregression(series: Matrix, order: int = 1) -> Autoregression:
    """Fit a VAR of `order` lags with intercept by least squares, equation by equation.

    `series` (T, n). Only rows whose own and `order` earlier rows are complete are fitted, so a missing value
    never joins days that were apart. ValueError when no degree of freedom is left or a series is constant.
    Cost O(T (n p)²).
    """
    design, response = regression_rows(series, order)
    return fitted_to(design, response, order)


def regression_rows(series: Matrix, order: int) -> tuple[Matrix, Matrix]:
    """Return what a VAR of `order` lags is fitted to: [1, y_{t−1}, …, y_{t−order}] (m, 1 + n p) and y_t (m, n).

    Only the m rows that are complete with their lags. ValueError when there are no more rows than lags.
    """
    if order < 1:
        raise ValueError(f"a vector autoregression has at least one lag, not {order}")
    rows = len(series)
    if rows <= order:
        raise ValueError(f"{rows} rows are too few for {order} lags")
    regressors = np.column_stack(
        [np.ones(rows - order)] + [series[order - lag : rows - lag] for lag in range(1, order + 1)]
    )
    known = complete_rows(regressors, series[order:])
    return regressors[known], series[order:][known]


def fitted_to(design: Matrix, response: Matrix, order: int) -> Autoregression:
    """Return the least-squares fit to rows of `regression_rows`, or to a resample of them; errors as there."""
    n = response.shape[1]
    freedom = len(design) - design.shape[1]
    if freedom < 1:
        raise ValueError(
            f"{len(design)} complete rows are too few for {design.shape[1]} coefficients an equation: "
            "take fewer series, fewer lags or a longer window"
        )
    fitted, _, rank, _ = np.linalg.lstsq(design, response, rcond=None)
    if rank < design.shape[1]:
        raise ValueError("the series are collinear or one does not move: leave it out")
    residuals = response - design @ fitted
    lags = np.asarray(fitted[1:].reshape(order, n, n).transpose(0, 2, 1), dtype=np.float64)
    return Autoregression(lags, fitted[0], residuals.T @ residuals / freedom, residuals)


def moving_average(lags: NDArray[np.float64], horizon: int) -> NDArray[np.float64]:
    """Return the first `horizon` matrices of the moving-average form, (horizon, n, n), the identity first."""
    order, n, _ = lags.shape
    responses = np.zeros((horizon, n, n))
    responses[0] = np.eye(n)
    for h in range(1, horizon):
        responses[h] = sum(lags[lag] @ responses[h - 1 - lag] for lag in range(min(order, h)))
    return responses


def variance_decomposition(
    responses: NDArray[np.float64], covariance: Matrix, kind: Decomposition = "generalised"
) -> Matrix:
    """Return the share of i's forecast-error variance that shocks to j explain, (n, n), rows summing to 1.

    `responses` (H, n, n) of `moving_average`: the forecast is H steps ahead, h = 0 … H − 1. `generalised`
    (Koop, Pesaran & Potter 1996; Pesaran & Shin 1998) does not depend on the order of the series: entry
    σ_jj⁻¹ Σ_h (A_h Σ)²_ij / Σ_h (A_h Σ A_hᵀ)_ii, rows divided by their sum. `cholesky` does depend on it:
    the first series comes first; its rows sum to 1 by themselves.
    """
    total = np.einsum("hij,jk,hik->i", responses, covariance, responses)
    if kind == "generalised":
        effect = (responses @ covariance) ** 2 / np.diag(covariance)
    elif kind == "cholesky":
        effect = (responses @ np.linalg.cholesky(covariance)) ** 2
    else:
        raise ValueError(f"the decomposition is 'generalised' or 'cholesky', not {kind!r}")
    shares = effect.sum(axis=0) / total[:, None]
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Spillover:
    """The spillover table and what it sums to; fractions, rows receive and columns give.

    `table` (n, n), rows sum to 1. `from_others` (n,) a row without its diagonal, `to_others` (n,) a column
    without its diagonal; `net` = to_others − from_others sums to zero. `total` is the mean of `from_others`.
    """

    table: Matrix

    @property
    def from_others(self) -> Vector:
        """What each receives from the others' shocks, share of its variance."""
        return np.asarray(self.table.sum(axis=1) - np.diag(self.table), dtype=np.float64)

    @property
    def to_others(self) -> Vector:
        """What each gives to the others, in shares of their variances; may exceed 1."""
        return np.asarray(self.table.sum(axis=0) - np.diag(self.table), dtype=np.float64)

    @property
    def net(self) -> Vector:
        """Giving less receiving: positive for a net sender of shocks."""
        return self.to_others - self.from_others

    @property
    def total(self) -> float:
        """The spillover index: the share of all forecast-error variance that comes from others."""
        return float(self.from_others.mean()) if len(self.table) else float("nan")


def spillover(returns: Matrix, *, order: int = 1, horizon: int = 10, kind: Decomposition = "generalised") -> Spillover:
    """Return the Diebold–Yılmaz table of `returns` (T, n) from a VAR(`order`), `horizon` steps ahead.

    The series may be returns or volatilities (the paper's choice). See `vector_autoregression` for missing
    values and errors. Cost: O(T (n p)² + H n³).
    """
    if horizon < 1:
        raise ValueError(f"the forecast horizon is at least one step, not {horizon}")
    fitted = vector_autoregression(returns, order)
    return Spillover(variance_decomposition(moving_average(fitted.lags, horizon), fitted.covariance, kind))


@measure(
    "spillover_index",
    title={"en": "Diebold–Yılmaz total spillover index", "zh": "Diebold-Yılmaz 总溢出指数"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference=PAPER,
    assumptions=("returns follow a linear VAR that does not change in the window",),
    complexity="O(T (n p)² + H n³)",
    inputs=("returns",),
)
def spillover_index(returns: Matrix, *, order: int = 1, horizon: int = 10) -> float:
    """Share of the forecast-error variance of all returns that shocks to other institutions explain.

    In [0, 1); generalised decomposition. NaN when the VAR can't be fitted (too few rows, no institution).
    """
    table = _table(returns, order, horizon)
    return table.total if table is not None else float("nan")


@measure(
    "spillover_net",
    title={"en": "Net spillover to others", "zh": "净溢出"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=PAPER,
    assumptions=("returns follow a linear VAR that does not change in the window",),
    complexity="O(T (n p)² + H n³)",
    inputs=("returns",),
)
def spillover_net(returns: Matrix, *, order: int = 1, horizon: int = 10) -> Vector:
    """Variance each institution's shocks explain in others less what it receives; positive for a sender.

    (n,) in shares of one institution's variance; sums to 0. NaN when the VAR can't be fitted.
    """
    table = _table(returns, order, horizon)
    return table.net if table is not None else np.full(returns.shape[1], np.nan)


def _table(returns: Matrix, order: int, horizon: int) -> Spillover | None:
    if not returns.shape[1]:
        return None
    try:
        return spillover(returns, order=order, horizon=horizon)
    except ValueError:
        return None
