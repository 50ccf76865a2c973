"""A side of the worker: one agent's state, how records change it, and what they cause to be sent.

There are two: the watch side (`streams.watch`), which judges institutions one by one, and the system side
(`streams.system`), which holds the cross-section. Here is what they have in common: applying batches so that
no record is lost and none stops the stream.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Generic, Literal, TypeVar

from alerts.events import encode
from rules.engine import Engine, Outcome
from rules.pack import Program
from rules.registry import Institution
from rules.transitions import Transition
from streams.checkpoint import Keeper, Loaded, Offsets
from streams.columnar import RecordBatch, StateTable, yield_to_loop
from streams.exporter import Snapshot
from streams.fetching import Record
from streams.outbox import Post
from streams.wire import Reason, Rejection, kept_headers, rejection_headers

log = logging.getLogger("guanlan.worker")

Read = TypeVar("Read")


@dataclass(slots=True)
class Names:
    """Full names of the topics that sides write to."""

    rejected: str
    alerts: str
    cross_section: str
    measures: str
    questions: str = ""


@dataclass(slots=True)
class Effects:
    """What applying records did: what is to be sent, in order, and counts for the metrics.

    `later` are transitions to be sent once state that contains them is durable, and not before.
    """

    posts: list[Post] = field(default_factory=list)
    later: list[Post] = field(default_factory=list)
    accepted: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    transitions: Counter[tuple[str, str]] = field(default_factory=Counter)
    values: int = 0
    reports: int = 0
    quotes: int = 0
    replayed: int = 0
    evaluated: int = 0
    questions: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)

    def reject(self, topic: str, record: Record, rejection: Rejection) -> None:
        """Send a record's original bytes to the topic for rejected ones, with the reason."""
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = rejection_headers(rejection, record.topic, record.partition, record.offset, at)
        headers += kept_headers(record.headers)
        self.posts.append(Post(topic, record.key, record.value, headers, bulky=True))
        self.rejected[str(rejection.reason)] += 1

    def tell(self, topic: str, transitions: Iterable[Transition], later: bool = False) -> None:
        """Send transitions of alerts: now, or later."""
        posts = self.later if later else self.posts
        for transition in transitions:
            posts.append(Post(topic, *encode(transition)))
            self.transitions[transition.state, transition.severity] += 1

    def add(self, other: Effects) -> None:
        """Take in what happened after this."""
        self.posts += other.posts
        self.later += other.later
        self.accepted += other.accepted
        self.rejected += other.rejected
        self.transitions += other.transitions
        self.values += other.values
        self.reports += other.reports
        self.quotes += other.quotes
        self.replayed += other.replayed
        self.evaluated += other.evaluated
        self.questions += other.questions
        self.seconds.update(other.seconds)


