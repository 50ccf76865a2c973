"""Figures of banks: one book a bank from which all its forms are read, so that they agree with each other.

Sector means follow the regulator's release for the end of 2025: bad loans 1.50 %, special-mention about
2.2 %, coverage 205 %, capital ratios 10.92 / 12.37 / 15.46 %, ROA 0.60 %, and for mid-2025 LCR 149 % and
NSFR 127.6 %. Spreads around them are ours, and keep a healthy bank away from every line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guanlan.synthetic.network import Network
from guanlan.synthetic.noise import spread, wander
from guanlan.synthetic.population import Population
from guanlan.synthetic.shocks import Shocks

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

YEAR = 365.25
OTHER_LIABILITIES = 0.04
RETAIL_SHARE_OF_LOSS = 0.75


@dataclass(frozen=True, slots=True)
class Traits:
    """What is typical of a type of bank; all shares of total assets or ratios."""

    cet1: float
    additional_tier1: float
    density: float
    loans: float
    bad_loans: float
    certificates: float
    retail: float
    top10: float
    margin: float


TRAITS = {
    "large_bank": Traits(0.119, 0.017, 0.58, 0.58, 0.0132, 0.020, 0.55, 0.015, 0.0135),
    "joint_stock_bank": Traits(0.103, 0.015, 0.64, 0.56, 0.0130, 0.080, 0.28, 0.050, 0.0155),
    "city_bank": Traits(0.104, 0.012, 0.62, 0.50, 0.0155, 0.070, 0.40, 0.110, 0.0140),
    "rural_bank": Traits(0.110, 0.003, 0.60, 0.52, 0.0175, 0.030, 0.70, 0.080, 0.0160),
    "digital_bank": Traits(0.118, 0.002, 0.65, 0.55, 0.0150, 0.030, 0.60, 0.090, 0.0350),
    "foreign_bank": Traits(0.150, 0.001, 0.50, 0.40, 0.0090, 0.020, 0.20, 0.120, 0.0150),
}


@dataclass(frozen=True, slots=True)
class Capital:
    """A bank's capital at the reference date: ratios, and tier 1 capital in yuan."""

    cet1: Floats
    tier1: Floats
    total: Floats
    density: Floats
    tier1_capital: Floats


def _trait(types: NDArray[np.str_], name: str) -> Floats:
    return np.array([getattr(TRAITS[t], name) for t in types])


def _fit(values: Floats, weights: Floats, mean: float, low: Floats | float, high: float) -> Floats:
    """Scale values until their weighted mean is `mean`, kept within [low, high]."""
    for _ in range(8):
        values = np.clip(values * (mean * weights.sum() / (values * weights).sum()), low, high)
    return values


def draw_capital(population: Population, rng: np.random.Generator) -> Capital:
    """Draw the capital of the population's banks (in its order): at least 2 points above the requirement."""
    types, assets = population.types[population.banks], population.assets[population.banks]
    n = len(assets)
    bucket = np.array(
        [i.dsib_bucket for i, bank in zip(population.institutions, population.banks, strict=True) if bank]
    )
    surcharge = np.where(bucket == 5, 0.015, 0.0025 * bucket)
    density = spread(rng, _trait(types, "density"), 0.02, 0.40, 0.72, n)
    weights = density * assets
    floor = 0.075 + surcharge + 0.02
    cet1 = _fit(spread(rng, _trait(types, "cet1"), 0.008, floor, 0.20, n), weights, 0.1092, floor, 0.20)
    tier1 = cet1 + _trait(types, "additional_tier1") * rng.uniform(0.8, 1.2, n)
    second = _fit(spread(rng, 0.031, 0.005, 0.015, 0.045, n), weights, 0.0309, 0.015, 0.05)
    total = np.maximum(tier1 + second, 0.105 + surcharge + 0.02)
    return Capital(cet1, tier1, total, density, tier1 * weights)


@dataclass(frozen=True, slots=True)
class Plan:
    """Paths that everything else hangs on.

    days: days since the epoch, ascending. growth: total assets relative to the reference date, without
    stories [days, banks]. lenders: interbank lending relative to the network's [days, all institutions].
    """

    days: Longs
    growth: Floats
    lenders: Floats


