"""Clearing vectors: worked by hand, the three laws they obey, and a plain iteration from above."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from systemic.arrays import Vector
from systemic.network.clearing import (
    Clearing,
    clear,
    clearing_defaults,
    clearing_payment_ratio,
    clearing_shortfall,
)
from tests.systemic.network.worlds import World, sectors

Seniority = Literal["pari-passu", "senior"]
SENIORITIES: tuple[Seniority, ...] = ("pari-passu", "senior")
COSTS = [(1.0, 1.0), (0.5, 1.0), (1.0, 0.6), (0.7, 0.3), (0.0, 1.0), (0.0, 0.0)]

RING = np.array([[0, 0, 2], [4, 0, 0], [0, 3, 0]], dtype=float)
"""The three-bank ring of Barucca's exercises (repository eisenbergnoe): 1 owes 4 to 2, 2 owes 3 to 3, 3 owes 2 to 1."""


def test_the_ring_of_three_after_a_loss_of_a_tenth() -> None:
    """External assets 20, 20, 10 less a tenth, external debts 17, 18, 8 (exercise 2 of the same repository).

    1 has 18 + 2 of 21, 2 has 18 + x₁ · 4/21 of 21, 3 has 9 + x₂ · 3/21 of 10. If 3 pays in full 1 pays 20,
    2 gets 80/21 and has 18 + 3.8095 = 21.8095 ≥ 21: it pays; 3 gets 3 and has 12 ≥ 10: it pays.
    """
    end = clear(RING, [18, 18, 9], [17, 18, 8])
    assert end.payment == pytest.approx([20, 21, 10], abs=1e-14)
    assert end.default.tolist() == [True, False, False]
    assert end.equity == pytest.approx([0, 18 + 80 / 21 - 21, 2], abs=1e-14)
    assert end.shortfall == pytest.approx(1.0)


def test_the_ring_of_three_with_senior_debts_outside() -> None:
    """External assets 12, 18, 9: 1 pays its 17 outside first; 12 + 2 covers 14 of them, and 2 gets nothing.

    2 has 18 for 18 outside and pays nothing inside; 3 has 9 for 8 outside, and 1 left for 1 of its 2 to 1.
    So 1 gets 1 only, 13 in all.
    """
    end = clear(RING, [12, 18, 9], [17, 18, 8], external="senior")
    assert end.payment == pytest.approx([13, 18, 9], abs=1e-14)
    assert end.interbank_payment == pytest.approx([0, 0, 1], abs=1e-14)
    assert end.default.tolist() == [True, True, True]


def test_two_who_owe_each_other_by_hand() -> None:
    """A owes 10 to B, B owes 6 to A; A has 1, B has 2. A: p = min(10, 1 + q), B: q = min(6, 2 + p).

    With both partial p = 1 + q, q = 2 + p contradict, so one pays in full: q = 6, p = 7.
    """
    end = clear([[0, 6], [10, 0]], [1, 2])
    assert end.payment == pytest.approx([7, 6])
    assert end.default.tolist() == [True, False]
    assert end.equity == pytest.approx([0, 3])


def test_rogers_veraart_costs_by_hand() -> None:
    """The same two with α = ½, β = ½: A in default realises ½ · 1 + ½ · 6 = 3.5; B then has 2 + 3.5 < 6.

    Both in default: p = ½ + ½ q, q = 1 + ½ p, so p = 4/3 and q = 5/3.
    """
    end = clear([[0, 6], [10, 0]], [1, 2], alpha=0.5, beta=0.5)
    assert end.payment == pytest.approx([4 / 3, 5 / 3])
    assert end.default.tolist() == [True, True]


def test_the_greatest_of_several_clearing_vectors() -> None:
    """Two who own nothing and owe 1 to each other: any (c, c) clears; nobody need default."""
    end = clear([[0, 1], [1, 0]], [0, 0])
    assert end.payment.tolist() == [1.0, 1.0]
    assert not end.default.any()


def test_the_greatest_with_costs_where_a_default_would_feed_itself() -> None:
    """Rogers & Veraart (2013) have several solutions even with assets: here all pay, though (0, 0) clears too."""
    end = clear([[0, 1], [1, 0]], [0, 0], alpha=0.0, beta=0.0)
    assert end.payment.tolist() == [1.0, 1.0]


def test_a_closed_group_that_owes_more_outside_first() -> None:
    """Two owe 1 to each other and 1 outside each, senior, and have ½ each: all of it goes outside."""
    end = clear([[0, 1], [1, 0]], [0.5, 0.5], [1, 1], external="senior")
    assert end.payment == pytest.approx([0.5, 0.5])
    assert end.interbank_payment.tolist() == [0.0, 0.0]


def test_many_states_are_cleared_at_once() -> None:
    states = np.array([[18, 12.0], [18, 18], [9, 9]])
    both = clear(RING, states, [17, 18, 8])
    assert both.payment.shape == (3, 2)
    assert both.payment[:, 1] == pytest.approx(clear(RING, states[:, 1], [17, 18, 8]).payment)
    assert both.shortfall[0] == pytest.approx(1.0)


