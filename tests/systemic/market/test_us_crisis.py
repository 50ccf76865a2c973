"""Twenty US institutions, 2005 to 2010: does the number say what the world then learned?

Each test says which measure peaks when and who ranks where; `docs/systemic-market.md` shows the same and
names the measures that do not: total spillover peaks in August 2008, and ΔCoVaR over a trailing year only when
the whole crisis is in the year.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.us_crisis import INDICATORS, Crisis, load
from systemic.arrays import Vector
from systemic.bootstrap import interval
from systemic.market.mes import marginal_expected_shortfall
from systemic.stress.waterfall import composite_parts, waterfall

DATA = Path(__file__).parents[4] / "shared" / "data" / "market"
START, END = date(2008, 9, 15), date(2009, 3, 31)
FELL = {"FNMA": "2008-09-07", "FMCC": "2008-09-07", "LEH": "2008-09-15", "AIG": "2008-09-16"}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"market data not at {DATA.parent.name}/{DATA.name} here")


@cache
def crisis() -> Crisis:
    return load(DATA)


def peak(days: list[date], values: Vector) -> date:
    return days[int(np.nanargmax(values))]


@pytest.mark.parametrize("measure", ["absorption", "turbulence", "mes", "srisk"])
def test_the_year_long_measures_peak_in_the_panic(measure: str) -> None:
    rows, values = crisis().rolling(measure)
    assert START <= peak([crisis().days[t] for t in rows], values) <= END


def test_delta_covar_given_yesterdays_states_peaks_in_the_panic() -> None:
    """21 November 2008, after Citigroup lost half its value in a week and before it was rescued."""
    assert START <= peak(list(crisis().days), crisis().conditional_delta_covar()) <= END


def test_the_composite_peaks_in_the_panic_and_its_parts_add_up() -> None:
    stress = crisis().stress()
    assert START <= peak(list(crisis().days), stress.index) <= END
    assert np.nanmax(stress.index) > 0.8
    calm = [t for t, day in enumerate(crisis().days) if day.year == 2006]
    assert np.nanmean(stress.index[calm]) < 0.1
    parts = stress.contributions.sum(axis=1) + stress.correlation
    np.testing.assert_allclose(parts[50:], stress.index[50:], atol=1e-12)


def test_the_waterfall_of_the_week_of_lehman() -> None:
    """From Friday 12 to Thursday 18 September the composite rises, and its bars say by what."""
    stress, names = crisis().stress(), [name for name, _ in INDICATORS]
    before, after = crisis().row("2008-09-12"), crisis().row("2008-09-18")
    steps = waterfall(composite_parts(stress, before, names), composite_parts(stress, after, names))
    assert sum(step.change for step in steps) == pytest.approx(stress.index[after] - stress.index[before])
    assert stress.index[after] > stress.index[before]


def ranks(values: Vector) -> dict[str, int]:
    """Rank 1 is the riskiest; the missing rank last."""
    order = np.argsort(-np.nan_to_num(values, nan=-np.inf), kind="stable")
    return {crisis().names[i]: place for place, i in enumerate(order, 1)}


def test_the_four_that_fell_are_the_four_nearest_to_default_a_week_before() -> None:
    """29 August 2008, with the balance sheets of June: the last Friday before the first of them fell."""
    nearest = ranks(-crisis().distances(crisis().row("2008-08-29")))
    assert {name for name, place in nearest.items() if place <= 4} == set(FELL)


@pytest.mark.parametrize("day", ["2008-06-30", "2008-07-31", "2008-08-29"])
def test_each_of_the_four_ranks_among_the_six_riskiest_by_two_measures(day: str) -> None:
    """Of twenty, in the summer before; MES, LRMES, ΔCoVaR, SRISK, SRISK to equity, distance to default."""
    t = crisis().row(day)
    short = crisis().shortfalls(t)
    places = [
        ranks(values)
        for values in (
            crisis().tail_losses(t),
            crisis().lrmes(t),
            crisis().delta_covars(t),
            short,
            short / crisis().caps[t],
            -crisis().distances(t),
        )
    ]
    for name in FELL:
        assert sum(place[name] <= 6 for place in places) >= 2, name


def test_lehman_loses_most_on_the_markets_worst_days_all_summer() -> None:
    for day in ("2008-06-30", "2008-07-31", "2008-08-29", "2008-09-05"):
        assert ranks(crisis().tail_losses(crisis().row(day)))["LEH"] == 1


def test_the_four_lack_capital_before_they_fall() -> None:
    short = dict(zip(crisis().names, crisis().shortfalls(crisis().row("2008-08-29")), strict=True))
    assert all(short[name] > 40_000 for name in FELL)
    assert short["BRK"] < 0


def test_the_interval_of_lehmans_mes_excludes_the_median_institution() -> None:
    """August 2008: how sure? The 90 % interval of its loss lies above the median of the others' losses."""
    rows = crisis().year_to(crisis().row("2008-08-29"))
    table = np.column_stack([crisis().market[rows], crisis().returns[rows]])
    bounds = interval(lambda t: marginal_expected_shortfall(t[:, 1:], t[:, 0]), table, replications=200)
    assert bounds.low[crisis().names.index("LEH")] > np.median(bounds.estimate)
