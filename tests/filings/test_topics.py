"""Topics: made as the table says, and every way in which a cluster may differ is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from streams.clients import ServiceError, admin_client
from streams.topics import FILINGS, LARGEST_RECORD, Difference, create_topics, differences, topic_table
from tests.filings.conftest import Run
from tests.parts import Broker


def test_the_table_has_the_documented_topics() -> None:
    """Names, partitions and what each topic keeps are those of the contract with workers and operators."""
    table = {topic.name: topic for topic in topic_table("x.", partitions=8, replication=3)}
    assert {name: topic.partitions for name, topic in table.items()} == {
        "x.filings": 8,
        "x.filings.rejected": 8,
        "x.filings.questions": 8,
        "x.exposures": 1,
        "x.market.quotes": 1,
        "x.institutions": 1,
        "x.rules": 1,
        "x.cross-section": 1,
        "x.alerts": 8,
        "x.alerts.dead": 1,
        "x.measures": 1,
    }
    compacted = {name for name, topic in table.items() if topic.settings["cleanup.policy"] == "compact"}
    assert compacted == {"x.institutions", "x.rules"}
    kept = ("x.filings", "x.filings.rejected", "x.filings.questions", "x.exposures", "x.market.quotes", "x.alerts")
    for name in kept:
        assert table[name].settings["retention.ms"] == "-1"
    assert all(topic.settings["min.insync.replicas"] == "2" for topic in table.values())
    limits = [int(table[name].settings["max.message.bytes"]) for name in ("x.filings", "x.filings.rejected")]
    assert LARGEST_RECORD == limits[0] < limits[1]


def test_topics_are_created_once_and_differences_are_told(kafka: Broker, topic_prefix: str) -> None:
    """Creating twice creates once; missing topics, other partitions and other settings are each named."""
    table = topic_table(topic_prefix, partitions=3)
    before = differences(kafka.bootstrap, table)
    assert str(before[0]) == f"{topic_prefix}filings: the topic is missing, should be 3 partitions"
    assert len(before) == len(table)
    assert create_topics(kafka.bootstrap, table) == ([topic.name for topic in table], [])
    assert create_topics(kafka.bootstrap, table) == ([], [])
    more = topic_table(topic_prefix, partitions=6)
    expected = [Difference(t.name, "partitions", "6", "3") for t in more if t.partitions == 6]
    assert differences(kafka.bootstrap, more) == expected
    assert create_topics(kafka.bootstrap, more) == ([], expected)


def test_processes_that_start_together_may_all_create_them(kafka: Broker, topic_prefix: str) -> None:
    """Whoever finds a topic made meanwhile goes on: it is there, and as it should be."""
    table = topic_table(topic_prefix, partitions=2)
    together = Barrier(3)

    def create(_: int) -> list[Difference]:
        together.wait(30)
        return create_topics(kafka.bootstrap, table)[1]

    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(create, range(3))) == [[], [], []]
    assert differences(kafka.bootstrap, table) == []


def test_settings_that_differ_are_mended(kafka: Broker, topic_prefix: str) -> None:
    """A topic that the broker made with its own defaults gets our settings."""
    table = topic_table(topic_prefix, partitions=1)
    with admin_client(kafka.bootstrap) as admin:
        plain = {"num_partitions": 1, "replication_factor": 1, "configs": {"retention.ms": "60000"}}
        admin.create_topics({topic_prefix + FILINGS: plain}, wait_for_metadata=True)
    told = [str(d) for d in differences(kafka.bootstrap, table) if d.topic == topic_prefix + FILINGS]
    if kafka.kind != "embedded":
        assert f"{topic_prefix}filings: retention.ms is 60000, should be -1" in told
    create_topics(kafka.bootstrap, table)
    assert differences(kafka.bootstrap, table) == []


def test_the_commands_create_and_describe(
    kafka: Broker, topic_prefix: str, guanlan: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`describe` ends with 1 while something differs and says what, with 0 once `create` has run."""
    monkeypatch.setenv("GUANLAN_TOPIC_PREFIX", topic_prefix)
    monkeypatch.setenv("GUANLAN_BOOTSTRAP", kafka.bootstrap)
    assert guanlan("topics", "describe", "--partitions", "2") == 1
    told = capsys.readouterr()
    assert f"{topic_prefix}alerts: the topic is missing, should be 2 partitions" in told.err
    assert guanlan("topics", "create", "--partitions", "2") == 0
    assert capsys.readouterr().out == "11 topics created, 0 were there\n"
    assert guanlan("topics", "describe", "--partitions", "2") == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [topic_prefix + "filings", "2", "1", "everything", "ok"] in shown
    assert [topic_prefix + "rules", "1", "1", "the", "latest", "of", "each", "key", "ok"] in shown


def test_no_broker_is_one_sentence(
    guanlan: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where no broker answers the exit code is 3 and the message says which setting to look at."""
    monkeypatch.setattr("streams.clients.CONNECT_SECONDS", 0.3)
    with pytest.raises(ServiceError, match=r"no Kafka broker answers at 127\.0\.0\.1:1 "):
        differences("127.0.0.1:1", topic_table())
    assert guanlan("topics", "describe", "--bootstrap", "127.0.0.1:1") == 3
    told = capsys.readouterr().err
    assert "set GUANLAN_BOOTSTRAP or --bootstrap" in told
    assert "Traceback" not in told
