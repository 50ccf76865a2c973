"""The lock under which state changes: whoever holds it sees state between two changes, and nobody else changes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, TypeVar

log = logging.getLogger("guanlan.worker")

T = TypeVar("T")


class Quiet:
    """A lock for looking (`async with`), and for changing in a way that nothing interrupts (`run`).

    `spoilt` is called when work failed of which nobody waits for the outcome any more.
    """

    def __init__(self, spoilt: Callable[[], None]) -> None:
        self._lock = asyncio.Lock()
        self._spoilt = spoilt
        self._left_alone: set[asyncio.Future[Any]] = set()

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work under the lock, to its end even where the caller is cancelled meanwhile.

        State changes and what that causes is sent: a checkpoint must not find the one without the other, and a worker
        that is told to stop cancels its tasks wherever they are. Who is cancelled before the lock is his does nothing.
        """
        await self._lock.acquire()
        task = asyncio.ensure_future(self._released(work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._left_alone.add(task)
            task.add_done_callback(self._ended)
            raise

    async def _released(self, work: Callable[[], Awaitable[T]]) -> T:
        try:
            return await work()
        finally:
            self._lock.release()

    def _ended(self, task: asyncio.Future[T]) -> None:
        self._left_alone.discard(task)
        if not task.cancelled() and (err := task.exception()) is not None:
            log.critical("a change was not done to its end: nothing more is committed", exc_info=err)
            self._spoilt()
