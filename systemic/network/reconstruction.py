"""Networks from margins: what bilateral exposures may be when only each institution's totals are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from systemic.arrays import Matrix, Sparse, Vector
from systemic.checks import as_network, as_vector

MARGIN = 1e-8
ROUNDING = 1e-15
SWEEPS = 200_000
UPPER = "Upper (2011), Simulation methods to assess the danger of contagion in interbank markets, JFS 7(3): 111-125"
ANAND = "Anand, Craig, von Peter (2015), Filling in the blanks: network structure and interbank contagion, QF 15(4)"


def max_entropy(assets: ArrayLike, liabilities: ArrayLike) -> Matrix:
    """Return the exposures (n × n, zero diagonal) that spread each margin as evenly as the margins allow (RAS).

    `assets` (n): what each has lent inside the network; `liabilities` (n): what each has borrowed, the same
    total, one currency. Margins are met to 1e-8 of the total, to rounding where the diagonal leaves
    room. Every pair that can be connected is, so contagion is understated (Upper 2011). O(n²) a sweep. ValueError
    when the totals differ or no network with a zero diagonal has these margins.
    """
    lent, owed, total = _margins(assets, liabilities)
    n = lent.size
    if total == 0:
        return np.zeros((n, n))
    whole = _star(lent, owed, total)
    if whole is not None:
        return whole
    rows, columns = lent.copy(), owed.copy()
    off = np.inf
    for _ in range(SWEEPS):
        with np.errstate(divide="ignore", invalid="ignore"):
            rows = np.where(lent > 0, lent / (columns.sum() - columns), 0.0)
            columns = np.where(owed > 0, owed / (rows.sum() - rows), 0.0)
        before, off = off, float(np.abs(rows * (columns.sum() - columns) - lent).max())
        if off <= ROUNDING * total or (off >= before and off <= MARGIN * total):
            break
    else:
        raise ValueError("the margins are so close to what a zero diagonal allows that scaling does not converge")
    network: Matrix = rows[:, None] * columns[None, :]
    np.fill_diagonal(network, 0.0)
    return network


def min_density(assets: ArrayLike, liabilities: ArrayLike, seed: int = 0) -> Matrix:
    """Return a network (n × n, zero diagonal) with few links that meets the margins: one draw, by `seed`.

    Lenders are drawn by what they have left to lend, borrowers in proportion to max(aᵢ / lⱼ, lⱼ / aᵢ), so
    that large ones meet small ones, and each link takes as much as both sides have left (the constructive
    part of the heuristic of Anand, Craig & von Peter 2015). At most 2 n - 1 links, plus one for each time that
    only an institution's own two sides are left, which is resolved by a detour. Contagion is overstated. O(n²).
    """
    lent, owed, total = _margins(assets, liabilities)
    n = lent.size
    network = np.zeros((n, n))
    rng = np.random.default_rng(seed)
    dust = 1e-12 * total
    while lent.sum() > n * dust:
        i = int(rng.choice(n, p=lent / lent.sum()))
        open_ = (owed > dust) & (np.arange(n) != i)
        if not open_.any():
            _detour(network, lent, owed, i)
            continue
        with np.errstate(divide="ignore"):
            odds = np.where(open_, np.maximum(lent[i] / np.maximum(owed, dust), owed / lent[i]), 0.0)
        j = int(rng.choice(n, p=odds / odds.sum()))
        amount = min(lent[i], owed[j])
        network[i, j] += amount
        lent[i] = 0.0 if lent[i] - amount <= dust else lent[i] - amount
        owed[j] = 0.0 if owed[j] - amount <= dust else owed[j] - amount
    return network


def _detour(network: Matrix, lent: Vector, owed: Vector, i: int) -> None:
    """Only i has something left on both sides: i lends to m in k's place, and k lends to i."""
    others = network.copy()
    others[i, :] = 0.0
    others[:, i] = 0.0
    k, m = np.unravel_index(int(others.argmax()), others.shape)
    amount = min(lent[i], owed[i], others[k, m])
    if amount <= 0:
        raise ValueError("no network with a zero diagonal has these margins")
    network[k, m] -= amount
    network[i, m] += amount
    network[k, i] += amount
    lent[i] -= amount
    owed[i] -= amount


