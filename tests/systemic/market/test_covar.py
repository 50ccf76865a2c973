"""CoVaR by hand, and conditional on states."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from systemic.market.covar import conditional_covar, covar, delta_covar, delta_covar_given_states, value_at_risk
from systemic.market.quantile import quantile_regression
from tests.systemic.market.worlds import correlated


def test_an_exact_line_gives_exact_covar() -> None:
    """Market = 0.01 + 0.5 r: CoVaR is −(0.01 + 0.5 · q), ΔCoVaR is 0.5 (median − q)."""
    own = np.linspace(-0.2, 0.2, 101)
    found = covar(own[:, None], 0.01 + 0.5 * own, level=0.05)
    assert found.slope[0] == pytest.approx(0.5)
    assert found.var[0] == pytest.approx(0.18)
    assert found.median_loss[0] == pytest.approx(0.0, abs=1e-15)
    assert found.covar[0] == pytest.approx(-(0.01 - 0.5 * 0.18))
    assert found.delta[0] == pytest.approx(0.09)


def test_normal_value_at_risk_uses_the_sample_deviation() -> None:
    """R's qnorm(0.05, mean(x), sd(x)), as SystemicR computes it."""
    series = np.array([0.01, -0.02, 0.03, -0.01, 0.005])
    expected = -(series.mean() + norm.ppf(0.05) * np.sqrt(((series - series.mean()) ** 2).sum() / 4))
    assert value_at_risk(series, 0.05, "normal") == pytest.approx(expected)
    assert value_at_risk(series, 0.5, "normal") == pytest.approx(-series.mean())
    with pytest.raises(ValueError, match="'empirical' or 'normal'"):
        value_at_risk(series, 0.05, "student")  # type: ignore[arg-type]


def test_delta_covar_is_slope_times_the_way_into_distress() -> None:
    panel = correlated(500, 4)
    found = covar(panel[:, 1:], panel[:, 0], var="normal")
    np.testing.assert_allclose(found.delta, found.slope * (found.var - found.median_loss))
    np.testing.assert_array_equal(found.delta, delta_covar(panel[:, 1:], panel[:, 0], var="normal"))


def test_a_series_that_is_short_or_still_has_no_covar() -> None:
    panel = correlated(100, 4)
    panel[19:, 1] = np.nan
    panel[:, 2] = 0.0
    found = delta_covar(panel[:, 1:], panel[:, 0])
    assert np.isnan(found).tolist() == [True, True, False]


def test_states_of_the_day_before_set_the_level() -> None:
    """If only yesterday's state moves returns, the conditional value at risk follows it, without noise."""
    generator = np.random.default_rng(2)
    state = generator.normal(size=(300, 1))
    lagged = np.r_[0.0, state[:-1, 0]]
    own = 0.02 * lagged + 0.001 * generator.normal(size=300)
    market = 0.01 * lagged + 0.5 * own
    found = conditional_covar(own[:, None], market, state)
    assert np.isnan(found.var[0, 0])
    np.testing.assert_allclose(np.corrcoef(found.var[1:, 0], -lagged[1:])[0, 1], 1.0, atol=1e-12)
    assert found.slope[0] == pytest.approx(0.5)
    np.testing.assert_allclose(found.covar[1:, 0], 0.5 * found.var[1:, 0] - 0.01 * lagged[1:], atol=1e-9)
    np.testing.assert_allclose(found.delta[1:], 0.5 * (found.var - found.median_loss)[1:], atol=1e-9)


def test_conditional_covar_is_two_quantile_regressions() -> None:
    """Equations 11 and 12 of Adrian & Brunnermeier, written out."""
    panel = correlated(250, 2)
    states = np.random.default_rng(0).normal(size=(250, 2))
    found = conditional_covar(panel[:, 1:], panel[:, 0], states, level=0.1)
    before = states[:-1]
    var = -np.column_stack([np.ones(249), before]) @ quantile_regression(panel[1:, 1], before, 0.1)
    a, *g, b = quantile_regression(panel[1:, 0], np.column_stack([before, panel[1:, 1]]), 0.1)
    np.testing.assert_allclose(found.var[1:, 0], var)
    np.testing.assert_allclose(found.covar[1:, 0], -(a + before @ np.array(g) - b * var))


def test_too_few_rows_for_the_states_give_nothing() -> None:
    panel = correlated(22, 2)
    found = conditional_covar(panel[:, 1:], panel[:, 0], np.random.default_rng(0).normal(size=(22, 3)))
    assert np.isnan(found.delta).all()


def test_by_name_it_is_the_last_row_given_the_states_before() -> None:
    panel, states = correlated(80, 3, seed=2), np.random.default_rng(1).standard_normal((80, 2))
    expected = conditional_covar(panel[:, 1:], panel[:, 0], states).delta[-1]
    assert delta_covar_given_states(panel[:, 1:], panel[:, 0], states) == pytest.approx(expected)
    assert delta_covar_given_states(panel[:0, 1:], panel[:0, 0], states[:0]).shape == (2,)
