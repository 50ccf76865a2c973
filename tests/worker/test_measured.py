"""Measures of a network for one date, against the functions they are made of and against numbers by hand."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from scipy import sparse

from rules.catalogue import load_catalogue
from streams.book import Book
from streams.entries import Level, Report
from streams.measured import Measured
from streams.measuring import measure
from streams.networks import Network, Running
from streams.third_parties import PROVIDERS
from streams.wire import DAY
from systemic.network.clearing import clear
from systemic.network.debtrank import impact_vulnerability
from systemic.network.funding import funding_defaults

CODES = ("A", "B", "C")
CLAIMS = {"A": {"B": 10.0}, "B": {"C": 20.0}, "C": {"A": 5.0}}
EQUITY = {"A": 8.0, "B": 15.0, "C": 4.0}
ASSETS = {"A": 100.0, "B": 200.0, "C": 60.0}


def network(**changes: object) -> Network:
    """Return three institutions of which everything but services and borrowings is known."""
    known: dict[str, object] = {
        "as_of": 0,
        "version": 1,
        "expected": 3,
        "equity": EQUITY,
        "assets": ASSETS,
        "claims": CLAIMS,
        "reported_at": dict.fromkeys(CLAIMS, 0),
    }
    return Network(**(known | changes))  # type: ignore[arg-type]


def matrix() -> np.ndarray:
    """Return the claims as a table."""
    return np.array([[CLAIMS[i].get(j, 0.0) for j in CODES] for i in CODES])


def column(measured: Measured, name: str) -> dict[str, float]:
    """Return an institution measure by code."""
    return dict(zip(measured.codes, measured.institutions[name].tolist(), strict=True))


def test_clearing_is_that_of_the_balance_sheets() -> None:
    """As the books stand nobody defaults; after a loss of 5 % of external assets, who has less equity than that."""
    found = measure(network()).system
    assert (found["clearing_shortfall"], found["clearing_defaults"]) == (0.0, 0.0)
    claims = matrix()
    assets, equity = np.array(list(ASSETS.values())), np.array(list(EQUITY.values()))
    external = assets - claims.sum(axis=1)
    by_hand = clear(claims, 0.95 * external, assets - equity - claims.sum(axis=0))
    assert found["clearing_defaults_stressed"] == by_hand.default.sum()
    assert found["clearing_shortfall_stressed"] == pytest.approx(by_hand.shortfall / by_hand.total_liabilities.sum())


def test_an_insolvent_institution_leaves_debts_unpaid() -> None:
    """B lacks 5 of the 205 it owes; all debts are 92 + 205 + 56. What A loses with it, its equity bears."""
    found = measure(network(equity={**EQUITY, "B": -5.0})).system
    assert found["clearing_defaults"] == 1.0
    assert found["clearing_shortfall"] == pytest.approx(5 / (92 + 205 + 56))


def test_funding_defaults_are_counted_for_each_failure() -> None:
    """The column is that of `systemic`, its largest is the system's."""
    found = measure(network())
    expected = funding_defaults(matrix(), np.array(list(EQUITY.values())))
    assert column(found, "funding_defaults") == dict(zip(CODES, expected.tolist(), strict=True))
    assert found.system["funding_defaults_largest"] == expected.max()


def test_sides_that_differ_by_more_than_a_percent_are_a_mismatch() -> None:
    """A's 10 is admitted within 1 %, B's 20 as 15, and C says that it also owes A, who claims nothing."""
    found = measure(network(owed={"B": {"A": 10.05}, "C": {"B": 15.0, "A": 2.0}}))
    assert found.system["exposure_mismatch_share"] == pytest.approx(22 / 32.05)
    own = column(found, "exposure_mismatch_own_share")
    assert own == pytest.approx({"A": 2 / 12.05, "B": 20 / 30.05, "C": 1.0})
    assert found.covered("exposure_mismatch_share") == pytest.approx(2 / 3)


def test_reports_of_different_dates_are_not_compared() -> None:
    """Last quarter's loan that has been repaid since is no contradiction."""
    found = measure(network(owed={"B": {"A": 1.0}}, reported_at={"A": -90 * DAY, "B": 0, "C": 0}))
    assert found.lacking["exposure_mismatch_share"].reason == "no_borrowings"


