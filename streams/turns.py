"""Long work of the event loop, done in turns so that records are judged between them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

TURN_SECONDS = 0.02


class Turns:
    """Gives the event loop a turn when enough has been done since the last: a turn for every piece costs more.

    Each turn is at least as many seconds long as `rest` says, for work that must not take more than its share.
    """

    def __init__(self, seconds: float = TURN_SECONDS, rest: Callable[[], float] = float) -> None:
        self._seconds = seconds
        self._rest = rest
        self._since = time.thread_time()

    async def take(self) -> None:
        """Yield where `seconds` of processor time have passed."""
        if time.thread_time() - self._since > self._seconds:
            await asyncio.sleep(self._rest())
            self._since = time.thread_time()