def draw_plan(population: Population, days: Longs, reference: int, rng: np.random.Generator) -> Plan:
    """Draw the plan of a sector whose sizes are those of the day `reference`."""
    members = np.flatnonzero(population.banks)
    rate = spread(rng, 0.078, 0.02, 0.03, 0.14, len(members))
    growth = np.exp(np.outer(days - reference, rate) / YEAR + wander(rng, days, len(members), 250, 0.004))
    lenders = np.exp(wander(rng, days, len(population.assets), 8, 0.015))
    lenders[:, members] *= growth
    return Plan(days, growth, lenders)


def bank_figures(
    population: Population, capital: Capital, network: Network, plan: Plan, shocks: Shocks, rng: np.random.Generator
) -> dict[str, Floats]:
    """Return every indicator that banks report as an array [days, banks]; shocks are of all institutions."""
    days, members = plan.days, np.flatnonzero(population.banks)
    types, size = population.types[members], population.assets[members]
    planned = size * plan.growth
    hit = shocks.take(np.arange(len(days)), members)

    figures = _capital_figures(capital, planned, days, rng)
    interbank = _interbank(network, plan, shocks.strain)
    figures |= {name: path[:, members] for name, path in interbank.items() if name != "largest_claim"}
    figures |= _deposit_figures(types, planned, figures, hit, days, rng)
    figures |= _liquidity_figures(types, size, planned, figures, hit, days, rng)
    figures |= _loan_figures(types, size, planned, hit, days, rng)
    figures |= _earnings(types, planned, figures["equity"], days, rng)
    figures["interbank_exposure_ratio"] = interbank["largest_claim"][:, members] / figures["tier1_capital"]
    figures["total_liabilities"] = figures.pop("funding")
    figures["total_assets"] = figures["total_liabilities"] + figures["equity"]
    figures["leverage_ratio"] = figures["tier1_capital"] / (1.06 * figures["total_assets"])
    return {name: path for name, path in figures.items() if not name.startswith("_")}


def _capital_figures(capital: Capital, planned: Floats, days: Longs, rng: np.random.Generator) -> dict[str, Floats]:
    n = planned.shape[1]
    drift = wander(rng, days, n, 400, 0.0018)
    weighted = planned * capital.density
    tier1 = (capital.tier1 + drift) * weighted
    return {
        "cet1_ratio": capital.cet1 + drift,
        "tier1_ratio": capital.tier1 + drift,
        "capital_ratio": capital.total + drift,
        "risk_weighted_assets": weighted,
        "tier1_capital": tier1,
        "net_capital": (capital.total + drift) * weighted,
        "equity": 1.03 * tier1,
    }


def _interbank(network: Network, plan: Plan, strain: Floats) -> dict[str, Floats]:
    """Interbank assets, liabilities and largest claim of every institution, from the scaled network."""
    lenders, borrowers = plan.lenders, borrower_scale(strain)
    lent, largest, owed = (np.empty_like(lenders) for _ in range(3))
    for step in range(len(plan.days)):
        scaled = network.scaled(lenders[step], borrowers[step])
        lent[step] = scaled.sum(axis=1)
        owed[step] = scaled.sum(axis=0)
        largest[step] = scaled.max(axis=1).toarray().ravel()
    return {
        "interbank_assets": lent,
        "interbank_liabilities": owed,
        "_withdrawn": owed * (1 / borrowers - 1),
        "largest_claim": largest,
    }


def borrower_scale(strain: Floats) -> Floats:
    """Return what is left of each institution's interbank borrowing under strain."""
    return 1 - 0.35 * strain


