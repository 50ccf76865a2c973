"""Offsets, confirmation and state rows: the parts of a checkpoint, each on its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Collection
from dataclasses import dataclass, field
from types import SimpleNamespace

import msgspec
import pytest
from confluent_kafka import KafkaError
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from streams import outbox
from streams.checkpoint import Applied, Copy, Keeper, resume_from
from streams.columnar import ColumnarConsumer, Progress, RecordBatch
from streams.outbox import Outbox, Post, Undelivered
from tests.worker.senders import Sender, Table

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
    assert progress.under_way()
    two.applied = True
    assert not progress.under_way()
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


def test_a_poll_of_many_records_comes_in_bounded_batches() -> None:
    """No batch is over the bounds in records and in bytes, but a record larger than that comes alone."""
    bounds = SimpleNamespace(app=SimpleNamespace(batch_records=3, batch_bytes=10))
    sizes = [1, 1, 1, 1, 9, 2, 50, 1]
    records = [SimpleNamespace(offset=n, key=None, value=b"x" * size) for n, size in enumerate(sizes)]
    batches = ColumnarConsumer._batches(bounds, FILINGS, records)  # type: ignore[arg-type]
    found = [(batch.first, batch.end, batch.size) for batch in batches]
    assert found == [
        (0, 3, 3),
        (3, 5, 10),
        (5, 6, 2),
        (6, 7, 50),
        (7, 8, 1),
    ]


TIMED_OUT = KafkaError._MSG_TIMED_OUT
TOO_LARGE = KafkaError.MSG_SIZE_TOO_LARGE


def box_of(*answers: int | None, room: int = 1_000) -> tuple[Outbox, Sender]:
    """Return an outbox on a broker with these answers."""
    sender = Sender(list(answers), room)
    return Outbox(sender), sender


def posts(keys: str) -> list[Post]:
    """Return records of these keys, a letter each."""
    return [Post("alerts", key.encode(), b"x") for key in keys]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PAUSE_SECONDS", 0.0)


def test_what_the_broker_did_not_take_is_sent_again() -> None:
    """What failed and nothing else, in its order."""

    async def run() -> None:
        box, sender = box_of(None, TIMED_OUT, None, TIMED_OUT)
        await box.send(posts("abcd"))
        await box.confirm(box.take())
        assert sender.keys == b"abcdbd"
        assert len(box) == 0

    asyncio.run(run())


def test_a_full_queue_is_waited_for() -> None:
    """Nothing is lost when more is sent than the client holds, and the order stays."""

    async def run() -> None:
        box, sender = box_of(room=3)
        await box.send(posts("abcdefgh"))
        await box.confirm(box.take())
        assert sender.keys == b"abcdefgh"

    asyncio.run(run())


def test_what_is_handed_over_while_another_takes_is_not_lost_to_either() -> None:
    """A checkpoint takes what was under way before; what is being sent meanwhile is for the next."""

    async def run() -> None:
        box, sender = box_of()
        await box.send(posts("a"))
        sender.room = 0
        sending = asyncio.create_task(box.send(posts("b")))
        await asyncio.sleep(0)
        taken = box.take()
        sender.room = 1
        await sending
        assert [post.key for parcel in taken for post in parcel.posts] == [b"a"]
        assert [post.key for parcel in box.take() for post in parcel.posts] == [b"b"]

    asyncio.run(run())


def test_what_the_broker_keeps_refusing_stays_under_way() -> None:
    """The checkpoint is put off and the records are tried again at the next one."""

    async def run() -> None:
        box, sender = box_of(*[TIMED_OUT] * (2 * (1 + outbox.ATTEMPTS)))
        await box.send(posts("ab"))
        with pytest.raises(Undelivered):
            await box.confirm(box.take())
        assert len(box) == 2
        await box.confirm(box.take())
        assert sender.keys == b"ab" * (2 + outbox.ATTEMPTS)

    asyncio.run(run())


def test_a_rejected_record_the_broker_finds_too_large_goes_without_its_bytes() -> None:
    """It says how many bytes were left out; they are still in the topic it came from. Others go whole."""

    async def run() -> None:
        box, sender = box_of(TOO_LARGE, TOO_LARGE, None, TOO_LARGE)
        bulky = Post("alerts", b"b", b"x" * 9, [("reason", b"too_large")], bulky=True)
        await box.send([*posts("a"), bulky])
        await box.confirm(box.take())
        assert sender.keys == b"ababb"
        assert sender.sent[2] == (b"a", b"x", [])
        assert sender.sent[-1] == (b"b", b"", [("reason", b"too_large"), ("left_out", b"9")])

    asyncio.run(run())


@dataclass
class States:
    """A source of state: blocks of partition 0 by name, and their parts."""

    blocks: dict[str, bytes] = field(default_factory=dict)
    held: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def export(self, partition: int, block: str) -> bytes:
        return self.blocks[block]

    def parts(self, partition: int, block: str) -> Collection[str]:
        return self.held.get(block, {})

    def export_part(self, partition: int, block: str, part: str) -> bytes:
        return self.held[block][part]


def keeper(table: Table, **blocks: bytes) -> Keeper:
    """Return a keeper of these blocks."""
    return Keeper(table, frozenset({"filings"}), States(blocks))  # type: ignore[arg-type]


def copied(keeper: Keeper, cut: dict[TP, int]) -> Copy:
    """Return a copy of what changed, made in one go."""
    copy = keeper.begin(cut)
    assert keeper.go_on(copy)
    return copy


def loaded(table: Table) -> tuple[dict[str, tuple[bytes, dict[str, bytes] | None]], dict[str, int]]:
    """Return what a new keeper loads: the blocks with their parts, and the offsets to resume from."""
    fresh = keeper(table)
    blocks = {block.name: (block.state, block.parts) for block in fresh.load(0)}
    return blocks, fresh.resume(0)


def test_state_comes_back_with_the_offset_to_resume_from() -> None:
    """What one keeper wrote another loads, and is told to go on where the state ends."""

    async def run() -> None:
        table = Table()
        first = keeper(table, a=b"A", b=b"B")
        first.mark(0, "a")
        await first.write(copied(first, {FILINGS: 5}))
        first.mark(0, "b")
        await first.write(copied(first, {FILINGS: 9}))
        assert loaded(table) == ({"a": (b"A", {}), "b": (b"B", {})}, {"filings": 9})

    asyncio.run(run())


def test_what_changes_while_a_copy_is_made_is_in_it_or_in_the_next() -> None:
    """Of two blocks that change between two turns, the one not copied yet is copied as it is then."""

    async def go() -> None:
        table = Table()
        blocks = States({"a": b"A", "b": b"B"})
        one = Keeper(table, frozenset({"filings"}), blocks)  # type: ignore[arg-type]
        one.mark(0, "a")
        one.mark(0, "b")
        copy = one.begin({FILINGS: 5})
        assert not one.go_on(copy, 0.0)
        for name in blocks.blocks:
            blocks.blocks[name] += b" later"
            one.mark(0, name)
        assert one.go_on(copy)
        await one.write(copy)
        assert loaded(table) == ({"a": (b"A", {}), "b": (b"B later", {})}, {"filings": 5})
        await one.write(copied(one, {FILINGS: 9}))
        assert loaded(table) == ({"a": (b"A later", {}), "b": (b"B later", {})}, {"filings": 9})

    asyncio.run(go())


def test_a_block_that_is_discarded_is_deleted_unless_it_is_written_anew() -> None:
    """What can't be read does not stay for the next start to stumble over, nor takes its successor with it."""

    async def go() -> None:
        table = Table()
        former = Keeper(table, frozenset({"filings"}), States({"a": b"A", "b": b"B"}, {"b": {"part": b"p"}}))  # type: ignore[arg-type]
        former.mark(0, "a")
        former.mark(0, "b", "part")
        await former.write(copied(former, {FILINGS: 5}))
        one = keeper(table, a=b"new")
        for block in one.load(0):
            one.discard(0, block.name)
        one.mark(0, "a")
        await one.write(copied(one, {FILINGS: 6}))
        assert loaded(table) == ({"a": (b"new", {})}, {"filings": 6})
        assert {key.decode() for key in table.written[0]} == {"0/a", "0/applied"}

    asyncio.run(go())


