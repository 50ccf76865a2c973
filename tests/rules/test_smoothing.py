"""quantile, ewma, cusum and forecast against other people's implementations and hand-made numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import theilslopes

from rules.context import Context
from rules.engine import Engine
from rules.operations import number
from tests.rules.worlds import DAY, batch, institutions, program

VALUES = [0.4, 0.9, 0.5, 0.7, 0.2, 0.8, 0.6, 1.1, 0.3, 1.0]


def last(expression: str, values: list[float]) -> float:
    """The expression after values of x were filed a quarter apart."""
    compiled = program(f'  - {{id: r, levels: {{watch: "{expression} > 0"}}}}')
    engine = Engine(compiled, institutions(1))
    engine.apply([batch(engine, "q", [("I0", 90 * (n + 1), (v, 1, 1)) for n, v in enumerate(values)])])
    node = compiled.rules[0].levels[0].condition.args[0]
    at = np.array([90 * len(values) * DAY])
    return float(number(node, Context(engine.world, np.zeros(1, np.int32), at))[0])


@pytest.mark.parametrize("q", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_quantile_is_numpys_linear_quantile(q: float) -> None:
    assert last(f"quantile(x, {q}, '6 filings')", VALUES) == pytest.approx(np.quantile(VALUES[-6:], q))


def test_ewma_is_pandas_with_its_adjusted_weights_over_three_spans() -> None:
    expected = pd.Series(VALUES[-9:]).ewm(span=3, adjust=True).mean().iloc[-1]
    assert last("ewma(x, 3)", VALUES) == pytest.approx(expected)


def test_ewma_leaves_gaps_out_and_scales_the_other_weights() -> None:
    gappy = [*VALUES[:-2], float("nan"), VALUES[-1]]
    expected = pd.Series(gappy[-9:]).ewm(span=3, adjust=True, ignore_na=False).mean().iloc[-1]
    assert last("ewma(x, 3)", gappy) == pytest.approx(expected)


def test_ewma_needs_as_many_filings_as_its_span() -> None:
    assert np.isnan(last("ewma(x, 3)", VALUES[:2]))


def test_cusum_by_hand() -> None:
    """x − 50 % − 10 %: 0.3, −0.1, 0.1, −0.4, 0.2 summed and floored at 0: 0.3, 0.2, 0.3, 0, 0.2."""
    assert last("cusum(x, 50%, 10%)", [0.9, 0.5, 0.7, 0.2, 0.8]) == pytest.approx(0.2)


def test_cusum_is_missing_where_x_is_missing_now() -> None:
    assert np.isnan(last("cusum(x, 50%, 10%)", [0.9, float("nan")]))


def test_forecast_is_scipys_theil_sen_slope_carried_on() -> None:
    days = np.arange(8) * 90.0
    slope = theilslopes(VALUES[-8:], days).slope
    assert last("forecast(x, '365d')", VALUES) == pytest.approx(VALUES[-1] + 365 * slope)


def test_forecast_needs_four_values() -> None:
    assert np.isnan(last("forecast(x, '365d')", VALUES[:3]))
