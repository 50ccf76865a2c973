"""Alerts that get much worse at the highest level: said each time the distance from the limit has doubled."""

from __future__ import annotations

from datetime import date
from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.calendar import DAY, seconds
from rules.engine import Engine, FormBatch
from rules.transitions import Transition
from tests.rules.worlds import institutions, program

LOW = "  - {id: low, levels: {warning: x < 2, critical: x < 1}}"
HIGH = "  - {id: high, levels: {critical: x > 10}}"
QUARTERS = [seconds(date(2023 + n // 4, *((3, 31), (6, 30), (9, 30), (12, 31))[n % 4])) for n in range(10)]
HORIZON = 8


compiled = cache(program)


def engine_of(*rules: str) -> Engine:
    return Engine(compiled(*rules), institutions(2))


def filing(quarter: int, x: float) -> FormBatch:
    """What the first institution files in form q: x, y, assets."""
    at = QUARTERS[quarter]
    one = np.zeros(1, np.int64)
    return FormBatch(
        "q",
        rows=np.zeros(1, np.int32),
        as_of=one + at,
        submitted_at=one + at + DAY,
        revision=np.zeros(1, np.int32),
        offset=one - 1,
        sequence=one,
        values=np.array([[x], [1.0], [1.0]]),
    )


def file(engine: Engine, xs: list[float], first: int = 0) -> list[Transition]:
    return [t for n, x in enumerate(xs, first) for t in engine.apply([filing(n, x)]).transitions]


def told(transitions: list[Transition]) -> list[tuple[str, str]]:
    return [(t.state, t.as_of) for t in transitions]


def day(quarter: int) -> str:
    return str(np.datetime64(QUARTERS[quarter], "s").astype("datetime64[D]"))


def test_each_doubling_of_the_distance_is_said_once() -> None:
    """0.1 below the limit, then 0.15, 0.2, 0.3, 0.4, less again, and 0.9."""
    found = file(engine_of(LOW), [0.9, 0.85, 0.8, 0.7, 0.6, 0.95, 0.1])
    assert told(found) == [("firing", day(0)), *(("worsened", day(n)) for n in (2, 4, 6))]
    (first, worse, *_) = found
    assert (worse.severity, worse.previous, worse.alert_id) == ("critical", "critical", first.alert_id)
    assert worse.measured is not None
    assert (worse.measured.value, worse.measured.limit) == (0.8, 1.0)
    assert len({t.id for t in found}) == len(found)


def test_above_a_limit_is_the_same() -> None:
    assert told(file(engine_of(HIGH), [11, 11.5, 12, 9, 12, 13])) == [
        ("firing", day(0)),
        ("worsened", day(2)),
        ("resolved", day(3)),
        ("firing", day(4)),
    ]


def test_it_counts_from_when_the_alert_became_critical() -> None:
    """At warning nothing is said, however bad it gets; the escalation says how bad it is."""
    assert told(file(engine_of(LOW), [1.9, 1.1, 0.9, 0.8])) == [
        ("firing", day(0)),
        ("escalated", day(2)),
        ("worsened", day(3)),
    ]


def test_a_level_that_measures_nothing_says_nothing() -> None:
    rule = "  - {id: low, levels: {critical: missing(y) or x < 1}}"
    assert [t.state for t in file(engine_of(rule), [0.9, 0.1])] == ["firing", "worsened"]
    assert [t.state for t in file(engine_of("  - {id: n, levels: {critical: missing(z)}}"), [0.9, 0.1])] == []


def test_a_restored_engine_says_the_same() -> None:
    """Wherever it was cut, ids are those of an engine that was not."""
    xs = [0.9, 0.85, 0.8, 0.7, 0.6, 0.95, 0.1]
    whole = [t.id for t in file(engine_of(LOW), xs)]
    for cut in range(1, len(xs)):
        first, second = engine_of(LOW), engine_of(LOW)
        before = file(first, xs[:cut])
        second.restore(first.export([0, 1]))
        assert [t.id for t in [*before, *file(second, xs[cut:], cut)]] == whole


@given(st.lists(st.floats(0.01, 1.2), min_size=1, max_size=len(QUARTERS)))
def test_as_somebody_would_count_by_hand(xs: list[float]) -> None:
    """The last filings in a row below the limit, eight at most: the oldest was told, then each twice as far."""
    expected = []
    for n in range(len(xs)):
        run = n
        while run > max(0, n - HORIZON + 1) and xs[run - 1] < 1:
            run -= 1
        if xs[n] >= 1 or run == n:
            continue
        last = 1 - xs[run]
        for m in range(run + 1, n + 1):
            doubled = 1 - xs[m] >= 2 * last
            last = 1 - xs[m] if doubled else last
        if doubled:
            expected.append(day(n))
    found = file(engine_of(LOW), xs)
    assert [as_of for state, as_of in told(found) if state == "worsened"] == expected
