"""Rules on what is overdue, in a worker: judged by the clock, but not before everything in Kafka has been read."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from rules.calendar import expected, format_instant
from rules.catalogue import load_catalogue
from rules.pack import PackText, compile_packs
from rules.registry import Institution
from streams.app import Worker
from streams.side import Effects
from tests.worker.field import Field, Sent, until

pytestmark = pytest.mark.needs("kafka")

PACK = """
pack: clock
version: "1"
title: {en: Who is late}
catalogue: [cn]
rules:
  - id: clock.late
    title: {en: A daily report is overdue}
    where: type == "city_bank"
    levels: {warning: overdue("cn.liquidity.d")}
    message: {en: "{institution.name}"}
"""


def filing(code: str, as_of: int) -> Sent:
    """Return a liquidity report submitted in time."""
    body = {
        "institution": code,
        "form": "cn.liquidity.d",
        "as_of": format_instant(as_of),
        "submitted_at": f"{format_instant(as_of)}T20:00:00Z",
        "values": {"lcr": 1.5},
    }
    return Sent(code, msgspec.json.encode(body))


async def ticks(worker: Worker, count: int) -> None:
    """Wait until the clock of the watch side has been asked so many times more."""
    seen: list[int] = []
    honest = worker.watch.tick

    def tick(now: int) -> Effects:
        seen.append(now)
        return honest(now)

    worker.watch.tick = tick  # type: ignore[method-assign]
    await until(lambda: len(seen) >= count)


def test_only_who_has_not_filed_is_late(field: Field) -> None:
    """One whose filing waits in Kafka, one without, one of which nobody knows whether it was there: the second is."""
    catalogue = load_catalogue(["cn"])
    program = compile_packs([PackText(PACK, "clock.yaml")], catalogue)
    due = expected(catalogue.forms["cn.liquidity.d"], int(time.time()), catalogue.country)
    assert due is not None
    banks = [Institution(code, {"en": code}, type="city_bank", opened="1990-01-01") for code in ("CN001", "CN002")]
    field.prepare([*banks, Institution("CN003", {"en": "CN003"}, type="city_bank")])
    field.send([filing("CN001", due[1])])

    async def run() -> None:
        async with field.worker(program):
            await until(field.transitions)
            await until(field.caught_up)

    asyncio.run(run())
    (late,) = field.transitions().values()
    assert (late.rule, late.subject, late.state, late.cause) == ("clock.late", "CN002", "firing", "clock")
    assert late.as_of == format_instant(due[0])


def test_a_restart_says_nothing_twice(field: Field) -> None:
    """The deadline that passed before the restart is not judged again by the next worker."""
    program = compile_packs([PackText(PACK, "clock.yaml")], load_catalogue(["cn"]))
    field.prepare([Institution("CN002", {"en": "CN002"}, type="city_bank", opened="1990-01-01")])

    async def run() -> None:
        for folder in ("one", "two"):
            async with field.worker(program, data_dir=field.folder / folder) as worker:
                await until(field.transitions)
                await ticks(worker, 2)

    asyncio.run(run())
    assert len(field.read("alerts")) == 1
