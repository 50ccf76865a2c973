"""State written and read back: a worker that died, or a partition that moved, leaves no trace in the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from rules.engine import Engine
from rules.transitions import Transition
from tests.examples import at_most
from tests.rules.generated import INSTITUTIONS, World, batches, filings, worlds
from tests.rules.reader import Reader, truth
from tests.rules.reference import Filing
from tests.rules.test_agreement import expected, one_by_one, standing


def by_id(*parts: Iterable[Transition]) -> dict[str, Transition]:
    """Transitions by id, as readers that drop repeats have them."""
    return {t.id: t for part in parts for t in part}


def exported(engine: Engine, blocks: Sequence[Sequence[str]]) -> list[bytes]:
    """The state of blocks of institutions."""
    return [engine.export([engine.row(code) for code in block]) for block in blocks]


CODES = [i.code for i in INSTITUTIONS]
BLOCKS = st.sampled_from([[CODES], [CODES[:1], CODES[1:]], [CODES[2:], CODES[:2]], [[code] for code in CODES]])


@at_most(40)
@given(worlds(), filings(), BLOCKS, st.data())
def test_a_worker_that_died_is_replaced_without_a_trace(
    world: World, arriving: list[Filing], blocks: list[list[str]], data: DataObject
) -> None:
    """It had written its state after `saved` filings and died after `died`; the next one begins at `resumed`.

    Between `saved` and `died` its transitions are told twice, before `saved` nothing is.
    """
    died = data.draw(st.integers(0, len(arriving)), label="died")
    saved = data.draw(st.integers(0, died), label="saved")
    resumed = data.draw(st.integers(0, saved), label="resumed")
    undisturbed = world.engine()
    whole = one_by_one(undisturbed, arriving)

    first = world.engine()
    said = one_by_one(first, arriving[:saved])
    state = exported(first, blocks)
    lost = one_by_one(first, arriving[saved:died])
    second = Engine(world.program, INSTITUTIONS[::-1])
    for blob in state:
        second.restore(blob)
    replayed = one_by_one(second, arriving[resumed:saved])
    rest = one_by_one(second, arriving[saved:])

    assert replayed == []
    assert by_id(said, lost, rest) == by_id(whole)
    assert standing(second) == standing(undisturbed)
    assert second.now == undisturbed.now
    assert Reader([*said, *lost, *rest]).beliefs == truth(undisturbed)


@at_most(40)
@given(worlds(), filings(), st.data())
def test_taking_some_institutions_out_and_in_disturbs_nobody(
    world: World, arriving: list[Filing], data: DataObject
) -> None:
    cut = data.draw(st.integers(0, len(arriving)), label="cut")
    moved = data.draw(st.sets(st.sampled_from(CODES), min_size=1), label="moved")
    engine = world.engine()
    said = one_by_one(engine, arriving[:cut])
    rows = [engine.row(code) for code in sorted(moved)]
    state = engine.export(rows)
    engine.drop(rows)
    assert standing(engine).keys().isdisjoint({(rule, code) for rule in world.reference.rules for code in moved})
    engine.restore(state)
    said += one_by_one(engine, arriving[cut:])
    assert by_id(said) == by_id(one_by_one(world.engine(), arriving))


@at_most(40)
@given(worlds(), filings(), st.data())
def test_dropping_some_institutions_leaves_the_others_as_they_were(
    world: World, arriving: list[Filing], data: DataObject
) -> None:
    cut = data.draw(st.integers(0, len(arriving)), label="cut")
    engine = world.engine()
    one_by_one(engine, arriving[:cut])
    engine.drop([engine.row("B1")])
    one_by_one(engine, arriving[cut:])
    known = [f for n, f in enumerate(arriving) if f.institution != "B1" or n >= cut]
    assert standing(engine) == expected(world.reference.states(known))


@at_most(40)
@given(worlds(), filings(), st.data())
def test_forgetting_what_no_filing_can_reach_changes_nothing(
    world: World, arriving: list[Filing], data: DataObject
) -> None:
    """Records are dropped once no late filing can fold them again; here at arbitrary moments."""
    plain, tidied = world.engine(), world.engine()
    for filing in arriving:
        said = plain.apply(batches(plain, [filing])).transitions
        tidied._compact_at = int(data.draw(st.booleans())) * 2**62
        assert tidied.apply(batches(tidied, [filing])).transitions == said
    everyone = np.arange(len(INSTITUTIONS), dtype=np.int32)
    assert len(tidied.fold.chain(everyone)) <= len(plain.fold.chain(everyone))
    assert standing(tidied) == standing(plain)


@at_most(30)
@given(worlds(), filings(), BLOCKS)
def test_a_restored_engine_judges_as_of_the_same_clock(
    world: World, arriving: list[Filing], blocks: list[list[str]]
) -> None:
    """What has passed a deadline, and what ids say was known, depends on it; old states begin at the last tick."""
    first = world.engine()
    one_by_one(first, arriving)
    first.tick(first.now + 1)
    late = first.now + 1_000_000
    first.tick(late)
    second = Engine(world.program, INSTITUTIONS[::-1])
    for blob in exported(first, blocks):
        second.restore(blob)
    assert second.now == first.now == late
    third = Engine(world.program, INSTITUTIONS)
    for blob in exported(first, blocks):
        third.restore(_without_now(blob))
    assert third.now == late


@at_most(20)
@given(worlds(), filings())
def test_filings_move_the_clock_of_a_restored_engine_too(world: World, arriving: list[Filing]) -> None:
    """No tick came; the latest submission is the time."""
    first = world.engine()
    one_by_one(first, arriving)
    second = Engine(world.program, INSTITUTIONS)
    second.restore(exported(first, [CODES])[0])
    assert second.now == first.now


def _without_now(blob: bytes) -> bytes:
    """State as the version before wrote it."""
    whole = msgspec.msgpack.decode(blob)
    core = msgspec.msgpack.decode(whole["core"])
    del core["now"]
    return msgspec.msgpack.encode(whole | {"core": msgspec.msgpack.encode(core)})
