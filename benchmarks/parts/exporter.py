"""What one scrape of /metrics costs when a whole sector is shown: 5,000 institutions × 20 indicators."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.feed import feed
from benchmarks.jobs import SMALL
from benchmarks.process import WorkerProcess
from benchmarks.rows import Row
from benchmarks.setting import Setting
from benchmarks.stage import send, stage
from streams.topics import FILINGS


def measure(setting: Setting) -> Iterator[Row]:
    """Yield the time and the bytes of a scrape."""
    institutions = 1_000 if setting.quick else 5_000
    job = replace(SMALL, institutions=institutions, indicators=20, rules=20)
    seconds, size, cpu = [], [], []
    with stage(setting.kafka(), job, fill=False) as here, WorkerProcess(here, job) as worker:
        send(here.bootstrap, f"{here.prefix}{FILINGS}", feed(job, 0))
        here.until_committed(institutions, alive=worker.alive)
        for _ in range(max(3, setting.runs)):
            used, began = worker.cpu(), time.perf_counter()
            text = worker.scrape()
            seconds.append(time.perf_counter() - began)
            size.append(float(len(text.encode())))
            cpu.append(worker.cpu() - used)
    series = sum(not line.startswith("#") for line in text.splitlines())
    detail = {"institutions": institutions, "series": series}
    yield Row("exporter", f"scrape of {series:,} series", "s", seconds, "less", cpu, detail=detail)
    yield Row("exporter", "bytes of a scrape", "B", size, "less")
