"""DebtRank: distress that passes on before default, in its linear form and in the walk-once form of 2012."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from systemic.arrays import Indices, Mask, Matrix, Sparse, Vector
from systemic.checks import as_shocks
from systemic.network.contagion import DEFAULT, Contagion, Network, prepare, settle
from systemic.network.linear import DENSE, inverse, solve, solve_small
from systemic.network.resolvent import ROUNDS, TIE, Impacts, farthest_beyond, resolvent
from systemic.registry import measure

BATCH = 512
SWEEPS = 12
EXACT = 1e-12
ROUNDING = 4e-15
SETTLED = 1e-13
STIFF = 1e3
REFINEMENTS = 4

BARDOSCIA = (
    "Bardoscia, Battiston, Caccioli, Caldarelli (2015), DebtRank: A Microscopic Foundation for Shock "
    "Propagation, PLoS ONE 10(6): e0130406"
)


def linear_debtrank(
    exposures: Any,
    buffer: ArrayLike,
    shock: ArrayLike,
    weight: ArrayLike | None = None,
    recovery: float = 0.0,
) -> Contagion:
    """Return the end state of linear DebtRank: the least h with h = h₀ + Λ min(1, h), solved exactly.

    `exposures` (n × n, dense or sparse; [i, j] is what i has lent to j) and `buffer` (n) are in one
    currency; Λᵢⱼ = (1 − recovery) · exposureᵢⱼ / bufferᵢ. `shock` is h₀, the share of the buffer lost at
    first: float64[n], or float64[n, m] for m scenarios at once. `weight` (n) defaults to equal weights.
    Errors are below 1e-12; ValueError says what is wrong with an input. After Bardoscia et al. (2015).

    >>> end = linear_debtrank([[0, 10], [0, 0]], [20, 5], [0.0, 1.0])
    >>> end.h.tolist(), float(end.additional_stress)
    ([0.5, 1.0], 0.25)
    """
    network = prepare(exposures, buffer, weight, recovery)
    shocks, single = as_shocks(shock, network.size)
    passed = LinearDebtRank(network).solve(shocks)
    return settle(network, shocks, passed, single)


def impact_vulnerability(
    exposures: Any, buffer: ArrayLike, weight: ArrayLike | None = None, recovery: float = 0.0
) -> Impacts:
    """Return impact and vulnerability of every institution by linear DebtRank of all single defaults.

    Inputs as in `linear_debtrank`. One factorisation serves all n scenarios: O(n³) in time, O(n²) memory.
    """
    network = prepare(exposures, buffer, weight, recovery)
    calm = resolvent(network)
    return calm.impacts() if calm is not None else one_by_one(network)


def one_by_one(network: Network) -> Impacts:
    """Return impact and vulnerability by solving the default of each institution on any network."""
    size = network.size
    impact, losses, defaults, suffered = (np.zeros(size) for _ in range(4))
    solver = LinearDebtRank(network, scenarios=size)
    direct = np.asarray(network.losses.sum(axis=0))
    for start in range(0, size, BATCH):
        columns = np.arange(start, min(start + BATCH, size))
        shocks = np.zeros((size, columns.size))
        shocks[columns, np.arange(columns.size)] = 1.0
        passed = solver.solve(shocks)
        impact[columns] = network.weight @ passed - network.weight[columns]
        losses[columns] = direct @ passed
        passed[columns, np.arange(columns.size)] = 0.0
        defaults[columns] = (passed > DEFAULT).sum(axis=0)
        suffered += passed.sum(axis=1)
    return Impacts(impact, losses, defaults, suffered / max(size - 1, 1))


class LinearDebtRank:
    """Solves x = min(1, h₀ + Λ x), the least solution, for many shocks h₀ on one network.

    Stress only flows from borrower to lender, so strongly connected parts are solved in that order. In a
    part that no stress enters x is 0; elsewhere the solution is unique (the map is concave and every member
    is reached), and policy iteration from above finds it: hold the capped at 1, solve the linear system of
    the others, release the capped that fall below 1, repeat.

    `scenarios` is how many shocks are to come, which decides whether a part's inverse is worth computing.
    """

    def __init__(self, network: Network, scenarios: int = 1) -> None:
        self.network = network
        self.scenarios = scenarios
        self._steps = list(_in_order(network))

    def end(self, shocks: Matrix) -> Contagion:
        """Return the end states of shocks (float64[n, m])."""
        return settle(self.network, shocks, self.solve(shocks), single=False)

    def solve(self, shocks: Matrix) -> Matrix:
        """Return x, the share of its debts that each institution passes on as loss (float64[n, m])."""
        passed = np.zeros_like(shocks)
        for step in self._steps:
            rows = step.rows
            inflow = step.entering @ passed if step.entering.nnz else np.zeros((rows.size, shocks.shape[1]))
            start = shocks[rows] + inflow
            if isinstance(step, _Part):
                passed[rows] = step.solve(start, max(self.scenarios, shocks.shape[1]))
            else:
                bare = self.network.bare[rows, None]
                passed[rows] = np.where(bare & (inflow > 0.0), 1.0, np.minimum(start, 1.0))
        return passed


@dataclass(frozen=True, slots=True)
class _Level:
    """Institutions on no cycle whose debtors are all solved before: one product gives their stress."""

    rows: Indices
    entering: Sparse


class _Part:
    """A strongly connected part of at least two institutions."""

    def __init__(self, rows: Indices, entering: Sparse, inner: Sparse, bare: Mask) -> None:
        self.rows = rows
        self.entering = entering
        self.inner = inner
        self.bare = bare
        self._base: _Base | None = None

    def solve(self, start: Matrix, scenarios: int) -> Matrix:
        """Return x of the part for the stress that enters (float64[k, m])."""
        out = np.zeros_like(start)
        reached = np.flatnonzero(start.any(axis=0))
        size = self.rows.size
        if self._base is None and (scenarios < size / 64 or size > DENSE):
            for column in reached:
                out[:, column] = _from_above(self.inner, start[:, column], self.bare)
            return out
        if self._base is None:
            self._base = _Base(self.inner, self.bare)
        if reached.size == start.shape[1]:
            return self._base.solve(start)
        out[:, reached] = self._base.solve(start[:, reached])
        return out


def _in_order(network: Network) -> Iterator[_Level | _Part]:
    """Yield parts and levels so that each comes after all the institutions it has lent to."""
    flow, losses = network.flow, network.losses
    if network.size == 0:
        return
    count, label = connected_components(losses, directed=True, connection="strong")
    members = np.bincount(label, minlength=count)
    lender = np.repeat(label, np.diff(losses.indptr))
    borrower = label[losses.indices]
    across = lender != borrower
    edges = np.unique(lender[across].astype(np.int64) * count + borrower[across])
    lender, borrower = edges // count, edges % count
    waiting = np.bincount(lender, minlength=count)
    order = np.argsort(borrower, kind="stable")
    lender, borrower = lender[order], borrower[order]
    first = np.searchsorted(borrower, np.arange(count + 1))
    by_label = np.argsort(label, kind="stable")
    offset = np.concatenate(([0], np.cumsum(members)))
    ready = np.flatnonzero(waiting == 0)
    while ready.size:
        alone = ready[members[ready] == 1]
        if alone.size:
            rows = np.sort(by_label[offset[alone]])
            yield _Level(rows, _with_bare(network, rows))
        for part in ready[members[ready] > 1]:
            rows = by_label[offset[part] : offset[part + 1]]
            entering = _with_bare(network, rows)
            entering.data[label[entering.indices] == part] = 0.0
            entering.eliminate_zeros()
            yield _Part(rows, entering, flow[rows][:, rows], network.bare[rows])
        lenders = np.concatenate([lender[first[r] : first[r + 1]] for r in ready])
        np.subtract.at(waiting, lenders, 1)
        touched = np.unique(lenders)
        ready = touched[waiting[touched] == 0]


def _with_bare(network: Network, rows: Indices) -> Sparse:
    """Return the rows of the flow; those of the bare keep their amounts, which say whether they lose at all."""
    bare = network.bare[rows]
    if not bare.any():
        return network.flow[rows].copy()
    out = network.losses[rows].copy()
    counts = np.diff(out.indptr)
    scale = np.where(bare, 1.0, network.buffer[rows])
    out.data = out.data / np.repeat(scale, counts)
    return out


def _from_above(flow: Sparse, start: Vector, bare: Mask) -> Vector:
    """Return the greatest x = min(1, start + flow x) of one part (float64[k]); `bare` members are held at 1."""
    x = np.ones_like(start)
    for _ in range(SWEEPS):
        x = np.minimum(1.0, start + flow @ x)
        x[bare] = 1.0
    capped = (start + flow @ x >= 1.0) | bare
    while True:
        free = np.flatnonzero(~capped)
        x = np.where(capped, 1.0, 0.0)
        rows = flow[free]
        x[free] = np.clip(solve(rows[:, free], start[free] + rows @ x), 0.0, 1.0)
        still = capped & ((start + flow @ x >= 1.0) | bare)
        if np.array_equal(still, capped):
            return x
        capped = still


class _Base:
    """A part prepared for many shocks.

    The solution without any shock (not zero where the part's spectral radius is above 1) caps members that
    every shock caps too. The inverse of the others' system is computed once; a shock then only has to find
    the further members that it caps, a small system each.

    Where the others' spectral radius is so near 1 that their system is as good as singular, it is inverted with one
    member's equation replaced by x = r, and r is found with the small system: `pivot` is that member.
    """

    def __init__(self, flow: Sparse, bare: Mask) -> None:
        self.flow = flow
        self.bare = bare
        held = _from_above(flow, np.zeros(bare.size), bare)
        capped = (flow @ held >= 1.0) | bare
        self.free = np.flatnonzero(~capped)
        rows = flow[self.free]
        self.inner = rows[:, self.free]
        self.constant = rows @ capped.astype(np.float64)
        self.pivot: int | None = None
        self.useful = True
        self.inverse = np.zeros((0, 0))
        if self.free.size:
            self._invert()
        self.norm = float(np.abs(self.inverse).sum(axis=1).max()) if self.inverse.size else 0.0

    def _invert(self) -> None:
        found = inverse(self.inner)
        if found is None or not 0.0 < float(np.abs(found).sum(axis=1).max()) < STIFF:
            self.pivot = _centre(self.inner)
            keep = np.ones(self.free.size)
            keep[self.pivot] = 0.0
            found = inverse(sparse.csr_array(sparse.diags_array(keep) @ self.inner))
        if found is None or not np.isfinite(found).all():
            self.useful = False
            return
        self.inverse = found
        if self.pivot is not None:
            row = self.inner[[self.pivot]]
            self.row = -row.toarray()[0]
            self.row[self.pivot] += 1.0
            self.across = found[self.pivot] - np.asarray(row @ found)[0]

    def solve(self, start: Matrix) -> Matrix:
        """Return x for each column of `start` (float64[k, m]), every column holding some stress."""
        out = np.ones_like(start)
        if not self.free.size or not start.shape[1]:
            return out
        coarse = np.arange(start.shape[1])
        if self.useful:
            coarse = self._solve(start, out)
        for column in coarse:
            out[:, column] = _from_above(self.flow, start[:, column], self.bare)
        return out

    def _solve(self, start: Matrix, out: Matrix) -> Indices:
        """Fill `out`; return the columns that are not exact."""
        entering = start[self.free] + self.constant[:, None]
        x = self._uncapped(entering)
        certain = entering >= 1.0
        active = [self._cap(x[:, c], entering[:, c], np.flatnonzero(certain[:, c])) for c in range(x.shape[1])]
        left = np.full(x.shape[1], np.inf)
        for attempt in range(REFINEMENTS):
            free = np.clip(x, 0.0, 1.0)
            out[self.free] = free
            residual = np.minimum(1.0, entering + self.inner @ free) - free
            left = np.abs(residual).max(axis=0)
            coarse = np.flatnonzero(left > (ROUNDING if attempt else EXACT / self.norm))
            if not coarse.size:
                return coarse
            if self.pivot is None:
                step = self.inverse @ residual[:, coarse]
            else:
                given = residual[:, coarse].copy()
                given[self.pivot] = 0.0
                step = self.inverse @ given
            for place, column in enumerate(coarse):
                held, released = active[column]
                step[:, place] -= self._control(step[:, place], held, released, 0.0, residual[:, column])
            x[:, coarse] = free[:, coarse] + step
        return np.flatnonzero(left > SETTLED)

    def _uncapped(self, entering: Matrix) -> Matrix:
        """Return what would be without caps; the pivot's own equation is left to `_cap`."""
        row, column = np.nonzero(entering)
        alone = row.size == entering.shape[1] and np.array_equal(np.sort(column), np.arange(row.size))
        if self.pivot is None and alone:
            order = np.argsort(column)
            return np.asfortranarray(self.inverse[:, row[order]] * entering[row[order], column[order]])
        given = entering
        if self.pivot is not None:
            given = entering.copy()
            given[self.pivot] = 0.0
        return np.asfortranarray(self.inverse @ given)

    def _cap(self, x: Vector, entering: Vector, certain: Indices) -> tuple[Indices, bool]:
        """Hold at 1, in place, whom the shock caps; return the controlled, and whether the pivot is released.

        With `certain` held (and the pivot at 1 at first), those farthest beyond 1 are held too and those that would be
        below 1 by themselves are released, until there is neither; then the solution is found, for it is unique.
        Where that does not come to rest `x` is left as it is, and shows as not exact.
        """
        held = certain if self.pivot is None else np.union1d(certain, [self.pivot])
        pinned, released = held, False
        for _ in range(ROUNDS):
            excess = self._excess(x, held, released, 1.0, entering)
            keep = (excess >= 0.0) | np.isin(held, pinned)
            if not keep.all():
                held = held[keep]
                continue
            end = x - self.inverse[:, held] @ excess
            beyond = farthest_beyond(end, held)
            if beyond.size:
                held = np.union1d(held, beyond)
                continue
            if self.pivot is not None:
                own = entering[self.pivot] + end[self.pivot] - float(self.row @ end)
                if (own > 1.0 + TIE) if released else (own < 1.0 - TIE):
                    released = not released
                    continue
            x[:] = end
            x[held if not released else held[held != self.pivot]] = 1.0
            break
        return held, released

    def _control(self, x: Vector, held: Indices, released: bool, level: float, own: Vector) -> Vector:
        """Return what to take from x so that the held are at `level` and the pivot, if released, in its equation."""
        return np.asarray(self.inverse[:, held] @ self._excess(x, held, released, level, own))

    def _excess(self, x: Vector, held: Indices, released: bool, level: float, own: Vector) -> Vector:
        system, right = self.inverse[np.ix_(held, held)], x[held] - level
        if self.pivot is not None and released:
            place = int(np.searchsorted(held, self.pivot))
            system[place] = self.across[held]
            right[place] = float(self.row @ x) - own[self.pivot]
        return solve_small(system, right)


def _centre(flow: Sparse, sweeps: int = 50) -> int:
    """Return the member without which the network's spectral radius falls most: largest on both its vectors."""
    left, right = np.ones(flow.shape[0]), np.ones(flow.shape[0])
    for _ in range(sweeps):
        left, right = left @ flow + 1e-9, flow @ right + 1e-9
        left, right = left / left.max(), right / right.max()
    return int(np.argmax(left * right))


ASSUMPTIONS = (
    "losses pass on in proportion to the loss of equity, before default",
    "what is lost at default is 1 − recovery of the exposure, the same for all",
    "no one raises capital, calls credit or nets while stress spreads",
)


@measure(
    "debtrank_impact",
    title={"en": "DebtRank impact", "zh": "DebtRank影响力"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=BARDOSCIA,
    complexity="O(n³) once for all institutions",
    inputs=("exposures", "buffer"),
    optional=("weight",),
    assumptions=ASSUMPTIONS,
)
def debtrank_impact(
    exposures: Any, buffer: ArrayLike, weight: ArrayLike | None = None, recovery: float = 0.0
) -> Vector:
    """Return the share of the system's weight that each institution's default alone puts under stress."""
    return impact_vulnerability(exposures, buffer, weight, recovery).impact


@measure(
    "debtrank_vulnerability",
    title={"en": "DebtRank vulnerability", "zh": "DebtRank脆弱性"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=BARDOSCIA,
    complexity="O(n³) once for all institutions",
    inputs=("exposures", "buffer"),
    assumptions=ASSUMPTIONS,
)
def debtrank_vulnerability(exposures: Any, buffer: ArrayLike, recovery: float = 0.0) -> Vector:
    """Return the mean stress of each institution over the single defaults of all others."""
    return impact_vulnerability(exposures, buffer, None, recovery).vulnerability
