"""SRISK by hand and its identities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systemic.market.lrmes import lrmes_from_beta, market_beta
from systemic.market.srisk import capital_shortfall, shortfall_shares, srisk, system_srisk, total_shortfall
from tests.systemic.market.worlds import correlated

amounts = st.floats(0.01, 1e12)


def test_a_bank_of_twenty_times_leverage_that_loses_half_its_equity() -> None:
    """W = 100, D = 1,900: needs 8 % of 1,950 = 156 and has 50, so it lacks 106."""
    assert float(capital_shortfall(100, 1_900, 0.5, 0.08)) == pytest.approx(0.08 * 1_950 - 50)


@given(amounts, amounts, st.floats(-1, 1), st.floats(0, 0.3))
def test_both_forms_of_the_paper_agree(equity: float, debt: float, lost: float, k: float) -> None:
    """Equation 2 of Brownlees & Engle: W (k L + (1 − k) LRMES − 1) with leverage L = (D + W) / W."""
    leverage = (debt + equity) / equity
    other = equity * (k * leverage + (1 - k) * lost - 1)
    assert float(capital_shortfall(equity, debt, lost, k)) == pytest.approx(other, rel=1e-9, abs=1e-9 * (equity + debt))


def test_srisk_puts_the_parts_together() -> None:
    panel = correlated(300, 4)
    equity, debt = np.array([10.0, 20.0, 30.0]), np.array([400.0, 100.0, 2_000.0])
    expected = capital_shortfall(equity, debt, lrmes_from_beta(market_beta(panel[:, 1:], panel[:, 0]), 0.3), 0.05)
    found = srisk(panel[:, 1:], panel[:, 0], equity, debt, k=0.05, decline=0.3)
    np.testing.assert_array_equal(found, expected)
    assert system_srisk(panel[:, 1:], panel[:, 0], equity, debt, k=0.05, decline=0.3) == total_shortfall(expected)


def test_a_surplus_does_not_help_others() -> None:
    shortfalls = np.array([5.0, -100.0, 15.0, np.nan])
    assert total_shortfall(shortfalls) == 20
    np.testing.assert_array_equal(shortfall_shares(shortfalls), [0.25, 0.0, 0.75, np.nan])
    np.testing.assert_array_equal(shortfall_shares(np.array([-1.0, np.nan])), [0.0, np.nan])


def test_a_capital_share_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="below 1"):
        capital_shortfall(1, 1, 0, 1.0)
