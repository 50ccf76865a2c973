"""Linear systems x = b + N x with N non-negative and spectral radius below 1, to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import bicgstab, splu

from systemic.arrays import Matrix, Sparse, Vector

SMALL = 200
DENSE = 8_000
SWEEPS = 400


def inverse(flow: Sparse) -> Matrix:
    """Return (I − N)⁻¹ as a Fortran-ordered float64[k, k]; O(k³)."""
    system = -flow.toarray(order="F")
    system.flat[:: flow.shape[0] + 1] += 1.0
    return np.asfortranarray(linalg.inv(system, overwrite_a=True, check_finite=False))


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
        return np.asarray(linalg.solve(system, inflow, overwrite_a=True, check_finite=False))
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
