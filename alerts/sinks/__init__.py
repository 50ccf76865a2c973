"""Where notices go. A sink knows one target; `alerts.delivery` knows Kafka.

SinkDown     the target did not take it; it will be offered again
"""

from __future__ import annotations

from typing import Protocol

from alerts.desk import Notice
from rules.problems import GuanlanError


class SinkDown(GuanlanError):
    """The target could not be reached, or said to come back later; the message says which and why."""

    exit_code = 3


class Sink(Protocol):
    """One target of notices.

    Delivery is at least once: what was added is offered until a flush returns, and after a crash the notices
    since the last committed offset come again with the same ids. A sink is used by one thread.
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
        """Take a notice into the batch. No input or output, no failure."""

    def flush(self) -> int:
        """Deliver the batch in order; return how many notices the target will never take.

        When it returns, every other notice has been accepted by the target, and the batch is empty. Raises
        SinkDown where the target did not take them: what it did not take stays in the batch for the next
        flush. What the target refuses for good is logged and left out, so that it holds up nothing.
        """

    def on_paused(self) -> None:
        """Forget the batch: its partitions went to another desk, or will be read again from the offset."""
