"""Sends filings to Kafka and waits until each is on all replicas, or knows why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from streams.clients import answering, open_producer
from streams.topics import LARGEST_RECORD

if TYPE_CHECKING:
    from kafka import KafkaProducer

LINGER_MS = 10
BATCH_BYTES = 1 << 20
DELIVERY_SECONDS = 120.0
LAST_SECONDS = 5.0
"""How long answers are waited for once somebody has interrupted."""

OpenProducer = Callable[..., "KafkaProducer"]


class Parcel(NamedTuple):
    """A record to send; `position` is the sender's own number for it."""

    position: int
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


class Publisher:
    """A producer for one topic; use it in a `with`.

    It is idempotent: a repeat after a lost answer is not a second record. A broker that does not allow that
    (older than 0.11, or by its access rules) gets a plain producer; `idempotent` then is False.
    Of the last `deliver`, `acknowledged` are the positions of parcels that are in Kafka, `unanswered` those of which
    nobody knows; `ends` are the offsets behind the last acknowledged record, by partition.
    Raises ServiceError when no broker answers.
    """

    def __init__(self, bootstrap: str, topic: str, open_: OpenProducer = open_producer) -> None:
        self.bootstrap = bootstrap
        self.topic = topic
        self.idempotent = True
        self.acknowledged: set[int] = set()
        self.unanswered: set[int] = set()
        self.ends: dict[int, int] = {}
        self._open = open_
        self._producer = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.close(timeout=0 if kind else DELIVERY_SECONDS)

    def deliver(self, parcels: Sequence[Parcel]) -> list[Parcel]:
        """Send the parcels in their order, wait for all, and return those that are too large for the topic.

        Raises ServiceError when the broker stops answering or refuses the others; some may have been taken then, and
        `acknowledged` and `unanswered` say which, as after an interruption.
        """
        from kafka.errors import ClusterAuthorizationFailedError

        self.acknowledged, self.unanswered = set(), set()
        with answering(self.bootstrap):
            failed = self._deliver(parcels)
            denied = {p.position for p, err in failed if isinstance(err, ClusterAuthorizationFailedError)}
            if denied and self.idempotent:
                self._producer.close(timeout=0)
                self.idempotent = False
                self._producer = self._start()
                again = [parcel for parcel in parcels if parcel.position in denied]
                failed = [f for f in failed if f[0].position not in denied] + self._deliver(again)
            return [parcel for parcel, err in failed if _is_too_large(err)]

    def _deliver(self, parcels: Sequence[Parcel]) -> list[tuple[Parcel, Exception]]:
        from kafka.errors import MessageSizeTooLargeError

        failed: list[tuple[Parcel, Exception]] = []
        sent: list[tuple[Parcel, Any]] = []
        try:
            for parcel in parcels:
                try:
                    future = self._producer.send(self.topic, parcel.value, parcel.key, list(parcel.headers))
                    sent.append((parcel, future))
                except MessageSizeTooLargeError as err:
                    failed.append((parcel, err))
            self._producer.flush(timeout=DELIVERY_SECONDS)
        except BaseException:  # an interruption too: what is under way may still be answered
            with suppress(Exception):
                self._producer.flush(timeout=LAST_SECONDS)
            raise
        finally:
            self._note(sent)
        failed += [(parcel, future.exception) for parcel, future in sent if future.failed()]
        return failed

    def _note(self, sent: Sequence[tuple[Parcel, Any]]) -> None:
        """Remember which parcels were acknowledged, and of which nobody knows."""
        for parcel, future in sent:
            if not future.is_done or (future.failed() and _is_unsure(future.exception)):
                self.unanswered.add(parcel.position)
            elif future.succeeded():
                self.unanswered.discard(parcel.position)
                self.acknowledged.add(parcel.position)
                told = future.value
                if told.offset >= 0:
                    self.ends[told.partition] = max(self.ends.get(told.partition, 0), told.offset + 1)

    def _start(self) -> KafkaProducer:
        from kafka.errors import IncompatibleBrokerVersion, KafkaConfigurationError

        options: dict[str, Any] = {
            "linger_ms": LINGER_MS,
            "batch_size": BATCH_BYTES,
            "max_request_size": LARGEST_RECORD + BATCH_BYTES,
            "delivery_timeout_ms": int(DELIVERY_SECONDS * 1000),
            "allow_auto_create_topics": False,
            "enable_idempotence": self.idempotent,
        }
        try:
            producer = self._open(self.bootstrap, **options)
        except (IncompatibleBrokerVersion, KafkaConfigurationError):
            self.idempotent = False
            producer = self._open(self.bootstrap, **{**options, "enable_idempotence": False})
        return producer


def _is_unsure(err: Exception) -> bool:
    """Whether a record may be in Kafka although its sending failed: always, unless the broker said no."""
    from kafka.errors import ClusterAuthorizationFailedError, MessageSizeTooLargeError, RecordListTooLargeError

    return not isinstance(err, MessageSizeTooLargeError | RecordListTooLargeError | ClusterAuthorizationFailedError)


def _is_too_large(err: Exception) -> bool:
    """Whether the broker finds one record too large; raises every other error, which concerns all records."""
    from kafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

    if isinstance(err, MessageSizeTooLargeError | RecordListTooLargeError):
        return True
    raise err
