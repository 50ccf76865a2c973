"""Fire sales: by hand, by the paper's matrices, and identities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systemic.network.firesale import fire_sale


def test_two_banks_one_asset_by_hand() -> None:
    """Assets 100 and 100, equity 10 and 20, shock -1 %, impact 1e-4 a unit.

    Leverage 9 and 4; losses 1 and 1; sales 9 and 4; price falls 13e-4, which costs 0.13 each; aggregate
    vulnerability 0.26 / 30; shares of it 9 : 4.
    """
    found = fire_sale([[100], [100]], [10, 20], [1e-4], [-0.01])
    assert found.direct == pytest.approx([1, 1])
    assert found.sold == pytest.approx([9, 4])
    assert found.price_change == pytest.approx([-13e-4])
    assert found.indirect == pytest.approx([0.13, 0.13])
    assert found.aggregate_vulnerability == pytest.approx(0.26 / 30)
    assert found.systemicness == pytest.approx([0.26 / 30 * 9 / 13, 0.26 / 30 * 4 / 13])
    assert found.indirect_vulnerability == pytest.approx([0.013, 0.0065])


@given(st.integers(0, 2**32 - 1))
def test_it_is_the_matrix_product_of_the_paper(seed: int) -> None:
    """Greenwood, Landier & Thesmar (2015): AV = 1ᵀ A M L Mᵀ B A M F / Σ E, and its columns are the contributions."""
    rng = np.random.default_rng(seed)
    held, equity = rng.uniform(30, 100, (5, 3)), rng.uniform(20, 30, 5)
    impact, shock = rng.uniform(0, 1e-3, 3), -rng.uniform(0, 0.01, 3)
    a = np.diag(held.sum(axis=1))
    m = held / held.sum(axis=1, keepdims=True)
    leverage = np.diag((held.sum(axis=1) - equity) / equity)
    sales = np.diag(leverage @ a @ m @ shock)
    each = np.ones(5) @ a @ m @ np.diag(impact) @ m.T @ sales / equity.sum()
    found = fire_sale(held, equity, impact, shock)
    assert found.aggregate_vulnerability == pytest.approx(-each.sum(), rel=1e-12)
    assert found.systemicness == pytest.approx(-each, rel=1e-12)


def test_an_asset_that_nobody_sells_keeps_its_price() -> None:
    """The second bank holds only bonds, which did not fall: it neither sells nor loses."""
    found = fire_sale([[100, 0], [0, 100]], [10, 10], [1e-3, 1e-3], [-0.05, 0.0])
    assert found.price_change[1] == 0.0
    assert found.indirect[1] == 0.0
    assert found.systemicness[1] == 0.0


def test_who_has_lost_its_equity_sells_everything() -> None:
    assert fire_sale([[100]], [4], [0.0], [-0.05]).sold == pytest.approx([95])


def test_without_leverage_nothing_is_sold() -> None:
    assert fire_sale([[100]], [100], [1e-3], [-0.2]).aggregate_vulnerability == 0.0


@given(st.integers(0, 2**32 - 1))
def test_contributions_sum_to_the_whole_and_names_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    held, equity = rng.uniform(0, 100, (5, 3)), rng.uniform(1, 30, 5)
    impact, shock = rng.uniform(0, 1e-3, 3), -rng.uniform(0, 0.2, 3)
    found = fire_sale(held, equity, impact, shock)
    assert found.systemicness.sum() == pytest.approx(found.aggregate_vulnerability)
    order = rng.permutation(5)
    moved = fire_sale(held[order], equity[order], impact, shock)
    assert moved.systemicness == pytest.approx(found.systemicness[order])
    in_cents = fire_sale(held * 100, equity * 100, impact / 100, shock)
    assert in_cents.aggregate_vulnerability == pytest.approx(found.aggregate_vulnerability)


def test_negative_holdings_are_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        fire_sale([[-1.0]], [1], [0], [0])
