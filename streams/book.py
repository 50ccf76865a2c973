"""The book: who has lent to whom and with what equity, by reporting date; and the measures of that network.

`Book` is plain state; `measure` is a pure function of what the book holds for one date, so the worker computes
it in a thread.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from systemic.network.debtrank import impact_vulnerability

DATES = 8
VALID_SECONDS = 184 * 86_400
MIN_COVERAGE = 0.8

Verdict = Literal["accepted", "replayed", "duplicate", "revision_backwards", "beyond"]
Floats = NDArray[np.float64]


class Report(msgspec.Struct, frozen=True, array_like=True):
    """One institution's claims as of a date: amounts by counterparty."""

    as_of: int
    revision: int
    claims: dict[str, float]


class Level(msgspec.Struct, frozen=True, array_like=True):
    """One institution's equity as of a date; None where a revision took the value away."""

    as_of: int
    revision: int
    equity: float | None


Entry = TypeVar("Entry", Report, Level)


@dataclass(frozen=True, slots=True)
class Network:
    """What was known for one date: equity and claims of the institutions that are supervised.

    `expected` is how many institutions should be in it, `version` the state of the book it was taken from.
    """

    as_of: int
    version: int
    equity: dict[str, float]
    claims: dict[str, dict[str, float]]
    expected: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Measures of one date: for the system by name, and for institutions by name as columns beside `codes`."""

    as_of: int
    version: int
    coverage: float
    system: dict[str, float]
    codes: tuple[str, ...]
    institutions: dict[str, Floats]


class Book(msgspec.Struct):
    """Reports and equity by institution, newest first, at most `DATES` each.

    `applied` is the offset of each reporter's last record, `seen` the latest time of submission. `due` are the
    dates whose measures are to be computed again, each with the `version` of the book that asked for it.
    """

    reports: dict[str, list[Report]] = {}
    equity: dict[str, list[Level]] = {}
    applied: dict[str, int] = {}
    due: dict[int, int] = {}
    version: int = 0
    seen: int = 0

    def report(self, code: str, as_of: int, revision: int, offset: int, claims: dict[str, float], at: int) -> Verdict:
        """Take in a report that was submitted `at` (seconds); it replaces an earlier revision of its date."""
        if offset <= self.applied.get(code, -1):
            return "replayed"
        self.applied[code] = offset
        held = self.reports.setdefault(code, [])
        verdict = _place(held, Report(as_of, revision, claims))
        if verdict == "accepted":
            self.seen = max(self.seen, at)
            self.mark(as_of)
        return verdict

    def level(self, code: str, as_of: int, revision: int, equity: float | None, at: int) -> Verdict:
        """Take in an institution's equity."""
        verdict = _place(self.equity.setdefault(code, []), Level(as_of, revision, equity))
        if verdict == "accepted":
            self.seen = max(self.seen, at)
            self.mark(as_of)
        return verdict

    def dates(self) -> list[int]:
        """Return the newest reporting dates, oldest first."""
        return sorted({r.as_of for held in self.reports.values() for r in held})[-DATES:]

    def mark(self, since: int) -> None:
        """What is known changed from `since` on: the measures of those dates are due."""
        self.version += 1
        self.due.update((date, self.version) for date in self.dates() if date >= since)

    def done(self, date: int, version: int) -> None:
        """The measures of a date were filed, from the book's `version`."""
        if self.due.get(date) == version:
            del self.due[date]

    def network(self, date: int, expected: Collection[str]) -> Network:
        """Return what is known for a date of the institutions that are expected in the network.

        Values hold for half a year: reports and equity are quarterly, and one may be late.
        """
        equity: dict[str, float] = {}
        claims: dict[str, dict[str, float]] = {}
        for code in expected:
            level = _latest(self.equity.get(code, ()), date)
            if level is not None and level.equity is not None:
                equity[code] = level.equity
            report = _latest(self.reports.get(code, ()), date)
            if report is not None:
                claims[code] = report.claims
        return Network(date, self.due.get(date, self.version), equity, claims, len(expected))


