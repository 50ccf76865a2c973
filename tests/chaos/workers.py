"""Workers as processes of their own, on topics under a prefix of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from streams.clients import Record, read_to_end
from streams.daemon import Daemon
from streams.place import STATE_OF_FILINGS, STATE_OF_SYSTEM
from streams.topics import ALERTS, CROSS_SECTION, EXPOSURES, FILINGS, LARGEST_RECORD, QUOTES, REJECTED
from tests.chaos.load import CATALOGUE, PACK
from tests.chaos.poison import PARTITIONS, Sent

GUANLAN = [sys.executable, "-m", "guanlan.cli"]
READY = "watching partitions"


@dataclass
class Topics:
    """Topics under a prefix: made, filled, read. Reading waits for a broker that is away."""

    bootstrap: str
    prefix: str
    folder: Path
    fed: int = 0

    @property
    def group(self) -> str:
        """The workers' consumer group."""
        return f"{self.prefix}workers"

    def name(self, topic: str) -> str:
        """Return a topic's full name."""
        return self.prefix + topic

    def changelog(self, side: str) -> str:
        """Return the full name of a changelog."""
        return f"{self.prefix}{self.group}.{side}.changelog"

    @property
    def environment(self) -> Mapping[str, str]:
        """The settings of commands and workers."""
        return os.environ | {
            "GUANLAN_BOOTSTRAP": self.bootstrap,
            "GUANLAN_TOPIC_PREFIX": self.prefix,
            "GUANLAN_GROUP": self.group,
            "GUANLAN_PARTITIONS": str(PARTITIONS),
            "GUANLAN_DATA_DIR": str(self.folder),
            "GUANLAN_METRICS_PORT": "0",
            "GUANLAN_METRICS_HOST": "127.0.0.1",
            "COLUMNS": "200",
        }

    def prepare(self, registry: str) -> None:
        """Make the topics and fill the registry."""
        self.folder.mkdir(parents=True)
        file = self.folder / "institutions.csv"
        file.write_text(registry, encoding="utf-8")
        for command in (["topics", "create"], ["institutions", "load", "--catalogue", str(CATALOGUE), str(file)]):
            subprocess.run([*GUANLAN, *command], env=self.environment, check=True, capture_output=True)

    def feed(self, records: list[Sent], until: int) -> None:
        """Send what comes before `until`, in order, each record once; a broker that is away is waited for."""
        producer = KafkaProducer(
            bootstrap_servers=self.bootstrap,
            acks="all",
            enable_idempotence=True,
            max_request_size=LARGEST_RECORD,
            linger_ms=5,
            delivery_timeout_ms=300_000,
            request_timeout_ms=15_000,
        )
        sent = [
            producer.send(self.name(FILINGS), one.value, one.key, list(one.headers), one.partition)
            for one in records[self.fed : until]
        ]
        producer.flush(timeout=280)
        for one in sent:
            one.get(60)
        producer.close()
        self.fed = until

    def read(self, topic: str) -> list[Record]:
        """Read a whole topic."""
        return list(read_to_end(self.bootstrap, self.name(topic)))

    def progress(self) -> tuple[int, int]:
        """Return how many records of all topics that workers read are committed, and how many there are."""
        topics = {FILINGS: PARTITIONS, CROSS_SECTION: 1, EXPOSURES: 1, QUOTES: 1}
        places = [TopicPartition(self.name(t), p) for t, count in topics.items() for p in range(count)]
        consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=self.group, enable_auto_commit=False, request_timeout_ms=12_000
        )
        try:
            ends = consumer.end_offsets(places)
            return sum(consumer.committed(place) or 0 for place in places), sum(ends.values())
        finally:
            consumer.close(autocommit=False)

    def grows(self, *full_names: str, within: float = 6.0) -> None:
        """Return as soon as one of these topics has grown, or after `within` seconds."""
        until = time.monotonic() + within
        try:
            consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, request_timeout_ms=12_000)
        except KafkaError:
            return
        try:
            places = [TopicPartition(n, p) for n in full_names for p in consumer.partitions_for_topic(n) or ()]
            before = consumer.end_offsets(places)
            while time.monotonic() < until and consumer.end_offsets(places) == before:
                time.sleep(0.01)
        except KafkaError:
            return
        finally:
            consumer.close(autocommit=False)

    @property
    def where_state_goes(self) -> tuple[str, str]:
        """The changelogs."""
        return self.changelog(STATE_OF_FILINGS), self.changelog(STATE_OF_SYSTEM)

    @property
    def where_alerts_go(self) -> str:
        """The topic of alerts."""
        return self.name(ALERTS)

    def rejected(self) -> list[Record]:
        """Read what was refused."""
        return self.read(REJECTED)


@dataclass
class Crew:
    """So many workers on these topics, kept running. `ended` are the last words of those that ended by themselves."""

    topics: Topics
    logs: Path
    workers: dict[str, Daemon] = field(default_factory=dict)
    started: Counter[str] = field(default_factory=Counter)
    ended: list[str] = field(default_factory=list)

    def ensure(self, count: int) -> None:
        """Start those that do not run."""
        for name in (f"w{n}" for n in range(count)):
            worker = self.workers.get(name)
            if worker is not None and worker.running:
                continue
            if worker is not None:
                self.ended.append(f"{worker.log.name}: {self._text(worker)[-300:]}")
            self.started[name] += 1
            log = self.logs / f"{self.topics.prefix}{name}.{self.started[name]}.log"
            settings = [f"{k}={v}" for k, v in self.topics.environment.items() if k.startswith(("GUANLAN_", "COLUMNS"))]
            command = ["env", *settings, f"GUANLAN_INSTANCE={name}", *GUANLAN, "worker"]
            worker = Daemon(name, [*command, "--pack", str(PACK), "--catalogue", str(CATALOGUE)], log)
            worker.start(lambda: True)
            self.workers[name] = worker

    def watching(self) -> bool:
        """Say whether a worker has its partitions, or none runs any more."""
        running = [worker for worker in self.workers.values() if worker.running]
        return not running or any(READY in self._text(worker) for worker in running)

    def kill(self, name: str) -> Path:
        """End a worker with SIGKILL; return the folder of its local state."""
        self.workers.pop(name).kill()
        return self.topics.folder / name

    def stop(self) -> None:
        """Have all end in order; one that does not is told of."""
        for name, worker in self.workers.items():
            worker.stop(within=30.0)
            if "it does not end in order" in self._text(worker):
                self.ended.append(f"{name} did not end in order")
        self.workers.clear()

    def tracebacks(self) -> Counter[str]:
        """Count the errors that workers wrote with a traceback."""
        found: Counter[str] = Counter()
        for log in self.logs.glob(f"{self.topics.prefix}w*.log"):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            inside = False
            for line in lines:
                if line.startswith("Traceback "):
                    inside = True
                elif inside and line[:1].strip():
                    found[line[:150]] += 1
                    inside = False
        return found

    @staticmethod
    def _text(worker: Daemon) -> str:
        return worker.log.read_text(encoding="utf-8", errors="replace") if worker.log.exists() else ""
