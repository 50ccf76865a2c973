"""Resamples of statistics that look back, and the interval of a turbulence."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ncf

from systemic.bootstrap import centred_bounds
from systemic.market.absorption import last_turbulence
from systemic.market.connectedness import granger_degree
from systemic.market.lookback import granger_replicates, pair_draws, spillover_replicates, turbulence_interval
from systemic.market.resampled import draw_rows
from systemic.market.spillover import spillover
from tests.systemic.market.worlds import correlated


def every_row(rows: int) -> np.ndarray:
    return np.arange(rows)[None]


@pytest.mark.parametrize("order", [1, 3])
def test_the_resample_that_is_the_sample_gives_the_estimate(order: int) -> None:
    panel = correlated(150, 4, seed=2)
    panel[1:] += 0.3 * panel[:-1, ::-1]
    panel[40, 2] = np.nan
    table = spillover_replicates(panel, every_row(150), order=order)[0]
    np.testing.assert_allclose(table, spillover(panel, order=order).table, rtol=1e-10)
    whole = panel[np.isfinite(panel).all(axis=1)]
    found = granger_replicates(whole, every_row(149), order=order)[0]
    assert found == granger_degree(whole, order=order)


def test_a_resample_never_joins_days_that_were_apart() -> None:
    """Row 3 is missing, so rows 3 and 4 have no day before them that is known; row 0 never has."""
    panel = correlated(7, 2)
    panel[3, 1] = np.nan
    (found,) = pair_draws(panel, np.array([[0, 1, 2, 3, 4, 5, 6, 6]]), 1)
    assert found.tolist() == [0, 1, 2, 3, 3]


def test_independent_series_have_an_interval_around_the_estimate() -> None:
    """Resamples of 200 days of 8 strangers lie above the estimate; the centred interval holds it."""
    panel = correlated(200, 8, seed=3, correlation=0.0)
    draws = draw_rows(panel, 100)
    index = spillover(panel).total
    totals = 1 - np.trace(spillover_replicates(panel, draws), axis1=1, axis2=2) / 8
    assert np.quantile(totals, 0.05) > index
    low, high = centred_bounds(index, totals, 0.9, 0.0, 1.0)
    assert low[0] < index < high[0]
    degrees = granger_replicates(panel, draws)
    low, high = centred_bounds(granger_degree(panel), degrees, 0.9, 0.0, 1.0)
    assert 0.0 <= low[0] <= granger_degree(panel) <= high[0] < 0.5


def test_too_few_rows_leave_replicates_missing() -> None:
    panel = correlated(6, 5)
    draws = draw_rows(panel, 5)
    assert np.isnan(spillover_replicates(panel, draws)).all()
    assert np.isnan(granger_replicates(panel[:, :1], draws)).all()
    assert np.isnan(granger_replicates(panel[:3], draws % 3)).all()
    low, high = centred_bounds([0.5], np.full((5, 1), np.nan))
    assert np.isnan([low[0], high[0]]).all()


def test_the_interval_of_a_turbulence_solves_the_noncentral_f() -> None:
    low, high = turbulence_interval(30.0, 250, 10, 0.9)
    ratio = 30.0 * 250 * 240 / (10 * 249)
    assert ncf.cdf(ratio, 10, 240, 250 * low) == pytest.approx(0.95, abs=1e-6)
    assert ncf.cdf(ratio, 10, 240, 250 * high) == pytest.approx(0.05, abs=1e-6)
    assert turbulence_interval(1e-6, 250, 10)[0] == 0.0
    assert np.isnan(turbulence_interval(5.0, 10, 10)).all()


def test_nine_in_ten_intervals_hold_the_true_turbulence() -> None:
    """Of a day at squared distance 25, seen against 100 normal days of 5 independent series."""
    generator = np.random.default_rng(0)
    day = np.full(5, np.sqrt(5.0))
    inside = 0
    for _ in range(200):
        history = generator.standard_normal((100, 5))
        low, high = turbulence_interval(last_turbulence(np.vstack([history, day])), 100, 5)
        inside += low <= 25.0 <= high
    assert inside == pytest.approx(180, abs=12)
