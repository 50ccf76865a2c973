"""Spillovers: by hand, against statsmodels, and the identities of the table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systemic.arrays import Matrix
from systemic.market.spillover import (
    moving_average,
    spillover,
    spillover_index,
    spillover_net,
    variance_decomposition,
    vector_autoregression,
)
from tests.systemic.market.worlds import correlated, panels


def test_without_dynamics_two_series_share_the_square_of_their_correlation() -> None:
    """Pesaran & Shin (1998) with A = 0: θ_ij = ρ², so a row is (1, ρ²) / (1 + ρ²); ρ = 0.5 gives 80 : 20."""
    responses = moving_average(np.zeros((1, 2, 2)), 10)
    table = variance_decomposition(responses, np.array([[1.0, 1.0], [1.0, 4.0]]))
    np.testing.assert_allclose(table, [[0.8, 0.2], [0.2, 0.8]])


def test_a_sender_and_two_receivers_by_hand() -> None:
    """x → y by 0.5 after a day, independent unit shocks, two steps: y's variance is 1 + 0.25, 0.25 of it x's."""
    lags = np.array([[[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    table = variance_decomposition(moving_average(lags, 2), np.eye(3))
    np.testing.assert_allclose(table, [[1, 0, 0], [0.2, 0.8, 0], [0.5, 0, 0.5]])


def test_the_moving_average_of_a_first_order_is_its_powers() -> None:
    lag = np.array([[0.5, 0.1], [0.0, 0.3]])
    responses = moving_average(lag[None], 4)
    for h in range(4):
        np.testing.assert_allclose(responses[h], np.linalg.matrix_power(lag, h))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_statsmodels_fits_the_same_autoregression_and_cholesky_decomposition(order: int) -> None:
    peer = pytest.importorskip("statsmodels.tsa.api").VAR
    panel = correlated(300, 3, seed=4)
    panel[1:] += 0.3 * panel[:-1, ::-1]
    theirs = peer(panel).fit(order, trend="c")
    ours = vector_autoregression(panel, order)
    np.testing.assert_allclose(ours.lags, theirs.coefs, atol=1e-10)
    np.testing.assert_allclose(ours.intercept, theirs.intercept, atol=1e-12)
    np.testing.assert_allclose(ours.covariance, theirs.sigma_u, atol=1e-12)
    np.testing.assert_allclose(moving_average(ours.lags, 6), theirs.ma_rep(5), atol=1e-10)
    table = variance_decomposition(moving_average(ours.lags, 10), ours.covariance, "cholesky")
    np.testing.assert_allclose(table, theirs.fevd(10).decomp[:, -1, :], atol=1e-8)


@given(panels(30, 60, 4), st.integers(1, 2), st.integers(1, 12))
def test_rows_sum_to_one_and_the_parts_to_the_index(panel: Matrix, order: int, horizon: int) -> None:
    found = spillover(panel, order=order, horizon=horizon)
    np.testing.assert_allclose(found.table.sum(axis=1), 1.0)
    assert (found.table >= 0).all()
    assert found.net.sum() == pytest.approx(0.0, abs=1e-9)
    assert found.from_others.sum() == pytest.approx(found.to_others.sum())
    assert found.total == pytest.approx(1 - np.trace(found.table) / len(found.table))


@given(panels(30, 60, 4), st.floats(0.01, 100))
def test_order_and_scale_of_the_series_do_not_matter(panel: Matrix, scale: float) -> None:
    """What Diebold & Yılmaz 2012 gained over 2009: the generalised decomposition knows no order."""
    plain = spillover(panel).table
    turned = spillover(panel[:, ::-1] * np.r_[scale, np.ones(panel.shape[1] - 1)]).table
    np.testing.assert_allclose(turned[::-1, ::-1], plain, rtol=1e-6, atol=1e-9)


def test_with_uncorrelated_shocks_both_decompositions_agree() -> None:
    responses = moving_average(np.random.default_rng(0).normal(0, 0.2, (2, 3, 3)), 8)
    covariance = np.diag([1.0, 2.0, 3.0])
    np.testing.assert_allclose(
        variance_decomposition(responses, covariance), variance_decomposition(responses, covariance, "cholesky")
    )
    with pytest.raises(ValueError, match="'generalised' or 'cholesky'"):
        variance_decomposition(responses, covariance, "structural")  # type: ignore[arg-type]


def test_a_missing_day_never_joins_days_that_were_apart() -> None:
    panel = correlated(80, 2)
    holed = panel.copy()
    holed[40] = np.nan
    fitted = vector_autoregression(holed, 1)
    assert len(fitted.residuals) == 77
    pairs = np.r_[0:39, 41:79]
    design = np.column_stack([np.ones(77), panel[pairs]])
    expected = np.linalg.lstsq(design, panel[pairs + 1], rcond=None)[0]
    np.testing.assert_allclose(fitted.lags[0], expected[1:].T)


def test_what_can_not_be_fitted_is_refused_and_the_measure_is_missing() -> None:
    with pytest.raises(ValueError, match="too few"):
        spillover(correlated(6, 5))
    with pytest.raises(ValueError, match="collinear"):
        spillover(np.column_stack([correlated(50, 2), np.ones(50)]))
    with pytest.raises(ValueError, match="at least one step"):
        spillover(correlated(50, 2), horizon=0)
    assert np.isnan(spillover_index(correlated(6, 5)))
    assert np.isnan(spillover_net(correlated(6, 5))).all()
    assert spillover_net(np.empty((10, 0))).shape == (0,)
