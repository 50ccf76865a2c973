"""Checks of what measures are given: every refusal is a ValueError with one sentence that names the input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from systemic.arrays import Matrix, Sparse, Vector


def as_vector(
    name: str, value: ArrayLike, size: int | None = None, low: float | None = 0.0, high: float | None = None
) -> Vector:
    """Return `value` as float64[size]; refuse another shape, NaN, infinity, and values outside [low, high]."""
    vector = np.asarray(value, dtype=np.float64)
    if vector.ndim != 1 or (size is not None and vector.size != size):
        expected = "a list of numbers" if size is None else f"{size} numbers"
        raise ValueError(f"{name} must be {expected}, not an array of shape {vector.shape}")
    _refuse(name, vector, ~np.isfinite(vector), "a missing or infinite value")
    if low is not None:
        _refuse(name, vector, vector < low, f"a value below {low:g}")
    if high is not None:
        _refuse(name, vector, vector > high, f"a value above {high:g}")
    return vector


def _refuse(name: str, vector: Vector, bad: Any, what: str) -> None:
    if bad.any():
        at = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{name} has {what} at position {at} ({vector[at]})")


def as_matrix(name: str, value: ArrayLike) -> Matrix:
    """Return `value` as a float64 table; refuse another shape, NaN, infinity, and values below zero."""
    table = np.asarray(value, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"{name} must have a row for each institution and some columns, not shape {table.shape}")
    if not np.isfinite(table).all() or (table < 0.0).any():
        raise ValueError(f"{name} has a value that is missing, infinite or below zero")
    return table


def as_weights(weight: ArrayLike | None, size: int) -> Vector:
    """Return weights scaled to sum 1 (float64[size]); equal ones when None."""
    if size == 0:
        return np.zeros(0)
    if weight is None:
        return np.full(size, 1.0 / size)
    vector = as_vector("weight", weight, size)
    total = vector.sum()
    if total <= 0.0:
        raise ValueError("weight sums to zero, so nothing can be weighted by it")
    return np.asarray(vector / total)


def as_network(exposures: Any, name: str = "exposures") -> Sparse:
    """Return a square, non-negative matrix with a zero diagonal as CSR with sorted indices and no zeros.

    Dense arrays and every scipy.sparse format are taken. Raises ValueError for another shape, NaN,
    infinity, a negative amount, and an amount that an institution has lent to itself.
    """
    if not sparse.issparse(exposures):
        exposures = np.asarray(exposures, dtype=np.float64)
        if exposures.size == 0 and exposures.ndim < 2:
            exposures = exposures.reshape(0, 0)
    if exposures.ndim != 2 or exposures.shape[0] != exposures.shape[1]:
        raise ValueError(f"{name} must be a square matrix, not an array of shape {exposures.shape}")
    network: Sparse = sparse.csr_array(exposures, dtype=np.float64)
    if network is exposures:
        network = network.copy()
    network.sum_duplicates()
    network.eliminate_zeros()
    if not np.isfinite(network.data).all():
        raise ValueError(f"{name} has a missing or infinite amount")
    if (network.data < 0.0).any():
        raise ValueError(f"{name} has a negative amount; a debt is an exposure of the other side")
    diagonal = np.flatnonzero(network.diagonal())
    if diagonal.size:
        raise ValueError(f"{name} has an amount that institution {int(diagonal[0])} has lent to itself")
    return network


def as_shocks(shock: ArrayLike, size: int, name: str = "shock") -> tuple[Matrix, bool]:
    """Return shocks as float64[size, scenarios], and whether a single scenario came as a vector."""
    shocks = np.asarray(shock, dtype=np.float64)
    single = shocks.ndim == 1
    if single:
        shocks = shocks[:, None]
    if shocks.ndim != 2 or shocks.shape[0] != size:
        raise ValueError(f"{name} must have one row for each of {size} institutions, not shape {shocks.shape}")
    if not np.isfinite(shocks).all() or (shocks < 0.0).any():
        raise ValueError(f"{name} has a value that is missing, infinite or below zero")
    return shocks, single
