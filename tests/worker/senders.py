"""Stand-ins for librdkafka's producer and for a state table, where a test needs a broker that refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError

from streams.outbox import Undelivered


@dataclass
class Sender:
    """Stands for a broker behind librdkafka: answers each record with the next of `answers`, success when they run out.

    Answers are told when they are asked for. The queue holds `room` records.
    """

    answers: list[int | None]
    room: int = 1_000
    sent: list[tuple[bytes, bytes | None, list[tuple[str, bytes]]]] = field(default_factory=list)
    told: int = 0
    _untold: list[tuple[Callable[..., None], int | None]] = field(default_factory=list)

    def produce(self, topic: str, /, **record: Any) -> None:
        if len(self._untold) >= self.room:
            raise BufferError
        self.sent.append((record["key"], record["value"], record.get("headers", [])))
        self._untold.append((record["on_delivery"], self.answers.pop(0) if self.answers else None))

    def poll(self, timeout: float) -> int:
        told, self._untold = self._untold, []
        for tell, code in told:
            self.told += 1
            message = SimpleNamespace(offset=lambda offset=self.told - 1: offset)
            tell(None if code is None else KafkaError(code), message)
        return len(told)

    @property
    def keys(self) -> bytes:
        return b"".join(key for key, _, _ in self.sent)


class Table:
    """Stands for a state table: rows by partition; writing fails once `room` for rows is used up."""

    def __init__(self) -> None:
        self.written: dict[int, dict[bytes, bytes]] = {}
        self.room = 1_000_000

    def _answer(self, change: Callable[[], object]) -> Awaitable[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.room:
            self.room -= 1
            change()
            future.set_result(None)
        else:
            future.set_exception(Undelivered("no room"))
        return future

    async def ready(self) -> None:
        """Nothing is ever under way."""

    def put(self, partition: int, key: bytes, value: bytes) -> Awaitable[None]:
        rows = self.written.setdefault(partition, {})
        return self._answer(lambda: rows.update({key: value}))

    def remove(self, partition: int, key: bytes) -> Awaitable[None]:
        return self._answer(lambda: self.written[partition].pop(key))

    def rows(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        yield from sorted(row for row in self.written.get(partition, {}).items() if row[0].startswith(prefix))
