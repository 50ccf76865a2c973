"""A compacted topic that is read before agents start, and followed from then on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from streams.logs import TopicChanged

log = logging.getLogger("guanlan.worker")

FETCHED_BYTES = 8 << 20
AT_ONCE = 5_000


class Follower:
    """Reads a topic from its beginning, by a consumer of its own outside any group.

    `take` is awaited for every record, in order. `what` names in messages what the topic holds.
    """

    def __init__(
        self, bootstrap: str, topic: str, what: str, take: Callable[[ConsumerRecord], Awaitable[None]]
    ) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._what = what
        self._take = take
        self._consumer: AIOKafkaConsumer | None = None
        self._partitions: list[TopicPartition] = []
        self._position: dict[TopicPartition, int] = {}
        self._moved = asyncio.Condition()

    async def start(self) -> None:
        """Connect and read what the topic holds now; raises KafkaError."""
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap.split(","),
            group_id=None,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=200,
            max_partition_fetch_bytes=FETCHED_BYTES,
        )
        await self._consumer.start()
        numbers = self._consumer.partitions_for_topic(self._topic) or {0}
        self._partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
        self._consumer.assign(self._partitions)
        ends = await self._consumer.end_offsets(self._partitions)
        while any(self._position.get(tp, 0) < end for tp, end in ends.items()):
            await self._read()

    async def follow(self) -> None:
        """Read on for ever; raises TopicChanged when the topic was made again."""
        while True:
            try:
                await self._read()
            except KafkaError as err:
                log.warning("reading %s failed, trying again: %s", self._what, err)
                await asyncio.sleep(1)

    async def catch_up(self, seconds: float = 5.0) -> None:
        """Wait until everything that is in the topic now has been taken; give up after `seconds`."""
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
            why = str(err) or "no answer in time"
            log.warning("%s: not read to the end, going on with what is known: %s", self._what, why)

    async def stop(self) -> None:
        """Close the consumer."""
        if self._consumer is not None:
            await self._consumer.stop()

    def _require_forward(self, tp: TopicPartition, offset: int) -> None:
        known = self._position.get(tp, 0)
        if offset < known:
            why = f"it goes on at offset {offset:,}, and was read up to {known:,} (it was made again, or cut back)"
            raise TopicChanged(self._topic, why)

    async def _read(self) -> None:
        assert self._consumer is not None
        fetched = await self._consumer.getmany(timeout_ms=500, max_records=AT_ONCE)
        for tp, records in fetched.items():
            self._require_forward(tp, records[0].offset)
            for record in records:
                await self._take(record)
        for tp in self._partitions:
            position = await self._consumer.position(tp)
            self._require_forward(tp, position)
            self._position[tp] = position
        async with self._moved:
            self._moved.notify_all()
