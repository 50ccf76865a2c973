"""What a reader notes beside its offset in Kafka, so that a restart neither loses nor repeats what waits.

It is the metadata of the group's offset: committed with it, moved with its partition to another desk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

MOST_CHARACTERS = 3_800
"""Kafka takes 4,096 bytes of metadata unless it was told otherwise."""

Ranges = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Digest:
    """The tellings that Alertmanager knows under one digest, by the offsets of their events."""

    name: str
    offsets: frozenset[int]


@dataclass(frozen=True, slots=True)
class Notes:
    """How far one partition was told.

    Events before `next` were told, but for those at the offsets in `waiting`; what the clock had to say, up to `mark`
    (seconds since the epoch).
    """

    next: int
    mark: float
    waiting: frozenset[int] = frozenset()
    digests: tuple[Digest, ...] = ()

    @property
    def offset(self) -> int:
        """Return the offset to commit: everything before it was told."""
        return min(self.waiting, default=self.next)

    def differs(self, other: Notes, seconds: float) -> bool:
        """Whether more than the clock has changed since `other`, or the clock by so many seconds."""
        same = (self.next, self.waiting, self.digests) == (other.next, other.waiting, other.digests)
        return not same or abs(self.mark - other.mark) >= seconds

    def encode(self) -> str:
        """Return the notes as text; without the digests, or empty, where there would be too much of it.

        Without notes everything from the offset on is told again: too often rather than never.
        """
        whole = {"next": self.next, "mark": round(self.mark, 3), "waiting": _ranges(self.waiting)}
        named = [[digest.name, _ranges(digest.offsets)] for digest in self.digests]
        for one in ({**whole, "digests": named}, whole):
            text = json.dumps(one, separators=(",", ":"))
            if len(text) <= MOST_CHARACTERS:
                return text
        return ""


def decode(offset: int, text: str) -> Notes | None:
    """Read the notes of a committed offset; None where there are none, or they are not of this offset."""
    try:
        found = json.loads(text)
        digests = tuple(Digest(str(name), _offsets(ranges)) for name, ranges in found.get("digests", ()))
        notes = Notes(int(found["next"]), float(found["mark"]), _offsets(found["waiting"]), digests)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return notes if notes.offset == offset else None


def _ranges(offsets: Iterable[int]) -> Ranges:
    found: Ranges = []
    for offset in sorted(offsets):
        if found and found[-1][1] == offset - 1:
            found[-1] = (found[-1][0], offset)
        else:
            found.append((offset, offset))
    return found


def _offsets(ranges: Iterable[tuple[int, int]]) -> frozenset[int]:
    return frozenset(offset for first, last in ranges for offset in range(first, last + 1))
