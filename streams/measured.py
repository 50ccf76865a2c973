"""Measures of the network that was known for one date: pure functions, so the worker computes them in a thread.

A measure that can't be computed is not left out silently: `Measured.lacking` says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.stats import rankdata

from streams.networks import Network, Running, networks
from systemic.bootstrap import concordance, rank_range
from systemic.network.clearing import clear
from systemic.network.concentration import hhi
from systemic.network.debtrank import impact_vulnerability
from systemic.network.funding import funding_defaults
from systemic.network.providers import provider_concentration, provider_outage_reach

SYSTEM_FORMS = ("measures.system", "measures.market_system", "measures.stress")
MARKET_FORM = "measures.market"
LISTED = 200
MIN_COVERAGE = 0.8
TOLERANCE = 0.01
STRESS = 0.05

CONTAGION = ("debtrank_system", "debtrank_largest")
CONCENTRATION = ("interbank_lender_hhi", "interbank_borrower_hhi")
CLEARING = ("clearing_shortfall", "clearing_defaults", "clearing_shortfall_stressed", "clearing_defaults_stressed")
FUNDING = ("funding_defaults_largest",)
MISMATCH = ("exposure_mismatch_share",)
PROVIDERS = ("provider_outage_reach", "provider_concentration")
RECONSTRUCTED = ("exposure_reconstructed", "contagion_concordance")
OF_IMPORTANCE = ("debtrank_impact", "funding_defaults")
RANGE = "lowest and highest over reconstructed networks"

Floats = NDArray[np.float64]


class Lack(msgspec.Struct, frozen=True, array_like=True):
    """Why a measure could not be computed: a code for programs and one sentence for people."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Measures of one date: for the system by name, and for institutions by name as columns beside `codes`.

    `coverage` is the share of institutions whose reports the network is made of, `coverages` the same for
    measures that are made of something else, `lacking` why a measure has no value. Beside `x`, `x_low` and
    `x_high` are how sure it is; `intervals` says what they are, by measure or under "" for all. `forms` are the
    catalogue's forms of institutions and of the system. `parts` are what a measure of the system is the sum of,
    `moves` their values on the date before and now.
    """

    as_of: int
    version: int
    coverage: float
    system: dict[str, float] = field(default_factory=dict)
    codes: tuple[str, ...] = ()
    institutions: dict[str, Floats] = field(default_factory=dict)
    coverages: dict[str, float] = field(default_factory=dict)
    lacking: dict[str, Lack] = field(default_factory=dict)
    forms: tuple[str, str] = ("measures.institution", "measures.system")
    parts: dict[str, dict[str, float]] = field(default_factory=dict)
    moves: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    intervals: dict[str, str] = field(default_factory=dict)

    def covered(self, name: str) -> float:
        """Return the coverage that a measure was computed at."""
        return self.coverages.get(name, self.coverage)

    def interval_of(self, name: str) -> str:
        """Return what the bounds of a measure are, in words."""
        return self.intervals.get(name, self.intervals.get("", ""))

    def lack(self, names: Iterable[str], reason: str, detail: str) -> None:
        """Note why these measures have no value."""
        self.lacking.update(dict.fromkeys(names, Lack(reason, detail)))


def measure(network: Network, running: Running | None = None) -> Measured:
    """Compute every measure that what is known allows, and say of the others why not.

    Who has reported totals only is reconstructed (`streams.networks`): every measure of the network is then the
    median over the reconstructions, with the lowest and highest beside it. `running` keeps DebtRank up to date
    from one call to the next.
    """
    complete = network.equity.keys() & network.claims.keys()
    usable = network.equity.keys() & (network.claims.keys() | network.totals.keys())
    coverage = len(complete) / network.expected if network.expected else 0.0
    found = Measured(network.as_of, network.version, coverage, {"exposure_coverage": coverage}, network.codes)
    found.intervals[""] = RANGE
    known = sum(max(0.0, equity) for equity in network.equity.values())
    reported = sum(max(0.0, network.equity[code]) for code in usable)
    share = reported / known if known > 0 else 0.0
    if min(len(usable) / network.expected if network.expected else 0.0, share) < MIN_COVERAGE:
        detail = (
            f"{len(usable)} of {network.expected} institutions, with {share:.0%} of known equity, have reported"
            f" equity and exposures; {MIN_COVERAGE:.0%} of both are needed"
        )
        found.lack((*CONTAGION, *CONCENTRATION, *CLEARING, *FUNDING, *RECONSTRUCTED), "too_few_reports", detail)
    else:
        _network(network, found, running)
    _mismatch(network, found)
    _providers(network, found)
    return found


def _network(network: Network, found: Measured, running: Running | None) -> None:
    names = tuple(sorted(network.equity))
    drawn = networks(network, names)
    lent = sum(sum(claims.values()) for claims in network.claims.values())
    guessed = sum(network.totals[code][0] for code in network.equity if code in network.rough)
    found.system["exposure_reconstructed"] = guessed / (lent + guessed) if lent + guessed > 0 else 0.0
    each = [measure_network(network, names, claims, found, running if len(drawn) == 1 else None) for claims in drawn]
    where = _places(names, found.codes)
    for name in each[0].system:
        values = np.array([one.system.get(name, np.nan) for one in each])
        found.system[name] = float(np.median(values))
        if len(each) > 1:
            found.system[f"{name}_low"], found.system[f"{name}_high"] = float(values.min()), float(values.max())
    for name in each[0].institutions:
        table = np.array([one.institutions[name] for one in each])
        columns = {name: np.median(table, axis=0)}
        if len(each) > 1 and name != "interbank_largest_share":
            columns |= {f"{name}_low": table.min(axis=0), f"{name}_high": table.max(axis=0)}
        if name == "debtrank_impact":
            columns["debtrank_impact_rank"] = rankdata(-columns[name])
            if len(each) > 1:
                low, high = rank_range(table, 1.0)
                columns |= {"debtrank_impact_rank_low": low, "debtrank_impact_rank_high": high}
        for key, values in columns.items():
            found.institutions[key] = np.full(len(found.codes), np.nan)
            found.institutions[key][where] = values
    agreed = concordance(np.array([np.median([one.institutions[n] for one in each], axis=0) for n in OF_IMPORTANCE]))
    if np.isfinite(agreed):
        found.system["contagion_concordance"] = agreed
    else:
        found.lack(("contagion_concordance",), "nobody_told_apart", "a measure of contagion is the same for everybody")


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
    out.system["funding_defaults_largest"] = float(out.institutions["funding_defaults"].max())
    borrowed = dict(zip(names, np.asarray(claims.sum(axis=0)).tolist(), strict=True))
    for lender, claims_of in network.claims.items():
        for counterparty, amount in claims_of.items():
            if lender not in network.equity or counterparty not in network.equity:
                borrowed[counterparty] = borrowed.get(counterparty, 0.0) + amount
    outside = [sum(c.values()) for lender, c in network.claims.items() if lender not in network.equity]
    if sum(borrowed.values()) > 0:
        out.system["interbank_lender_hhi"] = hhi([*lent.tolist(), *outside])
        out.system["interbank_borrower_hhi"] = hhi(list(borrowed.values()))
    else:
        found.lack(CONCENTRATION, "nothing_lent", "no report names a claim")
    _clearing(network, names, claims, found, out)
    return out


def _clearing(
    network: Network, everyone: tuple[str, ...], network_claims: sparse.csr_array, found: Measured, out: OneNetwork
) -> None:
    """Clear all debts as the books stand, and after a loss of `STRESS` of every institution's external assets.

    Assets less claims inside are external assets; assets less equity and debts inside are external debts. Who
    has not filed total assets is outside: claims on it count as paid.
    """
    inside = np.array([code in network.assets for code in everyone])
    names = tuple(code for code in everyone if code in network.assets)
    share = len(names) / network.expected if network.expected else 0.0
    if share < MIN_COVERAGE:
        detail = (
            f"{len(names)} of {network.expected} institutions have filed equity and total assets;"
            f" {MIN_COVERAGE:.0%} are needed"
        )
        found.lack(CLEARING, "no_total_assets", detail)
        return
    claims = network_claims[inside][:, inside]
    assets = np.array([network.assets[code] for code in names])
    debts = assets - np.array([network.equity[code] for code in names])
    external_assets = np.maximum(0.0, assets - np.asarray(claims.sum(axis=1)))
    external_debts = np.maximum(0.0, debts - np.asarray(claims.sum(axis=0)))
    for suffix, kept in (("", 1.0), ("_stressed", 1.0 - STRESS)):
        cleared = clear(claims, kept * external_assets, external_debts)
        owed = float(cleared.total_liabilities.sum())
        out.system["clearing_defaults" + suffix] = float(np.count_nonzero(cleared.default))
        if owed > 0:
            out.system["clearing_shortfall" + suffix] = float(cleared.shortfall) / owed
        else:
            found.lack(("clearing_shortfall" + suffix,), "nothing_owed", "no institution owes anything")
    found.coverages.update(dict.fromkeys(CLEARING, share))


def _mismatch(network: Network, found: Measured) -> None:
    """Compare what lenders and borrowers say of the same date; a pair's amount is the larger of the two.

    Only pairs count of which both sides told: the lender its exposures and the borrower its borrowings.
    """
    told = np.zeros(len(found.codes))
    differing = np.zeros(len(found.codes))
    place = {code: position for position, code in enumerate(found.codes)}
    total = wrong = 0.0
    pairs = {(lender, borrower) for borrower, owed in network.owed.items() for lender in owed}
    pairs |= {(lender, borrower) for lender, claims in network.claims.items() for borrower in claims}
    for lender, borrower in sorted(pairs):
        if lender not in network.claims or borrower not in network.owed:
            continue
        if network.reported_at[lender] != network.reported_at[borrower]:
            continue
        claimed, admitted = network.claims[lender].get(borrower, 0.0), network.owed[borrower].get(lender, 0.0)
        amount = max(claimed, admitted)
        off = amount if abs(claimed - admitted) > TOLERANCE * amount else 0.0
        total += amount
        wrong += off
        for code in (lender, borrower):
            if code in place:
                told[place[code]] += amount
                differing[place[code]] += off
    if not total > 0:
        detail = "no exposure was reported by both its lender and its borrower for the same date"
        found.lack(MISMATCH, "no_borrowings", detail)
        return
    found.system["exposure_mismatch_share"] = wrong / total
    found.coverages["exposure_mismatch_share"] = len(network.owed) / network.expected if network.expected else 0.0
    found.institutions["exposure_mismatch_own_share"] = np.divide(
        differing, told, out=np.full(len(told), np.nan), where=told > 0
    )


def _providers(network: Network, found: Measured) -> None:
    """What outages of single providers would stop, and how services concentrate; weighted by total assets."""
    names = sorted(network.services.keys() & network.assets.keys())
    weights = np.array([network.assets[code] for code in names])
    share = len(names) / network.expected if network.expected else 0.0
    found.system["provider_coverage"] = share
    if share < MIN_COVERAGE or not weights.sum() > 0:
        detail = (
            f"{len(names)} of {network.expected} institutions have reported services and total assets;"
            f" {MIN_COVERAGE:.0%} are needed"
        )
        found.lack(PROVIDERS, "too_few_services", detail)
        return
    providers = sorted({provider for code in names for provider in network.services[code]})
    column = {provider: number for number, provider in enumerate(providers)}
    dependence = np.zeros((len(names), len(providers)))
    for row, code in enumerate(names):
        for provider, part in network.services[code].items():
            dependence[row, column[provider]] = min(1.0, part)
    found.coverages.update(dict.fromkeys((*PROVIDERS, "provider_coverage"), share))
    found.system["provider_outage_reach"] = provider_outage_reach(dependence, weights)
    if dependence.any():
        found.system["provider_concentration"] = provider_concentration(dependence, weights)
    else:
        found.lack(("provider_concentration",), "nothing_outsourced", "no institution depends on a provider")


def _places(names: tuple[str, ...], codes: tuple[str, ...]) -> NDArray[np.int64]:
    place = {code: position for position, code in enumerate(codes)}
    return np.array([place[name] for name in names], np.int64)
