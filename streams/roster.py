"""The institutions a worker knows: read from the compacted topic before agents start, and followed from then on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from rules.catalogue import SYSTEM
from rules.registry import Institution
from streams.registry import decode_institution

log = logging.getLogger("guanlan.worker")

Changed = Callable[[Institution], Awaitable[None]]
Gone = Callable[[str], Awaitable[None]]


class Roster:
    """Institutions by code, kept up to date by a consumer of its own, outside any group.

    `changed` and `gone` are awaited for every institution that is new or different, and for every code that
    left, once `follow` runs.
    """

    def __init__(self, bootstrap: str, topic: str, institutions: Iterable[Institution] = ()) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._consumer: AIOKafkaConsumer | None = None
        self._partitions: list[TopicPartition] = []
        self._position: dict[TopicPartition, int] = {}
        self._moved = asyncio.Condition()
        self.institutions = {i.code: i for i in institutions}
        self.changed: Changed = _ignore
        self.gone: Gone = _ignore

    def __contains__(self, code: str) -> bool:
        return code in self.institutions

    async def start(self) -> None:
        """Connect and read what the topic holds now."""
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap.split(","),
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=200,
        )
        await self._consumer.start()
        numbers = self._consumer.partitions_for_topic(self._topic) or {0}
        self._partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
        self._consumer.assign(self._partitions)
        ends = await self._consumer.end_offsets(self._partitions)
        while any(self._position.get(tp, 0) < end for tp, end in ends.items()):
            await self._read()

    async def follow(self) -> None:
        """Read on for ever."""
        while True:
            try:
                await self._read()
            except KafkaError as err:
                log.warning("reading the registry of institutions failed, trying again: %s", err)
                await asyncio.sleep(1)

    async def catch_up(self, seconds: float = 5.0) -> None:
        """Wait until everything that is in the topic now has been read; give up after `seconds`."""
        if self._consumer is None:
            return
        try:
            async with asyncio.timeout(seconds):
                ends = await self._consumer.end_offsets(self._partitions)
                async with self._moved:
                    await self._moved.wait_for(
                        lambda: all(self._position.get(tp, 0) >= end for tp, end in ends.items())
                    )
        except (TimeoutError, KafkaError) as err:
            log.warning("the registry of institutions could not be read to its end: %s", err or "no answer in time")

    async def stop(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def _read(self) -> None:
        assert self._consumer is not None
        fetched = await self._consumer.getmany(timeout_ms=500, max_records=5000)
        for records in fetched.values():
            for record in records:
                code = (record.key or b"").decode("utf-8", "replace")
                institution = decode_institution(record.value)
                if institution is not None and institution.code == code != SYSTEM:
                    if self.institutions.get(code) != institution:
                        self.institutions[code] = institution
                        await self.changed(institution)
                elif record.value is None:
                    if self.institutions.pop(code, None) is not None:
                        await self.gone(code)
                else:
                    log.warning("passed over a record of %s that is no institution: key %r", self._topic, code)
        for tp in self._partitions:
            self._position[tp] = await self._consumer.position(tp)
        async with self._moved:
            self._moved.notify_all()


async def _ignore(_: object) -> None:
    """Do nothing: nobody asked to be told."""
