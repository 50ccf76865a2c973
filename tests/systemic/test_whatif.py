"""Scenarios: each channel by hand, and what must hold whatever happens."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from systemic.arrays import Vector
from systemic.network.clearing import clear
from systemic.network.debtrank import linear_debtrank
from systemic.network.distress import distress
from systemic.whatif import DISTRESS, FIRE_SALE, Model, Outcome, Sector, Shock, run, sector
from tests.systemic.network.worlds import World, sectors

NO_IMPACT = Model(price_impact=np.zeros(1))


def shock(size: int, classes: int = 1, **parts: object) -> Shock:
    given = {
        "losses": np.zeros(size),
        "returns": np.zeros(classes),
        "withdrawn": np.zeros(size),
        "outage": np.zeros(size),
    }
    return Shock(**(given | {name: np.asarray(value, dtype=float) for name, value in parts.items()}))  # type: ignore[arg-type]


def test_a_quiet_day() -> None:
    before = sector([[0, 2], [0, 0]], [10, 10], [8, 5])
    end = run(before, shock(2), NO_IMPACT)
    assert len(end.rounds) == 1
    assert end.losses.sum() == 0.0
    assert end.equity.tolist() == before.equity.tolist() == [4, 3]
    assert end.ratio == pytest.approx([4 / 12, 3 / 10])


def test_default_passes_on_by_clearing() -> None:
    """B (assets 10, owes 4 to A and 5 outside) loses 6: it has 4 for 9, pays 4/9, and A loses 5/9 of its 4."""
    before = sector([[0, 4], [0, 0]], [10, 10], [8, 5])
    end = run(before, shock(2, losses=[0, 0.6]), NO_IMPACT)
    assert end.losses[0] == pytest.approx([0, 6])
    assert end.losses[1] == pytest.approx([4 * 5 / 9, 0])
    assert end.equity == pytest.approx([6 - 20 / 9, -5])
    assert end.default.tolist() == [False, True]
    assert [r.defaults.tolist() for r in end.rounds] == [[1], []]


def test_one_seller_by_hand() -> None:
    """Assets 100, equity 5, minimum 10 %: it must shrink to 50, so sells 50; without impact it stops there."""
    end = run(sector([[0.0]], [100], [95]), shock(1), Model(minimum_ratio=0.1, price_impact=np.zeros(1)))
    assert end.ratio == pytest.approx([0.1])
    assert end.rounds[1].sold == pytest.approx(np.array([[50.0]]))
    assert end.losses.sum() == 0.0


def test_a_fire_sale_hits_who_holds_the_same() -> None:
    """A sells half the sector's holdings of a class whose price falls by 19 % if all is sold: by 10 % for half.

    A and B hold 100 each, A without debts inside and with all of it called: it sells until 90 is raised at
    prices 1 − 10 % each. 1 − 0.81^½ = 0.1. B loses 10.
    """
    before = sector(np.zeros((2, 2)), [100, 100], [90, 50])
    end = run(before, shock(2, withdrawn=[1.0, 0.0]), Model(price_impact=np.array([0.19])))
    assert end.prices == pytest.approx([0.9])
    assert end.losses[FIRE_SALE] == pytest.approx([10, 10])
    assert not end.illiquid.any()


def test_who_cannot_pay_what_is_called_is_illiquid() -> None:
    """A has 10 to sell and 50 lent to B, which need not pay yet; 20 of its 30 outside are called."""
    before = sector([[0, 50], [0, 0]], [10, 100], [30, 20])
    end = run(before, shock(2, withdrawn=[2 / 3, 0]), NO_IMPACT)
    assert end.illiquid.tolist() == [True, False]
    assert not end.default.any()
    assert end.losses.sum() == pytest.approx(0.0)


def test_the_weak_recall_what_they_have_lent() -> None:
    """A (equity 1 of 100) recalls half of the 40 it has lent to B; B pays 5 from cash and sells 15."""
    before = sector([[0, 40], [0, 0]], [60, 60], [99, 10], cash=[0, 5])
    model = Model(minimum_ratio=0.02, recall=0.5, price_impact=np.zeros(1))
    end = run(before, shock(2), model)
    assert end.rounds[1].recalled == pytest.approx(20)
    assert end.rounds[1].sold[1] == pytest.approx([15])
    assert end.ratio[0] == pytest.approx(0.02)


def test_an_outage_costs_its_share_of_assets() -> None:
    end = run(sector([[0.0]], [90], [50], cash=[10]), shock(1, outage=[0.15]), NO_IMPACT)
    assert end.losses[0] == pytest.approx([15])
    assert end.equity == pytest.approx([35])


def test_severity_stops_at_all_there_is() -> None:
    twice = shock(1, losses=[0.7], returns=[-0.6], withdrawn=[0.2]).scaled(2)
    assert (twice.losses[0], twice.returns[0], twice.withdrawn[0]) == (1.0, -1.0, 0.4)


@pytest.mark.parametrize(
    ("parts", "model", "words"),
    [
        ({"losses": [2.0]}, NO_IMPACT, "losses has a value above 1"),
        ({"returns": [-2.0]}, NO_IMPACT, "returns has a value below -1"),
        ({}, Model(price_impact=np.array([1.0])), "price_impact must be below 1"),
        ({}, Model(price_impact=np.zeros(2)), "price_impact must be 1 numbers"),
        ({}, Model(minimum_ratio=2.0, price_impact=np.zeros(1)), "minimum_ratio must be between"),
    ],
)
def test_what_is_wrong_is_said(parts: dict[str, list[float]], model: Model, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run(sector([[0.0]], [1], [0]), shock(1, **parts), model)


def scenario(world: World, seed: int) -> tuple[Sector, Shock, Model]:
    generator = np.random.default_rng(seed)
    size = world.size
    holdings = generator.lognormal(1, 1, (size, 2)) * (generator.random((size, 2)) < 0.8)
    claims = world.exposures.sum(axis=1) - world.exposures.sum(axis=0)
    debts = np.maximum(holdings.sum(axis=1) + claims, 0.0) * generator.uniform(0.5, 0.97, size)
    before = sector(world.exposures, holdings, debts, generator.random(size))
    event = Shock(
        generator.random(size) * 0.2,
        -generator.random(2) * 0.2,
        generator.random(size) * 0.3,
        generator.random(size) * 0.02,
    )
    ratio, recall = generator.choice([0.0, 0.05]), generator.choice([0.0, 0.5])
    written_off = float(generator.choice([0.0, 0.3, 1.0]))
    return before, event, Model(float(ratio), float(recall), np.array([0.1, 0.4]), "senior", 0.8, 0.9, written_off)


def held_together(before: Sector, end: Outcome) -> None:
    assert (end.losses[1:] >= -1e-9).all()
    assert end.equity == pytest.approx(end.assets - end.liabilities, abs=1e-8), "the balance sheets balance"
    assert end.equity == pytest.approx(before.equity - end.losses.sum(axis=0), abs=1e-9)
    assert np.sum([r.losses for r in end.rounds], axis=0) == pytest.approx(end.losses)
    assert sum(end.by_channel.values()) == pytest.approx(before.equity.sum() - end.equity.sum(), abs=1e-8)
    fallen = [i for r in end.rounds for i in r.defaults.tolist()]
    assert sorted(fallen) == np.flatnonzero(end.default).tolist(), "each defaults in one round"
    prices = np.array([r.prices for r in end.rounds])
    assert (np.diff(prices, axis=0) <= 1e-12).all(), "prices only fall"


@given(sectors(most=6), st.integers(0, 2**32 - 1))
def test_losses_by_channel_and_round_are_the_change_of_equity(world: World, seed: int) -> None:
    before, event, model = scenario(world, seed)
    held_together(before, run(before, event, model))


@given(sectors(most=6), st.integers(0, 2**32 - 1))
def test_a_harder_shock_is_not_milder(world: World, seed: int) -> None:
    """Without sales and recalls, which may stop a run early, losses and defaults grow with severity."""
    before, event, model = scenario(world, seed)
    plain = Model(0.0, 0.0, model.price_impact * 0, "senior", 0.8, 0.9)
    mild, hard = run(before, event.scaled(0.5), plain), run(before, event, plain)
    assert (hard.default | ~mild.default).all()
    assert hard.losses.sum() >= mild.losses.sum() - 1e-9


@given(sectors(most=6), st.integers(0, 2**32 - 1), st.floats(1e-3, 1e6))
def test_currency_does_not_matter(world: World, seed: int, rate: float) -> None:
    before, event, model = scenario(world, seed)
    dear = Sector(before.exposures * rate, before.holdings * rate, before.cash * rate, before.debts * rate, before.risk)
    one, other = run(before, event, model), run(dear, event, model)
    assert other.equity == pytest.approx(one.equity * rate, rel=1e-6, abs=1e-6 * rate)
    assert np.array_equal(other.default, one.default)


def clearing_after(before: Sector, losses: Vector) -> Vector:
    outside = before.holdings.sum(axis=1) * (1 - losses)
    found = clear(before.exposures, outside, before.debts)
    return np.asarray(
        before.exposures
        @ (1 - np.where(found.total_liabilities > 0, found.payment / np.maximum(found.total_liabilities, 1e-300), 1))
    )


@given(sectors(most=6), st.integers(0, 2**32 - 1))
def test_clearing_alone_is_one_clearing(world: World, seed: int) -> None:
    before, event, _ = scenario(world, seed)
    alone = Sector(before.exposures, before.holdings[:, :1], before.cash * 0, before.debts, before.risk)
    end = run(alone, shock(world.size, losses=event.losses), Model(price_impact=np.zeros(1)))
    assert end.losses[1] == pytest.approx(clearing_after(alone, event.losses), abs=1e-9)


def test_distress_by_hand() -> None:
    """B (equity 5) loses 2, two fifths of it: A writes off two fifths of half of the 4 it has lent to it, no more."""
    before = sector([[0, 4], [0, 0]], [10, 10], [8, 1])
    end = run(before, shock(2, losses=[0, 0.2]), Model(price_impact=np.zeros(1), distress=0.5))
    assert end.losses[DISTRESS] == pytest.approx([0.5 * 0.4 * 4, 0])
    assert not end.default.any()


@given(sectors(most=7), st.integers(0, 2**32 - 1), st.sampled_from([1.0, 0.6]))
def test_without_defaults_distress_is_linear_debtrank(world: World, seed: int, written_off: float) -> None:
    """Nobody owes more than it has, so clearing loses nothing: the end is that of DebtRank with that recovery."""
    generator = np.random.default_rng(seed)
    size = world.size
    owed, lent = world.exposures.sum(axis=0), world.exposures.sum(axis=1)
    holdings = owed * 3 + 1.0
    equity = generator.uniform(0.05, 1.0, size) * (holdings + lent - owed)
    before = sector(world.exposures, holdings, holdings + lent - owed - equity)
    start = generator.uniform(0, 0.8, size) * (generator.random(size) < 0.5)
    lost = np.minimum(start * equity / holdings, 1.0)
    end = run(before, shock(size, losses=lost), Model(price_impact=np.zeros(1), distress=written_off))
    if end.default.any():
        return
    expected = linear_debtrank(world.exposures, equity, lost * holdings / equity, recovery=1 - written_off)
    found = end.losses.sum(axis=0) / equity
    assert np.minimum(found, 1.0) == pytest.approx(np.minimum(expected.h, 1.0), abs=1e-8)


@given(st.integers(0, 2**32 - 1))
def test_distress_is_a_fixed_point_near_a_radius_of_one(seed: int) -> None:
    """Claims as large as equity, so that plain sweeps would take thousands; some debts are unpaid already."""
    generator = np.random.default_rng(seed)
    size = 12
    claims = generator.random((size, size)) * (generator.random((size, size)) < 0.4)
    np.fill_diagonal(claims, 0.0)
    equity = claims.sum(axis=1) * 1.0005 + 0.01 * generator.random(size)
    unpaid = generator.random(size) * (generator.random(size) < 0.3)
    losses = claims @ unpaid + equity * generator.random(size) * 0.01
    x = distress(sparse.csr_array(claims), equity, losses, unpaid, 1.0)
    again = np.minimum(1.0, (losses + claims @ np.maximum(x - unpaid, 0.0)) / equity)
    assert again == pytest.approx(x, abs=1e-11)


@given(sectors(most=6), st.integers(0, 2**32 - 1))
def test_more_written_off_is_not_milder(world: World, seed: int) -> None:
    before, event, _ = scenario(world, seed)
    ends = [run(before, event, Model(0.0, 0.0, np.zeros(2), distress=share)) for share in (0.0, 0.4, 1.0)]
    for mild, hard in pairwise(ends):
        assert (hard.equity <= mild.equity + 1e-9).all()
