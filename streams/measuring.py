"""Measures of the network that was known for one date: pure functions, so the worker computes them in a thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from streams.common_assets import common_assets
from streams.importance import importance
from streams.measured import MIN_COVERAGE, Floats, Measured
from streams.networks import Network, Running, networks
from streams.third_parties import third_parties
from streams.two_sides import two_sides
from systemic.bootstrap import concordance, rank_range
from systemic.network.clearing import clear
from systemic.network.concentration import density, funding_hhi, gini, hhi, largest_share, lending_hhi
from systemic.network.debtrank import impact_vulnerability
from systemic.network.funding import funding_defaults
from systemic.ranks import average_ranks

STRESS = 0.05

CONTAGION = ("debtrank_system", "debtrank_largest")
CONCENTRATION = (
    "interbank_lender_hhi",
    "interbank_borrower_hhi",
    "interbank_lender_gini",
    "interbank_borrower_gini",
    "interbank_borrower_top_five",
)
CLEARING = ("clearing_shortfall", "clearing_defaults", "clearing_shortfall_stressed", "clearing_defaults_stressed")
FUNDING = ("funding_defaults_largest",)
SHAPE = ("interbank_density",)
RECONSTRUCTED = ("exposure_reconstructed", "contagion_concordance")
OF_IMPORTANCE = ("debtrank_impact", "funding_defaults")
UNBOUNDED = ("interbank_largest_share",)
RANGE = "lowest and highest over reconstructed networks"


def measure(network: Network, running: Running | None = None) -> Measured:
    """Compute every quick measure that what is known allows, and say of the others why not; see `streams.cascades`.

    Who has reported totals only is reconstructed (`streams.networks`): every measure of the network is then the
    median over the reconstructions, with the lowest and highest beside it. `running` keeps DebtRank up to date
    from one call to the next.
    """
    complete = network.equity.keys() & network.claims.keys()
    coverage = len(complete) / network.expected if network.expected else 0.0
    found = Measured(network.as_of, network.version, coverage, {"exposure_coverage": coverage}, network.codes)
    found.intervals[""] = RANGE
    if detail := too_little(network):
        names = (*CONTAGION, *CONCENTRATION, *CLEARING, *FUNDING, *SHAPE, *RECONSTRUCTED)
        found.lack(names, "too_few_reports", detail)
    else:
        _network(network, found, running)
    two_sides(network, found)
    third_parties(network, found)
    common_assets(network, found)
    importance(network, found)
    return found


def too_little(network: Network) -> str:
    """Return in words why the network is too incomplete to be measured; empty when it is not."""
    usable = network.equity.keys() & (network.claims.keys() | network.totals.keys())
    known = sum(max(0.0, equity) for equity in network.equity.values())
    reported = sum(max(0.0, network.equity[code]) for code in usable)
    share = reported / known if known > 0 else 0.0
    if min(len(usable) / network.expected if network.expected else 0.0, share) >= MIN_COVERAGE:
        return ""
    return (
        f"{len(usable)} of {network.expected} institutions, with {share:.0%} of known equity, have reported"
        f" equity and exposures; {MIN_COVERAGE:.0%} of both are needed"
    )


def _network(network: Network, found: Measured, running: Running | None) -> None:
    names = tuple(sorted(network.equity))
    drawn = networks(network, names)
    lent = sum(sum(claims.values()) for claims in network.claims.values())
    guessed = sum(network.totals[code][0] for code in network.equity if code in network.rough)
    found.system["exposure_reconstructed"] = guessed / (lent + guessed) if lent + guessed > 0 else 0.0
    each = [measure_network(network, names, claims, found, running if len(drawn) == 1 else None) for claims in drawn]
    over_networks(found, names, each)
    agreed = concordance(np.array([np.median([one.institutions[n] for one in each], axis=0) for n in OF_IMPORTANCE]))
    if np.isfinite(agreed):
        found.system["contagion_concordance"] = agreed
    else:
        found.lack(("contagion_concordance",), "nobody_told_apart", "a measure of contagion is the same for everybody")


def over_networks(found: Measured, names: tuple[str, ...], each: Sequence[OneNetwork]) -> None:
    """File the median over the networks that fit, with the lowest and highest beside it where there are several."""
    for name in each[0].system:
        values = np.array([one.system.get(name, np.nan) for one in each])
        found.system[name] = float(np.median(values))
        if len(each) > 1:
            found.system[f"{name}_low"], found.system[f"{name}_high"] = float(values.min()), float(values.max())
    for name in each[0].institutions:
        table = np.array([one.institutions[name] for one in each])
        columns = {name: np.median(table, axis=0)}
        if len(each) > 1 and name not in UNBOUNDED:
            columns |= {f"{name}_low": table.min(axis=0), f"{name}_high": table.max(axis=0)}
        if name == "debtrank_impact":
            columns["debtrank_impact_rank"] = average_ranks(-columns[name])
            if len(each) > 1:
                low, high = rank_range(table, 1.0)
                columns |= {"debtrank_impact_rank_low": low, "debtrank_impact_rank_high": high}
        for key, column in columns.items():
            found.column(key, names, column)


@dataclass(slots=True)
class OneNetwork:
    """Measures of one network: of the system, and columns of the institutions it is made of."""

    system: dict[str, float] = field(default_factory=dict)
    institutions: dict[str, Floats] = field(default_factory=dict)


def measure_network(
    network: Network, names: tuple[str, ...], claims: sparse.csr_array, found: Measured, running: Running | None
) -> OneNetwork:
    """Measure one network of `names`; what lacks is noted in `found`.

    Linear DebtRank weighted by equity: an impact is the share of the system's equity that is lost beside the failing
    institution's own. Defaults by credit and funding, clearing, and how concentrated lending is.
    """
    out = OneNetwork()
    equity = np.array([max(0.0, network.equity[code]) for code in names])
    compute = running.impacts if running is not None else impact_vulnerability
    impacts = compute(claims, equity, equity)
    lent = np.asarray(claims.sum(axis=1))
    largest = np.asarray(claims.max(axis=1).todense()).reshape(-1) if claims.nnz else np.zeros(len(names))
    told = [network.claims.get(code, {}) for code in names]
    lent = np.array([sum(c.values()) if c else x for c, x in zip(told, lent.tolist(), strict=True)])
    largest = np.array([max(c.values()) if c else x for c, x in zip(told, largest.tolist(), strict=True)])
    out.system["debtrank_system"] = float(impacts.impact.mean())
    out.system["debtrank_largest"] = float(impacts.impact.max())
    out.institutions["debtrank_impact"] = impacts.impact
    out.institutions["debtrank_vulnerability"] = impacts.vulnerability
    out.institutions["interbank_largest_share"] = np.divide(
        largest, lent, out=np.full(len(names), np.nan), where=lent > 0
    )
    out.institutions["funding_defaults"] = funding_defaults(claims, equity)
    out.institutions["lending_hhi"], out.institutions["funding_hhi"] = lending_hhi(claims), funding_hhi(claims)
    if len(names) > 1:
        out.system["interbank_density"] = density(claims)
    else:
        found.lack(SHAPE, "nobody_told_apart", "a network has two institutions at least")
    out.system["funding_defaults_largest"] = float(out.institutions["funding_defaults"].max())
    borrowed = dict(zip(names, np.asarray(claims.sum(axis=0)).tolist(), strict=True))
    for lender, claims_of in network.claims.items():
        for counterparty, amount in claims_of.items():
            if lender not in network.equity or counterparty not in network.equity:
                borrowed[counterparty] = borrowed.get(counterparty, 0.0) + amount
    outside = [sum(c.values()) for lender, c in network.claims.items() if lender not in network.equity]
    if sum(borrowed.values()) > 0:
        lenders, borrowers = [*lent.tolist(), *outside], list(borrowed.values())
        out.system["interbank_lender_hhi"], out.system["interbank_borrower_hhi"] = hhi(lenders), hhi(borrowers)
        out.system["interbank_lender_gini"], out.system["interbank_borrower_gini"] = gini(lenders), gini(borrowers)
        out.system["interbank_borrower_top_five"] = largest_share(borrowers)
    else:
        found.lack(CONCENTRATION, "nothing_lent", "no report names a claim")
    _clearing(network, names, claims, found, out)
    return out


def _clearing(
    network: Network, everyone: tuple[str, ...], network_claims: sparse.csr_array, found: Measured, out: OneNetwork
) -> None:
    """Clear all debts as the books stand, and after a loss of `STRESS` of every institution's external assets."""
    sheets = balance_sheets(network, everyone, network_claims)
    inside, names = sheets.inside, sheets.names
    share = len(names) / network.expected if network.expected else 0.0
    if share < MIN_COVERAGE:
        found.lack(CLEARING, "no_total_assets", without_assets(len(names), network.expected))
        return
    for suffix, kept in (("", 1.0), ("_stressed", 1.0 - STRESS)):
        cleared = clear(sheets.claims, kept * sheets.external_assets, sheets.external_debts)
        owed = float(cleared.total_liabilities.sum())
        out.system["clearing_defaults" + suffix] = float(np.count_nonzero(cleared.default))
        if owed > 0:
            out.system["clearing_shortfall" + suffix] = float(cleared.shortfall) / owed
        else:
            found.lack(("clearing_shortfall" + suffix,), "nothing_owed", "no institution owes anything")
    ratio = np.full(len(everyone), np.nan)
    ratio[inside] = np.divide(
        cleared.payment, cleared.total_liabilities, out=np.ones(len(names)), where=cleared.total_liabilities > 0
    )
    out.institutions["clearing_payment_ratio_stressed"] = ratio
    found.coverages.update(dict.fromkeys(CLEARING, share))


