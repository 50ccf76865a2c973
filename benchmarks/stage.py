"""The topics one job runs on: filled once, then worked off by every way as often as wanted, and removed at the end."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from alerts.events import decode
from benchmarks.jobs import Job
from benchmarks.ways import Measured, Task, python_of
from rules.transitions import SEVERITIES
from streams.clients import admin_client
from streams.encode import recode
from streams.encodings import Encoding, Headers
from streams.registry import publish_institutions
from streams.topics import ALERTS, FILINGS, INSTITUTIONS, Topic, create_topics, topic_table

PARTITIONS = 4
RUN_SECONDS = 300
IDLE_SECONDS = 15.0

Change = tuple[str, str, str, int]
"""Rule, institution, as-of date, and the level (0 to 3) that the alert is at from then on."""


@contextmanager
def broker(kind: str = "apache") -> Iterator[tuple[str, str]]:
    """Yield a broker's address and description: KAFKA_BOOTSTRAP or Apache Kafka here, or the embedded one."""
    from deploy.kafka.local import LocalKafka
    from guanlan import parts
    from streams.embedded import EmbeddedKafka

    if kind == "embedded":
        chosen: LocalKafka | EmbeddedKafka = EmbeddedKafka()
    elif address := os.environ.get("KAFKA_BOOTSTRAP"):
        yield address, f"Kafka at {address}"
        return
    else:
        chosen = LocalKafka() if parts.java() and parts.kafka_jars() else EmbeddedKafka()
    with chosen:
        yield chosen.bootstrap, chosen.description


def send(bootstrap: str, topic: str, records: Iterable[tuple[bytes, bytes]], headers: Headers = ()) -> None:
    """Send records (key, value) as fast as the broker takes them, and wait until it has them."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": "murmur2_random",
            "linger.ms": 5,
            "batch.size": 1 << 20,
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 256 << 10,
            "message.max.bytes": 8 << 20,
        }
    )
    failed: list[str] = []

    def arrived(error: object, _: object) -> None:
        if error is not None:
            failed.append(str(error))

    for key, value in records:
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=arrived, headers=list(headers))  # type: ignore[arg-type]
                break
            except BufferError:
                producer.poll(0.05)
    producer.flush(60)
    if failed or len(producer):
        raise RuntimeError(f"{len(failed) + len(producer)} records were not taken: {failed[:1]}")


def read(bootstrap: str, topic: str, since: dict[int, int] | None = None) -> list[tuple[int, bytes]]:
    """Return (append or creation time in ms, value) of what is in a topic now, from offsets `since` on."""
    settings = {"bootstrap.servers": bootstrap, "group.id": "bench-reader", "enable.auto.commit": False}
    consumer = Consumer(settings)
    try:
        found: list[tuple[int, bytes]] = []
        left: dict[int, int] = {}
        for number in consumer.list_topics(topic, 10).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), 10)
            if high > max(low, (since or {}).get(number, 0)):
                left[number] = high
        starts = [TopicPartition(topic, n, (since or {}).get(n, OFFSET_BEGINNING)) for n in left]
        if starts:
            consumer.assign(starts)
        while left:
            messages = consumer.consume(5_000, IDLE_SECONDS)
            if not messages:
                raise RuntimeError(f"the broker stopped sending {topic}")
            for m in messages:
                if m.error():
                    raise RuntimeError(str(m.error()))
                if m.offset() < left.get(m.partition(), 0):
                    found.append((m.timestamp()[1], m.value()))
                if m.offset() >= left.get(m.partition(), m.offset() + 1) - 1:
                    left.pop(m.partition(), None)
        return found
    finally:
        consumer.close()


def ends(bootstrap: str, topic: str) -> dict[int, int]:
    """Return the end offset of every partition of a topic, which may be so new that it has no leader yet."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-reader"})
    deadline = time.monotonic() + IDLE_SECONDS
    try:
        while True:
            try:
                numbers = consumer.list_topics(topic, 10).topics[topic].partitions
                return {n: consumer.get_watermark_offsets(TopicPartition(topic, n), 10)[1] for n in numbers}
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
    finally:
        consumer.close()


