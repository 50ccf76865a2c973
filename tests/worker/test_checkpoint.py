"""Offsets, confirmation and state rows: the parts of a checkpoint, each on its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from streams import checkpoint
from streams.checkpoint import Applied, Keeper, Outbox, Post, Undelivered, resume_from
from streams.columnar import Progress, RecordBatch

FILINGS = TP("filings", 0)


def batch(first: int, end: int, epoch: int = 0) -> RecordBatch:
    """Return a batch of the offsets from `first` to before `end`."""
    return RecordBatch(FILINGS, [SimpleNamespace(offset=offset) for offset in range(first, end)], epoch)


def test_only_the_longest_applied_prefix_counts() -> None:
    """A batch that was not applied holds back those after it, whatever Faust acknowledged."""
    progress = Progress()
    progress.start(FILINGS, 10)
    one, two, three = batch(10, 20), batch(20, 25), batch(27, 30)
    for handed in (one, two, three):
        progress.hand_out(handed)
    assert progress.applied() == {FILINGS: 10}
    three.applied = True
    assert progress.applied() == {FILINGS: 10}
    one.applied = True
    assert progress.applied() == {FILINGS: 20}
    two.applied = True
    assert progress.applied() == {FILINGS: 30}


def test_a_batch_handed_out_again_replaces_the_first() -> None:
    """After a seek the same offsets come in other batches; the lost ones no longer hold anything back."""
    progress = Progress()
    progress.start(FILINGS, 0)
    progress.hand_out(batch(0, 10))
    progress.hand_out(batch(10, 20))
    again = batch(0, 15)
    progress.hand_out(again)
    again.applied = True
    assert progress.applied() == {FILINGS: 15}


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=12))
def test_nothing_unapplied_is_ever_passed(batches: list[tuple[int, bool]]) -> None:
    """The offset given for commit never lies behind a record that was not applied."""
    progress = Progress()
    progress.start(FILINGS, 0)
    offset = 0
    expected = None
    for size, applied in batches:
        handed = batch(offset, offset + size)
        handed.applied = applied
        progress.hand_out(handed)
        if not applied and expected is None:
            expected = offset
        offset += size
    assert progress.applied() == {FILINGS: offset if expected is None else expected}


class Batch(list[dict[str, Any]]):
    """Stands for a batch under construction; takes three records."""

    def append(self, **record: Any) -> object | None:  # type: ignore[override]
        if len(self) == 3:
            return None
        super().append(record)
        return record

    def close(self) -> None:
        pass


@dataclass
class Producer:
    """Stands for a broker: answers each batch with the next of `answers`, success when they run out."""

    answers: list[Exception | None]
    sent: list[tuple[str, list[bytes]]] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)

    async def partitions_for(self, topic: str) -> set[int]:
        return {0}

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, partition: int) -> Awaitable[Any]:
        self.sent.append((topic, [record["key"] for record in batch]))
        self.last = batch[-1]
        future = asyncio.get_running_loop().create_future()
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            future.set_result(None)
        else:
            future.set_exception(answer)
        return future


def outbox(*answers: Exception | None) -> tuple[Outbox, Producer]:
    """Return an outbox on a broker with these answers."""
    producer = Producer(list(answers))
    return Outbox(SimpleNamespace(sender=producer)), producer  # type: ignore[arg-type]


def posts(*keys: bytes) -> list[Post]:
    """Return records of these keys."""
    return [Post("alerts", key, b"x") for key in keys]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "PAUSE_SECONDS", 0.0)


def test_what_the_broker_did_not_take_is_sent_again() -> None:
    """One failure costs one more send of that batch alone, in its order."""

    async def run() -> None:
        box, producer = outbox(KafkaTimeoutError(), None)
        await box.send(posts(b"a", b"b", b"c", b"d"))
        await box.confirm(box.take())
        assert [keys for _, keys in producer.sent] == [[b"a", b"b", b"c"], [b"d"], [b"a", b"b", b"c"]]
        assert len(box) == 0

    asyncio.run(run())


def test_what_the_broker_keeps_refusing_stays_under_way() -> None:
    """The checkpoint is put off and the records are tried again at the next one."""

    async def run() -> None:
        box, producer = outbox(*[KafkaTimeoutError() for _ in range(1 + checkpoint.ATTEMPTS)])
        await box.send(posts(b"a", b"b"))
        with pytest.raises(Undelivered):
            await box.confirm(box.take())
        assert len(box) == 2
        await box.confirm(box.take())
        assert len(producer.sent) == 2 + checkpoint.ATTEMPTS

    asyncio.run(run())


def test_a_rejected_record_the_broker_finds_too_large_goes_without_its_bytes() -> None:
    """It says how many bytes were left out; they are still in the topic it came from. Others of its batch go whole."""

    async def run() -> None:
        box, producer = outbox(MessageSizeTooLargeError())
        bulky = Post("alerts", b"b", b"x" * 9, [("reason", b"too_large")], bulky=True)
        await box.send([*posts(b"a"), bulky])
        await box.confirm(box.take())
        assert [keys for _, keys in producer.sent] == [[b"a", b"b"], [b"a"], [b"b"]]
        assert producer.last["value"] == b""
        assert producer.last["headers"] == [("reason", b"too_large"), ("left_out", b"9")]

    asyncio.run(run())


class Table:
    """Stands for a state table: rows by partition; `put` fails while `broken`."""

    def __init__(self) -> None:
        self.written: dict[int, dict[bytes, bytes]] = {}
        self.broken = False

    def put(self, partition: int, key: bytes, value: bytes) -> Awaitable[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.broken:
            future.set_exception(KafkaTimeoutError())
        else:
            self.written.setdefault(partition, {})[key] = value
            future.set_result(None)
        return future

    def rows(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        yield from self.written.get(partition, {}).items()


def keeper(table: Table, states: dict[tuple[int, str], bytes]) -> Keeper:
    """Return a keeper of these states."""
    return Keeper(table, frozenset({"filings"}), lambda partition, block: states[partition, block])  # type: ignore[arg-type]


def test_state_comes_back_with_the_offset_to_resume_from() -> None:
    """What one keeper wrote another loads, and is told to go on where the state ends."""

    async def run() -> None:
        table, states = Table(), {(0, "0a"): b"A", (0, "0b"): b"B"}
        first = keeper(table, states)
        first.mark(0, "0a")
        await first.write(await first.copy({FILINGS: 5}))
        first.mark(0, "0b")
        await first.write(await first.copy({FILINGS: 9}))
        assert keeper(table, {}).load(0) == ({"0a": b"A", "0b": b"B"}, {"filings": 9})

    asyncio.run(run())


def test_without_its_record_a_partition_is_computed_from_the_beginning() -> None:
    """A state of unknown extent is not trusted, nor is an offset that the group may have without any state."""
    assert keeper(Table(), {}).load(0) == ({}, {"filings": 0})


def test_blocks_that_were_not_written_are_written_at_the_next_checkpoint() -> None:
    """A failure loses no change."""

    async def run() -> None:
        table = Table()
        one = keeper(table, {(0, "0a"): b"A"})
        one.mark(0, "0a")
        table.broken = True
        copy = await one.copy({FILINGS: 5})
        with pytest.raises(KafkaTimeoutError):
            await one.write(copy)
        one.undo(copy)
        table.broken = False
        await one.write(await one.copy({FILINGS: 5}))
        assert keeper(table, {}).load(0) == ({"0a": b"A"}, {"filings": 5})

    asyncio.run(run())


def test_a_worker_thought_dead_that_writes_old_state_is_found_out() -> None:
    """Blocks written late by the former owner send the reader back to where they end, and nothing is lost."""

    async def run() -> None:
        table = Table()
        former = keeper(table, {(0, "0a"): b"old"})
        former.mark(0, "0a")
        late = await former.copy({FILINGS: 4})
        owner = keeper(table, {(0, "0a"): b"new", (0, "0b"): b"B"})
        owner.mark(0, "0a")
        owner.mark(0, "0b")
        await owner.write(await owner.copy({FILINGS: 9}))
        only_block = checkpoint.Copy(late.blocks, {})
        await former.write(only_block)
        states, resume = keeper(table, {}).load(0)
        assert states["0a"] == b"old"
        assert resume == {"filings": 4}
        await former.write(late)
        assert keeper(table, {}).load(0)[1] == {"filings": 4}

    asyncio.run(run())


OFFSETS = st.integers(0, 50)


@given(st.dictionaries(st.sampled_from("abcd"), st.tuples(OFFSETS, OFFSETS)), OFFSETS)
def test_resuming_never_skips_what_a_block_lacks(blocks: dict[str, tuple[int, int]], applied: int) -> None:
    """For every block that is older than it should be, reading starts at or before the offset where it ends."""
    record = Applied({"filings": applied}, {name: {"filings": listed} for name, (listed, _) in blocks.items()})
    good = resume_from(record, {name: {"filings": has} for name, (_, has) in blocks.items()})["filings"]
    assert good <= applied
    assert all(good <= has for listed, has in blocks.values() if has < listed)
    assert good == applied or good in {has for _, has in blocks.values()}
