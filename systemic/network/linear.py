"""Linear systems x = b + N x with N non-negative and spectral radius below 1, to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import lapack
from scipy.sparse.linalg import bicgstab, splu

from systemic.arrays import Matrix, Sparse, Vector

SMALL = 200
DENSE = 8_000
SWEEPS = 400


def inverse(flow: Sparse) -> Matrix | None:
    """Return (I − N)⁻¹ as a Fortran-ordered float64[k, k], None where it is singular; O(k³)."""
    system = -flow.toarray(order="F")
    system.flat[:: flow.shape[0] + 1] += 1.0
    factors, pivots, singular = lapack.dgetrf(system, overwrite_a=1)
    if singular:
        return None
    room, _ = lapack.dgetri_lwork(flow.shape[0])
    found, singular = lapack.dgetri(factors, pivots, lwork=int(room), overwrite_lu=1)
    return None if singular else np.asfortranarray(found)


def solve_small(system: Matrix, right: Vector) -> Vector:
    """Return the solution of a small dense system (k × k) in float64[k]; NaN where it is singular."""
    if right.size == 0:
        return np.zeros(0)
    if right.size == 1:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(right / system[0, 0])
    _, _, found, singular = lapack.dgesv(system, right)
    return np.full(right.size, np.nan) if singular else np.asarray(found)


def growth(flow: Sparse, sweeps: int = 60, last: int = 20) -> float:
    """Return by what factor N ends up multiplying a positive vector in a sweep: near its spectral radius."""
    x: Vector = np.ones(flow.shape[0])
    logs = 0.0
    for sweep in range(sweeps):
        x = np.asarray(flow @ x, dtype=np.float64)
        total = float(x.sum())
        if not 0.0 < total < np.inf:
            return 0.0
        x = x * (flow.shape[0] / total)
        if sweep >= sweeps - last:
            logs += float(np.log(total / flow.shape[0]))
    return float(np.exp(logs / last))


def solve(flow: Sparse, inflow: Vector) -> Vector:
    """Return the x of x = b + N x (float64[k]) for flow N (k × k) and inflow b.

    Small systems go to LAPACK; large ones to BiCGSTAB with refinement of the residual, and to a direct
    factorisation where that stalls.
    """
    size = inflow.size
    if size == 0:
        return np.zeros(0)
    if size > SMALL:
        found = _krylov(flow, inflow)
        if found is not None:
            return found
    if size <= DENSE:
        system = -flow.toarray()
        system.flat[:: size + 1] += 1.0
        return solve_small(system, inflow)
    return np.asarray(splu((sparse.eye_array(size, format="csc") - flow).tocsc()).solve(inflow))


def _krylov(flow: Sparse, inflow: Vector) -> Vector | None:
    scale = float(np.abs(inflow).max())
    if scale == 0.0:
        return np.zeros_like(inflow)
    system: Any = sparse.linalg.LinearOperator(flow.shape, matvec=lambda x: x - flow @ x, dtype=np.float64)
    x = np.zeros_like(inflow)
    residual = inflow
    for _ in range(4):
        step, _ = bicgstab(system, residual, rtol=1e-9, atol=0.0, maxiter=SWEEPS)
        if not np.isfinite(step).all():
            return None
        x = x + step
        previous, residual = residual, inflow + flow @ x - x
        left = float(np.abs(residual).max())
        rounding = 4e-16 * max(scale, float(np.abs(x).max()))
        if left <= rounding:
            return np.asarray(x)
        if left > 1e-3 * float(np.abs(previous).max()):
            return np.asarray(x) if left <= 8.0 * rounding else None
    return np.asarray(x)
