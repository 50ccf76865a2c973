"""The brokers that tests and the demo run on do what Guanlan asks of one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.structs import TopicPartition

from deploy.kafka.local import LocalKafka
from streams.embedded import SESSION_TIMEOUT, EmbeddedKafka
from tests.parts import Broker


@pytest.fixture
def embedded() -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka() as broker:
        yield broker


def _make_topic(bootstrap: str, name: str, partitions: int = 2) -> None:
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)])
    finally:
        admin.close()


def _produce(bootstrap: str, topic: str, values: list[bytes], **options: object) -> None:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", **options)
    try:
        sent = [producer.send(topic, value, key=b"CN001") for value in values]
        for record in sent:
            record.get(timeout=60)
    finally:
        producer.close()


def _read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    """Read `count` values of a topic from its beginning, without a group."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    try:
        consumer.assign([TopicPartition(topic, p) for p in sorted(consumer.partitions_for_topic(topic))])
        return [record.value for _, record in zip(range(count), consumer, strict=False)]
    finally:
        consumer.close()


def _read_in_group(bootstrap: str, count: int) -> list[bytes]:
    """Read `count` values of topic filings as the only member of a group, commit, and leave."""
    consumer = KafkaConsumer(
        "filings",
        bootstrap_servers=bootstrap,
        group_id="watch",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=int(SESSION_TIMEOUT * 1000),
        heartbeat_interval_ms=int(SESSION_TIMEOUT * 200),
        max_poll_records=1,
        consumer_timeout_ms=60_000,
    )
    try:
        values = [record.value for _, record in zip(range(count), consumer, strict=False)]
        consumer.commit()
        return values
    finally:
        consumer.close()


def test_idempotent_records_come_back_in_order(kafka: Broker, topic_prefix: str) -> None:
    """Records of one key, sent by an idempotent producer with acks=all, are read in the order they were sent."""
    topic, values = f"{topic_prefix}filings", [b"%d" % n for n in range(500)]
    _make_topic(kafka.bootstrap, topic)
    _produce(kafka.bootstrap, topic, values, enable_idempotence=True)
    assert _read(kafka.bootstrap, topic, len(values)) == values


@pytest.mark.needs("kafka")
def test_a_record_of_50_megabytes_passes(kafka: Broker, topic_prefix: str) -> None:
    """The broker takes a record of 50 MB, so that refusing it is Guanlan's decision."""
    topic, value = f"{topic_prefix}filings", bytes(50_000_000)
    _make_topic(kafka.bootstrap, topic, partitions=1)
    _produce(kafka.bootstrap, topic, [value], max_request_size=60_000_000)
    assert [len(v) for v in _read(kafka.bootstrap, topic, 1)] == [50_000_000]


def test_a_killed_broker_comes_back_with_its_records(own_kafka: LocalKafka) -> None:
    """After SIGKILL and a restart the broker has the same address and every acknowledged record."""
    address, values = own_kafka.bootstrap, [b"%d" % n for n in range(100)]
    _make_topic(address, "filings")
    _produce(address, "filings", values)
    own_kafka.kill()
    own_kafka.restart()
    assert own_kafka.bootstrap == address
    assert _read(address, "filings", len(values)) == values


@pytest.mark.needs("embedded")
def test_the_embedded_broker_keeps_records(embedded: EmbeddedKafka) -> None:
    """The embedded broker takes records with acks=all, idempotent or not, and gives them back in order."""
    values = [b"%d" % n for n in range(200)]
    _make_topic(embedded.bootstrap, "filings")
    _produce(embedded.bootstrap, "filings", values[:100], enable_idempotence=True)
    _produce(embedded.bootstrap, "filings", values[100:], enable_idempotence=False)
    assert _read(embedded.bootstrap, "filings", len(values)) == values


@pytest.mark.needs("embedded")
def test_a_group_on_the_embedded_broker_goes_on_where_it_stopped(embedded: EmbeddedKafka) -> None:
    """A second member of a group, after the first has left, reads what the first had not committed."""
    values = [b"%d" % n for n in range(20)]
    _make_topic(embedded.bootstrap, "filings", partitions=1)
    _produce(embedded.bootstrap, "filings", values)
    assert _read_in_group(embedded.bootstrap, 12) == values[:12]
    assert _read_in_group(embedded.bootstrap, 8) == values[12:]


@pytest.mark.needs("embedded")
def test_stopping_twice_is_harmless() -> None:
    """A broker that does not run can be stopped, and has no address."""
    broker = EmbeddedKafka().start()
    broker.stop()
    broker.stop()
    with pytest.raises(RuntimeError, match="not running"):
        _ = broker.bootstrap