def test_nobody_and_one() -> None:
    assert clear(np.zeros((0, 0)), []).payment.shape == (0,)
    assert clear([[0.0]], [3], [5]).payment.tolist() == [3.0]
    assert clear([[0.0]], [3]).payment.tolist() == [0.0]
    assert np.isnan(clearing_shortfall([[0.0]], [3]))


def test_measures_of_the_ring() -> None:
    sheet = (RING, [18, 18, 9], [17, 18, 8])
    assert clearing_shortfall(*sheet) == pytest.approx(1 / 52)
    assert clearing_payment_ratio(*sheet) == pytest.approx([20 / 21, 1, 1])
    assert clearing_defaults(*sheet) == 1.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"external": "junior"}, "external must be"),
        ({"alpha": 1.5}, "alpha must be between 0 and 1"),
        ({"beta": -0.1}, "beta must be between 0 and 1"),
        ({"external_assets": [1, np.nan, 1]}, "external_assets has a value that is missing"),
        ({"external_liabilities": [1, 1]}, "external_liabilities must be 3 numbers"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, object], words: str) -> None:
    arguments: dict[str, object] = {"external_assets": [1, 1, 1], "external_liabilities": [1, 1, 1]} | change
    with pytest.raises(ValueError, match=words):
        clear(RING, **arguments)  # type: ignore[arg-type]


def from_above(world: World, external: Seniority, alpha: float, beta: float) -> tuple[Vector, Vector]:
    """Plain iteration from full payment: total payments, and who is in default."""
    inside = world.exposures.sum(axis=0)
    owed = inside + world.external_liabilities
    debt, prior = (inside, world.external_liabilities) if external == "senior" else (owed, np.zeros(world.size))
    share = np.ones(world.size)
    for _ in range(20_000):
        receipts = world.exposures @ share
        failed = world.external_assets + receipts < owed * (1 - 1e-12)
        value = alpha * world.external_assets + beta * receipts
        partial = np.clip((value - prior) / np.where(debt > 0, debt, 1.0), 0.0, 1.0)
        fewer = np.minimum(share, np.where(failed & (debt > 0), partial, 1.0))
        if np.abs(fewer - share).max() < 1e-16:
            break
        share = fewer
    return np.where(failed, np.minimum(owed, value), owed), failed


@given(sectors(), st.sampled_from(SENIORITIES), st.sampled_from(COSTS))
def test_the_limit_of_plain_iteration_from_above(world: World, external: Seniority, costs: tuple[float, float]) -> None:
    expected, failed = from_above(world, external, *costs)
    end = clear(world.exposures, world.external_assets, world.external_liabilities, external, *costs)
    assert end.payment == pytest.approx(expected, abs=1e-8)
    assert np.array_equal(end.default, failed)


def laws(world: World, end: Clearing, external: Seniority, alpha: float, beta: float) -> None:
    owed = end.total_liabilities
    assert (end.payment <= owed + 1e-12).all()
    have = world.external_assets + end.receipts
    left = np.where(end.default, alpha * world.external_assets + beta * end.receipts, have)
    assert (end.payment <= left + 1e-10).all(), "limited liability: nobody pays more than it has"
    assert end.payment[end.default] == pytest.approx(left[end.default], abs=1e-10), "absolute priority"
    assert end.payment[~end.default] == pytest.approx(owed[~end.default])
    assert end.equity == pytest.approx(np.where(end.default, 0.0, have - owed), abs=1e-10)
    inside = world.exposures.sum(axis=0)
    if external == "pari-passu":
        partial = np.where(owed > 0, end.payment / np.where(owed > 0, owed, 1.0), 1.0)
        assert end.interbank_payment == pytest.approx(inside * partial, abs=1e-10), "proportionality"
    else:
        outside = np.minimum(end.payment, world.external_liabilities)
        assert end.interbank_payment == pytest.approx(end.payment - outside, abs=1e-10), "outside comes first"
    assert end.receipts.sum() == pytest.approx(end.interbank_payment.sum(), abs=1e-10), "what is paid is received"


@given(sectors(), st.sampled_from(SENIORITIES), st.sampled_from(COSTS))
def test_limited_liability_proportionality_absolute_priority(
    world: World, external: Seniority, costs: tuple[float, float]
) -> None:
    end = clear(world.exposures, world.external_assets, world.external_liabilities, external, *costs)
    laws(world, end, external, *costs)
    thin = clear(sparse.csr_array(world.exposures), world.external_assets, world.external_liabilities, external, *costs)
    assert np.array_equal(thin.payment, end.payment)


@given(sectors())
def test_without_costs_nothing_is_lost(world: World) -> None:
    """What enters the system leaves it: external assets = payments outside + equity."""
    end = clear(world.exposures, world.external_assets, world.external_liabilities)
    outside = end.payment.sum() - end.interbank_payment.sum()
    assert world.external_assets.sum() == pytest.approx(outside + end.equity.sum(), abs=1e-9)


@given(sectors(), st.floats(0.0, 1.0))
def test_more_assets_never_hurt(world: World, share: float) -> None:
    poor = clear(world.exposures, world.external_assets * share, world.external_liabilities, "senior", 0.5, 0.8)
    rich = clear(world.exposures, world.external_assets, world.external_liabilities, "senior", 0.5, 0.8)
    assert (poor.payment <= rich.payment + 1e-10).all()