@dataclass(slots=True)
class Stage:
    """Where a job's filings are; `run` has a way work them off."""

    bootstrap: str
    job: Job
    prefix: str
    folder: Path
    partitions: int = PARTITIONS

    def run(self, way: str) -> tuple[Measured, set[Change]]:
        """Start a way as a process of its own; return what it measured and the changes of alerts it sent."""
        name = f"{way}{uuid.uuid4().hex[:6]}"
        folder = self.folder / name
        folder.mkdir()
        out = ALERTS if way == "guanlan" else f"{way}.{ALERTS}"
        if way != "guanlan":
            compacted = {"cleanup.policy": "compact"}
            created = [
                Topic(f"{self.prefix}{out}", self.partitions, 1),
                Topic(f"{self.prefix}{name}.changelog", self.partitions, 1, compacted),
                Topic(f"{name}-{self.prefix}states-changelog", self.partitions, 1, compacted),
            ]
            create_topics(self.bootstrap, created)
        since = ends(self.bootstrap, f"{self.prefix}{out}")
        task = Task(
            self.bootstrap,
            self.prefix,
            name,
            str(folder),
            self.partitions,
            self.job.name,
            self.job.filings,
            self.job.institutions,
            f"{self.prefix}{out}",
        )
        measured = start(way, task)
        bodies = [value for _, value in read(self.bootstrap, f"{self.prefix}{out}", since)]
        self.sweep(name)
        return measured, guanlan_changes(bodies) if way == "guanlan" else plain_changes(bodies)

    @property
    def group(self) -> str:
        """The consumer group of `guanlan worker` processes on this stage."""
        return f"{self.prefix}group"

    def until_committed(self, filings: int, within: float = 90.0, alive: Callable[[], None] | None = None) -> None:
        """Wait until the workers have committed so many filings in all, which costs them nothing to be asked.

        Raises TimeoutError when they have not in time; `alive` may raise before.
        """
        asked = [TopicPartition(f"{self.prefix}{FILINGS}", n) for n in range(self.partitions)]
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": self.group})
        deadline = time.monotonic() + within
        try:
            while (done := sum(max(0, tp.offset) for tp in consumer.committed(asked, 20))) < filings:
                if alive is not None:
                    alive()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{done:,} of {filings:,} filings are committed after {within:g} s")
                time.sleep(0.1)
        finally:
            consumer.close()

    def sweep(self, word: str = "") -> None:
        """Delete topics of this stage that have `word` in their name: all of them without one."""
        with admin_client(self.bootstrap) as admin:
            ours = [n for n in admin.list_topics() if self.prefix in n and word in n]
            if ours:
                admin.delete_topics(ours)


def start(way: str, task: Task) -> Measured:
    """Run one way to its end in a process of its own."""
    command = [python_of(way), "-m", "benchmarks.ways", way, msgspec.json.encode(task).decode()]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=RUN_SECONDS)
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise RuntimeError(f"{way} failed: {done.stderr.strip()[-3000:]}")
    return msgspec.json.decode(lines[-1], type=Measured)


@contextmanager
def stage(
    bootstrap: str,
    job: Job,
    partitions: int = PARTITIONS,
    *,
    fill: bool = True,
    appended: Sequence[str] = (),
    encoding: Encoding = Encoding.JSON,
) -> Iterator[Stage]:
    """Make the topics of a job, fill them with filings in an encoding, and remove them at the end.

    On the topics `appended` records bear the time at which the broker got them.
    """
    prefix = f"bench{uuid.uuid4().hex[:8]}."
    with tempfile.TemporaryDirectory(prefix="guanlan-bench-", ignore_cleanup_errors=True) as folder:
        made = Stage(bootstrap, job, prefix, Path(folder), partitions)
        stamped = {"message.timestamp.type": "LogAppendTime"}
        table = topic_table(prefix, partitions, 1)
        topics = [
            replace(t, settings={**t.settings, **stamped}) if t.name.removeprefix(prefix) in appended else t
            for t in table
        ]
        create_topics(bootstrap, topics)
        try:
            publish_institutions(bootstrap, f"{prefix}{INSTITUTIONS}", job.wide.institutions)
            if fill:
                names = job.wide.indicators
                records = ((r.key.encode(), recode(r.value, names, encoding)) for r in job.wide.records())
                send(bootstrap, f"{prefix}{FILINGS}", records, encoding.headers)
            yield made
        finally:
            made.sweep()


def plain_changes(bodies: Iterable[bytes]) -> set[Change]:
    """Return the changes that ways other than Guanlan sent."""
    told = [msgspec.json.decode(body) for body in bodies]
    return {(b["rule"], b["subject"], b["as_of"], b["to"]) for b in told}


def guanlan_changes(bodies: Iterable[bytes]) -> set[Change]:
    """Return the changes in transitions of alerts; pending ones are no change of an alert."""
    told = [decode(body) for body in bodies]
    return {
        (t.rule, t.subject, t.as_of, SEVERITIES.index(t.severity)) for t in told if t.alert_id and t.state != "pending"
    }
