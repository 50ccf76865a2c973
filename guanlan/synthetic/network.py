"""Who has lent to whom: a core-periphery network of interbank claims that fits the balance sheets.

The core (large and joint-stock banks, and the largest city banks) lend to each other densely; every other
institution lends to and borrows from a handful in the core, hardly ever from its like. Amounts follow
gravity: a lender's money goes where the borrower is large. No claim is above `LARGEST_CLAIM` of the lender's
tier 1 capital, so that large-exposure rules stay silent. Balance sheets take their interbank items from the
row and column sums, so exposure reports and filings agree by construction.

The shape is that of Craig and von Peter, "Interbank tiering and money center banks", Journal of Financial
Intermediation 23 (2014).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from guanlan.synthetic.population import Population

Floats = NDArray[np.float64]

LARGEST_CLAIM = 0.16
CORE_CITY_BANKS = 6
LENDING = {
    "large_bank": 0.035,
    "joint_stock_bank": 0.045,
    "city_bank": 0.04,
    "rural_bank": 0.04,
    "digital_bank": 0.06,
    "foreign_bank": 0.08,
    "life_insurer": 0.06,
    "property_insurer": 0.10,
    "reinsurer": 0.10,
}
BORROWING = {
    "large_bank": 0.030,
    "joint_stock_bank": 0.085,
    "city_bank": 0.070,
    "rural_bank": 0.025,
    "digital_bank": 0.050,
    "foreign_bank": 0.060,
}
INSTRUMENTS = ("interbank_loan", "interbank_deposit", "reverse_repo", "bond")


@dataclass(frozen=True, slots=True)
class Network:
    """Claims at the reference date: `claims[i, j]` is what i has lent to j, in yuan; sparse, no diagonal."""

    claims: sparse.csr_array
    instruments: NDArray[np.int8]

    def scaled(self, lenders: Floats, borrowers: Floats) -> sparse.csr_array:
        """Return the claims with each lender's row and each borrower's column scaled."""
        claims = self.claims.copy()
        claims.data = claims.data * np.repeat(lenders, np.diff(claims.indptr)) * borrowers[claims.indices]
        return claims


def connect(population: Population, tier1: Floats, rng: np.random.Generator) -> Network:
    """Draw the network for a population whose tier 1 capital (insurers: equity) is given in yuan."""
    types, assets = population.types, population.assets
    size = len(assets)
    core = np.isin(types, ("large_bank", "joint_stock_bank"))
    cities = np.flatnonzero(types == "city_bank")
    core[cities[:CORE_CITY_BANKS]] = True
    wants = np.array([BORROWING.get(t, 0.0) for t in types]) * assets
    budget = np.array([LENDING[t] for t in types]) * assets
    members = np.flatnonzero(core)
    peripheral = np.flatnonzero(~core & population.banks)
    rows: list[NDArray[np.intp]] = []
    columns: list[NDArray[np.intp]] = []
    for lender in range(size):
        if core[lender]:
            count = max(1, int(0.25 * len(peripheral)))
            chosen = np.concatenate([members, rng.choice(peripheral, count, replace=False)])
        else:
            chosen = rng.choice(members, min(len(members), int(rng.integers(5, 10))), replace=False)
            if population.banks[lender] and len(peripheral) and rng.random() < 0.15:
                chosen = np.append(chosen, rng.choice(peripheral))
        chosen = np.unique(chosen[chosen != lender])
        rows.append(np.full(len(chosen), lender))
        columns.append(chosen)
    row, column = np.concatenate(rows), np.concatenate(columns)
    amount = wants[column] * rng.lognormal(0, 0.4, len(column))
    amount *= (budget / np.bincount(row, amount, size))[row]
    amount = _cap_inflows(np.minimum(amount, LARGEST_CLAIM * tier1[row]), column, 1.6 * wants)
    keep = amount > 1e5
    claims = sparse.csr_array((np.round(amount[keep], -4), (row[keep], column[keep])), shape=(size, size))
    return Network(claims, rng.integers(0, len(INSTRUMENTS), claims.nnz).astype(np.int8))


def _cap_inflows(amount: Floats, column: NDArray[np.intp], most: Floats) -> Floats:
    """Scale claims down where a borrower would receive more than it can use."""
    received = np.bincount(column, amount, len(most))
    factor = np.minimum(1.0, most / np.maximum(received, 1.0))
    return amount * factor[column]
