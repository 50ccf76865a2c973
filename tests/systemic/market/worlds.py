"""Made-up returns for the market tests."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
from hypothesis.extra.numpy import arrays

from systemic.arrays import Matrix


def correlated(rows: int, institutions: int, seed: int = 0, correlation: float = 0.4) -> Matrix:
    """Return fat-tailed daily returns with one common factor, (rows, institutions)."""
    generator = np.random.default_rng(seed)
    common = generator.standard_t(5, (rows, 1))
    own = generator.standard_t(5, (rows, institutions))
    return 0.01 * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)


def panels(min_rows: int = 12, max_rows: int = 40, max_institutions: int = 5) -> st.SearchStrategy[Matrix]:
    """Draw finite panels of returns in which every series moves."""
    shapes = st.tuples(st.integers(min_rows, max_rows), st.integers(2, max_institutions))
    return shapes.flatmap(_panel)


def _panel(shape: tuple[int, int]) -> st.SearchStrategy[Matrix]:
    noise = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).normal(0, 0.01, shape))
    bumps = arrays(np.float64, shape, elements=st.floats(-0.25, 0.25, width=32))
    return st.tuples(noise, bumps).map(lambda parts: parts[0] + parts[1])