@dataclass(frozen=True, slots=True)
class Sheets:
    """What clearing needs of k institutions, those `inside`; amounts in currency."""

    names: tuple[str, ...]
    inside: NDArray[np.bool_]
    claims: sparse.csr_array
    external_assets: Floats
    external_debts: Floats


def balance_sheets(network: Network, everyone: tuple[str, ...], network_claims: sparse.csr_array) -> Sheets:
    """Return the balance sheets of those of `everyone` who filed total assets.

    Assets less claims inside are external assets; assets less equity and debts inside are external debts. Who
    has not filed total assets is outside: claims on it count as paid.
    """
    inside = np.array([code in network.assets for code in everyone], np.bool_)
    names = tuple(code for code in everyone if code in network.assets)
    claims = network_claims[inside][:, inside]
    assets = np.array([network.assets[code] for code in names])
    debts = assets - np.array([network.equity[code] for code in names])
    external_assets = np.maximum(0.0, assets - np.asarray(claims.sum(axis=1)))
    external_debts = np.maximum(0.0, debts - np.asarray(claims.sum(axis=0)))
    return Sheets(names, inside, claims, external_assets, external_debts)


def without_assets(known: int, expected: int) -> str:
    """Return in words that too few have filed what clearing needs."""
    return f"{known} of {expected} institutions have filed equity and total assets; {MIN_COVERAGE:.0%} are needed"
