"""Several ways work off the same topic, in turns; their alerts must be the same."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.jobs import Job
from benchmarks.report import figure
from benchmarks.rows import Row
from benchmarks.stage import Change, Stage
from benchmarks.ways import WAYS, Measured


class DifferentAlerts(Exception):
    """Two ways judged the same filings and sent different alerts."""


class Race(NamedTuple):
    """A row a way, and the changes of alerts they all found."""

    rows: list[Row]
    changes: set[Change]


def run(here: Stage, ways: Sequence[str], runs: int, part: str, expected: set[Change] | None = None) -> Race:
    """Run each way so often, taking turns so that a disturbed minute hits all.

    Raises DifferentAlerts when a way, or a run, sends other alerts than `expected`, or than the first.
    """
    measured: dict[str, list[Measured]] = {way: [] for way in ways}
    for _ in range(runs):
        for way in ways:
            one, changes = here.run(way)
            expected = changes if expected is None else expected
            if changes != expected:
                odd = sorted(changes ^ expected)[:3]
                raise DifferentAlerts(f"{WAYS[way]}: {len(changes)} changes of alerts, not {len(expected)}: {odd}")
            measured[way].append(one)
            print(f"  {here.job.name}, {WAYS[way]}: {one.seconds:.2f} s, {one.cpu:.2f} CPU s", file=sys.stderr)
    found = expected or set()
    rows = [row(part, WAYS[way], here.job, measured[way], len(found)) for way in ways]
    return Race([*rows, *stages(part, measured.get("guanlan", []))], found)


def stages(part: str, runs: Sequence[Measured]) -> Iterator[Row]:
    """Yield processor seconds of each stage of the worker."""
    for stage in sorted({stage for one in runs for stage in one.stages}):
        spent = [one.stages.get(stage, 0.0) for one in runs]
        yield Row(part, f"worker, stage {stage}", "CPU s", spent, "less")


def row(part: str, name: str, job: Job, runs: Sequence[Measured], changes: int | None = None) -> Row:
    """Return values a second by run, and what is behind them."""
    stages = {stage: [round(one.stages.get(stage, 0.0), 3) for one in runs] for stage in runs[0].stages}
    detail = {
        "job": job.text(),
        "seconds": [round(one.seconds, 3) for one in runs],
        "values a processor second": [round(job.values / one.cpu) for one in runs],
        "resident bytes": [one.resident for one in runs],
        "seconds by stage": stages,
        "alert changes": changes,
    }
    rates = [job.values / one.seconds for one in runs]
    note = f"{figure(statistics.median(job.values / one.cpu for one in runs))} a CPU second"
    return Row(part, name, "values/s", rates, cpu=[one.cpu for one in runs], note=note, detail=detail)
