"""How filings arrive does not matter: how they are cut into batches, in which order, how often.

What readers of the transitions believe is what the engine holds, after every filing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from alerts.desk import Desk
from rules.engine import Engine, Outcome
from tests.examples import at_most
from tests.rules.generated import World, batches, filings, worlds
from tests.rules.reader import Reader, truth
from tests.rules.reference import Filing
from tests.rules.test_agreement import standing


def arriving_as(found: Sequence[Filing]) -> list[Filing]:
    """The filings with offsets as they come."""
    return [replace(filing, offset=offset) for offset, filing in enumerate(found)]


def apply_all(engine: Engine, parts: Sequence[Sequence[Filing]]) -> Outcome:
    """Apply the parts one after another; return everything they did in one outcome, sequences left out."""
    whole = Outcome()
    for part in parts:
        outcome = engine.apply(batches(engine, part))
        whole.transitions += outcome.transitions
        whole.refused += [(0, *rest) for _, *rest in outcome.refused]
        whole.replayed += outcome.replayed
        whole.beyond += outcome.beyond
    return whole


@at_most(50)
@given(worlds(), filings())
def test_readers_believe_what_the_engine_holds(world: World, arriving: list[Filing]) -> None:
    """After every filing, late and revised ones too: alerts by id and severity, and what is pending."""
    engine, reader, desk = world.engine(), Reader(), Desk()
    for filing in arriving:
        said = engine.apply(batches(engine, [filing])).transitions
        reader.read(said)
        for transition in said:
            desk.fold(transition)
        assert reader.beliefs == truth(engine)
        told = {alert: severity for alert, (severity, silenced, _) in reader.open.items() if not silenced}
        assert {alert: a.last.severity for alert, a in desk.open.items()} == told


@at_most(50)
@given(worlds(), filings())
def test_no_two_transitions_share_an_id(world: World, arriving: list[Filing]) -> None:
    engine = world.engine()
    said = apply_all(engine, [[filing] for filing in arriving]).transitions
    assert len({t.id for t in said}) == len(said)


@at_most(50)
@given(worlds(), filings(), st.data())
def test_batches_give_what_single_filings_give(world: World, found: list[Filing], data: DataObject) -> None:
    """Cut anywhere, with filings sent twice (refused) and offsets delivered twice (ignored) among them."""
    again = data.draw(st.lists(st.sampled_from(found), max_size=4), label="sent twice")
    arriving = arriving_as([*found, *again])
    replays = data.draw(st.lists(st.sampled_from(arriving), max_size=4), label="delivered twice")
    arriving += replays
    cuts = sorted(data.draw(st.sets(st.integers(0, len(arriving)), max_size=5), label="cuts"))
    edges = [0, *cuts, len(arriving)]
    parts = [arriving[first:last] for first, last in pairwise(edges)]
    single = apply_all(world.engine(), [[filing] for filing in arriving])
    assert apply_all(world.engine(), parts) == single


@at_most(50)
@given(worlds(), filings(), st.data())
def test_any_order_of_arrival_ends_in_the_same_state(world: World, found: list[Filing], data: DataObject) -> None:
    shuffled = data.draw(st.permutations(found), label="order")
    ends = []
    for order in (found, shuffled):
        engine, reader = world.engine(), Reader()
        reader.read(apply_all(engine, [[filing] for filing in arriving_as(order)]).transitions)
        ends.append((standing(engine), reader.beliefs))
    assert ends[0] == ends[1]
