"""Faust, one event a record batch: the only module that knows Faust's insides.

Faust hands every record through the event loop on its own, at about 150 µs each. Here its consumer hands
over what one poll brought for one partition as one event, whose value is a `RecordBatch`. The records of these
partitions come from `streams.fetching`; Faust's own client never fetches them. Rows of tables go to their changelogs by
way of `streams.changelog`. Everything else of Faust stays as it is: groups, rebalances, offsets, tables, recovery.

What this module relies on is listed in `INTERNALS` and held by `tests/worker/test_internals.py`: when another
version of Faust changes one of them, that test says which.

Offsets do not follow Faust's acknowledgements, because Faust acknowledges an event it skipped in a rebalance,
and one whose agent raised. A batch counts when the agent has said so (`RecordBatch.applied`); what may be
committed in a partition is the end of its longest applied prefix; and that is committed only after the
application's `checkpoint` has made its effects durable.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import faust
from faust.serializers.schemas import Schema
from faust.tables.table import Table
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.changelog import Changelog
from streams.fetching import Fetching, Record
from streams.local import LocalCopy
from streams.logs import TopicChanged

FAUST_VERSION = "0.15.3"
TURNS = 24
QUICK_TURNS = 16
BUFFERED = 8
TEND_SECONDS = 0.25
POLL_SECONDS = 0.02  # a batch has its own price: few records at a time would cost a worker all of its time
SMALL_POLL = 1 << 20

INTERNALS: Mapping[str, tuple[str, ...]] = {
    "mode.services:Service": ("_crashed", "crash", "crash_reason", "crashed"),
    "faust.app.base:App": (
        "_consumer_wait_empty",
        "_new_transport",
        "_on_partitions_revoked",
        "_stop_consumer",
        "flow_control",
        "on_rebalance_end",
    ),
    "faust.transport.consumer:Consumer": (
        "_acked",
        "_acked_index",
        "_add_gap",
        "_commit_every",
        "_commit_offsets",
        "_committed_offset",
        "_drain_messages",
        "_read_offset",
        "_unacked_messages",
        "commit",
        "force_commit",
        "getmany",
        "on_partitions_revoked",
        "on_stop",
        "perform_seek",
        "wait_empty",
    ),
    "faust.transport.consumer:ThreadDelegateConsumer": ("_getmany", "assignment", "verify_event_path"),
    "faust.transport.consumer:ConsumerThread": ("on_partitions_assigned",),
    "faust.transport.drivers.aiokafka:AIOKafkaConsumerThread": ("_create_worker_consumer", "_ensure_consumer"),
    "faust.transport.drivers.aiokafka:Consumer": ("_new_consumer_thread", "_to_message"),
    "faust.transport.drivers.aiokafka:Transport": ("Consumer",),
    "faust.tables.base:Collection": ("_changelog_topic_name", "on_recovery_completed"),
    "faust.stores.rocksdb:Store": (
        "_db_for_partition",
        "offset_key",
        "partition_path",
        "rocksdb_options",
        "set_persisted_offset",
    ),
    "faust.stores.rocksdb:RocksDBOptions": ("open",),
}
"""Faust attributes that are overridden or called here, by class."""

Checkpoint = Callable[[Mapping[TP, int]], Awaitable[bool]]
Recovered = Callable[[frozenset[int]], Awaitable[None]]
Told = Callable[[], Awaitable[None]]


@dataclass(eq=False, slots=True)
class RecordBatch:
    """What one poll brought for one partition, in the order of its offsets.

    `epoch` counts the assignments of partitions to this worker; a batch of an earlier one must not be applied.
    The agent sets `applied` once the effect of every record is in memory; until then no offset passes it.
    `reached` is how far the partition was read where that is beyond the last record: offsets without a record follow.
    `size` is its keys' and values' bytes. `poll` numbers the poll, which brought `siblings` batches of this topic.
    """

    tp: TP
    records: Sequence[Record]
    epoch: int = 0
    applied: bool = False
    size: int = 0
    poll: int = 0
    siblings: int = 1
    reached: int = 0

    @property
    def first(self) -> int:
        """Offset of the first record."""
        return int(self.records[0].offset)

    @property
    def end(self) -> int:
        """Offset after the last record, and after those without a record that follow it."""
        return max(int(self.records[-1].offset) + 1, self.reached)


@dataclass(eq=False, slots=True)
class Progress:
    """Batches handed out and not yet committed, by partition; and how far each partition has been applied."""

    waiting: dict[TP, list[RecordBatch]] = field(default_factory=dict)
    ends: dict[TP, int] = field(default_factory=dict)

    def start(self, tp: TP, offset: int) -> None:
        """Reading of a partition (re)starts at `offset`: everything before it is done, nothing is under way."""
        self.waiting.pop(tp, None)
        self.ends[tp] = offset

    def hand_out(self, batch: RecordBatch) -> None:
        """Note a batch given to an agent. It replaces what was handed out from the same place before."""
        before = self.waiting.setdefault(batch.tp, [])
        before[:] = [b for b in before if b.first < batch.first]
        before.append(batch)

    def reach(self, tp: TP, offset: int) -> None:
        """Note that a partition was read up to `offset`, and that what was handed out is all there is before it."""
        if tp not in self.ends:
            return
        if waiting := self.waiting.get(tp):
            waiting[-1].reached = max(waiting[-1].reached, offset)
        else:
            self.ends[tp] = max(self.ends[tp], offset)

    def require_forward(self, tp: TP, offset: int) -> None:
        """Raise TopicChanged where a partition is read from an `offset` that lies before what was read of it."""
        waiting = self.waiting.get(tp)
        known = waiting[-1].end if waiting else self.ends.get(tp, 0)
        if offset < known:
            why = f"its partition {tp.partition} goes on at offset {offset:,}, and was read up to {known:,}"
            raise TopicChanged(tp.topic, f"{why} (it was made again, or its log was cut back)")

    def applied(self) -> dict[TP, int]:
        """Return each partition's position: the offset up to which all that was handed out has been applied.

        As Kafka means it: offsets that hold no record (the marks of transactions, records that expired or were
        compacted away) are passed like others.
        """
        for tp, batches in self.waiting.items():
            done = 0
            while done < len(batches) and batches[done].applied:
                self.ends[tp] = batches[done].end
                done += 1
            del batches[:done]
        return dict(self.ends)

    def under_way(self) -> bool:
        """Say whether something handed out has not been applied."""
        return any(not batch.applied for batches in self.waiting.values() for batch in batches)

    def clear(self) -> None:
        """Forget everything: the partitions were revoked."""
        self.waiting.clear()
        self.ends.clear()


class BatchSchema(Schema[Any, Any]):
    """Passes a `RecordBatch` through Faust's decoding untouched."""

    def loads_key(self, app: Any, message: Any, **kwargs: Any) -> None:
        """Return None: the keys are in the records."""

    def loads_value(self, app: Any, message: Any, **kwargs: Any) -> Any:
        """Return the batch."""
        return message.value


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Keeps the group's membership and reads changelogs; what columnar topics hold it leaves alone."""

    clock: int | None = None

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        self.clock = time.pthread_getcpuclockid(threading.get_ident())  # this runs in the thread itself
        return super()._create_worker_consumer(transport)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Pause columnar partitions, before the consumer knows where to read them, for as long as they are ours."""
        ours = [driver.ensure_aiokafka_TP(tp) for tp in assigned if tp.topic in self.app.columnar_topics]
        self._ensure_consumer().pause(*ours)
        await super().on_partitions_assigned(assigned, generation_id)


class ColumnarConsumer(driver.Consumer):
    """Yields one message per partition and poll for the app's columnar topics, and commits after checkpoints."""

    app: ColumnarApp

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._commit_every = None  # else reading waits for a checkpoint after so many batches
        self.progress = Progress()
        self.epoch = 0
        self.sealed = False
        self.reading = False
        self.recovered: dict[TP, int] = {}
        self.committed: dict[TP, int] = {}
        self._starts: dict[TP, int] = {}
        self._due: dict[TP, int] | None = None
        self._next_poll = 0.0
        self._next_tended = 0.0
        self._polls = 0
        self._last_taken = 0.0
        servers = driver.server_list(self.transport.url, self.transport.default_port)
        self._records = Fetching(",".join(servers), self.app.conf.id, self.app.conf.broker_check_crcs)

    def _new_consumer_thread(self) -> ConsumerThread:
        self._membership = ConsumerThread(self, loop=self.loop, beacon=self.beacon)
        return self._membership

    def member_seconds(self) -> float:
        """Return the processor seconds that the thread of Faust's own client has used."""
        clock = self._membership.clock
        return 0.0 if clock is None else time.clock_gettime(clock)

    def idle_seconds(self) -> float:
        """Return how long ago records came in; 0 while there are some that are not applied."""
        return 0.0 if self.progress.under_way() else time.monotonic() - self._last_taken

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, list[Any]]:
        until = time.monotonic() + timeout
        while True:
            if self._due is not None:
                self._begin(self._due)
            if not self.reading:
                return await super()._getmany(active_partitions, min(timeout, TEND_SECONDS))
            fetched: dict[TP, list[Any]] = {}
            if time.monotonic() >= self._next_tended:
                # for standby changelogs; and aiokafka leaves the group when nobody asks it for long
                fetched.update(await super()._getmany(active_partitions, 0.0))
                self._next_tended = time.monotonic() + TEND_SECONDS
            await asyncio.sleep(max(0.0, self._next_poll - time.monotonic()))
            fetched.update(self._poll())
            if fetched or not self.flow_active or time.monotonic() >= until:
                return fetched

    def _poll(self) -> dict[TP, list[RecordBatch]]:
        """Take what has been received for columnar partitions."""
        if not self.reading:
            return {}
        try:
            with self.app.fetching():
                handed = self._take()
        except TopicChanged as err:  # what Faust is told by raising it logs with a traceback
            self.sealed, self.reading = True, False
            self.app.failed(err)
            return {}
        self._polls += 1
        if handed:
            self._last_taken = time.monotonic()
        batches = [batch for given in handed.values() for batch in given]
        if sum(batch.size for batch in batches) < SMALL_POLL:
            self._next_poll = time.monotonic() + POLL_SECONDS
        count = Counter(batch.tp.topic for batch in batches)
        for batch in batches:
            batch.poll, batch.siblings = self._polls, count[batch.tp.topic]
        return handed

    def _take(self) -> dict[TP, list[RecordBatch]]:
        """Return what was received as batches, each with how far its partition was read; raise TopicChanged."""
        taken = self._records.take()
        for tp, records in taken.items():
            self.progress.require_forward(tp, records[0].offset)
        handed = {tp: list(self._batches(tp, records)) for tp, records in taken.items()}
        for tp, offset in self._records.reached.items():
            if tp in handed:  # they are noted in `progress` one by one as Faust passes them on
                handed[tp][-1].reached = offset
            else:
                self.progress.require_forward(tp, offset)
                self.progress.reach(tp, offset)
        self._records.reached.clear()
        return handed

    def _begin(self, starts: dict[TP, int]) -> None:
        """Go to where reading begins, in the fetcher's own turn: Faust empties the agents' queues before."""
        self._records.begin(starts)
        for tp, start in starts.items():
            self._read_offset[tp] = start or None
            self.progress.start(tp, start)
            self.committed[tp] = self._committed_offset[tp] or 0
        self._due, self.reading = None, True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Look only at partitions that Faust's client fetches: of others it would say that nobody asks for them."""
        if tp.topic not in self.app.columnar_topics:
            super().verify_event_path(now, tp)

    def _batches(self, tp: TP, records: Sequence[Record]) -> Iterator[RecordBatch]:
        """Split one poll of one partition so that no batch is over the app's bounds."""
        begin = size = 0
        for i, record in enumerate(records):
            length = len(record.value or b"") + len(record.key or b"")
            full = i - begin == self.app.batch_records or size + length > self.app.batch_bytes
            if i > begin and full:
                yield RecordBatch(TP(*tp), records[begin:i], size=size)
                begin, size = i, 0
            size += length
        yield RecordBatch(TP(*tp), records[begin:], size=size)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        if not isinstance(record, RecordBatch):
            return super()._to_message(tp, record)
        record.epoch = self.epoch
        self.progress.hand_out(record)
        last = record.records[-1]
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            last.offset,
            last.timestamp / 1000.0,
            0,
            None,
            None,
            record,  # type: ignore[arg-type]
            None,
            0,
            0,
            record.tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def perform_seek(self) -> None:
        """Note where reading begins: at the committed offset, or where the recovered state does if that is earlier.

        Where the group has no offset (never committed, or expired) the recovered state alone decides.
        """
        await super().perform_seek()
        self._starts = {}
        for tp in self.assignment():
            if tp.topic in self.app.columnar_topics:
                offsets = [o for o in (self._committed_offset[tp], self.recovered.get(tp)) if o is not None]
                self._starts[tp] = min(offsets, default=0)

    def rebalanced(self) -> None:
        """Partitions are assigned, state is recovered and the agents' queues are empty: reading may begin."""
        self._due = self._starts

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Keep no gaps: `progress` knows the batches, and Faust would see one gap in every batch."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let agents finish, checkpoint, commit; then begin a new epoch."""
        self._due, self.reading = None, False
        self._records.stop()
        await super().on_partitions_revoked(revoked)
        self.epoch += 1
        self.progress.clear()
        self.recovered.clear()
        self.committed.clear()
        await self.app.revoked()

    async def on_stop(self) -> None:
        """Stop fetching for good."""
        self._due, self.reading = None, False
        await super().on_stop()
        await asyncio.to_thread(self._records.close)

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Checkpoint, then commit what the checkpoint covers.

        While work flows only when the app says that one is due; at once when flow is stopped.
        """
        if self.sealed or (self.flow_active and not self.app.due()):
            return False
        self._acked.clear()
        self._acked_index.clear()
        cut = self.progress.applied()
        if not await self.app.checkpoint(cut):
            return False
        offsets = {tp: offset for tp, offset in cut.items() if offset > self.committed.get(tp, 0)}
        if not offsets and self.app.asks():
            offsets = {tp: offset for tp, offset in cut.items() if offset}
        if offsets and not await self._commit_offsets(offsets, start_new_transaction):
            return False
        self.committed.update(offsets)
        await self.app.committed()
        return bool(offsets)

    def ours(self) -> list[TP]:
        """Return the columnar partitions that are ours."""
        return [tp for tp in self.assignment() if tp.topic in self.app.columnar_topics]


class ColumnarTransport(driver.Transport):
    """The aiokafka driver with our consumer."""

    Consumer = ColumnarConsumer


class ColumnarApp(faust.App):
    """A Faust app whose agents get record batches.

    `columnar_topics` names the topics; all topics that agents read must be among them. `batch_bytes` and
    `batch_records` bound a batch. `due()` says whether a checkpoint may begin while records come in; `checkpoint(cut)`
    is awaited before offsets are committed and says whether they may be, `committed()` after that; `revoked()` when all
    partitions were taken away and what could be committed was; `failed(error)` when reading can't go on. Where no
    offset has moved nothing is committed, unless the app `asks()` for it, to know that its partitions are still its
    own. Records are taken inside `fetching()`.
    """

    def __init__(
        self, *args: Any, columnar_topics: frozenset[str], batch_bytes: int, batch_records: int, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.columnar_topics = columnar_topics
        self.batch_bytes = batch_bytes
        self.batch_records = batch_records
        self.due: Callable[[], bool] = _always
        self.checkpoint: Checkpoint = _nothing_to_save
        self.asks: Callable[[], bool] = _never
        self.committed: Told = _nobody_to_tell
        self.revoked: Told = _nobody_to_tell
        self.failed: Callable[[Exception], None] = _pass_over
        self.fetching: Callable[[], AbstractContextManager[None]] = nullcontext

    @property
    def batches(self) -> ColumnarConsumer:
        """The app's consumer, by its own type."""
        return cast(ColumnarConsumer, self.consumer)

    def _new_transport(self) -> ColumnarTransport:
        return ColumnarTransport(self.conf.broker_consumer, self)

    def on_rebalance_end(self) -> None:
        """Let reading begin."""
        super().on_rebalance_end()
        self.batches.rebalanced()

    async def until_crashed(self) -> None:
        """Wait until a part of the app has failed; `crash_reason` tells why."""
        await self._crashed.wait()

    async def _consumer_wait_empty(self, consumer: Any, logger: Any) -> None:
        await super()._consumer_wait_empty(consumer, logger)
        # Faust's last commit does nothing when one is under way, which may have begun before the agents were done
        await consumer.commit()

    async def _stop_consumer(self) -> None:
        await super()._stop_consumer()
        if self._consumer is not None:
            self.batches.sealed = True


