"""The lock of state: a change is done to its end, and nobody looks at half of one."""

from __future__ import annotations

import asyncio

import pytest

from streams.quiet import Quiet


def test_a_change_is_done_to_its_end_when_whoever_asked_is_cancelled() -> None:
    """A worker that stops cancels its tasks; state and what it causes to be sent must not part."""

    async def run() -> None:
        done: list[str] = []
        spoilt: list[str] = []
        quiet, half = Quiet(lambda: spoilt.append("spoilt")), asyncio.Event()

        async def change() -> None:
            done.append("state")
            half.set()
            await asyncio.sleep(0)
            done.append("sent")

        asked = asyncio.create_task(quiet.run(change))
        await half.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        async with quiet:
            assert done == ["state", "sent"]
        assert spoilt == []

    asyncio.run(run())


def test_who_is_cancelled_before_the_lock_is_his_changes_nothing() -> None:
    """And the lock goes on to the next."""

    async def run() -> None:
        done: list[int] = []
        quiet = Quiet(lambda: done.append(-1))

        async def change() -> None:
            done.append(1)

        async with quiet:
            asked = asyncio.create_task(quiet.run(change))
            await asyncio.sleep(0)
            asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await quiet.run(change)
        assert done == [1]

    asyncio.run(run())


def test_a_failure_is_raised_to_whoever_waits_and_told_where_nobody_does() -> None:
    """What failed with nobody waiting leaves state half changed: nothing more may be committed."""

    async def run() -> None:
        spoilt: list[str] = []
        quiet, half = Quiet(lambda: spoilt.append("spoilt")), asyncio.Event()

        async def change() -> None:
            half.set()
            await asyncio.sleep(0)
            raise RuntimeError("half")

        with pytest.raises(RuntimeError, match="half"):
            await quiet.run(change)
        assert spoilt == []
        half.clear()
        asked = asyncio.create_task(quiet.run(change))
        await half.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        async with quiet:
            pass
        await asyncio.sleep(0)
        assert spoilt == ["spoilt"]

    asyncio.run(run())
