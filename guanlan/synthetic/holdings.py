"""What institutions hold by asset class, and the indicators of systemic importance of the larger banks.

Shares of total assets are ours, in the order of size that balance sheets of each type have.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guanlan.synthetic.population import Population

Floats = NDArray[np.float64]

SHARES = {
    "large_bank": (0.12, 0.10, 0.02, 0.06, 0.004),
    "joint_stock_bank": (0.11, 0.08, 0.04, 0.09, 0.006),
    "city_bank": (0.10, 0.08, 0.06, 0.08, 0.004),
    "rural_bank": (0.10, 0.06, 0.03, 0.04, 0.002),
    "digital_bank": (0.08, 0.02, 0.03, 0.01, 0.002),
    "foreign_bank": (0.14, 0.04, 0.03, 0.05, 0.002),
    "life_insurer": (0.28, 0.12, 0.14, 0.05, 0.13),
    "property_insurer": (0.15, 0.06, 0.14, 0.03, 0.10),
    "reinsurer": (0.18, 0.06, 0.15, 0.03, 0.08),
}
CLASSES = (
    "government_bonds",
    "local_government_bonds",
    "corporate_bonds",
    "property_exposures",
    "equity_holdings",
)
SCORED = ("large_bank", "joint_stock_bank", "city_bank")
PER_ASSETS = {
    "adjusted_exposures": (1.06, 1.00),
    "intra_financial_assets": (0.09, 1.05),
    "intra_financial_liabilities": (0.10, 1.05),
    "securities_and_funding_issued": (0.07, 1.00),
    "payments": (60.0, 1.15),
    "assets_under_custody": (0.45, 1.20),
    "agency_distribution": (0.12, 1.10),
    "derivatives": (0.35, 1.35),
    "securities_at_fair_value": (0.08, 1.10),
    "nonbank_affiliates_assets": (0.02, 1.20),
    "wealth_management": (0.10, 1.05),
    "cross_border_positions": (0.03, 1.60),
    "total_exposures": (1.08, 1.00),
    "securities_outstanding": (0.06, 1.00),
    "underwriting": (0.01, 1.15),
    "trading_volume_fixed_income": (0.70, 1.20),
    "trading_volume_equities": (0.20, 1.25),
    "otc_derivatives": (0.30, 1.40),
    "trading_and_afs_securities": (0.07, 1.10),
    "level_3_assets": (0.004, 1.10),
    "cross_jurisdictional_claims": (0.02, 1.70),
    "cross_jurisdictional_liabilities": (0.02, 1.70),
}
"""By indicator: its share of the assets of a bank of a trillion, and how it grows with size (1 is in proportion)."""

CLIENTS_PER_TRILLION = 8e6
TRILLION = 1e12


def holdings(types: NDArray[np.str_], assets: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """Return what is held of each class [days, institutions]; assets: total assets of the same shape."""
    typical = np.array([SHARES[t] for t in types])
    own = typical * rng.lognormal(0, 0.25, typical.shape)
    return {name: assets * own[:, k] for k, name in enumerate(CLASSES)}


def importance(assets: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """Return the indicators of both methods [days, banks]; assets: total assets of the same shape."""
    size = np.maximum(assets, 1.0) / TRILLION
    found = {
        name: TRILLION * share * size**growth * rng.lognormal(0, 0.2, assets.shape[1])
        for name, (share, growth) in PER_ASSETS.items()
    }
    found["clients_and_outlets"] = CLIENTS_PER_TRILLION * size * rng.lognormal(0, 0.2, assets.shape[1])
    return found


def scored(population: Population) -> NDArray[np.intp]:
    """Return the positions of those that file indicators of importance."""
    return np.flatnonzero(np.isin(population.types, SCORED))
