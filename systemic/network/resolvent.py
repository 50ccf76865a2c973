"""The resolvent of a sector in which small shocks die out: all single defaults from one inverse, kept up to date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from systemic.arrays import Indices, Matrix, Sparse, Vector
from systemic.network.contagion import DEFAULT, Network
from systemic.network.linear import growth, inverse, solve_small

RANK = 16
SAFE = 1e-6
LARGEST_NORM = 1e4
EXACT = 1e-12
PROBES = 4
BATCH = 256
ROUNDS = 100
TIE = 1e-14


@dataclass(frozen=True, slots=True)
class Impacts:
    """What each institution's own default does to others, and what theirs do to it (float64[n] each).

    `impact[j]`: stress that the default of j alone adds to the system, Σ wᵢ min(hᵢ, 1) over i ≠ j;
    `losses[j]`: the same in currency, losses beyond buffers included; `defaults[j]`: how many others it
    brings down; `vulnerability[i]`: mean stress of i over the single defaults of all others.
    """

    impact: Vector
    losses: Vector
    defaults: Vector
    vulnerability: Vector


class Resolvent:
    """G = (I − Λ)⁻¹ of a network, with the totals of the default of each institution alone.

    Where nobody else is brought down, the default of j leaves G[:, j] / G[j, j], so its totals follow from the
    diagonal of G and two products, O(n²) for all. Defaults that bring others down are solved again, a small system
    each. New exposures of one institution change G by a matrix of rank one (Sherman & Morrison 1950), kept as
    factors and folded into G every 16. Memory: one float64[n, n].
    """

    def __init__(self, network: Network, found: Matrix) -> None:
        size = network.size
        self._normal = network.weight
        self._inverse = found
        self._left, self._right, self._rank = np.zeros((size, RANK)), np.zeros((size, RANK)), 0
        self._diagonal = found.diagonal().copy()
        self._weighted = self._normal @ found
        self._direct: Vector = np.asarray(network.losses.sum(axis=0), dtype=np.float64)
        self._claimed = self._direct @ found
        self._highest()

    def reweigh(self, normal: Vector) -> None:
        """Take new weights that sum to 1 (float64[n])."""
        self._normal = normal
        left = normal @ self._left[:, : self._rank]
        self._weighted = normal @ self._inverse + self._right[:, : self._rank] @ left

    def impacts(self) -> Impacts:
        """Return impact and vulnerability of all."""
        share = 1.0 / self._diagonal
        size = share.size
        impact = self._weighted * share - self._normal
        losses = self._claimed * share
        defaults = np.zeros(size)
        suffered = self._inverse @ share + self._left[:, : self._rank] @ (share @ self._right[:, : self._rank]) - 1.0
        suspects = np.flatnonzero(self._bounds() * share > DEFAULT)
        for start in range(0, suspects.size, BATCH):
            self._resolve(suspects[start : start + BATCH], impact, losses, defaults, suffered)
        return Impacts(impact, losses, defaults, np.maximum(suffered, 0.0) / max(size - 1, 1))

    def shift(self, i: int, change: Sparse, lost: Sparse) -> bool:
        """Take in the change of row i of Λ and of the losses (sparse 1 × n); False where that would not be safe."""
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
        claimed: Vector = np.zeros(self._diagonal.size)
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

    def _highest(self) -> None:
        """Largest entry of each column of the inverse beside the diagonal's."""
        diagonal = self._inverse.diagonal().copy()
        np.fill_diagonal(self._inverse, -1.0)
        self._most = self._inverse.max(axis=0)
        np.fill_diagonal(self._inverse, diagonal)

    def _columns(self, which: Indices) -> Matrix:
        """Columns of G as of now (float64[n, m])."""
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
        for place in np.flatnonzero(stress.max(axis=0) > DEFAULT):
            j = which[place]
            free = self._columns(np.array([j]))[:, 0]
            passed = self._hold(free, j)
            if passed is None:
                passed = self._hold_from_above(free, j, np.union1d([j], np.flatnonzero(stress[:, place] > 1.0)))
            impact[j] = self._normal @ passed - self._normal[j]
            losses[j] = self._direct @ passed
            suffered -= stress[:, place]
            passed[j] = 0.0
            suffered += passed
            defaults[j] = (passed > DEFAULT).sum()

    def _hold(self, free: Vector, j: int) -> Vector | None:
        """What each passes on when j fails: the uncapped `free` with those held at 1 that must be.

        The farthest beyond 1 are held, those that would be below 1 by themselves released, until there is neither:
        few are held at a time. None where that does not come to rest.
        """
        held = np.array([j])
        for _ in range(ROUNDS):
            columns = self._columns(held)
            excess = solve_small(columns[held], free[held] - 1.0)
            keep = (excess >= 0.0) | (held == j)
            if not keep.all():
                held = held[keep]
                continue
            end = free - columns @ excess
            beyond = farthest_beyond(end, held)
            if not beyond.size:
                end[held] = 1.0
                return np.asarray(np.clip(end, 0.0, 1.0))
            held = np.union1d(held, beyond)
        return None

    def _hold_from_above(self, free: Vector, j: int, capped: Indices) -> Vector:
        """The same by policy iteration from above: all that j alone would bring beyond 1, released as they can be."""
        while True:
            columns = self._columns(capped)
            excess = solve_small(columns[capped], free[capped] - 1.0)
            keep = (excess >= 0.0) | (capped == j)
            if keep.all():
                end = free - columns @ excess
                end[capped] = 1.0
                return np.asarray(np.clip(end, 0.0, 1.0))
            capped = capped[keep]


def farthest_beyond(x: Vector, held: Indices, fewest: int = 8) -> Indices:
    """Return the members that are farthest beyond 1 and not yet `held`, at most as many again as are."""
    over = x > 1.0 + TIE
    over[held] = False
    beyond = np.flatnonzero(over)
    most = max(fewest, held.size)
    if beyond.size > most:
        beyond = beyond[np.argpartition(-x[beyond], most)[:most]]
    return beyond


def resolvent(network: Network) -> Resolvent | None:
    """Return the resolvent of a network in which small shocks die out, exact to 1e-12; None of any other.

    None where an institution without buffer has lent, where the spectral radius of Λ is not below 1, and where it is
    so close to 1 that rounding would show (an absolute row sum of G above 1e4, or a residual of random probes that
    could move a result by 1e-12).
    """
    lenders = np.diff(network.losses.indptr) > 0
    if not network.size or (network.bare & lenders).any() or growth(network.flow) > 1.0:
        return None
    found = inverse(network.flow)
    if found is None:
        return None
    norm = float(found.sum(axis=1).max())
    if not (1.0 <= norm < LARGEST_NORM) or found.min() < -1e-9:
        return None
    probes = np.where(np.random.default_rng(0).random((network.size, PROBES)) < 0.5, -1.0, 1.0)
    reached = found @ probes
    residual = np.abs(reached - network.flow @ reached - probes).max()
    return Resolvent(network, found) if residual * norm <= EXACT * np.sqrt(network.size) else None
