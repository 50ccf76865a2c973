"""CoVaR: the system's value at risk when one institution is in distress, and how much worse that is.

q-quantiles of returns become losses by a change of sign, so VaR, CoVaR and ΔCoVaR are positive in distress.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri

from systemic.arrays import Matrix, Vector
from systemic.market.quantile import quantile_regression
from systemic.market.returns import complete_rows
from systemic.registry import measure

VarKind = Literal["empirical", "normal"]

PAPER = "Adrian, Brunnermeier (2016), CoVaR, American Economic Review 106(7)"
ENOUGH_DAYS = 20


@dataclass(frozen=True, slots=True)
class CoVar:
    """CoVaR of the system given each institution; losses in fractions, positive.

    `var` the institution's own value at risk at the level, `median_loss` its loss in the median state,
    `covar` the system's value at risk given the first, `covar_median` given the second, and
    `delta` = covar − covar_median. Shapes (n,), or (T, n) when conditional on state variables.
    """

    var: Matrix
    median_loss: Matrix
    covar: Matrix
    covar_median: Matrix
    slope: Vector

    @property
    def delta(self) -> Matrix:
        """ΔCoVaR: how much the system's value at risk grows when the institution goes from median to distress."""
        return self.covar - self.covar_median


def value_at_risk(series: Vector, level: float, kind: VarKind = "empirical") -> float:
    """Return the `level` value at risk of a return series as a positive loss.

    `empirical`: minus the quantile, linear between order statistics (type 7). `normal`: −(mean + z · sd),
    sd with T − 1. Missing returns are left out; NaN when fewer than two are known.
    """
    known = series[np.isfinite(series)]
    if len(known) < 2:
        return float("nan")
    if kind == "empirical":
        return -float(np.quantile(known, level))
    if kind == "normal":
        return -float(known.mean() + ndtri(level) * known.std(ddof=1))
    raise ValueError(f"value at risk is 'empirical' or 'normal', not {kind!r}")


def covar(returns: Matrix, market_return: Vector, *, level: float = 0.05, var: VarKind = "empirical") -> CoVar:
    """Return CoVaR of the market (the system) given each institution, the same for all dates.

    The `level`-quantile of `market_return` (T,) is regressed on each column of `returns` (T, n) and read at
    the institution's value at risk and at its median state (the median, or the mean under `normal`). Each
    institution uses the days on which both are known; NaN with fewer than 20. If the institution is part
    of the market index its own fall is in the index: take an index without it where that matters.
    """
    n = returns.shape[1]
    at_risk, median, slope, base = (np.full(n, np.nan) for _ in range(4))
    for i in range(n):
        known = complete_rows(returns[:, i], market_return)
        own = returns[known, i]
        if len(own) < ENOUGH_DAYS or np.ptp(own) == 0:
            continue
        base[i], slope[i] = quantile_regression(market_return[known], own, level)
        at_risk[i] = value_at_risk(own, level, var)
        median[i] = value_at_risk(own, 0.5, var)
    return CoVar(at_risk, median, slope * at_risk - base, slope * median - base, slope)


def conditional_covar(returns: Matrix, market_return: Vector, states: Matrix, *, level: float = 0.05) -> CoVar:
    """Return CoVaR at each date, conditional on the state variables of the row before.

    `states` (T, k) has the dates of `returns`; row t of the result uses row t − 1 of `states`, so the first
    row is NaN. Per institution: VaR and median state by quantile regression of its return on the lagged
    states at `level` and 0.5; then the market's return on lagged states and the institution's return at
    `level` (equations 11 and 12 of the paper). States of any unit; they must move and not be collinear.
    NaN where an institution has fewer than 20 + k complete rows.
    """
    before = np.vstack([np.full((1, states.shape[1]), np.nan), states[:-1]])
    return covar_given(returns, market_return, before, before, level)


def covar_given(returns: Matrix, market_return: Vector, before: Matrix, at: Matrix, level: float) -> CoVar:
    """Return CoVaR at the states `at` (S, k), fitted to rows of returns (T, n), (T,) and the states `before` (T, k).

    See `conditional_covar`; the result's arrays are (S, n).
    """
    n, k = returns.shape[1], before.shape[1]
    design = np.column_stack([np.ones(len(at)), at])
    at_risk, median, low, middle = (np.full((len(at), n), np.nan) for _ in range(4))
    slope = np.full(n, np.nan)
    for i in range(n):
        known = complete_rows(returns[:, i], market_return, before)
        if known.sum() < ENOUGH_DAYS + k:
            continue
        own, past = returns[known, i], before[known]
        at_risk[:, i] = -design @ quantile_regression(own, past, level)
        median[:, i] = -design @ quantile_regression(own, past, 0.5)
        fitted = quantile_regression(market_return[known], np.column_stack([past, own]), level)
        slope[i] = fitted[-1]
        base = design @ fitted[:-1]
        low[:, i] = slope[i] * at_risk[:, i] - base
        middle[:, i] = slope[i] * median[:, i] - base
    return CoVar(at_risk, median, low, middle, slope)


@measure(
    "delta_covar",
    title={"en": "ΔCoVaR (contribution to the system's value at risk)", "zh": "条件风险价值增量(ΔCoVaR)"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=PAPER,
    assumptions=(
        "the system's quantile is linear in the institution's return",
        "dependence, not cause: the institution may only share the system's exposure",
    ),
    complexity="O(T n) linear programmes' pivots, about 5 ms an institution for five years of days",
    inputs=("returns", "market_return"),
)
def delta_covar(returns: Matrix, market_return: Vector, *, level: float = 0.05, var: VarKind = "empirical") -> Vector:
    """Rise of the system's value at risk when the institution moves from its median state into distress.

    In fractions of the system's value, a loss positive; see `covar` for arguments and missing values.
    """
    return covar(returns, market_return, level=level, var=var).delta


@measure(
    "delta_covar_states",
    title={"en": "ΔCoVaR given state variables", "zh": "条件风险价值增量(以状态变量为条件)"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=PAPER,
    assumptions=(
        "quantiles are linear in the institution's return and the states of the row before",
        "dependence, not cause: the institution may only share the system's exposure",
    ),
    complexity="O(T n k²) in practice: three linear programmes an institution",
    inputs=("returns", "market_return", "states"),
)
def delta_covar_given_states(returns: Matrix, market_return: Vector, states: Matrix, *, level: float = 0.05) -> Vector:
    """ΔCoVaR of each institution on the last row, given the state variables of the row before.

    In fractions of the system's value, a loss positive; (n,). See `conditional_covar` for arguments and errors.
    """
    if not len(returns):
        return np.full(returns.shape[1], np.nan)
    return np.asarray(conditional_covar(returns, market_return, states, level=level).delta[-1], dtype=np.float64)
