"""Where time goes: seconds by stage, by a clock that is given from above."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], float]


def no_clock() -> float:
    """Return 0: where nobody asks for times, none are taken."""
    return 0.0


class Laps:
    """Adds up a clock's seconds by stage: every lap ends one, and begins the next.

    >>> ticks = iter([1.0, 3.0, 3.5])
    >>> laps = Laps(lambda: next(ticks))
    >>> laps.start(); laps.lap("scatter"); laps.lap("rules")
    >>> laps.take()
    {'scatter': 2.0, 'rules': 0.5}
    """

    def __init__(self, clock: Clock = no_clock) -> None:
        self.clock = clock
        self._last = 0.0
        self._seconds: dict[str, float] = {}

    def start(self) -> None:
        """Begin a lap."""
        self._last = self.clock()

    def lap(self, stage: str) -> None:
        """Give the stage the time since the last lap."""
        now = self.clock()
        self._seconds[stage] = self._seconds.get(stage, 0.0) + now - self._last
        self._last = now

    def take(self) -> dict[str, float]:
        """Return seconds by stage since this was asked last."""
        found, self._seconds = self._seconds, {}
        return found
