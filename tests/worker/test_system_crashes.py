"""The system side and a worker that dies: whenever that is, readers of alerts end where an undisturbed run ends.

Every effect outside the process is counted: a record that the broker takes, a row of the table that is written or
deleted, an offset that is committed. A life ends at any of them, the next begins with what is there, and cuts the same
records into other batches.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from alerts.events import decode
from rules.catalogue import SYSTEM, parse_catalogues
from rules.engine import Engine, FormBatch, Outcome
from rules.pack import PackText, Program, compile_packs
from rules.registry import Institution
from streams.checkpoint import Keeper, block_of
from streams.columnar import RecordBatch
from streams.cross_section import Slice
from streams.durable import Durable
from streams.exporter import Pipeline
from streams.fetching import Record
from streams.outbox import Outbox
from streams.pace import Pace
from streams.roster import Roster
from streams.side import Effects, Names
from streams.system import WHOLE, SystemSide
from streams.wire import DAY, to_seconds
from tests.examples import at_most
from tests.worker.senders import Sender, Table

CATALOGUE = """
catalogue: crashes
title: {en: Crashes}
forms:
  - {id: d.d, title: {en: Daily}, frequency: daily, deadline: 2d, grace_days: 5, horizon: 6}
indicators:
  - {id: x, form: d.d, unit: ratio}
"""
PACK = """
pack: crashes
version: "1"
title: {en: Rules across institutions}
rules:
  - id: c.peer
    title: {en: An outlier among peers}
    levels: {watch: x > 1.2 * peer_median(x), warning: x > 1.4 * peer_median(x)}
    message: {en: peer}
  - id: c.held
    title: {en: An outlier for some time}
    levels: {watch: x > peer_mean(x)}
    for: 2 filings
    message: {en: held}
  - id: c.system
    title: {en: The whole}
    scope: system
    levels: {watch: group_mean(x) > 1.05}
    message: {en: system}
