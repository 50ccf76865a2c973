"""First shocks of contagion: by institution, by group, by asset class; each as a share of the buffer lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from systemic.arrays import Matrix, Vector
from systemic.checks import as_matrix, as_vector


def by_institution(shares: ArrayLike) -> Matrix:
    """Return a scenario for each institution alone (float64[n, n]): it loses its share (n) of its buffer.

    >>> by_institution([1.0, 0.5]).tolist()
    [[1.0, 0.0], [0.0, 0.5]]
    """
    return np.diag(as_vector("shares", shares))


def by_group(members: ArrayLike, share: float = 1.0) -> Matrix:
    """Return a scenario for each group (float64[n, g]): all its members lose `share` of their buffers.

    `members` (n × g) says who is in which group; an institution may be in several.

    >>> by_group([[True, False], [True, True]], 0.5).tolist()
    [[0.5, 0.0], [0.5, 0.5]]
    """
    inside = as_matrix("members", members)
    if share < 0.0 or not np.isin(inside, (0.0, 1.0)).all():
        raise ValueError("members say yes or no, and the share lost is not below 0")
    return inside * share


def by_asset_class(holdings: ArrayLike, buffer: ArrayLike, returns: ArrayLike) -> Matrix:
    """Return a scenario for each column of `returns` (k × m): what holders lose of their buffers (float64[n, m]).

    `holdings` (n × k) and `buffer` (n) in one currency; −0.1 is a fall by a tenth of an asset class. A gain is no
    shock. A loss beyond the buffer is a share above 1; a loss that meets no buffer is 1, which is default.

    >>> by_asset_class([[50.0, 0.0], [20.0, 10.0]], [10.0, 5.0], [[-0.1], [0.0]]).tolist()
    [[0.5], [0.4]]
    """
    held = as_matrix("holdings", holdings)
    moves = np.asarray(returns, dtype=np.float64)
    if moves.ndim != 2 or moves.shape[0] != held.shape[1] or not np.isfinite(moves).all():
        raise ValueError(f"returns must have one row for each of {held.shape[1]} asset classes, none missing")
    return over_buffer(np.maximum(-(held @ moves), 0.0), as_vector("buffer", buffer, held.shape[0]))


def over_buffer(losses: Matrix, buffer: Vector) -> Matrix:
    """Return losses (float64[n, m], currency) over buffers (n); 1 where a loss meets no buffer, 0 where none does."""
    with np.errstate(divide="ignore", invalid="ignore"):
        share = losses / buffer[:, None]
    return np.where(losses > 0.0, np.where(buffer[:, None] > 0.0, share, 1.0), 0.0)
