"""Delivery: reads the topic `alerts` for one sink, in the sink's own consumer group.

    partitions assigned ─► read from the beginning up to the group's offset, telling nobody
                        ─► then read on: fold, add, flush, commit the offset
    sink down           ─► reading pauses, the batch waits, tries again with back-off; other sinks go on
    partitions taken    ─► everything is forgotten and built again from the topic

Guarantee: at least once. An offset is committed only after the sink took everything before it. What may come
twice is what a crash or a rebalance left between a flush and its commit: one batch at most, same ids.

A group without an offset is new: it is told once of each alert that is open, and not of the history.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import CommitFailedError, KafkaError, RetriableError

from alerts.backoff import wait_seconds
from alerts.desk import Alert, Desk, Notice
from alerts.due_dates import Recount, as_told
from alerts.events import NotATransition, decode
from alerts.metrics import DeskMetrics
from alerts.sinks import Sink, SinkDown

log = logging.getLogger("guanlan.desk")

POLL_SECONDS = 0.5
COMMIT_SECONDS = 5.0
LONGEST_FLUSH_SECONDS = 900


@dataclass(slots=True)
class Partition:
    """One partition as this sink has seen it.

    `next` is the offset after the last event folded, `end` where the partition ended when it was taken over,
    `committed` the group's offset in Kafka, -1 for none.
    """

    next: int
    end: int
    committed: int
    desk: Desk = field(default_factory=Desk)
    begun: bool = False
    caught_up: bool = False

    @property
    def new(self) -> bool:
        """Whether the group has never told anything of it; asked only until it has caught up."""
        return self.committed < 0 or self.committed > self.end

    @property
    def told_until(self) -> int:
        """Events before this offset were told before, or are history to a new group."""
        return self.end if self.new else self.committed


class Rebalances(ConsumerRebalanceListener):
    """Notes that partitions were taken or given; called on the client's own thread."""

    def __init__(self) -> None:
        self._noted: SimpleQueue[None] = SimpleQueue()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Note it."""
        self._noted.put(None)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Note it."""
        self._noted.put(None)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Note it."""
        self._noted.put(None)

    def happened(self) -> bool:
        """Whether there was any since the last call."""
        found = False
        while True:
            try:
                self._noted.get_nowait()
            except Empty:
                return found
            found = True


def open_consumer(bootstrap: str, group: str, instance: str = "", connect_seconds: float = 10.0) -> KafkaConsumer:
    """Return a connected consumer for one sink. Raises KafkaTimeoutError when no broker answers."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap.split(","),
        bootstrap_timeout_ms=int(connect_seconds * 1000),
        group_id=group,
        group_instance_id=instance or None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        metadata_max_age_ms=10_000,
        session_timeout_ms=15_000,
        max_poll_interval_ms=LONGEST_FLUSH_SECONDS * 1000,
    )
    try:
        consumer.bootstrap(timeout_ms=int(connect_seconds * 1000))
    except KafkaError:
        consumer.close(timeout_ms=0)
        raise
    return consumer


