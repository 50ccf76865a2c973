"""Where a worker works: its topics on the cluster, and its folder on this machine. Looked at before anything starts."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from guanlan.settings import Settings
from rules.problems import ConfigError
from streams.clients import ServiceError, admin_client
from streams.topics import CROSS_SECTION, EXPOSURES, FILINGS, LARGEST_RECORD, QUOTES, Topic, create_topics, topic_table

STATE_OF_FILINGS = "filings"
STATE_OF_SYSTEM = "system"
WORKERS_A_FOLDER = 64

CHANGELOG = {
    "cleanup.policy": "compact",
    "max.message.bytes": str(LARGEST_RECORD),
    "segment.bytes": str(64 << 20),
    "min.cleanable.dirty.ratio": "0.2",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the worker's topics are and what they are called; `partitions` is that of the topic of filings."""

    bootstrap: str
    prefix: str
    group: str
    partitions: int

    def topic(self, name: str) -> str:
        """Return a topic's full name."""
        return self.prefix + name

    def changelog(self, name: str) -> str:
        """Return the full name of a state table's changelog."""
        return f"{self.prefix}{self.group}.{name}.changelog"


def find_place(settings: Settings) -> Place:
    """Look at the cluster: every topic must be there. Makes the changelogs, which belong to the worker.

    Raises ServiceError when no broker answers, ConfigError when a topic is missing or has another number of
    partitions than the state that was kept.
    """
    place, there = _look(settings)
    changelogs = [
        Topic(place.changelog(name), count, settings.replication, CHANGELOG)
        for name, count in ((STATE_OF_FILINGS, place.partitions), (STATE_OF_SYSTEM, 1))
    ]
    for changelog in changelogs:
        if there.get(changelog.name, changelog.partitions) != changelog.partitions:
            raise ConfigError(
                f"the state in {changelog.name} is of {there[changelog.name]} partitions, but {place.topic(FILINGS)}"
                f" has {changelog.partitions} now, and institutions are not where their filings were: send the"
                " filings anew under another GUANLAN_TOPIC_PREFIX"
            )
    create_topics(settings.bootstrap, [c for c in changelogs if c.name not in there])
    return place


def look_at_place(settings: Settings) -> Place:
    """Look at the cluster as `find_place` does, and make nothing: for who only reads what workers keep."""
    return _look(settings)[0]


def forget_state(settings: Settings) -> list[str]:
    """Delete what workers of the group remember: state, and how far they have read; return the changelogs deleted.

    They compute it again from the topics of filings. Raises ServiceError while a worker of the group runs.
    """
    place, there = _look(settings)
    changelogs = [place.changelog(name) for name in (STATE_OF_FILINGS, STATE_OF_SYSTEM)]
    found = [name for name in changelogs if name in there]
    with admin_client(settings.bootstrap) as admin:
        answer = admin.delete_groups([place.group])[place.group]
        if answer not in ("OK", "GroupIdNotFoundError"):
            raise ServiceError(
                f"the offsets of group {place.group!r} can't be deleted ({answer}): stop all of its workers first"
            )
        if found:
            admin.delete_topics(found)
    return found


def _look(settings: Settings) -> tuple[Place, dict[str, int]]:
    """Return the place, and how many partitions each topic has that is there."""
    table = topic_table(settings.topic_prefix, settings.partitions, settings.replication)
    with admin_client(settings.bootstrap) as admin:
        there = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
    missing = [topic.name for topic in table if topic.name not in there]
    if missing:
        raise ConfigError(f"these topics are missing: {', '.join(missing)}; make them with `guanlan topics create`")
    place = Place(
        settings.bootstrap,
        settings.topic_prefix,
        settings.group,
        there[settings.topic_prefix + FILINGS],
    )
    single = [place.topic(name) for name in (EXPOSURES, CROSS_SECTION, QUOTES) if there[place.topic(name)] != 1]
    if single:
        raise ConfigError(f"the topic {single[0]} must have one partition; it has {there[single[0]]}")
    return place, there


@contextlib.contextmanager
def claim_folder(data_dir: Path, instance: str) -> Iterator[Path]:
    """Yield a folder for local state that no other worker uses: named after the instance, else the first free one."""
    names = [instance] if instance else [f"worker-{n + 1}" for n in range(WORKERS_A_FOLDER)]
    for name in names:
        folder = data_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
        if _locked(lock):
            with lock:
                yield folder
            return
        lock.close()
    if instance:
        raise ConfigError(f"another worker uses {data_dir / instance}: give this one another GUANLAN_INSTANCE")
    raise ConfigError(f"{len(names)} workers use {data_dir}: give this one another GUANLAN_DATA_DIR")


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
