"""When state is saved, and how hurriedly.

A checkpoint takes time from judging: so it rests between its turns, and a pause follows it. What is applied and not
saved is held in memory, and read again after a crash: the more there is of it, the less of both. While filings come in
faster than pauses allow for, one checkpoint follows another, each at such a pace that filings never wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable

HELD_BYTES = 384 << 20
DUE_BYTES = HELD_BYTES // 4
SAVED_BYTES = 3 * HELD_BYTES // 4  # when so much is unsaved, or half of it came meanwhile, a checkpoint is to be done
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
        self._began, self._before = clock(), 0

    def due(self) -> bool:
        """Say whether a checkpoint may begin: the pause is over, or much is unsaved."""
        return self._clock() >= self._next or self.unsaved > DUE_BYTES

    def full(self) -> bool:
        """Say whether filings have to wait for a checkpoint."""
        return self.unsaved > HELD_BYTES

    def hurry(self) -> None:
        """End the pause."""
        self._next = 0.0

    def pause(self, copying: float, size: int) -> None:
        """Begin a pause: a checkpoint copied so many bytes of state in so many seconds."""
        self._next = self._clock() + min(COPY_PAUSES * copying + size / BYTES_PER_SECOND, LONGEST_PAUSE)

    def begin(self) -> int:
        """Begin a checkpoint; return what is unsaved."""
        self._began, self._before = self._clock(), self.unsaved
        return self.unsaved

    def rest(self, turns: int) -> float:
        """Return for how long a checkpoint that has so many turns left lets others go on before the next.

        So long that it is done in time if filings go on coming in as they did since it began.
        """
        came = self.unsaved - self._before
        if came <= 0:
            return REST_SECONDS
        room = min(SAVED_BYTES, self._before + SAVED_BYTES // 2) - self.unsaved
        left = room * (self._clock() - self._began) / came
        return min(REST_SECONDS, max(0.0, left) / max(1, turns))