class Delivery:
    """Drives one sink. `step` is one round; `run` repeats it until told to stop."""

    def __init__(
        self,
        consumer: KafkaConsumer,
        topic: str,
        sink: Sink,
        metrics: DeskMetrics | None = None,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        recount: Recount = as_told,
    ) -> None:
        self.sink = sink
        self._consumer = consumer
        self._clock = clock
        self._draw = draw
        self._recount = recount
        self._metrics = metrics or DeskMetrics()
        self._parts: dict[TopicPartition, Partition] = {}
        self._rebalances = Rebalances()
        self._stale = False
        self._waiting = False
        self._failures = 0
        self._retry_at = 0.0
        self._repeat_at = 0.0
        self._commit_at = 0.0
        consumer.subscribe([topic], listener=self._rebalances)

    @property
    def caught_up(self) -> bool:
        """Whether partitions are assigned and the past of each has been read."""
        return bool(self._parts) and all(part.caught_up for part in self._parts.values())

    @property
    def open(self) -> list[Alert]:
        """Open alerts of the partitions at hand, oldest first."""
        found = [alert for part in self._parts.values() for alert in part.desk.open.values()]
        return sorted(found, key=lambda alert: (alert.opened, alert.last.alert_id))

    def run(self, stop: threading.Event) -> None:
        """Repeat `step` until `stop` is set, then leave the group. Errors of Kafka that pass are waited out."""
        failures = 0
        try:
            while not stop.is_set():
                try:
                    self.step()
                    failures = 0
                except RetriableError as err:
                    failures += 1
                    log.warning("%s: Kafka: %s", self.sink.name, err)
                    stop.wait(wait_seconds(failures, self._draw))
        finally:
            self._consumer.close()

    def step(self, poll_seconds: float = POLL_SECONDS) -> None:
        """Read what there is, tell the sink, commit."""
        polled = self._consumer.poll(timeout_ms=int(poll_seconds * 1000), max_records=self.sink.batch)
        if self._rebalances.happened() or self._stale:
            self._take_over()
            return
        told = 0
        for tp, records in polled.items():
            part = self._parts[tp]
            if not part.begun:  # some brokers tell the true end only with the records
                part.begun, part.end = True, max(part.end, self._consumer.highwater(tp) or 0)
            told += self._read(part, records)
        for tp, part in self._parts.items():
            # an offset without a record (the mark of a transaction, an event that expired) is passed like others
            part.next = self._consumer.position(tp, timeout_ms=1000) or part.next
            if not part.caught_up:
                told += self._catch_up(part) if part.next >= part.told_until else 0
        if not self._waiting:
            told += self._repeat()
        if told or self._waiting:
            self._flush()
        if not self._waiting and (told or self._clock() >= self._commit_at):
            self._commit()
        self._observe()

    def _take_over(self) -> None:
        """Start again with the partitions that are assigned now; stays stale when Kafka does not answer."""
        self._stale = True
        self._parts.clear()
        self.sink.on_paused()
        self._waiting = False
        tps = sorted(self._consumer.assignment())
        if tps:
            first, last = self._consumer.beginning_offsets(tps), self._consumer.end_offsets(tps)
            for tp in tps:
                committed = self._consumer.committed(tp)
                self._parts[tp] = Partition(first[tp], last[tp], -1 if committed is None else committed)
                self._consumer.seek(tp, first[tp])
            self._consumer.resume(*tps)
        self._stale = False
        self._repeat_at = 0.0
        log.info("%s: %d partitions of alerts", self.sink.name, len(tps))

    def _read(self, part: Partition, records: Iterable[ConsumerRecord]) -> int:
        told = 0
        for record in records:
            if not part.caught_up and record.offset >= part.told_until:
                told += self._catch_up(part)
            part.next = record.offset + 1
            try:
                notice = part.desk.fold(self._recount(decode(record.value or b"")))
            except NotATransition as err:
                self._metrics.unreadable.labels(self.sink.name).inc()
                log.warning("alerts %d:%d passed over: %s", record.partition, record.offset, err)
                continue
            if notice is not None and part.caught_up:
                told += self._tell(notice)
        return told

    def _catch_up(self, part: Partition) -> int:
        part.caught_up = True
        if not part.new:
            return 0
        alerts = sorted(part.desk.open.values(), key=lambda alert: (alert.opened, alert.last.alert_id))
        return sum(self._tell(Notice("firing", alert)) for alert in alerts)

    def _repeat(self) -> int:
        """Add every open alert again, where the sink wants that and it is time."""
        if not self.sink.repeat_seconds or not self.caught_up or self._clock() < self._repeat_at:
            return 0
        self._repeat_at = self._clock() + self.sink.repeat_seconds
        return sum(self._tell(Notice("repeated", alert, alert)) for alert in self.open)

    def _tell(self, notice: Notice) -> int:
        self.sink.add(notice)
        self._metrics.notices.labels(self.sink.name, notice.kind).inc()
        return 1

    def _flush(self) -> None:
        if self._waiting and self._clock() < self._retry_at:
            return
        try:
            refused = self.sink.flush()
        except SinkDown as err:
            self._failures += 1
            pause = wait_seconds(self._failures, self._draw)
            self._retry_at = self._clock() + pause
            self._waiting = True
            self._consumer.pause(*self._parts)
            self._metrics.failures.labels(self.sink.name).inc()
            self._metrics.up.labels(self.sink.name).set(0)
            log.warning("%s; failure %d, next try in %.1f s", err, self._failures, pause)
            return
        if self._failures:
            log.info("%s is back after %d failures", self.sink.name, self._failures)
        self._failures = 0
        if self._waiting:
            self._waiting = False
            self._consumer.resume(*self._parts)
        self._metrics.refused.labels(self.sink.name).inc(refused)
        self._metrics.up.labels(self.sink.name).set(1)
        self._metrics.delivered.labels(self.sink.name).set(time.time())

    def _commit(self) -> None:
        ahead = {tp: p for tp, p in self._parts.items() if p.caught_up and p.next != p.committed}
        self._commit_at = self._clock() + COMMIT_SECONDS
        if not ahead:
            return
        try:
            self._consumer.commit({tp: OffsetAndMetadata(p.next, "", -1) for tp, p in ahead.items()})
        except CommitFailedError as err:
            log.info("%s: the partitions went to another desk: %s", self.sink.name, err)
            self._stale = True
            return
        except KafkaError as err:
            log.warning("%s: offsets not committed, the next commit will do: %s", self.sink.name, err)
            return
        for part in ahead.values():
            part.committed = part.next

    def _observe(self) -> None:
        name = self.sink.name
        self._metrics.open_alerts.labels(name).set(len(self.open))
        ends = {tp: self._consumer.highwater(tp) for tp in self._parts if tp in self._consumer.assignment()}
        behind = sum(max(0, end - max(self._parts[tp].committed, 0)) for tp, end in ends.items() if end is not None)
        self._metrics.lag.labels(name).set(behind)
