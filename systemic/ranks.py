"""Ranks of values, ties sharing the mean of their places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from systemic.arrays import Matrix


def average_ranks(values: NDArray[np.float64]) -> Matrix:
    """Return the rank of each value in its row, from 1 for the smallest. values: [..., n], no NaN.

    >>> average_ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]

    As `rankdata` of scipy.stats, which takes a worker longer to import than all else together.
    """
    rows = np.atleast_2d(values)
    order = np.sort(rows, axis=-1)
    pairs = zip(order.reshape(-1, order.shape[-1]), rows.reshape(-1, rows.shape[-1]), strict=True)
    found = [
        (np.searchsorted(known, row, "left") + np.searchsorted(known, row, "right") + 1) / 2 for known, row in pairs
    ]
    return np.array(found, dtype=np.float64).reshape(values.shape)
