"""Rules across institutions against the reference: states, order of arrival, batches, and what readers believe.

They are judged when a batch is done, so the steps on the way depend on how filings are cut into batches; where
things stand in the end does not.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from rules.transitions import Transition
from tests.rules.generated import World, batches, filings, sectors
from tests.rules.reader import Reader, truth
from tests.rules.reference import Filing
from tests.rules.test_agreement import expected, standing
from tests.rules.test_arrival import arriving_as

FILINGS = filings(institutions=3, dates={"slow": [90, 180, 270], "mid": [90, 180], "fast": [90, 91]})
"""Few dates, so that enough institutions file for the same one."""


@given(sectors(), FILINGS)
def test_states_are_those_of_the_reference_after_every_filing(world: World, arriving: list[Filing]) -> None:
    engine, reader = world.engine(), Reader()
    for count, filing in enumerate(arriving, start=1):
        reader.read(engine.apply(batches(engine, [filing])).transitions)
        assert standing(engine) == expected(world.reference.states(arriving[:count]))
        assert reader.beliefs == truth(engine)


@given(sectors(), FILINGS, st.data())
def test_any_order_and_any_batches_end_in_the_same_state(world: World, found: list[Filing], data: DataObject) -> None:
    arriving = arriving_as(data.draw(st.permutations(found), label="order"))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(arriving)), max_size=4), label="cuts"))
    engine, reader = world.engine(), Reader()
    said: list[Transition] = []
    for first, last in pairwise([0, *cuts, len(arriving)]):
        said += engine.apply(batches(engine, arriving[first:last])).transitions
    reader.read(said)
    assert standing(engine) == expected(world.reference.states(found))
    assert reader.beliefs == truth(engine)
    assert len({t.id for t in said}) == len(said)


@given(sectors(), FILINGS, st.data())
def test_state_written_and_read_back_goes_on_alike(world: World, arriving: list[Filing], data: DataObject) -> None:
    cut = data.draw(st.integers(0, len(arriving)), label="cut")
    first, second = world.engine(), world.engine()
    first.apply(batches(first, arriving[:cut]))
    second.restore(first.export(np.arange(len(first.institutions)).tolist()))
    for engine in (first, second):
        engine.apply(batches(engine, arriving))
    assert standing(second) == standing(first) == expected(world.reference.states(arriving))