def _always() -> bool:
    return True


def _never() -> bool:
    return False


async def _nothing_to_save(cut: Mapping[TP, int]) -> bool:
    return True


def _pass_over(_: Exception) -> None:
    return None


async def _nobody_to_tell() -> None:
    return None


class StateTable(Table[bytes, bytes]):
    """A Faust table of bytes that is written by partition, outside of any stream.

    Faust recovers its local store from the topic `changelog_name`; we write both, the topic by way of `changelog`.
    `recovered` is awaited with the partitions that are ours once their rows are local, before reading starts.
    """

    recovered: Recovered | None = None
    changelog_name: str
    changelog: Changelog

    def _changelog_topic_name(self) -> str:
        return self.changelog_name

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Tell who asked to be told; Faust drops what is raised here, so a failure ends the app."""
        try:
            await super().on_recovery_completed(active_tps, standby_tps)
            if self.recovered is not None:
                await self.recovered(frozenset(tp.partition for tp in active_tps))
        except Exception as err:
            await self.app.crash(err)

    @property
    def store(self) -> Any:
        """The local RocksDB store: its partitions' databases are not part of Faust's interface."""
        return self.data

    async def ready(self) -> None:
        """Wait until the changelog has taken most of what it was given."""
        await self.changelog.ready()

    def put(self, partition: int, key: bytes, value: bytes) -> Awaitable[Any]:
        """Write a row to the local store and hand it to the changelog; await the result to know that it is there."""
        sent = self._send(partition, key, value)
        self.store._db_for_partition(partition).put(key, value)
        return sent

    def remove(self, partition: int, key: bytes) -> Awaitable[Any]:
        """Delete a row from the local store and hand that to the changelog; await the result as with `put`."""
        sent = self._send(partition, key, None)
        self.store._db_for_partition(partition).delete(key)
        return sent

    def _send(self, partition: int, key: bytes, value: bytes | None) -> asyncio.Future[int]:
        sent = self.changelog.send(self.changelog_name, partition, key, value)
        sent.add_done_callback(partial(self._sent, TP(self.changelog_name, partition)))
        return sent

    def _sent(self, tp: TP, row: asyncio.Future[int]) -> None:
        """Note how much of the changelog the local store has, so that a restart reads only what comes after."""
        if not row.cancelled() and row.exception() is None:
            self.store.set_persisted_offset(tp, row.result())

    def discard_if_spoiled(self, partition: int, end: int) -> bool:
        """Delete the local store of a partition if it can't be opened, or knows more than its changelog's `end`.

        Returns whether it did. Call it before the app starts.
        """
        path = self.store.partition_path(partition)
        if not path.exists():
            return False
        try:
            store = self.store.rocksdb_options.open(path)
            offset = store.get(self.store.offset_key)
            store.close()
            if offset is None or int(offset) < end:
                return False
        except Exception as err:
            self.log.warning("%s can't be opened: %s", path.name, err)
        shutil.rmtree(path, ignore_errors=True)
        return True

    def discard(self, partition: int) -> None:
        """Delete the local store of a partition. Call it before the app starts."""
        shutil.rmtree(self.store.partition_path(partition), ignore_errors=True)

    def rows(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the local rows of a partition whose keys begin with `prefix`, in order of keys."""
        for key, value in self.store._db_for_partition(partition).items(from_key=prefix):
            if not key.startswith(prefix):
                return
            yield key, value


