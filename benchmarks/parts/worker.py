"""The worker end to end: groups, offsets, state kept, alerts sent; and the limit on the same records."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.jobs import Job
from benchmarks.parts import race
from benchmarks.rows import Row, ratio
from benchmarks.setting import Setting
from benchmarks.stage import stage

LIMIT_SHARE = 0.75


def measure(setting: Setting) -> Iterator[Row]:
    """Yield values a second of both jobs on Apache Kafka, and of the small one on the embedded broker."""
    for job in (setting.small, setting.large):
        yield from against_limit(setting, job)
    job = setting.small
    with stage(setting.kafka("embedded"), job) as here:
        runs = [here.run("guanlan")[0] for _ in range(setting.runs)]
    yield race.row(f"worker, {job.name}, embedded broker", "Guanlan's worker", job, runs)


def against_limit(setting: Setting, job: Job) -> Iterator[Row]:
    """Yield the worker, the limit, and their ratio."""
    part = f"worker, {job.name}"
    with stage(setting.kafka(), job) as here:
        rows = race.run(here, ("limit", "guanlan"), setting.runs, part)
    yield from rows
    yield ratio(rows, rows[1].name, rows[0].name, part, "worker / limit", LIMIT_SHARE)
