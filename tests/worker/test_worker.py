"""A worker on a real broker: filings in, alerts out, bad input set aside, state kept over restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

import msgspec
import pytest
from faust.types import TP

from rules.registry import Institution
from streams.columnar import ColumnarApp, ColumnarConsumer
from streams.durable import Durable
from tests.worker.field import Field, Sent, direct, load, program_of, until, without_offsets

pytestmark = pytest.mark.needs("kafka")


def test_filings_become_the_alerts_that_the_engine_says(field: Field) -> None:
    """The topic of alerts holds what one engine makes of the same filings, no more and no less."""
    wide, records = load(institutions=30, filings=900)
    program = program_of(wide)
    expected = direct(program, wide.institutions, records)
    field.prepare(wide.institutions)
    field.send(records)

    async def run() -> None:
        async with field.worker(program):
            await until(field.caught_up)

    asyncio.run(run())
    assert expected.transitions
    assert field.transitions() == expected.transitions
    assert field.state(program, wide.institutions) == expected.active
    assert field.rejected() == []


def test_state_outlives_the_worker_and_its_disk(field: Field) -> None:
    """A load cut in three, with a restart and a restart without local data between, gives the same alerts."""
    wide, records = load(institutions=30, filings=900)
    program = program_of(wide)
    expected = direct(program, wide.institutions, records)
    field.prepare(wide.institutions)

    async def run() -> None:
        for part, folder in enumerate(("first", "first", "second")):
            field.send(records[part * len(records) // 3 : (part + 1) * len(records) // 3])
            async with field.worker(program, data_dir=field.folder / folder):
                await until(field.caught_up)

    asyncio.run(run())
    assert field.transitions() == expected.transitions
    assert field.state(program, wide.institutions) == expected.active


def test_a_slow_start_of_reading_loses_nothing(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between its seek and the end of a rebalance Faust empties the queues of agents: nothing may be in them yet."""
    wide, records = load(institutions=20, filings=600, seed=11)
    program = program_of(wide)
    expected = direct(program, wide.institutions, records)
    field.prepare(wide.institutions)
    seek = ColumnarConsumer.perform_seek
    early: list[bool] = []

    async def slowly(consumer: ColumnarConsumer) -> None:
        await seek(consumer)
        for _ in range(100):
            if consumer.reading:
                break
            await asyncio.sleep(0.005)
        early.append(consumer.reading)

    monkeypatch.setattr(ColumnarConsumer, "perform_seek", slowly)
    monkeypatch.setattr("streams.fetching.TAKEN_AT_ONCE", 10)
    monkeypatch.setattr("streams.fetching.TAKEN_BYTES", 1)

    async def run() -> None:
        for part, folder in (records[:300], "first"), (records[300:], "second"):
            field.send(part)
            # a folder without state: the fetcher already runs, to read the changelog, when the seek is made
            async with field.worker(program, data_dir=field.folder / folder):
                await until(field.caught_up, 30.0)

    asyncio.run(run())
    assert len(early) >= 2
    assert not any(early)
    assert field.transitions() == expected.transitions
    assert field.state(program, wide.institutions) == expected.active