def _place(held: list[Entry], new: Entry) -> Verdict:
    """Put `new` in its place, newest first, dropping what is too old to keep."""
    for position, old in enumerate(held):
        if old.as_of == new.as_of:
            if new.revision > old.revision:
                held[position] = new
                return "accepted"
            return "duplicate" if new.revision == old.revision else "revision_backwards"
    if len(held) >= DATES and new.as_of < held[-1].as_of:
        return "beyond"
    insort(held, new, key=lambda entry: -entry.as_of)
    del held[DATES:]
    return "accepted"


def _latest(held: Iterable[Entry], date: int) -> Entry | None:
    for entry in held:
        if entry.as_of <= date:
            return entry if date - entry.as_of <= VALID_SECONDS else None
    return None


def measure(network: Network) -> Measured:
    """Compute linear DebtRank and the concentration of interbank lending for one date.

    Weights are equity, so an impact is the share of the system's equity that is lost beside the failing
    institution's own. Below `MIN_COVERAGE` of reports, by number or by equity, only the coverage is given.
    """
    codes = tuple(sorted(network.equity.keys() & network.claims.keys()))
    reported = sum(network.equity[code] for code in codes)
    known = sum(max(0.0, equity) for equity in network.equity.values())
    coverage = len(codes) / network.expected if network.expected else 0.0
    system = {"exposure_coverage": coverage}
    if coverage < MIN_COVERAGE or not known > 0 or reported / known < MIN_COVERAGE:
        return Measured(network.as_of, network.version, coverage, system, (), {})
    names = tuple(sorted(network.equity))
    place = {code: position for position, code in enumerate(names)}
    claims = _matrix(network, place)
    equity = np.array([max(0.0, network.equity[code]) for code in names])
    impacts = impact_vulnerability(claims, equity, equity)
    lent = {code: sum(claims_of.values()) for code, claims_of in network.claims.items()}
    borrowed: dict[str, float] = {}
    for claims_of in network.claims.values():
        for counterparty, amount in claims_of.items():
            borrowed[counterparty] = borrowed.get(counterparty, 0.0) + amount
    largest = np.array([max(network.claims[c].values()) / lent[c] if lent.get(c, 0.0) > 0 else np.nan for c in names])
    system |= {
        "debtrank_system": float(impacts.impact.mean()),
        "debtrank_largest": float(impacts.impact.max()),
        "interbank_lender_hhi": _herfindahl(lent.values()),
        "interbank_borrower_hhi": _herfindahl(borrowed.values()),
    }
    institutions = {
        "debtrank_impact": impacts.impact,
        "debtrank_vulnerability": impacts.vulnerability,
        "interbank_largest_share": largest,
    }
    return Measured(network.as_of, network.version, coverage, system, names, institutions)


def _matrix(network: Network, place: dict[str, int]) -> sparse.csr_array:
    """Return claims[i, j], what i has lent to j, between institutions with known equity."""
    entries = [
        (place[lender], place[borrower], amount)
        for lender, claims in network.claims.items()
        if lender in place
        for borrower, amount in claims.items()
        if borrower in place and amount > 0
    ]
    rows, columns, amounts = zip(*entries, strict=True) if entries else ((), (), ())
    where = (np.array(rows, np.int64), np.array(columns, np.int64))
    return sparse.csr_array((np.array(amounts, np.float64), where), shape=(len(place), len(place)))


def _herfindahl(amounts: Iterable[float]) -> float:
    """Return the sum of squared shares; NaN of nothing.

    >>> _herfindahl([1.0, 1.0])
    0.5
    """
    values = np.fromiter(amounts, np.float64)
    total = values.sum()
    return float(((values / total) ** 2).sum()) if total > 0 else float("nan")


def joined(claims: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Sum claims on the same counterparty, of whatever instrument.

    >>> joined([("A", 1.0), ("B", 2.0), ("A", 3.0)])
    {'A': 4.0, 'B': 2.0}
    """
    out: dict[str, float] = {}
    for counterparty, amount in claims:
        out[counterparty] = out.get(counterparty, 0.0) + amount
    return out
