"""The programs Guanlan works with, and where they are on this machine.

Everything here only looks; `make parts` installs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from os import environ
from pathlib import Path

OLDEST_JAVA = 17

_VERSION = re.compile(r'version "(\d+)')


@cache
def java() -> Path | None:
    """Return the `java` program of JAVA_HOME or the path, or None where it is missing or older than Java 17."""
    home = environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else None
    found = found or shutil.which("java")
    if found is None:
        return None
    answer = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    version = _VERSION.search(answer.stderr + answer.stdout)
    return Path(found) if version and int(version[1]) >= OLDEST_JAVA else None


def kafka_jars() -> Path | None:
    """Return the folder of Apache Kafka's jars (`.parts/kafka` of the checkout), or None where they are missing."""
    folder = Path(__file__).resolve().parents[1] / ".parts" / "kafka"
    return folder if any(folder.glob("kafka_2.13-*.jar")) else None


def kafka_version() -> str | None:
    """Return the version of Apache Kafka's jars, such as "4.4.0", or None where they are missing."""
    folder = kafka_jars()
    if folder is None:
        return None
    return next(folder.glob("kafka_2.13-*.jar")).stem.removeprefix("kafka_2.13-")


def prometheus() -> Path | None:
    """Return the program `prometheus`, or None."""
    return _program("prometheus")


def alertmanager() -> Path | None:
    """Return the program of Alertmanager, which Debian calls `prometheus-alertmanager`, or None."""
    return _program("prometheus-alertmanager", "alertmanager")


def chromium() -> Path | None:
    """Return a Chromium or Chrome program, or None."""
    return _program("chromium", "chromium-browser", "google-chrome")


@cache
def docker_answers() -> bool:
    """Whether a Docker engine answers, not only whether its command line is installed."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        answer = subprocess.run(
            [docker, "info", "--format", "{{.ServerVersion}}"], capture_output=True, timeout=10, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0 and bool(answer.stdout.strip())


def _program(*names: str) -> Path | None:
    for name in names:
        found = shutil.which(name)
        if found:
            return Path(found)
    return None
