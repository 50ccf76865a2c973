"""Returns and windows."""

from __future__ import annotations

import numpy as np
import pytest

from systemic.market.returns import complete_rows, price_returns, windows


def test_log_and_simple_returns_tell_the_same_move() -> None:
    prices = np.array([[100.0, 50.0], [110.0, 40.0]])
    assert price_returns(prices, "simple").tolist() == [[pytest.approx(0.1), pytest.approx(-0.2)]]
    np.testing.assert_allclose(np.expm1(price_returns(prices, "log")), price_returns(prices, "simple"))


def test_a_share_carried_on_at_zero_has_no_return() -> None:
    """Lehman's 0.21 to 0.00 is the vendor's convention, not a loss of 100 % on 16 September 2008."""
    assert np.isnan(price_returns([0.21, 0.0, 0.0])).all()


def test_returns_of_an_unknown_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="'log' or 'simple'"):
        price_returns([1.0, 2.0], "percent")  # type: ignore[arg-type]


def test_windows_end_at_the_last_row() -> None:
    assert [(w.start, w.stop) for w in windows(7, 3, 2)] == [(0, 3), (2, 5), (4, 7)]
    assert list(windows(2, 3)) == []


@pytest.mark.parametrize(("width", "step"), [(0, 1), (3, 0)])
def test_a_window_without_rows_or_step_is_refused(width: int, step: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        list(windows(5, width, step))


def test_rows_are_complete_when_every_series_is_known() -> None:
    nan = float("nan")
    assert complete_rows(np.array([1.0, nan, 3.0]), np.array([[1.0, 2.0], [1.0, 2.0], [1.0, nan]])).tolist() == [
        True,
        False,
        False,
    ]
    assert complete_rows(np.empty((2, 0))).tolist() == [True, True]
