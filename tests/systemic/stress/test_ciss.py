"""The composite: ranks and correlations by hand, a plain second implementation, parts that add up."""

from __future__ import annotations

from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from systemic.arrays import Matrix, Vector
from systemic.stress.ciss import composite, empirical_cdf, ewma_correlation, stress_index
from systemic.stress.waterfall import CORRELATION, composite_parts, waterfall

GROUPS = (0, 0, 1, 2, 2)
values = st.floats(-100, 100) | st.just(float("nan"))
panels = arrays(np.float64, st.tuples(st.integers(1, 25), st.just(5)), elements=values)


def test_ranks_are_shares_of_those_known_then() -> None:
    nan = float("nan")
    assert empirical_cdf(np.array([3.0, 1.0, nan, 2.0])).tolist() == [
        1.0,
        1 / 3,
        pytest.approx(nan, nan_ok=True),
        2 / 3,
    ]
    assert empirical_cdf(np.array([5.0, 5.0])).tolist() == [0.75, 0.75]


def test_recursive_ranks_know_nothing_of_later() -> None:
    """The first two among themselves, then each among all so far: 4 is the largest of three, then 3 of four."""
    assert empirical_cdf(np.array([1.0, 2.0, 4.0, 3.0]), initial=2).tolist() == [0.5, 1.0, 1.0, 0.75]


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-5, 5)), st.integers(1, 40))
def test_recursive_ranks_are_scipys_rank_of_the_last_value(series: Vector, initial: int) -> None:
    found = empirical_cdf(series, initial=initial)
    for t in range(min(initial, len(series)), len(series)):
        assert found[t] == pytest.approx(rankdata(series[: t + 1])[-1] / (t + 1))


def test_correlations_by_hand() -> None:
    """s − ½ = (½, ½) once, decay 0.9: σ² = 0.9 / 12 + 0.1 / 4 = 0.1, σ₁₂ = 0.025, so ρ = ¼."""
    found = ewma_correlation(np.array([[1.0, 1.0]]), decay=0.9)
    np.testing.assert_allclose(found[0], [[1, 0.25], [0.25, 1]])


