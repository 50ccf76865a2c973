"""Absorption ratio and turbulence: how tightly returns move together, and how unusual a day is."""

from __future__ import annotations

from typing import Literal

import numpy as np

from systemic.arrays import Matrix, Vector
from systemic.market.returns import complete_rows
from systemic.registry import measure

Moments = Literal["covariance", "correlation"]


def eigenvector_number(institutions: int, share: float) -> int:
    """Return `share` of the number of institutions, halves rounded up, and at least one.

    >>> eigenvector_number(20, 0.2), eigenvector_number(3, 0.5), eigenvector_number(2, 0.1)
    (4, 2, 1)
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share of eigenvectors lies in (0, 1], not at {share}")
    return max(1, int(np.floor(share * institutions + 0.5)))


def co_movement(returns: Matrix, moments: Moments = "covariance", half_life: float | None = None) -> Matrix:
    """Return the (n, n) covariance (T − 1) or correlation of `returns` (T, n) over its complete rows.

    `half_life` in rows weights a row by ½^(age / half_life), age 0 for the last complete row; the weighted
    covariance is Σ w (r − μ)(r − μ)ᵀ with Σ w = 1. In a correlation a series that does not move has zeros.
    ValueError with fewer than two complete rows.
    """
    if half_life is not None and not half_life > 0:
        raise ValueError(f"the half life is above 0 rows, not {half_life}")
    rows = returns[complete_rows(returns)]
    if len(rows) < 2:
        raise ValueError(f"{len(rows)} complete rows are too few for a covariance")
    age = np.arange(len(rows))[::-1]
    weights = np.ones(len(rows)) if half_life is None else np.exp2(-age / half_life)
    weights = weights / weights.sum()
    centred = rows - weights @ rows
    matrix: Matrix = (centred * weights[:, None]).T @ centred
    if half_life is None:
        matrix = matrix * len(rows) / (len(rows) - 1)
    if moments == "covariance":
        return matrix
    if moments != "correlation":
        raise ValueError(f"moments are 'covariance' or 'correlation', not {moments!r}")
    deviation = np.sqrt(np.diag(matrix))
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=deviation > 0)
    return np.asarray(matrix * np.outer(scale, scale), dtype=np.float64)


@measure(
    "absorption_ratio",
    title={"en": "Absorption ratio", "zh": "吸收比率"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference=(
        "Kritzman, Li, Page, Rigobon (2011), Principal components as a measure of systemic risk, "
        "Journal of Portfolio Management 37(4)"
    ),
    assumptions=("a tightly coupled market passes shocks on further",),
    complexity="O(T n² + n³)",
    inputs=("returns",),
)
def absorption_ratio(
    returns: Matrix,
    *,
    share: float = 0.2,
    number: int | None = None,
    moments: Moments = "covariance",
    half_life: float | None = None,
) -> float:
    """Fraction of the returns' total variance that the leading eigenvectors of their covariance explain.

    `returns` (T, n); the number of eigenvectors is `share` of n (halves rounded up, at least one) or
    `number`. The result lies in [number / n, 1]. Rows with a missing return are left out, institutions
    without any return too (then n is smaller). NaN when no institution or fewer than two rows are left, or
    nothing moves. The paper weights days with a half life of 250 in a window of 500.
    """
    present = returns[:, np.isfinite(returns).any(axis=0)]
    institutions = present.shape[1]
    if not institutions or complete_rows(present).sum() < 2:
        return float("nan")
    count = eigenvector_number(institutions, share) if number is None else number
    if not 1 <= count <= institutions:
        raise ValueError(f"the number of eigenvectors lies between 1 and {institutions}, not at {count}")
    spectrum = np.clip(np.linalg.eigvalsh(co_movement(present, moments, half_life)), 0, None)
    total = spectrum.sum()
    return float(spectrum[-count:].sum() / total) if total > 0 else float("nan")


def standardised_shift(ratios: Vector, *, short: int = 15, long: int = 252) -> Vector:
    """Return (mean of the last `short` − mean of the last `long`) / sd of the last `long`, at each row.

    The paper's warning signal: a shift above 1 preceded most of the worst falls of the US market. (T,) in
    standard deviations, NaN before `long` values are there, where a value is missing or nothing varies.
    """
    shifts = np.full(len(ratios), np.nan)
    for end in range(long, len(ratios) + 1):
        history = ratios[end - long : end]
        spread = history.std(ddof=1)
        if spread > 0:
            shifts[end - 1] = (history[-short:].mean() - history.mean()) / spread
    return shifts


def turbulence(returns: Matrix, *, window: int | None = None, scaled: bool = False) -> Vector:
    """Return each row's squared Mahalanobis distance (r − μ) Σ⁻¹ (r − μ)ᵀ (Kritzman & Li 2010).

    Skulls, financial turbulence, and risk management, Financial Analysts Journal 66(5). `returns` (T, n);
    the result (T,) has no unit, is not negative, and is n on average ("scaled" divides by n). μ and Σ
    (T − 1) come from all complete rows, the row itself included; or with `window` from as many complete
    rows just before it, so that no later knowledge enters. NaN for a row with a missing return, or without
    a full window. A singular Σ is inverted within its range. Cost: O(T n² + n³), or O(T (w n² + n³)).
    """
    rows, n = returns.shape
    known = complete_rows(returns)
    distances = np.full(rows, np.nan)
    if not n or known.sum() < 2:
        return distances
    present = returns[known]
    if window is None:
        measured = _distances(present, present)
    else:
        measured = np.full(len(present), np.nan)
        for t in range(window, len(present)):
            measured[t] = _distances(present[t : t + 1], present[t - window : t])[0]
    distances[known] = measured / n if scaled else measured
    return distances


def _distances(rows: Matrix, history: Matrix) -> Vector:
    away = rows - history.mean(axis=0)
    inverse = np.linalg.pinv(co_movement(history), hermitian=True)
    squared: Vector = np.einsum("ti,ij,tj->t", away, inverse, away)
    return squared


@measure(
    "turbulence",
    title={"en": "Financial turbulence of the last day", "zh": "金融动荡指数"},
    level="system",
    unit="score",
    sign="higher is riskier",
    reference=(
        "Kritzman, Li (2010), Skulls, financial turbulence, and risk management, Financial Analysts Journal 66(5)"
    ),
    assumptions=("normal times have one mean and one covariance",),
    complexity="O(T n² + n³)",
    inputs=("returns",),
)
def last_turbulence(returns: Matrix) -> float:
    """Squared Mahalanobis distance of the last row's returns from all rows before it; see `turbulence`.

    Without unit, about n on an ordinary day. NaN when the last row has a missing return or fewer than two
    complete rows come before it.
    """
    if len(returns) < 3 or not np.isfinite(returns[-1]).all() or not returns.shape[1]:
        return float("nan")
    history = returns[:-1][complete_rows(returns[:-1])]
    return float(_distances(returns[-1:], history)[0]) if len(history) > 1 else float("nan")
