"""What the worker sends, and what of that has arrived: alerts, rejected records, columns, measures.

librdkafka sends them in threads of its own. Nothing waits for a record by itself: a checkpoint waits until all that
were handed over before it have arrived.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from streams.topics import LARGEST_RECORD

log = logging.getLogger("guanlan.worker")

ATTEMPTS = 5
PAUSE_SECONDS = 0.2
LOOK_SECONDS = 0.002
FULL_SECONDS = 0.01
LINGER_MS = 5
BATCH_BYTES = 512 << 10
QUEUED_KBYTES = 128 << 10
DELIVERY_MS = 30_000

Headers = Sequence[tuple[str, bytes]]


class Undelivered(Exception):
    """The broker did not take everything; the checkpoint is put off."""


class Post(NamedTuple):
    """A record to be sent. `bulky` says that its value may be left out when the broker finds it too large."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    bulky: bool = False


class Sender(Protocol):
    """The part of confluent-kafka's producer that is used here."""

    def produce(self, topic: str, /, **record: Any) -> None:
        """Queue a record. Raises BufferError when the queue is full, KafkaException when it can't be sent at all."""

    def poll(self, timeout: float) -> int:
        """Tell who asked of what has arrived meanwhile."""


def sender(bootstrap: str) -> Sender:
    """Return a producer that keeps the order of records with the same key, and chooses partitions as Java's does."""
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "partitioner": "murmur2_random",
            "max.in.flight.requests.per.connection": 1,
            "linger.ms": LINGER_MS,
            "batch.size": BATCH_BYTES,
            "message.max.bytes": LARGEST_RECORD + (1 << 20),
            "queue.buffering.max.kbytes": QUEUED_KBYTES,
            "queue.buffering.max.messages": 1_000_000,
            "delivery.timeout.ms": DELIVERY_MS,
        },
        logger=log,
    )


@dataclass(slots=True, eq=False)
class Parcel:
    """Records handed over together: how many have no answer yet, and which the broker did not take, and why."""

    posts: Sequence[Post]
    left: int = 0
    failed: list[tuple[Post, KafkaError]] = field(default_factory=list)

    def answered(self, post: Post, error: KafkaError | None, _: object = None) -> None:
        """Note the broker's answer."""
        self.left -= 1
        if error is not None:
            self.failed.append((post, error))


class Outbox:
    """Sends without waiting, and remembers what has not arrived."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._under_way: list[Parcel] = []

    def __len__(self) -> int:
        return sum(parcel.left + len(parcel.failed) for parcel in self._under_way)

    async def send(self, posts: Sequence[Post]) -> None:
        """Hand records over, keeping their order by key; `confirm` tells whether they arrived."""
        parcel = await self._hand_over(posts)  # what is under way may be taken meanwhile
        self._under_way.append(parcel)

    async def _hand_over(self, posts: Sequence[Post]) -> Parcel:
        parcel, produce = Parcel(posts), self._sender.produce
        for post in posts:
            told: Callable[..., None] = partial(parcel.answered, post)
            record = {"value": post.value, "key": post.key, "on_delivery": told}
            if post.headers:
                record["headers"] = list(post.headers)
            parcel.left += 1
            while True:
                try:
                    produce(post.topic, **record)
                except BufferError:
                    self._sender.poll(0)
                    await asyncio.sleep(FULL_SECONDS)
                    continue
                except KafkaException as err:
                    parcel.answered(post, err.args[0])
                break
        self._sender.poll(0)
        return parcel

    def take(self) -> list[Parcel]:
        """Return what is under way and forget it; give it to `confirm`."""
        parcels, self._under_way = self._under_way, []
        return parcels

    async def confirm(self, parcels: list[Parcel]) -> None:
        """Wait until the broker has all of them, sending again what failed.

        Raises Undelivered when the broker keeps refusing; those records are then under way again.
        """
        failed = await self._failed(parcels)
        for attempt in range(ATTEMPTS):
            if not failed:
                return
            log.warning("%d records were not taken by the broker, sending again: %s", len(failed), failed[0][1])
            await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
            failed = await self._again(failed)
        if failed:
            self._under_way.insert(0, Parcel([post for post, _ in failed], 0, failed))
            raise Undelivered(f"{len(failed)} records were not taken by the broker: {failed[0][1]}")

    async def _failed(self, parcels: Sequence[Parcel]) -> list[tuple[Post, KafkaError]]:
        self._sender.poll(0)
        while any(parcel.left for parcel in parcels):
            await asyncio.sleep(LOOK_SECONDS)
            self._sender.poll(0)
        return [failure for parcel in parcels for failure in parcel.failed]

    async def _again(self, failed: Sequence[tuple[Post, KafkaError]]) -> list[tuple[Post, KafkaError]]:
        """Send again: each record alone where one was too large, because what travelled with it failed too."""
        if not any(error.code() == KafkaError.MSG_SIZE_TOO_LARGE for _, error in failed):
            return await self._failed([await self._hand_over([post for post, _ in failed])])
        left = []
        for post, _ in failed:
            once = await self._failed([await self._hand_over([post])])
            if once and post.bulky and once[0][1].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                once = await self._failed([await self._hand_over([_without_value(post)])])
            left += once
        return left


def _without_value(post: Post) -> Post:
    size = str(len(post.value or b"")).encode()
    return Post(post.topic, post.key, b"", [*post.headers, ("left_out", size)])