def test_the_first_rows_can_set_the_start() -> None:
    """Over two rows the products are (¼, ¼, ±¼): mean variance ¼, covariance 0."""
    rows = np.array([[1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    found = ewma_correlation(rows, decay=0.5, initial=2)
    np.testing.assert_allclose(found[0, 0, 1], 0.5)


def plain_composite(indicators: Matrix, groups: tuple[int, ...], decay: float) -> list[float]:
    """Equations 1 to 5 of the paper, number by number, for complete data and equal weights."""
    rows, k = indicators.shape
    ranks = [[sum(indicators[:, i] <= indicators[t, i]) / rows for i in range(k)] for t in range(rows)]
    m = max(groups) + 1
    subs = [
        [sum(r for r, g in zip(row, groups, strict=True) if g == j) / groups.count(j) for j in range(m)]
        for row in ranks
    ]
    state = [[1 / 12 if i == j else 0.0 for j in range(m)] for i in range(m)]
    found = []
    for s in subs:
        state = [[decay * state[i][j] + (1 - decay) * (s[i] - 0.5) * (s[j] - 0.5) for j in range(m)] for i in range(m)]
        pairs = [(i, j) for i in range(m) for j in range(m)]
        found.append(sum(s[i] / m * s[j] / m * state[i][j] / (state[i][i] * state[j][j]) ** 0.5 for i, j in pairs))
    return found


def test_a_plain_second_implementation_agrees() -> None:
    indicators = np.random.default_rng(0).normal(size=(40, 5)).cumsum(axis=0)
    found = composite(indicators, GROUPS, decay=0.9)
    np.testing.assert_allclose(found.index, plain_composite(indicators, GROUPS, 0.9), rtol=1e-12)


@given(panels)
def test_parts_add_up_to_the_whole(indicators: Matrix) -> None:
    found = composite(indicators, GROUPS, weights=[1, 2, 3], min_coverage=0.4)
    known = np.isfinite(found.index)
    parts = found.contributions.sum(axis=1) + found.correlation
    np.testing.assert_allclose(parts[known], found.index[known], atol=1e-12)
    np.testing.assert_allclose(found.subindex_contributions().sum(axis=1), found.contributions.sum(axis=1), atol=1e-12)
    assert (found.contributions[known] >= 0).all()
    assert (found.correlation[known] <= 1e-12).all()
    assert ((found.index[known] > -1e-12) & (found.index[known] <= 1 + 1e-12)).all()
    np.testing.assert_array_equal(known, found.coverage >= 0.4)


@given(panels, st.permutations(range(3)))
def test_the_order_of_the_sub_indices_does_not_matter(indicators: Matrix, order: list[int]) -> None:
    moved = [order[g] for g in GROUPS]
    plain, other = composite(indicators, GROUPS), composite(indicators, moved)
    np.testing.assert_allclose(other.index, plain.index, atol=1e-12)
    np.testing.assert_allclose(other.contributions, plain.contributions, atol=1e-12)


def test_any_increasing_transform_of_an_indicator_changes_nothing() -> None:
    indicators = np.random.default_rng(1).normal(size=(30, 5))
    bent = np.exp(indicators) * 1e6
    np.testing.assert_array_equal(composite(bent, GROUPS).index, composite(indicators, GROUPS).index)


def test_everything_at_its_record_at_once_is_one() -> None:
    rising = np.linspace(0, 1, 2_000)[:, None] * np.ones(3)
    found = composite(rising, decay=0.9)
    assert found.index[-1] == pytest.approx(1.0, abs=1e-6)
    assert stress_index(rising, decay=0.9) == found.index[-1]


def test_stress_in_one_market_alone_is_less_than_in_all() -> None:
    generator = np.random.default_rng(2)
    calm = generator.normal(size=(300, 3))
    alone, together = calm.copy(), calm.copy()
    alone[-20:, 0] += 10
    together[-20:] += 10
    assert stress_index(alone) < 0.6 < stress_index(together)


def test_a_missing_sub_index_leaves_its_weight_to_the_others_until_too_few_are_left() -> None:
    indicators = np.random.default_rng(3).normal(size=(20, 5))
    indicators[-1, 2] = np.nan
    found = composite(indicators, GROUPS, min_coverage=0.6)
    assert found.coverage[-1] == pytest.approx(2 / 3)
    assert np.isfinite(found.index[-1])
    assert found.contributions[-1, 2] == 0
    assert np.isnan(composite(indicators, GROUPS).index[-1])
    assert np.isnan(stress_index(np.empty((0, 3))))
    assert np.isnan(composite(np.empty((4, 0))).index).all()


@pytest.mark.parametrize(
    ("groups", "weights"), [((0, 2, 2, 1, 3), [1, 1, 1]), ((0, 0, 1), None), (GROUPS, [1, -1, 1]), (GROUPS, [0, 0, 0])]
)
def test_groups_and_weights_that_do_not_fit_are_refused(groups: tuple[int, ...], weights: list[float] | None) -> None:
    with pytest.raises(ValueError, match=r"groups must|weights, none"):
        composite(np.zeros((3, 5)), groups, weights)
    with pytest.raises(ValueError, match="decay"):
        ewma_correlation(np.zeros((3, 5)), decay=1.0)


def test_the_waterfall_ends_where_the_index_is() -> None:
    indicators = np.random.default_rng(4).normal(size=(50, 5))
    found = composite(indicators, GROUPS)
    names = ["ted", "liquidity", "credit", "banks", "insurers"]
    steps = waterfall(composite_parts(found, 10, names), composite_parts(found, 49, names))
    assert {step.part for step in steps} == {*names, CORRELATION}
    assert steps[0].start == pytest.approx(found.index[10])
    assert steps[-1].end == pytest.approx(found.index[49])
    assert sum(step.change for step in steps) == pytest.approx(found.index[49] - found.index[10])
    assert all(a.end == b.start for a, b in pairwise(steps))
    assert [abs(s.change) for s in steps] == sorted((abs(s.change) for s in steps), reverse=True)


def test_a_part_that_went_moved_the_whole_by_all_of_it() -> None:
    (step,) = waterfall({"a": 2.0}, {})
    assert (step.change, step.start, step.end) == (-2.0, 2.0, 0.0)
    with pytest.raises(ValueError, match="value of a is missing"):
        waterfall({"a": float("nan")}, {"a": 1.0})
    with pytest.raises(ValueError, match="5 indicators need as many names"):
        composite_parts(composite(np.zeros((2, 5))), 0, ["one"])
