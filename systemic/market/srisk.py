"""SRISK: the capital an institution would lack if the market fell far, of all, and its share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from systemic.arrays import Matrix, Vector
from systemic.market.lrmes import BROWNLEES_ENGLE, DECLINE, lrmes_from_beta, market_beta
from systemic.registry import measure


def capital_shortfall(equity_value: ArrayLike, debt: ArrayLike, lrmes: ArrayLike, k: float = 0.08) -> Vector:
    """Return k · D − (1 − k) · (1 − LRMES) · W: the capital that is missing after a market crash.

    W market value of equity and D book value of debt in the same currency, LRMES the fraction of equity
    lost, `k` the prudential share of assets to be held as equity (8 %; 5.5 % under IFRS). The result is in
    currency: positive is a shortfall, negative a surplus. Debt is assumed to keep its book value. The same
    as W · (k · L + (1 − k) · LRMES − 1) with the leverage L = (D + W) / W.

    >>> float(capital_shortfall(100.0, 1900.0, 0.5))
    106.0
    """
    if not 0 <= k < 1:
        raise ValueError(f"the capital share k is a fraction below 1, not {k}")
    owned, owed, lost = (np.asarray(x, dtype=np.float64) for x in (equity_value, debt, lrmes))
    return np.asarray(k * owed - (1 - k) * (1 - lost) * owned, dtype=np.float64)


@measure(
    "srisk",
    title={"en": "SRISK (conditional capital shortfall)", "zh": "系统性风险资本缺口(SRISK)"},
    level="institution",
    unit="currency",
    sign="higher is riskier",
    reference=BROWNLEES_ENGLE,
    assumptions=(
        "debt keeps its book value in the crisis",
        "log equity returns are beta times the market's",
    ),
    complexity="O(T n)",
    inputs=("returns", "market_return", "equity_value", "debt"),
)
def srisk(
    returns: Matrix,
    market_return: Vector,
    equity_value: Vector,
    debt: Vector,
    *,
    k: float = 0.08,
    decline: float = DECLINE,
) -> Vector:
    """Capital each institution would lack after a market fall of `decline`, LRMES from its market beta.

    `returns` (T, n) and `market_return` (T,) are log returns, `equity_value` and `debt` (n,) in one
    currency; the result (n,) is in that currency, positive where capital is missing. NaN where an input is.
    Other LRMES (by MES, by simulation, by GJR-GARCH with DCC) go through `capital_shortfall`.
    """
    lost = lrmes_from_beta(market_beta(returns, market_return), decline)
    return capital_shortfall(equity_value, debt, lost, k)


@measure(
    "system_srisk",
    title={"en": "Aggregate SRISK", "zh": "系统SRISK总额"},
    level="system",
    unit="currency",
    sign="higher is riskier",
    reference=BROWNLEES_ENGLE,
    assumptions=("a surplus in one institution does not help another in a crisis",),
    complexity="O(T n)",
    inputs=("returns", "market_return", "equity_value", "debt"),
)
def system_srisk(
    returns: Matrix,
    market_return: Vector,
    equity_value: Vector,
    debt: Vector,
    *,
    k: float = 0.08,
    decline: float = DECLINE,
) -> float:
    """Sum of the shortfalls; surpluses count as zero, and so do institutions whose inputs are missing.

    In currency; 0 when no institution is short. See `srisk` for the arguments.
    """
    return total_shortfall(srisk(returns, market_return, equity_value, debt, k=k, decline=decline))


def total_shortfall(shortfalls: Vector) -> float:
    """Return the sum of the positive entries; missing ones count as zero."""
    return float(np.nansum(np.maximum(shortfalls, 0)))


def shortfall_shares(shortfalls: Vector) -> Vector:
    """Return each institution's share of the total shortfall; 0 for a surplus, NaN where missing.

    The known shares sum to 1, or all are 0 when nobody is short.
    """
    total = total_shortfall(shortfalls)
    return np.maximum(shortfalls, 0) / total if total > 0 else shortfalls * 0.0
