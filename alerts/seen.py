"""Which events of the topic `alerts` were folded before: in bounded memory, and nothing counts as new twice.

Workers tell a transition again, with the same id, where a crash came between telling and saving; and all of a
partition's history, in its order, where state has to be computed anew. So ids are kept, by rule and subject. Where a
pair has had very many the oldest are dropped, and it is remembered up to when: what is not known by its id, and was
not seen or is not of a later date than what was dropped, was folded before. A new event can't be so old: between it
and the present lie more changes than any form's horizon has dates, and beyond the horizon nothing changes.
"""

from __future__ import annotations

import hashlib
from struct import Struct

from rules.calendar import parse_instant
from rules.transitions import Transition

KEPT = 1024
"""Ids by rule and subject: a change at each date of the longest horizon, twice over."""

MARK = 16
_ENTRY = Struct(f">{MARK}sqq")  # of the id; when it was seen, its as-of date


class Seen:
    """Remembers events: of each rule and subject the newest `kept` by their ids, 32 bytes each."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._entries: dict[str, dict[str, bytearray]] = {}
        self._dropped: dict[tuple[str, str], tuple[int, int]] = {}

    def __len__(self) -> int:
        """How many ids are kept."""
        return sum(len(kept) for rules in self._entries.values() for kept in rules.values()) // _ENTRY.size

    def add(self, event: Transition) -> bool:
        """Note an event; return whether it is new."""
        mark = hashlib.blake2b(event.id.encode(), digest_size=MARK).digest()
        rules = self._entries.setdefault(event.subject, {})
        # under whatever name its rule had then: ids stay when a rule is renamed
        if any(_holds(entries, mark) for entries in rules.values()):
            return False
        when = parse_instant(event.seen_at), parse_instant(event.as_of)
        pair = event.subject, event.rule
        if pair in self._dropped and when <= self._dropped[pair]:
            return False
        entries = rules.setdefault(event.rule, bytearray())
        if len(entries) == self._kept * _ENTRY.size:
            _, *oldest = _ENTRY.unpack_from(entries)
            self._dropped[pair] = max((oldest[0], oldest[1]), self._dropped.get(pair, (oldest[0], oldest[1])))
            del entries[: _ENTRY.size]
        entries += _ENTRY.pack(mark, *when)
        return True


def _holds(entries: bytearray, mark: bytes) -> bool:
    place = entries.find(mark)
    while place >= 0 and place % _ENTRY.size:
        place = entries.find(mark, place + 1)
    return place >= 0
