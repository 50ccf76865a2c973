"""When long work of the event loop gives others a turn."""

from __future__ import annotations

import asyncio
from math import inf

from streams.turns import Turns


def test_work_that_makes_bytes_takes_a_turn_after_so_many() -> None:
    """They add up over pieces, and are counted anew after a turn; without bytes only time counts."""
    rests: list[int] = []
    done = 0

    def rest() -> float:
        rests.append(done)
        return 0.0

    async def run() -> None:
        nonlocal done
        turns = Turns(inf, rest, size=10)
        for size in (4, 5, 3, 9, 20, 0):
            done += 1
            await turns.take(size)

    asyncio.run(run())
    assert rests == [3, 5]


def test_work_that_takes_long_takes_a_turn_whatever_it_makes() -> None:
    """Others go on between."""
    seen: list[str] = []

    async def beside() -> None:
        seen.append("beside")

    async def run() -> None:
        turns, task = Turns(0.0), asyncio.create_task(beside())
        await turns.take()
        seen.append("work")
        await task

    asyncio.run(run())
    assert seen == ["beside", "work"]
