"""What a number was measured on: the machine, and the versions of what took part."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from benchmarks.ways import YARDSTICKS_PYTHON

PACKAGES = (
    "guanlan",
    "faust-streaming",
    "aiokafka",
    "kafka-python",
    "rocksdict",
    "msgspec",
    "numpy",
    "confluent-kafka",
    "orjson",
)
COMPARED = ("quixstreams", "bytewax", "confluent-kafka")
"""Packages of the environment of the yardsticks."""


def machine() -> dict[str, object]:
    """Return processor, cores, memory in GiB, system, Python and package versions, those of yardsticks apart."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "yardsticks": _yardsticks(),
    }


def load_average() -> float:
    """How many processes wanted to run in the last minute, ours and others'."""
    return round(os.getloadavg()[0], 2)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _yardsticks() -> dict[str, str]:
    """The versions of what is compared with, asked of its own interpreter; empty where there is none."""
    if not YARDSTICKS_PYTHON.exists():
        return {}
    ask = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    done = subprocess.run([YARDSTICKS_PYTHON, "-c", ask, *COMPARED], capture_output=True, text=True, check=True)
    return dict(zip(COMPARED, done.stdout.split(), strict=True))


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
