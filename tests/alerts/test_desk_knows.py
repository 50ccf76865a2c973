"""What the desk knows beside events: names of institutions, and how far behind it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from kafka import TopicPartition
from kafka.errors import KafkaConnectionError

from alerts.lag import LagWatch
from alerts.metrics import DeskMetrics
from guanlan.desk_targets import RegistryNames
from streams.clients import ServiceError

HERE = TopicPartition("alerts", 0)


def test_names_are_read_again_when_a_code_is_new() -> None:
    """An institution that was registered after the desk began has its name in the first message about it."""
    registry = {"CN001": {"en": "Bank of Jiangnan"}}
    now, reads = [0.0], []

    def read() -> Mapping[str, Mapping[str, str]]:
        reads.append(now[0])
        return dict(registry)

    names = RegistryNames(read, lambda: now[0])
    assert names("CN001") == {"en": "Bank of Jiangnan"}
    registry["CN002"] = {"en": "Bank of Minjiang"}
    now[0] += 60.0
    assert names("CN002") == {"en": "Bank of Minjiang"}
    assert names("CN001") == {"en": "Bank of Jiangnan"}
    assert reads == [0.0, 60.0]
    assert names("SYSTEM") == names("SYSTEM") == {}
    assert len(reads) <= 3, "who has no name is not looked for each time"


def test_a_registry_that_can_not_be_read_costs_a_name_and_no_message() -> None:
    def read() -> Mapping[str, Mapping[str, str]]:
        raise ServiceError("the broker does not answer")

    assert RegistryNames(read, lambda: 0.0)("CN001") == {}


class Broker:
    """Says where partitions end; is away while `away`."""

    away = False

    def end_offsets(self, partitions: Iterable[TopicPartition], /) -> Mapping[TopicPartition, int]:
        if self.away:
            raise KafkaConnectionError("away")
        return dict.fromkeys(partitions, 10)


class Waiting:
    """A delivery whose target is down: it told everything before offset 4 and reads nothing."""

    name = "mail"
    told: Mapping[TopicPartition, int] = {HERE: 4}


def test_the_lag_is_true_while_a_target_is_down_and_unknown_while_kafka_is() -> None:
    """In an outage of the target it grows though nothing is read; without Kafka it is no number, and never 0."""
    metrics, broker = DeskMetrics(), Broker()
    watch = LagWatch(lambda: broker, [Waiting()], metrics)

    def series(name: str) -> float:
        labels = {"sink": "mail"} if name == "guanlan_desk_lag_records" else {}
        value = metrics.registry.get_sample_value(name, labels)
        assert value is not None
        return value

    watch.look()
    assert (series("guanlan_desk_lag_records"), series("guanlan_desk_kafka_up")) == (6, 1)
    broker.away = True
    watch.look()
    assert math.isnan(series("guanlan_desk_lag_records"))
    assert series("guanlan_desk_kafka_up") == 0
    broker.away = False
    watch.look()
    assert (series("guanlan_desk_lag_records"), series("guanlan_desk_kafka_up")) == (6, 1)