def _margins(assets: ArrayLike, liabilities: ArrayLike) -> tuple[Vector, Vector, float]:
    lent = as_vector("assets", assets).copy()
    owed = as_vector("liabilities", liabilities, lent.size).copy()
    total = float(lent.sum())
    if abs(total - float(owed.sum())) > 1e-9 * max(total, float(owed.sum()), 1e-300):
        raise ValueError(f"assets sum to {total:.10g} and liabilities to {owed.sum():.10g}; inside they must be equal")
    if total > 0:
        owed *= total / owed.sum()
        over = lent + owed > total * (1 + 1e-12)
        if over.any():
            at = int(np.flatnonzero(over)[0])
            raise ValueError(
                f"institution at position {at} lends {lent[at]:.10g} and borrows {owed[at]:.10g}, more than the others "
                f"can borrow and lend: no network with a zero diagonal has these margins"
            )
    return lent, owed, total


def _star(lent: Vector, owed: Vector, total: float) -> Matrix | None:
    """The only network there is when one institution is on one side of every exposure; else None."""
    centre = np.flatnonzero(lent + owed >= total * (1 - 1e-12))
    if not centre.size:
        return None
    network = np.zeros((lent.size, lent.size))
    network[centre[0], :] = owed
    network[:, centre[0]] = lent
    network[centre[0], centre[0]] = 0.0
    return network


def fill_in(claims: Any, known: ArrayLike, lent: ArrayLike, owed: ArrayLike, seed: int | None = None) -> Sparse:
    """Return the network `claims` with the rows that are not `known` reconstructed from totals (CSR, n × n).

    `claims` (n × n; [i, j] lent by i to j) holds what the `known` (bool[n]) have lent to whom. `lent` (n) is the
    total of each other one, `owed` (n) the total that each has borrowed, of which the known have lent a part; one
    currency. By maximum entropy without a `seed`, else one draw of minimum density. Totals of both sides rarely
    agree: somebody outside, whose claims and debts are then dropped, takes the difference, and what no network
    with a zero diagonal could hold.
    """
    network = as_network(claims)
    told = np.asarray(known, dtype=np.bool_)
    assets = np.where(told, 0.0, as_vector("lent", lent, network.shape[0]))
    debts = np.maximum(0.0, as_vector("owed", owed, network.shape[0]) - np.asarray(network.sum(axis=0)))
    chosen = np.flatnonzero((assets > 0) | (debts > 0))
    if not assets.any() or not debts.any():
        return network
    own, due = assets[chosen], debts[chosen]
    larger = max(own.sum(), due.sum())
    beside = max(0.0, float((own + due).max()) - larger)
    own = np.append(own, larger - own.sum() + beside)
    due = np.append(due, larger - due.sum() + beside)
    due *= own.sum() / due.sum()
    filled = max_entropy(own, due) if seed is None else min_density(own, due, seed)
    inner = sparse.coo_array(filled[:-1, :-1])
    where = (chosen[inner.row], chosen[inner.col])
    added = sparse.csr_array((inner.data, where), shape=network.shape)
    return as_network(network + added)


@dataclass(frozen=True, slots=True)
class Spread:
    """A measure over several networks that fit the same margins: lowest, median, highest, and all values."""

    low: float
    median: float
    high: float
    values: Vector


def spread(
    measure: Callable[[Matrix], float], assets: ArrayLike, liabilities: ArrayLike, seeds: Iterable[int] = range(20)
) -> Spread:
    """Return a measure of a network over its reconstructions: maximum entropy, and minimum density by seed.

    The truth lies between the two kinds in most markets where it is known (Anand et al. 2018), so the spread
    says how much of the number is the missing data's.
    """
    networks = [max_entropy(assets, liabilities), *(min_density(assets, liabilities, seed) for seed in seeds)]
    values = np.array([measure(network) for network in networks])
    return Spread(float(values.min()), float(np.median(values)), float(values.max()), values)
