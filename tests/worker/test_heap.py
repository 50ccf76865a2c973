"""What a rebalance or a release leaves behind goes: memory after twenty of them is that after one."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from rules.engine import Engine
from rules.pack import Program
from streams.heap import settle
from streams.side import Side
from streams.switching import switch
from tests.worker.memory import filing, lcr_below, opened, system, take, watch
from tests.worker.test_system_side import balances

ROUNDS = 20


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Nothing goes but by its last reference, or where the test asks for it."""
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


def used(side: Side[Any]) -> weakref.ref[Engine]:
    """Have a side's engine do all that engines do; return how to see whether it lives."""
    records = balances() if side.placement == "system" else [filing(1, "2026-04-01", lcr=0.9)]
    side.load(side.save(side.read(records)))
    take(side, records)
    side.tick(1_777_000_000)
    side.engine.rejudge(1_777_000_000)
    side.retire("CN002", 1_777_000_000)
    return weakref.ref(side.engine)


def alive(*kinds: type) -> int:
    """How many objects of these kinds live, those that were frozen too."""
    gc.unfreeze()
    gc.collect()
    return sum(isinstance(found, kinds) for found in gc.get_objects())


def test_an_engine_goes_with_its_last_user(no_collector: None) -> None:
    """Nothing that it holds points back at it: it need not wait for the collector, which looks seldom."""
    for side in (asyncio.run(opened(watch(lcr_below(100)))), asyncio.run(opened(system()))):
        engine = used(side)
        side.close()
        assert engine() is None


def test_twenty_rebalances_leave_nothing(no_collector: None) -> None:
    """As a worker opens and closes its sides: what lives is frozen each time, and thawed the next."""
    others = alive(Engine)  # of tests before
    sides: tuple[Side[Any], ...] = (watch(lcr_below(100)), system())
    frozen, engines = [], []
    for _ in range(ROUNDS):
        for side in sides:
            asyncio.run(opened(side))
        settle()
        frozen.append(gc.get_freeze_count())
        engines += [used(side) for side in sides]
        ring: list[Any] = [engines[-1]()]
        ring.append(ring)  # garbage that only the collector finds, and that holds an engine
        del ring
        for side in sides:
            side.close()
    assert sum(engine() is not None for engine in engines) <= 1  # the last ring, until the next rebalance
    assert max(frozen[1:]) - min(frozen[1:]) < 0.01 * frozen[0]
    assert alive(Engine) - others == len(sides)


def test_twenty_releases_leave_nothing(no_collector: None) -> None:
    """Engines and programs of the rules before go, whatever the releases were."""

    async def release() -> None:
        one, two = await opened(watch(lcr_below(100))), await opened(system())
        take(one, [filing(1, "2026-04-01", lcr=0.9)])
        engines = []
        before = 0
        for number in range(ROUNDS):
            engines += [weakref.ref(one.engine), weakref.ref(two.engine)]
            await switch(one, two, lcr_below(101 + number), 1_777_000_000)
            settle()
            before = before or alive(Engine, Program)
        assert [engine for engine in engines if engine() is not None] == []
        assert alive(Engine, Program) == before

    asyncio.run(release())
