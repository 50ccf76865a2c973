"""GJR-GARCH with DCC: parameters that made the data are found again."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from systemic.arrays import Matrix
from systemic.market.garch import dynamic_correlation, gjr_garch, market_model, simulate_lrmes
from systemic.market.lrmes import average_losses
from tests.systemic.market.worlds import correlated

needs_arch = pytest.mark.skipif(find_spec("arch") is None, reason="the package arch (extra market) is missing")


def correlated_shocks(days: int, a: float, b: float, target: float, seed: int = 0) -> Matrix:
    """Unit shocks of two series whose correlation follows Engle's DCC(1,1)."""
    generator = np.random.default_rng(seed)
    long_run = np.array([[1.0, target], [target, 1.0]])
    q, shocks = long_run.copy(), np.empty((days, 2))
    for t in range(days):
        rho = q[0, 1] / np.sqrt(q[0, 0] * q[1, 1])
        z = generator.normal(size=2)
        shocks[t] = z[0], rho * z[0] + np.sqrt(1 - rho**2) * z[1]
        q = (1 - a - b) * long_run + a * np.outer(shocks[t], shocks[t]) + b * q
    return shocks


def test_the_correlation_that_made_the_shocks_is_found() -> None:
    """A single sample of 6,000 days leaves b uncertain by 0.02; four together leave half of that."""
    fits = [dynamic_correlation(*correlated_shocks(6_000, 0.05, 0.90, 0.5, seed).T) for seed in range(4)]
    assert np.mean([fit.a for fit in fits]) == pytest.approx(0.05, abs=0.01)
    assert np.mean([fit.b for fit in fits]) == pytest.approx(0.90, abs=0.03)
    for fit in fits:
        assert fit.correlation.mean() == pytest.approx(0.5, abs=0.05)
        assert (np.abs(fit.correlation) < 1).all()
        assert len(fit.correlation) == 6_001


def test_the_filter_is_the_recursion() -> None:
    shocks = correlated_shocks(50, 0.1, 0.8, 0.3)
    found = dynamic_correlation(shocks[:, 0], shocks[:, 1])
    q = found.target.copy()
    for t in range(50):
        np.testing.assert_allclose(found.q[t], q, rtol=1e-10)
        products = np.array([shocks[t, 0] ** 2, shocks[t, 1] ** 2, shocks[t, 0] * shocks[t, 1]])
        q = (1 - found.a - found.b) * found.target + found.a * products + found.b * q
    np.testing.assert_allclose(found.q[50], q, rtol=1e-10)


@needs_arch
def test_the_variance_that_made_the_returns_is_found() -> None:
    generator = np.random.default_rng(3)
    omega, alpha, gamma, beta = 0.05, 0.03, 0.10, 0.88
    variance, returns = 1.0, np.empty(6_000)
    for t in range(6_000):
        returns[t] = np.sqrt(variance) * generator.normal()
        variance = omega + (alpha + gamma * (returns[t] < 0)) * returns[t] ** 2 + beta * variance
    found = gjr_garch(returns / 100)
    assert (found.omega, found.alpha, found.gamma, found.beta) == pytest.approx((omega, alpha, gamma, beta), abs=0.03)
    assert found.shocks.std() == pytest.approx(1.0, abs=0.02)
    assert found.next_variance == pytest.approx(variance, rel=0.15)


@needs_arch
def test_an_institution_of_half_again_the_market_loses_more_in_simulated_crises() -> None:
    panel = correlated(600, 2, seed=8, correlation=0.0)
    market, own = panel[:, 0], 1.5 * panel[:, 0] + 0.3 * panel[:, 1]
    model = market_model(own, market)
    assert model.beta.mean() == pytest.approx(1.5, abs=0.15)
    first, second = (simulate_lrmes(model, decline=0.2, horizon=60, paths=5_000, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first.lrmes, second.lrmes)
    assert first.crises > 30
    assert 0.25 < first.lrmes[0] < 0.7


@needs_arch
def test_a_model_beyond_a_unit_root_loses_between_nothing_and_all() -> None:
    """In September 2008 losses of 1e27 times the equity were simulated for Freddie Mac, and −122 for AIG, by seed.

    The fit of a share that falls apart answers to news so strongly that variances grow without bound. The model is held
    below a unit root, a gain counts up to doubling, and seeds agree within four standard errors.
    """
    panel = correlated(500, 2, seed=8, correlation=0.5)
    fitted = market_model(panel[:, 1], panel[:, 0])
    wild = replace(fitted.institution, alpha=0.3, gamma=0.9, beta=0.6)
    assert wild.persistence > 1.2
    assert wild.held.persistence == pytest.approx(0.999)
    assert fitted.market.held is fitted.market
    model = replace(fitted, institution=wild)
    found = [simulate_lrmes(model, decline=0.1, horizon=60, paths=4_000, seed=seed) for seed in range(4)]
    losses, errors = (np.array([getattr(one, name)[0] for one in found]) for name in ("lrmes", "standard_error"))
    assert ((losses > -1) & (losses < 1)).all()
    assert np.ptp(losses) < 4 * errors.max()


def test_a_loss_that_is_not_known_well_enough_is_missing_with_the_reason() -> None:
    made = average_losses([np.array([[0.4, -0.9], [0.41, 0.99], [0.39, 0.2]])], 2, 1_000)
    assert made.lacking(0) == ""
    assert "standard error of the simulation is 54.8%" in made.lacking(1)
    assert made.sure.lrmes[0] == pytest.approx(0.4)
    assert np.isnan(made.sure.lrmes[1])
    assert "two are needed" in average_losses([np.array([[0.4]])], 1, 1_000).lacking(0)


def test_one_heavy_path_does_not_make_the_mean() -> None:
    losses = np.append(np.full(999, 0.5), -1e27)[:, None]
    assert average_losses([losses], 1, 10_000).lrmes[0] == pytest.approx(0.4985)


def test_too_short_a_series_is_refused() -> None:
    with pytest.raises(ValueError, match="250 returns"):
        gjr_garch(np.zeros(100))


def test_without_the_extra_the_message_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "arch", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'guanlan\[market\]'"):
        gjr_garch(correlated(300, 1)[:, 0])
