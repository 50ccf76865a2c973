"""Many quantile regressions at once are the linear programme's, and replicates are those of the statistic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systemic.market.covar import VarKind, conditional_covar, covar, delta_covar
from systemic.market.distance import distance_error
from systemic.market.mes import marginal_expected_shortfall
from systemic.market.quantile import check_loss, quantile_regression
from systemic.market.resampled import (
    bounds,
    covar_replicates,
    covar_states_replicates,
    delta_covar_replicates,
    draw_rows,
    quantile_slopes,
    replicate,
)


def world(seed: int, rows: int = 120, n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return a market's returns and n institutions'."""
    rng = np.random.default_rng(seed)
    market = 0.01 * rng.standard_t(4, rows)
    return market, market[:, None] * rng.uniform(0.3, 2, n) + 0.01 * rng.standard_t(4, (rows, n))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.3, 0.5, 0.9]))
def test_slopes_reach_the_least_check_loss(seed: int, level: float) -> None:
    """Where the optimum is unique the slope is the linear programme's; in any case no line has a smaller loss."""
    market, own = world(seed, 60)
    own[:7] = own[7]
    slopes = quantile_slopes(np.tile(market, (3, 1)), own.T.copy(), level)
    for i, slope in enumerate(slopes):
        rest = market - slope * own[:, i]
        intercept = np.sort(rest)[int(np.ceil(level * len(rest))) - 1]
        exact = quantile_regression(market, own[:, i], level)
        best = check_loss(market - exact[0] - exact[1] * own[:, i], level)
        assert check_loss(rest - intercept, level) == pytest.approx(best, rel=1e-9)


def test_a_regressor_that_does_not_move_has_no_slope() -> None:
    assert np.isnan(quantile_slopes(np.ones((1, 30)), np.ones((1, 30)), 0.5)).all()


def test_replicates_are_the_statistic_of_the_rows_drawn() -> None:
    """One by one: ΔCoVaR by the linear programme, MES by its own function."""
    market, own = world(3)
    draws = draw_rows(np.column_stack([market, own]), 20, seed=5)
    found = delta_covar_replicates(own, market, draws)
    assert found == pytest.approx(np.array([delta_covar(own[d], market[d]) for d in draws]), rel=1e-8, abs=1e-12)
    table = np.column_stack([market, own])
    mes = replicate(lambda t: marginal_expected_shortfall(t[:, 1:], t[:, 0]), table, draws)
    assert mes[4] == pytest.approx(marginal_expected_shortfall(own[draws[4]], market[draws[4]]))


@pytest.mark.parametrize("var", ["empirical", "normal"])
def test_covar_of_a_resample_is_covar_of_its_rows(var: VarKind) -> None:
    market, own = world(6)
    draws = draw_rows(np.column_stack([market, own]), 5, seed=1)
    found = covar_replicates(own, market, draws, 0.05, var)
    for r, at in enumerate(draws):
        exact = covar(own[at], market[at], var=var)
        assert found.covar[r] == pytest.approx(exact.covar, rel=1e-8)
        assert found.covar_median[r] == pytest.approx(exact.covar_median, rel=1e-8)


def test_the_resample_that_is_the_sample_gives_covar_by_states() -> None:
    """A row is drawn with the states of the row before it, and read at the last row's."""
    market, own = world(7, n=2)
    states = np.random.default_rng(1).standard_normal((120, 2))
    before = np.vstack([np.full((1, 2), np.nan), states[:-1]])
    found = covar_states_replicates(own, market, before, np.arange(120)[None], level=0.1)
    assert found.delta[0] == pytest.approx(conditional_covar(own, market, states, level=0.1).delta[-1], rel=1e-9)


def test_who_misses_days_is_resampled_from_its_own() -> None:
    """And who has fewer than twenty has no replicates, so no bounds."""
    market, own = world(4)
    own[:50, 0], own[15:, 1] = np.nan, np.nan
    found = delta_covar_replicates(own, market, draw_rows(market, 30))
    assert np.isfinite(found[:, [0, 2]]).all()
    low, high = bounds(found)
    assert np.isnan(low[1])
    assert (low[[0, 2]] < high[[0, 2]]).all()


def test_the_error_of_a_distance_is_that_of_its_volatility() -> None:
    """A thousand volatilities estimated from 250 normal returns scatter the distance by the formula's error."""
    rng = np.random.default_rng(0)
    true, head = 0.1, 0.4
    drawn = (true * rng.standard_normal((4000, 250))).std(axis=1, ddof=1)
    away = head / drawn - drawn / 2
    assert distance_error(head / true - true / 2, true, 250) == pytest.approx(away.std(), rel=0.05)
    with pytest.raises(ValueError, match="too few"):
        distance_error(1.0, 0.1, 1)
