"""Default cascades and DebtRank of 2012: by hand, against plain loops, and how the methods compare."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from systemic.network.cascade import debtrank_2012, sequential_default, threshold_cascade
from systemic.network.debtrank import linear_debtrank

CHAIN = np.array([[0, 12, 0, 0], [0, 0, 10, 0], [0, 0, 0, 8], [0, 0, 0, 0]], dtype=float)
"""A has lent 12 to B, B 10 to C, C 8 to D."""


def test_a_row_of_dominoes_by_hand() -> None:
    """Buffers 20, 10, 5, 1, D fails: C loses 8 of 5 and fails, B loses 10 of 10 and fails, A loses 12 of 20."""
    end, rounds = sequential_default(CHAIN, [20, 10, 5, 1], [0, 0, 0, 1.0])
    assert end.h == pytest.approx([0.6, 1.0, 1.6, 1.0])
    assert rounds[1:].tolist() == [2.0, 1.0, 0.0]
    assert np.isnan(rounds[0])
    assert end.additional_defaults == 2
    assert end.additional_losses == pytest.approx(12 + 10 + 8)


def test_recovery_stops_it() -> None:
    end = threshold_cascade(CHAIN, [20, 10, 5, 1], [0, 0, 0, 1.0], recovery=0.5)
    assert end.h == pytest.approx([0, 0, 0.8, 1.0])


def test_distress_short_of_default_is_not_passed_on() -> None:
    assert threshold_cascade(CHAIN, [20, 10, 5, 10], [0, 0, 0, 0.9]).h == pytest.approx([0, 0, 0, 0.9])


def test_debtrank_of_2012_passes_on_once() -> None:
    """Two that have lent 5 of a buffer of 10 to each other; A loses half: B gets 0.25, and A once 0.125.

    In the linear form the echo goes on: A ends at 0.5 / (1 - 0.25) = 2/3.
    """
    pair, buffer, shock = [[0, 5], [5, 0]], [10, 10], [0.5, 0.0]
    assert debtrank_2012(pair, buffer, shock).h == pytest.approx([0.5 + 0.125, 0.25])
    assert linear_debtrank(pair, buffer, shock).h == pytest.approx([2 / 3, 1 / 3])


def worlds(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    claims = rng.uniform(0, 20, (7, 7)) * (rng.random((7, 7)) < 0.4)
    np.fill_diagonal(claims, 0)
    return claims, rng.uniform(1, 40, 7), rng.random((7, 3)) * (rng.random((7, 3)) < 0.5)


def plain_threshold(claims: np.ndarray, buffer: np.ndarray, shock: np.ndarray) -> np.ndarray:
    h = shock.copy()
    while True:
        new = [shock[i] + sum(claims[i, j] / buffer[i] for j in range(7) if h[j] >= 1 - 1e-12) for i in range(7)]
        if np.array_equal(new, h):
            return h
        h = np.array(new)


def plain_once(claims: np.ndarray, buffer: np.ndarray, shock: np.ndarray) -> np.ndarray:
    """The published algorithm: undistressed, distressed, inactive."""
    h, state = shock.copy(), ["D" if s > 0 else "U" for s in shock]
    while "D" in state:
        new = h + [
            sum(claims[i, j] / buffer[i] * min(1.0, h[j]) for j in range(7) if state[j] == "D") for i in range(7)
        ]
        state = ["I" if s == "D" else "D" if s == "U" and new[i] > 0 else s for i, s in enumerate(state)]
        h = np.array(new)
    return h


@given(st.integers(0, 2**32 - 1))
def test_both_equal_plain_loops(seed: int) -> None:
    claims, buffer, shocks = worlds(seed)
    once, cascade = debtrank_2012(claims, buffer, shocks).h, threshold_cascade(claims, buffer, shocks).h
    for scenario in range(3):
        assert once[:, scenario] == pytest.approx(plain_once(claims, buffer, shocks[:, scenario]))
        assert cascade[:, scenario] == pytest.approx(plain_threshold(claims, buffer, shocks[:, scenario]))


@given(st.integers(0, 2**32 - 1))
def test_linear_debtrank_is_never_below_the_others_and_sparse_is_dense(seed: int) -> None:
    claims, buffer, shocks = worlds(seed)
    linear = linear_debtrank(claims, buffer, shocks).h
    for method in (debtrank_2012, threshold_cascade):
        assert (method(claims, buffer, shocks).h <= linear + 1e-9).all()
        assert method(sparse.csc_array(claims), buffer, shocks).h == pytest.approx(method(claims, buffer, shocks).h)


@pytest.mark.parametrize("method", [debtrank_2012, threshold_cascade, linear_debtrank])
def test_who_has_no_buffer_fails_at_any_loss(method) -> None:  # type: ignore[no-untyped-def]
    end = method([[0, 1], [0, 0]], [0, 5], [0.0, 1.0])
    assert end.stress.tolist() == [1.0, 1.0]
    assert end.additional_defaults == 1
    assert end.additional_losses == 1.0
