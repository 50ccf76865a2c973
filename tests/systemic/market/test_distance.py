"""Merton's model: a textbook example, and paths whose assets are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

from systemic.arrays import Vector
from systemic.market.distance import DAYS, distance, distance_to_default, implied_assets, kmv, merton, option_value


def test_hulls_example_of_mertons_model() -> None:
    """Hull, Options, Futures, and Other Derivatives, credit risk: E = 3, σ_E = 80 %, D = 10, r = 5 %, T = 1.

    The book: V = 12.40, σ_V = 21.23 %, default probability 12.7 %.
    """
    found = merton(3, 0.8, 10, 0.05)
    assert float(found.assets) == pytest.approx(12.40, abs=0.005)
    assert found.volatility == pytest.approx(0.2123, abs=5e-5)
    assert float(found.probability) == pytest.approx(0.127, abs=5e-4)


def test_a_call_of_black_and_scholes() -> None:
    """Hull, example of the Black–Scholes–Merton formula: S = 42, K = 40, r = 10 %, σ = 20 %, six months: 4.76."""
    assert float(option_value(42, 40, 0.1, 0.2, 0.5)) == pytest.approx(4.76, abs=0.005)


@given(st.floats(0.2, 50), st.floats(-0.05, 0.2), st.floats(0.02, 1.5), st.floats(0.25, 5))
def test_the_call_is_inverted(leverage: float, rate: float, volatility: float, horizon: float) -> None:
    equity = option_value(leverage, 1.0, rate, volatility, horizon)
    found = implied_assets(equity, 1.0, rate, volatility, horizon)
    assert float(option_value(found, 1.0, rate, volatility, horizon)) == pytest.approx(
        float(equity), rel=1e-9, abs=1e-13
    )


def asset_path(days: int = 400, volatility: float = 0.08, seed: int = 0) -> Vector:
    """Assets whose sample volatility is exactly as asked."""
    moves = np.random.default_rng(seed).normal(size=days)
    moves = (moves - moves.mean()) / moves.std(ddof=1) * volatility / np.sqrt(DAYS)
    return 110 * np.exp(np.cumsum(np.r_[0.0, moves]))


def test_assets_behind_a_path_of_equity_are_found_again() -> None:
    """Equity priced from a known asset path: its value and volatility are a fixed point of the iteration."""
    assets = asset_path()
    found = kmv(option_value(assets, 100.0, 0.03, 0.08, 1.0), np.full(401, 100.0), 0.03)
    assert found.converged
    assert found.volatility == pytest.approx(0.08, abs=1e-8)
    np.testing.assert_allclose(found.assets, assets, rtol=1e-8)
    expected = (np.log(assets / 100) + (0.03 - 0.08**2 / 2)) / 0.08
    np.testing.assert_allclose(found.distance, expected, rtol=1e-6)
    np.testing.assert_allclose(found.probability, ndtr(-expected), rtol=1e-5)


def test_a_drift_moves_the_distance_by_itself_over_volatility() -> None:
    equity, debt = option_value(asset_path(), 100.0, 0.03, 0.08, 1.0), np.full(401, 100.0)
    neutral, growing = kmv(equity, debt, 0.03), kmv(equity, debt, 0.03, drift=0.10)
    np.testing.assert_allclose(growing.distance - neutral.distance, 0.07 / neutral.volatility, rtol=1e-9)


def test_currency_does_not_matter_and_debt_brings_default_nearer() -> None:
    equity, debt = option_value(asset_path(), 100.0, 0.03, 0.08, 1.0)[:, None], np.full((401, 1), 100.0)
    plain = distance_to_default(equity, debt)
    np.testing.assert_allclose(distance_to_default(7.1e9 * equity, 7.1e9 * debt), plain, rtol=1e-7)
    assert distance_to_default(equity, 1.2 * debt)[0] < plain[0]


def test_no_return_spans_a_missing_day() -> None:
    """A gap over which equity doubled must not become volatility."""
    equity = option_value(asset_path(), 100.0, 0.03, 0.08, 1.0)
    holed = equity.copy()
    holed[200] = np.nan
    holed[100] = 0.0
    found = kmv(holed, np.full(401, 100.0), 0.03)
    assert np.isnan(found.distance[[100, 200]]).all()
    assert found.volatility == pytest.approx(0.08, rel=0.02)


def test_what_has_no_path_is_refused_and_the_measure_is_missing() -> None:
    still, debt = np.full(50, 10.0), np.full(50, 100.0)
    with pytest.raises(ValueError, match="does not move"):
        kmv(still, debt, 0.0)
    with pytest.raises(ValueError, match="too few"):
        kmv(still[:10], debt[:10], 0.0)
    with pytest.raises(ValueError, match="positive"):
        merton(-1, 0.2, 1, 0.0)
    assert np.isnan(distance_to_default(still[:, None], debt[:, None])).all()


def test_below_the_debt_the_distance_is_negative() -> None:
    assert float(distance(90, 100, 0.0, 0.1)) < 0 < float(distance(120, 100, 0.0, 0.1))