def test_without_its_record_a_partition_is_computed_from_the_beginning() -> None:
    """A state of unknown extent is not trusted, nor is an offset that the group may have without any state."""
    assert loaded(Table()) == ({}, {"filings": 0})


def test_blocks_that_were_not_written_are_written_at_the_next_checkpoint() -> None:
    """A failure loses no change."""

    async def run() -> None:
        table = Table()
        one = keeper(table, a=b"A")
        one.mark(0, "a")
        table.room = 0
        copy = copied(one, {FILINGS: 5})
        with pytest.raises(Undelivered):
            await one.write(copy)
        one.undo(copy)
        table.room = 100
        await one.write(copied(one, {FILINGS: 5}))
        assert loaded(table) == ({"a": (b"A", {})}, {"filings": 5})

    asyncio.run(run())


def test_a_change_of_one_part_writes_that_part() -> None:
    """What did not change is not written again, and what no block names any more is deleted."""

    async def run() -> None:
        table, states = Table(), States({"a": b"A"}, {"a": {"q1": b"1" * 1000, "q2": b"2"}})
        one = Keeper(table, frozenset({"filings"}), states)  # type: ignore[arg-type]
        one.mark(0, "a", "q1", "q2")
        assert await one.write(copied(one, {FILINGS: 5})) > 1000
        states.held["a"]["q2"] = b"3"
        one.mark(0, "a", "q2")
        assert await one.write(copied(one, {FILINGS: 6})) < 200
        assert loaded(table)[0] == {"a": (b"A", {"q1": b"1" * 1000, "q2": b"3"})}
        del states.held["a"]["q1"]
        one.mark(0, "a")
        await one.write(copied(one, {FILINGS: 7}))
        assert loaded(table)[0] == {"a": (b"A", {"q2": b"3"})}
        await one.write(copied(one, {FILINGS: 8}))
        one.mark(0, "a")
        await one.write(copied(one, {FILINGS: 9}))
        assert loaded(table)[0] == {"a": (b"A", {"q2": b"3"})}
        assert len(table.written[0]) == 3  # the record, the block, one version of one part

    asyncio.run(run())


