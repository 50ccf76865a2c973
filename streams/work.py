"""What the system side computes next: a job is pure work on a copy of what is known, done in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from streams.book import Book, Margins
from streams.market import WINDOW, Books, Quoted, books_until, measure_market
from streams.measured import LISTED, Measured, measure
from streams.networks import Network, Running
from streams.stress import StressBook, measure_stress
from streams.tape import KEPT, Tape

Kind = Literal["network", "market", "stress"]


@dataclass(frozen=True, slots=True)
class Job:
    """Dates to measure, each with the version of what it is made of; `compute` is to be called in a thread.

    `seen` is the latest submission that it is made of, in seconds.
    """

    kind: Kind
    dates: Mapping[int, int]
    seen: int
    compute: Callable[[], Sequence[Measured]]


class Planner:
    """Chooses the next job: the network first, then stress, then, not more often than `market_seconds`, the market."""

    def __init__(self, market_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._market_seconds = market_seconds
        self._clock = clock
        self._market_after = float("-inf")
        self._failed: dict[tuple[str, int], int] = {}
        self.running = Running()

    def next(
        self,
        book: Book,
        margins: Margins,
        tape: Tape,
        stress: StressBook,
        expected: Sequence[str],
        known: Collection[str],
    ) -> Job | None:
        """Return the next job. `expected` are the institutions of the network, `known` all that are registered."""
        kept = set(book.dates())
        book.due = {date: version for date, version in book.due.items() if date in kept}
        if dates := self._open("network", book.due):
            network = book.network(min(dates), expected, margins)
            return Job("network", {network.as_of: network.version}, book.seen, partial(_network, network, self.running))
        if self._open("stress", stress.state.due):
            watched = stress.watched({s: line.latest(KEPT, max(stress.state.due)) for s, line in tape.lines.items()})
            return Job("stress", watched.dates, stress.state.seen, partial(measure_stress, watched))
        dates = self._open("market", tape.waiting())
        if dates and self._clock() >= self._market_after:
            self._market_after = self._clock() + self._market_seconds
            day = min(dates)
            quoted = Quoted(day, dates[day], tape.copy(day, WINDOW + 1, _listed(tape, known)), _books(book, tape, day))
            return Job("market", {day: quoted.version}, tape.state.seen, partial(_market, quoted))
        return None

    def _open(self, kind: str, due: Mapping[int, int]) -> dict[int, int]:
        return {date: version for date, version in due.items() if self._failed.get((kind, date)) != version}

    def give_up(self, job: Job) -> None:
        """The job can't be done from what is known now: wait until that changes."""
        self._failed.update({(job.kind, date): version for date, version in job.dates.items()})


def _network(network: Network, running: Running) -> list[Measured]:
    return [measure(network, running)]


def _market(quoted: Quoted) -> list[Measured]:
    return [measure_market(quoted)]


def _listed(tape: Tape, known: Collection[str]) -> list[str]:
    """Return the quoted institutions, the largest `LISTED` by market value where there are more."""
    codes = [series for series in tape.lines if series in known]
    return sorted(codes, key=lambda code: -((tape.lines[code].caps or [0.0])[-1] or 0.0))[:LISTED]


def _books(book: Book, tape: Tape, day: int) -> dict[str, Books]:
    found: dict[str, Books] = {}
    for code in tape.lines.keys() & book.equity.keys():
        known = [(x.as_of, x.assets, x.equity) for x in book.equity[code]]
        owed = [(at, own - equity) for at, own, equity in known if own is not None and equity is not None]
        books = books_until(day, [(at, debt) for at, debt in owed if debt > 0])
        if books is not None:
            found[code] = books
    return found