def test_filings_are_judged_while_a_checkpoint_is_under_way(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes, and however many batches come: Faust's reader would wait for it every so many."""
    wide, records = load(institutions=20, filings=600, seed=12)
    program = program_of(wide)
    expected = direct(program, wide.institutions, records)
    field.prepare(wide.institutions)
    checkpoint, begun, let_go = Durable.checkpoint, asyncio.Event(), asyncio.Event()

    async def held(durable: Durable, cut: Mapping[TP, int]) -> bool:
        if cut and durable.pace.unsaved:
            begun.set()
            await let_go.wait()
        return await checkpoint(durable, cut)

    monkeypatch.setattr(Durable, "checkpoint", held)
    monkeypatch.setattr("streams.app.ColumnarApp", partial(ColumnarApp, broker_commit_every=1))
    monkeypatch.setattr("streams.app.MERGED_RECORDS", 10)

    async def run() -> None:
        async with field.worker(program):
            field.send(records[:300])
            await begun.wait()
            try:
                await asyncio.to_thread(field.send, records[300:], pause=0.05, piece=30)
                await until(lambda: field.transitions() == expected.transitions, 30.0)
                assert not field.caught_up()
            finally:
                let_go.set()
            await until(field.caught_up)

    asyncio.run(run())
    assert field.state(program, wide.institutions) == expected.active


def test_bad_records_are_set_aside_and_good_ones_flow(field: Field) -> None:
    """Every kind of bad record lands in filings.rejected with its bytes and reason; the others are judged."""
    wide, records = load(institutions=4, filings=40)
    program = program_of(wide)
    field.prepare(wide.institutions)
    good = msgspec.json.decode(records[0].value)
    later = {**good, "as_of": "2027-01-01", "submitted_at": "2027-01-02T08:00:00Z"}
    who = good["institution"]

    def made(**changes: object) -> bytes:
        return msgspec.json.encode({**later, **changes})

    first = made(revision=3)
    bad = {
        "not_json": [b"\xff\x00garbage", b"{", b""],
        "wrong_shape": [made(values=[1, 2]), made(revision="one"), made(surprise=1), b"[]", b"null"],
        "not_finite": [made().replace(b'"x0000":' + msgspec.json.encode(later["values"]["x0000"]), b'"x0000":NaN')],
        "unknown_institution": [made(institution="W9")],
        "unknown_form": [made(form="wide.weekly"), made(form="measures.institution", values={})],
        "unknown_indicator": [made(values={"x9999": 1.0})],
        "out_of_range": [made(values={"x0000": 1e9})],
        "as_of_in_future": [made(as_of="2027-03-01")],
        "too_large": [made(meta={"padding": "x" * 60_000})],
        "duplicate": [first],
        "revision_backwards": [made(revision=1)],
    }
    sent = [Sent(who, first)]
    for reason, values in bad.items():
        sent += [Sent("W9" if reason == "unknown_institution" else who, value) for value in values]
    sent.append(Sent("somebody else", made(revision=4)))

    async def run() -> None:
        async with field.worker(program, max_record_bytes=50_000):
            field.send([*sent, *records])
            await until(field.caught_up)

    asyncio.run(run())
    found: dict[str, list[bytes | None]] = {}
    for headers, record in field.rejected():
        found.setdefault(headers["reason"], []).append(record.value)
        assert headers["topic"] == field.topic("filings")
        assert headers["detail"]
        assert {"partition", "offset", "rejected_at"} <= headers.keys()
    bad["wrong_shape"] = [*bad["wrong_shape"], made(revision=4)]
    assert {k: sorted(map(bytes, v)) for k, v in found.items()} == {k: sorted(v) for k, v in bad.items()}
    assert field.transitions().keys() >= direct(program, wide.institutions, records).transitions.keys()


def test_a_filing_in_the_wrong_partition_is_refused(field: Field) -> None:
    """An institution's filings are in one partition; elsewhere they would be judged without their history."""
    from streams.clients import open_producer
    from streams.partitions import home

    wide, records = load(institutions=2, filings=2)
    program = program_of(wide)
    field.prepare(wide.institutions)
    record = records[0]
    astray = (home(record.key, field.partitions) + 1) % field.partitions

    async def run() -> None:
        async with field.worker(program):
            producer = open_producer(field.bootstrap)
            producer.send(field.topic("filings"), key=record.key.encode(), value=record.value, partition=astray)
            producer.flush()
            producer.close()
            await until(field.caught_up)

    asyncio.run(run())
    ((headers, rejected),) = field.rejected()
    assert (headers["reason"], rejected.value) == ("wrong_shape", record.value)
    assert f"partition {astray}" in headers["detail"]


def test_an_institution_lives_as_soon_as_it_is_registered(field: Field) -> None:
    """A filing sent right after its institution was registered is judged, not refused."""
    wide, records = load(institutions=3, filings=60)
    program = program_of(wide)
    field.prepare(wide.institutions[:2])
    newcomer = wide.institutions[2]

    async def run() -> None:
        from streams.registry import publish_institutions

        async with field.worker(program):
            field.send([r for r in records if r.key != newcomer.code])
            await until(field.caught_up)
            publish_institutions(field.bootstrap, field.topic("institutions"), [newcomer])
            field.send([r for r in records if r.key == newcomer.code])
            await until(field.caught_up)

    asyncio.run(run())
    assert field.rejected() == []
    expected = direct(program, wide.institutions, records).transitions
    assert without_offsets(field.transitions()) == without_offsets(expected)


def test_alerts_of_an_institution_that_leaves_are_retired(field: Field) -> None:
    """A tombstone in the registry resolves the institution's alerts with cause `retired`; its filings are refused."""
    wide, records = load(institutions=2, filings=200, seed=11)
    program = program_of(wide)
    field.prepare(wide.institutions)
    open_at_end = direct(program, wide.institutions, records).active
    leaver = next(a.subject for a in open_at_end if a.state == "firing")

    async def run() -> None:
        from streams.registry import retire_institutions

        async with field.worker(program) as worker:
            field.send(records)
            await until(field.caught_up)
            retire_institutions(field.bootstrap, field.topic("institutions"), [leaver])
            await until(lambda: worker.watch.engine.row(leaver) < 0)
            field.send([r for r in records if r.key == leaver][:1])
            await until(field.caught_up)

    asyncio.run(run())
    retired = {(t.rule, t.state) for t in field.transitions().values() if t.cause == "retired"}
    assert {(a.rule, "resolved") for a in open_at_end if a.subject == leaver and a.state == "firing"} <= retired
    assert [h["reason"] for h, _ in field.rejected()] == ["unknown_institution"]
    staying = [i for i in wide.institutions if i.code != leaver]
    assert {a.subject for a in field.state(program, staying)} <= {i.code for i in staying}


def test_a_record_that_breaks_the_engine_goes_aside_alone(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """When applying fails the culprit is rejected as `internal`; all others, before and after, are judged once."""
    from rules.engine import Engine

    wide, records = load(institutions=6, filings=240)
    program = program_of(wide)
    expected = direct(program, wide.institutions, records)
    field.prepare(wide.institutions)
    poison = msgspec.json.decode(records[100].value)
    poison |= {"as_of": "2031-01-01", "submitted_at": "2031-01-01T08:00:00Z"}
    culprit = Sent(poison["institution"], msgspec.json.encode(poison))
    honest = Engine.apply

    def breaking(self: Engine, batches: list) -> object:  # type: ignore[type-arg]
        outcome = honest(self, batches)
        if any((b.as_of >= 1_924_992_000).any() for b in batches):
            raise RuntimeError("a bug in the engine")
        return outcome

    monkeypatch.setattr(Engine, "apply", breaking)

    async def run() -> None:
        async with field.worker(program):
            field.send([*records[:150], culprit, *records[150:]])
            await until(field.caught_up)

    asyncio.run(run())
    monkeypatch.undo()
    ((headers, record),) = field.rejected()
    assert (headers["reason"], record.value) == ("internal", culprit.value)
    assert without_offsets(field.transitions()) == without_offsets(expected.transitions)
    assert field.state(program, wide.institutions) == expected.active


def test_a_worker_says_what_is_missing_before_it_starts(field: Field) -> None:
    """Without topics the error names them and the command that makes them."""
    from rules.problems import ConfigError
    from streams.place import find_place

    with pytest.raises(ConfigError, match="guanlan topics create"):
        find_place(field.settings())


def test_unused_attributes_of_an_institution_are_kept(field: Field) -> None:
    """Registering an institution anew with other attributes changes its series and keeps its state."""
    wide, records = load(institutions=2, filings=20)
    program = program_of(wide)
    field.prepare(wide.institutions)
    moved = Institution(wide.institutions[0].code, {"en": "Moved"}, type="bank", region="West")

    async def run() -> None:
        from streams.registry import publish_institutions

        async with field.worker(program) as worker:
            field.send(records)
            await until(field.caught_up)
            publish_institutions(field.bootstrap, field.topic("institutions"), [moved])
            await until(lambda: worker.roster.institutions[moved.code].region == "West")
            shown = await worker.snapshot()
            regions = {labels[0]: labels[2] for column in shown.columns for labels in column.subjects}
            assert regions[moved.code] == "West"

    asyncio.run(run())


def test_a_record_of_fifty_megabytes_goes_aside_whole(field: Field) -> None:
    """It is not looked into, its bytes are all there, and the filing behind it is judged."""
    from streams.clients import open_producer

    wide, records = load(institutions=1, filings=1)
    program = program_of(wide)
    field.prepare(wide.institutions)
    huge = b'{"padding": "' + b"x" * 50_000_000 + b'"}'

    async def run() -> dict[str, int]:
        producer = open_producer(field.bootstrap, max_request_size=60_000_000)
        producer.send(field.topic("filings"), key=records[0].key.encode(), value=huge)
        producer.send(field.topic("filings"), key=records[0].key.encode(), value=records[0].value)
        producer.flush()
        producer.close()
        async with field.worker(program) as worker:
            await until(field.caught_up)
            return {"applied": int(worker.watch.engine.applied[0])}

    assert asyncio.run(run()) == {"applied": 1}
    ((headers, record),) = field.rejected()
    assert headers["reason"] == "too_large"
    assert record.value == huge


def test_nothing_is_committed_before_its_alerts_have_arrived(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the broker does not confirm alerts, neither state nor offsets move; afterwards both do."""
    from streams.outbox import Outbox, Parcel, Undelivered

    wide, records = load(institutions=5, filings=100)
    program = program_of(wide)
    field.prepare(wide.institutions)
    refused: list[int] = []
    honest = Outbox.confirm

    async def confirm(self: Outbox, parcels: list[Parcel]) -> None:
        if len(refused) < 3 and parcels:
            refused.append(len(parcels))
            self._under_way[:0] = parcels
            raise Undelivered("the broker takes nothing")
        await honest(self, parcels)

    monkeypatch.setattr(Outbox, "confirm", confirm)

    async def run() -> None:
        async with field.worker(program) as worker:
            field.send(records)
            await until(lambda: len(refused) == 1)
            assert not any(worker.consumer.committed.values())
            assert field.state(program, wide.institutions) == []
            await until(field.caught_up)

    asyncio.run(run())
    assert len(refused) == 3
    expected = direct(program, wide.institutions, records)
    assert field.transitions() == expected.transitions
    assert field.state(program, wide.institutions) == expected.active
