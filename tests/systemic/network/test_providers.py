"""Third-party contagion by hand: outages, nth parties, substitutes, concentration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systemic.network.providers import outages, provider_concentration, provider_outage_reach

DEPENDENCE = [[0.6, 0.2], [0.0, 0.5], [1.0, 0.0]]
"""Three banks on a cloud and a data provider."""


def test_an_outage_stops_what_depends_on_it() -> None:
    found = outages(DEPENDENCE, services=[2, 1, 1])
    assert found.stopped[:, 0] == pytest.approx([0.6, 0.0, 1.0])
    assert found.reach == pytest.approx([0.5 * 0.6 + 0.25 * 1.0, 0.5 * 0.2 + 0.25 * 0.5])


def test_a_provider_s_provider_counts() -> None:
    """The data provider runs half on the cloud: bank 2 loses 0.5 · 0.5 when the cloud is out, bank 1 0.6 + 0.1."""
    found = outages(DEPENDENCE, nth_party=[[0, 0], [0.5, 0]])
    assert found.stopped[:, 0] == pytest.approx([0.7, 0.25, 1.0])
    assert found.direct[0] == pytest.approx((0.6 + 0.0 + 1.0) / 3)


def test_what_can_be_moved_in_time_does_not_stop() -> None:
    assert outages(DEPENDENCE, substitutability=[1.0, 0.0]).reach[0] == 0.0


def test_providers_in_a_circle_stop_at_one() -> None:
    found = outages([[1.0, 1.0]], nth_party=[[0, 1.0], [1.0, 0]])
    assert found.reach == pytest.approx([1.0, 1.0])


def test_the_worst_outage_and_the_concentration() -> None:
    assert provider_outage_reach(DEPENDENCE) == pytest.approx(1.6 / 3)
    assert provider_concentration(DEPENDENCE) == pytest.approx((1.6**2 + 0.7**2) / 2.3**2)


def test_concentration_counts_nth_parties() -> None:
    """With half of the data provider on the cloud: 0.7 + 0.25 + 1 stops with the cloud, 0.7 with the data."""
    found = provider_concentration(DEPENDENCE, nth_party=[[0, 0], [0.5, 0]])
    assert found == pytest.approx((1.95**2 + 0.7**2) / 2.65**2)


def test_nobody_depends_on_anybody() -> None:
    assert provider_outage_reach(np.zeros((2, 2))) == 0.0
    assert np.isnan(provider_concentration(np.zeros((2, 2))))


@given(st.integers(0, 2**32 - 1))
def test_reach_grows_with_nth_parties_and_stays_a_share(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dependence, chain = rng.uniform(0, 1, (4, 3)), rng.uniform(0, 0.6, (3, 3))
    np.fill_diagonal(chain, 0)
    found = outages(dependence, nth_party=chain)
    assert (found.reach >= found.direct - 1e-12).all()
    assert (found.reach <= 1 + 1e-12).all()


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="outside 0 to 1"):
        outages([[1.2]])
