"""Rows of state on their way to a changelog.

librdkafka sends them in threads of its own: Faust's producer packs and sends them in the event loop, where nothing is
judged meanwhile. Who hands a row over gets a future, which has the row's offset when the broker has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message

from streams.outbox import LOOK_SECONDS, Sender, Undelivered

AHEAD_BYTES = 16 << 20  # rows are copied into the queue: it is not to hold a whole checkpoint


class Changelog:
    """Sends rows, in the order in which they are handed over. Who has many awaits `ready` now and then."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._left = self._queued = 0
        self._looking: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """Wait until little is under way."""
        while self._queued > AHEAD_BYTES:
            await asyncio.sleep(LOOK_SECONDS)

    def send(self, topic: str, partition: int, key: bytes, value: bytes | None) -> asyncio.Future[int]:
        """Hand a row over; the future raises Undelivered where the broker did not take it."""
        row: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        size = len(value or b"")
        answered: Callable[..., None] = partial(self._answered, topic, row, size)
        try:
            self._sender.produce(topic, key=key, value=value, partition=partition, on_delivery=answered)
        except (BufferError, KafkaException) as err:
            row.set_exception(Undelivered(f"a row of {topic} can't be sent: {err}"))
            return row
        self._left += 1
        self._queued += size
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return row

    def _answered(
        self, topic: str, row: asyncio.Future[int], size: int, error: KafkaError | None, message: Message
    ) -> None:
        self._left -= 1
        self._queued -= size
        if row.cancelled():
            return
        if error is None:
            row.set_result(message.offset())
        else:
            row.set_exception(Undelivered(f"a row of {topic} was not taken by the broker: {error}"))

    async def _look(self) -> None:
        """Ask for answers until there are all."""
        while self._left:
            await asyncio.sleep(LOOK_SECONDS)
            self._sender.poll(0)