def _deposit_figures(
    types: NDArray[np.str_],
    planned: Floats,
    figures: dict[str, Floats],
    hit: Shocks,
    days: Longs,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    n = planned.shape[1]
    certificates = planned * _trait(types, "certificates") * rng.uniform(0.8, 1.2, n)
    central = planned * rng.uniform(0.008, 0.018, n)
    rest = OTHER_LIABILITIES * planned
    owed = figures["interbank_liabilities"] + figures["_withdrawn"]
    base = planned - figures["equity"] - certificates - central - rest - owed
    calm = base * np.exp(wander(rng, days, n, 9, 0.0025) + 0.006 * _quarter_end(days)[:, None])
    deposits = calm * hit.deposits
    lost = calm - deposits
    retail = np.clip(_trait(types, "retail") * rng.uniform(0.9, 1.1, n), 0.1, 0.85)
    central = central + 0.5 * figures["_withdrawn"]
    demand = np.clip(rng.normal(0.38, 0.05, n) + wander(rng, days, n, 20, 0.004), 0.2, 0.6)
    largest = _trait(types, "top10") * rng.uniform(0.7, 1.3, n) * np.exp(wander(rng, days, n, 15, 0.02))
    return {
        "total_deposits": deposits,
        "retail_deposits": np.maximum(0.05 * deposits, retail * calm - RETAIL_SHARE_OF_LOSS * lost),
        "demand_deposits": deposits * demand,
        "top10_deposits": deposits * np.clip(largest, 0, 0.165),
        "negotiable_cds": certificates * np.exp(wander(rng, days, n, 15, 0.01)),
        "central_bank_borrowing": central,
        "_lost": lost,
        "funding": deposits + figures["interbank_liabilities"] + certificates + central + rest,
    }


def _quarter_end(days: Longs) -> Floats:
    """1 on the last three days of a quarter, when deposits are gathered for the books, else 0."""
    dates = days.astype("datetime64[D]")
    ahead = (dates + 3).astype("datetime64[M]").astype(int)
    return np.asarray((ahead != dates.astype("datetime64[M]").astype(int)) & (ahead % 3 == 0), float)


def _liquidity_figures(
    types: NDArray[np.str_],
    size: Floats,
    planned: Floats,
    figures: dict[str, Floats],
    hit: Shocks,
    days: Longs,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    n = planned.shape[1]
    deposits, retail = figures["total_deposits"], figures["retail_deposits"]
    owed, withdrawn = figures["interbank_liabilities"], figures["_withdrawn"]
    share = rng.uniform(0.10, 0.26, n) + wander(rng, days, n, 6, 0.015)
    overnight = owed * (share + hit.strain * (0.68 - share))

    calm_retail = retail + RETAIL_SHARE_OF_LOSS * figures["_lost"]
    calm_other = deposits + figures["_lost"] - calm_retail
    calm = _outflows(calm_retail, calm_other, owed + withdrawn, (owed + withdrawn) * share)
    coverage = _fit(spread(rng, 1.52, 0.12, 1.40, 2.6, n), size, 1.4925, 1.40, 2.6)
    paid = 0.45 * figures["_lost"] + 0.4 * withdrawn  # the rest is paid by selling other assets
    liquid = coverage * calm * np.exp(wander(rng, days, n, 60, 0.012) + wander(rng, days, n, 4, 0.010))
    hqla = np.maximum(liquid - paid, 0.01 * planned)
    left = hqla / liquid
    net = _outflows(retail, deposits - retail, owed, overnight)
    reserves = rng.uniform(0.016, 0.026, n) * np.exp(wander(rng, days, n, 5, 0.05))
    over_market = rng.uniform(0.0002, 0.0008, n) + wander(rng, days, n, 4, 0.0003)
    liquidity = spread(rng, 0.62, 0.08, 0.48, 1.1, n) * np.exp(wander(rng, days, n, 20, 0.015))
    stable = _fit(spread(rng, 1.27, 0.06, 1.15, 1.7, n), size, 1.2759, 1.15, 1.7)
    stable = stable * np.exp(wander(rng, days, n, 150, 0.008))
    return {
        "overnight_borrowing": overnight,
        "overnight_funding_spread": over_market + 0.024 * hit.strain,
        "excess_reserves": deposits * reserves * (1 - 0.78 * hit.strain) * np.sqrt(left),
        "unencumbered_collateral": 0.6 * hqla,
        "hqla": hqla,
        "net_outflows_30d": net,
        "lcr": hqla / net,
        "hqla_adequacy_ratio": hqla / net * rng.uniform(1.05, 1.30, n),
        "liquidity_ratio": np.maximum(liquidity, 0.45) * left**0.6,
        "liquidity_gap_ratio": rng.uniform(0.03, 0.12, n) + wander(rng, days, n, 20, 0.006) - 0.3 * (1 - left),
        "nsfr": stable * (0.7 + 0.3 * hit.deposits),
    }


def _outflows(retail: Floats, other: Floats, borrowed: Floats, overnight: Floats) -> Floats:
    """Net outflow over 30 stressed days: run-off by kind of funding, less inflows."""
    return np.asarray(0.72 * (0.05 * retail + 0.20 * other + 0.45 * borrowed + 0.35 * overnight))


def _loan_figures(
    types: NDArray[np.str_], size: Floats, planned: Floats, hit: Shocks, days: Longs, rng: np.random.Generator
) -> dict[str, Floats]:
    n = planned.shape[1]
    loans = planned * _trait(types, "loans") * rng.uniform(0.93, 1.07, n)
    weights = size * _trait(types, "loans")
    base = _fit(spread(rng, _trait(types, "bad_loans"), 0.0022, 0.006, 0.0195, n), weights, 0.0150, 0.006, 0.0195)
    calm = loans * np.clip(base * np.exp(wander(rng, days, n, 300, 0.05)), 0.004, 0.022)
    bad = calm * hit.bad_loans
    cover = _fit(spread(rng, 2.12, 0.15, 1.90, 4.0, n), weights * base, 2.0521, 1.90, 4.0)
    coverage = np.clip(cover * np.exp(wander(rng, days, n, 200, 0.012)), 1.83, 5.0)
    reserves = calm * np.sqrt(hit.bad_loans) * coverage

    def steady(low: float, high: float, size: float, memory: float = 200) -> Floats:
        return rng.uniform(low, high, n) * np.exp(wander(rng, days, n, memory, size))

    mentioned = _fit(spread(rng, 0.022, 0.004, 0.010, 0.033, n), weights, 0.0219, 0.010, 0.033)
    return {
        "total_loans": loans,
        "npl_balance": bad,
        "npl_ratio": bad / loans,
        "special_mention_ratio": mentioned * np.exp(wander(rng, days, n, 250, 0.04)),
        "overdue90_to_npl": steady(0.48, 0.68, 0.04),
        "loan_loss_reserves": reserves,
        "provision_coverage": reserves / bad,
        "loan_provision_ratio": reserves / loans,
        "single_client_loan_ratio": steady(0.025, 0.06, 0.04),
        "group_exposure_ratio": steady(0.05, 0.125, 0.04),
        "related_party_ratio": steady(0.04, 0.26, 0.05),
        "property_loan_share": steady(0.12, 0.30, 0.02),
        "eve_loss_ratio": steady(0.03, 0.08, 0.05),
    }


def _earnings(
    types: NDArray[np.str_], planned: Floats, equity: Floats, days: Longs, rng: np.random.Generator
) -> dict[str, Floats]:
    n = planned.shape[1]
    month = days.astype("datetime64[D]").astype("datetime64[M]").astype(int) % 12
    season = np.select([month < 3, month < 6, month < 9], [1.12, 1.02, 0.98], 0.88)[:, None]
    roa = spread(rng, 0.0060, 0.0014, 0.0030, 0.0120, n) * season * np.exp(wander(rng, days, n, 200, 0.06))
    margin = _trait(types, "margin") * rng.uniform(0.88, 1.12, n) * np.exp(wander(rng, days, n, 300, 0.015))
    profit = roa * planned / 4
    return {
        "net_profit": profit,
        "roa": roa,
        "roe": 4 * profit / equity,
        "operating_income": (margin + 0.006) * planned / 4,
        "nim": margin,
        "cost_income_ratio": rng.uniform(0.26, 0.38, n) + wander(rng, days, n, 150, 0.01),
    }
