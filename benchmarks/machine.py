"""What a number was measured on: the machine, and the versions of what took part."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "guanlan",
    "faust-streaming",
    "aiokafka",
    "kafka-python",
    "rocksdict",
    "msgspec",
    "numpy",
    "quixstreams",
    "bytewax",
    "confluent-kafka",
    "orjson",
)


def machine() -> dict[str, object]:
    """Return processor, cores, memory in GiB, system, Python and package versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def load_average() -> float:
    """How many processes wanted to run in the last minute, ours and others'."""
    return round(os.getloadavg()[0], 2)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
