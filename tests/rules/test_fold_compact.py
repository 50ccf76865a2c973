"""Records that no rewind can reach are dropped; what can be reached reads as before."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.fold import FIRST_RECORDS, Fold, Records
from rules.store import NEVER
from tests.rules.worlds import program

ROWS = 40


def stepped(dates: int) -> Fold:
    """Return the states of one rule that holds on every date for everybody."""
    fold = Fold(program("  - {id: a, levels: {warning: x > 1}}").rules, ROWS)
    rows, rule = np.arange(ROWS, dtype=np.int32), np.zeros(ROWS, np.int32)
    for date in range(dates):
        held, clear = np.full(ROWS, 2, np.int8), np.zeros(ROWS, np.bool_)
        fold.step(rule, rows, np.full(ROWS, date, np.int64), held, clear)
    return fold


def same(one: Records, two: Records) -> bool:
    """Say whether two have the same records, wherever those stand."""
    names = [f.name for f in fields(Records) if f.name != "previous"]
    return all(np.array_equal(getattr(one, name), getattr(two, name)) for name in names)


@given(dates=st.integers(1, 60), edge=st.integers(0, 60))
def test_what_can_be_reached_stays_and_the_rest_goes(dates: int, edge: int) -> None:
    """Of each pair the records from the edge on, and the one before, which a rewind to the edge falls back to."""
    fold = stepped(dates)
    rows = np.arange(ROWS, dtype=np.int32)
    before = fold.chain(rows)
    fold.compact(np.full((1, ROWS), edge, np.int64))
    assert same(fold.chain(rows), before.take(before.date >= min(edge, dates) - 1))
    assert fold.size == len(fold.chain(rows))
    again = stepped(dates)
    again.compact(np.full((1, ROWS), NEVER))
    assert same(again.chain(rows), before)


def test_the_room_of_a_shock_is_given_back() -> None:
    """Not at once what is in use often, but what is four times too much."""
    fold = stepped(1_000)
    assert len(fold._records) >= 1_000 * ROWS
    fold.compact(np.full((1, ROWS), 999, np.int64))
    assert len(fold._records) == FIRST_RECORDS
    rows = np.arange(ROWS, dtype=np.int32)
    assert (fold.state(np.zeros(ROWS, np.int32), rows).level == 2).all()
