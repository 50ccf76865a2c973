"""First shocks by institution, group and asset class, and what they start."""

from __future__ import annotations

import numpy as np
import pytest

from systemic.network.debtrank import linear_debtrank
from systemic.network.shocks import by_asset_class, by_group, by_institution


def test_a_group_loses_together() -> None:
    """Two small banks lose half; their lender, which lent each of them half its buffer, loses 0.25 + 0.25."""
    exposures = [[0, 5, 5], [0, 0, 0], [0, 0, 0]]
    shock = by_group([[False], [True], [True]], 0.5)
    assert linear_debtrank(exposures, [10, 4, 4], shock).h[:, 0].tolist() == [0.5, 0.5, 0.5]


def test_each_alone_in_full() -> None:
    assert np.array_equal(by_institution(np.ones(3)), np.eye(3))


def test_a_fall_of_prices_is_a_loss_over_the_buffer() -> None:
    """A tenth of 50 is half of 10, of 90 twice 4.5; without buffer any loss is default, and none is none."""
    found = by_asset_class([[50, 0], [90, 0], [1, 0], [0, 7]], [10, 4.5, 0, 0], [[-0.1, 0.1], [0.0, 0.0]])
    assert found.tolist() == [[0.5, 0.0], [2.0, 0.0], [1.0, 0.0], [0.0, 0.0]]


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ValueError, match="2 asset classes"):
        by_asset_class([[1, 1]], [1], [[-0.1]])
    with pytest.raises(ValueError, match="below zero"):
        by_asset_class([[-1]], [1], [[-0.1]])
    with pytest.raises(ValueError, match="members say yes or no"):
        by_group([[2.0]])
    with pytest.raises(ValueError, match="a row for each institution"):
        by_group([1.0])
