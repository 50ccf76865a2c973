"""What every contagion method shares: the network relative to buffers, and the end state with its totals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from systemic.arrays import Mask, Matrix, Sparse, Vector
from systemic.checks import as_network, as_vector, as_weights

DEFAULT = 1.0 - 1e-12
"""An institution is in default when its relative loss is above this."""


@dataclass(frozen=True, slots=True)
class Network:
    """Exposures with what is lost of them at default, and the buffers that take the losses.

    `losses[i, j]`: what i loses when j defaults (currency); `flow[i, j]`: the same over i's buffer. An
    institution without buffer is `bare`: its row of `flow` is empty and any loss is its default, the limit
    of a buffer that goes to zero.
    """

    losses: Sparse
    flow: Sparse
    buffer: Vector
    bare: Mask
    weight: Vector

    @property
    def size(self) -> int:
        """Number of institutions."""
        return self.buffer.size


def prepare(exposures: Any, buffer: ArrayLike, weight: ArrayLike | None, recovery: float) -> Network:
    """Check the inputs and return the network; `recovery` is the share of an exposure that default spares."""
    if not 0.0 <= recovery <= 1.0:
        raise ValueError(f"recovery must be between 0 and 1, not {recovery}")
    claims = as_network(exposures)
    size = claims.shape[0]
    buffers = as_vector("buffer", buffer, size)
    losses: Sparse = claims * (1.0 - recovery)
    losses.eliminate_zeros()
    with np.errstate(divide="ignore", over="ignore"):
        relative = losses.data / np.repeat(buffers, np.diff(losses.indptr))
    rows = np.repeat(np.arange(size), np.diff(losses.indptr))
    bare = buffers == 0.0
    bare[rows[~np.isfinite(relative)]] = True
    flow: Sparse = sparse.csr_array(
        (np.where(bare[rows], 0.0, relative), losses.indices.copy(), losses.indptr.copy()), shape=losses.shape
    )
    flow.eliminate_zeros()
    return Network(losses, flow, buffers, bare, as_weights(weight, size))


@dataclass(frozen=True, slots=True)
class Contagion:
    """End state after one shock (arrays float64[n], totals numbers) or several (float64[n, m], float64[m]).

    `h` is an institution's loss over its buffer and goes beyond 1 when the loss does; for one without
    buffer that loses anything it is 1. `losses` is the same in currency, the shock's own part included.
    """

    shock: Matrix
    h: Matrix
    original: Matrix
    losses: Matrix
    weight: Vector

    @property
    def stress(self) -> Matrix:
        """Relative loss capped at 1, which is default."""
        return np.minimum(self.h, 1.0)

    @property
    def original_stress(self) -> Any:
        """Σ wᵢ min(hᵢ, 1) of the shock alone."""
        return self.weight @ np.minimum(self.shock, 1.0)

    @property
    def additional_stress(self) -> Any:
        """Σ wᵢ min(hᵢ, 1) of the end state less that of the shock: what contagion adds."""
        return self.weight @ (self.stress - np.minimum(self.shock, 1.0))

    @property
    def original_losses(self) -> Any:
        """Losses by the shock alone, in currency; those beyond a buffer count."""
        return self.original.sum(axis=0)

    @property
    def additional_losses(self) -> Any:
        """Losses that contagion adds, in currency; those beyond a buffer count."""
        return (self.losses - self.original).sum(axis=0)

    @property
    def additional_defaults(self) -> Any:
        """Number of institutions in default at the end that the shock had not put there."""
        return ((self.h > DEFAULT) & (self.shock <= DEFAULT)).sum(axis=0)


def settle(network: Network, shocks: Matrix, passed: Matrix, single: bool) -> Contagion:
    """Return the end state in which each institution has passed on the share `passed` (float64[n, m])."""
    original = shocks * network.buffer[:, None]
    h = network.flow @ passed
    losses = original + h * network.buffer[:, None]
    h += shocks
    bare = np.flatnonzero(network.bare)
    if bare.size:
        inflow = network.losses[bare] @ passed
        losses[bare] = original[bare] + inflow
        h[bare] = np.where(inflow > 0.0, np.maximum(shocks[bare], 1.0), shocks[bare])
    if single:
        return Contagion(shocks[:, 0], h[:, 0], original[:, 0], losses[:, 0], network.weight)
    return Contagion(shocks, h, original, losses, network.weight)
