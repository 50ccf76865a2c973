"""The registry of institutions: seed files, and the compacted topic that every worker reads at its start."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rules.registry import Institution
from streams.clients import answering, open_producer, read_to_end


def publish_institutions(bootstrap: str, topic: str, institutions: Iterable[Institution]) -> int:
    """Write each institution under its code and return how many; a later record of a code replaces it.

    Raises ServiceError when the broker does not answer or refuses one.
    """
    producer = open_producer(bootstrap, linger_ms=20)
    with answering(bootstrap):
        try:
            sent = [producer.send(topic, key=i.code.encode(), value=msgspec.json.encode(i)) for i in institutions]
            producer.flush()
            for future in sent:
                future.get()
        finally:
            producer.close()
    return len(sent)


def retire_institutions(bootstrap: str, topic: str, codes: Iterable[str]) -> None:
    """Write a tombstone for each code: the institution leaves the registry and its alerts are retired."""
    producer = open_producer(bootstrap)
    with answering(bootstrap):
        try:
            for future in [producer.send(topic, key=code.encode(), value=None) for code in codes]:
                future.get(timeout=60)
        finally:
            producer.close()


def read_institutions(bootstrap: str, topic: str) -> list[Institution]:
    """Read the topic to its end and return the latest record of each code that is not retired, by code.

    A record that is no institution is passed over: one bad record must not keep a worker from starting.
    Raises ServiceError when the broker does not answer.
    """
    latest: dict[bytes, Institution] = {}
    for record in read_to_end(bootstrap, topic):
        key = record.key or b""
        institution = decode_institution(record.value)
        if institution is not None:
            latest[key] = institution
        elif record.value is None:
            latest.pop(key, None)
    return sorted(latest.values(), key=lambda i: i.code)


def decode_institution(value: bytes | None) -> Institution | None:
    """Return the institution in a record's value, or None for a tombstone or anything else."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=Institution)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
