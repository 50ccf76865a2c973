"""From the moment a filing was to be sent to its alert being in the topic, at several loads of small filings.

Open loop: the times are fixed in advance, so a filing that waits, at the sender or anywhere, counts its waiting.
Filings are sent for a while first: a broker that has just started compiles its code on the cores the worker needs, and
a worker whose history is not full touches new memory with every date.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from alerts.events import decode
from benchmarks.feed import turn_of
from benchmarks.jobs import SMALL, Job
from benchmarks.process import WorkerProcess
from benchmarks.rows import Row
from benchmarks.sender import Order, Sent, sender
from benchmarks.setting import Setting
from benchmarks.stage import Stage, ends, read, stage
from streams.topics import ALERTS, FILINGS

LOADS = {0.01: 20.0, 0.10: 10.0, 0.50: 8.0, 0.90: 6.0}
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
RUNS = {0.50: 5}  # of eight seconds: whether one meets what else the machine does is chance
REACH = {(0.50, "p99"): 100.0}
INSTITUTIONS = 5_000
SECONDS = 90.0
WARM_UPS = 3
WARM_UP_RATE = 10_000.0
WARM_UP_SECONDS = 8.0


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the capacity found, then quantiles at each load."""
    job = replace(SMALL, institutions=INSTITUTIONS // 5 if setting.quick else INSTITUTIONS)
    shorter = 0.3 if setting.quick else 1.0
    with stage(setting.kafka(), job, fill=False, appended=(ALERTS,)) as here, WorkerProcess(here, job) as worker:
        worker.until("guanlan_partitions_assigned", here.partitions)
        load = _Load(here, job, worker)
        load.run(job.institutions)
        for _ in range(1 if setting.quick else WARM_UPS):
            load.run(int(WARM_UP_RATE * WARM_UP_SECONDS), WARM_UP_RATE)
        count = 6 * job.institutions
        before = worker.cpu()
        sent, at, _ = load.run(count)
        capacity = count / float(at.max() - sent.first)
        cpu = worker.cpu() - before
        yield Row("latency", "capacity, filings sent at once", "filings/s", [capacity], cpu=[cpu])
        for share, seconds in LOADS.items():
            rate = share * capacity
            runs = [
                load.run(max(200, int(rate * seconds * shorter)), rate)
                for _ in range(1 if setting.quick else RUNS.get(share, 1))
            ]
            detail = {
                "filings a second": rate,
                "alerts": [len(at) for _, at, _ in runs],
                "sender was late at most, ms": [1e3 * sent.latest for sent, _, _ in runs],
            }
            for name, q in QUANTILES.items():
                yield Row(
                    "latency",
                    f"{share:.0%} load, {name}",
                    "ms",
                    [1e3 * float(np.quantile(at - due, q)) for _, at, due in runs],
                    "less",
                    [],
                    REACH.get((share, name)),
                    detail=detail,
                )


class _Load:
    def __init__(self, here: Stage, job: Job, worker: WorkerProcess) -> None:
        self._here, self._job, self._worker = here, job, worker
        self._turn, self._accepted = 0, 0

    def run(self, count: int, rate: float = 0.0) -> tuple[Sent, np.ndarray, np.ndarray]:
        """Send so many filings; return what the sender says, and per alert when it came and when it was due."""
        here, job = self._here, self._job
        topic = f"{here.prefix}{FILINGS}"
        order = Order(here.bootstrap, topic, job.name, job.institutions, job.indicators, self._turn, count, rate)
        since = ends(here.bootstrap, f"{here.prefix}{ALERTS}")
        with sender(order) as ready:
            sent = ready.go()
        self._accepted += count
        here.until_committed(self._accepted, SECONDS, self._worker.alive)
        first, self._turn = self._turn, self._turn + -(-count // job.institutions)
        told = read(here.bootstrap, f"{here.prefix}{ALERTS}", since)
        at = np.array([when for when, _ in told]) / 1000
        place = [self._place(decode(value), first) for _, value in told]
        due = sent.first + np.array(place) / (rate or 1e12)
        return sent, at, due

    def _place(self, transition: object, first: int) -> int:
        subject, as_of = transition.subject, transition.as_of  # type: ignore[attr-defined]
        return (turn_of(as_of[:10]) - first) * self._job.institutions + int(subject[1:])
