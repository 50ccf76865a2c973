"""The book: who has lent to whom, with what equity and on whose services, by reporting date.

Plain state; `streams.measuring` computes what it says about the system.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from rules.assets import AssetClass
from streams.checkpoint import block_of
from streams.entries import DATES, Entry, Level, Margins, Report, Sheet, Verdict, latest, place
from streams.measured import Lack
from streams.networks import Figures, Network


@dataclass(frozen=True, slots=True)
class Wanted:
    """Figures that one purpose needs: the indicators, the forms they come with, who files them, seconds they hold."""

    indicators: frozenset[str]
    forms: tuple[str, ...]
    expected: tuple[str, ...]
    valid: int


class Shelf(msgspec.Struct, array_like=True):
    """What is kept of the institutions of one block, newest first, at most `DATES` each.

    `applied` is the offset of each reporter's last record; `sheets` are by form.
    """

    reports: dict[str, list[Report]] = {}
    equity: dict[str, list[Level]] = {}
    applied: dict[str, int] = {}
    sheets: dict[str, dict[str, list[Sheet]]] = {}


class Ledger(msgspec.Struct, array_like=True):
    """Which dates are to be measured again, each with the `version` of the book that asked for it.

    `due` are those of the quick measures, `slow` those of the others. `seen` is the latest time of submission.
    `lacking` says by date why a measure could not be computed.
    """

    due: dict[int, int] = {}
    slow: dict[int, int] = {}
    version: int = 0
    seen: int = 0
    lacking: dict[int, dict[str, Lack]] = {}


class Book:
    """Reports, equity and other figures of institutions on shelves by block of state, and what is due."""

    def __init__(self) -> None:
        self.shelves: dict[str, Shelf] = {}
        self.state = Ledger()
        self._home: dict[str, Shelf] = {}
        self._reported: Counter[int] = Counter()
        self._levelled: Counter[int] = Counter()
        self._newest: list[int] | None = None

    @property
    def due(self) -> dict[int, int]:
        """The dates of which the quick measures are due."""
        return self.state.due

    def put_shelf(self, block: str, shelf: Shelf) -> None:
        """Take in a shelf that was kept, in the place of the one there is."""
        old = self.shelves.get(block, Shelf())
        self.shelves[block] = shelf
        self._home = {code: known for code, known in self._home.items() if known is not old}
        for counts, before, after in (
            (self._reported, old.reports, shelf.reports),
            (self._levelled, old.equity, shelf.equity),
        ):
            _count(counts, (), (entry for held in after.values() for entry in held))
            _count(counts, (entry for held in before.values() for entry in held), ())
        self._newest = None

    def _shelf(self, code: str) -> Shelf:
        found = self._home.get(code)
        if found is None:
            found = self._home[code] = self.shelves.setdefault(block_of(code), Shelf())
        return found

    def report(self, code: str, report: Report, offset: int, at: int) -> Verdict:
        """Take in a report that was submitted `at` (seconds); it replaces an earlier revision of its date."""
        shelf = self._shelf(code)
        if offset <= shelf.applied.get(code, -1):
            return "replayed"
        shelf.applied[code] = offset
        return self._put(shelf.reports.setdefault(code, []), report, at, self._reported)

    def level(self, code: str, level: Level, at: int) -> Verdict:
        """Take in an institution's equity and assets."""
        return self._put(self._shelf(code).equity.setdefault(code, []), level, at, self._levelled)

    def sheet(self, form: str, code: str, sheet: Sheet, at: int) -> Verdict:
        """Take in other figures of an institution's filing."""
        return self._put(self._shelf(code).sheets.setdefault(form, {}).setdefault(code, []), sheet, at, None)

    def _put(self, held: list[Entry], new: Entry, at: int, counts: Counter[int] | None) -> Verdict:
        before = list(held)
        verdict = place(held, new)
        if verdict == "accepted":
            if counts is not None and [e.as_of for e in before] != [e.as_of for e in held]:
                _count(counts, before, held)
                self._newest = None
            self.state.seen = max(self.state.seen, at)
            self.mark(new.as_of)
        return verdict

    def levels(self, code: str) -> Sequence[Level]:
        """Return an institution's equity and assets, newest first."""
        return self._shelf(code).equity.get(code, ())

    def dates(self) -> list[int]:
        """Return the newest reporting dates, oldest first; those of balance sheets where nobody reports exposures."""
        if self._newest is None:
            self._newest = sorted(self._reported or self._levelled)[-DATES:]
        return self._newest

    def mark(self, since: int) -> None:
        """What is known changed from `since` on: the measures of those dates are due."""
        self.state.version += 1
        changed = {date: self.state.version for date in self.dates() if date >= since}
        self.state.due.update(changed)
        self.state.slow.update(changed)

    def waiting(self, slow: bool = False) -> dict[int, int]:
        """Return the dates that are due and still kept."""
        kept = set(self.dates())
        due = self.state.slow if slow else self.state.due
        for date in [date for date in due if date not in kept]:
            del due[date]
        return due

    def done(self, date: int, version: int, slow: bool = False) -> None:
        """The measures of a date were filed, from the book's `version`."""
        due = self.state.slow if slow else self.state.due
        if due.get(date) == version:
            del due[date]
        kept = set(self.dates())
        self.state.lacking = {day: lacking for day, lacking in self.state.lacking.items() if day in kept}

    def network(
        self,
        date: int,
        expected: Collection[str],
        margins: Margins | None = None,
        wanted: Mapping[str, Wanted] = MappingProxyType({}),
        classes: tuple[AssetClass, ...] = (),
    ) -> Network:
        """Return what is known for a date of the institutions that are expected in the network.

        Values hold for half a year: reports and equity are quarterly, and one may be late. `wanted` are further
        figures by purpose, `classes` the asset classes of the catalogue.
        """
        state = self.state
        version = state.due.get(date) or state.slow.get(date) or state.version
        network = Network(date, version, len(expected), classes=classes)
        for code in expected:
            shelf = self._shelf(code)
            level = latest(shelf.equity.get(code, ()), date)
            if level is not None:
                if level.equity is not None:
                    network.equity[code] = level.equity
                if level.assets is not None:
                    network.assets[code] = level.assets
            report = latest(shelf.reports.get(code, ()), date)
            if report is not None:
                _add_report(network, code, report)
            totals = margins.at(code, date) if margins is not None and code not in network.totals else None
            if totals is not None:
                network.totals[code] = totals
        for purpose, figures in wanted.items():
            network.figures[purpose] = self._figures(figures, date)
        return network

    def _figures(self, wanted: Wanted, date: int) -> Figures:
        found = Figures(len(wanted.expected))
        for code in wanted.expected:
            sheets = self._shelf(code).sheets
            told: dict[str, float] = {}
            for form in wanted.forms:
                sheet = latest(sheets.get(form, {}).get(code, ()), date, wanted.valid)
                if sheet is not None:
                    told.update((name, x) for name, x in sheet.values.items() if name in wanted.indicators)
            if told:
                found.values[code] = told
        return found


def _add_report(network: Network, code: str, report: Report) -> None:
    network.reported_at[code] = report.as_of
    if report.totals is None:
        network.claims[code] = report.claims
    else:
        network.totals[code] = report.totals
    if report.owed is not None:
        network.owed[code] = report.owed
    if report.services is not None:
        network.services[code] = report.services
    if report.movable:
        network.movable[code] = report.movable
    if report.chains:
        network.chains[code] = report.chains


def _count(counts: Counter[int], before: Iterable[Entry], after: Iterable[Entry]) -> None:
    """Count entries by date: those that were there no longer, those that are now."""
    for entry in after:
        counts[entry.as_of] += 1
    for entry in before:
        counts[entry.as_of] -= 1
        if not counts[entry.as_of]:
            del counts[entry.as_of]
