"""How far behind each target is, asked of Kafka apart from reading: true while a target is down and reading rests."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from kafka import TopicPartition
from kafka.errors import KafkaError

from alerts.metrics import DeskMetrics

log = logging.getLogger("guanlan.desk")

LOOK_SECONDS = 5.0


class Ends(Protocol):
    """What is asked: where partitions end now."""

    def end_offsets(self, partitions: Iterable[TopicPartition], /) -> Mapping[TopicPartition, int]:
        """Return the offset after the last record of each partition. Raises KafkaError."""


class Follows(Protocol):
    """One delivery, as this module sees it."""

    @property
    def name(self) -> str:
        """The sink's name."""

    @property
    def told(self) -> Mapping[TopicPartition, int]:
        """By partition, the offset before which everything was told."""


class LagWatch:
    """Sets `guanlan_desk_lag_records`, and `guanlan_desk_kafka_up` to whether Kafka said.

    Where Kafka does not answer, the lag is not a number, which is not the same as none.
    """

    def __init__(self, ask: Callable[[], Ends], deliveries: Sequence[Follows], metrics: DeskMetrics) -> None:
        """Ask what `ask` opens; it is called again after a failure."""
        self._ask = ask
        self._deliveries = deliveries
        self._metrics = metrics
        self._ends: Ends | None = None

    def look(self) -> None:
        """Ask once, and set the series."""
        wanted = sorted({tp for delivery in self._deliveries for tp in delivery.told})
        try:
            if self._ends is None:
                self._ends = self._ask()
            ends = self._ends.end_offsets(wanted) if wanted else {}
        except (KafkaError, OSError) as err:
            log.warning("the lag is not known, Kafka does not answer: %s", err)
            self._ends = None
            ends = None
        self._metrics.kafka_up.set(0 if ends is None else 1)
        for delivery in self._deliveries:
            told = delivery.told
            lag = math.nan if ends is None else sum(max(0, ends.get(tp, 0) - offset) for tp, offset in told.items())
            self._metrics.lag.labels(delivery.name).set(lag)

    def run(self, stop: threading.Event) -> None:
        """Look every few seconds until `stop` is set."""
        while not stop.is_set():
            self.look()
            stop.wait(LOOK_SECONDS)
