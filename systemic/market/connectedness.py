"""Connectedness of Billio and others: principal-component exposure and Granger-causal links."""

from __future__ import annotations

import numpy as np
from scipy.special import fdtrc

from systemic.arrays import Mask, Matrix, Vector
from systemic.market.absorption import co_movement, eigenvector_number
from systemic.market.returns import complete_rows
from systemic.registry import measure

PAPER = (
    "Billio, Getmansky, Lo, Pelizzon (2012), Econometric measures of connectedness and systemic risk in the "
    "finance and insurance sectors, Journal of Financial Economics 104(3)"
)


@measure(
    "pcas",
    title={"en": "Principal-component exposure to the system's risk (PCAS)", "zh": "主成分系统性暴露(PCAS)"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=PAPER,
    assumptions=("the system's return is the plain sum of the institutions' returns",),
    complexity="O(T n² + n³)",
    inputs=("returns",),
)
def pcas(returns: Matrix, *, share: float = 0.2, number: int | None = None) -> Vector:
    """Exposure of the system's variance to each institution through the leading principal components.

    PCAS_i = Σ_k (σ_i² / σ_S²) L_ik² λ_k over the leading components k of the correlation matrix, σ_S² the
    variance of the summed returns (equation 9 of the paper). `returns` (T, n) over complete rows; (n,)
    without unit, not negative. With all n components it is σ_i² / σ_S². NaN when fewer than two complete
    rows are left or the sum does not move.
    """
    n = returns.shape[1]
    if not n or complete_rows(returns).sum() < 2:
        return np.full(n, np.nan)
    covariance = co_movement(returns)
    system = covariance.sum()
    if system <= 0:
        return np.full(n, np.nan)
    values, vectors = np.linalg.eigh(co_movement(returns, "correlation"))
    count = eigenvector_number(n, share) if number is None else number
    if not 1 <= count <= n:
        raise ValueError(f"the number of components lies between 1 and {n}, not at {count}")
    loaded: Vector = (vectors[:, -count:] ** 2) @ np.clip(values[-count:], 0, None)
    exposure: Vector = np.diag(covariance) / system * loaded
    return exposure


def granger_p_values(returns: Matrix, order: int = 1) -> Matrix:
    """Return the p-values of "j does not help to predict i", (n, n) [i, j], by pairwise F tests.

    Each i is regressed on `order` own lags with an intercept, without and with as many lags of j, over the
    rows complete for both. The diagonal is NaN, and so is a pair without degrees of freedom or with a
    series that does not move. Billio and others filter returns by GARCH first; give filtered returns for
    that. Cost: O(n² T p²).
    """
    if order < 1:
        raise ValueError(f"a Granger test has at least one lag, not {order}")
    n = returns.shape[1]
    p_values = np.full((n, n), np.nan)
    for i in range(n):
        for j in range(n):
            if i != j:
                p_values[i, j] = _granger(returns[:, i], returns[:, j], order)
    return p_values


def _granger(effect: Vector, cause: Vector, order: int) -> float:
    rows = len(effect)
    if rows <= order:
        return float("nan")
    own = np.column_stack([effect[order - lag : rows - lag] for lag in range(1, order + 1)])
    other = np.column_stack([cause[order - lag : rows - lag] for lag in range(1, order + 1)])
    known = complete_rows(own, other, effect[order:])
    response = effect[order:][known]
    short = np.column_stack([np.ones(len(response)), own[known]])
    long = np.column_stack([short, other[known]])
    freedom = len(response) - long.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(long) < long.shape[1]:
        return float("nan")
    restricted, full = (_squared_error(design, response) for design in (short, long))
    if full <= 0:
        return float("nan")
    return float(fdtrc(order, freedom, (restricted - full) / order / (full / freedom)))


def _squared_error(design: Matrix, response: Vector) -> float:
    fitted, *_ = np.linalg.lstsq(design, response, rcond=None)
    return float(((response - design @ fitted) ** 2).sum())


def granger_links(returns: Matrix, *, order: int = 1, level: float = 0.05) -> Mask:
    """Return [i, j] True where j Granger-causes i at the significance `level`; False where unknown."""
    links: Mask = granger_p_values(returns, order) < level
    return links


@measure(
    "granger_degree",
    title={"en": "Degree of Granger causality", "zh": "格兰杰因果度"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference=PAPER,
    assumptions=("linear predictability stands for connection", "no correction for many tests"),
    complexity="O(n² T)",
    inputs=("returns",),
)
def granger_degree(returns: Matrix, *, order: int = 1, level: float = 0.05) -> float:
    """Share of the ordered pairs of institutions with a significant Granger-causal link.

    In [0, 1]; about `level` when nothing causes anything. NaN when no pair can be tested.
    """
    p_values = granger_p_values(returns, order)
    tested = np.isfinite(p_values)
    return float((p_values[tested] < level).mean()) if tested.any() else float("nan")
