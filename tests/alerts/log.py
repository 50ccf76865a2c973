"""A topic in memory with the face of kafka-python's consumer, to stop a delivery anywhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from kafka import OffsetAndMetadata, TopicPartition


@dataclass(frozen=True)
class Record:
    """One record."""

    partition: int
    offset: int
    value: bytes | None
    timestamp: int = 0


@dataclass
class Topic:
    """Records by partition, and the offsets that groups committed."""

    partitions: list[list[bytes | None]] = field(default_factory=lambda: [[]])
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    notes: dict[tuple[str, int], str] = field(default_factory=dict)
    stamps: dict[tuple[int, int], int] = field(default_factory=dict)
    """When a record was put there, in milliseconds since the epoch, by partition and offset."""

    def consumer(self, group: str = "desk") -> LogConsumer:
        """Return a consumer of every partition."""
        return LogConsumer(self, group)


class LogConsumer:
    """What `Delivery` uses of a consumer; `rebalance` gives it partitions anew."""

    def __init__(self, topic: Topic, group: str) -> None:
        self._topic = topic
        self._group = group
        self._tps: list[TopicPartition] = []
        self._next: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._listener: Any = None
        self.closed = False

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self._tps = [TopicPartition(topics[0], p) for p in range(len(self._topic.partitions))]
        self._listener = listener
        self.rebalance()

    def rebalance(self, *partitions: int) -> None:
        """Take all partitions away and give back these, by default all."""
        self._listener.on_partitions_revoked(self._tps)
        if partitions:
            self._tps = [TopicPartition("alerts", p) for p in partitions]
        self._next = {tp: self._topic.offsets.get((self._group, tp.partition), 0) for tp in self._tps}
        self._paused.clear()
        self._listener.on_partitions_assigned(self._tps)

    def assignment(self) -> set[TopicPartition]:
        return set(self._tps)

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Record]]:
        found: dict[TopicPartition, list[Record]] = {}
        left = max_records
        for tp in self._tps:
            first = self._next[tp]
            values = [] if tp in self._paused else self._topic.partitions[tp.partition][first : first + left]
            if values:
                found[tp] = [self._record(tp.partition, first + i, value) for i, value in enumerate(values)]
                self._next[tp] += len(values)
                left -= len(values)
        return found

    def _record(self, partition: int, offset: int, value: bytes | None) -> Record:
        return Record(partition, offset, value, self._topic.stamps.get((partition, offset), 0))

    def pause(self, *tps: TopicPartition) -> None:
        self._paused.update(tps)

    def resume(self, *tps: TopicPartition) -> None:
        self._paused.difference_update(tps)

    def beginning_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(tps, 0)

    def end_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: self.highwater(tp) for tp in tps}

    def highwater(self, tp: TopicPartition) -> int:
        return len(self._topic.partitions[tp.partition])

    def committed(self, tp: TopicPartition, metadata: bool = False) -> Any:
        key = (self._group, tp.partition)
        offset = self._topic.offsets.get(key)
        if offset is None or not metadata:
            return offset
        return OffsetAndMetadata(offset, self._topic.notes.get(key, ""), -1)

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._next[tp] = offset

    def position(self, tp: TopicPartition, timeout_ms: int = 0) -> int:
        return self._next[tp]

    def commit(self, offsets: dict[TopicPartition, Any]) -> None:
        for tp, meta in offsets.items():
            self._topic.offsets[self._group, tp.partition] = meta.offset
            self._topic.notes[self._group, tp.partition] = meta.metadata

    def close(self) -> None:
        self.closed = True
