"""Ways of doing the same job, each written as its own users would write it.

`python -m benchmarks.ways NAME TASK` works a topic off and prints what it measured as one line of JSON. The clock
runs from the first record in hand until everything is judged, all alerts have arrived, and state and offsets are
saved. Each way saves once a second on its way, and once more as soon as the last filing is judged.
"""

from __future__ import annotations

import sys
from pathlib import Path

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

YARDSTICKS = frozenset({"quix", "bytewax"})
"""Ways whose packages ask for older clients than Guanlan's; they run in an environment of their own."""
YARDSTICKS_PYTHON = Path(".venv-yardsticks/bin/python")


def python_of(way: str) -> str:
    """Return the interpreter that runs a way; raise FileNotFoundError where its environment is not there."""
    if way not in YARDSTICKS:
        return sys.executable
    if not YARDSTICKS_PYTHON.exists():
        raise FileNotFoundError(f"{WAYS[way]} runs in {YARDSTICKS_PYTHON.parents[1]}, which make bench sets up")
    return str(YARDSTICKS_PYTHON)


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
