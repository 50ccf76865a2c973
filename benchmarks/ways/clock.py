"""The clock of a way: started by the first record, stopped when all is saved."""

from __future__ import annotations

import resource
import time

from benchmarks.jobs import LARGE, SECTOR, SMALL, Job
from benchmarks.ways import Measured

JOBS = {job.name: job for job in (SMALL, LARGE, SECTOR)}


def job_named(name: str) -> Job:
    """Return the job whose rules are to be judged; how many filings there are says the task."""
    return JOBS[name]


class Clock:
    """Wall and processor time since `start`; only the first `start` counts."""

    def __init__(self) -> None:
        self.began = 0.0
        self.used = 0.0

    def start(self) -> None:
        """The first record is in hand."""
        if not self.began:
            self.began, self.used = time.perf_counter(), time.process_time()

    def stop(self, **stages: float) -> Measured:
        """All is saved."""
        seconds, cpu = time.perf_counter() - self.began, time.process_time() - self.used
        return Measured(seconds, cpu, stages, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)
