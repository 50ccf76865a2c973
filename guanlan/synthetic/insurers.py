"""Figures of insurers. Premiums and solvency follow the sector's in 2025: CNY 6.1tn of premiums, property
insurers at 247 % comprehensive solvency; the rest, and all spreads, are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guanlan.synthetic.noise import spread, wander
from guanlan.synthetic.population import Population
from guanlan.synthetic.shocks import Shocks

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Traits:
    """What is typical of a type of insurer; premium and claims are yearly shares of total assets."""

    equity: float
    comprehensive: float
    core: float
    premium: float
    claims: float
    reserves: float


TRAITS = {
    "life_insurer": Traits(0.075, 1.95, 1.35, 0.12, 0.04, 0.82),
    "property_insurer": Traits(0.27, 2.47, 2.15, 0.55, 0.30, 0.45),
    "reinsurer": Traits(0.20, 2.40, 2.10, 0.25, 0.14, 0.50),
}


def insurer_figures(
    population: Population, days: Longs, reference: int, shocks: Shocks, rng: np.random.Generator
) -> dict[str, Floats]:
    """Return every indicator that insurers report as an array [days, insurers]; NaN where it does not apply.

    shocks are those of all institutions on these days.
    """
    members = np.flatnonzero(~population.banks)
    types, size = population.types[members], population.assets[members]
    n = len(members)

    def trait(name: str) -> Floats:
        return np.array([getattr(TRAITS[t], name) for t in types])

    life = types == "life_insurer"
    growth = spread(rng, 0.12, 0.03, 0.04, 0.20, n)
    assets = size * np.exp(np.outer(days - reference, growth) / YEAR) * np.exp(wander(rng, days, n, 200, 0.006))
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12
    opening = np.where(life, 1.0, 0.15) * (month < 3)[:, None]  # life policies are sold in the first quarter
    premium = assets * trait("premium") / 4 * (0.8 + 0.6 * opening) * np.exp(wander(rng, days, n, 90, 0.04))
    claims = assets * trait("claims") / 4 * np.exp(wander(rng, days, n, 90, 0.05))
    solvency = spread(rng, trait("comprehensive"), 0.20, 1.72, 4.0, n) * np.exp(wander(rng, days, n, 250, 0.02))
    core = np.minimum(solvency * trait("core") / trait("comprehensive") * rng.uniform(0.92, 1.05, n), 0.98 * solvency)
    worn = shocks.solvency[:, members]
    solvency, core = solvency * worn, np.maximum(core, 0.95) * worn
    equity = assets * trait("equity") * rng.uniform(0.85, 1.15, n) * (0.6 + 0.4 * worn)
    actual = 1.25 * equity
    roa = spread(rng, 0.008, 0.002, 0.002, 0.02, n) * np.exp(wander(rng, days, n, 150, 0.10))
    profit = roa * assets / 4
    rating = rng.choice([1.0, 2.0, 3.0, 4.0], n, p=[0.1, 0.3, 0.35, 0.25])
    underwriting = spread(rng, 0.97, 0.02, 0.92, 1.01, n) + wander(rng, days, n, 90, 0.01)
    surrenders = rng.uniform(0.012, 0.034, n) * np.exp(wander(rng, days, n, 150, 0.06))
    equities = rng.uniform(0.08, 0.20, n) + wander(rng, days, n, 150, 0.008)
    return {
        "total_assets": assets,
        "total_liabilities": assets - equity,
        "equity": equity,
        "operating_income": premium + 0.009 * assets,
        "net_profit": profit,
        "roa": roa,
        "roe": 4 * profit / equity,
        "core_solvency_ratio": core,
        "comprehensive_solvency_ratio": solvency,
        "integrated_risk_rating": np.broadcast_to(rating, assets.shape),
        "actual_capital": actual,
        "minimum_capital": actual / solvency,
        "premium_income": premium,
        "claims_paid": claims,
        "insurance_reserves": assets * trait("reserves"),
        "combined_ratio": np.where(life, np.nan, underwriting),
        "surrender_ratio": np.where(life, surrenders, np.nan),
        "net_cash_flow": assets * (rng.uniform(0.012, 0.020, n) + wander(rng, days, n, 60, 0.005)),
        "stressed_liquidity_coverage": rng.uniform(1.5, 3.0, n) * np.exp(wander(rng, days, n, 150, 0.04)),
        "investment_yield": rng.uniform(0.028, 0.045, n) + wander(rng, days, n, 120, 0.003),
        "equity_investment_share": np.clip(equities, 0.02, 0.28),
    }
