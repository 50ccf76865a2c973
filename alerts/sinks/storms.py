"""When messages become a digest: too many groups in an interval. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from rules.transitions import Transition

URGENT_SECONDS = 60.0

Group = tuple[str, str]
"""Subject and family of rules: what is one message."""


def group_of(event: Transition) -> Group:
    """Return whom and what family of rules an event is about: the first two parts of the rule's id.

    One filing with several findings of a family is one message.
    """
    return event.subject, ".".join(event.rule.split(".")[:2])


@dataclass(frozen=True, slots=True)
class Digesting:
    """More than `above` groups in `within` seconds become a digest."""

    above: int = 10
    within: float = 600.0


class Storm:
    """Counts the messages of one target. Each is asked for before it goes."""

    def __init__(self, policy: Digesting) -> None:
        self._policy = policy
        self._sent: deque[float] = deque()
        self._digest_at = float("-inf")

    def ask(self, now: float, groups: int, urgent: bool) -> Literal["each", "digest", "wait"]:
        """Return how so many groups go that are ready at `now`: each alone, as one digest, or not yet.

        After a digest the next waits for the interval's end; where something urgent waits, for a minute.
        """
        while self._sent and self._sent[0] <= now - self._policy.within:
            self._sent.popleft()
        if len(self._sent) + groups <= self._policy.above:
            return "each"
        if now >= self._digest_at + (min(URGENT_SECONDS, self._policy.within) if urgent else self._policy.within):
            return "digest"
        return "wait"

    def sent(self, now: float) -> None:
        """Note that a message of one group was sent."""
        self._sent.append(now)

    def digested(self, now: float) -> None:
        """Note that a digest was sent."""
        self._digest_at = now
