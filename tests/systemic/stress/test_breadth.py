"""Share of the system in breach, and its bounds."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from systemic.stress.breadth import breadth, breadth_of_breach

nan = float("nan")
reports = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, nan]), st.floats(0.01, 1e9) | st.just(nan)), min_size=1, max_size=12
)


def test_what_is_not_reported_leaves_bounds() -> None:
    """Of 100, 60 reported and 15 of that breach: 25 % of the known, between 15 and 55 of the whole."""
    found = breadth(np.array([1.0, 0.0, nan]), np.array([15.0, 45.0, 40.0]))
    assert (found.share, found.low, found.high, found.coverage) == (0.25, 0.15, 0.55, 0.6)


@given(reports)
def test_the_share_lies_within_its_bounds(rows: list[tuple[float, float]]) -> None:
    breach, weight = (np.array(column) for column in zip(*rows, strict=True))
    found = breadth(breach, weight)
    if np.isnan(weight).all():
        assert np.isnan(found.coverage)
        return
    assert -1e-12 <= found.low <= found.high <= 1 + 1e-12
    assert found.high - found.low == pytest.approx(1 - found.coverage)
    if found.coverage > 0:
        assert found.low - 1e-9 <= found.share <= found.high + 1e-9


def test_currency_does_not_matter_and_an_empty_sector_has_no_share() -> None:
    breach, weight = np.array([1.0, 0.0]), np.array([1.0, 3.0])
    assert breadth_of_breach(breach, weight) == breadth_of_breach(breach, 7.1 * weight) == 0.25
    assert np.isnan(breadth_of_breach(np.empty(0), np.empty(0)))


@pytest.mark.parametrize(("breach", "weight", "why"), [([0.5], [1.0], "1, 0 or missing"), ([1.0], [-1.0], "negative")])
def test_what_is_no_breach_or_weight_is_refused(breach: list[float], weight: list[float], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        breadth(np.array(breach), np.array(weight))
