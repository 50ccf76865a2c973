"""Where the worker's processor time goes, by stage; what the stages are is told in `docs/performance.md`.

Stages are timed with the clock of their thread's processor time: who else is on the machine does not matter, and
they add up. What the event loop's thread used beyond them is the stage `loop`: Faust, the Kafka clients, asyncio.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rules.laps import Clock

Observe = Callable[[str, float], None]

busy: Clock = time.thread_time


class Stages:
    """Hands seconds by stage to `observe`. Made, and used, on the event loop's thread."""

    def __init__(self, observe: Observe) -> None:
        self._observe = observe
        self._named = 0.0
        self._noted = 0.0
        self._seen = busy()
        self._fetched = 0.0

    def add(self, stage: str, seconds: float) -> None:
        """Note processor seconds of the event loop's thread."""
        self._named += seconds
        self._observe(stage, seconds)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Note what is done inside, which must not await."""
        began = busy()
        try:
            yield
        finally:
            self.add(name, busy() - began)

    @contextmanager
    def besides(self, name: str) -> Iterator[None]:
        """Note what is done inside, which may await, beyond the stages that are noted meanwhile."""
        began, named = busy(), self._named
        try:
            yield
        finally:
            self.add(name, max(0.0, busy() - began - (self._named - named)))

    def rest(self, fetched: float) -> None:
        """Note what this thread used since the last call beyond the stages, and what Faust's own client did.

        fetched: processor seconds of that client's thread since it started.
        """
        now = busy()
        self._observe("loop", max(0.0, now - self._seen - (self._named - self._noted)))
        self._seen, self._noted = now, self._named
        self._observe("fetch", max(0.0, fetched - self._fetched))
        self._fetched = fetched
