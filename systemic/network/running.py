"""DebtRank of all single defaults kept up to date while institutions report, one row of exposures at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg, sparse

from systemic.arrays import Indices, Matrix, Sparse, Vector
from systemic.checks import as_network, as_vector, as_weights
from systemic.network.contagion import Network, prepare
from systemic.network.debtrank import Impacts, impact_vulnerability
from systemic.network.linear import inverse

RANK = 16
RENEWED = 512
SAFE = 1e-6
LARGEST_NORM = 1e6
BATCH = 256


class RunningImpacts:
    """Impact and vulnerability of every institution, updated after one institution's new exposures.

    While small shocks die out (spectral radius of Λ below 1) and whoever lends has a buffer, new exposures of
    one institution change the inverse G = (I − Λ)⁻¹ by a matrix of rank one (Sherman and Morrison 1950), and
    the totals of all defaults that bring nobody else down follow from G in O(n²). Defaults that bring others
    down are solved again, a small system each. Updates are kept as factors and folded into G every 16.
    Elsewhere, and every 512 updates, everything is computed anew by `impact_vulnerability`: `incremental`
    tells which. Memory: one float64[n, n].

    Inputs as in `systemic.network.debtrank.impact_vulnerability`.
    """

    def __init__(
        self, exposures: Any, buffer: ArrayLike, weight: ArrayLike | None = None, recovery: float = 0.0
    ) -> None:
        self._claims = as_network(exposures)
        self._buffer = as_vector("buffer", buffer, self._claims.shape[0]).copy()
        self._weight = None if weight is None else as_vector("weight", weight, self._buffer.size).copy()
        self._recovery = recovery
        self._rows = [self._claims[[i]] for i in range(self._buffer.size)]
        self.incremental = False
        self._renew()

    @property
    def exposures(self) -> Sparse:
        """The network as of the last update."""
        if not self._rows:
            return self._claims
        stacked: Sparse = sparse.vstack(self._rows, format="csr")
        return stacked

    def replace(self, institution: int, exposures: Any, buffer: float | None = None) -> Impacts:
        """Give `institution` new exposures (n amounts, dense or a sparse row) and, if given, a new buffer.

        Returns the impacts of all. ValueError as elsewhere; the state is then what it was.
        """
        size = self._buffer.size
        if not 0 <= institution < size:
            raise ValueError(f"there is no institution {institution} among {size}")
        row: Any = sparse.csr_array(exposures if sparse.issparse(exposures) else np.atleast_2d(exposures))  # type: ignore[arg-type]
        if row.shape != (1, size):
            raise ValueError(f"exposures must be {size} amounts, not shape {row.shape}")
        if not np.isfinite(row.data).all() or (row.data < 0.0).any() or row[0, institution]:
            raise ValueError("exposures have an amount that is missing, negative, or lent to oneself")
        level = self._buffer[institution] if buffer is None else as_vector("buffer", [buffer], 1)[0]
        before, had = self._rows[institution], self._buffer[institution]
        self._rows[institution], self._buffer[institution] = row, level
        self._updates += 1
        bare = level == 0.0 and row.nnz > 0
        if not self.incremental or bare or self._updates >= RENEWED or not self._shift(institution, before, had):
            self._renew()
        return self.impacts()

    def reweigh(self, weight: ArrayLike | None) -> None:
        """Take new economic weights (float64[n]; equal ones when None)."""
        self._weight = None if weight is None else as_vector("weight", weight, self._buffer.size).copy()
        self._normal = as_weights(self._weight, self._buffer.size)
        if self.incremental:
            left = self._normal @ self._left[:, : self._rank]
            self._weighted = self._normal @ self._inverse + self._right[:, : self._rank] @ left

    def impacts(self) -> Impacts:
        """Return impact and vulnerability of all, as of the last update."""
        if not self.incremental:
            return impact_vulnerability(self.exposures, self._buffer, self._weight, self._recovery)
        share = 1.0 / self._diagonal
        size = self._buffer.size
        impact = self._weighted * share - self._normal
        losses = self._claimed * share
        defaults = np.zeros(size)
        suffered = self._inverse @ share + self._left[:, : self._rank] @ (share @ self._right[:, : self._rank]) - 1.0
        suspects = np.flatnonzero(self._bounds() * share > 1.0)
        for start in range(0, suspects.size, BATCH):
            self._resolve(suspects[start : start + BATCH], impact, losses, defaults, suffered)
        return Impacts(impact, losses, defaults, np.maximum(suffered, 0.0) / max(size - 1, 1))

    def _renew(self) -> None:
        """Compute the inverse from nothing; fall back to full computations where it does not serve."""
        self._claims = self.exposures
        network = prepare(self._claims, self._buffer, self._weight, self._recovery)
        self._normal = network.weight
        self._updates = 0
        self.incremental = False
        lenders = np.diff(network.losses.indptr) > 0
        if not self._buffer.size or (network.bare & lenders).any():
            return
        self._start(network)

    def _start(self, network: Network) -> None:
        found = inverse(network.flow)
        norm = found.sum(axis=1)
        stable = np.isfinite(norm).all() and found.min() >= -1e-9 and 1.0 <= norm.max() < LARGEST_NORM
        if not stable:
            return
        self._inverse = found
        size = self._buffer.size
        self._left, self._right, self._rank = np.zeros((size, RANK)), np.zeros((size, RANK)), 0
        self._diagonal = found.diagonal().copy()
        self._weighted = self._normal @ found
        self._direct: Vector = np.asarray(network.losses.sum(axis=0), dtype=np.float64)
        self._claimed = self._direct @ found
        self._highest()
        self.incremental = True

    def _highest(self) -> None:
        """Largest entry of each column of the inverse beside the diagonal's."""
        diagonal = self._inverse.diagonal().copy()
        np.fill_diagonal(self._inverse, -1.0)
        self._most = self._inverse.max(axis=0)
        np.fill_diagonal(self._inverse, diagonal)

    def _shift(self, i: int, before: Sparse, had: float) -> bool:
        """Take in the change of row i; False where the rank-one formula would not be safe."""
        kept = 1.0 - self._recovery
        now = self._rows[i]
        zero = sparse.csr_array(now.shape)
        change = (now * (kept / self._buffer[i]) if now.nnz else zero) - (before * (kept / had) if before.nnz else zero)
        change = change.tocsr()
        if self._rank == RANK:
            self._fold()
        at, amount = change.indices, change.data
        across = amount @ self._inverse[at] + self._right[:, : self._rank] @ (amount @ self._left[at, : self._rank])
        column = self._columns(np.array([i]))[:, 0]
        pivot = 1.0 - across[i]
        if pivot < SAFE:
            return False
        column = column / pivot
        self._left[:, self._rank], self._right[:, self._rank] = column, across
        self._rank += 1
        lost = ((now - before) * kept).tocsr()
        claimed: Vector = np.zeros(self._buffer.size)
        claimed[lost.indices] = lost.data
        self._diagonal += column * across
        self._weighted = self._weighted + (self._normal @ column) * across
        self._claimed = self._claimed + (self._direct @ column) * across + self._times(claimed)
        self._direct = self._direct + claimed
        return True

    def _times(self, row: Vector) -> Vector:
        """Return row · G for a row with few entries."""
        at = np.flatnonzero(row)
        left = row[at] @ self._left[at, : self._rank]
        return np.asarray(row[at] @ self._inverse[at] + self._right[:, : self._rank] @ left)

    def _fold(self) -> None:
        self._inverse += self._left @ self._right.T
        self._left[:], self._right[:], self._rank = 0.0, 0.0, 0
        self._highest()

    def _columns(self, which: Indices) -> Matrix:
        """Columns of the inverse as of now (float64[n, m])."""
        return np.asarray(self._inverse[:, which] + self._left[:, : self._rank] @ self._right[which, : self._rank].T)

    def _bounds(self) -> Vector:
        """No entry of a column beside the diagonal's is larger than this."""
        high: Vector = self._most.copy()
        for k in range(self._rank):
            left, right = self._left[:, k], self._right[:, k]
            high += np.maximum(left.max() * right, left.min() * right)
        return high

    def _resolve(self, which: Indices, impact: Vector, losses: Vector, defaults: Vector, suffered: Vector) -> None:
        """Put right, in place, the totals of the defaults that bring others down."""
        stress = self._columns(which) / self._diagonal[which]
        stress[which, np.arange(which.size)] = 0.0
        for place in np.flatnonzero(stress.max(axis=0) > 1.0):
            j = which[place]
            free = self._columns(np.array([j]))[:, 0]
            passed = self._hold(free, j, np.union1d([j], np.flatnonzero(stress[:, place] > 1.0)))
            impact[j] = self._normal @ passed - self._normal[j]
            losses[j] = self._direct @ passed
            suffered -= stress[:, place]
            passed[j] = 0.0
            suffered += passed
            defaults[j] = (passed > 1.0 - 1e-12).sum()

    def _hold(self, free: Vector, j: int, capped: Indices) -> Vector:
        """What each passes on when j fails: the uncapped `free` with `capped` held at 1 as far as they reach it."""
        while True:
            columns = self._columns(capped)
            excess = linalg.solve(columns[capped], free[capped] - 1.0, check_finite=False)
            keep = (excess >= 0.0) | (capped == j)
            if keep.all():
                end = free - columns @ excess
                end[capped] = 1.0
                return np.asarray(np.clip(end, 0.0, 1.0))
            capped = capped[keep]
