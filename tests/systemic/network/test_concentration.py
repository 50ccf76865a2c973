"""Concentration: worked numbers, bounds, and what is not there."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systemic.network.concentration import (
    density,
    funding_hhi,
    gini,
    hhi,
    interbank_hhi,
    largest_share,
    lending_hhi,
)

AMOUNTS = st.lists(st.floats(0.01, 1e12), min_size=1, max_size=20)
EXPOSURES = np.array([[0, 3, 1], [4, 0, 0], [0, 2, 0]], dtype=float)


def test_the_index_of_the_merger_guidelines() -> None:
    """Four firms with 30, 30, 20 and 20 %: 900 + 900 + 400 + 400 = 2,600 points.

    The worked example of the U.S. Department of Justice's page on the Herfindahl–Hirschman index.
    """
    assert 10_000 * hhi([30, 30, 20, 20]) == pytest.approx(2600)


def test_gini_by_hand() -> None:
    """1, 2, 3, 4: absolute differences of all ordered pairs sum to 20, 20 / (2 · 4² · 2.5) = 0.25."""
    assert gini([3, 1, 4, 2]) == pytest.approx(0.25)


def test_concentration_in_a_network_by_hand() -> None:
    """Borrowed: 4, 5, 1 of 10. The first lends 3 and 1: (9 + 1) / 16. The second borrows 3 and 2: 13 / 25."""
    assert interbank_hhi(EXPOSURES) == pytest.approx((16 + 25 + 1) / 100)
    assert lending_hhi(EXPOSURES) == pytest.approx([10 / 16, 1, 1])
    assert funding_hhi(EXPOSURES) == pytest.approx([1, 13 / 25, 1])
    assert density(EXPOSURES) == pytest.approx(4 / 6)


def test_share_of_the_largest() -> None:
    assert largest_share([5, 1, 3, 1], count=2) == pytest.approx(0.8)
    assert largest_share([5, 1], count=5) == 1.0
    with pytest.raises(ValueError, match="at least 1"):
        largest_share([1], count=0)


@pytest.mark.parametrize("measure", [hhi, gini, largest_share])
def test_nothing_to_share_is_no_number(measure: object) -> None:
    assert math.isnan(measure([]))  # type: ignore[operator]
    assert math.isnan(measure([0.0, 0.0]))  # type: ignore[operator]


def test_no_network_is_no_number() -> None:
    assert math.isnan(interbank_hhi(np.zeros((2, 2))))
    assert math.isnan(density([[0.0]]))
    assert np.isnan(lending_hhi(np.zeros((2, 2)))).all()


@given(AMOUNTS)
def test_bounds(amounts: list[float]) -> None:
    size = len(amounts)
    assert 1 / size - 1e-12 <= hhi(amounts) <= 1 + 1e-12
    assert -1e-12 <= gini(amounts) <= 1 - 1 / size + 1e-12


@given(AMOUNTS)
def test_everyone_twice_halves_hhi_and_keeps_gini(amounts: list[float]) -> None:
    assert hhi(amounts * 2) == pytest.approx(hhi(amounts) / 2)
    assert gini(amounts * 2) == pytest.approx(gini(amounts), abs=1e-9)
