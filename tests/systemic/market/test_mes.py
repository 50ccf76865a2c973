"""Marginal expected shortfall and its long-run forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from systemic.arrays import Matrix
from systemic.market.lrmes import (
    lrmes_by_beta,
    lrmes_by_simulation,
    lrmes_from_beta,
    lrmes_from_mes,
    market_beta,
    simulated_lrmes,
)
from systemic.market.mes import marginal_expected_shortfall, tail_threshold
from tests.systemic.market.worlds import correlated, panels


def test_it_is_the_mean_loss_on_the_days_below_the_quantile() -> None:
    """Market −10 … +10 %; the 20 % quantile of 21 values is the fifth, −6 %; four days lie below it."""
    market = np.arange(-10, 11) / 100
    returns = np.column_stack([market * 2, np.where(market < -0.085, -0.3, 0.1)])
    assert tail_threshold(market, 0.2) == pytest.approx(-0.06)
    found = marginal_expected_shortfall(returns, market, level=0.2)
    np.testing.assert_allclose(found, [0.17, (0.3 + 0.3 - 0.1 - 0.1) / 4])
    weak = marginal_expected_shortfall(returns, market, level=0.2, tail="weak")
    np.testing.assert_allclose(weak, [0.16, (0.3 + 0.3 - 0.1 - 0.1 - 0.1) / 5])


def test_the_quantile_lies_between_order_statistics() -> None:
    """5 % of 30 values lies at rank 1.45: numpy's and R's type 7, so two days are below it."""
    market = np.arange(30, dtype=np.float64)
    assert tail_threshold(market, 0.05) == pytest.approx(1.45)
    assert marginal_expected_shortfall(market[:, None], market).tolist() == [-0.5]


@given(panels())
def test_of_the_market_itself_it_is_the_expected_shortfall(panel: Matrix) -> None:
    """For a market that is the mean of its members, their mean MES is its own expected shortfall."""
    market = panel.mean(axis=1)
    each = marginal_expected_shortfall(panel, market, level=0.2)
    whole = marginal_expected_shortfall(market[:, None], market, level=0.2)
    assert each.mean() == pytest.approx(whole[0])


def test_a_missing_day_is_left_out_for_the_one_who_misses_it() -> None:
    market = np.array([-0.10, -0.08, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08])
    returns = np.column_stack([market, market, np.full(10, np.nan)])
    returns[0, 1] = np.nan
    found = marginal_expected_shortfall(returns, market, level=0.2)
    np.testing.assert_allclose(found, [0.09, 0.08, np.nan])


def test_beta_is_the_slope_of_least_squares() -> None:
    panel = correlated(250, 4)
    slopes = [np.polyfit(panel[:, 0], panel[:, i], 1)[0] for i in range(1, 4)]
    np.testing.assert_allclose(market_beta(panel[:, 1:], panel[:, 0]), slopes)
    assert np.isnan(market_beta(panel[:, 1:], np.zeros(250))).all()


def test_lrmes_of_the_market_itself_is_the_decline() -> None:
    """Brownlees & Engle (2017): 1 − exp(log(1 − d) β)."""
    assert float(lrmes_from_beta(1.0, 0.4)) == pytest.approx(0.4)
    assert float(lrmes_from_beta(2.0, 0.1)) == pytest.approx(1 - 0.9**2)


def test_lrmes_from_a_daily_mes_of_five_percent() -> None:
    """Acharya, Engle & Richardson (2012): 1 − exp(−18 · MES)."""
    assert float(lrmes_from_mes(0.05)) == pytest.approx(1 - np.exp(-0.9))


def test_simulated_crises_cost_twice_as_much_in_logs_at_a_beta_of_two() -> None:
    """With r_i = 2 r_m on every day, each crisis path loses 1 − (1 − L)² where the market loses L."""
    market = correlated(500, 1, seed=5)[:, 0] - 0.001
    found = simulated_lrmes(np.column_stack([market, 2 * market]), market, decline=0.2, horizon=60, paths=4_000)
    assert found.crises > 100
    assert found.lrmes[0] > 0.2
    assert 1 - (1 - found.lrmes[0]) ** 2 == pytest.approx(found.lrmes[1], abs=0.02)


def test_the_same_seed_gives_the_same_simulation_and_no_crisis_gives_none() -> None:
    panel = correlated(300, 3)
    settings = {"decline": 0.1, "horizon": 60, "paths": 500}
    first, second = (simulated_lrmes(panel[:, 1:], panel[:, 0], **settings, seed=7) for _ in range(2))
    np.testing.assert_array_equal(first.lrmes, second.lrmes)
    calm = simulated_lrmes(panel[:, 1:], panel[:, 0], decline=0.99, horizon=2, paths=100)
    assert calm.crises == 0
    assert np.isnan(calm.lrmes).all()


@pytest.mark.parametrize("decline", [0.0, 1.0, -0.4])
def test_a_decline_is_a_fraction(decline: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        lrmes_from_beta(1.0, decline)


def test_lrmes_by_name_are_the_formulas_of_each_institution_s_own_days() -> None:
    """An institution that misses days is simulated over the days it has, whoever stands beside it."""
    panel = 1.5 * correlated(200, 4, seed=3)
    market, own = panel[:, 0], panel[:, 1:].copy()
    own[:40, 1] = np.nan
    assert lrmes_by_beta(own, market, decline=0.3) == pytest.approx(lrmes_from_beta(market_beta(own, market), 0.3))
    found = lrmes_by_simulation(own, market, decline=0.2, horizon=60, paths=2_000)
    for i in range(3):
        alone = simulated_lrmes(own[:, [i]], market, decline=0.2, horizon=60, paths=2_000).lrmes[0]
        assert found[i] == pytest.approx(alone, rel=1e-12)
