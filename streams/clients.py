"""Opening Kafka clients so that a broker that does not answer is one sentence and exit code 3."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from rules.problems import GuanlanError

if TYPE_CHECKING:
    from kafka import KafkaAdminClient, KafkaProducer

CONNECT_SECONDS = 10.0

logging.getLogger("kafka").addHandler(logging.NullHandler())


class ServiceError(GuanlanError):
    """A service that is needed did not answer, or refused."""

    exit_code = 3


class Record(NamedTuple):
    """One Kafka record as bytes; `timestamp` is milliseconds since 1970, as the topic stamps its records."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    partition: int
    offset: int
    timestamp: int = 0


@contextmanager
def answering(bootstrap: str) -> Iterator[None]:
    """Turn Kafka's errors inside the block into ServiceError, naming the broker."""
    from kafka.errors import KafkaError, KafkaTimeoutError

    try:
        yield
    except (KafkaTimeoutError, OSError) as err:
        said = str(err).splitlines()[0] if str(err) else type(err).__name__
        raise ServiceError(
            f"no Kafka broker answers at {bootstrap} ({said}); set GUANLAN_BOOTSTRAP or --bootstrap"
        ) from None
    except KafkaError as err:
        raise ServiceError(f"the Kafka broker at {bootstrap} refused: {err}") from None


@contextmanager
def admin_client(bootstrap: str) -> Iterator[KafkaAdminClient]:
    """Yield an admin client; raises ServiceError."""
    from kafka import KafkaAdminClient

    with answering(bootstrap):
        client = KafkaAdminClient(
            bootstrap_servers=bootstrap.split(","), bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000)
        )
        try:
            yield client
        finally:
            client.close()


def open_producer(bootstrap: str, **options: Any) -> KafkaProducer:
    """Return a producer that waits for all replicas; raises ServiceError. `options` go to kafka-python."""
    from kafka import KafkaProducer

    with answering(bootstrap):
        return KafkaProducer(
            bootstrap_servers=bootstrap.split(","),
            bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
            acks="all",
            **options,
        )


def end_offsets(bootstrap: str, topic: str) -> dict[int, int]:
    """Return the offset behind the last record of each partition, or one before it. Raises ServiceError."""
    from kafka import KafkaConsumer, TopicPartition

    with answering(bootstrap):
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
            group_id=None,
            allow_auto_create_topics=False,
        )
        try:
            partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
            return {p.partition: end for p, end in consumer.end_offsets(partitions).items()} if partitions else {}
        finally:
            consumer.close()


def read_to_end(
    bootstrap: str, topic: str, idle_seconds: float = 30.0, begin: Mapping[int, int] | None = None
) -> Iterator[Record]:
    """Yield every record of a topic from its beginning to its present end, each partition in order.

    `begin` gives offsets by partition from which on records are yielded.
    Belongs to no consumer group. A topic that does not exist has no records. Raises ServiceError when the
    broker does not answer, or gives nothing for `idle_seconds` although there is more.
    """
    from kafka import KafkaConsumer, TopicPartition

    with answering(bootstrap):
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            bootstrap_timeout_ms=int(CONNECT_SECONDS * 1000),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
        )
        try:
            partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
            known = consumer.end_offsets(partitions) if partitions else {}
            ends = {partition: end for partition, end in known.items() if end}
            if not ends:
                return
            consumer.assign(list(ends))
            consumer.seek_to_beginning(*ends)
            for partition in ends:
                if begin and partition.partition in begin:
                    consumer.seek(partition, begin[partition.partition])
            heard, seen = time.monotonic(), set[TopicPartition]()
            while any(consumer.position(p) < end for p, end in ends.items()):
                polled = consumer.poll(timeout_ms=500)
                if polled:
                    heard = time.monotonic()
                elif time.monotonic() - heard > idle_seconds:
                    raise ServiceError(f"the Kafka broker at {bootstrap} stopped sending topic {topic!r}")
                for partition, records in polled.items():
                    if partition not in seen:  # the embedded broker tells the true end only here
                        seen.add(partition)
                        ends[partition] = max(ends[partition], consumer.highwater(partition) or 0)
                    for r in records:
                        if r.offset < ends[partition]:
                            yield Record(r.key, r.value, list(r.headers), r.partition, r.offset, r.timestamp)
        finally:
            consumer.close()
