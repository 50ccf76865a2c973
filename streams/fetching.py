"""Records of the columnar topics, received by librdkafka.

Faust's own consumer (aiokafka) receives, checks and unpacks records in Python, which costs a worker a third of its
time and holds the interpreter meanwhile. librdkafka does that in threads of its own and hands over what is ready.
It is told which partitions to read and from where; it joins no group and commits nothing: both stay with Faust.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from faust.types import TP

from streams.encodings import Headers

log = logging.getLogger("guanlan.worker")

TAKEN_AT_ONCE = 500
TAKEN_BYTES = 16 << 20
AHEAD_BYTES = 32 << 20
FETCH_BYTES = 4 << 20
FETCH_LEAST_BYTES = 1 << 20
FETCH_WAIT_MS = 20  # until there are as many bytes: else the broker would be asked for every few records again
FULL_WAIT_MS = 5  # how long a partition is not asked for after it was found ahead; librdkafka's own default is a second
OFFLINE = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT})


class Record(msgspec.Struct, gc=False):
    """A record as it lies in Kafka; `timestamp` is milliseconds since 1970, as the topic stamps its records."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Fetching:
    """Reads partitions from given offsets on. Nothing here blocks but `close`.

    `reached` says of partitions that were read to their end how far that is, until it is taken. Offsets without a
    record lie before it too: of transactions, and of records that expired or were compacted away.
    """

    def __init__(self, bootstrap: str, group: str, check_crcs: bool = True) -> None:
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": group,  # librdkafka wants one; it is joined only by those who subscribe
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "check.crcs": check_crcs,
            "fetch.min.bytes": FETCH_LEAST_BYTES,
            "fetch.wait.max.ms": FETCH_WAIT_MS,
            "fetch.queue.backoff.ms": FULL_WAIT_MS,
            "max.partition.fetch.bytes": FETCH_BYTES,
            "queued.max.messages.kbytes": AHEAD_BYTES >> 10,
            "error_cb": _told,
        }
        self._consumer = Consumer(settings, logger=log)
        self.reached: dict[TP, int] = {}

    def begin(self, starts: Mapping[TP, int]) -> None:
        """Read these partitions and no others from now on, each from its offset."""
        self.reached.clear()
        self._consumer.assign([TopicPartition(tp.topic, tp.partition, offset) for tp, offset in starts.items()])

    def stop(self) -> None:
        """Read nothing until `begin`; what was received and not taken is dropped."""
        self._consumer.unassign()
        self.reached.clear()

    def take(self) -> dict[TP, list[Record]]:
        """Return what has been received, in the order of offsets; some `TAKEN_BYTES` at once.

        Raises KafkaException when the client can't go on.
        """
        taken: dict[TP, list[Record]] = {}
        size = 0
        while size < TAKEN_BYTES:
            messages = self._consumer.consume(TAKEN_AT_ONCE, 0)
            for message in messages:
                if (error := message.error()) is not None and error.code() == KafkaError._PARTITION_EOF:
                    self.reached[TP(message.topic(), message.partition())] = message.offset()
                    continue
                record = _record(message)
                if record is not None:
                    place = TP(record.topic, record.partition)
                    if (records := taken.get(place)) is None:
                        records = taken[place] = []
                    records.append(record)
                    size += len(message)
            if len(messages) < TAKEN_AT_ONCE:
                break
        return taken

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()


def _record(message: Message) -> Record | None:
    error = message.error()
    if error is not None:
        if error.fatal():
            raise KafkaException(error)
        log.warning("%s, partition %s: %s", message.topic(), message.partition(), error.str())
        return None
    headers = message.headers()
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        tuple(headers) if headers else (),
    )


def _told(error: KafkaError) -> None:
    if error.fatal():
        log.critical("the Kafka client can't go on: %s", error.str())
    elif error.code() not in OFFLINE:
        log.warning("the Kafka client says: %s", error.str())
