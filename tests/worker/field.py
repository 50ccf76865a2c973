"""A field for worker tests: topics of their own on the broker, a load to send, workers to run, and what to compare."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from kafka import KafkaConsumer, TopicPartition

from alerts.events import decode
from guanlan.settings import Settings
from guanlan.synthetic import Wide, wide_filings
from rules.catalogue import parse_catalogues
from rules.engine import Active, Engine, FormBatch
from rules.pack import PackText, Program, compile_packs
from rules.registry import Institution
from rules.transitions import Transition
from streams.app import Worker
from streams.clients import Record, open_producer, read_to_end
from streams.daemon import Daemon
from streams.decode import Decoder
from streams.kept import kept_by_watchers
from streams.partitions import home
from streams.place import claim_folder, find_place, look_at_place
from streams.registry import publish_institutions
from streams.topics import create_topics, topic_table
from streams.wire import read_rejection

PARTITIONS = 4
MEASURES = (Path(__file__).parents[2] / "rules" / "catalogue" / "measures.yaml").read_text(encoding="utf-8")

PACK = """
pack: field
version: "1"
title: {en: Rules that keep state}
rules:
  - id: field.level
    title: {en: A level that must hold}
    levels: {watch: x0000 > 1.05, warning: x0000 > 1.08, critical: x0000 > 1.12}
    for: 2 filings
    clear: x0000 < 1.02 for 2 filings
    message: {en: "{institution.name}: {x0000:.3f}"}
  - id: field.change
    title: {en: A jump}
    levels:
      watch: change(x0001, 1) > 0.08
      warning: change(x0001, 1) > 0.12
    message: {en: "{institution.name}: {change(x0001, 1):+.3f}"}
  - id: field.mean
    title: {en: A mean over filings}
    levels: {warning: "mean(x0002, '3 filings') > 1.03"}
    message: {en: "{institution.name}: {x0002:.3f}"}
  - id: field.both
    title: {en: Two at once}
    levels: {watch: x0003 > 1.03 and x0004 < 0.99}
    message: {en: "{institution.name}"}
"""


@dataclass(frozen=True)
class Sent:
    """One record of a load."""

    key: str
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


def load(institutions: int, filings: int, indicators: int = 8, seed: int = 3) -> tuple[Wide, list[Sent]]:
    """Return filings with revisions and late ones among them, in the order in which they are sent."""
    wide = wide_filings(institutions, indicators, filings, seed)
    rng = random.Random(seed)
    records = [Sent(r.key, r.value) for r in wide.records()]
    waiting: list[tuple[int, Sent]] = []
    out: list[Sent] = []
    for number, record in enumerate(records):
        out += [late for due, late in waiting if due <= number]
        waiting = [entry for entry in waiting if entry[0] > number]
        if rng.random() < 0.05:
            waiting.append((number + rng.randrange(1, 3 * institutions), record))
            continue
        out.append(record)
        if rng.random() < 0.05:
            filing = msgspec.json.decode(record.value)
            values = {k: None if v is None else round(v + rng.gauss(0, 0.05), 4) for k, v in filing["values"].items()}
            again = msgspec.json.encode({**filing, "revision": 1, "values": values})
            waiting.append((number + rng.randrange(1, 3 * institutions), Sent(record.key, again)))
    return wide, out + [late for _, late in waiting]


def program_of(wide: Wide, pack: str = PACK) -> Program:
    """Compile the pack for the load's catalogue."""
    catalogue = parse_catalogues([(wide.catalogue, "wide.yaml"), (MEASURES, "measures.yaml")])
    return compile_packs([PackText(pack, "field.yaml")], catalogue)


