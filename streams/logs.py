"""What the broker says of the topics' logs: where each ends, and which topic a name stands for today.

Offsets that a worker remembers are those of one topic. When a topic is deleted and made again, or its log is cut back
by a leader that had not all of it, offsets begin again, and what comes would count as seen: see `TopicChanged`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from faust.types import TP

from rules.problems import GuanlanError

TIMEOUT_SECONDS = 10.0
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""What a broker that knows no ids of topics says."""


class TopicChanged(GuanlanError):
    """A topic is not the one any more whose offsets are remembered."""

    exit_code = 4

    def __init__(self, topic: str, why: str) -> None:
        super().__init__(
            f"the topic {topic!r} is not the one whose offsets are remembered: {why}; stop all workers, run `guanlan"
            " topics forget`, which drops what they remember, and start them again: they compute it from what is there"
        )


class Logs:
    """Asks one cluster. Nothing here blocks; KafkaException is raised where the broker does not answer."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._client: AdminClient | None = None

    def _admin(self) -> AdminClient:
        if self._client is None:
            quiet = {"log_level": 0, "error_cb": lambda error: None}
            self._client = AdminClient({"bootstrap.servers": self._bootstrap, **quiet})
        return self._client

    async def ends(self, places: Iterable[TP]) -> dict[TP, int]:
        """Return where each partition ends for who reads what is committed: before transactions that are open."""
        asked = {TopicPartition(place.topic, place.partition): OffsetSpec.latest() for place in places}
        if not asked:
            return {}
        committed = IsolationLevel.READ_COMMITTED
        told = self._admin().list_offsets(asked, isolation_level=committed, request_timeout=TIMEOUT_SECONDS)
        found = await asyncio.gather(*map(asyncio.wrap_future, told.values()))
        return {TP(at.topic, at.partition): one.offset for at, one in zip(told, found, strict=True)}

    async def ids(self, topics: Iterable[str]) -> dict[str, str]:
        """Return the ids of topics; without those that are not there, and of a broker that knows none."""
        told = self._admin().describe_topics(TopicCollection(sorted(topics)), request_timeout=TIMEOUT_SECONDS)
        found = await asyncio.gather(*map(asyncio.wrap_future, told.values()), return_exceptions=True)
        ids = {}
        for topic, one in zip(told, found, strict=True):
            if isinstance(one, KafkaException) and one.args[0].code() in _NOT_TOLD:
                continue
            if isinstance(one, BaseException):
                raise one
            if (ident := str(one.topic_id)) != NO_ID:
                ids[topic] = ident
        return ids


_NOT_TOLD = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNSUPPORTED_FEATURE})


def require_same(before: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Raise TopicChanged for a topic that has another id now than before."""
    for topic, ident in before.items():
        if now.get(topic, ident) != ident:
            raise TopicChanged(topic, "it was deleted and made again")
