"""The book: who has lent to whom, with what equity and on whose services, by reporting date.

Plain state; `streams.measured` computes what it says about the system.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Literal, TypeVar

import msgspec

from streams.measured import Lack
from streams.networks import Network

DATES = 8
VALID_SECONDS = 184 * 86_400
MARGIN_VALID = 62 * 86_400

Verdict = Literal["accepted", "replayed", "duplicate", "revision_backwards", "beyond"]


class Report(msgspec.Struct, frozen=True, array_like=True):
    """One institution's claims as of a date: amounts by counterparty.

    `owed` are its debts by lender, `services` the shares of its services by provider; None where not told.
    `totals` are what it has lent and borrowed, where it could not say to and from whom; `claims` are then empty.
    """

    as_of: int
    revision: int
    claims: dict[str, float]
    owed: dict[str, float] | None = None
    services: dict[str, float] | None = None
    totals: tuple[float, float] | None = None


class Margin(msgspec.Struct, frozen=True, array_like=True):
    """One institution's interbank assets and liabilities by its balance sheet; None where not told."""

    as_of: int
    revision: int
    lent: float | None
    borrowed: float | None


class Level(msgspec.Struct, frozen=True, array_like=True):
    """One institution's equity and total assets as of a date; None where a revision took the value away."""

    as_of: int
    revision: int
    equity: float | None
    assets: float | None = None


Entry = TypeVar("Entry", Report, Level, Margin)


class Margins(msgspec.Struct):
    """Margins by institution, newest first: the newest of each of the last `DATES` months.

    They are filed daily and the network is measured quarterly: a margin makes nothing due by itself.
    """

    held: dict[str, list[Margin]] = {}

    def put(self, code: str, margin: Margin) -> None:
        """Take in what an institution has lent and borrowed in total."""
        held = self.held.setdefault(code, [])
        month = _month(margin.as_of)
        for position, old in enumerate(held):
            if _month(old.as_of) == month:
                if (margin.as_of, margin.revision) > (old.as_of, old.revision):
                    held[position] = margin
                return
        _place(held, margin)

    def at(self, code: str, date: int) -> tuple[float, float] | None:
        """Return what was lent and borrowed as of a date, None where it is not known or older than two months."""
        found = _latest(self.held.get(code, ()), date)
        if found is None or found.lent is None or found.borrowed is None or date - found.as_of > MARGIN_VALID:
            return None
        return found.lent, found.borrowed


class Book(msgspec.Struct):
    """Reports and equity by institution, newest first, at most `DATES` each.

    `applied` is the offset of each reporter's last record, `seen` the latest time of submission. `due` are the
    dates whose measures are to be computed again, each with the `version` of the book that asked for it.
    `lacking` says by date why a measure could not be computed.
    """

    reports: dict[str, list[Report]] = {}
    equity: dict[str, list[Level]] = {}
    applied: dict[str, int] = {}
    due: dict[int, int] = {}
    version: int = 0
    seen: int = 0
    lacking: dict[int, dict[str, Lack]] = {}

    def report(self, code: str, report: Report, offset: int, at: int) -> Verdict:
        """Take in a report that was submitted `at` (seconds); it replaces an earlier revision of its date."""
        if offset <= self.applied.get(code, -1):
            return "replayed"
        self.applied[code] = offset
        held = self.reports.setdefault(code, [])
        verdict = _place(held, report)
        if verdict == "accepted":
            self.seen = max(self.seen, at)
            self.mark(report.as_of)
        return verdict

    def level(self, code: str, level: Level, at: int) -> Verdict:
        """Take in an institution's equity and assets."""
        verdict = _place(self.equity.setdefault(code, []), level)
        if verdict == "accepted":
            self.seen = max(self.seen, at)
            self.mark(level.as_of)
        return verdict

    def dates(self) -> list[int]:
        """Return the newest reporting dates, oldest first; those of balance sheets where nobody reports exposures."""
        reported = {r.as_of for held in self.reports.values() for r in held}
        if not reported:
            reported = {level.as_of for held in self.equity.values() for level in held}
        return sorted(reported)[-DATES:]

    def mark(self, since: int) -> None:
        """What is known changed from `since` on: the measures of those dates are due."""
        self.version += 1
        self.due.update((date, self.version) for date in self.dates() if date >= since)

    def done(self, date: int, version: int) -> None:
        """The measures of a date were filed, from the book's `version`."""
        if self.due.get(date) == version:
            del self.due[date]
        kept = set(self.dates())
        self.lacking = {day: lacking for day, lacking in self.lacking.items() if day in kept}

    def network(self, date: int, expected: Collection[str], margins: Margins | None = None) -> Network:
        """Return what is known for a date of the institutions that are expected in the network.

        Values hold for half a year: reports and equity are quarterly, and one may be late.
        """
        network = Network(date, self.due.get(date, self.version), len(expected))
        for code in expected:
            level = _latest(self.equity.get(code, ()), date)
            if level is not None:
                if level.equity is not None:
                    network.equity[code] = level.equity
                if level.assets is not None:
                    network.assets[code] = level.assets
            report = _latest(self.reports.get(code, ()), date)
            if report is not None:
                network.reported_at[code] = report.as_of
                if report.totals is None:
                    network.claims[code] = report.claims
                else:
                    network.totals[code] = report.totals
                if report.owed is not None:
                    network.owed[code] = report.owed
                if report.services is not None:
                    network.services[code] = report.services
            totals = margins.at(code, date) if margins is not None and code not in network.totals else None
            if totals is not None:
                network.totals[code] = totals
        return network


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


@cache
def _month(seconds: int) -> tuple[int, int]:
    day = datetime.fromtimestamp(seconds, UTC)
    return day.year, day.month


def _latest(held: Iterable[Entry], date: int) -> Entry | None:
    for entry in held:
        if entry.as_of <= date:
            return entry if date - entry.as_of <= VALID_SECONDS else None
    return None


def joined(claims: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Sum claims on the same counterparty, of whatever instrument.

    >>> joined([("A", 1.0), ("B", 2.0), ("A", 3.0)])
    {'A': 4.0, 'B': 2.0}
    """
    out: dict[str, float] = {}
    for counterparty, amount in claims:
        out[counterparty] = out.get(counterparty, 0.0) + amount
    return out