def test_providers_are_weighted_by_assets() -> None:
    """P stops half of A and all of C, more than all being all; Q a tenth of B."""
    found = measure(network(services={"A": {"P": 0.5}, "B": {"Q": 0.1}, "C": {"P": 1.2}}))
    assert found.system["provider_outage_reach"] == pytest.approx((50 + 60) / 360)
    assert found.system["provider_concentration"] == pytest.approx((110**2 + 20**2) / 130**2)
    assert found.covered("provider_concentration") == 1.0


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({"claims": {"A": {"B": 10.0}}}, "debtrank_system", "too_few_reports"),
        ({"claims": {"A": {"B": 10.0}}}, "clearing_shortfall", "too_few_reports"),
        ({"assets": {"A": 100.0}}, "clearing_shortfall_stressed", "no_total_assets"),
        ({"claims": {key: {} for key in CODES}}, "interbank_lender_hhi", "nothing_lent"),
        ({}, "exposure_mismatch_share", "no_borrowings"),
        ({"services": {"A": {"P": 0.5}}}, "provider_outage_reach", "too_few_services"),
        ({"services": {key: {} for key in CODES}}, "provider_concentration", "nothing_outsourced"),
        ({"expected": 0, "equity": {}, "claims": {}, "assets": {}}, "debtrank_largest", "too_few_reports"),
    ],
)
def test_what_is_missing_says_why(changes: dict[str, object], name: str, reason: str) -> None:
    """A measure has a value or a reason, with a sentence for people."""
    found = measure(network(**changes))
    assert name not in found.system
    assert found.lacking[name].reason == reason
    assert found.lacking[name].detail


def test_every_measure_has_a_value_or_a_reason_and_is_in_the_catalogue() -> None:
    """Nothing is computed that rules can't name, and nothing that rules can name stays unexplained."""
    catalogue = load_catalogue(["cn"])
    for known in (network(), network(services={key: {"P": 0.1} for key in CODES}, owed={"B": {"A": 10.0}})):
        found = measure(known)
        points = {name for name in catalogue.reported("measures.system") if not name.endswith(("_low", "_high"))}
        assert set(found.system) | set(found.lacking) == points
        assert not set(found.system) & set(found.lacking)
        assert set(found.institutions) <= set(catalogue.reported("measures.institution"))
    further = {"fire_sale_vulnerability", "dsib_score_largest", "gsib_score_largest"}
    assert set(measure(network()).lacking) == {"exposure_mismatch_share", *PROVIDERS, *further}


def same(a: Measured, b: Measured) -> bool:
    """Whether two results agree in every number and reason; versions aside."""
    return (
        (a.as_of, a.codes, a.lacking) == (b.as_of, b.codes, b.lacking)
        and a.system == pytest.approx(b.system, nan_ok=True)
        and a.institutions.keys() == b.institutions.keys()
        and all(np.allclose(a.institutions[n], b.institutions[n], equal_nan=True) for n in a.institutions)
    )


@pytest.mark.parametrize("seed", range(5))
def test_recomputing_only_what_is_due_equals_recomputing_everything(seed: int) -> None:
    """After every report and revision, dates that were not due would have come out as they stand."""
    rng = random.Random(seed)
    codes = [f"I{number}" for number in range(6)]
    book, standing, seen = Book(), dict[int, Measured](), Counter[tuple[str, str, int]]()
    for offset in range(60):
        code, date = rng.choice(codes), rng.randrange(6) * 91 * DAY
        if rng.random() < 0.4:
            equity = rng.uniform(1, 20)
            seen["level", code, date] += 1
            book.level(code, Level(date, seen["level", code, date], equity, 20 * equity), offset)
        else:
            claims = {other: rng.uniform(0, 5) for other in rng.sample(codes, 3) if other != code}
            owed = {other: rng.uniform(0, 5) for other in rng.sample(codes, 2) if other != code}
            seen["report", code, date] += 1
            book.report(code, Report(date, seen["report", code, date], claims, owed), offset, offset)
        for due, version in list(book.due.items()):
            standing[due] = measure(book.network(due, codes))
            book.done(due, version)
        assert [d for d in book.dates() if not same(standing[d], measure(book.network(d, codes)))] == []
    assert len(standing) > 1


