"""The worker: a Faust app whose agents take whole record batches, and what surrounds it.

`Worker` joins the parts: two sides with their tables, the outbox, the registry, the exporter, the clock. Its
one rule: state changes, and what they cause to be sent, happen under the lock `quiet`, so a checkpoint always
sees both or neither. What is guaranteed is written in `docs/guarantees.md`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from faust.types import TP

from guanlan.settings import Settings
from rules.pack import Program
from rules.problems import GuanlanError
from rules.registry import Institution
from streams.changelog import Changelog
from streams.clients import ServiceError
from streams.columnar import (
    BUFFERED,
    ColumnarApp,
    ColumnarConsumer,
    RecordBatch,
    batch_topic,
    delivered,
    state_table,
    waiting,
    yield_to_loop,
)
from streams.computing import Computing
from streams.durable import Durable
from streams.exporter import Exporter, Snapshot, check_budget
from streams.heap import collect_seldom, settle
from streams.logs import Logs, TopicChanged, require_same
from streams.outbox import Outbox, sender
from streams.pace import Pace
from streams.place import Place
from streams.programs import compile_texts
from streams.quiet import Quiet
from streams.releases import Compile, InForce
from streams.roster import Roster
from streams.side import Effects, Names, Side
from streams.skimming import COMPILED
from streams.stages import Stages
from streams.switching import Releases, Unsent, switch
from streams.system import SystemSide
from streams.topics import (
    ALERTS,
    CROSS_SECTION,
    EXPOSURES,
    FILINGS,
    INSTITUTIONS,
    MEASURES,
    QUESTIONS,
    QUOTES,
    REJECTED,
    RULES,
)
from streams.watch import Watch

log = logging.getLogger("guanlan.worker")

CHANGELOG_RECORDS = 4_000
CHANGELOG_BYTES = 4 << 20
MERGED_RECORDS = 4_000
MERGED_BYTES = 16 << 20  # about 50 ms of decoding: the event loop must not wait for long
BATCH_BYTES = 8 << 20
SENT_AT_ONCE = 4_000
COMMIT_SECONDS = 1.0
FULL_SECONDS = 0.1
TICK_SECONDS = 1.0
LOOK_SECONDS = 5.0
PULSE_SECONDS = 0.05
SHOW_SECONDS = 4.0  # half of what a scrape waits for an answer
COMPILED_SECONDS = 20.0
SESSION_SECONDS = 10.0
STOP_SECONDS = 30.0
CRASH_SECONDS = 5.0
DIED = 1


class Worker:
    """One worker process: watches the partitions it is given, until it is told to stop."""

    def __init__(
        self,
        settings: Settings,
        program: Program,
        place: Place,
        folder: Path,
        institutions: Sequence[Institution] = (),
        began: InForce | None = None,
        compile_: Compile | None = None,
    ) -> None:
        self.settings = settings
        self.program = program
        self.place = place
        self.folder = folder
        self.quiet = Quiet(self._seal)
        self.saving = Quiet(self._seal)  # a checkpoint that is given up half way would leave changes unmarked
        by_wall = settings.clock == "wall"
        self.roster = Roster(place.bootstrap, place.topic(INSTITUTIONS), institutions, by_wall)
        self.app = self._app(folder)
        self.outbox = Outbox(sender(place.bootstrap))
        self.changelog = Changelog(sender(place.bootstrap))  # alerts do not wait behind state
        self.logs = Logs(place.bootstrap)
        self.ids: dict[str, str] = {}
        self.lag: dict[TP, int] = {}
        self._targets: dict[str, tuple[int, dict[TP, int]]] = {}
        self.pace = Pace()
        self._began = time.monotonic()
        self._ended: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self.exporter = Exporter(asyncio.get_running_loop(), self.snapshot)
        self.metrics = self.exporter.pipeline
        self.stages = Stages(lambda stage, seconds: self.metrics.stages.labels(stage).observe(seconds))
        topic, texts = place.topic(RULES), compile_ or partial(compile_texts, settings=settings)
        self.releases = Releases(place.bootstrap, topic, texts, began, self.metrics)
        self.releases.show(program)
        names = Names(*(place.topic(name) for name in (REJECTED, ALERTS, CROSS_SECTION, MEASURES, QUESTIONS)))
        self.watch = Watch(
            program,
            self.roster,
            state_table(self.app, Watch.name, place.changelog(Watch.name), place.partitions, self.changelog),
            place.topic(FILINGS),
            names,
            place.partitions,
            settings.max_record_bytes,
        )
        self.system = SystemSide(
            program,
            self.roster,
            state_table(self.app, SystemSide.name, place.changelog(SystemSide.name), 1, self.changelog),
            place.topic(EXPOSURES),
            place.topic(CROSS_SECTION),
            place.topic(QUOTES),
            names,
            settings.max_record_bytes,
            settings.market_seconds,
        )
        self.sides: tuple[Side[Any], ...] = (self.watch, self.system)
        self.durable = Durable(self.sides, self.quiet, self.outbox, self.pace, self.metrics, lambda: self.consumer)
        self.computing = Computing(self.system, self.quiet, self._emit, lambda: self.consumer.epoch, self.metrics)
        for side in self.sides:
            self._join(side)

    def _app(self, folder: Path) -> ColumnarApp:
        settings, place = self.settings, self.place
        return ColumnarApp(
            place.group,
            columnar_topics=frozenset(place.topic(name) for name in (FILINGS, EXPOSURES, CROSS_SECTION, QUOTES)),
            batch_bytes=BATCH_BYTES,
            batch_records=MERGED_RECORDS,
            broker=";".join(f"kafka://{host.strip()}" for host in place.bootstrap.split(",")),
            datadir=str(folder),
            store="rocksdb://",
            autodiscover=False,
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            topic_replication_factor=settings.replication,
            table_standby_replicas=1 if settings.replication > 1 else 0,
            consumer_auto_offset_reset="earliest",
            consumer_group_instance_id=settings.instance or None,
            consumer_max_fetch_size=CHANGELOG_BYTES,
            broker_max_poll_records=CHANGELOG_RECORDS,
            broker_session_timeout=SESSION_SECONDS,
            broker_heartbeat_interval=SESSION_SECONDS / 5,
            broker_commit_interval=COMMIT_SECONDS,
            stream_buffer_maxsize=BUFFERED,
            stream_wait_empty=True,
        )

    def _join(self, side: Side[Any]) -> None:
        async def recovered(partitions: frozenset[int]) -> None:
            await self._open(side, partitions)

        side.keeper.table.recovered = recovered
        side.keeper.spent = partial(self.stages.add, "checkpoint")
        for topic in sorted(side.topics):
            self.app.agent(batch_topic(self.app, topic), name=topic, concurrency=1)(self._agent(side))

    def _agent(self, side: Side[Any]) -> Any:
        async def take(stream: Any) -> None:
            gathered: list[RecordBatch] = []
            async for batch in stream:
                gathered.append(batch)
                await delivered(stream, gathered)
                if waiting(stream) and not _enough(gathered):
                    continue
                batches, gathered = gathered, []
                try:
                    await self._judge(side, batches)
                except Exception:
                    log.critical("nothing more can be applied: ending without committing", exc_info=True)
                    _die()

        return take

    @property
    def consumer(self) -> ColumnarConsumer:
        """The app's consumer."""
        return self.app.batches

    def _seal(self) -> None:
        """Commit nothing more."""
        self.consumer.sealed = True

    async def run(self, stop: asyncio.Event) -> int:
        """Work until `stop` is set; return the exit code, 0 when everything was saved and 1 after a crash."""
        settings = self.settings
        collect_seldom()
        try:
            try:
                await self.roster.start()
                self.releases.switch = self._switch
                await self.releases.start()
            except KafkaError as err:
                raise ServiceError(f"the registry of institutions and the rules can't be read: {err}") from None
            institutions = list(self.roster.institutions.values())
            series = check_budget(self.program.catalogue, institutions, settings.series_budget)
            port = self.exporter.serve(settings.metrics_host, settings.metrics_port)
            log.info("metrics on http://%s:%d/metrics, at most %d series", settings.metrics_host, port, series)
            self.roster.changed, self.roster.gone = self._put_institution, self._retire
            return await self._work(stop, len(institutions))
        finally:
            self.exporter.close()
            await self.roster.stop()
            await self.releases.stop()

    async def _work(self, stop: asyncio.Event, institutions: int) -> int:
        self.app.checkpoint, self.app.revoked = self._checkpoint, self._close
        self.app.asks, self.app.committed = self.durable.waits, self._committed
        self.app.due = self.pace.due
        self.app.failed = self._end
        self.app.fetching = partial(self.stages.stage, "fetch")
        self.app.finalize()
        self.app.in_worker = True
        try:
            self.ids = await self.logs.ids(self._remembered())
        except (KafkaException, TimeoutError) as err:
            raise ServiceError(f"the broker does not say what topics there are: {err}") from None
        for side in self.sides:
            side.keeper.ids = self.ids
        await self._discard_spoiled_stores()
        log.info("%d institutions, %d rules; joining group %r", institutions, len(self.program.rules), self.place.group)
        starting = asyncio.create_task(self.app.start())
        follows = self.roster.follow(), self.releases.follow()
        works = (*follows, self._tick(), self.computing.run(), self._pulse(), self._look())
        beside = [asyncio.create_task(work) for work in works]
        stopped, told = asyncio.create_task(stop.wait()), self._ended
        crashed = asyncio.create_task(self.app.until_crashed())
        await asyncio.wait({stopped, crashed, told, *beside}, return_when=asyncio.FIRST_COMPLETED)
        broken = next((t.exception() for t in beside if t.done()), None)
        failed = self.app.crashed or broken is not None or told.done()
        reason = told.result() if told.done() else broken or self.app.crash_reason
        said = reason if isinstance(reason, GuanlanError) else None
        log.info("ending")
        for task in (*beside, stopped, crashed):
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        if failed:
            log.critical("the worker ends because of: %s", said or repr(reason))
            self.consumer.sealed = True
        try:
            async with asyncio.timeout(CRASH_SECONDS if failed else STOP_SECONDS):
                await self.app.stop()
        except TimeoutError:
            log.critical("it does not end in order: what is not committed will be read again")
            _die(said.exit_code if said else DIED)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        if said is not None:
            raise said
        return DIED if failed else 0

    def _remembered(self) -> list[str]:
        """Return the topics whose offsets are remembered, in the state or while running."""
        names = (FILINGS, EXPOSURES, CROSS_SECTION, QUOTES, INSTITUTIONS, RULES)
        return [*map(self.place.topic, names), *(self.place.changelog(side.name) for side in self.sides)]

    async def _look(self) -> None:
        """See now and then that topics are still those that they were; raises TopicChanged."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                ids = await self.logs.ids(self._remembered())
            except (KafkaException, TimeoutError):
                continue  # who asks for ends says that the broker does not answer
            require_same(self.ids, ids)

    def _end(self, why: Exception) -> None:
        """Have the worker end: nothing more can be read."""
        if not self._ended.done():
            self._ended.set_result(why)

    async def _discard_spoiled_stores(self) -> None:
        """Delete local stores that can't be opened, know more than their changelog, or are of one that was deleted.

        They are only a cache.
        """
        reader = AIOKafkaConsumer(bootstrap_servers=self.place.bootstrap.split(","), group_id=None)
        await reader.start()
        try:
            for side, count in ((self.watch, self.place.partitions), (self.system, 1)):
                changelog = self.place.changelog(side.name)
                if self._is_another(side.name, changelog):
                    for number in range(count):
                        side.keeper.table.discard(number)
                ends = await reader.end_offsets([TopicPartition(changelog, number) for number in range(count)])
                for (_, number), end in ends.items():
                    if side.keeper.table.discard_if_spoiled(number, end):
                        log.warning("the local state of %s, partition %d, is read again from Kafka", side.name, number)
        finally:
            await reader.stop()

    def _is_another(self, name: str, changelog: str) -> bool:
        """Whether the changelog is another topic than the one that local stores were of; note which it is now."""
        ident, note = self.ids.get(changelog, ""), self.folder / f"{name}.topic"
        before = note.read_text(encoding="utf-8") if note.exists() else ""
        if ident and ident != before:
            note.write_text(ident, encoding="utf-8")
        return bool(before) and before != ident

    async def _open(self, side: Side[Any], partitions: frozenset[int]) -> None:
        epoch = self.consumer.epoch
        await self.releases.catch_up()  # who had these partitions may have switched already
        if not await self.quiet.run(partial(self._load, side, partitions, epoch)):
            return
        settle()
        if side is self.watch:
            self.metrics.partitions.set(len(partitions))
            log.info("watching partitions %s", ", ".join(map(str, sorted(partitions))) or "(none)")
        elif partitions:
            log.info("holding the cross-section")

    async def _load(self, side: Side[Any], partitions: frozenset[int], epoch: int) -> bool:
        if self.consumer.epoch != epoch:
            return False
        resume = await side.open(partitions)
        try:
            for partition in sorted(partitions):
                require_same(side.keeper.made_from(partition), self.ids)
        except TopicChanged as err:
            side.close()
            self._end(err)
            return False
        await self.durable.hand_over(side, side.untold)
        if side.engine.edited:
            await self._emit(await side.rejudge(int(time.time())))
        for partition, offsets in resume.items():
            for topic, offset in offsets.items():
                self.consumer.recovered[TP(topic, partition)] = offset
        for code in side.gone():
            await self._emit(side.retire(code, int(time.time())))
        return True

    async def _close(self) -> None:
        async with self.quiet:
            for side in self.sides:
                side.close()
            self.lag.clear()
            self._targets.clear()
            self.pace.unsaved = 0

    async def _judge(self, side: Side[Any], batches: list[RecordBatch]) -> None:
        records = [record for batch in batches for record in batch.records]
        read, adopted = side.read(records), side.adopted
        await yield_to_loop()
        if side.strangers(read):
            await self.roster.catch_up()
        await self.quiet.run(partial(self._apply, side, batches, read, adopted))
        while self.pace.full() and self.consumer.flow_active:
            await self.consumer.commit()
            if self.pace.full():
                await asyncio.sleep(FULL_SECONDS)

    async def _apply(self, side: Side[Any], batches: list[RecordBatch], read: Any, adopted: int) -> None:
        records = [record for batch in batches for record in batch.records]
        if side.partitions is None or any(b.epoch != self.consumer.epoch for b in batches):
            batches = [b for b in batches if b.epoch == self.consumer.epoch]
            if side.partitions is None or not batches:
                return
            records = [record for batch in batches for record in batch.records]
            read = side.read(records)
        elif side.adopted != adopted:
            read = side.read(records)
        effects = await side.apply_safely(records, read)
        await self._emit(effects)
        for batch in batches:
            batch.applied = True
        side.journal += batches
        self.pace.unsaved += sum(b.size for b in batches)
        self._observe(effects, records)

    async def _emit(self, effects: Effects) -> None:
        for start in range(0, len(effects.posts), SENT_AT_ONCE):
            if start:
                await yield_to_loop()
            with self.stages.besides("produce"):
                await self.outbox.send(effects.posts[start : start + SENT_AT_ONCE])
        if effects.later:
            self.system.hold(effects.later)
        for (state, severity), count in effects.transitions.items():
            self.metrics.transitions.labels(state, severity).inc(count)
        for reason, count in effects.rejected.items():
            self.metrics.rejected.labels(reason).inc(count)
        for state, count in effects.questions.items():
            self.metrics.questions.labels(state).inc(count)
        self.metrics.evaluations.inc(effects.evaluated)

    def _observe(self, effects: Effects, records: Sequence[Any]) -> None:
        m = self.metrics
        m.batch.observe(len(records))
        m.progress.set_to_current_time()
        m.values.inc(effects.values)
        m.reports.inc(effects.reports)
        m.quotes.inc(effects.quotes)
        m.replayed.inc(effects.replayed)
        for form, count in effects.accepted.items():
            m.accepted.labels(form).inc(count)
        for stage, seconds in effects.seconds.items():
            self.stages.add(stage, seconds)
        if effects.accepted:
            arrived = np.fromiter((r.timestamp for r in records), np.float64, len(records)) / 1000
            m.latency.observe(np.maximum(0.0, time.time() - arrived))

    async def _checkpoint(self, cut: Mapping[TP, int]) -> bool:
        """Make everything up to `cut` durable; False when the broker did not take it."""
        return await self.saving.run(partial(self.durable.checkpoint, cut))

    async def _committed(self) -> None:
        """Tell what had to wait for it."""
        await self.saving.run(self.durable.tell)

    async def _switch(self, program: Program) -> None:
        """Go on with other rules, between two batches; raises where they can't be taken."""
        check_budget(program.catalogue, list(self.roster.institutions.values()), self.settings.series_budget)
        await self.quiet.run(partial(self._take_over, program), harmless=True)
        self.pace.hurry()
        settle()

    async def _take_over(self, program: Program) -> None:
        effects = await switch(self.watch, self.system, program, int(time.time()))
        self.program = program
        try:
            await self._emit(effects)
        except Exception as err:
            self._seal()  # now: a checkpoint may be waiting for the lock
            raise Unsent("what a release changes of open alerts can't be handed over") from err

    async def _put_institution(self, institution: Institution) -> None:
        async with self.quiet:
            for side in self.sides:
                side.put_institution(institution)

    async def _retire(self, code: str) -> None:
        await self.quiet.run(partial(self._take_out, code))

    async def _take_out(self, code: str) -> None:
        for side in self.sides:
            if side.partitions is not None:
                await self._emit(side.retire(code, int(time.time())))

    async def _tick(self) -> None:
        """Once a second: see how far behind we are, and judge what is overdue as of a time we have caught up with."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if all(side.partitions is None for side in self.sides):
                continue
            self.stages.rest(self.consumer.member_seconds())
            now, epoch = int(time.time()), self.consumer.epoch
            try:
                ends = await self.logs.ends(self.consumer.ours())
            except (KafkaException, TimeoutError) as err:
                log.warning("the broker did not say how far behind we are: %s", err)
                continue
            await self.quiet.run(partial(self._tick_at, now, ends, epoch))

    async def _tick_at(self, now: int, ends: dict[TP, int], epoch: int) -> None:
        if self.consumer.epoch != epoch:
            return
        applied = self.consumer.progress.applied()
        self.lag = {tp: max(0, end - applied.get(tp, 0)) for tp, end in ends.items()}
        if not any(self.lag.values()):
            self.metrics.progress.set_to_current_time()
            self.pace.hurry()
        if not any(self.lag.values()) or time.monotonic() - self._began > COMPILED_SECONDS:
            COMPILED.begin()  # not before: loading it takes two seconds from a restart
        for side in self.sides:
            if side.partitions is None:
                continue
            target = {tp: end for tp, end in ends.items() if tp.topic in side.topics}
            told = now if self.settings.clock == "wall" else side.engine.now
            if not told:
                continue
            then, until = self._targets.setdefault(side.name, (told, target))
            if all(applied.get(tp, 0) >= end for tp, end in until.items()):
                del self._targets[side.name]
                await self._emit(side.tick(then))

    async def _pulse(self) -> None:
        """Note how long the event loop lets this wait beyond what it asked for: the longest bursts between awaits."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(PULSE_SECONDS)
            self.metrics.waits.observe(max(0.0, time.monotonic() - began - PULSE_SECONDS))

    async def snapshot(self) -> Snapshot:
        """Return what a scrape shows, of one moment: while state is being made for long, of the pipeline alone."""
        shown = Snapshot(lag={(tp.topic, tp.partition): n for tp, n in self.lag.items()})
        try:
            async with asyncio.timeout(SHOW_SECONDS), self.quiet:
                for side in self.sides:
                    if side.partitions is not None:
                        side.show(shown)
        except TimeoutError:
            log.warning(
                "a scrape shows nothing of institutions: their state is being made for over %.0f s", SHOW_SECONDS
            )
        return shown


def _enough(batches: Sequence[RecordBatch]) -> bool:
    return sum(len(b.records) for b in batches) >= MERGED_RECORDS or sum(b.size for b in batches) >= MERGED_BYTES


def _die(code: int = DIED) -> None:
    logging.shutdown()
    os._exit(code)
