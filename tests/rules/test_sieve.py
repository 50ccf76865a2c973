"""The compiled sieve finds what the sieve in numpy finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.blocks import scope_of
from rules.context import Context
from rules.engine import Engine
from rules.laps import Laps
from rules.sieve import LEAST, Sifted, at_once, by_blocks, compiled
from rules.stacks import Stack
from tests.examples import at_most
from tests.parts import required
from tests.rules.worlds import DAY, institutions, program

SHAPES = (
    "{x} > {c}",
    "{x} >= {c}",
    "{x} < {c}",
    "{x} <= {c}",
    "change({x}, 1) >= {c}",
    "lag({x}, 2) < {c}",
    "mean({x}, '4 filings') > {c}",
    "mean({x}, '3 filings') < {c}",
    "max({x}, '3 filings') >= {c}",
    "min({x}, '2 filings') <= {c}",
    "{x} / {y} > {c}",
    "mean({x} / {y}, '2 filings') > {c}",
    "max({x} * {c}, {y}) - min(-{x}, abs({y}) + {c}) > {c}",
)
WHERE = ("", "type in BANKS", "assets > 2", "type in BANKS and assets > 2")
VALUES = np.array([0.0, -0.0, 0.5, 0.5000000000000001, -0.5, 1.0, 3.0, 1e-310, np.inf, -np.inf, np.nan])
"""Bounds themselves, their neighbours, and what is no number."""


def sector(n: int, where: str, rng: np.random.Generator, dates: int) -> Engine:
    """An engine with two rules of each shape, and filings of everybody for so many dates; nothing is judged yet."""
    rules = [
        f'- {{id: {name}.{k}, levels: {{watch: "{shape.format(x=x, y=y, c=c)}"}}{where and f", where: {where!r}"}}}'
        for k, shape in enumerate(SHAPES)
        for name, x, y, c in (("a", "x", "y", "0.5"), ("b", "y", "x", "0.0"))
    ]
    engine = Engine(program(*rules), institutions(n))
    rows, store = np.arange(n, dtype=np.int32), engine.world.stores["q"]
    for turn in range(dates):
        day = np.full(n, (20_000 + 90 * turn) * DAY)
        values = np.where(rng.random((3, n)) < 0.5, rng.choice(VALUES, (3, n)), rng.normal(0.5, 0.2, (3, n)))
        store.place(rows, day, np.zeros(n, np.int32), np.full(n, -1, np.int64), values)
    return engine


def both(engine: Engine, stack: Stack, rows: slice, rng: np.random.Generator) -> tuple[Sifted | None, Sifted]:
    """Sift a stack at the newest date of some institutions, compiled and not; some pairs are remembered."""
    (group,) = (group for group in engine.groups if stack in group.stacks)
    index = np.arange(rows.start, rows.stop, dtype=np.int32)
    context = Context(engine.world, index, engine.world.stores["q"].newest(index))
    awake = rng.random((2, len(index))) < 0.05
    given = stack, group.ladders, context, scope_of(stack.template, context, None), awake
    return at_once(*given), by_blocks(*given, Laps())


@at_most(12)
@given(
    st.integers(LEAST, LEAST + 200),
    st.sampled_from(WHERE),
    st.integers(0, 2**32 - 1),
    st.integers(1, 6),
    st.integers(0, 5),
)
def test_both_sieves_find_the_same(n: int, where: str, seed: int, dates: int, first: int) -> None:
    """Whatever the numbers are: gaps, infinities, zeros of either sign, and bounds met exactly."""
    if not compiled():
        (pytest.fail if required() else pytest.skip)("numba is not installed: pip install 'guanlan[fast]'")
    rng = np.random.default_rng(seed)
    engine = sector(n + first, where, rng, dates)
    stacks = [stack for group in engine.groups for stack in group.stacks]
    count = len(stacks)
    assert count == len(SHAPES)
    for stack in stacks:
        assert stack.tape is not None
        fast, plain = both(engine, stack, slice(first, first + n), rng)
        if fast is None:
            assert stack.tape.back >= dates  # then there are no filings so far back
            continue
        assert [fast.member.tolist(), fast.position.tolist()] == [plain.member.tolist(), plain.position.tolist()]
        assert [column.tolist() for column in fast.lost] == [column.tolist() for column in plain.lost]
        assert np.array_equal(fast.values, plain.values, equal_nan=True)


def test_what_has_no_tape_is_sifted_by_numpy() -> None:
    """Medians, days and conditions are not compiled; few institutions, and those that stand apart, are no row."""
    rules = [
        f'- {{id: {name}{k}, levels: {{watch: "{shape.format(x=x)} > 1"}}}}'
        for k, shape in enumerate(("median({x}, '3 filings')", "mean({x}, '200d')", "({x} if {x} > 0 else 1)"))
        for name, x in (("a", "x"), ("b", "y"))
    ]
    stacks = [stack for group in Engine(program(*rules)).groups for stack in group.stacks]
    assert [stack.tape for stack in stacks] == [None, None, None]
    engine = sector(LEAST + 1, "", np.random.default_rng(1), 2)
    fast, _ = both(engine, engine.groups[0].stacks[0], slice(0, LEAST - 1), np.random.default_rng(1))
    assert fast is None
