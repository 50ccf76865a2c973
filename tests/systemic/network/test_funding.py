"""Funding contagion by hand, and what must hold for any network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systemic.network.funding import funding_cascade, funding_defaults, single_failures

CHAIN = [[0, 100, 0], [0, 0, 40], [0, 0, 0]]
"""A has lent 100 to B, B 40 to C."""


def test_a_lender_s_failure_hurts_its_borrower() -> None:
    """A fails: B loses 0.35 · 100 = 35 on assets sold; with a buffer of 30 it fails, C then loses 14."""
    found = funding_cascade(CHAIN, [10, 30, 20], [True, False, False])
    assert found.round.tolist() == [0, 1, -1]
    assert found.funding == pytest.approx([0, 35, 14])
    assert found.credit == pytest.approx([100, 0, 0])


def test_without_withdrawal_only_claims_are_lost() -> None:
    found = funding_cascade(CHAIN, [10, 30, 20], [False, False, True], not_replaced=0.0)
    assert found.credit == pytest.approx([100, 40, 0])
    assert found.round.tolist() == [2, 1, 0]


def test_recovery_spares_the_lender() -> None:
    found = funding_cascade(CHAIN, [200, 30, 20], [False, False, True], loss_given_default=0.5, not_replaced=0.0)
    assert found.round.tolist() == [-1, -1, 0]


@given(st.integers(0, 2**32 - 1))
def test_more_buffer_never_means_more_defaults(seed: int) -> None:
    rng = np.random.default_rng(seed)
    claims = rng.uniform(0, 50, (6, 6)) * (rng.random((6, 6)) < 0.4)
    np.fill_diagonal(claims, 0)
    buffer = rng.uniform(1, 60, 6)
    assert (funding_defaults(claims, buffer * 1.5) <= funding_defaults(claims, buffer)).all()


def test_parameters_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="not_replaced must be between 0 and 1"):
        funding_cascade(CHAIN, [1, 1, 1], [True, False, False], not_replaced=2)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_all_failures_at_once_are_the_cascades_one_by_one(seed: int, lost: float, not_replaced: float) -> None:
    """Whatever is lost and not replaced; institutions without a buffer or without any exposure are among them."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    claims = np.round(rng.uniform(0, 50, (n, n))) * (rng.random((n, n)) < 0.4)
    np.fill_diagonal(claims, 0)
    buffer = np.round(rng.uniform(0, 60, n)) * (rng.random(n) < 0.9)
    cascades = [funding_cascade(claims, buffer, np.arange(n) == j, lost, not_replaced) for j in range(n)]
    assert single_failures(claims, buffer, lost, not_replaced).tolist() == [c.additional_defaults for c in cascades]
