"""Rules that ask for other rules with `firing`."""

from __future__ import annotations

import pytest

from rules.engine import Engine
from rules.problems import PackError
from tests.rules.worlds import batch, institutions, program

A = "  - {id: a, levels: {watch: x < 2, warning: x < 1}}\n"
B = "  - {id: b, levels: {watch: z > 1}}\n"
BOTH = '  - {id: both, levels: {critical: \'firing("a", warning) and firing("b")\'}}\n'


def states(engine: Engine) -> dict[str, str]:
    return {a.rule: a.severity for a in engine.active()}


@pytest.mark.parametrize("text", [A + B + BOTH, BOTH + B + A])
def test_a_composite_fires_when_the_rules_it_asks_for_do_wherever_it_stands(text: str) -> None:
    engine = Engine(program(text), institutions(1))
    engine.apply([batch(engine, "q", [("I0", 90, (0.5, 1, 1))])])
    assert states(engine) == {"a": "warning"}
    engine.apply([batch(engine, "d", [("I0", 91, (2,))])])
    assert states(engine) == {"a": "warning", "b": "watch", "both": "critical"}
    engine.apply([batch(engine, "d", [("I0", 92, (0.5,))])])
    assert states(engine) == {"a": "warning"}


def test_a_level_asked_for_is_not_reached_by_a_lower_one() -> None:
    engine = Engine(program(A + B + BOTH), institutions(1))
    engine.apply([batch(engine, "q", [("I0", 90, (1.5, 1, 1))])])
    engine.apply([batch(engine, "d", [("I0", 91, (2,))])])
    assert states(engine) == {"a": "watch", "b": "watch"}


def test_a_revision_reaches_through_to_the_composite() -> None:
    """b fired on the 91st day; a's revised filing of day 90 takes a's warning back, and with it the composite."""
    engine = Engine(program(A + B + BOTH), institutions(1))
    engine.apply([batch(engine, "q", [("I0", 90, (0.5, 1, 1))])])
    engine.apply([batch(engine, "d", [("I0", 91, (2,))])])
    outcome = engine.apply([batch(engine, "q", [("I0", 90, (1.5, 1, 1), 1)])])
    assert states(engine) == {"a": "watch", "b": "watch"}
    assert {(t.rule, t.state, t.cause) for t in outcome.transitions} >= {("both", "resolved", "revised")}


def test_rules_that_wait_for_each_other_are_named() -> None:
    with pytest.raises(PackError, match=r"in a circle: p1 → p2 → p1"):
        program(
            "  - {id: p1, levels: {watch: 'firing(\"p2\")'}}\n",
            "  - {id: p2, levels: {watch: 'firing(\"p1\") and x > 1'}}\n",
        )


def test_an_unknown_rule_has_its_nearest_name() -> None:
    with pytest.raises(PackError, match=r"there is no rule 'aa' \(did you mean 'a'\?\)"):
        program(A + "  - {id: c, levels: {watch: 'firing(\"aa\")'}}\n")
