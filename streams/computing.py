"""Measures computed beside the stream: chosen and filed under the lock, computed in a thread without it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from streams.exporter import Pipeline
from streams.measured import Measured
from streams.quiet import Quiet
from streams.side import Effects
from streams.system import SystemSide
from streams.work import Job

log = logging.getLogger("guanlan.worker")

MEASURE_SECONDS = 0.5
PAUSE_SECONDS = 30.0


class Computing:
    """Does the jobs of the system side, one after another.

    `emit` sends what filing measures causes. `epoch` counts the assignments of partitions: what was computed of state
    that has been taken away, made again or given to other rules since is not filed.
    """

    def __init__(
        self,
        system: SystemSide,
        quiet: Quiet,
        emit: Callable[[Effects], Awaitable[None]],
        epoch: Callable[[], int],
        metrics: Pipeline,
    ) -> None:
        self._system = system
        self._quiet = quiet
        self._emit = emit
        self._epoch = epoch
        self._metrics = metrics

    async def run(self) -> None:
        """Look for work twice a second, for ever; less often where that fails."""
        while True:
            await asyncio.sleep(MEASURE_SECONDS if await self.once() else PAUSE_SECONDS)

    async def once(self) -> bool:
        """Do the next job, where there is one; return False where it could not be told which that is.

        Raises only where a failure left state that can't be made again.
        """
        try:
            async with self._quiet:
                job, made = self._system.due(), self._made()
        except Exception:
            log.exception("it can't be told which measures are due; the next look is in %.0f s", PAUSE_SECONDS)
            self._metrics.failed.labels("due").inc()
            return False
        if job is None:
            return True
        measured: Sequence[Measured] | None = None
        began = time.perf_counter()
        try:
            measured = await asyncio.to_thread(job.compute)
        except Exception:
            log.exception("%s measures can't be computed", job.kind)
            self._metrics.failed.labels(job.kind).inc()
        else:
            self._metrics.stages.labels(f"measure_{job.kind}").observe(time.perf_counter() - began)
        await self._quiet.run(partial(self._end, job, measured, made))
        return True

    def _made(self) -> tuple[int, int, int]:
        return self._epoch(), self._system.loaded, self._system.adopted

    async def _end(self, job: Job, measured: Sequence[Measured] | None, made: tuple[int, int, int]) -> None:
        if not self._system.partitions or self._made() != made:
            return
        if measured is None:
            self._system.planner.give_up(job)
            return
        try:
            effects = await self._system.file(job, measured)
        except Exception:
            log.exception("%s measures can't be filed", job.kind)
            self._metrics.failed.labels(job.kind).inc()
            effects = await self._system.recompute()
            self._system.planner.give_up(job)
        await self._emit(effects)
