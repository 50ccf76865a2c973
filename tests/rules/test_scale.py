"""Values in another unit are seen by the group, and what only looks like it is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import LIKELY_RATIO, load_catalogue, parse_catalogues
from rules.problems import CatalogueError
from rules.scale import FACTORS, Scale, in_other_units
from tests.examples import at_most

FACTOR = st.sampled_from(FACTORS["currency"])


def asked(values: list[float], before: list[float] | None = None, low: float = -np.inf, high: float = np.inf) -> float:
    """By what factor one group is off, NaN for not."""
    column = np.array(values)[:, None]
    last = np.full(column.shape, np.nan) if before is None else np.array(before)[:, None]
    bounds = np.full(column.shape, low), np.full(column.shape, high)
    return float(in_other_units(column, last, *bounds, FACTORS["currency"])[0][0])


@at_most(100)
@given(st.lists(st.floats(1e3, 1e12), min_size=3, max_size=12), FACTOR, st.data())
def test_a_group_in_another_unit_is_asked_about_with_its_factor(
    before: list[float], factor: float, data: st.DataObject
) -> None:
    """Each value moved by a third at most since the last filing, and all are in another unit."""
    moves = data.draw(st.lists(st.floats(0.75, 1.33), min_size=len(before), max_size=len(before)))
    values = [b * m * factor for b, m in zip(before, moves, strict=True)]
    assert asked(values, before) == factor


@at_most(100)
@given(st.lists(st.floats(1e3, 1e12), min_size=1, max_size=12), st.data())
def test_growth_a_merger_or_a_run_are_not_asked_about(before: list[float], data: st.DataObject) -> None:
    """Everything grows tenfold at most or falls to a tenth: that is no unit."""
    moves = data.draw(st.lists(st.floats(0.1, 10.0), min_size=len(before), max_size=len(before)))
    assert np.isnan(asked([b * m for b, m in zip(before, moves, strict=True)], before))


@at_most(100)
@given(st.lists(st.floats(1e3, 1e12), min_size=4, max_size=12), FACTOR, st.data())
def test_one_value_that_collapses_while_others_stand_gets_through(
    before: list[float], factor: float, data: st.DataObject
) -> None:
    values = list(before)
    values[data.draw(st.integers(0, len(before) - 1))] *= factor
    assert np.isnan(asked(values, before))


@at_most(50)
@given(st.lists(st.lists(st.floats(-10, 10) | st.just(np.nan), min_size=4, max_size=4), min_size=1, max_size=6))
def test_filings_are_judged_each_by_itself(filings: list[list[float]]) -> None:
    """Whatever else is in the batch: columns side by side give what each gives alone."""
    values = np.array(filings).T
    before = np.roll(values, 1, axis=1)
    low, high = np.full((4, 1), 0.02), np.full((4, 1), 5.0)
    whole = in_other_units(values, before, low, high, FACTORS["ratio"])
    for j in range(values.shape[1]):
        one = in_other_units(values[:, [j]], before[:, [j]], low, high, FACTORS["ratio"])
        np.testing.assert_array_equal(one[0][0], whole[0][j])
        np.testing.assert_array_equal(one[1][:, 0], whole[1][:, j])


def test_percent_for_fractions_is_asked_about_without_any_history() -> None:
    """LCR 132 % typed as 1.32 and read as percent is 0.0132 (alone in its unit); 12 % sent as 12 is 1,200 %."""
    assert asked([0.0132], low=0.2, high=50.0) == 0.01
    assert asked([12.0, 0.05, 0.6], low=0.01, high=5.0) == 100.0
    assert np.isnan(asked([0.0132, 0.6, 1.1], low=0.2, high=50.0))  # the others stand: a collapse
    assert np.isnan(asked([0.9, 0.6, 1.1], low=0.2, high=50.0))


def test_what_an_institution_always_was_is_not_asked_about_again() -> None:
    """A trust bank has a capital ratio of 700 %: implausible, and as it was."""
    assert asked([7.0, 0.6], low=0.01, high=5.0) == 100.0
    assert np.isnan(asked([7.0, 0.6], [6.8, 0.61], low=0.01, high=5.0))


def test_us_banks_in_their_first_quarters_are_accepted_and_not_asked_about() -> None:
    """FDIC certificates 58315, 58399 and 58429 filed leverage ratios of 126 to 135 % in their first quarters."""
    catalogue = load_catalogue(["us-fdic"])
    leverage = catalogue.indicators["leverage_ratio"]
    assert leverage.low < 1.35 < leverage.high
    scale = Scale(catalogue, "us.call.q")
    values = np.full((len(scale.names), 3), np.nan)
    values[scale.names.index("leverage_ratio")] = [1.26, 1.31, 1.35]
    assert scale.look(values, np.full(values.shape, np.nan)) == [[], [], []]


def test_every_ratio_that_is_shipped_has_a_plausible_range_within_the_accepted_one() -> None:
    for name in ("cn", "us-fdic"):
        catalogue = load_catalogue([name])
        for indicator in catalogue.indicators.values():
            if indicator.form and not indicator.form.startswith("measures.") and indicator.unit == "ratio":
                assert indicator.low <= indicator.likely_low < indicator.likely_high <= indicator.high, indicator.id
                assert np.isfinite([indicator.likely_low, indicator.likely_high]).all(), indicator.id


FORM = "forms: [{id: f, title: F, frequency: monthly}]\nindicators:\n"


def test_plausible_is_what_the_catalogue_says_else_what_is_accepted_and_of_ratios_the_usual() -> None:
    text = f"catalogue: c\n{FORM}  - {{id: a, form: f, unit: ratio, range: [0, 100], plausible: [0.2, 50]}}\n"
    text += "  - {id: b, form: f, unit: ratio, range: [0, 100]}\n  - {id: c, form: f, unit: currency, range: [0, 9]}\n"
    told = parse_catalogues([(text, "c")]).indicators
    assert [(told[i].likely_low, told[i].likely_high) for i in "abc"] == [(0.2, 50.0), (0.0, LIKELY_RATIO[1]), (0, 9)]


def test_a_plausible_range_outside_the_accepted_one_is_an_error_of_the_catalogue() -> None:
    text = f"catalogue: c\n{FORM}  - {{id: a, form: f, unit: ratio, range: [0, 1], plausible: [0.2, 50]}}\n"
    with pytest.raises(CatalogueError, match="'plausible' must lie within 'range'"):
        parse_catalogues([(text, "c")])
