"""What each function of the language gives: by hand, with gaps, and with too little history.

One bank, whose filings of form q (indicator x) are ninety days apart; `None` is a filing that leaves x out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from rules.context import Context, Truth
from rules.engine import Engine
from rules.functions import FUNCTIONS
from rules.operations import evaluate
from tests.rules.worlds import DAY, batch, institutions, program

QUARTER = 90
NOTHING: Mapping[int, float | None] = {}


def after(
    expression: str, x: Sequence[float | None], z: Mapping[int, float | None] = NOTHING, at: int | None = None
) -> float | bool | None:
    """The expression after quarterly filings of x and daily filings of z by day, as of the newest x or day `at`."""
    compiled = program(f'  - {{id: r, levels: {{watch: x > 0}}, message: "{{{expression}}}"}}')
    engine = Engine(compiled, institutions(1))
    quarterly = [("I0", QUARTER * (n + 1), (_nan(value), 1.0, 1.0)) for n, value in enumerate(x)]
    daily = [("I0", day, (_nan(value),)) for day, value in z.items()]
    engine.apply([batch(engine, form, rows) for form, rows in (("q", quarterly), ("d", daily)) if rows])
    node = compiled.rules[0].message["en"][0].node
    assert node is not None
    day = QUARTER * len(x) if at is None else at
    column = evaluate(node, Context(engine.world, np.zeros(1, np.int32), np.array([day * DAY])))
    if isinstance(column, Truth):
        return True if column.yes[0] else False if column.no[0] else None
    return None if math.isnan(column[0]) else float(column[0])


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


class TestLag:
    def test_is_the_value_so_many_filings_ago(self) -> None:
        assert after("lag(x, 2)", [0.1, 0.2, 0.3]) == 0.1

    def test_counts_filings_that_left_the_value_out(self) -> None:
        assert after("lag(x, 1)", [0.1, None, 0.3]) is None
        assert after("lag(x, 2)", [0.1, None, 0.3]) == 0.1

    def test_is_missing_before_the_first_filing(self) -> None:
        assert after("lag(x, 3)", [0.1, 0.2, 0.3]) is None

    def test_of_two_forms_steps_by_the_slower_one(self) -> None:
        """x + z as it stood at the filing of x before: z of that day, not of the day before today."""
        assert after("lag(x + z, 1)", [1, 2], {90: 0.5, 179: 0.25, 180: 0.125}) == 1.5

    def test_nests(self) -> None:
        assert after("lag(lag(x, 1), 1)", [0.1, 0.2, 0.3]) == 0.1


class TestChange:
    def test_is_now_less_then(self) -> None:
        assert after("change(x)", [1, 4]) == 3
        assert after("change(x, 2)", [1, 9, 4]) == 3

    def test_is_missing_where_either_end_is(self) -> None:
        assert after("change(x)", [None, 4]) is None
        assert after("change(x)", [1, None]) is None

    def test_needs_an_earlier_filing(self) -> None:
        assert after("change(x)", [1]) is None


class TestPctChange:
    def test_is_relative_to_the_earlier_value(self) -> None:
        assert after("pct_change(x)", [4, 5]) == 0.25

    def test_rises_from_a_negative_value_are_positive(self) -> None:
        assert after("pct_change(x)", [-4, -3]) == 0.25

    def test_from_zero_is_missing(self) -> None:
        assert after("pct_change(x)", [0, 5]) is None

    def test_is_missing_with_a_gap_or_without_history(self) -> None:
        assert after("pct_change(x)", [None, 5]) is None
        assert after("pct_change(x)", [5]) is None


class TestMean:
    def test_over_filings_includes_this_one(self) -> None:
        assert after("mean(x, '3 filings')", [9, 1, 2, 6]) == 3

    def test_over_days_counts_event_time(self) -> None:
        """The window of 180 days before day 270 is open at its far end: the filing of day 90 is outside."""
        assert after("mean(x, '180d')", [7, 1, 3]) == 2
        assert after("mean(x, '181d')", [8, 1, 3]) == 4

    def test_leaves_gaps_out_up_to_half_of_the_filings(self) -> None:
        assert after("mean(x, '4 filings')", [1, None, None, 3]) == 2
        assert after("mean(x, '4 filings')", [None, None, None, 3]) is None

    def test_in_days_one_value_is_enough(self) -> None:
        assert after("mean(x, '360d')", [None, None, None, 3]) == 3
        assert after("mean(x, '360d')", [None, None, None, None]) is None

    def test_needs_as_many_filings_as_the_window_counts(self) -> None:
        assert after("mean(x, '3 filings')", [1, 2]) is None

    def test_of_equal_values_is_that_value(self) -> None:
        """Three times 0.1 summed and divided is 0.10000000000000002; a bank at its own mean is not below it."""
        assert after("mean(x, '3 filings')", [0.1, 0.1, 0.1]) == 0.1
        assert after("x < mean(x, '3 filings')", [0.1, 0.1, 0.1]) is False


class TestMedian:
    def test_is_the_middle_value_or_between_the_two(self) -> None:
        assert after("median(x, '3 filings')", [5, 1, 2]) == 2
        assert after("median(x, '4 filings')", [5, 1, 2, 4]) == 3

    def test_gaps_and_short_history_as_for_mean(self) -> None:
        assert after("median(x, '3 filings')", [5, None, 2]) == 3.5
        assert after("median(x, '3 filings')", [5, 2]) is None


class TestStd:
    def test_is_the_sample_deviation(self) -> None:
        assert after("std(x, '4 filings')", [2, 4, 4, 6]) == pytest.approx(math.sqrt(8 / 3))

    def test_of_equal_values_is_exactly_zero(self) -> None:
        assert after("std(x, '3 filings') == 0", [0.1, 0.1, 0.1]) is True
        assert after("std(x, '5 filings') == 0", [123456789.1] * 5) is True

    def test_needs_two_values(self) -> None:
        assert after("std(x, '360d')", [None, None, 2]) is None
        assert after("std(x, '2 filings')", [None, 2]) is None
        assert after("std(x, '2 filings')", [2]) is None


class TestZscore:
    def test_is_the_distance_from_the_mean_in_deviations(self) -> None:
        assert after("zscore(x, '3 filings')", [1, 2, 3]) == 1

    def test_without_spread_is_missing(self) -> None:
        assert after("zscore(x, '3 filings')", [0.1, 0.1, 0.1]) is None

    def test_is_missing_where_x_is_or_history_is_short(self) -> None:
        assert after("zscore(x, '3 filings')", [1, 2, None]) is None
        assert after("zscore(x, '3 filings')", [1, 2]) is None


class TestSlope:
    def test_is_per_year(self) -> None:
        assert after("slope(x, '4 filings')", [0, 90, 180, 270]) == pytest.approx(365.25)

    def test_of_equal_values_is_exactly_zero(self) -> None:
        assert after("slope(x, '4 filings')", [0.1, 0.1, 0.1, 0.1]) == 0

    def test_leaves_gaps_out_and_needs_three_values(self) -> None:
        assert after("slope(x, '4 filings')", [0, None, 180, 270]) == pytest.approx(365.25)
        assert after("slope(x, '4 filings')", [0, None, None, 270]) is None
        assert after("slope(x, '3 filings')", [0, 90]) is None


class TestExtremes:
    def test_over_a_window(self) -> None:
        assert after("min(x, '3 filings')", [0, 3, 1, 2]) == 1
        assert after("max(x, '3 filings')", [9, 3, 1, 2]) == 3

    def test_gaps_and_short_history_as_for_mean(self) -> None:
        assert after("max(x, '3 filings')", [3, None, 2]) == 3
        assert after("min(x, '3 filings')", [3, None, None]) is None
        assert after("min(x, '3 filings')", [3, 2]) is None

    def test_of_several_values(self) -> None:
        assert after("min(x, y, 0.5)", [2]) == 0.5
        assert after("max(x, y, 0.5)", [2]) == 2

    def test_of_several_values_one_missing_makes_it_missing(self) -> None:
        assert after("min(x, 0.5)", [None]) is None


class TestQuantile:
    def test_lies_linearly_between_values(self) -> None:
        assert after("quantile(x, 0.5, '4 filings')", [1, 2, 3, 8]) == 2.5
        assert after("quantile(x, 25%, '5 filings')", [5, 4, 3, 2, 1]) == 2

    def test_gaps_and_short_history_as_for_mean(self) -> None:
        assert after("quantile(x, 1, '3 filings')", [3, None, 2]) == 3
        assert after("quantile(x, 1, '3 filings')", [3, 2]) is None


class TestEwma:
    def test_weighs_the_newest_most(self) -> None:
        """Span 1 forgets everything before; span 3 halves each step back."""
        assert after("ewma(x, 1)", [9, 2]) == 2
        assert after("ewma(x, 3)", [2, 4, 6]) == pytest.approx((6 + 4 / 2 + 2 / 4) / 1.75)

    def test_leaves_gaps_out(self) -> None:
        assert after("ewma(x, 3)", [2, None, 6]) == pytest.approx((6 + 2 / 4) / 1.25)

    def test_needs_as_many_filings_as_its_span_half_of_them_with_values(self) -> None:
        assert after("ewma(x, 3)", [4, 6]) is None
        assert after("ewma(x, 3)", [9, 9, 9, None, None, 6]) is None

    def test_of_equal_values_is_that_value(self) -> None:
        assert after("ewma(x, 3)", [0.1] * 9) == 0.1


class TestCusum:
    def test_gathers_what_is_above_target_and_slack(self) -> None:
        assert after("cusum(x, 1, 0.5)", [3, 1, 2]) == 1.5

    def test_a_gap_adds_nothing_and_a_gap_now_is_missing(self) -> None:
        assert after("cusum(x, 1, 0.5)", [3, None, 2]) == 2
        assert after("cusum(x, 1, 0.5)", [3, 1, None]) is None

    def test_begins_with_the_first_filing(self) -> None:
        assert after("cusum(x, 1, 0.5)", [3]) == 1.5


class TestForecast:
    def test_carries_the_trend_on(self) -> None:
        assert after("forecast(x, '90d')", [1, 2, 3, 4]) == pytest.approx(5)

    def test_leaves_gaps_out(self) -> None:
        assert after("forecast(x, '90d')", [1, None, 3, 4, 5]) == pytest.approx(6)

    def test_needs_four_values_and_one_now(self) -> None:
        assert after("forecast(x, '90d')", [1, 2, 3]) is None
        assert after("forecast(x, '90d')", [1, 2, None, 3, None]) is None
        assert after("forecast(x, '90d')", [1, 2, 3, 4, None]) is None


class TestStreak:
    def test_counts_filings_in_a_row_up_to_this_one(self) -> None:
        assert after("streak(x > 1)", [2, 0, 2, 2]) == 2
        assert after("streak(x > 1)", [2, 2, 0]) == 0

    def test_a_gap_breaks_it_and_a_gap_now_is_missing(self) -> None:
        assert after("streak(x > 1)", [2, None, 2]) == 1
        assert after("streak(x > 1)", [2, 2, None]) is None

    def test_counts_at_most_twelve(self) -> None:
        assert after("streak(x > 1)", [2] * 14) == 12

    def test_goes_back_to_the_first_filing(self) -> None:
        assert after("streak(x > 1)", [2, 2]) == 2


class TestCrossed:
    def test_in_either_direction(self) -> None:
        assert after("crossed(x, 1)", [0, 2]) is True
        assert after("crossed(x, 1)", [2, 0]) is True
        assert after("crossed(x, 1)", [2, 3]) is False

    def test_the_level_itself_is_above(self) -> None:
        assert after("crossed(x, 1)", [1, 2]) is False
        assert after("crossed(x, 1)", [0, 1]) is True

    def test_is_unknown_with_a_gap_or_without_history(self) -> None:
        assert after("crossed(x, 1)", [None, 2]) is None
        assert after("crossed(x, 1)", [0, None]) is None
        assert after("crossed(x, 1)", [2]) is None


class TestMissingAndExists:
    def test_left_out_not_filed_and_too_old_are_missing(self) -> None:
        """Form q is valid for 92 days and 30 of grace."""
        assert after("missing(x)", [None]) is True
        assert after("missing(z)", [1]) is True
        assert after("missing(x)", [1], at=90 + 122) is False
        assert after("missing(x)", [1], at=90 + 123) is True

    def test_are_each_others_opposite_and_never_unknown(self) -> None:
        assert after("missing(x)", [1]) is False
        assert after("exists(x)", [1]) is True
        assert after("exists(x)", [None]) is False

    def test_of_an_expression(self) -> None:
        assert after("missing(x / (y - 1))", [1]) is True


class TestAge:
    def test_is_days_since_the_newest_filing(self) -> None:
        assert after("age(x)", [1, 1], at=200) == 20

    def test_counts_a_filing_that_left_the_value_out(self) -> None:
        assert after("age(x)", [1, None], at=200) == 20

    def test_of_two_forms_is_that_of_the_older(self) -> None:
        assert after("age(x + z)", [1, 1], {195: 1}, at=200) == 20
        assert after("age(x + z)", [1, 1], {170: 1}, at=200) == 30

    def test_is_missing_before_any_filing(self) -> None:
        assert after("age(z)", [1]) is None


class TestAbs:
    def test_drops_the_sign(self) -> None:
        assert after("abs(x)", [-2]) == 2
        assert after("abs(x)", [None]) is None


class TestFiring:
    def test_is_tested_with_composites(self) -> None:
        """Its behaviour needs two rules; a look back at it says how the other rule stood then."""
        compiled = program(
            "  - {id: a, levels: {watch: x > 1}}",
            "  - {id: b, levels: {watch: \"streak(firing('a') and exists(x)) >= 2\"}}",
        )
        engine = Engine(compiled, institutions(1))
        said = engine.apply([batch(engine, "q", [("I0", 90 * n, (2, 1, 1)) for n in (1, 2)])]).transitions
        assert [(t.rule, t.as_of) for t in said] == [("a", "1970-04-01"), ("b", "1970-06-30")]


class TestTooOld:
    """A form that stopped: what looks back over it is as unknown as its newest value."""

    @pytest.mark.parametrize(
        "expression",
        [
            "x",
            "lag(x, 1)",
            "mean(x, '2 filings')",
            "mean(x, '4000d')",
            "streak(x > 0)",
            "ewma(x, 2)",
            "cusum(x, 0, 0)",
            "forecast(x, '90d')",
        ],
    )
    def test_is_missing(self, expression: str) -> None:
        assert after(expression, [1, 2, 3, 4], at=360 + 122) is not None
        assert after(expression, [1, 2, 3, 4], at=360 + 123) is None


class TestArithmetic:
    """Missing in, missing out; what divides by zero is missing."""

    @pytest.mark.parametrize("expression", ["x + 1", "1 - x", "x * 2", "x / 2", "-x", "x if x > 0 else 1"])
    def test_missing_in_missing_out(self, expression: str) -> None:
        assert after(expression, [None]) is None

    def test_division_by_zero_is_missing(self) -> None:
        assert after("1 / x", [0]) is None
        assert after("x / x", [0]) is None

    def test_precedence_is_that_of_arithmetic(self) -> None:
        assert after("1 + x * 2 - -x / 4", [2]) == 5.5
        assert after("(1 + x) * 2", [2]) == 6

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("120%", 1.2),
            ("5‰", 0.005),
            ("50bp", 0.005),
            ("2k", 2e3),
            ("2mn", 2e6),
            ("2bn", 2e9),
            ("2tn", 2e12),
            ("2万", 2e4),
            ("2亿", 2e8),
            ("1.5万亿", 1.5e12),
            ("1_000.5", 1000.5),
            (".5", 0.5),
            ("1e-3", 1e-3),
        ],
    )
    def test_literals(self, text: str, value: float) -> None:
        assert after(f"x * 0 + {text}", [1]) == value


class TestThreeValues:
    """x is 2, z was never filed."""

    @pytest.mark.parametrize(
        ("condition", "outcome"),
        [
            ("z > 1", None),
            ("z > 1 and x > 1", None),
            ("z > 1 and x > 3", False),
            ("z > 1 or x > 1", True),
            ("z > 1 or x > 3", None),
            ("not z > 1", None),
            ("z == z", None),
            ("z != 1", None),
            ("z in (1, 2)", None),
            ("x in (1, 2)", True),
            ("x not in (1, 2)", False),
            ("x in (-2, 2)", True),
            ("1 < x < 3", True),
            ("1 < x < z", None),
            ("3 < x < z", False),
            ("x > 1 if z > 1 else x > 1", None),
            ("z > 1 if x > 3 else x > 1", True),
            ("True", True),
            ("x > 1 and True", True),
        ],
    )
    def test_outcome(self, condition: str, outcome: bool | None) -> None:
        assert after(f"({condition}) or (x > 99)", [2]) is outcome


def test_every_function_has_a_test_here_or_among_the_groups() -> None:
    """A function added without a test is a function nobody has seen work."""
    from pathlib import Path

    texts = [p.read_text(encoding="utf-8") for p in Path(__file__).parent.glob("test_*.py")]
    untested = [name for name in FUNCTIONS if not any(f"{name}(" in text for text in texts)]
    assert untested == []
