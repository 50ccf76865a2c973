"""Clearing vectors: who pays whom how much when some can't pay in full, with or without bankruptcy costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from systemic.arrays import Indices, Mask, Matrix, Sparse, Vector
from systemic.checks import as_network, as_shocks, as_vector
from systemic.network.linear import solve
from systemic.registry import measure

Seniority = Literal["pari-passu", "senior"]

TOLERANCE = 1e-12
SWEEPS = 8

EISENBERG_NOE = "Eisenberg and Noe (2001), Systemic Risk in Financial Systems, Management Science 47(2)"
ROGERS_VERAART = "Rogers and Veraart (2013), Failure and Rescue in an Interbank Network, Management Science 59(4)"


@dataclass(frozen=True, slots=True)
class Clearing:
    """The greatest clearing vector of one state of external assets (float64[n]) or of several (float64[n, m]).

    `payment`: what each pays in total, inside and outside the network; `interbank_payment`: the part paid
    inside; `receipts`: what each receives from inside; `equity`: what is left to its owners, 0 in default;
    `default`: it can't pay `total_liabilities` (float64[n]) in full.
    """

    payment: Matrix
    interbank_payment: Matrix
    receipts: Matrix
    equity: Matrix
    default: Any
    total_liabilities: Vector

    @property
    def shortfall(self) -> Any:
        """Debt left unpaid over all institutions, in currency."""
        owed = self.total_liabilities if self.payment.ndim == 1 else self.total_liabilities[:, None]
        return np.maximum(owed - self.payment, 0.0).sum(axis=0)


def clear(
    exposures: Any,
    external_assets: ArrayLike,
    external_liabilities: ArrayLike | None = None,
    external: Seniority = "pari-passu",
    alpha: float = 1.0,
    beta: float = 1.0,
) -> Clearing:
    """Return the greatest clearing vector of Eisenberg & Noe (2001), or Rogers & Veraart (2013) with costs.

    `exposures` (n × n, dense or sparse; [i, j] is what i has lent to j), `external_assets` (float64[n], or
    float64[n, m] for m states at once) and `external_liabilities` (n; none by default) are in one currency.
    External creditors rank with those inside ("pari-passu") or are paid first ("senior"). In default only
    `alpha` of external assets and `beta` of interbank receipts are realised.

    Fictitious default from above: all pay in full; those who can't are in default, and the payments of all
    in default are the solution of a linear system; repeat until nobody joins. Payments satisfy limited
    liability, proportionality and absolute priority to rounding. At most n + 1 systems, a handful by custom.
    ValueError for amounts below zero or missing, and for alpha or beta outside [0, 1].

    >>> clear([[0, 0], [8, 0]], [4, 1], [0, 6]).payment.round(12).tolist()
    [4.0, 5.0]
    """
    system = _System(exposures, external_liabilities, external, alpha, beta)
    assets, single = as_shocks(external_assets, system.size, "external_assets")
    columns = [system.clear(assets[:, k]) for k in range(assets.shape[1])]
    payment, inside, receipts, equity = (
        np.column_stack([getattr(c, name) for c in columns]) if columns else np.zeros((system.size, 0))
        for name in ("payment", "interbank_payment", "receipts", "equity")
    )
    default = np.column_stack([c.default for c in columns]) if columns else np.zeros((system.size, 0), dtype=bool)
    if single:
        return Clearing(payment[:, 0], inside[:, 0], receipts[:, 0], equity[:, 0], default[:, 0], system.owed)
    return Clearing(payment, inside, receipts, equity, default, system.owed)


class _System:
    """Debts of a network, prepared for clearing in many states of its external assets.

    The unknown is the share φ of its interbank debt that each institution pays. A defaulter has
    φ = max(0, α e + β claims φ − prior) / debt, where `debt` is what shares alike and `prior` what goes first.
    """

    def __init__(
        self, exposures: Any, external_liabilities: ArrayLike | None, external: Seniority, alpha: float, beta: float
    ) -> None:
        if external not in ("pari-passu", "senior"):
            raise ValueError(f"external must be 'pari-passu' or 'senior', not {external!r}")
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be between 0 and 1, not {value}")
        self.claims = as_network(exposures)
        self.size = self.claims.shape[0]
        outside = np.zeros(self.size) if external_liabilities is None else external_liabilities
        self.outside = as_vector("external_liabilities", outside, self.size)
        self.inside = np.asarray(self.claims.sum(axis=0))
        self.owed = self.inside + self.outside
        self.senior = external == "senior"
        self.debt = self.inside if self.senior else self.owed
        self.prior = self.outside if self.senior else np.zeros(self.size)
        self.alpha, self.beta = alpha, beta

    def clear(self, assets: Vector) -> Clearing:
        """Return the clearing vector for these external assets (float64[n])."""
        share = np.ones(self.size)
        default = self._joined(assets, share, np.zeros(self.size, dtype=bool))
        for _ in range(SWEEPS if default.any() else 0):
            value = self.alpha * assets + self.beta * (self.claims @ share) - self.prior
            share = np.where(default, np.minimum(share, self._share(value)), 1.0)
            default = self._joined(assets, share, default)
        while default.any():
            share = self._settle(assets, default, share)
            grown = self._joined(assets, share, default)
            if np.array_equal(grown, default):
                break
            default = grown
        return self._result(assets, default, share)

    def _joined(self, assets: Vector, share: Vector, default: Mask) -> Mask:
        """Return who is in default, or can't pay in full when others pay `share` of their debts."""
        return default | (assets + self.claims @ share < self.owed * (1.0 - TOLERANCE))

    def _share(self, value: Vector) -> Vector:
        """Return the share of its debt that each could pay of `value`; 1 where it has no such debt."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.debt > 0.0, np.clip(value / self.debt, 0.0, 1.0), 1.0)

    def _settle(self, assets: Vector, default: Mask, share: Vector) -> Vector:
        """Return the shares paid when exactly `default` default; `share` is an upper bound of them."""
        members = np.flatnonzero(default & (self.debt > 0.0))
        rows = self.claims[members]
        others = np.ones(self.size)
        others[members] = 0.0
        debt = self.debt[members]
        base = (self.alpha * assets[members] + self.beta * (rows @ others) - self.prior[members]) / debt
        flow: Sparse = sparse.diags_array(self.beta / debt).tocsr() @ rows[:, members]
        inner = _floored(flow, base, share[members], self._seeds(members)) if self.senior else solve(flow, base)
        out = np.ones(self.size)
        out[members] = np.clip(inner, 0.0, 1.0)
        return out

    def _seeds(self, members: Indices) -> Indices:
        """Return one member of each group that owes to nobody outside itself.

        Such a group's system is singular. Being all in default it must have a member that pays nothing inside.
        """
        if self.beta < 1.0 or not members.size:
            return np.zeros(0, dtype=np.int64)
        rows = self.claims[members][:, members]
        count, label = connected_components(rows, directed=True, connection="strong")
        edges = rows.tocoo()
        leak = np.zeros(count, dtype=bool)
        leak[label[edges.col[label[edges.row] != label[edges.col]]]] = True
        kept = np.bincount(edges.col, minlength=members.size) < np.diff(self.claims.tocsc().indptr)[members]
        leak[label[kept]] = True
        first = np.unique(label, return_index=True)[1]
        return np.asarray(first[~leak], dtype=np.int64)

    def _result(self, assets: Vector, default: Mask, share: Vector) -> Clearing:
        receipts = self.claims @ share
        value = np.where(default, self.alpha * assets + self.beta * receipts, assets + receipts)
        payment = np.where(default, np.minimum(self.owed, value), self.owed)
        inside = share * self.inside
        equity = np.where(default, 0.0, np.maximum(value - self.owed, 0.0))
        return Clearing(payment, inside, receipts, equity, default, self.owed)


def _floored(flow: Sparse, base: Vector, bound: Vector, seeds: Indices) -> Vector:
    """Return x = max(0, base + flow x) (float64[k]) by policy iteration from below; `bound` is above x."""
    nothing = base + flow @ bound <= 0.0
    nothing[seeds] = True
    while True:
        free = np.flatnonzero(~nothing)
        x = np.zeros_like(base)
        x[free] = solve(flow[free][:, free], base[free])
        now = base + flow @ x <= 0.0
        if np.array_equal(now, nothing):
            return x
        nothing = now


def _unpaid(
    exposures: Any, external_assets: ArrayLike, external_liabilities: ArrayLike | None, **options: Any
) -> tuple[Clearing, float]:
    result = clear(exposures, as_vector("external_assets", external_assets), external_liabilities, **options)
    return result, float(result.total_liabilities.sum())


ASSUMPTIONS = (
    "all debts fall due at once and are netted by nobody",
    "creditors of one rank are paid in proportion; owners get nothing before all are paid",
    "the greatest clearing vector: nobody defaults who need not",
)


@measure(
    "clearing_shortfall",
    title={"en": "Unpaid share of debts after clearing", "zh": "清算缺口率"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference=EISENBERG_NOE,
    complexity="O(defaults × m), a handful of sparse systems",
    inputs=("exposures", "external_assets"),
    optional=("external_liabilities",),
    assumptions=ASSUMPTIONS,
)
def clearing_shortfall(
    exposures: Any,
    external_assets: ArrayLike,
    external_liabilities: ArrayLike | None = None,
    external: Seniority = "pari-passu",
    alpha: float = 1.0,
    beta: float = 1.0,
) -> float:
    """Return the share of all debts that stays unpaid in the clearing vector; NaN where nobody owes anything."""
    result, owed = _unpaid(exposures, external_assets, external_liabilities, external=external, alpha=alpha, beta=beta)
    return float(result.shortfall / owed) if owed > 0.0 else float("nan")


@measure(
    "clearing_payment_ratio",
    title={"en": "Share of its debts an institution pays", "zh": "清算偿付率"},
    level="institution",
    unit="ratio",
    sign="lower is riskier",
    reference=EISENBERG_NOE,
    complexity="O(defaults × m), a handful of sparse systems",
    inputs=("exposures", "external_assets"),
    optional=("external_liabilities",),
    assumptions=ASSUMPTIONS,
    live="clearing_payment_ratio_stressed",
)
def clearing_payment_ratio(
    exposures: Any,
    external_assets: ArrayLike,
    external_liabilities: ArrayLike | None = None,
    external: Seniority = "pari-passu",
    alpha: float = 1.0,
    beta: float = 1.0,
) -> Vector:
    """Return what each institution pays over what it owes; 1 for one that owes nothing."""
    result, _ = _unpaid(exposures, external_assets, external_liabilities, external=external, alpha=alpha, beta=beta)
    owed = result.total_liabilities
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(owed > 0.0, result.payment / owed, 1.0)


@measure(
    "clearing_defaults",
    title={"en": "Defaults in clearing", "zh": "清算违约家数"},
    level="system",
    unit="count",
    sign="higher is riskier",
    reference=ROGERS_VERAART,
    complexity="O(defaults × m), a handful of sparse systems",
    inputs=("exposures", "external_assets"),
    optional=("external_liabilities",),
    assumptions=ASSUMPTIONS,
)
def clearing_defaults(
    exposures: Any,
    external_assets: ArrayLike,
    external_liabilities: ArrayLike | None = None,
    external: Seniority = "pari-passu",
    alpha: float = 1.0,
    beta: float = 1.0,
) -> float:
    """Return how many institutions can't pay their debts in full."""
    result, _ = _unpaid(exposures, external_assets, external_liabilities, external=external, alpha=alpha, beta=beta)
    return float(result.default.sum())
