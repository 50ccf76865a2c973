"""The synthetic sector: seeded, true to the wire, calibrated, and as quiet as it claims to be."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date

import numpy as np
import pytest

from guanlan.synthetic import Sector, wide_filings
from guanlan.synthetic.population import SMALLEST
from guanlan.synthetic.timeline import DAY, ordinal
from rules.calendar import due
from rules.catalogue import parse_catalogues
from rules.problems import ConfigError
from streams.decode import Decoder
from streams.exposures import decode_exposures
from tests.demo.replay import replay, shares

pytestmark = pytest.mark.xdist_group("demo-sector")


@pytest.fixture(scope="module")
def sector() -> Sector:
    """The sector that the demo shows."""
    return Sector()


def small(**changes: object) -> Sector:
    """A sector of the least size."""
    return Sector(**{"seed": 3, "institutions": SMALLEST, "quarters": 4, **changes})  # type: ignore[arg-type]


def weighted(sector: Sector, form: str, name: str, weight: str, weight_form: str | None = None) -> float:
    """Mean of an indicator over banks at the reference date, weighted by another."""
    panel, other = sector.panels[form], sector.panels[weight_form or form]
    step = int(np.searchsorted(panel.days, sector.timeline.reference))
    at = int(np.searchsorted(other.days, sector.timeline.reference))
    weights = other.values[at, other.indicators.index(weight), : len(panel.members)]
    return float(np.average(panel.values[step, panel.indicators.index(name)], weights=weights))


def test_the_same_seed_gives_the_same_bytes() -> None:
    """And another seed gives others."""
    once, again, other = small(), small(), small(seed=4)
    assert list(once.records()) == list(again.records())
    assert list(once.records()) != list(other.records())


def test_records_come_in_order_of_arrival(sector: Sector) -> None:
    """Also across topics, so that a feeder needs no sorting."""
    times = [record.at for record in sector.records()]
    assert times == sorted(times)


def test_filings_can_be_cut_anywhere(sector: Sector) -> None:
    """History and live days together are everything, each record once."""
    everything = [r.value for r in sector.records()]
    parts = [*sector.records(until=sector.live_from), *sector.records(since=sector.live_from)]
    assert [r.value for r in parts] == everything


def test_the_worker_refuses_what_was_meant_to_be_refused_and_nothing_else(sector: Sector) -> None:
    """The planted upload is refused record by record, with the reasons that the story names."""
    records = [r for r in sector.records() if r.topic == "filings"]
    decoded = Decoder(sector.catalogue).decode([r.value for r in records], [r.key.encode() for r in records])
    found = Counter(str(refused.reason) for refused in decoded.rejected)
    story = next(s for s in sector.stories if s.rejected)
    assert found == Counter(story.rejected)
    assert {records[refused.position].key for refused in decoded.rejected} == set(story.institutions)


def test_good_filings_are_the_records_that_are_not_refused() -> None:
    """`filings` gives the same as dictionaries, without the planted upload."""
    records = [r for r in small().records() if r.topic == "filings"]
    decoded = Decoder(small().catalogue).decode([r.value for r in records])
    bad = {refused.position for refused in decoded.rejected}
    assert list(small().filings()) == [json.loads(r.value) for i, r in enumerate(records) if i not in bad]


def test_exposure_reports_are_good_and_agree_with_the_balance_sheets(sector: Sector) -> None:
    """What a bank has lent to others is its interbank assets, and what others lent to it its liabilities.

    Of the few who know their totals only, what their borrowers say is taken, and adds up to those.
    """
    reports = list(sector.exposures())
    raw = [r.value for r in sector.records() if r.topic == "exposures"]
    decoded, rejected = decode_exposures(raw, 8_000_000)
    assert (len(decoded), rejected) == (len(reports), [])
    as_of = reports[0]["as_of"]
    panel = sector.panels["cn.liquidity.d"]
    day = int(np.searchsorted(panel.days, ordinal(date.fromisoformat(reports[-1]["as_of"]))))
    last = [r for r in reports if r["as_of"] == reports[-1]["as_of"]]
    assert as_of <= reports[-1]["as_of"]
    owed: Counter[str] = Counter()
    for report in last:
        for exposure in report.get("exposures", ()):
            owed[exposure["counterparty"]] += exposure["amount"]
    lent = {r["institution"]: sum(e["amount"] for e in r.get("exposures", ())) for r in last}
    vague = {r["institution"]: r["totals"]["lent"] for r in last if "totals" in r}
    told: Counter[str] = Counter()
    for report in last:
        for debt in report.get("borrowings", ()):
            if debt["counterparty"] in vague:
                owed[report["institution"]] += debt["amount"]
                told[debt["counterparty"]] += debt["amount"]
    assert len(vague) == 2
    assert told == pytest.approx(vague)
    names = panel.indicators
    for position, member in enumerate(panel.members):
        code = sector.institutions[member].code
        assets, liabilities = (
            panel.values[day, names.index(f"interbank_{side}"), position] for side in ("assets", "liabilities")
        )
        assert lent[code] == pytest.approx(assets, rel=1e-3, abs=1e6)
        assert owed[code] == pytest.approx(liabilities, rel=1e-3, abs=1e6)


@pytest.mark.parametrize(
    ("name", "weight", "expected"),
    [
        ("npl_ratio", "total_loans", 0.0150),
        ("special_mention_ratio", "total_loans", 0.022),
        ("provision_coverage", "npl_balance", 2.05),
        ("cet1_ratio", "risk_weighted_assets", 0.1092),
        ("tier1_ratio", "risk_weighted_assets", 0.1237),
        ("capital_ratio", "risk_weighted_assets", 0.1546),
    ],
)
def test_banks_are_calibrated_to_the_sector(sector: Sector, name: str, weight: str, expected: float) -> None:
    """Weighted means are within 5 % of the regulator's release for the end of 2025."""
    assert weighted(sector, "cn.prudential.q", name, weight) == pytest.approx(expected, rel=0.05)


