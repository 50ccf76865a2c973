"""Month's end: the whole sector files at once, from another process, to a worker that has seen a date before."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from benchmarks.feed import feed
from benchmarks.jobs import Job
from benchmarks.parts.race import DifferentAlerts
from benchmarks.process import WorkerProcess
from benchmarks.rows import Row
from benchmarks.sender import Order, sender
from benchmarks.setting import Setting
from benchmarks.stage import Change, Stage, ends, guanlan_changes, read, stage
from benchmarks.ways.closures import State, compiled, judge, remembered
from streams.topics import ALERTS, FILINGS

AFTER_LAST, IN_ALL = 1.0, 2.0
SECONDS = 60.0


def measure(setting: Setting) -> Iterator[Row]:
    """Yield seconds from the first filing sent, and from the last one sent, to the last alert in its topic."""
    job, runs = setting.sector, setting.runs
    states: dict[str, State] = {}
    whole, after, cpu, details = [], [], [], []
    with stage(setting.kafka(), job, fill=False, appended=(ALERTS,)) as here, WorkerProcess(here, job) as worker:
        worker.until("guanlan_partitions_assigned", here.partitions)
        for turn in range(runs + 1):
            expected = by_closures(job, turn, states)
            since, used = ends(here.bootstrap, f"{here.prefix}{ALERTS}"), worker.cpu()
            with sender(_order(here, job, turn)) as ready:
                sent = ready.go()
            here.until_committed((turn + 1) * job.institutions, SECONDS, worker.alive)
            used = worker.cpu() - used
            told = checked(here, since, expected)
            if turn:  # the first date makes the worker warm
                last = max(at for at, _ in told) / 1000
                whole.append(last - sent.first)
                after.append(last - sent.last)
                cpu.append(used)
                size = sum(len(value) for _, value in told)
                confirmed, sending = sent.confirmed - sent.first, sent.last - sent.first
                details.append(
                    {"sending": sending, "confirmed": confirmed, "alert changes": len(expected), "bytes": size}
                )
        memory = worker.resident(peak=True)
    detail = {"job": job.text(), "runs": details, "peak resident bytes": memory}
    yield Row("month's end", "first filing sent to last alert", "s", whole, "less", cpu, IN_ALL, detail=detail)
    yield Row("month's end", "last filing sent to last alert", "s", after, "less", [], AFTER_LAST)


def checked(here: Stage, since: dict[int, int], expected: set[Change]) -> list[tuple[int, bytes]]:
    """Return the alerts that came; raise DifferentAlerts when they are not those expected."""
    told = read(here.bootstrap, f"{here.prefix}{ALERTS}", since)
    found = guanlan_changes(value for _, value in told)
    if found != expected:
        raise DifferentAlerts(f"{len(found)} changes of alerts, not the {len(expected)} that plain code finds")
    return told


def by_closures(job: Job, turn: int, states: dict[str, State]) -> set[Change]:
    """Return the changes of one date by plain code, from the same filings."""
    rules, kept = compiled(job.thresholds), remembered(job.thresholds)
    found = set()
    for key, value in feed(job, turn):
        state = states.setdefault(key.decode(), {})
        for c in judge(rules, kept, msgspec.json.decode(value), state):
            found.add((c["rule"], c["subject"], c["as_of"], c["to"]))
    return found


def _order(here: Stage, job: Job, turn: int) -> Order:
    topic = f"{here.prefix}{FILINGS}"
    return Order(here.bootstrap, topic, job.name, job.institutions, job.indicators, turn, job.institutions)
