"""Planted stories: what goes wrong in the sector, to whom, when, and which rules are expected to see it.

A story is data. The generator bends the institutions' paths by it; a check that reads the alerts of a real
run asks `missing` what has not been seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Story:
    """Something that goes wrong.

    begins, ends: as-of dates between which it shows. rules: ids that must fire for every one of
    `institutions`. rejected: how many records must be refused, by reason code.
    """

    id: str
    title: dict[str, str]
    institutions: tuple[str, ...]
    begins: date
    ends: date
    rules: tuple[str, ...] = ()
    rejected: Mapping[str, int] = field(default_factory=dict)

    def missing(self, fired: Collection[tuple[str, str]], refused: Mapping[tuple[str, str], int]) -> list[str]:
        """Return in words what has not been seen of the story; empty when it was found.

        fired: (rule, institution) pairs. refused: how many records of (institution, reason) were refused.
        """
        lacking = [
            f"{rule} for {code}" for code in self.institutions for rule in self.rules if (rule, code) not in fired
        ]
        for reason, count in self.rejected.items():
            seen = sum(refused.get((code, reason), 0) for code in self.institutions)
            if seen < count:
                lacking.append(f"{count - seen} of {count} records refused as {reason}")
        return lacking


def decline(elapsed: Longs, daily: float, days: int) -> Floats:
    """Return the factor left after `elapsed` days of losing `daily` a day, for at most `days` days.

    >>> decline(np.array([-5, 0, 10, 1000]), 0.01, 10).round(3).tolist()
    [1.0, 1.0, 0.904, 0.904]
    """
    return np.asarray((1 - daily) ** np.clip(elapsed, 0, days))


def pulse(elapsed: Longs, rise: int, hold: int, fall: int) -> Floats:
    """Return 0 before, up to 1 over `rise` days, 1 for `hold` days, and back to 0 over `fall` days.

    >>> pulse(np.array([-1, 0, 2, 4, 9, 10, 12, 14]), 4, 5, 4).tolist()
    [0.0, 0.0, 0.5, 1.0, 1.0, 0.75, 0.25, 0.0]
    """
    up = np.clip(elapsed / rise, 0, 1)
    down = np.clip((elapsed - rise - hold) / fall, 0, 1)
    return np.asarray(up - down)
