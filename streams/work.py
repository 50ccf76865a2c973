"""What the system side computes next: a job is pure work on a copy of what is known, done in a thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from rules.assets import AssetClass
from streams.book import Book, Wanted
from streams.cascades import measure_cascades
from streams.entries import Margins
from streams.market import WINDOW, Books, Quoted, books_until, measure_market
from streams.measured import LISTED, Measured
from streams.measuring import measure
from streams.networks import Network, Running
from streams.simulated import measure_simulated
from streams.stress import StressBook, measure_stress
from streams.tape import KEPT, Tape

Kind = Literal["network", "market", "stress", "cascade", "simulated", "values"]

Compute = Callable[[], Sequence[Measured]]

log = logging.getLogger("guanlan.worker")

PAUSES = 9.0  # what is slow takes a tenth of the time at most


@dataclass(frozen=True, slots=True)
class Job:
    """Dates to measure, each with the version of what it is made of; `compute` is to be called in a thread.

    `seen` is the latest submission that it is made of, in seconds.
    """

    kind: Kind
    dates: Mapping[int, int]
    seen: int
    compute: Compute


@dataclass(frozen=True, slots=True)
class Sources:
    """What jobs are made of: the state of the system side.

    `expected` are the institutions of the network, `known` all that are registered; `wanted` are further figures by
    purpose, `classes` and `states` what the catalogue declares: asset classes, and market series.
    """

    book: Book
    margins: Margins
    tape: Tape
    stress: StressBook
    expected: Sequence[str]
    known: Collection[str]
    wanted: Mapping[str, Wanted]
    classes: tuple[AssetClass, ...]
    states: frozenset[str]


class Planner:
    """Chooses the next job: the network first, then stress every other time, then what is slow, then the market.

    What is slow takes a tenth of the time at most; the market is measured not more often than every `market_seconds`.
    """

    def __init__(self, market_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._market_seconds = market_seconds
        self._clock = clock
        self._market_after = float("-inf")
        self._slow_after = float("-inf")
        self._last_slow: Kind = "simulated"
        self._stress_turn = False
        self._failed: dict[tuple[Kind, int], int] = {}
        self.running = Running()

    def next(self, of: Sources) -> Job | None:
        """Return the next job; None where there is nothing to do yet."""
        self._stress_turn = not self._stress_turn
        rest = (self._slow, self._market)
        rest = (self._stress, *rest) if self._stress_turn else (*rest, self._stress)
        for choose in (self._network, *rest):
            if (job := choose(of)) is not None:
                return job
        return None

    def offer(self, kind: Kind, dates: Mapping[int, int], seen: int, gather: Callable[[], Compute]) -> Job | None:
        """Return the job that `gather` makes of what is known; where it fails, the job is given up."""
        try:
            return Job(kind, dates, seen, gather())
        except Exception:
            log.exception("what %s measures are made of can't be gathered", kind)
            self._note(kind, dates)
            return None

    def open(self, kind: Kind, due: Mapping[int, int]) -> dict[int, int]:
        """Return the dates that are due, each with its version, without those that were given up in that version."""
        return {date: version for date, version in due.items() if self._failed.get((kind, date)) != version}

    def _network(self, of: Sources) -> Job | None:
        if not (dates := self.open("network", of.book.waiting())):
            return None
        date = min(dates)

        def gather() -> Compute:
            return partial(_quick, _network(of, date), self.running)

        return self.offer("network", {date: dates[date]}, of.book.state.seen, gather)

    def _stress(self, of: Sources) -> Job | None:
        if not self.open("stress", of.stress.state.due):
            return None
        dates = dict(of.stress.state.due)

        def gather() -> Compute:
            return partial(
                measure_stress,
                of.stress.watched({s: line.latest(KEPT, max(dates)) for s, line in of.tape.lines.items()}),
            )

        return self.offer("stress", dates, of.stress.state.seen, gather)

    def _market(self, of: Sources) -> Job | None:
        dates = self.open("market", of.tape.waiting())
        if not dates or self._clock() < self._market_after:
            return None
        self._market_after = self._clock() + self._market_seconds
        day = min(dates)
        return self.offer(
            "market", {day: dates[day]}, of.tape.state.seen, lambda: partial(_market, _quoted(of, day, dates[day]))
        )

    def _slow(self, of: Sources) -> Job | None:
        """Return what is slow, of the newest date: cascades and simulations by turns."""
        if self._clock() < self._slow_after:
            return None
        book, tape = self.open("cascade", of.book.waiting(slow=True)), self.open("simulated", of.tape.slow())
        if book and not (tape and self._last_slow == "cascade"):
            self._last_slow = "cascade"
            date = max(book)
            return self.offer(
                "cascade",
                {date: book[date]},
                of.book.state.seen,
                lambda: partial(self._timed, partial(_cascades, _network(of, date))),
            )
        if tape:
            self._last_slow = "simulated"
            day = max(tape)
            return self.offer(
                "simulated",
                {day: tape[day]},
                of.tape.state.seen,
                lambda: partial(self._timed, partial(_simulated, _quoted(of, day, tape[day]))),
            )
        return None

    def _timed(self, compute: Callable[[], Sequence[Measured]]) -> Sequence[Measured]:
        began = self._clock()
        try:
            return compute()
        finally:
            now = self._clock()
            self._slow_after = now + PAUSES * (now - began)

    def give_up(self, job: Job) -> None:
        """The job can't be done from what is known now: wait until that changes."""
        self._note(job.kind, job.dates)
        if job.kind == "network":
            self.running = Running()  # it may have stopped half way

    def _note(self, kind: Kind, dates: Mapping[int, int]) -> None:
        self._failed.update({(kind, date): version for date, version in dates.items()})

    def try_again(self) -> None:
        """Other rules, or another catalogue: what was given up may be done now."""
        self._failed.clear()


def _network(of: Sources, date: int) -> Network:
    return of.book.network(date, of.expected, of.margins, of.wanted, of.classes)


def _quick(network: Network, running: Running) -> list[Measured]:
    return [measure(network, running)]


def _cascades(network: Network) -> list[Measured]:
    return [measure_cascades(network)]


def _quoted(of: Sources, day: int, version: int) -> Quoted:
    lines = of.tape.copy(day, WINDOW + 1, _listed(of.tape, of.known))
    states = {series: of.tape.lines[series].latest(KEPT, day) for series in of.states if series in of.tape.lines}
    return Quoted(day, version, lines, _books(of.book, of.tape, day), states)


def _market(quoted: Quoted) -> list[Measured]:
    return [measure_market(quoted)]


def _simulated(quoted: Quoted) -> list[Measured]:
    return [measure_simulated(quoted)]


def _listed(tape: Tape, known: Collection[str]) -> list[str]:
    """Return the quoted institutions, the largest `LISTED` by market value where there are more."""
    codes = [series for series in tape.lines if series in known]
    return sorted(codes, key=lambda code: -((tape.lines[code].caps or [0.0])[-1] or 0.0))[:LISTED]


def _books(book: Book, tape: Tape, day: int) -> dict[str, Books]:
    found: dict[str, Books] = {}
    for code in tape.lines:
        known = [(x.as_of, x.assets, x.equity) for x in book.levels(code)]
        owed = [(at, own - equity) for at, own, equity in known if own is not None and equity is not None]
        books = books_until(day, [(at, debt) for at, debt in owed if debt > 0])
        if books is not None:
            found[code] = books
    return found
