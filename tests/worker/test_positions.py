"""Positions as Kafka means them: offsets without a record are passed, and offsets of another topic are noticed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest
from confluent_kafka import IsolationLevel, Producer
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient, OffsetSpec
from faust.types import TP
from kafka import KafkaAdminClient

from rules.calendar import expected, format_instant
from rules.catalogue import load_catalogue
from rules.pack import PackText, Program, compile_packs
from rules.registry import Institution
from rules.showing import newest
from streams.app import Worker
from streams.columnar import Progress, RecordBatch
from streams.fetching import Record
from streams.logs import Logs, TopicChanged, require_same
from streams.place import claim_folder, find_place, forget_state
from streams.topics import create_topics, topic_table
from tests.worker.field import Field, Sent, until
from tests.worker.test_clock import PACK, filing

FILINGS = TP("filings", 0)


def batch(first: int, end: int, reached: int = 0) -> RecordBatch:
    records = cast(Sequence[Record], [SimpleNamespace(offset=offset) for offset in range(first, end)])
    return RecordBatch(FILINGS, records, reached=reached)


def test_what_follows_the_last_record_is_passed_once_that_is_applied() -> None:
    """The end of the log is after a mark of a transaction: the position is there too, not before the record counts."""
    progress = Progress()
    progress.start(FILINGS, 5)
    last = batch(5, 10, reached=11)
    progress.hand_out(last)
    assert progress.applied() == {FILINGS: 5}
    last.applied = True
    assert progress.applied() == {FILINGS: 11}
    progress.reach(FILINGS, 14)
    assert progress.applied() == {FILINGS: 14}


def test_an_end_that_is_reached_waits_for_what_was_handed_out_before() -> None:
    progress = Progress()
    progress.start(FILINGS, 0)
    given = batch(0, 4)
    progress.hand_out(given)
    progress.reach(FILINGS, 7)
    assert progress.applied() == {FILINGS: 0}
    given.applied = True
    assert progress.applied() == {FILINGS: 7}


def test_a_partition_of_which_everything_expired_is_read_to_its_end() -> None:
    """No record is left, or none ever was: the position is where reading goes on. Other people's are not noted."""
    progress = Progress()
    progress.start(FILINGS, 0)
    progress.reach(FILINGS, 500)
    progress.reach(TP("filings", 1), 3)
    assert progress.applied() == {FILINGS: 500}


def test_offsets_that_begin_again_are_noticed() -> None:
    """Records or an end before what was read are of another log; gaps ahead are not."""
    progress = Progress()
    progress.start(FILINGS, 1000)
    progress.require_forward(FILINGS, 1200)
    with pytest.raises(TopicChanged, match=r"'filings'.*offset 0, and was read up to 1,000.*topics forget"):
        progress.require_forward(FILINGS, 0)
    progress.hand_out(batch(1200, 1205))
    with pytest.raises(TopicChanged):
        progress.require_forward(FILINGS, 1204)


def test_another_id_is_another_topic_and_no_id_says_nothing() -> None:
    require_same({"a": "1", "b": "2"}, {"a": "1"})
    require_same({}, {"a": "1"})
    with pytest.raises(TopicChanged, match=r"'a'.*deleted and made again"):
        require_same({"a": "1"}, {"a": "2"})


