"""Scores of systemic importance: Basel's worked arithmetic, buckets, caps, and what must hold for any sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from systemic.importance.scores import DSIB_CHINA, GSIB, METHODS, Method, importance_scores

methods = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def even(method: Method, values: list[float]) -> dict[str, np.ndarray]:
    return {name: np.array(values) for name in method.indicators}


@methods
def test_weights_sum_to_one(method: Method) -> None:
    assert sum(c.weight for c in method.categories) == pytest.approx(1.0)


def test_basel_s_arithmetic() -> None:
    """BCBS 255 (2013), p. 6: a bank's score of an indicator is its amount over the sample's, times 10,000.

    A bank with 2 % of every indicator scores 200 basis points, 40 a category of 20 %.
    """
    scores = importance_scores(GSIB, even(GSIB, [2.0, 98.0]))
    assert scores.score[0] == pytest.approx(200.0)
    assert scores.categories[0] == pytest.approx([40.0] * 5)


def test_basel_s_weights() -> None:
    """SCO40.6: five categories of 20 %; in substitutability 6.67, 6.67, 3.33 and twice 1.67 %."""
    assert {category.name: pytest.approx(0.2) for category in GSIB.categories} == {
        category.name: category.weight for category in GSIB.categories
    }
    assert GSIB.categories[2].weights == pytest.approx(
        {
            "payments": 0.0667,
            "assets_under_custody": 0.0667,
            "underwriting": 0.0333,
            "trading_volume_fixed_income": 0.0167,
            "trading_volume_equities": 0.0167,
        },
        abs=5e-5,
    )


def test_the_cap_on_substitutability() -> None:
    """A custodian with 8 % of that category alone: 160 basis points of the score, capped at 100 (500 of its own)."""
    indicators = even(GSIB, [0.0, 100.0])
    for name in GSIB.categories[2].weights:
        indicators[name] = np.array([8.0, 92.0])
    scores = importance_scores(GSIB, indicators)
    assert scores.uncapped[0].sum() == pytest.approx(160.0)
    assert scores.score[0] == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("score", "bucket", "surcharge"),
    [
        (129.4, 0, 0.0),
        (129.5, 1, 0.01),
        (129.6, 1, 0.01),
        (0.1 * 1295 - 2e-14, 1, 0.01),
        (130, 1, 0.01),
        (229.4, 1, 0.01),
        (229.7, 2, 0.015),
        (429.5, 4, 0.025),
        (230, 2, 0.015),
        (330, 3, 0.02),
        (430, 4, 0.025),
        (530, 5, 0.035),
    ],
)
def test_basel_s_buckets(score: float, bucket: int, surcharge: float) -> None:
    """SCO40.26: cut-off 130, buckets of 100, surcharges of 1.0, 1.5, 2.0, 2.5 and 3.5 %, by whole basis points.

    Basel Committee (2014), score calculation, 3.4: the score is rounded to the nearest whole basis point.
    """
    assert GSIB.buckets.of(np.array([score])).tolist() == [bucket]
    assert GSIB.buckets.surcharge(np.array([score])).tolist() == [surcharge]


@pytest.mark.parametrize(
    ("score", "surcharge"), [(99, 0), (100, 0.0025), (300, 0.005), (450, 0.0075), (600, 0.01), (750, 0.015)]
)
def test_china_s_buckets(score: float, surcharge: float) -> None:
    """Five groups, surcharges of 0.25, 0.5, 0.75, 1 and 1.5 % (附加监管规定, 2021)."""
    assert DSIB_CHINA.buckets.surcharge(np.array([float(score)])).tolist() == [surcharge]


@methods
@given(data=st.data())
def test_a_sample_s_scores_sum_to_ten_thousand_before_caps(method: Method, data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 8))
    draw = arrays(np.float64, n, elements=st.floats(0.1, 1e6))
    indicators = {name: data.draw(draw) for name in method.indicators}
    scores = importance_scores(method, indicators)
    assert scores.uncapped.sum() == pytest.approx(10_000)
    assert (scores.score <= scores.uncapped.sum(axis=1) + 1e-9).all()


def test_published_denominators_replace_the_sample_s_sum() -> None:
    totals = dict.fromkeys(GSIB.indicators, 1_000.0)
    assert importance_scores(GSIB, even(GSIB, [20.0]), totals).score[0] == pytest.approx(200.0)


def test_a_missing_indicator_counts_as_nothing() -> None:
    indicators = even(GSIB, [50.0, 50.0])
    indicators["total_exposures"] = np.array([np.nan, 50.0])
    assert importance_scores(GSIB, indicators).categories[0, 0] == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"payments": np.array([-1.0, 1.0])}, "payments has a negative value"),
        ({"payments": np.array([1.0])}, "different lengths"),
    ],
)
def test_mistakes_are_named(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        importance_scores(GSIB, even(GSIB, [1.0, 1.0]) | change)


def test_an_absent_indicator_is_named() -> None:
    with pytest.raises(ValueError, match="needs the indicators total_exposures"):
        importance_scores(GSIB, {k: v for k, v in even(GSIB, [1.0]).items() if k != "total_exposures"})
