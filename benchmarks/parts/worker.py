"""The worker end to end, small and large filings, beside the limit: the short form of `baselines`."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.parts import race
from benchmarks.rows import Row, ratio
from benchmarks.setting import Setting
from benchmarks.stage import stage
from benchmarks.ways import WAYS

LIMIT_SHARE = 0.75


def measure(setting: Setting) -> Iterator[Row]:
    """Yield values a second of both jobs by the limit and by the worker, with seconds by stage in the details."""
    for job in (setting.small, setting.large):
        part = f"end to end, {job.name} filings"
        with stage(setting.kafka(), job) as here:
            rows = race.run(here, ("limit", "guanlan"), setting.runs, part).rows
        yield from rows
        yield ratio(rows, WAYS["guanlan"], WAYS["limit"], part, "worker / limit", LIMIT_SHARE)
