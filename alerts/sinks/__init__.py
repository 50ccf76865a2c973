"""Where notices go. A sink knows one target; `alerts.delivery` knows Kafka.

SinkDown     the target did not take it; it will be offered again
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec

from alerts.desk import Notice
from alerts.notes import Digest
from rules.problems import GuanlanError


class SinkDown(GuanlanError):
    """The target could not be reached, or said to come back later; the message says which and why."""

    exit_code = 3


class Refused(GuanlanError):
    """The target answered that it will never take this message; the message says what it answered."""


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message that a target refused for good: kept on the topic `alerts.dead`, and sent again by hand.

    `id` follows from target and events; `data` is the message as programs read it.
    """

    id: str
    target: str
    reason: str
    refused_at: str
    tries: int
    title: str
    body: str
    severity: str
    events: list[str]
    data: list[dict[str, Any]] = []


class Sink(Protocol):
    """One target of notices.

    Delivery is at least once: what was added is in `waiting` until the target took it, and comes again after a
    crash with the same ids. A sink is used by one thread.
    """

    @property
    def name(self) -> str:
        """Stable and free of secrets: it names the consumer group, the log lines and the metrics."""

    @property
    def batch(self) -> int:
        """Most records that are read before a flush. Delivering so many must take minutes at most."""

    @property
    def repeat_seconds(self) -> float:
        """How often every open alert is added again, as `repeated`; 0 for never."""

    def setup(self) -> None:
        """Check what can be checked without the target, once, before anything is read.

        Raises ConfigError. A target that does not answer is no reason to refuse to start.
        """

    def add(self, notice: Notice) -> None:
        """Take a notice. No input or output, no failure."""

    def flush(self) -> int:
        """Deliver what is due, in the order of each subject; return how many messages were accepted.

        What is not due yet (a digest, a target's hours) stays in `waiting`. What the target refuses for good becomes
        a dead letter, so that it holds up nothing. Raises SinkDown where the target takes nothing now: the rest
        stays for the next flush.
        """

    def waiting(self) -> Iterable[Notice]:
        """Return the notices that were added and not delivered yet."""

    def dead(self) -> list[DeadLetter]:
        """Return what was refused for good since the last call; the caller keeps it."""

    def digests(self, partition: int) -> Sequence[Digest]:
        """Return the digests that open tellings of a partition were put in, to be noted beside its offset."""

    def restore(self, partition: int, digests: Sequence[Digest]) -> None:
        """Take back what `digests` returned before a restart."""

    def assigned(self, partitions: Iterable[int]) -> None:
        """Every open alert of these partitions has been added as `repeated`: there are no others of them."""

    def on_paused(self) -> None:
        """Forget everything: the partitions went to another desk, or will be read again from the offset."""