def state_table(app: ColumnarApp, name: str, topic: str, partitions: int, changelog: Changelog) -> StateTable:
    """Declare a `StateTable` whose changelog topic exists already."""
    named = type("StateTable", (StateTable,), {"changelog_name": topic, "changelog": changelog})
    table: StateTable = named(
        app,
        name=name,
        beacon=app.tables.beacon,
        partitions=partitions,
        key_type=bytes,
        value_type=bytes,
    )
    table.store.rocksdb_options = LocalCopy()
    app.tables.add(table)
    return table


def batch_topic(app: ColumnarApp, name: str) -> Any:
    """Declare a topic whose events are record batches."""
    return app.topic(name, schema=BatchSchema())


async def delivered(stream: Any, gathered: Sequence[RecordBatch]) -> None:
    """Let the consumer hand over the other batches of the last one's poll: each takes a few turns of the loop.

    Judged together they cost little more than one. It is not waited for long: a rebalance may have dropped them.
    """
    last = gathered[-1]
    missing = min(BUFFERED, last.siblings - sum(batch.poll == last.poll for batch in gathered))
    for turn in range(TURNS):
        if stream.channel.queue.qsize() >= missing:
            return
        await asyncio.sleep(0 if turn < QUICK_TURNS else 0.001)


def waiting(stream: Any) -> bool:
    """Say whether another event lies ready in the stream's queue."""
    return not stream.channel.empty()


async def yield_to_loop() -> None:
    """Give other coroutines a turn."""
    await asyncio.sleep(0)
