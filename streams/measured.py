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

from systemic.network.clearing import clear
from systemic.network.concentration import hhi
from systemic.network.debtrank import impact_vulnerability
from systemic.network.funding import funding_defaults
from systemic.network.providers import provider_concentration, provider_outage_reach

MIN_COVERAGE = 0.8
TOLERANCE = 0.01
STRESS = 0.05
LARGEST_CASCADE = 1_000

CONTAGION = ("debtrank_system", "debtrank_largest")
CONCENTRATION = ("interbank_lender_hhi", "interbank_borrower_hhi")
CLEARING = ("clearing_shortfall", "clearing_defaults", "clearing_shortfall_stressed", "clearing_defaults_stressed")
FUNDING = ("funding_defaults_largest",)
MISMATCH = ("exposure_mismatch_share",)
PROVIDERS = ("provider_outage_reach", "provider_concentration")

Floats = NDArray[np.float64]


class Lack(msgspec.Struct, frozen=True, array_like=True):
    """Why a measure could not be computed: a code for programs and one sentence for people."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Network:
    """What was known for one date of the institutions that are supervised, by code; amounts in currency.

    `expected` is how many institutions should be in it, `version` the state of the book it was taken from.
    `claims` is what each lent to whom, `owed` what each says it owes whom, as of `reported_at`; `services` the
    shares of its critical services by provider.
    """

    as_of: int
    version: int
    expected: int
    equity: dict[str, float] = field(default_factory=dict)
    assets: dict[str, float] = field(default_factory=dict)
    reported_at: dict[str, int] = field(default_factory=dict)
    claims: dict[str, dict[str, float]] = field(default_factory=dict)
    owed: dict[str, dict[str, float]] = field(default_factory=dict)
    services: dict[str, dict[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """Measures of one date: for the system by name, and for institutions by name as columns beside `codes`.

    `coverage` is the share of institutions whose reports the network is made of, `coverages` the same for
    measures that are made of something else, `lacking` why a measure of the system has no value.
    """

    as_of: int
    version: int
    coverage: float
    system: dict[str, float] = field(default_factory=dict)
    codes: tuple[str, ...] = ()
    institutions: dict[str, Floats] = field(default_factory=dict)
    coverages: dict[str, float] = field(default_factory=dict)
    lacking: dict[str, Lack] = field(default_factory=dict)

    def covered(self, name: str) -> float:
        """Return the coverage that a measure was computed at."""
        return self.coverages.get(name, self.coverage)

    def lack(self, names: Iterable[str], reason: str, detail: str) -> None:
        """Note why these measures have no value."""
        self.lacking.update(dict.fromkeys(names, Lack(reason, detail)))


def measure(network: Network) -> Measured:
    """Compute every measure that what is known allows, and say of the others why not."""
    complete = network.equity.keys() & network.claims.keys()
    coverage = len(complete) / network.expected if network.expected else 0.0
    codes = tuple(sorted(network.equity.keys() | network.owed.keys()))
    found = Measured(network.as_of, network.version, coverage, {"exposure_coverage": coverage}, codes)
    known = sum(max(0.0, equity) for equity in network.equity.values())
    reported = sum(max(0.0, network.equity[code]) for code in complete)
    share = reported / known if known > 0 else 0.0
    if min(coverage, share) < MIN_COVERAGE:
        detail = (
            f"{len(complete)} of {network.expected} institutions, with {share:.0%} of known equity, have reported"
            f" equity and exposures; {MIN_COVERAGE:.0%} of both are needed"
        )
        found.lack((*CONTAGION, *CONCENTRATION, *CLEARING, *FUNDING), "too_few_reports", detail)
    else:
        _contagion(network, found)
        _clearing(network, found)
    _mismatch(network, found)
    _providers(network, found)
    return found


def _contagion(network: Network, found: Measured) -> None:
    """Linear DebtRank weighted by equity, defaults by credit and funding, and how concentrated lending is.

    An impact is the share of the system's equity that is lost beside the failing institution's own.
    """
    names = tuple(sorted(network.equity))
    where = _places(names, found.codes)
    claims = claims_between(network, names)
    equity = np.array([max(0.0, network.equity[code]) for code in names])
    impacts = impact_vulnerability(claims, equity, equity)
    lent = np.array([sum(network.claims.get(code, {}).values()) for code in names])
    largest = np.array([max(network.claims.get(code, {}).values(), default=0.0) for code in names])
    found.system["debtrank_system"] = float(impacts.impact.mean())
    found.system["debtrank_largest"] = float(impacts.impact.max())
    shares = np.divide(largest, lent, out=np.full(len(names), np.nan), where=lent > 0)
    columns = {
        "debtrank_impact": impacts.impact,
        "debtrank_vulnerability": impacts.vulnerability,
        "interbank_largest_share": shares,
    }
    if len(names) <= LARGEST_CASCADE:
        columns["funding_defaults"] = funding_defaults(claims, equity)
        found.system["funding_defaults_largest"] = float(columns["funding_defaults"].max())
    else:
        detail = f"{len(names)} institutions; cascades of every single failure are run for up to {LARGEST_CASCADE}"
        found.lack(FUNDING, "too_many_institutions", detail)
    for name, values in columns.items():
        column = np.full(len(found.codes), np.nan)
        column[where] = values
        found.institutions[name] = column
    borrowed: dict[str, float] = {}
    for claims_of in network.claims.values():
        for counterparty, amount in claims_of.items():
            borrowed[counterparty] = borrowed.get(counterparty, 0.0) + amount
    if not borrowed or not sum(borrowed.values()) > 0:
        found.lack(CONCENTRATION, "nothing_lent", "no report names a claim")
        return
    found.system["interbank_lender_hhi"] = hhi([sum(claims_of.values()) for claims_of in network.claims.values()])
    found.system["interbank_borrower_hhi"] = hhi(list(borrowed.values()))


def _clearing(network: Network, found: Measured) -> None:
    """Clear all debts as the books stand, and after a loss of `STRESS` of every institution's external assets.

    Assets less claims inside are external assets; assets less equity and debts inside are external debts. Who
    has not filed total assets is outside: claims on it count as paid.
    """
    names = tuple(sorted(network.equity.keys() & network.assets.keys()))
    share = len(names) / network.expected if network.expected else 0.0
    if share < MIN_COVERAGE:
        detail = (
            f"{len(names)} of {network.expected} institutions have filed equity and total assets;"
            f" {MIN_COVERAGE:.0%} are needed"
        )
        found.lack(CLEARING, "no_total_assets", detail)
        return
    claims = claims_between(network, names)
    assets = np.array([network.assets[code] for code in names])
    debts = assets - np.array([network.equity[code] for code in names])
    external_assets = np.maximum(0.0, assets - np.asarray(claims.sum(axis=1)))
    external_debts = np.maximum(0.0, debts - np.asarray(claims.sum(axis=0)))
    for suffix, kept in (("", 1.0), ("_stressed", 1.0 - STRESS)):
        cleared = clear(claims, kept * external_assets, external_debts)
        owed = float(cleared.total_liabilities.sum())
        found.system["clearing_defaults" + suffix] = float(np.count_nonzero(cleared.default))
        if owed > 0:
            found.system["clearing_shortfall" + suffix] = float(cleared.shortfall) / owed
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


def claims_between(network: Network, names: tuple[str, ...]) -> sparse.csr_array:
    """Return claims[i, j], what names[i] has lent to names[j], in currency."""
    place = {code: position for position, code in enumerate(names)}
    entries = [
        (place[lender], place[borrower], amount)
        for lender, claims in network.claims.items()
        if lender in place
        for borrower, amount in claims.items()
        if borrower in place and amount > 0
    ]
    rows, columns, amounts = zip(*entries, strict=True) if entries else ((), (), ())
    where = (np.array(rows, np.int64), np.array(columns, np.int64))
    return sparse.csr_array((np.array(amounts, np.float64), where), shape=(len(names), len(names)))


def _places(names: tuple[str, ...], codes: tuple[str, ...]) -> NDArray[np.int64]:
    place = {code: position for position, code in enumerate(codes)}
    return np.array([place[name] for name in names], np.int64)
