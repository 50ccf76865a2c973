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


@pytest.mark.parametrize("harmless", [False, True])
@pytest.mark.parametrize("cancelled", [False, True])
def test_a_failure_is_told_before_anybody_else_looks(harmless: bool, cancelled: bool) -> None:
    """A checkpoint that waits for the lock must know that what it would copy is half changed."""

    async def run() -> None:
        said: list[str] = []
        quiet, half = Quiet(lambda: said.append("spoilt")), asyncio.Event()

        async def change() -> None:
            half.set()
            await asyncio.sleep(0)
            raise RuntimeError("half")

        async def look() -> None:
            async with quiet:
                said.append("looked")

        asked = asyncio.create_task(quiet.run(change, harmless))
        await half.wait()
        looking = asyncio.create_task(look())
        if cancelled:
            asked.cancel()
        with pytest.raises(asyncio.CancelledError if cancelled else RuntimeError):
            await asked
        await looking
        assert said == (["looked"] if harmless else ["spoilt", "looked"])

    asyncio.run(run())
