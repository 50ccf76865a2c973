"""The credit-to-GDP gap and the countercyclical buffer guide of Basel III."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import solveh_banded

from systemic.arrays import Vector
from systemic.registry import declare, measure

CREDIT_LAMBDA = 400_000.0

GUIDANCE = (
    "Basel Committee on Banking Supervision (2010), Guidance for national authorities operating the "
    "countercyclical capital buffer (bcbs187)"
)

declare("credit_ratio", ("time",), "ratio", "credit to GDP, quarterly, oldest first; 1.5 is 150 % of GDP")


def hp_trend(series: ArrayLike, smoothing: float = CREDIT_LAMBDA) -> Vector:
    """Return the two-sided Hodrick–Prescott trend: the minimiser of Σ (y − τ)² + λ Σ (Δ²τ)².

    Hodrick & Prescott (1997), Journal of Money, Credit and Banking 29(1). `series` (T,) of any unit, λ its
    `smoothing` (1,600 for quarterly output; 400,000 for credit, whose cycle is about four times as long).
    A missing value carries no weight and the trend runs through it; needs two known values, else the trend
    is the one known value, or NaN. Solved directly from the pentadiagonal system, after the straight line
    of least squares is taken out (the filter lets lines pass, and what is left is small): O(T).
    """
    observed = np.asarray(series, dtype=np.float64)
    known = np.isfinite(observed)
    if known.sum() < 2:
        return np.full(len(observed), observed[known][0] if known.any() else np.nan)
    bands = np.zeros((3, len(observed)))
    bands[2] = known
    for shift, weights in ((0, (1.0, 4.0, 1.0)), (1, (-2.0, -2.0)), (2, (1.0,))):
        for offset, weight in enumerate(weights):
            bands[2 - shift, shift + offset : len(observed) - 2 + offset + shift] += smoothing * weight
    time = np.arange(len(observed), dtype=np.float64)
    slope, level = np.polyfit(time[known], observed[known], 1)
    line = level + slope * time
    bend = solveh_banded(bands, np.where(known, observed - line, 0.0))
    return np.asarray(line + bend, dtype=np.float64)


def one_sided_trend(series: ArrayLike, smoothing: float = CREDIT_LAMBDA) -> Vector:
    """Return the trend known at each date: the last value of `hp_trend` over the data up to that date.

    The recursive filter of the guidance; it never changes when later data arrive. The first two values
    are the series itself. Authorities ask for ten years of data before they trust the gap. O(T²).
    """
    observed = np.asarray(series, dtype=np.float64)
    return np.array([hp_trend(observed[: end + 1], smoothing)[-1] for end in range(len(observed))])


def buffer_guide(gap: ArrayLike, *, low: float = 2.0, high: float = 10.0, most: float = 2.5) -> Vector:
    """Return the benchmark buffer rate in percent of risk-weighted assets for a `gap` in percentage points.

    0 up to `low` points, rising linearly to `most` at `high` and beyond (bcbs187, page 13). NaN where the
    gap is.

    >>> buffer_guide([1.0, 2.0, 6.0, 10.0, 14.0]).tolist()
    [0.0, 0.0, 1.25, 2.5, 2.5]
    """
    if not low < high:
        raise ValueError(f"the guide starts below where it ends, got {low} and {high}")
    return np.asarray(np.clip((np.asarray(gap) - low) / (high - low), 0, 1) * most, dtype=np.float64)


@measure(
    "credit_gap",
    title={"en": "Credit-to-GDP gap", "zh": "信贷/GDP缺口"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference=GUIDANCE,
    assumptions=("credit grows around a smooth trend", "ten years of data or more"),
    complexity="O(T)",
    inputs=("credit_ratio",),
)
def credit_gap(credit_ratio: Vector, *, smoothing: float = CREDIT_LAMBDA) -> float:
    """Distance of the last credit-to-GDP ratio from its one-sided trend, in the unit of the ratio.

    Positive when credit runs ahead of its trend. NaN when the last value is missing or there is none.
    """
    if not len(credit_ratio):
        return float("nan")
    return float(credit_ratio[-1] - hp_trend(credit_ratio, smoothing)[-1])