class Side(ABC, Generic[Read]):
    """State that records are applied to. `Read` is what records are decoded into.

    `engine` judges; `adopted` counts how often other rules took over, `loaded` how often state was made anew.
    `partitions` are those that are ours; None while their state is not there. `journal` holds the batches
    applied since the last checkpoint, so that the state can be made again if applying fails. A copy of the state
    `stands_still` for at most so many seconds at a time, then records may be applied; for good, where what is copied
    must be of one moment. `tells_later` says that transitions wait until state that contains them is durable; `untold`
    are those that wait.
    """

    name: str
    placement: Literal["watch", "system"]
    stands_still: float = inf
    tells_later = False
    engine: Engine

    def __init__(self, table: StateTable, topics: frozenset[str], names: Names) -> None:
        self.topics = topics
        self.names = names
        self.keeper = Keeper(table, topics, self)
        self.partitions: frozenset[int] | None = None
        self.journal: list[RecordBatch] = []
        self.adopted = 0
        self.loaded = 0
        self.untold: list[Post] = []

    def contained(self) -> Sequence[Post]:
        """Return the transitions that may be told once the state that is copied now is durable."""
        return ()

    def told(self, posts: Iterable[Post]) -> None:
        """These transitions have been handed over to be sent."""
        done = {post.value for post in posts}
        self.untold = [post for post in self.untold if post.value not in done]

    @abstractmethod
    def prepare(self, program: Program) -> Callable[[], None]:
        """Return what has the side go by these rules, the whole program, in everything but the engine.

        What can fail, fails here; nothing is changed until what is returned is called.
        """

    @abstractmethod
    def blocks(self) -> Iterable[tuple[int, str, list[int]]]:
        """Yield the blocks of institutions: partition, name, and the engine's rows."""

    async def rejudge(self, now: int) -> Effects:
        """Tell what an edit of rules changes of open alerts; all state counts as changed.

        Nothing may be applied meanwhile, but where institutions are judged one by one the event loop has its turns.
        """
        effects = await self.judge_edits(self.engine, now)
        self._mark_all()
        return effects

    async def judge_edits(self, engine: Engine, now: int) -> Effects:
        """Return what an edit of rules changes of open alerts, by an engine that has this side's state."""
        effects = Effects()
        if self.placement == "watch":
            for _, _, rows in list(self.blocks()):
                self._tell(engine.rejudge(now, rows), effects)
                await yield_to_loop()
        self._tell(engine.rejudge(now), effects)
        return effects

    def adopt(self, heir: Engine) -> None:
        """Go on with an engine of other rules that has this side's state; all of it counts as changed."""
        self.engine = heir
        self.adopted += 1
        if self.partitions is not None:
            self._mark_all()

    def _mark_all(self) -> None:
        for partition, block, _ in self.blocks():
            self.keeper.mark_whole(partition, block)

    def _tell(self, outcome: Outcome, effects: Effects) -> None:
        effects.tell(self.names.alerts, outcome.transitions, self.tells_later)
        effects.evaluated += outcome.evaluated

    @abstractmethod
    def reset(self, partitions: frozenset[int]) -> None:
        """Begin with no state, for these partitions."""

    @abstractmethod
    def export(self, partition: int, block: str) -> bytes:
        """Return the state of one block, without its parts."""

    def parts(self, partition: int, block: str) -> Collection[str]:
        """Return the names of the parts that the block has now: none, where a side does not say otherwise."""
        return ()

    def export_part(self, partition: int, block: str, part: str) -> bytes:
        """Return the state of a part. Raises KeyError for one that is not among `parts`."""
        raise KeyError(part)

    @abstractmethod
    def restore(self, partition: int, block: str, state: bytes, parts: Mapping[str, bytes]) -> None:
        """Take in what `export` and `export_part` gave."""

    @abstractmethod
    def read(self, records: Sequence[Record]) -> Read:
        """Decode records; nothing is raised for what they hold."""

    @abstractmethod
    def strangers(self, read: Read) -> bool:
        """Say whether the records speak of institutions that are not in the registry yet."""

    @abstractmethod
    def apply(self, read: Read) -> Effects:
        """Apply decoded records. When it raises, the state is undefined."""

    @abstractmethod
    def save(self, read: Read) -> bytes:
        """Copy all state that applying these records could change."""

    @abstractmethod
    def load(self, saved: bytes) -> None:
        """Put back what `save` gave."""

    @abstractmethod
    def tick(self, now: int) -> Effects:
        """Judge what only the clock tells."""

    @abstractmethod
    def put_institution(self, institution: Institution) -> None:
        """An institution is new or different."""

    @abstractmethod
    def retire(self, code: str, now: int) -> Effects:
        """An institution left the registry."""

    @abstractmethod
    def show(self, snapshot: Snapshot) -> None:
        """Add copies of what this side shows to a scrape; nothing may be applied meanwhile, so it has to be quick."""

    @abstractmethod
    def gone(self) -> list[str]:
        """Return codes that have state but are no longer in the registry."""

    async def open(self, partitions: frozenset[int]) -> dict[int, Offsets]:
        """Load the state of these partitions; return by partition the offsets to resume from at the latest."""
        resume = await self._read_back(partitions)
        self.partitions = partitions
        return resume

    async def _read_back(self, partitions: frozenset[int]) -> dict[int, Offsets]:
        self.partitions = None  # until all of it is there
        self.loaded += 1
        self.reset(partitions)
        self.keeper.forget()
        resume: dict[int, Offsets] = {}
        for partition in sorted(partitions):
            resume[partition] = await self._load(partition)
        for one in self.engine.moved.values():
            log.warning("a deadline that was provisional at the last checkpoint moved: %s", one)
        return resume

    async def _load(self, partition: int) -> Offsets:
        good = True
        for block in self.keeper.load(partition):
            if good:
                good = self._take_in(partition, block)
            if not good:
                self.keeper.discard(partition, block.name)
            await yield_to_loop()
        return self.keeper.resume(partition) if good else dict.fromkeys(self.topics, 0)

    def _take_in(self, partition: int, block: Loaded) -> bool:
        try:
            if block.parts is None:
                raise LookupError("parts of it are not there")
            self.restore(partition, block.name, block.state, block.parts)
        except Exception:
            log.exception(
                "the stored state of %s partition %d, block %s, can't be read:"
                " this partition is computed again from its first record",
                self.name,
                partition,
                block.name,
            )
            return False
        return True

    def close(self) -> None:
        """Our partitions were revoked: forget all state."""
        self.partitions = None
        self.journal.clear()
        self.keeper.forget()
        self.reset(frozenset())

    async def apply_safely(self, records: Sequence[Record], read: Read) -> Effects:
        """Apply records; those that can't be applied, and only those, go to the rejected ones as `internal`.

        Raises only when the state can't be made again.
        """
        try:
            return self.apply(read)
        except Exception:
            log.exception("applying %d records failed: going back to the last checkpoint, then in parts", len(records))
        effects = await self.recompute()
        await self._apply_in_parts(records, effects)
        return effects

    async def recompute(self) -> Effects:
        """Make the state again from the last checkpoint and the journal; return what happened besides.

        What the journal's records caused to be sent was sent already; what was to be told later belongs to the state
        that is given up, and comes from the records anew.
        """
        partitions = self.partitions or frozenset()
        dirty = [(partition, *marked) for partition, blocks in self.keeper.dirty.items() for marked in blocks.items()]
        applied = dict(self.keeper.applied)
        await self._read_back(partitions)
        self.keeper.applied.update(applied)
        again = Effects()
        for batch in self.journal:
            await self._apply_in_parts(batch.records, again)
        self.partitions = partitions
        for partition, block, parts in dirty:
            self.keeper.mark(partition, block, *parts)
        effects = Effects(later=again.later)
        for code in self.gone():
            effects.add(self.retire(code, int(time.time())))
        return effects

    async def _apply_in_parts(self, records: Sequence[Record], effects: Effects) -> None:
        read = self.read(records)
        saved = self.save(read)
        try:
            effects.add(self.apply(read))
            return
        except Exception as err:
            self.load(saved)
            if len(records) == 1:
                detail = f"the worker failed on this record and went on without it: {type(err).__name__}: {err}"
                effects.reject(self.names.rejected, records[0], Rejection(Reason.INTERNAL, detail[:500]))
                return
        await yield_to_loop()
        half = len(records) // 2
        await self._apply_in_parts(records[:half], effects)
        await self._apply_in_parts(records[half:], effects)
