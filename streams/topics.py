"""The table of Guanlan's topics, and how a cluster is made to agree with it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rules.problems import ConfigError
from streams.clients import ServiceError, admin_client

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

FILINGS = "filings"
REJECTED = "filings.rejected"
QUESTIONS = "filings.questions"
EXPOSURES = "exposures"
INSTITUTIONS = "institutions"
RULES = "rules"
CROSS_SECTION = "cross-section"
ALERTS = "alerts"
DEAD_LETTERS = "alerts.dead"
MEASURES = "measures"
QUOTES = "market.quotes"

LARGEST_RECORD = 64 * 1024 * 1024
"""Bytes that the topics of filings take: well above what a worker accepts, so that a filing that is far too
large is judged and kept like any other bad filing, and not lost at the sender."""

LARGEST_RELEASE = 16 * 1024 * 1024
"""Bytes of a release of rules: all packs in one record."""

_HEADERS = 64 * 1024
_SETTLE_SECONDS = 10.0
_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1"}
_LATEST = {"cleanup.policy": "compact"}
_MONTH = {"cleanup.policy": "delete", "retention.ms": str(30 * 86_400_000)}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it should be: partitions, copies, and the settings that differ from Kafka's defaults."""

    name: str
    partitions: int
    replication: int
    settings: dict[str, str] = field(default_factory=dict)
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which a cluster differs from the table; `found` is empty where the topic is missing."""

    topic: str
    what: str
    expected: str
    found: str = ""

    def __str__(self) -> str:
        return f"{self.topic}: {self.what} is {self.found or 'missing'}, should be {self.expected}"


def topic_table(prefix: str = "", partitions: int = 8, replication: int = 1) -> tuple[Topic, ...]:
    """Return every topic that Guanlan needs besides Faust's changelogs.

    What arrives is kept for ever, because all state is rebuilt from it; registry and rules keep the latest
    record of each key; the cross-section can be made again from the filings and is kept for 30 days.
    """
    filing = {**_FOR_EVER, "max.message.bytes": str(LARGEST_RECORD)}
    rejected = {**_FOR_EVER, "max.message.bytes": str(LARGEST_RECORD + _HEADERS)}
    release = {**_LATEST, "max.message.bytes": str(LARGEST_RELEASE)}
    table = (
        (FILINGS, partitions, filing, "filings of institutions, keyed by institution"),
        (REJECTED, partitions, rejected, "refused filings, original bytes, the reason in the headers"),
        (QUESTIONS, partitions, rejected, "filings whose units are in question, and what became of them"),
        (EXPOSURES, 1, filing, "bilateral exposures, keyed by the reporting institution"),
        (QUOTES, 1, _FOR_EVER, "prices and market series, keyed by series; optional"),
        (INSTITUTIONS, 1, _LATEST, "registry of institutions, keyed by code"),
        (RULES, 1, release, "releases of rules, the newest in force"),
        (CROSS_SECTION, 1, _MONTH, "columns of all partitions for the system agent"),
        (ALERTS, partitions, _FOR_EVER, "transitions of alerts, CloudEvents, keyed by subject"),
        (DEAD_LETTERS, 1, _FOR_EVER, "messages that a target refused for good, to be sent again by hand"),
        (MEASURES, 1, _FOR_EVER, "systemic and transformation measures"),
    )
    durable = {"min.insync.replicas": "2"} if replication >= 3 else {}
    return tuple(
        Topic(prefix + name, count, replication, {**settings, **durable}, purpose)
        for name, count, settings, purpose in table
    )


def create_topics(bootstrap: str, table: Iterable[Topic]) -> tuple[list[str], list[Difference]]:
    """Create the topics that are missing and set the settings that differ.

    Returns the names of those created and the differences that stay: partitions and replication of an
    existing topic, because more partitions would part an institution's filings. Raises ServiceError.
    """
    table = tuple(table)
    with admin_client(bootstrap) as admin:
        there = set(admin.list_topics())
        missing = [topic for topic in table if topic.name not in there]
        _create(admin, missing)
        mended = _mend_settings(admin, [topic for topic in table if topic.name in there])
    left = differences(bootstrap, table)
    deadline = time.monotonic() + _SETTLE_SECONDS
    while mended and any(d.what in mended for d in left) and time.monotonic() < deadline:
        time.sleep(0.1)
        left = differences(bootstrap, table)
    return [topic.name for topic in missing], left


def _create(admin: KafkaAdminClient, missing: list[Topic]) -> None:
    """Create topics and wait until they can be used. Another process that starts now may be first with some."""
    from kafka.errors import TopicAlreadyExistsError

    asked = {
        topic.name: {
            "num_partitions": topic.partitions,
            "replication_factor": topic.replication,
            "configs": topic.settings,
        }
        for topic in missing
    }
    if not asked:
        return
    try:
        admin.create_topics(asked, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        admin.wait_for_topics(list(asked))


def differences(bootstrap: str, table: Iterable[Topic]) -> list[Difference]:
    """Return how the cluster differs from the table; raises ServiceError."""
    found: list[Difference] = []
    with admin_client(bootstrap) as admin:
        there = {topic["name"]: topic["partitions"] for topic in admin.describe_topics()}
        present = [topic for topic in table if topic.name in there]
        settings = _settings(admin, present)
        for topic in table:
            if topic.name not in there:
                found.append(Difference(topic.name, "the topic", f"{topic.partitions} partitions"))
                continue
            partitions = there[topic.name]
            copies = min(len(p["replica_nodes"]) for p in partitions)
            actual = {"partitions": len(partitions), "replication": copies}
            wanted = {"partitions": topic.partitions, "replication": topic.replication}
            found.extend(
                Difference(topic.name, what, str(wanted[what]), str(actual[what]))
                for what in wanted
                if wanted[what] != actual[what]
            )
            found.extend(_setting_differences(topic, settings.get(topic.name, {})))
    return found


def require_topic(bootstrap: str, name: str) -> None:
    """Raise ConfigError when the topic is not there, ServiceError when no broker answers."""
    with admin_client(bootstrap) as admin:
        there = name in admin.list_topics()
    if not there:
        raise ConfigError(f"there is no topic {name!r} at {bootstrap}; run: guanlan topics create")


def _settings(admin: KafkaAdminClient, topics: list[Topic]) -> dict[str, dict[str, str]]:
    """Return the settings by topic; empty for a broker that does not tell them."""
    from kafka.admin import ConfigResource, ConfigResourceType

    if not topics:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics]
    told = admin.describe_configs(asked, config_filter="all").get("topic", {})
    return {name: {key: str(c["value"]) for key, c in configs.items()} for name, configs in told.items()}


def _setting_differences(topic: Topic, actual: dict[str, str]) -> list[Difference]:
    if not actual:
        return []
    return [
        Difference(topic.name, key, wanted, actual.get(key, "unset"))
        for key, wanted in topic.settings.items()
        if actual.get(key) != wanted
    ]


def _mend_settings(admin: KafkaAdminClient, topics: list[Topic]) -> set[str]:
    """Set what differs and return the names of the settings; brokers may take a moment until they show it."""
    from kafka.admin import ConfigResource, ConfigResourceType

    settings = _settings(admin, topics)
    differing = {t.name: _setting_differences(t, settings.get(t.name, {})) for t in topics}
    changes = [
        ConfigResource(ConfigResourceType.TOPIC, name, {d.what: d.expected for d in found})
        for name, found in differing.items()
        if found
    ]
    if not changes:
        return set()
    for name, answer in admin.alter_configs(changes, raise_on_unknown=False).get("topic", {}).items():
        if answer != "OK":
            raise ServiceError(f"the broker did not change the settings of topic {name!r}: {answer}")
    return {d.what for found in differing.values() for d in found}
