"""Ways of doing the same job, each written as its own users would write it.

`python -m benchmarks.ways NAME TASK` works a topic off and prints what it measured as one line of JSON. The clock
runs from the first record in hand until everything is judged, all alerts have arrived, and state and offsets are
saved. Each way saves once a second on its way, and once more as soon as the last filing is judged.
"""

from __future__ import annotations

import msgspec

WAYS = {
    "faust": "plain Faust agent",
    "faust_take": "Faust, stream.take(500)",
    "quix": "Quix Streams",
    "bytewax": "Bytewax",
    "loop": "confluent-kafka loop, orjson",
    "limit": "the limit: no framework, no state kept",
    "guanlan": "Guanlan's worker",
}


class Task(msgspec.Struct, frozen=True):
    """What to work off, and where: `out` is the topic for alerts, `folder` an empty one for local state."""

    bootstrap: str
    prefix: str
    group: str
    folder: str
    partitions: int
    job: str
    filings: int
    institutions: int
    out: str

    @property
    def topic(self) -> str:
        """The topic with the filings."""
        return f"{self.prefix}filings"


class Measured(msgspec.Struct, frozen=True):
    """Wall and processor seconds from the first record in hand until all is saved; seconds by stage where known."""

    seconds: float
    cpu: float
    stages: dict[str, float] = {}
    resident: int = 0
