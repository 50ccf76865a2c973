"""Absorption ratio and turbulence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systemic.arrays import Matrix
from systemic.market.absorption import (
    absorption_ratio,
    co_movement,
    eigenvector_number,
    last_turbulence,
    standardised_shift,
    turbulence,
)
from tests.systemic.market.worlds import correlated, panels


def test_the_example_of_frds() -> None:
    """README of the package frds (Gao), absorption_ratio: six days, three assets, 20 % of the eigenvectors."""
    returns = np.array(
        [
            [0.015, 0.031, 0.007, 0.034, 0.014, 0.011],
            [0.012, 0.063, 0.027, 0.023, 0.073, 0.055],
            [0.072, 0.043, 0.097, 0.078, 0.036, 0.083],
        ]
    ).T
    assert absorption_ratio(returns, share=0.2) == pytest.approx(0.7746543307660252, rel=1e-12)
    assert absorption_ratio(returns, number=1) == absorption_ratio(returns, share=0.2)


def test_two_series_of_equal_variance_and_correlation_rho() -> None:
    """The eigenvalues are 1 ± ρ, so the first absorbs (1 + ρ) / 2."""
    a = np.array([1.0, -1.0, 1.0, -1.0])
    b = np.array([1.0, -1.0, -1.0, 1.0])
    tilted = 0.6 * a + 0.8 * b
    assert absorption_ratio(np.column_stack([a, tilted]), number=1) == pytest.approx(0.8)
    assert absorption_ratio(np.column_stack([a, 5 * tilted]), number=1, moments="correlation") == pytest.approx(0.8)


@given(panels(), st.randoms(use_true_random=False))
def test_it_is_a_share_that_grows_with_eigenvectors_and_knows_no_order(panel: Matrix, shuffle: object) -> None:
    n = panel.shape[1]
    ratios = [absorption_ratio(panel, number=k) for k in range(1, n + 1)]
    assert all(k / n - 1e-12 <= ratio <= 1 + 1e-12 for k, ratio in enumerate(ratios, 1))
    assert ratios == sorted(ratios)
    assert ratios[-1] == pytest.approx(1.0)
    order = list(range(n))
    shuffle.shuffle(order)  # type: ignore[attr-defined]
    assert absorption_ratio(panel[:, order], number=1) == pytest.approx(ratios[0])


def test_a_half_life_forgets() -> None:
    """A regime of 250 days ago, at a half life of 10 days, weighs less than a millionth."""
    old, new = correlated(250, 4, seed=1, correlation=0.0), correlated(250, 4, seed=2, correlation=0.9)
    both = absorption_ratio(np.vstack([old, new]), number=1, half_life=10)
    assert both == pytest.approx(absorption_ratio(new, number=1, half_life=10), abs=1e-5)


def test_equal_weights_are_the_sample_covariance() -> None:
    panel = correlated(50, 3)
    np.testing.assert_allclose(co_movement(panel), np.cov(panel.T))
    np.testing.assert_allclose(co_movement(panel, "correlation"), np.corrcoef(panel.T))


def test_institutions_without_returns_and_incomplete_days_are_left_out() -> None:
    panel = correlated(50, 4)
    dead = np.column_stack([panel, np.full(50, np.nan)])
    assert absorption_ratio(dead, number=1) == absorption_ratio(panel, number=1)
    holed = panel.copy()
    holed[3, 2] = np.nan
    assert absorption_ratio(holed, number=1) == absorption_ratio(np.delete(panel, 3, axis=0), number=1)
    assert np.isnan(absorption_ratio(np.empty((10, 0))))


@pytest.mark.parametrize("number", [0, 4])
def test_a_number_of_eigenvectors_that_is_not_there_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 3"):
        absorption_ratio(correlated(20, 3), number=number)
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        eigenvector_number(10, 0.0)


def test_the_shift_is_standardised_by_the_long_window() -> None:
    ratios = np.r_[np.zeros(8), 1.0, 1.0]
    shift = standardised_shift(ratios, short=2, long=10)
    assert np.isnan(shift[:9]).all()
    assert shift[9] == pytest.approx((1 - 0.2) / np.std(ratios, ddof=1))


@given(panels())
def test_turbulence_over_its_own_sample_is_n_on_average(panel: Matrix) -> None:
    """Σ (r − μ) Σ⁻¹ (r − μ)ᵀ = trace of the identity times T − 1."""
    rows, n = panel.shape
    scores = turbulence(panel)
    assert (scores >= -1e-9).all()
    assert scores.mean() == pytest.approx(n * (rows - 1) / rows, rel=1e-6)
    np.testing.assert_allclose(turbulence(panel, scaled=True), scores / n)


def test_of_one_series_it_is_the_squared_z_score() -> None:
    series = correlated(40, 1)
    np.testing.assert_allclose(turbulence(series), ((series - series.mean()) ** 2 / series.var(ddof=1))[:, 0])


def test_a_window_knows_only_what_came_before() -> None:
    panel = correlated(60, 3)
    scores = turbulence(panel, window=20)
    assert np.isnan(scores[:20]).all()
    assert scores[-1] == pytest.approx(last_turbulence(panel[-21:]))
    np.testing.assert_array_equal(turbulence(np.vstack([panel, panel[:5]]), window=20)[:60], scores)
    assert np.isnan(last_turbulence(panel[:2]))


def test_turbulence_does_not_depend_on_units() -> None:
    """A Mahalanobis distance is the same in any linear coordinates."""
    panel = correlated(60, 3)
    mixed = panel @ np.array([[2.0, 0.0, 1.0], [0.0, 100.0, 0.0], [0.0, 1.0, 1.0]])
    np.testing.assert_allclose(turbulence(mixed), turbulence(panel), rtol=1e-6)
