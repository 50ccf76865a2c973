"""Intervals, rank ranges and concordance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from systemic.bootstrap import concordance, interval, optimal_block, rank_range, stationary_indices


def persistent(days: int, memory: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=days)
    series = np.zeros(days)
    for t in range(1, days):
        series[t] = memory * series[t - 1] + noise[t]
    return series


@given(st.integers(1, 200), st.floats(1, 50), st.integers(0, 1_000))
def test_a_sample_is_made_of_runs_that_wrap_around(length: int, block: float, seed: int) -> None:
    drawn = stationary_indices(length, block, np.random.default_rng(seed))
    assert drawn.shape == (length,)
    assert ((drawn >= 0) & (drawn < length)).all()


def test_blocks_have_the_mean_length_asked_for() -> None:
    drawn = stationary_indices(200_000, 20.0, np.random.default_rng(0))
    breaks = ((drawn[1:] - drawn[:-1]) % 200_000 != 1).sum()
    assert 200_000 / breaks == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize(("memory", "days"), [(0.0, 400), (0.5, 2_000), (0.9, 1_000)])
def test_the_block_length_is_that_of_arch(memory: float, days: int) -> None:
    """arch counts the first quiet lag one later than Politis & White, so the lengths are near, not equal."""
    peer = pytest.importorskip("arch.bootstrap").optimal_block_length
    series = persistent(days, memory)
    assert optimal_block(series) == pytest.approx(max(1.0, peer(series)["stationary"].iloc[0]), rel=0.2)


def test_the_interval_of_a_mean_is_that_of_the_central_limit() -> None:
    series = np.random.default_rng(1).normal(size=(400, 1))
    found = interval(lambda rows: rows.mean(axis=0), series, confidence=0.9, replications=2_000, block=1.0)
    expected = series.std() / 20
    assert found.standard_error[0] == pytest.approx(expected, rel=0.05)
    assert found.high[0] - found.low[0] == pytest.approx(2 * 1.645 * expected, rel=0.05)
    assert found.low[0] < found.estimate[0] < found.high[0]


def test_persistence_widens_the_interval() -> None:
    """The mean of an AR(1) with φ = 0.8 is √((1 + φ) / (1 − φ)) = 3 times as uncertain as of noise."""
    series = persistent(4_000, 0.8)[:, None]
    blocks, days = (
        interval(lambda rows: rows.mean(axis=0), series, replications=400, block=b).standard_error[0]
        for b in (60.0, 1.0)
    )
    assert blocks / days == pytest.approx(3, rel=0.25)


def test_a_statistic_that_mostly_fails_has_no_interval() -> None:
    def mostly_missing(rows: np.ndarray) -> np.ndarray:
        return np.array([rows.mean(), np.nan])

    found = interval(mostly_missing, np.arange(30.0)[:, None], replications=20)
    assert np.isfinite(found.low).tolist() == [True, False]
    with pytest.raises(ValueError, match="no row"):
        interval(mostly_missing, np.empty((0, 1)))
    with pytest.raises(ValueError, match="between 0 and 1"):
        interval(mostly_missing, np.ones((5, 1)), confidence=90)
    with pytest.raises(ValueError, match="at least 1"):
        stationary_indices(5, 0.5, np.random.default_rng(0))


def test_a_clear_leader_keeps_its_rank_and_two_near_ones_share_theirs() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (200, 3))
    best, worst = rank_range(np.array([5.0, 1.0, 1.0]) + noise)
    assert (best[0], worst[0]) == (1, 1)
    assert best[1:].tolist() == [2, 2]
    assert worst[1:].tolist() == [3, 3]


def test_the_unknown_rank_last() -> None:
    best, worst = rank_range(np.array([[np.nan, 1.0, 2.0]]), 1.0)
    assert best.tolist() == worst.tolist() == [3, 2, 1]


@given(st.integers(2, 6), st.integers(3, 12), st.integers(0, 10_000))
def test_concordance_is_the_mean_rank_correlation_in_other_words(m: int, n: int, seed: int) -> None:
    """Kendall & Gibbons: mean Spearman ρ of all pairs = (m W − 1) / (m − 1), without ties."""
    scores = np.random.default_rng(seed).normal(size=(m, n))
    pairs = [spearmanr(scores[i], scores[j]).statistic for i in range(m) for j in range(i)]
    assert np.mean(pairs) == pytest.approx((m * concordance(scores) - 1) / (m - 1))


def test_ties_are_allowed_for_and_nothing_can_agree_with_a_constant() -> None:
    tied = np.array([[1.0, 1.0, 2.0], [5.0, 5.0, 9.0]])
    assert concordance(tied) == pytest.approx(1.0)
    assert np.isnan(concordance(np.ones((2, 3))))
    assert np.isnan(concordance(np.ones((1, 3))))
