"""The engine against the reference interpreter, over generated rules and filings."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.context import Context
from rules.engine import Engine
from rules.operations import number
from rules.transitions import SEVERITIES, Transition
from tests.examples import at_most
from tests.rules.generated import (
    INSTITUTIONS,
    World,
    batches,
    exact,
    filings,
    in_order,
    rough,
    same,
    world,
    worlds,
)
from tests.rules.reader import Reader, truth
from tests.rules.reference import DAY, Filing, State

Standing = dict[tuple[str, str], tuple[str, str, int | None, tuple[str, ...], tuple[str, ...]]]


def standing(engine: Engine) -> Standing:
    """What the engine says is pending or firing: severity, start, what silences it and what is overdue, by pair."""
    return {
        (a.rule, a.subject): (
            a.state,
            a.severity,
            a.started if a.state == "firing" else None,
            tuple(sorted(a.suppressed_by)),
            a.overdue,
        )
        for a in engine.active()
    }


def expected(states: dict[tuple[str, str], State]) -> Standing:
    """The same of the reference's states."""
    found: Standing = {}
    for pair, state in states.items():
        if state.level:
            found[pair] = ("firing", SEVERITIES[state.level], state.started, state.silenced, state.overdue)
        elif state.pending:
            found[pair] = ("pending", SEVERITIES[state.held or 0], None, (), ())
    return found


def one_by_one(engine: Engine, arriving: Iterable[Filing]) -> list[Transition]:
    """Apply the filings each in a batch of its own."""
    return [t for filing in arriving for t in engine.apply(batches(engine, [filing])).transitions]


@at_most(120)
@given(worlds(), filings())
def test_states_are_those_of_the_reference_on_the_way_and_in_the_end(world: World, arriving: list[Filing]) -> None:
    engine, often = world.engine(), max(1, len(arriving) // 4)
    for count, filing in enumerate(arriving, start=1):
        engine.apply(batches(engine, [filing]))
        if count % often == 0 or count == len(arriving):
            assert standing(engine) == expected(world.reference.states(arriving[:count]))


@at_most(50)
@given(worlds(), filings(), st.lists(st.tuples(st.integers(0, 30), st.integers(80, 300)), max_size=3))
def test_waivers_end_and_alerts_go_stale_with_the_clock_whenever_it_ticks(
    world: World, arriving: list[Filing], ticks: list[tuple[int, int]]
) -> None:
    """The clock goes to some day after so many filings: states and what readers believe are as of the last tick."""
    engine, reader, clock = world.engine(), Reader(), -math.inf
    for count in range(len(arriving) + 1):
        for _, day in sorted(tick for tick in ticks if tick[0] == count):
            clock = max(clock, day * DAY)
            reader.read(engine.tick(int(clock)).transitions)
        reader.read(engine.apply(batches(engine, arriving[count : count + 1])).transitions)
    assert standing(engine) == expected(world.reference.states(arriving, clock))
    assert reader.beliefs == truth(engine)


@at_most(50)
@given(worlds(), filings().map(in_order))
def test_filings_on_time_give_the_transitions_of_the_reference(world: World, arriving: list[Filing]) -> None:
    engine = world.engine()
    said = one_by_one(engine, arriving)
    assert {
        (t.rule, t.subject, t.as_of, t.state, t.severity, t.previous, t.started, tuple(sorted(t.suppressed_by)))
        for t in said
    } == {
        (c.rule, c.subject, iso(c.as_of), c.state, c.severity, c.previous, iso(c.started), c.silenced)
        for c in world.reference.changes(arriving)
    }


def iso(seconds: int | None) -> str:
    return "" if seconds is None else str(np.datetime64(seconds, "s").astype("datetime64[D]"))


@at_most(50)
@given(st.one_of(exact(3), same(2), rough(2)), filings(institutions=1), st.integers(80, 500))
def test_every_expression_has_the_value_of_the_reference(source: str, known: list[Filing], day: int) -> None:
    made = world([{"id": "r", "levels": {"watch": f"({source}) > 0"}}])
    engine = made.engine()
    engine.apply(batches(engine, known))
    node = made.program.rules[0].levels[0].condition.args[0]
    found = float(number(node, Context(engine.world, np.zeros(1, np.int32), np.array([day * DAY])))[0])
    wanted = made.reference.value(source, INSTITUTIONS[0].code, known, day * DAY)
    assert wanted is None or isinstance(wanted, float)
    assert found == pytest.approx(np.nan if wanted is None else wanted, rel=1e-9, abs=1e-9, nan_ok=True)