"""
CODES = tuple(f"B{n}" for n in range(5))
FIRST = to_seconds("2026-03-02")
DAYS = 4
TOPIC = TP("cross-section", 0)
NAMES = Names("rejected", "alerts", "cross-section", "measures")


class Died(Exception):
    """The process is gone."""


@dataclass
class Outside:
    """What outlives a process: rows, offsets, and what readers of alerts have been told.

    The process dies after `left` effects. `before` collects what a death before each effect would leave behind.
    """

    table: Table = field(default_factory=Table)
    committed: int = 0
    told: list[bytes] = field(default_factory=list)
    left: int | None = None
    effects: int = 0
    before: list[Outside] | None = None

    def effect(self) -> None:
        if self.left is not None and self.effects >= self.left:
            raise Died
        self.effects += 1
        if self.before is not None:
            left_behind = Outside(committed=self.committed, told=list(self.told))
            left_behind.table.written = {p: dict(rows) for p, rows in self.table.written.items()}
            self.before.append(left_behind)

    def known(self) -> object:
        """Return all that a new process finds: rows that nothing names are nothing to it."""
        keeper = Keeper(self.table, frozenset({TOPIC.topic}), None)  # type: ignore[arg-type]
        blocks = [(block.name, block.parts) for block in keeper.load(0)]
        return blocks, keeper.resume(0), self.committed, len(self.told)


class Mortal(Table):
    """The table as a life sees it."""

    def __init__(self, outside: Outside) -> None:
        super().__init__()
        self.written, self._outside = outside.table.written, outside
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def ready(self) -> None:
        """Let happen what is to happen while a checkpoint is under way."""
        if self.meanwhile is not None:
            happens, self.meanwhile = self.meanwhile, None
            await happens()

    def put(self, partition: int, key: bytes, value: bytes) -> Awaitable[None]:
        self._outside.effect()
        return super().put(partition, key, value)

    def remove(self, partition: int, key: bytes) -> Awaitable[None]:
        self._outside.effect()
        return super().remove(partition, key)


class Telling(Sender):
    """The broker as a life sees it."""

    def __init__(self, outside: Outside) -> None:
        super().__init__([])
        self._outside = outside

    def produce(self, topic: str, /, **record: Any) -> None:
        self._outside.effect()
        super().produce(topic, **record)
        if topic == NAMES.alerts:
            self._outside.told.append(record["value"])


class Reader:
    """A consumer that has read what there is."""

    epoch = 0
    sealed = False
    flow_active = True

    def idle_seconds(self) -> float:
        return 1.0


@cache
def program() -> Program:
    """Compile the pack."""
    catalogue = parse_catalogues([(CATALOGUE, "crashes.yaml")])
    return compile_packs([PackText(PACK, "crashes.yaml")], catalogue).at("system")


@cache
def records(seed: int) -> tuple[Record, ...]:
    """Return filings, one a record: late ones and revisions among them, none the last of its date."""
    rng = random.Random(seed)
    filings: list[tuple[float, str, int, int]] = []
    for day in range(DAYS):
        for code in CODES:
            at = day + rng.uniform(0, 2.5)
            filings.append((at, code, day, 0))
            if rng.random() < 0.4:
                filings.append((at + rng.uniform(0, 2), code, day, 1))
    made = []
    for offset, (_, code, day, revision) in enumerate(sorted(filings)):
        at = FIRST + day * DAY
        one = np.zeros(1, np.int32)
        batch = FormBatch(
            "d.d", one, np.array([at]), np.array([at + DAY]), one + revision, one - 1, one, np.zeros((0, 1))
        )
        (part,) = Slice.of(batch, [code], ("x",), np.array([[rng.choice([0.7, 0.9, 1.0, 1.1, 1.3, 1.6])]]))
        made.append(Record(NAMES.cross_section, 0, offset, 0, b"", part.encode()))
    return tuple(made)


class Life:
    """One process, from its start to wherever it ends."""

    def __init__(self, outside: Outside) -> None:
        institutions = [Institution(code, type="bank", peer_group="g") for code in CODES]
        self._outside, self._quiet, self.table = outside, asyncio.Lock(), Mortal(outside)
        self.side = SystemSide(
            program(), Roster("", "", institutions), self.table, "exposures", "cross-section", "market.quotes",
            NAMES, 1_000_000,
        )  # fmt: skip
        self._outbox = Outbox(Telling(outside))
        metrics = Pipeline(CollectorRegistry())
        self._durable = Durable((self.side,), self._quiet, self._outbox, Pace(), metrics, Reader)

    async def begin(self) -> None:
        """Take up the state that is there."""
        resume = await self.side.open(frozenset({0}))
        self.at = min(self._outside.committed, resume[0][TOPIC.topic])
        await self._durable.hand_over(self.side, self.side.untold)

    async def apply(self, read: Sequence[Record]) -> None:
        """Apply records as one batch."""
        await self._emit(await self.side.apply_safely(read, self.side.read(read)))
        self.side.journal.append(RecordBatch(TOPIC, read, applied=True))
        self.at = read[-1].offset + 1

    async def tick(self, day: int) -> None:
        """Let the clock say that it is this day."""
        await self._emit(self.side.tick(FIRST + day * DAY))

    async def fail(self) -> None:
        """Fail in a way that has the state made again."""
        async with self._quiet:
            await self._emit(await self.side.recompute())

    async def _emit(self, effects: Effects) -> None:
        await self._outbox.send(effects.posts)
        self.side.hold(effects.later)

    async def save(self) -> None:
        """Make a checkpoint, commit, and tell what may be told."""
        if await self._durable.checkpoint({TOPIC: self.at}):
            self._outside.effect()
            self._outside.committed = self.at
            await self._durable.tell()


Work = Callable[[Life], Awaitable[None]]


def live(outside: Outside, work: Work) -> Life:
    """Live until the work is done or the process dies."""

    async def run() -> Life:
        life = Life(outside)
        try:
            await life.begin()
            await work(life)
        except Died:
            pass
        return life

    return asyncio.run(run())


def in_batches(all_: Sequence[Record], size: int, every: int, ticks: Mapping[int, int]) -> Work:
    """Return work that applies what is left in batches, saves after every so many, and ticks after some offsets."""

    async def work(life: Life) -> None:
        for number, start in enumerate(range(life.at, len(all_), size), start=1):
            await life.apply(all_[start : start + size])
            for offset, day in ticks.items():
                if start <= offset < start + size:
                    await life.tick(day)
            if number % every == 0:
                await life.save()

    return work


async def to_the_end(life: Life) -> None:
    """Let the clock pass the last deadline, and make everything durable and told."""
    await life.tick(DAYS + 3)
    await life.save()
    await life.save()


def believed(told: Sequence[bytes]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return what a reader that drops ids it knows takes to be open: state and severity by rule and subject."""
    seen: set[str] = set()
    standing: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    for value in told:
        transition = decode(value)
        if transition.id in seen or not transition.alert_id:
            continue
        seen.add(transition.id)
        mine = standing.setdefault((transition.rule, transition.subject), {})
        mine.pop(transition.supersedes, None)
        mine[transition.alert_id] = transition.state, transition.severity
        if transition.state == "resolved":
            del mine[transition.alert_id]
    assert all(len(mine) <= 1 for mine in standing.values()), "a subject has two open alerts of one rule"
    return {pair: next(iter(mine.values())) for pair, mine in standing.items() if mine}


def open_alerts(life: Life) -> dict[tuple[str, str], str]:
    """Return what the engine has open: severity by rule and subject."""
    return {(a.rule, a.subject): a.severity for a in life.side.engine.active() if a.state == "firing"}