def in_transaction(bootstrap: str, records: Sequence[tuple[str, Sent]], commit: bool = True) -> None:
    """Send records in one transaction, which leaves a mark behind them; return once the marks are there.

    Brokers write them after they have told the sender that all is done.
    """
    own = {"transactional.id": f"{records[0][0]}-{commit}", "partitioner": "murmur2_random"}
    producer = Producer({"bootstrap.servers": bootstrap, **own})
    producer.init_transactions(30)
    producer.begin_transaction()
    for topic, record in records:
        producer.produce(topic, record.value, record.key.encode())
    producer.flush(30)
    producer.commit_transaction(30) if commit else producer.abort_transaction(30)
    admin = AdminClient({"bootstrap.servers": bootstrap})
    topics = {topic for topic, _ in records}
    places = {Place(t, p): OffsetSpec.latest() for t in topics for p in producer.list_topics(t).topics[t].partitions}
    for _ in range(300):
        levels = (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
        told = [admin.list_offsets(places, isolation_level=level) for level in levels]
        committed, whole = ([one.result().offset for one in found.values()] for found in told)
        if committed == whole:
            return
        time.sleep(0.1)
    raise TimeoutError("the marks of the transaction did not come")


def clocks() -> tuple[Program, int, int]:
    catalogue = load_catalogue(["cn"])
    due = expected(catalogue.forms["cn.liquidity.d"], int(time.time()), catalogue.country)
    assert due is not None
    return compile_packs([PackText(PACK, "clock.yaml")], catalogue), *due


def bank(code: str) -> Institution:
    return Institution(code, {"en": code}, type="city_bank", opened="1990-01-01")


@pytest.mark.needs("kafka")
def test_clocks_go_on_behind_offsets_without_a_record(field: Field) -> None:
    """Transactions, committed and not, and filings that expired: who did not file is late, nothing is behind."""
    program, due, day = clocks()
    field.prepare([])
    there = [(field.topic("institutions"), Sent(code, msgspec.json.encode(bank(code)))) for code in ("CN001", "CN002")]
    in_transaction(field.bootstrap, there)
    assert [r.key for r in field.read("institutions")] == [b"CN001", b"CN002"]
    in_transaction(field.bootstrap, [(field.topic("filings"), filing("CN002", day))], commit=False)
    in_transaction(field.bootstrap, [(field.topic("filings"), filing("CN001", day))])
    field.send([filing(code, day) for code in ("CN005", "CN006", "CN007", "CN008")])
    admin = AdminClient({"bootstrap.servers": field.bootstrap})
    field.send([Sent("X", b"expires")], "market.quotes")
    gone = admin.delete_records([Place(field.topic("market.quotes"), 0, -1)])
    assert [future.result().low_watermark for future in gone.values()] == [1]

    async def run() -> None:
        async with field.worker(program) as worker:
            await until(field.transitions)
            await until(lambda: worker.lag and not any(worker.lag.values()))
            await until(lambda: field.caught_up() and field.caught_up("market.quotes"))

    asyncio.run(run())
    (late,) = field.transitions().values()
    assert (late.subject, late.state, late.as_of) == ("CN002", "firing", format_instant(due))


async def ends_because(field: Field, program: Program, meanwhile: asyncio.Event | None = None) -> str:
    """Run a worker until it ends by itself; return its sentence. `meanwhile` is set once it has read everything."""
    settings = field.settings()
    place = await asyncio.to_thread(find_place, settings)
    with claim_folder(settings.data_dir, settings.instance) as folder:
        running = asyncio.create_task(Worker(settings, program, place, folder).run(asyncio.Event()))
        if meanwhile is not None:
            await until(field.caught_up)
            meanwhile.set()
        with pytest.raises(TopicChanged) as caught:
            async with asyncio.timeout(60):
                await running
    assert caught.value.exit_code == 4
    return str(caught.value)


@pytest.mark.needs("kafka")
def test_a_topic_that_is_made_again_ends_the_worker_and_no_filing_is_dropped(field: Field) -> None:
    """While a worker runs and when one starts; once what it remembers is forgotten, the new filings are taken."""
    program, _, day = clocks()
    field.prepare([bank("CN001")])
    field.send([filing("CN001", day - n * 86_400) for n in range(5, -1, -1)])
    name = field.topic("filings")

    def make_again() -> None:
        admin = KafkaAdminClient(bootstrap_servers=field.bootstrap)
        admin.delete_topics([name])
        while name in admin.list_topics():
            time.sleep(0.05)
        admin.close()
        create_topics(field.bootstrap, topic_table(field.prefix, field.partitions, 1))
        field.send([filing("CN001", day)])

    async def run() -> tuple[str, str]:
        read = asyncio.Event()
        first = asyncio.create_task(ends_because(field, program, read))
        await read.wait()
        await asyncio.to_thread(make_again)
        return await first, await ends_because(field, program)

    for said in asyncio.run(run()):
        assert said.startswith(f"the topic {name!r} is not the one")
        assert "guanlan topics forget" in said
    assert len(forget_state(field.settings())) == 2

    async def again() -> None:
        async with field.worker(program) as worker:
            await until(field.caught_up)
            assert newest(worker.watch.engine, ["lcr"])[1]["lcr"].as_of.tolist() == [day]

    asyncio.run(again())
    assert field.transitions() == {}


@pytest.mark.needs("broker")
def test_ends_and_ids_are_asked_of_any_broker(field: Field) -> None:
    """A topic that is not there has no id."""
    field.prepare([])
    field.send([Sent("X", b"1"), Sent("X", b"2")], "market.quotes")

    async def ask() -> tuple[dict[TP, int], dict[str, str]]:
        logs, name = Logs(field.bootstrap), field.topic("market.quotes")
        return await logs.ends([TP(name, 0)]), await logs.ids([name, "not-there"])

    ends, ids = asyncio.run(ask())
    assert list(ends.values()) == [2]
    assert ids.keys() <= {field.topic("market.quotes")}
