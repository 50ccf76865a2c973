"""Where records go: the partition that Kafka's default partitioner gives a key."""

from __future__ import annotations

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=200_000)
def home(key: str | bytes, partitions: int) -> int:
    """Return the partition of a key, as every client with Kafka's default partitioner chooses it.

    >>> home("CN001", 8)
    2
    """
    data = key.encode() if isinstance(key, str) else key
    return int((murmur2(data) & 0x7FFFFFFF) % partitions)
