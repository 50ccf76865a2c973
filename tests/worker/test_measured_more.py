"""Measures beside the network of a date: third parties, common assets, importance, cascades; against the functions."""

from __future__ import annotations

import numpy as np
import pytest

from rules.assets import AssetClass
from rules.catalogue import load_catalogue
from streams.cascades import CASCADES, WHOLE, measure_cascades
from streams.importance import METHODS
from streams.measuring import measure
from streams.networks import Figures
from systemic.importance.scores import importance_scores
from systemic.network.cascade import debtrank_2012_impact, furfine_defaults, threshold_impact
from systemic.network.clearing import clear
from systemic.network.concentration import gini, largest_share
from systemic.network.firesale import fire_sale
from systemic.network.providers import outages
from tests.worker.test_measured import ASSETS, CODES, EQUITY, column, matrix, network


def test_shape_and_concentration_are_those_of_the_functions() -> None:
    """Three of six links; borrowing 5, 10 and 20; each lends to one and borrows of one."""
    found = measure(network())
    assert found.system["interbank_density"] == 0.5
    assert found.system["interbank_borrower_gini"] == pytest.approx(gini([5, 10, 20]))
    assert found.system["interbank_borrower_top_five"] == largest_share([5, 10, 20]) == 1.0
    assert column(found, "lending_hhi") == column(found, "funding_hhi") == dict.fromkeys(CODES, 1.0)
    claims, assets = matrix(), np.array(list(ASSETS.values()))
    external = assets - claims.sum(axis=1)
    cleared = clear(claims, 0.95 * external, assets - np.array(list(EQUITY.values())) - claims.sum(axis=0))
    paid = cleared.payment / cleared.total_liabilities
    assert list(column(found, "clearing_payment_ratio_stressed").values()) == pytest.approx(paid.tolist())


def test_providers_of_providers_stop_what_hangs_on_them() -> None:
    """Q stands behind P for 80 %, as the most pessimistic user says; B could move half of what it has at P."""
    services = {"A": {"P": 0.5}, "B": {"P": 0.4}, "C": {"R": 1.0}}
    chains = {"A": {"P": {"Q": 0.8}}, "B": {"P": {"Q": 0.3, "P": 1.0}}}
    found = measure(network(services=services, chains=chains, movable={"B": {"P": 0.5}}))
    stuck = [[0.5, 0, 0], [0.2, 0, 0], [0, 0, 1.0]]
    behind = [[0, 0.8, 0], [0, 0, 0], [0, 0, 0]]
    expected = outages(stuck, [100, 200, 60], behind)
    assert found.cases["provider_outage_reach"] == pytest.approx(dict(zip("PQR", expected.reach, strict=True)))
    assert found.system["provider_outage_reach"] == pytest.approx(expected.reach.max())
    assert found.system["provider_nth_party_reach"] == pytest.approx(0.8 * (50 + 40) / 360)
    assert column(found, "provider_dependence_largest") == pytest.approx({"A": 0.5, "B": 0.2, "C": 1.0})
    parts = found.parts["provider_concentration"]
    assert sum(parts.values()) == pytest.approx(found.system["provider_concentration"])
    assert parts == pytest.approx({"P": (130 / 190) ** 2, "Q": 0.0, "R": (60 / 190) ** 2})


CLASSES = (AssetClass("bonds", -0.1, 0.2), AssetClass("shares", -0.3, 0.5))
HELD = {"A": {"bonds": 40.0, "shares": 10.0}, "B": {"bonds": 100.0}, "C": {"shares": 20.0, "bonds": 5.0}}


def test_fire_sales_are_those_of_the_catalogues_classes() -> None:
    """What each sells costs all; parts sum to the whole; each class alone; bounds at half and twice the impact."""
    found = measure(network(figures={"holdings": Figures(3, HELD)}, classes=CLASSES))
    held = np.array([[HELD[c].get(k, 0.0) for k in ("bonds", "shares")] for c in CODES])
    equity, impact = list(EQUITY.values()), np.array([0.2, 0.5]) / held.sum(axis=0)
    made = fire_sale(held, equity, impact, [-0.1, -0.3])
    whole = found.system["fire_sale_vulnerability"]
    assert whole == pytest.approx(made.aggregate_vulnerability)
    assert sum(column(found, "fire_sale_systemicness").values()) == pytest.approx(whole)
    assert list(column(found, "fire_sale_indirect_loss").values()) == pytest.approx((made.indirect / equity).tolist())
    alone = fire_sale(held, equity, impact, [0.0, -0.3])
    assert found.cases["fire_sale_vulnerability"]["shares"] == pytest.approx(alone.aggregate_vulnerability)
    low, high = (found.system[f"fire_sale_vulnerability_{bound}"] for bound in ("low", "high"))
    assert low < whole < high
    assert found.interval_of("fire_sale_vulnerability") == "price impact halved and doubled"


