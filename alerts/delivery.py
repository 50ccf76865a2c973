"""Delivery: reads the topic `alerts` for one sink, in the sink's own consumer group.

    partitions assigned ─► read from the beginning up to where the group was, telling only what still waited
                        ─► then read on: fold, add, flush, commit the offset with the notes beside it
    sink down           ─► reading pauses, what was added waits, tries again with back-off; other sinks go on
    partitions taken    ─► everything is forgotten and built again from the topic

Guarantee: at least once. An offset is committed only after the sink took everything before it; what it holds back by
its policy is noted beside the offset (`alerts.notes`), as is the moment up to which the clock was looked at. What may
come twice is what a crash or a rebalance left between a flush and its commit: one batch at most, same ids.

A group without an offset is new: it is told once of each alert that is open, and not of the history.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import CommitFailedError, KafkaError, RetriableError

from alerts import notes
from alerts.backoff import wait_seconds
from alerts.desk import Alert, Notice
from alerts.due_dates import Recount, as_told
from alerts.events import NotATransition, decode
from alerts.metrics import DeskMetrics
from alerts.notes import Notes
from alerts.sinks import DeadLetter, Sink, SinkDown
from alerts.telling import Again, Telling

log = logging.getLogger("guanlan.desk")

POLL_SECONDS = 0.5
COMMIT_SECONDS = 5.0
LONGEST_MARK_SECONDS = 60.0
"""After so long the moment up to which the clock was looked at is committed, though nothing was told."""
LONGEST_FLUSH_SECONDS = 900


@dataclass(slots=True, eq=False)
class Partition:
    """One partition as this sink has seen it.

    `next` is the offset after the last event folded, `end` where the partition ended when it was taken over,
    `committed` the group's offset in Kafka, -1 for none, and `was` the notes beside it. `mark` is the moment up to
    which the clock was looked at.
    """

    next: int
    end: int
    committed: int
    telling: Telling
    was: Notes | None = None
    mark: float = 0.0
    noted: Notes | None = None
    begun: bool = False
    caught_up: bool = False

    @property
    def new(self) -> bool:
        """Whether the group has never told anything of it; asked only until it has caught up."""
        return self.committed < 0 or max(self.committed, self.was.next if self.was else 0) > self.end

    @property
    def told_until(self) -> int:
        """Events before this offset were told before but for those that waited, or are history to a new group."""
        if self.new:
            return self.end
        return self.was.next if self.was else self.committed


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


def open_consumer(
    bootstrap: str, group: str | None, instance: str = "", connect_seconds: float = 10.0
) -> KafkaConsumer:
    """Return a connected consumer, in no group for None. Raises KafkaTimeoutError when no broker answers."""
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
        now: Callable[[], float] = time.time,
        again: Again | None = None,
        bury: Callable[[Sequence[DeadLetter]], None] | None = None,
        recount: Recount = as_told,
    ) -> None:
        """Drive `sink` by what `consumer` reads of `topic`.

        `clock` spaces tries and commits, `now` is the time of day in seconds since the epoch, `draw` shortens waits.
        `again` is the policy of telling again; `bury` keeps dead letters, and raises a KafkaError where it can't;
        `recount` counts provisional due dates again.
        """
        self.sink = sink
        self._now = now
        self._again = again or Again()
        self._bury = bury
        self._recount = recount
        self._dead: list[DeadLetter] = []
        self._consumer = consumer
        self._clock = clock
        self._draw = draw
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
    def name(self) -> str:
        """The sink's name."""
        return self.sink.name

    @property
    def caught_up(self) -> bool:
        """Whether partitions are assigned and the past of each has been read."""
        return bool(self._parts) and all(part.caught_up for part in self._parts.values())

    @property
    def open(self) -> list[Alert]:
        """Open alerts of the partitions at hand, oldest first."""
        found = [alert for part in self._parts.values() for alert in part.telling.desk.open.values()]
        return sorted(found, key=lambda alert: (alert.opened, alert.last.alert_id))

    @property
    def told(self) -> Mapping[TopicPartition, int]:
        """By partition, the offset before which everything was told; safe to read from another thread."""
        return {tp: max(part.committed, 0) for tp, part in list(self._parts.items())}

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
            told += self._tick(polled) + self._repeat()
        if told or self._waiting or any(True for _ in self.sink.waiting()):
            self._flush(told)
        if told or self._clock() >= self._commit_at:
            self._commit()
        self._metrics.open_alerts.labels(self.sink.name).set(len(self.open))

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
                self._parts[tp] = self._partition(tp, first[tp], last[tp])
                self._consumer.seek(tp, first[tp])
            self._consumer.resume(*tps)
        self._stale = False
        self._repeat_at = 0.0
        log.info("%s: %d partitions of alerts", self.sink.name, len(tps))

    def _partition(self, tp: TopicPartition, first: int, last: int) -> Partition:
        found = self._consumer.committed(tp, metadata=True)
        committed = -1 if found is None or found.offset < 0 else found.offset
        was = notes.decode(committed, found.metadata) if committed >= 0 else None
        telling = Telling(self._again, partition=tp.partition)
        if was is not None:
            self.sink.restore(tp.partition, was.digests)
        return Partition(first, last, committed, telling, was, was.mark if was else self._now())

    def _read(self, part: Partition, records: Iterable[ConsumerRecord]) -> int:
        told = 0
        for record in records:
            if not part.caught_up and record.offset >= part.told_until:
                told += self._catch_up(part)
            part.next = record.offset + 1
            at = record.timestamp / 1000.0 if record.timestamp and record.timestamp > 0 else self._now()
            if not part.caught_up:
                part.telling.tick(min(at, part.mark))
            try:
                found = part.telling.fold(self._recount(decode(record.value or b"")), at, record.offset)
            except NotATransition as err:
                self._metrics.unreadable.labels(self.sink.name).inc()
                log.warning("alerts %d:%d passed over: %s", record.partition, record.offset, err)
                continue
            waited = part.was is not None and not part.new and record.offset in part.was.waiting
            if part.caught_up or waited:
                told += sum(self._tell(notice) for notice in found)
        return told

    def _catch_up(self, part: Partition) -> int:
        part.caught_up = True
        part.telling.tick(part.mark)
        if not part.new:
            return 0
        standing = part.telling.standing()
        return sum(self._tell(replace(notice, kind="firing", before=None, first=True)) for notice in standing)

    def _tick(self, polled: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> int:
        """Tell what the clock has to say of partitions that were read to their end."""
        told, now = 0, self._now()
        for tp, part in self._parts.items():
            if part.caught_up and (not polled.get(tp) or part.next >= (self._consumer.highwater(tp) or 0)):
                told += sum(self._tell(notice) for notice in part.telling.tick(now))
                part.mark = max(part.mark, now)
        return told

    def _repeat(self) -> int:
        """Add every open alert again, where the sink wants that and it is time."""
        if not self.sink.repeat_seconds or not self.caught_up or self._clock() < self._repeat_at:
            return 0
        self._repeat_at = self._clock() + self.sink.repeat_seconds
        standing = [notice for part in self._parts.values() for notice in part.telling.standing()]
        told = sum(self._tell(notice) for notice in standing)
        self.sink.assigned(tp.partition for tp in self._parts)
        return told

    def _tell(self, notice: Notice) -> int:
        self.sink.add(notice)
        self._metrics.notices.labels(self.sink.name, notice.kind).inc()
        return 1

    def _flush(self, told: int) -> None:
        if self._waiting and self._clock() < self._retry_at:
            return
        try:
            accepted = self.sink.flush()
            self._keep_dead()
        except (SinkDown, KafkaError) as err:
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
        if accepted or told:
            self._metrics.up.labels(self.sink.name).set(1)
            self._metrics.delivered.labels(self.sink.name).set(self._now())

    def _keep_dead(self) -> None:
        """Put what was refused for good on its topic, before the offset passes it."""
        dead = self.sink.dead()
        self._dead += dead
        self._metrics.refused.labels(self.sink.name).inc(len(dead))
        for letter in dead:
            log.error("%s refused for good: %s (%s)", self.sink.name, letter.title, letter.reason)
        if self._dead and self._bury is not None:
            self._bury(self._dead)
        self._dead.clear()

    def _commit(self) -> None:
        self._commit_at = self._clock() + COMMIT_SECONDS
        waiting = [notice for notice in self.sink.waiting() if notice.kind != "repeated"]
        ahead: dict[Partition, tuple[TopicPartition, Notes]] = {}
        for tp, part in self._parts.items():
            if not part.caught_up:
                continue
            held = [notice for notice in waiting if notice.partition == tp.partition]
            offsets = frozenset(notice.offset for notice in held if notice.offset >= 0)
            clocked = [notice.at for notice in held if notice.offset < 0]
            mark = min(clocked) - 0.001 if clocked else part.mark
            noted = Notes(part.next, mark, offsets, tuple(self.sink.digests(tp.partition)))
            if part.noted is None or noted.differs(part.noted, LONGEST_MARK_SECONDS):
                ahead[part] = (tp, noted)
        if not ahead:
            return
        try:
            offsets_to_commit = {tp: OffsetAndMetadata(n.offset, n.encode(), -1) for tp, n in ahead.values()}
            self._consumer.commit(offsets_to_commit)
        except CommitFailedError as err:
            log.info("%s: the partitions went to another desk: %s", self.sink.name, err)
            self._stale = True
            return
        except KafkaError as err:
            log.warning("%s: offsets not committed, the next commit will do: %s", self.sink.name, err)
            return
        for part, (_, noted) in ahead.items():
            part.committed, part.noted = noted.offset, noted
