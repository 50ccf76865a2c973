"""One measured thing as a row: seconds by run, processor seconds beside them, and what they mean."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Row:
    """One line of the table.

    value: the figure of every run, in `unit`; better: which way is good. cpu: processor seconds of the measured
    process by run (empty where they mean nothing). work: how much was done, for readers of the JSON. detail:
    other numbers. reach: the figure to be had, None for none. runs that were disturbed are still there.
    """

    part: str
    name: str
    unit: str
    value: list[float]
    better: str = "more"
    cpu: list[float] = field(default_factory=list)
    reach: float | None = None
    note: str = ""
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The middle of the runs."""
        return statistics.median(self.value)

    @property
    def reached(self) -> bool | None:
        """Whether the median holds the reach; None where there is none."""
        if self.reach is None:
            return None
        return self.median >= self.reach if self.better == "more" else self.median <= self.reach

    def as_dict(self) -> dict[str, Any]:
        """The row for the JSON file."""
        told = asdict(self)
        return {**told, "min": min(self.value), "median": self.median, "max": max(self.value), "reached": self.reached}


@dataclass(slots=True)
class Taken:
    """Wall and processor seconds of this process."""

    seconds: float = 0.0
    cpu: float = 0.0


@contextmanager
def taken() -> Iterator[Taken]:
    """Measure what runs inside."""
    measured = Taken()
    wall, used = time.perf_counter(), time.process_time()
    yield measured
    measured.seconds, measured.cpu = time.perf_counter() - wall, time.process_time() - used


def repeated(work: Callable[[], object], runs: int) -> list[Taken]:
    """Run `work` so many times, after one run that does not count."""
    work()
    found = []
    for _ in range(runs):
        with taken() as measured:
            work()
        found.append(measured)
    return found


def ratio(rows: Sequence[Row], numerator: str, denominator: str, part: str, name: str, reach: float | None) -> Row:
    """Return a row that divides one row by another: the medians, with the least and most favourable pairing."""
    ours = next(r for r in rows if r.name == numerator)
    theirs = next(r for r in rows if r.name == denominator)
    spread = [
        min(ours.value) / max(theirs.value),
        ours.median / theirs.median,
        max(ours.value) / min(theirs.value),
    ]
    return Row(part, name, "×", spread, reach=reach)