@pytest.mark.parametrize("prefix", METHODS)
def test_scores_are_those_of_the_method(prefix: str) -> None:
    """Score, bucket and surcharge of those who filed all; one who left an indicator out has none."""
    method, rng = METHODS[prefix], np.random.default_rng(5)
    filed = {code: {name: float(rng.lognormal(0, 1)) for name in method.indicators} for code in CODES}
    filed["D"] = dict.fromkeys(method.indicators[1:], 1.0)
    found = measure(network(figures={prefix: Figures(3, filed)}))
    scores = importance_scores(method, {k: np.array([filed[c][k] for c in CODES]) for k in method.indicators})
    assert list(column(found, f"{prefix}_score").values()) == pytest.approx(scores.score.tolist())
    assert list(column(found, f"{prefix}_score_bucket").values()) == scores.bucket.tolist()
    assert list(column(found, f"{prefix}_score_surcharge").values()) == pytest.approx(scores.surcharge.tolist())
    assert found.system[f"{prefix}_score_largest"] == pytest.approx(scores.score.max())
    assert found.covered(f"{prefix}_score_largest") == 1.0


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({}, "fire_sale_vulnerability", "no_indicators"),
        (
            {"figures": {"holdings": Figures(9, HELD)}, "classes": CLASSES},
            "fire_sale_vulnerability",
            "too_few_indicators",
        ),
        ({"figures": {"dsib": Figures(3)}}, "dsib_score_largest", "too_few_indicators"),
        ({}, "gsib_score_largest", "no_indicators"),
    ],
)
def test_what_was_not_filed_says_why(changes: dict[str, object], name: str, reason: str) -> None:
    """A reason and a sentence."""
    lack = measure(network(**changes)).lacking[name]
    assert lack.reason == reason
    assert " " in lack.detail


def test_cascades_are_those_of_the_functions() -> None:
    """Impacts weigh by equity; the largest are the system's; what the stress adds is attributed in full."""
    thin = network(equity={"A": 4.0, "B": 8.0, "C": 2.0})
    found = measure_cascades(thin)
    claims, equity = matrix(), np.array([4.0, 8.0, 2.0])
    expected = {
        "threshold_impact": threshold_impact(claims, equity, equity),
        "furfine_defaults": furfine_defaults(claims, equity),
        "debtrank_2012_impact": debtrank_2012_impact(claims, equity, equity),
    }
    for name in CASCADES:
        assert list(column(found, name).values()) == pytest.approx(expected[name].tolist())
        assert found.system[f"{name}_largest"] == pytest.approx(expected[name].max())
    quick = measure(thin).system
    added = quick["clearing_shortfall_stressed"] - quick["clearing_shortfall"]
    assert added > 0
    assert found.system["clearing_shortfall_added"] == pytest.approx(added)
    assert sum(found.parts["clearing_shortfall_added"].values()) == pytest.approx(added)
    assert set(found.parts["clearing_shortfall_added"]) == set(CODES)


def test_the_spread_over_networks_goes_with_the_cascades() -> None:
    """Where somebody told totals only, the measures are medians with the lowest and highest beside them."""
    codes = [f"I{n}" for n in range(9)]
    rng = np.random.default_rng(2)
    amounts = rng.lognormal(1, 1, 9).tolist()
    equity = dict.fromkeys(codes, 2.0)
    found = measure_cascades(
        network(
            expected=9, equity=equity, assets=dict.fromkeys(codes, 60.0), claims={}, reported_at={},
            totals={code: (x, y) for code, x, y in zip(codes, amounts, amounts[::-1], strict=True)},
        )
    )  # fmt: skip
    for name in CASCADES:
        low, value, high = (found.system[f"{name}_largest{bound}"] for bound in ("_low", "", "_high"))
        assert low <= value <= high
    assert len(found.parts["clearing_shortfall_added"]) == 8
    assert "others" in found.parts["clearing_shortfall_added"]


def test_cascades_have_a_value_or_a_reason_and_are_in_the_catalogue() -> None:
    """As the quick ones."""
    catalogue = load_catalogue(["cn"])
    system = {n for n in catalogue.reported("measures.cascade_system") if not n.endswith(("_low", "_high"))}
    whole = measure_cascades(network())
    assert set(whole.system) | set(whole.lacking) == system == {*WHOLE, "cascade_coverage"}
    few = measure_cascades(network(claims={"A": {"B": 1.0}}))
    assert {lack.reason for lack in few.lacking.values()} == {"too_few_reports"}
    assert set(few.lacking) == set(WHOLE)
    bare = measure_cascades(network(assets={}))
    assert bare.lacking["clearing_shortfall_added"].reason == "no_total_assets"
    assert set(whole.institutions) <= set(catalogue.reported("measures.cascade"))
