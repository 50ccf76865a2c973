"""The worker's switch to another release of rules: state goes over, at a record boundary, and nothing is told twice."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from aiokafka import ConsumerRecord

from rules.engine import Engine
from rules.pack import Program
from rules.problems import GuanlanError
from rules.succession import hand_over, successor
from streams.columnar import yield_to_loop
from streams.exporter import Pipeline
from streams.follower import Follower
from streams.releases import Compile, InForce, Release, decode_release, rules_hash
from streams.side import Effects, Side
from streams.system import SystemSide
from streams.watch import Watch

log = logging.getLogger("guanlan.worker")

Take = Callable[[Program], Awaitable[None]]


class Unsent(Exception):
    """A release was taken and what it tells could not be handed over: who holds the state must end unsaved."""


class Releases(Follower):
    """The release that the worker runs, kept up to date.

    `switch` is awaited with what a later release compiles to. One that does not compile, or that `switch` refuses by
    raising, is counted and passed over: what runs stays. Only Unsent is raised on. `at` is what the worker began with,
    None where that are the packs of its settings.
    """

    def __init__(self, bootstrap: str, topic: str, compile_: Compile, at: InForce | None, metrics: Pipeline) -> None:
        super().__init__(bootstrap, topic, "the releases of rules", self._put)
        self.release: Release | None = at.release if at else None
        self._offset = at.offset if at else -1
        self._compile = compile_
        self._metrics = metrics
        self.switch: Take = _ignore

    def show(self, program: Program) -> None:
        """Say at `/metrics` what is in force: the release, version 0 for the packs of the settings."""
        version, digest = (self.release.version, self.release.hash) if self.release else (0, rules_hash(program))
        self._metrics.release.clear()
        self._metrics.release.labels(str(version), digest).set(1)

    async def _put(self, record: ConsumerRecord) -> None:
        if record.offset <= self._offset:
            return
        try:
            release = decode_release(record.value)
            program = await asyncio.to_thread(self._compile, release.texts)
            await self.switch(program)
        except Unsent:
            raise
        except Exception as err:
            self._metrics.releases_rejected.inc()
            why = "; ".join(str(err).splitlines()) if isinstance(err, GuanlanError) else repr(err)
            keeps = self.release or "the packs of its settings"
            log.error("record %d of %s is not taken, %s stays in force: %s", record.offset, record.topic, keeps, why)
            return
        self.release = release
        self.show(program)
        log.info("%s is in force: by %s, approved by %s", release, release.author, release.approver)


async def _ignore(_: Program) -> None:
    """Do nothing: there is no worker yet."""


async def switch(watch: Watch, system: SystemSide, program: Program, now: int) -> Effects:
    """Have both sides go on with other rules; return what that tells. Nothing may be applied meanwhile.

    All or nothing: everything that can fail is done with both successors before either takes over, so that raising
    leaves both sides as they were, and nothing of what was found is told.
    """
    sides: tuple[Side[Any], ...] = (watch, system)
    uses = [side.prepare(program) for side in sides]
    heirs = [await _heir(side, program.at(side.placement)) for side in sides]
    effects = Effects()
    for side, heir in zip(sides, heirs, strict=True):
        if side.partitions is not None:
            effects.add(await side.judge_edits(heir, now))
    for side, heir, use in zip(sides, heirs, uses, strict=True):
        use()
        side.adopt(heir)
    return effects


async def _heir(side: Side[Any], program: Program) -> Engine:
    heir = successor(side.engine, program)
    for _, _, rows in side.blocks():
        hand_over(side.engine, heir, rows)
        await yield_to_loop()
    return heir
