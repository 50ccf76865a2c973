"""Random paths over a calendar with gaps: each value forgets the one before at a given time scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


def wander(rng: np.random.Generator, days: Longs, columns: int, memory: float, size: float) -> Floats:
    """Return stationary paths [days, columns] of mean 0 and standard deviation `size`.

    Two values t days apart are correlated by exp(-t / memory) (an Ornstein-Uhlenbeck process seen at
    `days`). Draws are cut at three standard deviations, so that one draw is never a story of its own.
    """
    keep = np.exp(-np.diff(days, prepend=days[0]) / memory)
    keep[0] = 0.0
    shocks = np.clip(rng.standard_normal((len(days), columns)), -3, 3)
    shocks *= np.sqrt(1 - keep**2)[:, None]
    path = np.empty_like(shocks)
    value = np.zeros(columns)
    for step in range(len(days)):
        value = keep[step] * value + shocks[step]
        path[step] = value
    return np.clip(path, -3, 3) * size


def spread(
    rng: np.random.Generator, mean: Floats | float, size: float, low: Floats | float, high: float, n: int
) -> Floats:
    """Return n draws around `mean` with standard deviation `size`, cut to [low, high]."""
    return np.clip(mean + rng.normal(0, size, n), low, high)
