"""Shapley values: textbook games, the axioms, and sampling against the exact values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from systemic.importance.shapley import attribute, shapley
from systemic.market.srisk import srisk
from tests.systemic.market.worlds import correlated


def test_the_glove_game() -> None:
    """One left glove, two right ones, a pair is worth 1: 2/3, 1/6, 1/6 (a standard textbook example)."""
    found = shapley(lambda c: float(c[0] and (c[1] or c[2])), 3)
    assert found.values == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_the_un_security_council_in_small() -> None:
    """Weighted majority [3; 2, 1, 1]: the heavy player is pivotal in 4 of 6 orders."""
    weights = np.array([2, 1, 1])
    assert shapley(lambda c: float(weights[c].sum() >= 3), 3).values == pytest.approx([2 / 3, 1 / 6, 1 / 6])


def test_the_airport_game() -> None:
    """Runways of cost 1, 2 and 3: each step is shared by those who need it (Littlechild & Owen 1973)."""
    costs = np.array([1.0, 2.0, 3.0])
    found = shapley(lambda c: float(costs[c].max(initial=0.0)), 3)
    assert found.values == pytest.approx([1 / 3, 1 / 3 + 1 / 2, 1 / 3 + 1 / 2 + 1])


@given(st.lists(st.floats(-10, 10), min_size=8, max_size=8))
def test_parts_sum_to_the_whole_and_equal_players_get_equal_parts(table: list[float]) -> None:
    """Efficiency for any three-player game; symmetry for one that only counts heads."""
    found = shapley(lambda c: table[int(c @ [1, 2, 4])], 3)
    assert found.values.sum() == pytest.approx(table[7] - table[0])
    heads = shapley(lambda c: table[int(c.sum())], 3)
    assert heads.values == pytest.approx([heads.values[0]] * 3)


def test_beyond_sixteen_players_orders_are_sampled_and_still_sum() -> None:
    """An additive game with a bonus for all: each gets its own value and an equal share of the bonus."""
    own = np.arange(20, dtype=float)
    found = shapley(lambda c: float(own[c].sum() + 40.0 * c.all()), 20, permutations=4_000, seed=1)
    assert found.values.sum() == pytest.approx(found.whole)
    assert (np.abs(found.values - (own + 2.0)) <= 5 * found.error + 1e-9).all()


def test_nobody_to_attribute_to() -> None:
    assert shapley(lambda c: 0.0, 0).values.size == 0


def test_a_sum_is_attributed_to_its_parts() -> None:
    """System SRISK is the sum of the shortfalls, so each institution's part is its own, a surplus none."""
    panel = correlated(80, 5, seed=1)
    inputs = {
        "returns": panel[:, 1:],
        "market_return": panel[:, 0],
        "equity_value": np.array([10.0, 10, 10, 100]),
        "debt": np.full(4, 200.0),
    }
    found = attribute("system_srisk", inputs)
    assert found.values == pytest.approx(np.maximum(srisk(**inputs), 0.0))
    assert found.values[3] == 0.0


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_defaults_in_clearing_are_attributed_to_who_brings_them_about(form: Callable[..., Any]) -> None:
    """B owes A 10 and has 4, A owes 8 outside and has nothing else.

    Alone A fails and B, who then owes nobody, does not; together both fail. A: (1 + 2) / 2, B: (0 + 1) / 2.
    """
    inputs = {
        "exposures": form(np.array([[0.0, 10.0], [0.0, 0.0]])),
        "external_assets": np.array([0.0, 4.0]),
        "external_liabilities": np.array([8.0, 0.0]),
    }
    found = attribute("clearing_defaults", inputs)
    assert found.whole == 2.0
    assert found.values == pytest.approx([1.5, 0.5])


def test_what_can_not_be_attributed_is_said() -> None:
    with pytest.raises(ValueError, match="a measure of each institution"):
        attribute("srisk", {})
    with pytest.raises(ValueError, match="no institutions"):
        attribute("credit_gap", {"credit_ratio": np.ones(5)})
