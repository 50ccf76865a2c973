"""One, two and four workers over 16 partitions on this machine, whose cores they share with broker and sender."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

from benchmarks.jobs import SMALL
from benchmarks.process import WorkerProcess
from benchmarks.rows import Row
from benchmarks.sender import Order, sender
from benchmarks.setting import Setting
from benchmarks.stage import ends, read, stage
from streams.topics import ALERTS, FILINGS

WORKERS = (1, 2, 4)
PARTITIONS = 16
SECONDS = 90.0


def measure(setting: Setting) -> Iterator[Row]:
    """Yield filings a second and processor seconds a million values, by number of workers."""
    job = replace(SMALL, institutions=1_000 if setting.quick else 5_000)
    count = (5 if setting.quick else 10) * job.institutions
    for workers in WORKERS:
        with stage(setting.kafka(), job, PARTITIONS, fill=False, appended=(ALERTS,)) as here, ExitStack() as stack:
            running = [stack.enter_context(WorkerProcess(here, job, f"worker{n}")) for n in range(workers)]
            _share(running)
            topic = f"{here.prefix}{FILINGS}"
            used = [worker.cpu() for worker in running]
            since = ends(here.bootstrap, f"{here.prefix}{ALERTS}")
            with sender(Order(here.bootstrap, topic, job.name, job.institutions, job.indicators, 0, count)) as ready:
                sent = ready.go()
            here.until_committed(count, SECONDS, running[0].alive)
            last = max(at for at, _ in read(here.bootstrap, f"{here.prefix}{ALERTS}", since)) / 1000
            cpu = [worker.cpu() - before for worker, before in zip(running, used, strict=True)]
        detail = {
            "processor seconds by worker": cpu,
            "processor seconds a million values": sum(cpu) / (count * job.indicators / 1e6),
            "sending": sent.last - sent.first,
        }
        name = f"{workers} worker{'s' if workers > 1 else ''}, first filing sent to last alert"
        yield Row("scale-out", name, "filings/s", [count / (last - sent.first)], cpu=[sum(cpu)], detail=detail)


def _share(running: list[WorkerProcess]) -> None:
    """Wait until every worker has its part of the partitions."""
    deadline = time.monotonic() + SECONDS
    while True:
        shares = [worker.total("guanlan_partitions_assigned") for worker in running]
        if sum(shares) == PARTITIONS and all(shares):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the workers hold {shares} of {PARTITIONS} partitions; {running[0].said()}")
        time.sleep(0.2)
