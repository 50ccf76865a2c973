"""How a worker makes durable what it applied, and tells then what had to wait for it (`docs/guarantees.md`).

Transitions of filings are told first and saved then: a crash in between tells them again, with the same ids, because
the same filings lead to the same transitions however they are cut into batches. Those of the system side depend on
such cuts, on clocks and on when measures are done. Told first, one could belong to a state that a crash takes back and
that does not come again: nobody would ever end that alert. So they are saved first, with the state that they come from,
and told when the offsets are committed: by whoever has that state then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Protocol

from faust.types import TP

from streams.checkpoint import Copy
from streams.exporter import Pipeline
from streams.outbox import Outbox, Post, Undelivered
from streams.pace import Pace
from streams.side import Side
from streams.turns import Turns

log = logging.getLogger("guanlan.worker")

WRITE_SECONDS = 0.005
WRITE_BYTES = 1 << 20
WRITE_TURNS = 10  # about: rows of blocks are few megabytes
IDLE_SECONDS = 0.1


class Reader(Protocol):
    """The part of the consumer that is asked here."""

    epoch: int
    sealed: bool
    """Whether state is not to be saved any more, because a change of it failed half way."""

    @property
    def flow_active(self) -> bool:
        """Whether records come in: not while partitions go, nor at the end."""

    def idle_seconds(self) -> float:
        """Return how long ago records came in."""


class Durable:
    """Makes checkpoints of the sides, one at a time, and tells what they contain once offsets are committed.

    Whoever changes state holds `quiet` until what that causes is handed over; a checkpoint sees both or neither.
    """

    def __init__(
        self,
        sides: Sequence[Side[Any]],
        quiet: AbstractAsyncContextManager[None],
        outbox: Outbox,
        pace: Pace,
        metrics: Pipeline,
        reader: Callable[[], Reader],
    ) -> None:
        self._sides = sides
        self._quiet = quiet
        self._outbox = outbox
        self.pace = pace
        self._metrics = metrics
        self._reader = reader
        self._waiting: list[tuple[Side[Any], Sequence[Post]]] = []
        self._epoch = 0

    async def checkpoint(self, cut: Mapping[TP, int]) -> bool:
        """Make everything up to `cut` durable; False when the broker did not take it, or it is not ours any more."""
        began = time.perf_counter()
        reader = self._reader()
        epoch = reader.epoch
        self._waiting = []
        async with self._quiet:
            sides = [side for side in self._sides if side.partitions is not None]
            copies = [(side, side.keeper.begin(cut), len(side.journal)) for side in sides]
            unsaved, loaded = self.pace.begin(), [side.loaded for side in sides]
        copying = 0.0
        waiting: list[tuple[Side[Any], Sequence[Post]]] = []
        for side, copy, _ in copies:
            while True:
                async with self._quiet:
                    if reader.epoch != epoch or reader.sealed:
                        return False
                    start = time.perf_counter()
                    done = side.keeper.go_on(copy, side.stands_still)
                    copying += time.perf_counter() - start
                    if done:
                        waiting.append((side, side.contained()))
                await side.keeper.table.ready()
                if done:
                    break
                await asyncio.sleep(self._rest(len(copy.waiting) + WRITE_TURNS))
        async with self._quiet:
            if reader.sealed:
                return False
            parcels = self._outbox.take()
        self.pace.pause(copying, sum(copy.size for _, copy, _ in copies))
        try:
            await self._outbox.confirm(parcels)
            if reader.epoch != epoch:
                return False
            turns = Turns(WRITE_SECONDS, partial(self._rest, WRITE_TURNS), WRITE_BYTES)
            written = [await side.keeper.write(copy, turns) for side, copy, _ in copies]
        except Undelivered as err:
            log.warning("the checkpoint is put off: %s", err)
            self._metrics.put_off.inc()
            await self._undo(copies, epoch)
            return False
        async with self._quiet:  # state may be being made again, from the journal
            if reader.epoch != epoch:
                return False
            given_up = [side.loaded for side in sides] != loaded
            if not given_up:
                self._waiting, self._epoch = [(side, posts) for side, posts in waiting if posts], epoch
                for side, _, entries in copies:
                    del side.journal[:entries]
                self.pace.unsaved -= unsaved
        if given_up:  # what goes on is another state than what was written
            await self._undo(copies, epoch)
            return False
        if any(copy.records for _, copy, _ in copies):
            self._metrics.checkpoints.observe(time.perf_counter() - began)
            self._metrics.checkpoint_bytes.inc(sum(written))
        return True

    async def _undo(self, copies: Sequence[tuple[Side[Any], Copy, int]], epoch: int) -> None:
        """Have what was copied count as changed again."""
        async with self._quiet:
            if self._reader().epoch == epoch:
                for side, copy, _ in copies:
                    side.keeper.undo(copy)

    def _rest(self, turns: int) -> float:
        """Return for how long a checkpoint lets others go on between its turns: not at all when nothing comes in."""
        reader = self._reader()
        flows = reader.flow_active and reader.idle_seconds() < IDLE_SECONDS
        return self.pace.rest(turns) if flows else 0.0

    def waits(self) -> bool:
        """Say whether the last checkpoint contains transitions that wait for the commit."""
        return bool(self._waiting)

    async def tell(self) -> None:
        """Offsets are committed, so state was ours until then: tell the transitions that it contains."""
        waiting, self._waiting = self._waiting, []
        reader = self._reader()
        for side, posts in waiting:
            async with self._quiet:
                if reader.epoch == self._epoch:
                    await self.hand_over(side, posts)
        if (
            waiting and not reader.flow_active
        ):  # partitions go, or the worker ends: nothing waits for these records later
            try:
                await self._outbox.confirm(self._outbox.take())
            except Undelivered as err:
                log.warning("who has the state next tells what the broker did not take: %s", err)

    async def hand_over(self, side: Side[Any], posts: Sequence[Post]) -> None:
        """Send transitions that are durable; nothing may be applied meanwhile.

        The next checkpoint waits for them before it writes a state in which they are told.
        """
        if posts:
            await self._outbox.send(posts)
            side.told(posts)
