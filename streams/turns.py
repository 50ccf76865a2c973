"""Long work of the event loop, done in turns so that records are judged between them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

TURN_SECONDS = 0.02


class Turns:
    """Gives the event loop a turn when enough has been done since the last: a turn for every piece costs more.

    Each turn is at least as many seconds long as `rest` says, for work that must not take more than its share. What
    makes work for others, as bytes do, takes a turn after `size` of it.
    """

    def __init__(
        self, seconds: float = TURN_SECONDS, rest: Callable[[], float] = float, size: float = math.inf
    ) -> None:
        self._seconds = seconds
        self._rest = rest
        self._size = size
        self._since, self._done = time.thread_time(), 0

    async def take(self, size: int = 0) -> None:
        """Yield where `seconds` of processor time have passed, or where with `size` more that much is done."""
        self._done += size
        if time.thread_time() - self._since > self._seconds or self._done >= self._size:
            await asyncio.sleep(self._rest())
            self._since, self._done = time.thread_time(), 0