@given(
    st.lists(st.dictionaries(st.sampled_from(["q1", "q2", "q3"]), st.binary(max_size=3)), min_size=2, max_size=5),
    st.data(),
)
def test_a_crash_at_any_row_leaves_a_block_that_is_whole(history: list[dict[str, bytes]], data: DataObject) -> None:
    """A block comes back with the parts that belong to it, as they were or as they are to be, never mixed."""

    async def run() -> None:
        table, states = Table(), States()
        one = Keeper(table, frozenset({"filings"}), states)  # type: ignore[arg-type]
        known: dict[str, bytes] = {}
        for offset, parts in enumerate(history):
            changed = {p for p in parts.keys() | known.keys() if parts.get(p) != known.get(p)}
            states.blocks["a"], states.held["a"] = b"%d" % offset, parts
            known = parts
            one.mark(0, "a", *changed)
            if offset == len(history) - 1:
                table.room = data.draw(st.integers(0, 8), label="rows written")
            with contextlib.suppress(Undelivered):
                await one.write(copied(one, {FILINGS: offset}))
        (state, found), resume = loaded(table)[0]["a"], loaded(table)[1]
        assert found == history[int(state)]
        assert int(state) >= len(history) - 2
        assert resume["filings"] <= int(state)

    asyncio.run(run())


