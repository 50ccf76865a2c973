"""Processor seconds by stage: they are complete, so what is not in a stage is in `loop`."""

from __future__ import annotations

from collections import Counter
from itertools import count

from rules.engine import Engine
from streams.stages import Stages, busy
from tests.rules.test_work import LOUD, Sector


def work() -> int:
    """Use the processor a little."""
    return sum(range(100_000))


def test_stages_and_the_rest_are_all_that_the_thread_used() -> None:
    """What is done inside a stage is the stage's, everything else is the loop's, and nothing is counted twice."""
    seen: Counter[str] = Counter()
    before = busy()
    stages = Stages(lambda stage, seconds: seen.update({stage: seconds}))
    with stages.stage("decode"):
        work()
    work()
    stages.add("rules", 0.0)
    stages.rest(fetched=2.0)
    stages.rest(fetched=3.0)
    after = busy()
    assert seen["decode"] > 0
    assert seen["loop"] > 0
    assert seen["decode"] + seen["loop"] <= after - before
    assert seen["fetch"] == 3.0


def test_a_stage_that_fails_is_counted() -> None:
    """Time spent before an error was spent."""
    seen: Counter[str] = Counter()
    stages = Stages(lambda stage, seconds: seen.update({stage: seconds}))
    try:
        with stages.stage("produce"):
            work()
            raise ValueError
    except ValueError:
        assert seen["produce"] > 0


def test_the_engine_tells_stages_without_gaps() -> None:
    """By a clock that moves one second whenever it is read, every reading but the first ends a lap."""
    ticks = count()
    sector = Sector(30, LOUD).after(2)
    engine = Engine(sector.engine.program, sector.engine.institutions, clock=lambda: float(next(ticks)))
    outcome = engine.apply([sector.filed()])
    assert outcome.transitions
    assert set(outcome.seconds) == {"scatter", "derive", "rules", "transitions"}
    assert sum(outcome.seconds.values()) == next(ticks) - 1
