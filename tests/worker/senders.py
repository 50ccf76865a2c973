"""A stand-in for librdkafka's producer, where a test needs a broker that refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from confluent_kafka import KafkaError


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