def test_totals_stand_in_for_what_somebody_has_lent_to_whom() -> None:
    """C says that it has lent 5, A that it has borrowed 5 in all: nobody else can owe C, so all is as if C had told."""
    told = {code: CLAIMS[code] for code in ("A", "B")}
    totals = {"A": (10.0, 5.0), "B": (20.0, 10.0), "C": (5.0, 20.0)}
    found, whole = measure(network(claims=told, totals=totals)), measure(network())
    assert found.system["exposure_reconstructed"] == pytest.approx(5 / 35)
    assert found.system["exposure_coverage"] == pytest.approx(2 / 3)
    for name in set(whole.system) - {"exposure_coverage", "exposure_reconstructed"}:
        assert found.system[name] == pytest.approx(whole.system[name]), name
    for name in ("debtrank_system", "clearing_shortfall_stressed", "funding_defaults_largest"):
        assert found.system[f"{name}_low"] == pytest.approx(found.system[f"{name}_high"])


def test_without_bilateral_reports_every_network_measure_carries_its_range() -> None:
    """From margins alone many networks fit; the median lies in the range, and ranks say how little is sure."""
    rng = np.random.default_rng(5)
    codes = [f"I{number:02}" for number in range(12)]
    lent = rng.lognormal(1, 1, 12)
    totals = dict(zip(codes, zip(lent.tolist(), rng.permutation(lent).tolist(), strict=True), strict=True))
    equity = dict(zip(codes, (0.6 * lent).tolist(), strict=True))
    assets = {code: 30 * own for code, own in equity.items()}
    known = Network(0, 1, 12, equity=equity, assets=assets, totals=totals)
    found = measure(known)
    assert (found.system["exposure_coverage"], found.system["exposure_reconstructed"]) == (0.0, 1.0)
    ranged = [name for name in found.system if f"{name}_low" in found.system]
    assert {"debtrank_system", "debtrank_largest", "funding_defaults_largest", "clearing_shortfall"} <= set(ranged)
    for name in ranged:
        assert found.system[f"{name}_low"] <= found.system[name] <= found.system[f"{name}_high"]
    assert found.system["debtrank_system_low"] < found.system["debtrank_system_high"]
    low, high = column(found, "debtrank_impact_rank_low"), column(found, "debtrank_impact_rank_high")
    assert all(1 <= low[code] <= high[code] <= 12 for code in codes)
    assert any(low[code] < high[code] for code in codes)


def test_who_agrees_on_importance_is_told() -> None:
    """Kendall's concordance of DebtRank impact and of defaults by funding: both rank by who is owed to."""
    found = measure(network(equity={"A": 8.0, "B": 15.0, "C": 400.0}))
    assert 0 <= found.system["contagion_concordance"] <= 1
    alone = measure(Network(0, 1, 1, equity={"A": 8.0}, claims={"A": {}}, reported_at={"A": 0}))
    assert alone.lacking["contagion_concordance"].reason == "nobody_told_apart"


@pytest.mark.parametrize("seed", range(3))
def test_keeping_debtrank_up_to_date_equals_computing_it_anew(seed: int) -> None:
    """Whoever changes, one or many, with new equity or without, impacts and vulnerabilities are those of the whole."""
    rng = np.random.default_rng(seed)
    size = 60
    claims = rng.lognormal(0, 1, (size, size)) * (rng.random((size, size)) < 0.1)
    np.fill_diagonal(claims, 0.0)
    equity = claims.sum(axis=1) * rng.uniform(0.8, 3, size) + 0.5
    running = Running()
    for step in range(100):
        for row in rng.choice(size, 1 + (step % 10 == 9) * 40, replace=False):
            claims[row] *= rng.uniform(0.5, 1.5)
            equity[row] *= rng.uniform(0.9, 1.1)
        found = running.impacts(sparse.csr_array(claims), equity.copy(), equity)
        anew = impact_vulnerability(claims, equity, equity)
        assert found.impact == pytest.approx(anew.impact, abs=1e-9)
        assert found.vulnerability == pytest.approx(anew.vulnerability, abs=1e-9)
    assert running.incremental > 50
    assert running.difference < 1e-9
