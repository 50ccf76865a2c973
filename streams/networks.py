"""The exposure network of a date: what is known of it, and the networks that fit where only totals are known."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from rules.assets import AssetClass
from systemic.network.debtrank import Impacts, impact_vulnerability
from systemic.network.reconstruction import fill_in
from systemic.network.running import RunningImpacts

DRAWS, FEWER_DRAWS = 20, 4
LARGE = 500
CALM = 32
CHECKED = 64
LARGEST = 6_000
AGREE = 1e-8

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures that institutions filed for one purpose, by code and indicator; `expected` is how many should file."""

    expected: int
    values: dict[str, dict[str, float]] = field(default_factory=dict)

    def complete(self, indicators: Collection[str]) -> list[str]:
        """Return who has filed all of these, in order."""
        return sorted(code for code, told in self.values.items() if all(name in told for name in indicators))


@dataclass(frozen=True, slots=True)
class Network:
    """What was known for one date of the institutions that are supervised, by code; amounts in currency.

    `expected` is how many institutions should be in it, `version` the state of the book it was taken from.
    `claims` is what each lent to whom, `owed` what each says it owes whom, as of `reported_at`; `services` the
    shares of its critical services by provider, `movable` the shares of those that it could move in time, `chains`
    what it knows its providers to depend on. `totals` is what each has lent and borrowed in all, as far as known.
    `figures` are other filings by purpose, `classes` the asset classes that the catalogue declares.
    """

    as_of: int
    version: int
    expected: int
    equity: dict[str, float] = field(default_factory=dict)
    assets: dict[str, float] = field(default_factory=dict)
    reported_at: dict[str, int] = field(default_factory=dict)
    claims: dict[str, dict[str, float]] = field(default_factory=dict)
    owed: dict[str, dict[str, float]] = field(default_factory=dict)
    services: dict[str, dict[str, float]] = field(default_factory=dict)
    movable: dict[str, dict[str, float]] = field(default_factory=dict)
    chains: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    totals: dict[str, tuple[float, float]] = field(default_factory=dict)
    figures: dict[str, Figures] = field(default_factory=dict)
    classes: tuple[AssetClass, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Who has a measure of its own, in order."""
        return tuple(sorted(self.equity.keys() | self.owed.keys()))

    @property
    def rough(self) -> set[str]:
        """Those of whom only totals are known."""
        return self.totals.keys() - self.claims.keys()


def networks(network: Network, names: tuple[str, ...]) -> list[sparse.csr_array]:
    """Return the networks of `names` that fit what is known: one, or several where somebody told totals only.

    Those are one of maximum entropy, and 20 of minimum density (4 above 500 institutions), seeded.
    """
    claims = claims_between(network, names)
    if not network.rough & set(names):
        return [claims]
    told = np.array([code in network.claims or code not in network.totals for code in names])
    lent = np.array([network.totals.get(code, (0.0, 0.0))[0] for code in names])
    owed = np.array([network.totals.get(code, (0.0, 0.0))[1] for code in names])
    draws = DRAWS if len(names) <= LARGE else FEWER_DRAWS
    return [fill_in(claims, told, lent, owed, seed) for seed in (None, *range(draws))]


def claims_between(network: Network, names: tuple[str, ...]) -> sparse.csr_array:
    """Return claims[i, j], what names[i] has lent to names[j], in currency."""
    place = {code: position for position, code in enumerate(names)}
    entries = [
        (place[lender], place[borrower], amount)
        for lender, claims in network.claims.items()
        if lender in place
        for borrower, amount in claims.items()
        if borrower in place and amount > 0
    ]
    rows, columns, amounts = zip(*entries, strict=True) if entries else ((), (), ())
    where = (np.array(rows, np.int64), np.array(columns, np.int64))
    return sparse.csr_array((np.array(amounts, np.float64), where), shape=(len(names), len(names)))


class Running:
    """DebtRank of all single failures, kept from one computation to the next while few institutions change.

    Where at most `CALM` have new exposures or equity, `RunningImpacts` takes them in one by one; every `CHECKED`
    updates everything is computed anew as well, and `difference` is the largest there was between the two.
    """

    def __init__(self) -> None:
        self._claims: sparse.csr_array | None = None
        self._equity: Floats = np.zeros(0)
        self._kept: RunningImpacts | None = None
        self._updates = 0
        self.incremental = 0
        self.difference = 0.0

    def impacts(self, claims: sparse.csr_array, equity: Floats, weight: Floats) -> Impacts:
        """Return what `impact_vulnerability` of the same would."""
        changed = self._changed(claims, equity)
        self._claims, self._equity = claims, equity
        if changed is None or len(changed) > CALM or equity.size > LARGEST:
            self._kept = None
            return impact_vulnerability(claims, equity, weight)
        if self._kept is None:
            self._kept = RunningImpacts(claims, equity, weight)
            return self._kept.impacts()
        self._kept.reweigh(weight)
        for row in changed:
            self._kept.replace(row, claims[[row]], float(equity[row]))
        self._updates += len(changed)
        self.incremental += self._kept.incremental
        found = self._kept.impacts()
        if self._updates >= CHECKED:
            self._updates = 0
            return self._check(found, impact_vulnerability(claims, equity, weight))
        return found

    def _check(self, found: Impacts, anew: Impacts) -> Impacts:
        pairs = ((found.impact, anew.impact), (found.vulnerability, anew.vulnerability))
        worst = max(float(np.abs(a - b).max(initial=0.0)) for a, b in pairs)
        self.difference = max(self.difference, worst)
        if worst > AGREE:
            self._kept = None
        return anew

    def _changed(self, claims: sparse.csr_array, equity: Floats) -> list[int] | None:
        """Return the rows that differ from the last call; None where the institutions are others."""
        if self._claims is None or self._claims.shape != claims.shape:
            return None
        moved = (claims != self._claims).tocsr()
        rows = np.flatnonzero((np.diff(moved.indptr) > 0) | (equity != self._equity))
        return [int(row) for row in rows]
