"""The credit gap: filters against statsmodels and by hand, the guide against the Basel text."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from systemic.arrays import Vector
from systemic.stress.creditgap import buffer_guide, credit_gap, hp_trend, one_sided_trend

ratios = arrays(np.float64, st.integers(3, 80), elements=st.floats(1, 400))


@given(ratios, st.sampled_from([1.0, 1_600.0, 400_000.0]))
def test_statsmodels_finds_the_same_trend(series: Vector, smoothing: float) -> None:
    peer = pytest.importorskip("statsmodels.tsa.filters.hp_filter").hpfilter
    _, trend = peer(series, smoothing)
    np.testing.assert_allclose(hp_trend(series, smoothing), trend, atol=1e-6)


@pytest.mark.parametrize("smoothing", [1.0, 1_600.0, 400_000.0])
def test_three_quarters_by_hand(smoothing: float) -> None:
    """One second difference d = (1, −2, 1): τ = y − λ (d·y) d / (1 + 6 λ)."""
    series, bend = np.array([100.0, 104.0, 111.0]), np.array([1.0, -2.0, 1.0])
    expected = series - smoothing * (bend @ series) * bend / (1 + 6 * smoothing)
    np.testing.assert_allclose(hp_trend(series, smoothing), expected, rtol=1e-12)


@given(st.floats(-500, 500), st.floats(-10, 10), st.integers(3, 200))
def test_a_straight_line_is_its_own_trend(level: float, slope: float, length: int) -> None:
    line = level + slope * np.arange(length)
    np.testing.assert_allclose(hp_trend(line), line, atol=1e-8)
    np.testing.assert_allclose(one_sided_trend(line), line, atol=1e-8)


@given(ratios)
def test_the_one_sided_trend_never_learns_from_the_future(series: Vector) -> None:
    half = len(series) // 2 + 1
    np.testing.assert_array_equal(one_sided_trend(series)[:half], one_sided_trend(series[:half]))
    assert one_sided_trend(series)[-1] == hp_trend(series)[-1]
    assert credit_gap(series) == series[-1] - hp_trend(series)[-1]


def test_the_first_two_quarters_have_no_gap() -> None:
    series = np.array([100.0, 130.0, 90.0])
    np.testing.assert_allclose(one_sided_trend(series)[:2], series[:2])


def test_a_missing_quarter_carries_no_weight() -> None:
    """The trend runs through it: the same as the least squares without that row."""
    series = 100 + np.cumsum(np.random.default_rng(0).normal(size=30))
    holed = series.copy()
    holed[12] = np.nan
    weight = np.diag((np.arange(30) != 12).astype(float))
    bends = np.diff(np.eye(30), 2, axis=0)
    expected = np.linalg.solve(weight + 1_600 * bends.T @ bends, weight @ series)
    np.testing.assert_allclose(hp_trend(holed, 1_600), expected, rtol=1e-8)
    assert np.isnan(credit_gap(np.r_[series, np.nan]))
    assert np.isnan(credit_gap(np.empty(0)))
    assert np.isnan(hp_trend(np.full(4, np.nan))).all()


def test_the_guide_of_the_basel_committee() -> None:
    """bcbs187, annex 1: L = 2, H = 10, at most 2.5 %, linear between."""
    gaps = [-5.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 25.0]
    assert buffer_guide(gaps).tolist() == [0, 0, 0.3125, 0.625, 1.25, 1.875, 2.5, 2.5]
    assert np.isnan(buffer_guide(np.nan))
    with pytest.raises(ValueError, match="starts below"):
        buffer_guide(1.0, low=3, high=3)
