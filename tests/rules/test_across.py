"""Values across institutions: groups, peers, the system; when they are judged, and when they are missing."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import SYSTEM
from rules.context import Context
from rules.engine import Engine, FormBatch
from rules.operations import evaluate, number
from rules.pack import Program
from rules.problems import PackError
from rules.registry import Institution
from rules.transitions import Transition
from tests.examples import at_most
from tests.rules.worlds import DAY, batch, program

T = 90


def banks(n: int) -> list[Institution]:
    """I0 … in peer groups a and b by turns, and the system."""
    return [Institution(f"I{i}", type="bank", peer_group="ab"[i % 2]) for i in range(n)] + [Institution(SYSTEM)]


def one_rule(condition: str, scope: str = "institution") -> Program:
    return program(f"  - {{id: r, scope: {scope}, levels: {{watch: '{condition}'}}}}")


def file(engine: Engine, values: list[float], weights: list[float] | None = None, at: int = T) -> list[Transition]:
    weights = weights or [1.0] * len(values)
    rows = [(f"I{i}", at, (v, 1.0, w)) for i, (v, w) in enumerate(zip(values, weights, strict=True))]
    return engine.apply([early(batch(engine, "q", rows))]).transitions


def early(filings: FormBatch) -> FormBatch:
    """Submitted five days after the as-of date, ten before the deadline."""
    return replace(filings, submitted_at=filings.as_of + 5 * DAY)


def test_deadlines_that_passed_while_nobody_ticked_are_made_up_for() -> None:
    """Three of five have filed for each date: known from its deadline on, however late the clock is looked at."""
    filed = {89: {"I0": 3.0, "I2": 1.0, "I4": 1.0}, 180: {"I2": 1.0, "I4": 1.0, "I6": 1.0}}
    standing = []
    for ticks in ({89: 120, 180: 210}, {180: 210}):
        engine = Engine(one_rule("x > 1.5 * peer_median(x)"), banks(10))
        file(engine, [1.0] * 10, at=-1)
        for at, values in filed.items():
            engine.apply([early(batch(engine, "q", [(code, at, (x, 1.0, 1.0)) for code, x in values.items()]))])
            if at in ticks:
                engine.tick(ticks[at] * DAY)
        standing.append([(a.rule, a.subject, a.state, a.started) for a in engine.active()])
    assert standing[0] == standing[1] == [("r", "I0", "firing", 89 * DAY)]


def value_for(expression: str, code: str, values: list[float], weights: list[float] | None = None) -> float:
    """The value of a number expression for an institution after all have filed."""
    compiled = one_rule(f"{expression} > 0")
    engine = Engine(compiled, banks(len(values)))
    file(engine, values, weights)
    node = compiled.rules[0].levels[0].condition.args[0]
    context = Context(engine.world, engine.rows([code]), np.array([T * DAY]))
    return float(number(node, context)[0])


FIVE = [0.1, 0.2, 0.3, 0.4, 0.5]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("group_sum(x)", 1.5),
        ("group_mean(x)", 0.3),
        ("group_sum(x, by=peer_group)", 0.9),  # I0 + I2 + I4
        ("weighted_mean(x, assets)", (0.1 * 1 + 0.2 * 2 + 0.3 * 3 + 0.4 * 4 + 0.5 * 5) / 15),
        ("hhi(x)", (0.01 + 0.04 + 0.09 + 0.16 + 0.25) / 1.5**2),
        ("gini(x)", (2 * (1 * 4 + 2 * 3 + 3 * 2 + 4 * 1) / 10) / (2 * 25 * 0.3)),  # differences of all pairs
        ("count(x > 25%)", 3.0),
        ("share_of(x > 25%, assets)", 12 / 15),
        ("share(x)", 0.5 / 1.5),
        ("peer_median(x)", 0.3),
        ("peer_percentile(x)", 2.5 / 3),
        ("peer_percentile(x, by=type)", 4.5 / 5),
        ("peer_rank(x)", 1.0),
        ("peer_zscore(x)", 0.2 / (1.4826 * 0.2)),
    ],
)
def test_value_for_the_last_of_five(expression: str, expected: float) -> None:
    """I4 (x = 50 %, assets 5, peers I0 and I2), by hand."""
    assert value_for(expression, "I4", FIVE, [1, 2, 3, 4, 5]) == pytest.approx(expected)


def test_the_peer_mean_leaves_the_outermost_twentieths_out() -> None:
    """Twenty peers of 1 and one of 1,000: above the 95 % quantile, so the mean stays 1."""
    values = [1.0] * 41
    values[40] = 1000.0
    assert value_for("peer_mean(x)", "I0", values) == 1.0


@at_most(30)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=12))
def test_a_herfindahl_index_is_between_even_and_whole(values: list[float]) -> None:
    found = value_for("hhi(x)", "I0", values)
    assert 1 / len(values) - 1e-9 <= found <= 1 + 1e-9


def test_a_gini_coefficient_as_in_the_textbook() -> None:
    """0 of equal values, 1 − 1/n where one has all; 0.25 of 1, 2, 3, 4 (as the measure of that name has it)."""
    assert value_for("gini(x)", "I0", [2.0] * 4) == pytest.approx(0.0)
    assert value_for("gini(x)", "I0", [0.0, 0.0, 0.0, 8.0]) == pytest.approx(0.75)
    assert value_for("gini(x)", "I0", [3.0, 1.0, 4.0, 2.0]) == pytest.approx(0.25)
    assert np.isnan(value_for("gini(x)", "I0", [0.0, 0.0, 0.0]))


@at_most(30)
@given(st.lists(st.floats(-5, 5), min_size=3, max_size=9), st.permutations(range(9)))
def test_who_is_called_what_makes_no_difference(values: list[float], order: list[int]) -> None:
    order = [i for i in order if i < len(values)]
    mine = value_for("peer_percentile(x, by=type)", "I0", values)
    shuffled = [values[i] for i in order]
    assert value_for("peer_percentile(x, by=type)", f"I{order.index(0)}", shuffled) == pytest.approx(mine)


@pytest.mark.parametrize(
    ("by", "alike"),
    [("dsib_bucket", {"dsib_bucket": 3}), ("attributes.city", {"attributes": {"city": "Suzhou"}})],
)
def test_groups_are_made_by_whatever_the_registry_keeps(by: str, alike: dict[str, object]) -> None:
    """I1 and I3 share the attribute, so each sees the two of them; the message may ask for a group of its own."""
    rule = f"  - {{id: r, levels: {{watch: '59% < group_sum(x, by={by}) < 61%'}}, message: '{{hhi(x, by={by}):.2f}}'}}"
    members = [replace_attributes(one, alike) if one.code in ("I1", "I3") else one for one in banks(5)]
    found = file(Engine(program(rule), members), FIVE)
    assert [(t.subject, t.message["en"]) for t in found] == [("I1", "0.56"), ("I3", "0.56")]


def replace_attributes(institution: Institution, changes: dict[str, object]) -> Institution:
    return msgspec.structs.replace(institution, **changes)


def test_it_is_missing_until_four_fifths_have_filed_and_then_judged_for_all() -> None:
    """Ten have filed before; at the new date seven are too few, the eighth makes the rule fire for the first."""
    engine = Engine(one_rule("peer_percentile(x, by=type) >= 90%"), banks(10))
    file(engine, [0.5] * 10)
    later = [1.0] + [0.1] * 6
    assert file(engine, later, at=T + 91) == []
    found = engine.apply([early(batch(engine, "q", [("I7", T + 91, (0.1, 1, 1))]))]).transitions
    assert [(t.subject, t.state) for t in found] == [("I0", "firing")]


def test_once_the_deadline_has_passed_those_who_filed_are_enough() -> None:
    engine = Engine(one_rule("share_of(x < 100%, assets) > 50%", "system"), banks(10))
    quarter = 20_269  # 2025-06-30
    file(engine, [2.0] * 10, at=quarter - 91)
    assert file(engine, [0.5] * 5, at=quarter) == []
    found = engine.tick((quarter + 16) * DAY).transitions
    assert [(t.subject, t.state, t.as_of, t.cause) for t in found] == [(SYSTEM, "firing", "2025-06-30", "clock")]


def test_a_rule_of_the_system_speaks_of_the_system_and_shows_the_value() -> None:
    engine = Engine(one_rule("share_of(x < 100%, assets) > 10%", "system"), banks(5))
    (transition,) = file(engine, [0.5, 2, 2, 2, 2], [3, 1, 1, 1, 4])
    assert (transition.subject, transition.scope, transition.state) == (SYSTEM, "system", "firing")
    assert [r.value for r in transition.values.values()] == [pytest.approx(0.3)]


def test_the_state_in_the_end_does_not_depend_on_who_files_first() -> None:
    compiled = one_rule("peer_zscore(x, by=type) > 2")
    values = [0.1, 0.2, 0.15, 0.12, 0.9, 0.11]
    rows = [(f"I{i}", T, (v, 1.0, 1.0)) for i, v in enumerate(values)]
    together, apart = Engine(compiled, banks(6)), Engine(compiled, banks(6))
    together.apply([batch(together, "q", rows)])
    for row in reversed(rows):
        apart.apply([batch(apart, "q", [row])])
    assert together.active() == apart.active()
    assert [a.subject for a in together.active()] == ["I4"]


def test_a_correction_by_one_changes_what_is_said_of_another() -> None:
    engine = Engine(one_rule("share(x) > 50%"), banks(3))
    assert [t.subject for t in file(engine, [0.6, 0.2, 0.2])] == ["I0"]
    found = engine.apply([batch(engine, "q", [("I1", T, (1.0, 1, 1), 1)])]).transitions
    assert {(t.subject, t.state) for t in found} == {("I0", "resolved"), ("I1", "firing")}


def test_rules_across_institutions_are_judged_by_the_system_agent() -> None:
    assert one_rule("peer_median(x) > 1").rules[0].placement == "system"


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("peer_median(x, by=colour) > 1", "knows by= one of type, region, peer_group"),
        ("count(x) > 1", "expected a condition"),
        ("share_of(x > 1) > 1", r"called as share_of\(condition, w, by=attribute\)"),
        ("group_sum(1) > 1", "needs an indicator"),
    ],
)
def test_mistakes_are_named(condition: str, message: str) -> None:
    with pytest.raises(PackError, match=message):
        one_rule(condition)


def test_nobody_to_compare_with_is_missing() -> None:
    compiled = one_rule("group_sum(x) > 0")
    engine = Engine(compiled, banks(1))
    node = compiled.rules[0].levels[0].condition.args[0]
    found = evaluate(node, Context(engine.world, np.zeros(1, np.int32), np.array([T * DAY])))
    assert math.isnan(float(found[0]))  # type: ignore[index]
