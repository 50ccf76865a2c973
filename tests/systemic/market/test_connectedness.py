"""Principal-component exposure and Granger links."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from systemic.arrays import Matrix
from systemic.market.connectedness import granger_degree, granger_links, granger_p_values, pcas
from tests.systemic.market.worlds import correlated, panels


@given(panels())
def test_with_all_components_it_is_the_share_of_own_variance(panel: Matrix) -> None:
    """Σ_k L_ik² λ_k is the diagonal of a correlation matrix, one."""
    whole = pcas(panel, number=panel.shape[1])
    np.testing.assert_allclose(whole, panel.var(axis=0, ddof=1) / panel.sum(axis=1).var(ddof=1), rtol=1e-6)
    assert (pcas(panel, number=1) <= whole * (1 + 1e-9)).all()


def test_two_equal_series_load_alike() -> None:
    """Equal variance, correlation ρ = 0.6: λ₁ = 1.6, L² = ½, σ_S² = 2 (1 + ρ) σ², so PCAS = ½ · 1.6 / 3.2."""
    a = np.array([1.0, -1.0, 1.0, -1.0])
    b = np.array([1.0, -1.0, -1.0, 1.0])
    np.testing.assert_allclose(pcas(np.column_stack([a, 0.6 * a + 0.8 * b]), number=1), [0.25, 0.25])


def test_a_cause_is_found_and_its_direction_too() -> None:
    generator = np.random.default_rng(1)
    cause = generator.normal(size=300)
    effect = np.r_[0.0, 0.8 * cause[:-1]] + generator.normal(size=300)
    links = granger_links(np.column_stack([cause, effect]), level=0.001)
    assert links.tolist() == [[False, False], [True, False]]


@pytest.mark.parametrize("order", [1, 3])
def test_statsmodels_finds_the_same_p_values(order: int) -> None:
    peer = pytest.importorskip("statsmodels.tsa.stattools").grangercausalitytests
    panel = correlated(200, 2, seed=9)
    theirs = peer(panel, [order])[order][0]["ssr_ftest"][1]
    assert granger_p_values(panel, order)[0, 1] == pytest.approx(theirs, rel=1e-8)


def test_among_strangers_about_one_link_in_twenty_is_chance() -> None:
    strangers = np.random.default_rng(0).normal(size=(400, 20))
    assert granger_degree(strangers) == pytest.approx(0.05, abs=0.03)


def test_what_can_not_be_tested_is_missing() -> None:
    panel = correlated(50, 3)
    panel[:, 0] = 0.0
    assert np.isnan(granger_p_values(panel)[0]).all()
    assert np.isnan(granger_degree(panel[:3]))
    assert np.isnan(pcas(panel[:1])).all()
    with pytest.raises(ValueError, match="at least one lag"):
        granger_p_values(panel, 0)