@dataclass
class Field:
    """Topics under a prefix of their own. `folder` takes what workers keep locally."""

    bootstrap: str
    prefix: str
    folder: Path
    partitions: int = PARTITIONS
    workers: list[Daemon] = field(default_factory=list)

    def topic(self, name: str) -> str:
        """Return a topic's full name."""
        return self.prefix + name

    def settings(self, **changes: object) -> Settings:
        """Return settings of a worker in this field."""
        defaults: dict[str, object] = {
            "bootstrap": self.bootstrap,
            "topic_prefix": self.prefix,
            "group": self.prefix + "workers",
            "partitions": self.partitions,
            "data_dir": self.folder / "data",
            "metrics_port": 0,
            "metrics_host": "127.0.0.1",
            "instance": "",
        }
        return Settings(**{**defaults, **changes})  # type: ignore[arg-type]

    def prepare(self, institutions: Iterable[Institution]) -> None:
        """Make the topics and fill the registry."""
        create_topics(self.bootstrap, topic_table(self.prefix, self.partitions, 1))
        publish_institutions(self.bootstrap, self.topic("institutions"), institutions)

    def send(self, records: Sequence[Sent], topic: str = "filings", pause: float = 0.0, piece: int = 100_000) -> None:
        """Send records in order, in pieces with a pause after each."""
        producer = open_producer(self.bootstrap, linger_ms=5)
        for start in range(0, len(records), piece):
            for record in records[start : start + piece]:
                producer.send(self.topic(topic), record.value, record.key.encode(), list(record.headers))
            producer.flush()
            time.sleep(pause)
        producer.close()

    def read(self, name: str) -> list[Record]:
        """Read a whole topic."""
        return list(read_to_end(self.bootstrap, self.topic(name)))

    def transitions(self) -> dict[str, Transition]:
        """Return what is on the topic of alerts, by transition id."""
        found = (decode(r.value) for r in self.read("alerts") if r.value)
        return {t.id: t for t in found}

    def rejected(self) -> list[tuple[dict[str, str], Record]]:
        """Return rejected records with their headers."""
        return [(read_rejection(r.headers), r) for r in self.read("filings.rejected")]

    def caught_up(self, topic: str = "filings") -> bool:
        """Say whether the group's committed offsets have reached the end of the topic."""
        consumer = KafkaConsumer(bootstrap_servers=self.bootstrap, group_id=self.prefix + "workers")
        try:
            numbers = consumer.partitions_for_topic(self.topic(topic)) or set()
            tps = [TopicPartition(self.topic(topic), n) for n in sorted(numbers)]
            ends = consumer.end_offsets(tps)
            return all((consumer.committed(tp) or 0) >= end for tp, end in ends.items())
        finally:
            consumer.close(autocommit=False)

    def state(self, program: Program, institutions: Iterable[Institution]) -> list[Active]:
        """Return the alerts that stand, according to the newest state on the watch side's changelog."""
        engine = kept_by_watchers(look_at_place(self.settings()), program, institutions)
        return sorted(engine.active() if engine else [], key=lambda a: (a.rule, a.subject))

    def start_worker(
        self, wide: Wide, pack: str = PACK, until: str = "watching partitions", **settings: object
    ) -> Daemon:
        """Start `guanlan worker` as a process of its own; return when its log says `until`."""
        (self.folder / "wide.yaml").write_text(wide.catalogue, encoding="utf-8")
        (self.folder / "field.yaml").write_text(pack, encoding="utf-8")
        log = self.folder / f"worker-{len(self.workers)}.log"
        chosen = self.settings(**settings).model_dump()
        environment = [f"GUANLAN_{name.upper()}={chosen[name]}" for name in PASSED_ON]
        command = ["env", *environment, sys.executable, "-m", "guanlan.cli", "worker"]
        command += ["--pack", str(self.folder / "field.yaml")] if pack else []
        command += ["--catalogue", str(self.folder / "wide.yaml")]
        worker = Daemon(f"worker {len(self.workers)}", command, log)
        worker.start(lambda: until in log.read_text(encoding="utf-8"))
        self.workers.append(worker)
        return worker

    @contextlib.asynccontextmanager
    async def worker(self, program: Program, **settings: object) -> AsyncIterator[Worker]:
        """Run a worker in this process until the block ends; it must end cleanly."""
        chosen = self.settings(**settings)
        place = await asyncio.to_thread(find_place, chosen)
        stop = asyncio.Event()
        with claim_folder(chosen.data_dir, chosen.instance) as folder:
            worker = Worker(chosen, program, place, folder)
            running = asyncio.create_task(worker.run(stop))
            try:
                await until(lambda: worker.watch.partitions is not None or running.done())
                yield worker
            finally:
                stop.set()
                code = await running
            assert code == 0


PASSED_ON = (
    "bootstrap",
    "topic_prefix",
    "group",
    "partitions",
    "data_dir",
    "metrics_port",
    "metrics_host",
    "instance",
    "max_record_bytes",
)


async def until(condition: Callable[[], object], seconds: float = 180.0) -> None:
    """Wait until something is true; fail after `seconds`."""
    async with asyncio.timeout(seconds):
        while not await asyncio.to_thread(condition):
            await asyncio.sleep(0.1)


def wait_until(condition: Callable[[], object], seconds: float = 300.0) -> None:
    """Wait until something is true; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.2)


@dataclass(frozen=True)
class Expected:
    """What one engine makes of a load, fed directly."""

    transitions: dict[str, Transition]
    active: list[Active]


def difference(found: Mapping[str, Transition], expected: Mapping[str, Transition]) -> str:
    """Say how many transitions differ and how the first does; thousands side by side take pytest minutes to show."""
    wrong = [ident for ident in sorted(found | expected) if found.get(ident) != expected.get(ident)]
    if not wrong:
        return ""
    more, lacking = len(found.keys() - expected.keys()), len(expected.keys() - found.keys())
    first = f"found {found.get(wrong[0])}, expected {expected.get(wrong[0])}"
    return f"{len(wrong)} differ, {more} of them too many and {lacking} lacking; first: {first}"


def direct(
    program: Program, institutions: Sequence[Institution], records: Sequence[Sent], engine: Engine | None = None
) -> Expected:
    """Feed a load to an engine (a new one by default), without any worker, with the offsets that Kafka would give."""
    engine = engine or Engine(program.at("watch"), institutions)
    ends = [0] * PARTITIONS
    offsets = np.zeros(len(records), np.int64)
    for position, record in enumerate(records):
        partition = home(record.key, PARTITIONS)
        offsets[position] = ends[partition]
        ends[partition] += 1
    transitions: dict[str, Transition] = {}
    for columns in Decoder(program.catalogue).decode([r.value for r in records]).forms:
        batch = FormBatch(
            columns.form,
            engine.rows(columns.institutions),
            columns.as_of,
            columns.submitted_at,
            columns.revision,
            offsets[columns.index],
            columns.index,
            columns.values,
        )
        transitions |= {t.id: t for t in engine.apply([batch]).transitions}
    return Expected(transitions, sorted(engine.active(), key=lambda a: (a.rule, a.subject)))


def without_offsets(transitions: dict[str, Transition]) -> dict[str, Transition]:
    """Return transitions whose readings do not say at which Kafka offset their filing was."""
    bare = msgspec.structs.replace
    return {
        ident: bare(t, values={name: bare(reading, offset=None) for name, reading in t.values.items()})
        for ident, t in transitions.items()
    }