@pytest.mark.parametrize("when", [b"0~a/", b"0/a", b"0/applied"])
def test_state_loaded_anew_while_a_checkpoint_is_written_keeps_every_part(when: bytes) -> None:
    """An engine that failed reads its state again; the checkpoint under way then ends, and deletes nothing it names."""

    async def run() -> None:
        table, states = Table(), States({"a": b"A", "b": b"B"}, {"a": {"q1": b"1", "q2": b"2"}})
        one = Keeper(table, frozenset({"filings"}), states)  # type: ignore[arg-type]
        one.mark(0, "a", "q1", "q2")
        await one.write(copied(one, {FILINGS: 5}))
        states.held["a"]["q2"] = b"3"
        one.mark(0, "a", "q2")
        copy, put = copied(one, {FILINGS: 6}), table.put

        def put_and_load(partition: int, key: bytes, value: bytes) -> Awaitable[None]:
            if key == when or (when.endswith(b"/") and key.startswith(when)):
                one.forget()
                assert [block.name for block in one.load(0)] == ["a"]
            return put(partition, key, value)

        table.put = put_and_load  # type: ignore[method-assign]
        await one.write(copy)
        table.put = put  # type: ignore[method-assign]
        one.mark(0, "b")
        await one.write(copied(one, {FILINGS: 7}))
        assert loaded(table)[0] == {"a": (b"A", {"q1": b"1", "q2": b"3"}), "b": (b"B", {})}

    asyncio.run(run())


def test_a_worker_thought_dead_that_writes_old_state_is_found_out() -> None:
    """Blocks written late by the former owner send the reader back to where they end, and nothing is lost."""

    async def run() -> None:
        table = Table()
        former = keeper(table, a=b"old")
        former.mark(0, "a")
        late = copied(former, {FILINGS: 4})
        owner = keeper(table, a=b"new", b=b"B")
        owner.mark(0, "a")
        owner.mark(0, "b")
        await owner.write(copied(owner, {FILINGS: 9}))
        only_block = Copy(late.offsets, late.blocks)
        await former.write(only_block)
        states, resume = loaded(table)
        assert states["a"] == (b"old", {})
        assert resume == {"filings": 4}
        await former.write(late)
        assert loaded(table)[1] == {"filings": 4}

    asyncio.run(run())


def test_a_worker_thought_dead_takes_no_part_away_from_the_new_owner() -> None:
    """It ends its last checkpoint; what that no longer names, the new owner's block may name still."""

    async def run() -> None:
        table, states = Table(), States({"a": b"A"}, {"a": {"q1": b"1", "q2": b"2"}})
        former = Keeper(table, frozenset({"filings"}), states)  # type: ignore[arg-type]
        former.mark(0, "a")
        await former.write(copied(former, {FILINGS: 5}))
        owner = Keeper(table, frozenset({"filings"}), States({"a": b"B"}, {"a": {"q1": b"1", "q2": b"3"}}))  # type: ignore[arg-type]
        assert [block.name for block in owner.load(0)] == ["a"]
        former.mark(0, "a", "q1")
        await former.write(copied(former, {FILINGS: 6}))
        owner.mark(0, "a", "q2")
        await owner.write(copied(owner, {FILINGS: 7}))
        assert loaded(table) == ({"a": (b"B", {"q1": b"1", "q2": b"3"})}, {"filings": 7})

    asyncio.run(run())


def test_a_block_whose_parts_are_gone_says_so() -> None:
    """A part that belongs to a block and is not there is no part that is empty."""

    async def run() -> None:
        table, states = Table(), States({"a": b"A"}, {"a": {"q1": b"1"}})
        one = Keeper(table, frozenset({"filings"}), states)  # type: ignore[arg-type]
        one.mark(0, "a", "q1")
        await one.write(copied(one, {FILINGS: 5}))
        del table.written[0][next(key for key in table.written[0] if b"q1" in key)]
        assert loaded(table)[0] == {"a": (b"A", None)}

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


class Before(msgspec.Struct, array_like=True):
    """The record as it was without ids of topics."""

    applied: dict[str, int]
    blocks: dict[str, dict[str, int]]


def test_a_record_of_a_version_without_ids_of_topics_is_read() -> None:
    """It says nothing of them; and that version reads a record which does."""
    old = msgspec.msgpack.encode([{"filings": 7}, {"00": {"filings": 5}}])
    assert msgspec.msgpack.decode(old, type=Applied) == Applied({"filings": 7}, {"00": {"filings": 5}}, {})

    new = msgspec.msgpack.encode(Applied({"filings": 7}, {}, {"filings": "an-id"}))
    assert msgspec.msgpack.decode(new, type=Before).applied == {"filings": 7}
