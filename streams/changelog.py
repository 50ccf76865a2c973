"""Rows of state on their way to a changelog.

librdkafka sends them in threads of its own: Faust's producer packs and sends them in the event loop, where nothing is
judged meanwhile. Who hands a row over gets a future, which has the row's offset when the broker has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message

from streams.outbox import FULL_SECONDS, LOOK_SECONDS, Sender, Undelivered

QUEUED_KBYTES = 16 << 10  # rows are copied into the queue: it is not to hold a whole checkpoint


class Changelog:
    """Sends rows, in the order in which they are handed over."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._left = 0
        self._looking: asyncio.Task[None] | None = None

    async def send(self, topic: str, partition: int, key: bytes, value: bytes | None) -> asyncio.Future[int]:
        """Hand a row over, when there is room; the future raises Undelivered where the broker did not take it."""
        row: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        answered: Callable[..., None] = partial(self._answered, topic, row)
        while True:
            try:
                self._sender.produce(topic, key=key, value=value, partition=partition, on_delivery=answered)
            except BufferError:
                self._sender.poll(0)
                await asyncio.sleep(FULL_SECONDS)
                continue
            except KafkaException as err:
                row.set_exception(Undelivered(f"a row of {topic} was not taken by the broker: {err.args[0]}"))
                return row
            break
        self._left += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return row

    def _answered(self, topic: str, row: asyncio.Future[int], error: KafkaError | None, message: Message) -> None:
        self._left -= 1
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
