"""How long to wait before the next try."""

from __future__ import annotations

from collections.abc import Callable

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 60.0


def wait_seconds(failures: int, draw: Callable[[], float]) -> float:
    """Return seconds to wait after so many failures in a row (1 or more).

    Doubles from half a second to a minute; `draw` gives a number in [0, 1) that takes off up to half, so that
    desks that failed together don't try again together.

    >>> [wait_seconds(n, lambda: 0.0) for n in (1, 2, 3, 20)]
    [0.5, 1.0, 2.0, 60.0]
    """
    longest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(failures - 1, 16))
    return longest * (1.0 - draw() / 2.0)
