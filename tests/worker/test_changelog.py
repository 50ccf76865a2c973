"""Rows of state on their way to a changelog: what their futures say, and what a restart need not read again."""

from __future__ import annotations

import asyncio

import pytest
from confluent_kafka import KafkaError
from faust.types import TP
from kafka import KafkaConsumer, TopicPartition

from streams.changelog import AHEAD_BYTES, Changelog
from streams.outbox import Undelivered
from tests.worker.field import Field, load, program_of, until
from tests.worker.senders import Sender


def test_a_row_has_its_offset_when_the_broker_has_it() -> None:
    """Rows are answered one by one, in order."""

    async def run() -> None:
        sender = Sender([])
        changelog = Changelog(sender)
        rows = [changelog.send("states", 0, key.encode(), b"") for key in "abcde"]
        assert not rows[0].done()
        assert await asyncio.gather(*rows) == [0, 1, 2, 3, 4]
        assert sender.keys == b"abcde"

    asyncio.run(run())


def test_who_has_many_rows_waits_for_those_under_way() -> None:
    """Rows are copied on their way: no more of them than a few megabytes at a time."""

    async def run() -> None:
        changelog = Changelog(Sender([]))
        await changelog.ready()
        rows = [changelog.send("states", 0, key, bytes(AHEAD_BYTES // 2)) for key in (b"a", b"b", b"c")]
        assert not rows[0].done()
        await changelog.ready()
        assert rows[0].done()

    asyncio.run(run())


def test_a_queue_that_is_full_puts_the_checkpoint_off() -> None:
    """A row that librdkafka has no room for is one that was not taken."""

    async def run() -> None:
        changelog = Changelog(Sender([], room=1))
        one, other = changelog.send("states", 0, b"a", b""), changelog.send("states", 0, b"b", b"")
        with pytest.raises(Undelivered, match="states"):
            await other
        assert await one == 0

    asyncio.run(run())


def test_a_row_that_is_refused_says_so_and_no_other_does() -> None:
    """A checkpoint is put off by one row, and the next one is answered as ever."""

    async def run() -> None:
        changelog = Changelog(Sender([None, KafkaError._MSG_TIMED_OUT]))
        rows = [changelog.send("states", 0, key.encode(), b"") for key in "abc"]
        first, second, third = await asyncio.gather(*rows, return_exceptions=True)
        assert (first, third) == (0, 2)
        assert isinstance(second, Undelivered)
        assert "states" in str(second)
        assert await changelog.send("states", 0, b"d", b"") == 3

    asyncio.run(run())


@pytest.mark.needs("kafka")
def test_the_local_store_knows_how_much_of_the_changelog_it_has(field: Field) -> None:
    """After a checkpoint a restart has nothing to read that the disk has already."""
    wide, records = load(institutions=20, filings=200)
    program = program_of(wide)
    field.prepare(wide.institutions)
    field.send(records)

    async def run() -> None:
        async with field.worker(program) as worker:
            await until(field.caught_up)
            table = worker.watch.keeper.table
            places = [TP(table.changelog_name, n) for n in sorted(worker.watch.partitions or ())]
            ends = await asyncio.to_thread(ends_of, field.bootstrap, places)
            assert sum(ends.values()) > len(places)
            written = [tp for tp in places if ends[tp]]
            assert {tp: table.store.persisted_offset(tp) for tp in written} == {tp: ends[tp] - 1 for tp in written}

    asyncio.run(run())


def ends_of(bootstrap: str, places: list[TP]) -> dict[TP, int]:
    """Return the offset after the last row of each partition of a changelog."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    try:
        found = consumer.end_offsets([TopicPartition(*tp) for tp in places])
        return {tp: found[TopicPartition(*tp)] for tp in places}
    finally:
        consumer.close()