def test_sizes_follow_the_release(sector: Sector) -> None:
    """Large and joint-stock banks hold what they held: all of them are in the sector."""
    types, assets = sector.population.types, sector.population.assets
    assert assets[types == "large_bank"].sum() == pytest.approx(210.8e12)
    assert assets[types == "joint_stock_bank"].sum() == pytest.approx(77.8e12)


def test_books_balance(sector: Sector) -> None:
    """Assets are liabilities and equity, ratios are their parts, for every institution and quarter."""
    panel = sector.panels["cn.balance.q"]
    assets, liabilities, equity = (
        panel.values[:, panel.indicators.index(n)] for n in ("total_assets", "total_liabilities", "equity")
    )
    np.testing.assert_allclose(assets, liabilities + equity, rtol=1e-6, atol=2e4)
    daily = sector.panels["cn.liquidity.d"]
    lcr, hqla, net = (daily.values[:, daily.indicators.index(n)] for n in ("lcr", "hqla", "net_outflows_30d"))
    np.testing.assert_allclose(lcr, hqla / net, atol=1e-3)


@pytest.mark.parametrize("seed", [7, 1, 20])
def test_every_story_is_seen_and_the_healthy_stay_silent(seed: int) -> None:
    """All expected rules fire; institutions to which nothing was planted raise no alert at all."""
    sector = Sector(seed=seed)
    out = replay(sector)
    assert {story.id: out.seen.lacking(story) for story in sector.stories} == {s.id: [] for s in sector.stories}
    assert [(t.rule, t.subject) for t in out.seen.others(sector.stories)] == []
    assert out.refused_by_engine == 0
    assert max(shares(out.seen).values()) <= len(sector.stories)


def test_the_slow_run_is_seen_before_the_legal_ratio_breaks() -> None:
    """That is what the rule is for: the run is named while coverage is still above 100 %."""
    sector = small()
    seen = replay(sector).seen
    bank = next(s for s in sector.stories if s.id == "slow_run").institutions[0]
    alert = seen.fired["bank.liquidity.slow_run", bank]
    panel = sector.panels["cn.liquidity.d"]
    position = int(np.searchsorted(panel.members, [i.code for i in sector.institutions].index(bank)))
    ratio = panel.values[:, panel.indicators.index("lcr"), position]
    broken = panel.days[np.argmax(ratio < 1.0)] if (ratio < 1.0).any() else panel.days[-1]
    assert ordinal(date.fromisoformat(alert.as_of[:10])) < broken


@pytest.mark.parametrize(
    "end", [date(2025, 10, 9), date(2026, 1, 2), date(2026, 2, 20), date(2026, 5, 1), date(2026, 11, 23)]
)
def test_every_story_fits_whenever_the_demo_is_played(end: date) -> None:
    """The live days hold a whole round of quarterly returns: due, late, and come at last."""
    sector = small(end=end)
    late = next(s for s in sector.stories if s.id == "late_filer")
    deadline = due(sector.catalogue.forms["cn.prudential.q"], late.begins) // DAY
    assert sector.timeline.live[0] <= ordinal(late.begins) < deadline < ordinal(late.ends) <= ordinal(end)
    assert all(story.begins <= story.ends <= end for story in sector.stories)


def test_too_small_a_sector_is_refused_in_words() -> None:
    """Below 40 institutions some type would have none."""
    with pytest.raises(ConfigError, match="at least 40"):
        Sector(institutions=10)


def test_wide_filings_pass_the_decoder() -> None:
    """A load of any width is good against its own catalogue."""
    wide = wide_filings(institutions=5, indicators=300, filings=23)
    records = list(wide.records())
    decoded = Decoder(parse_catalogues([(wide.catalogue, "wide")])).decode([r.value for r in records])
    assert decoded.rejected == []
    assert (len(records), decoded.forms[0].values.shape) == (23, (300, 23))
