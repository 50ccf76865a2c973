"""DebtRank of all single defaults kept up to date while institutions report, one row of exposures at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from systemic.arrays import Sparse
from systemic.checks import as_network, as_vector, as_weights
from systemic.network.contagion import prepare
from systemic.network.debtrank import impact_vulnerability
from systemic.network.resolvent import Impacts, Resolvent, resolvent

RENEWED = 512


class RunningImpacts:
    """Impact and vulnerability of every institution, updated after one institution's new exposures.

    While small shocks die out (spectral radius of Λ below 1) and whoever lends has a buffer, `Resolvent` takes in one
    institution's new exposures in O(n²). Elsewhere, and every 512 updates, everything is computed anew:
    `incremental` tells which.

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
        self._renew()

    @property
    def incremental(self) -> bool:
        """Whether new exposures update what is known, or everything is computed anew."""
        return self._resolvent is not None

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
        if bare or self._updates >= RENEWED or not self._shift(institution, before, had):
            self._renew()
        return self.impacts()

    def reweigh(self, weight: ArrayLike | None) -> None:
        """Take new economic weights (float64[n]; equal ones when None)."""
        self._weight = None if weight is None else as_vector("weight", weight, self._buffer.size).copy()
        if self._resolvent is not None:
            self._resolvent.reweigh(as_weights(self._weight, self._buffer.size))

    def impacts(self) -> Impacts:
        """Return impact and vulnerability of all, as of the last update."""
        if self._resolvent is None:
            return impact_vulnerability(self.exposures, self._buffer, self._weight, self._recovery)
        return self._resolvent.impacts()

    def _renew(self) -> None:
        """Compute the resolvent from nothing; fall back to full computations where it does not serve."""
        self._claims = self.exposures
        self._updates = 0
        network = prepare(self._claims, self._buffer, self._weight, self._recovery)
        self._resolvent: Resolvent | None = resolvent(network)

    def _shift(self, i: int, before: Sparse, had: float) -> bool:
        """Take in the change of row i; False where everything must be computed anew."""
        if self._resolvent is None:
            return False
        kept = 1.0 - self._recovery
        now = self._rows[i]
        zero = sparse.csr_array(now.shape)
        change = (now * (kept / self._buffer[i]) if now.nnz else zero) - (before * (kept / had) if before.nnz else zero)
        return self._resolvent.shift(i, change.tocsr(), ((now - before) * kept).tocsr())
