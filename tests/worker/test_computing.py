"""Measures beside the stream: nothing due is forgotten, what fails is given up, and nothing ends the worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest
from faust.types import TP
from prometheus_client import CollectorRegistry

from streams.computing import Computing
from streams.exporter import Pipeline
from streams.measured import Measured
from streams.quiet import Quiet
from streams.side import Effects
from streams.system import SystemSide
from streams.values import ValueBook
from streams.work import Planner
from tests.worker.memory import checkpoint, opened, system, take
from tests.worker.test_system_side import CODES, balances, report

REPORTS = [report(number) for number in range(len(CODES))]


class Beside:
    """What computes beside one side, and what came of it."""

    def __init__(self, side: SystemSide) -> None:
        self.sent: list[Effects] = []
        self.quiet = Quiet(lambda: None)
        self.metrics = Pipeline(CollectorRegistry())
        self.computing = Computing(side, self.quiet, self._emit, lambda: 1, self.metrics)

    async def _emit(self, effects: Effects) -> None:
        self.sent.append(effects)

    def failed(self, kind: str) -> float:
        """How often measures of a kind failed."""
        return float(self.metrics.failed.labels(kind)._value.get())


async def filled() -> SystemSide:
    """Return a side that has balance sheets and reports, saved."""
    side = await opened(system())
    take(side, [*balances(), *REPORTS])
    await checkpoint(side, {TP("cross-section", 0): 1, TP("exposures", 0): 100})
    return side


def due(side: SystemSide) -> dict[str, dict[int, int]]:
    """What is to be measured."""
    state = side.book.state
    return {"quick": dict(state.due), "slow": dict(state.slow), "values": dict(side.values.state.due)}


def test_measures_that_are_due_stay_so_while_state_is_made_again() -> None:
    """Making state again gives the event loop turns; who looks in one waits for the whole."""

    async def run() -> None:
        side = await filled()
        beside, before = Beside(side), due(side)
        assert all(before.values())
        again = asyncio.create_task(beside.quiet.run(side.recompute))
        await asyncio.sleep(0)
        looks = [asyncio.create_task(beside.computing.once()) for _ in range(3)]
        for _ in range(200):
            await asyncio.sleep(0)
            if again.done():
                break
            assert not any(look.done() for look in looks)
        await again
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        assert due(side) == before

    asyncio.run(run())


def test_what_was_computed_of_state_that_was_made_again_is_not_filed() -> None:
    """Its versions may be another state's; the dates stay due and are computed anew."""

    async def run() -> None:
        side = await filled()
        beside = Beside(side)
        before = due(side)
        job = side.due()
        assert job is not None
        made = beside.computing._made()
        await side.recompute()
        await beside.computing._end(job, await asyncio.to_thread(job.compute), made)
        assert (beside.sent, due(side)) == ([], before)

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["network", "values"])
def test_a_job_that_can_t_be_filed_is_given_up_until_what_it_is_made_of_changes(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time all state is made again, so it must not be tried for ever; other measures go on."""

    async def run() -> None:
        side = await filled()
        beside = Beside(side)
        real, tried = side.file, []

        async def file(job: Any, measured: Sequence[Measured]) -> Effects:
            tried.append(job.kind)
            if job.kind == kind:
                raise RuntimeError("a bug")
            return await real(job, measured)

        monkeypatch.setattr(side, "file", file)
        for _ in range(12):
            assert await beside.computing.once()
        assert tried.count(kind) == 1 == beside.failed(kind)
        assert len(set(tried)) > 1
        take(side, [*balances(revision=1), report(0, revision=1)])
        for _ in range(12):
            await beside.computing.once()
        assert tried.count(kind) >= 2

    asyncio.run(run())


def test_a_job_that_can_t_be_computed_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One exception in a thread, counted, and no second try of the same state."""

    async def run() -> None:
        side = await filled()
        beside = Beside(side)

        def fails(self: ValueBook, *_: Any) -> list[Measured]:
            raise RuntimeError("a bug")

        monkeypatch.setattr("streams.work.measure", fails)
        for _ in range(12):
            assert await beside.computing.once()
        assert beside.failed("network") == 1
        assert any(effects.posts for effects in beside.sent)

    asyncio.run(run())


def test_values_that_can_t_be_read_are_given_up_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading is done under the lock when the job is chosen: that fails there, and ends nothing."""

    async def run() -> None:
        side = await filled()
        beside, read = Beside(side), []

        def fails(self: ValueBook, *_: Any) -> list[Measured]:
            read.append(1)
            raise RuntimeError("a bug")

        monkeypatch.setattr(ValueBook, "read", fails)
        for _ in range(12):
            assert await beside.computing.once()
        assert len(read) == 1
        assert due(side)["values"]
        assert not due(side)["quick"]

    asyncio.run(run())


def test_an_error_in_choosing_ends_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged and counted, the next look waits longer, and the lock is free."""

    async def run() -> None:
        beside = Beside(await filled())

        def fails(self: Planner, *_: Any) -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patched:
            patched.setattr(Planner, "next", fails)
            patched.setattr(Planner, "open", fails)
            with caplog.at_level(logging.CRITICAL):
                assert not await beside.computing.once()
        assert beside.failed("due") == 1
        assert await beside.computing.once()

    asyncio.run(run())
