"""When state is saved, and how hurriedly.

A checkpoint takes time from judging: so it rests between its turns, and a pause follows it. What is applied and not
saved is held in memory, and read again after a crash: the more there is of it, the less of both.
"""

from __future__ import annotations

import time
from collections.abc import Callable

HELD_BYTES = 256 << 20
REST_SECONDS = 0.1
COPY_PAUSES = 9  # nothing is judged while state is copied: at most a tenth of the time
BYTES_PER_SECOND = 4 << 20
LONGEST_PAUSE = 10.0


class Pace:
    """Tells when a checkpoint is due; `unsaved` counts the bytes of filings that are applied and not saved."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.unsaved = 0
        self._clock = clock
        self._next = 0.0

    def due(self) -> bool:
        """Say whether a checkpoint may begin: the pause is over, or half of what may be unsaved is."""
        return self._clock() >= self._next or self.unsaved > HELD_BYTES / 2

    def full(self) -> bool:
        """Say whether filings have to wait for a checkpoint."""
        return self.unsaved > HELD_BYTES

    def hurry(self) -> None:
        """End the pause."""
        self._next = 0.0

    def pause(self, copying: float, size: int) -> None:
        """Begin a pause: a checkpoint copied so many bytes of state in so many seconds."""
        self._next = self._clock() + min(COPY_PAUSES * copying + size / BYTES_PER_SECOND, LONGEST_PAUSE)

    def rest(self) -> float:
        """Return for how long a checkpoint lets others go on between two of its turns."""
        return REST_SECONDS * max(0.0, 1 - self.unsaved / HELD_BYTES)
