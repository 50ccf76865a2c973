"""What the system side computes next: a job is pure work on a copy of what is known, done in a thread."""

from __future__ import annotations

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

PAUSES = 9.0  # what is slow takes a tenth of the time at most


@dataclass(frozen=True, slots=True)
class Job:
    """Dates to measure, each with the version of what it is made of; `compute` is to be called in a thread.

    `seen` is the latest submission that it is made of, in seconds.
    """

    kind: Kind
    dates: Mapping[int, int]
    seen: int
    compute: Callable[[], Sequence[Measured]]


@dataclass(frozen=True, slots=True)
class Sources:
    """What jobs are made of: the state of the system side.

    `expected` says who should be in the network of a date, `known` are all that are registered; `wanted` gives further
    figures for a date by purpose, `classes` and `states` what the catalogue declares: asset classes, and market series.
    """

    book: Book
    margins: Margins
    tape: Tape
    stress: StressBook
    expected: Callable[[int], Sequence[str]]
    known: Collection[str]
    wanted: Callable[[int], Mapping[str, Wanted]]
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
        self._failed: dict[tuple[str, int], int] = {}
        self.running = Running()

    def next(self, of: Sources) -> Job | None:
        """Return the next job; None where there is nothing to do yet."""
        if dates := self._open("network", of.book.waiting()):
            network = _network(of, min(dates))
            return Job(
                "network", {network.as_of: network.version}, of.book.state.seen, partial(_quick, network, self.running)
            )
        self._stress_turn = not self._stress_turn
        if self._open("stress", of.stress.state.due) and self._stress_turn:
            due = max(of.stress.state.due)
            watched = of.stress.watched({s: line.latest(KEPT, due) for s, line in of.tape.lines.items()})
            return Job("stress", watched.dates, of.stress.state.seen, partial(measure_stress, watched))
        if self._clock() >= self._slow_after and (job := self._slow(of)) is not None:
            return job
        dates = self._open("market", of.tape.waiting())
        if dates and self._clock() >= self._market_after:
            self._market_after = self._clock() + self._market_seconds
            quoted = _quoted(of, min(dates), dates[min(dates)])
            return Job("market", {quoted.as_of: quoted.version}, of.tape.state.seen, partial(_market, quoted))
        return self.next(of) if self._open("stress", of.stress.state.due) and not self._stress_turn else None

    def _slow(self, of: Sources) -> Job | None:
        """Return what is slow, of the newest date: cascades and simulations by turns."""
        book, tape = self._open("cascade", of.book.waiting(slow=True)), self._open("simulated", of.tape.slow())
        if book and not (tape and self._last_slow == "cascade"):
            self._last_slow = "cascade"
            network = _network(of, max(book))
            compute = partial(self._timed, partial(_cascades, network))
            return Job("cascade", {network.as_of: network.version}, of.book.state.seen, compute)
        if tape:
            self._last_slow = "simulated"
            quoted = _quoted(of, max(tape), tape[max(tape)])
            compute = partial(self._timed, partial(_simulated, quoted))
            return Job("simulated", {quoted.as_of: quoted.version}, of.tape.state.seen, compute)
        return None

    def _timed(self, compute: Callable[[], Sequence[Measured]]) -> Sequence[Measured]:
        began = self._clock()
        try:
            return compute()
        finally:
            now = self._clock()
            self._slow_after = now + PAUSES * (now - began)

    def _open(self, kind: str, due: Mapping[int, int]) -> dict[int, int]:
        return {date: version for date, version in due.items() if self._failed.get((kind, date)) != version}

    def give_up(self, job: Job) -> None:
        """The job can't be done from what is known now: wait until that changes."""
        self._failed.update({(job.kind, date): version for date, version in job.dates.items()})


def _network(of: Sources, date: int) -> Network:
    return of.book.network(date, of.expected(date), of.margins, of.wanted(date), of.classes)


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
