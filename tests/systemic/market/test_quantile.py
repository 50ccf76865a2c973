"""Quantile regression against published coefficients, and what defines an optimum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systemic.arrays import Matrix
from systemic.market.quantile import check_loss, quantile_regression
from tests.systemic.market.worlds import correlated, panels

STACK_LOSS = """
42 80 27 89;37 80 27 88;37 75 25 90;28 62 24 87;18 62 22 87;18 62 23 87;19 62 24 93;20 62 24 93;15 58 23 87;
14 58 18 80;14 58 18 89;13 58 17 88;11 58 18 82;12 58 19 93;8 50 18 89;7 50 18 86;8 50 19 72;8 50 19 79;
9 50 20 80;15 56 20 82;15 70 20 91
"""


def stack_loss() -> Matrix:
    return np.array([[float(cell) for cell in row.split()] for row in STACK_LOSS.replace("\n", "").split(";")])


def test_median_regression_of_brownlees_stack_loss() -> None:
    """R's quantreg, help page of rq: rq(stack.loss ~ stack.x, .5) prints these coefficients."""
    data = stack_loss()
    found = quantile_regression(data[:, 0], data[:, 1:], 0.5)
    np.testing.assert_allclose(found, [-39.68985507, 0.83188406, 0.57391304, -0.06086957], atol=5e-9)


def test_engels_food_expenditure() -> None:
    """Koenker & Bassett's data; statsmodels' documentation prints 81.4822 and 0.5602 for the median."""
    data = pytest.importorskip("statsmodels.api").datasets.engel.load_pandas().data
    found = quantile_regression(data["foodexp"], data["income"], 0.5)
    np.testing.assert_allclose(found, [81.4822, 0.5602], atol=5e-5)


@pytest.mark.parametrize("level", [0.01, 0.05, 0.5, 0.9])
def test_no_other_solver_finds_a_smaller_loss(level: float) -> None:
    """statsmodels iterates to a tolerance; the vertex of the linear programme can only be better."""
    smf = pytest.importorskip("statsmodels.api")
    panel = correlated(400, 5, seed=3)
    design = smf.add_constant(panel[:, 1:])
    ours = check_loss(panel[:, 0] - design @ quantile_regression(panel[:, 0], panel[:, 1:], level), level)
    theirs = check_loss(smf.QuantReg(panel[:, 0], design).fit(q=level).resid, level)
    assert ours <= theirs * (1 + 1e-12)
    assert ours == pytest.approx(theirs, rel=1e-3)


@given(panels(), st.sampled_from([0.05, 0.25, 0.5, 0.8]))
def test_the_plane_passes_through_as_many_points_as_it_has_coefficients(panel: Matrix, level: float) -> None:
    found = quantile_regression(panel[:, 0], panel[:, 1:], level)
    residuals = panel[:, 0] - np.column_stack([np.ones(len(panel)), panel[:, 1:]]) @ found
    on_plane = np.abs(residuals) < 1e-9
    assert on_plane.sum() >= len(found)
    assert (residuals < -1e-9).sum() <= level * len(panel) + 1e-9
    assert (residuals > 1e-9).sum() <= (1 - level) * len(panel) + 1e-9


@given(panels(), st.floats(0.1, 100), st.floats(-1, 1), st.floats(-1, 1))
def test_it_moves_with_scale_and_shift_of_the_response(panel: Matrix, scale: float, shift: float, tilt: float) -> None:
    """Koenker & Bassett (1978), theorem 3.2: the loss of the moved optimum is the moved loss."""
    level = 0.3
    design = np.column_stack([np.ones(len(panel)), panel[:, 1:]])
    plain = quantile_regression(panel[:, 0], panel[:, 1:], level)
    moved_response = scale * panel[:, 0] + shift + tilt * panel[:, 1]
    moved = quantile_regression(moved_response, panel[:, 1:], level)
    loss = scale * check_loss(panel[:, 0] - design @ plain, level)
    assert check_loss(moved_response - design @ moved, level) == pytest.approx(loss, rel=1e-7, abs=1e-12)


def test_rows_with_a_missing_value_are_left_out() -> None:
    panel = correlated(60, 3)
    holed = panel.copy()
    holed[7, 0] = holed[21, 2] = np.nan
    kept = np.delete(panel, [7, 21], axis=0)
    np.testing.assert_array_equal(
        quantile_regression(holed[:, 0], holed[:, 1:], 0.1), quantile_regression(kept[:, 0], kept[:, 1:], 0.1)
    )


@pytest.mark.parametrize(
    ("rows", "columns", "level", "why"),
    [
        (10, [1.0] * 10, 0.5, "collinear"),
        (3, [[1.0, 2.0], [2.0, 1.0], [0.0, 1.0]], 0.5, "too few"),
        (10, list(range(10)), 1.0, "between 0 and 1"),
    ],
)
def test_what_can_not_be_solved_is_refused(rows: int, columns: list[float], level: float, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        quantile_regression(np.arange(rows, dtype=np.float64), np.array(columns, dtype=np.float64), level)
