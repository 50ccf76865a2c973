"""The topic `alerts.dead`: messages that a target refused for good, and that they were sent again since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from kafka import KafkaProducer

from alerts.sinks import DeadLetter
from streams.clients import answering, open_producer, read_to_end

CONFIRM_SECONDS = 30.0


class Cemetery:
    """Writes dead letters; opened at the first."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        """Write to `topic`, each letter under its id."""
        self._bootstrap = bootstrap
        self._topic = topic
        self._producer: KafkaProducer | None = None

    def bury(self, letters: Sequence[DeadLetter]) -> None:
        """Write the letters and wait until Kafka has them. Raises KafkaError or ServiceError."""
        self._write((letter.id, msgspec.json.encode(letter)) for letter in letters)

    def sent(self, ids: Iterable[str]) -> None:
        """Note that letters were sent again: a record without value."""
        self._write((ident, None) for ident in ids)

    def _write(self, records: Iterable[tuple[str, bytes | None]]) -> None:
        if self._producer is None:
            self._producer = open_producer(self._bootstrap, allow_auto_create_topics=False)
        for future in [self._producer.send(self._topic, key=key.encode(), value=value) for key, value in records]:
            future.get(timeout=CONFIRM_SECONDS)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._producer is not None:
            self._producer.close()


def read_dead_letters(bootstrap: str, topic: str) -> list[DeadLetter]:
    """Return the letters that were not sent again, oldest first. Raises ServiceError.

    A record that is no letter is passed over.
    """
    found: dict[bytes, DeadLetter] = {}
    with answering(bootstrap):
        for record in read_to_end(bootstrap, topic):
            key = record.key or b""
            found.pop(key, None)
            if record.value:
                try:
                    found[key] = msgspec.json.decode(record.value, type=DeadLetter)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    continue
    return list(found.values())