def severities(belief: Mapping[tuple[str, str], tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the severities of what is believed open."""
    return {pair: severity for pair, (_, severity) in belief.items()}


@cache
def undisturbed(seed: int) -> dict[tuple[str, str], str]:
    """Return what is open after a run without crashes, one record at a time; readers believe the same."""
    outside, all_ = Outside(), records(seed)

    async def work(life: Life) -> None:
        await in_batches(all_, 1, 3, {})(life)
        await to_the_end(life)

    life = live(outside, work)
    assert severities(believed(outside.told)) == open_alerts(life)
    return open_alerts(life)


def ends_alike(seed: int, outside: Outside, size: int) -> None:
    """Live once more, to the end, with batches of this size: state and readers must be as without crashes."""
    outside.left = None

    async def rest(life: Life) -> None:
        await in_batches(records(seed), size, 1, {})(life)
        await to_the_end(life)

    life = live(outside, rest)
    assert open_alerts(life) == undisturbed(seed)
    assert severities(believed(outside.told)) == undisturbed(seed)


def test_there_is_something_to_get_wrong() -> None:
    """Alerts open and end on the way, and some stand at the end; institutions are in several parts of the state."""
    outside, all_ = Outside(), records(1)
    live(outside, in_batches(all_, 1, 1, {}))
    states = {(decode(value).rule, decode(value).state) for value in outside.told}
    assert {(rule, state) for rule in ("c.peer", "c.held", "c.system") for state in ("firing", "resolved")} <= states
    assert undisturbed(1)
    assert len({block_of(code) for code in (*CODES, SYSTEM)}) > 3


@pytest.mark.parametrize("seed", [1, 2])
def test_a_death_at_any_effect_leaves_no_alert_open_that_has_ended(seed: int) -> None:
    """Each record alone, a checkpoint after every third; then the rest in one batch."""
    all_, whole = records(seed), Outside(before=[])
    live(whole, in_batches(all_, 1, 3, {len(all_) // 2: DAYS}))
    assert whole.before
    found: object = None
    for outside in (*whole.before, whole):
        if found != (known := outside.known()):
            ends_alike(seed, outside, len(all_))
        found = known


@pytest.mark.parametrize("failing", range(0, 30, 3))
def test_an_engine_that_fails_takes_nothing_back_that_was_told(failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """State is made again from the last checkpoint, from batches cut otherwise; readers never see the difference."""
    outside, all_ = Outside(), records(1)
    apply, failed = Engine.apply, []

    def fail_once(engine: Engine, batches: Sequence[FormBatch]) -> Outcome:
        if not failed and life.at <= failing < life.at + 3:
            failed.append(failing)
            raise RuntimeError("the engine failed")
        return apply(engine, batches)

    monkeypatch.setattr(Engine, "apply", fail_once)
    life = Life(outside)

    async def run() -> None:
        await life.begin()
        await in_batches(all_, 3, 4, {})(life)
        await to_the_end(life)

    asyncio.run(run())
    assert failed
    assert open_alerts(life) == severities(believed(outside.told)) == undisturbed(1)


def test_a_checkpoint_of_a_state_that_was_given_up_tells_nothing() -> None:
    """The engine fails while a checkpoint is written: what goes on is another state, and its transitions are told."""
    outside, all_ = Outside(), records(1)

    async def work(life: Life) -> None:
        for start in range(0, 24, 4):
            for record in all_[start : start + 4]:
                await life.apply([record])
            told, life.table.meanwhile = len(outside.told), life.fail
            await life.save()
            assert len(outside.told) == told
            assert outside.committed < life.at
            await life.save()
            assert outside.committed == life.at

    life = live(outside, work)
    assert life.at == 24
    ends_alike(1, outside, 2)


def test_state_of_many_blocks_as_it_was_kept_before_is_taken_up() -> None:
    """It becomes one block at the next checkpoint, and its rows go."""
    all_, before = records(1), Outside()
    life = live(before, in_batches(all_[:20], 4, 1, {}))

    class Former:
        def export(self, partition: int, block: str) -> bytes:
            return life.side.export_part(partition, WHOLE, block)

        def parts(self, partition: int, block: str) -> tuple[str, ...]:
            return ()

    outside = Outside(committed=20, told=before.told)
    keeper = Keeper(outside.table, frozenset({TOPIC.topic}), Former())  # type: ignore[arg-type]
    blocks = sorted(life.side.parts(0, WHOLE))
    for block in blocks:
        keeper.mark(0, block)

    async def write() -> None:
        copy = keeper.begin({TOPIC: 20})
        assert keeper.go_on(copy)
        await keeper.write(copy)

    asyncio.run(write())
    assert {key.decode() for key in outside.table.written[0]} == {f"0/{block}" for block in (*blocks, "applied")}
    ends_alike(1, outside, 3)
    assert {key for key in outside.table.written[0] if b"~" not in key} == {b"0/whole", b"0/applied"}


LIVES = st.lists(st.tuples(st.integers(0, 250), st.integers(1, 9), st.integers(1, 4)), max_size=3)


@given(st.integers(0, 3), LIVES, st.integers(1, 40))
@at_most(15)
def test_lives_of_any_length_end_where_one_without_deaths_ends(
    seed: int, lives: list[tuple[int, int, int]], size: int
) -> None:
    """Any number of deaths, each life with batches, checkpoints and ticks of its own."""
    outside = Outside()
    for number, (more, batch, every) in enumerate(lives):
        outside.left = outside.effects + more
        live(outside, in_batches(records(seed), batch, every, {5 + number: DAYS - 1, 12: DAYS + 1}))
    ends_alike(seed, outside, size)
