"""Replaying history: order of knowledge, deadlines as they pass, charts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rules.backtest import as_dict, charts, main_value, replay, value_name
from rules.calendar import parse_instant
from rules.engine import Engine, FormBatch
from rules.pack import PackText, compile_packs
from rules.transitions import Transition
from tests.rules.worlds import DAY, batch, catalogue, institutions, program

LOW = """
  - id: low
    title: {en: Low}
    levels: {watch: x < 120%, critical: x < 100%}
    message: {en: "{institution.name} at {x:.0%}", zh: "{x:.0%}"}
"""


def run(engine: Engine, filings: list[FormBatch]) -> list[Transition]:
    return [t for outcome in replay(engine, filings) for t in outcome.transitions]


def test_filings_are_applied_in_the_order_in_which_they_became_known() -> None:
    """A filing for an older date that was submitted later arrives late, whatever the file's order."""
    engine = Engine(program(LOW), institutions(1))
    filings = batch(engine, "q", [("I0", 180, (1.3, 1, 1)), ("I0", 90, (0.9, 1, 1))])
    known = replace(filings, submitted_at=np.array([200, 300], np.int64) * DAY)
    assert [(t.state, t.as_of, t.cause) for t in run(engine, [known])] == [
        ("firing", "1970-04-01", "late"),
        ("resolved", "1970-06-30", "late"),
    ]


def test_deadlines_pass_as_the_data_moves_on() -> None:
    """The quarter to 30 June is due 15 days later; I1 never files it while I0's daily filings go on."""
    engine = Engine(program("  - {id: late, levels: {warning: overdue(q)}}"), institutions(2))
    quarter = parse_instant("2025-06-30") // DAY
    filings = [
        batch(engine, "q", [("I0", quarter, (1, 1, 1))]),
        batch(engine, "d", [("I0", quarter + n, (1,)) for n in range(3)]),
    ]
    filings[0] = replace(filings[0], submitted_at=filings[0].as_of + 10 * DAY)
    found = run(engine, filings)
    assert [(t.subject, t.state, t.as_of, t.cause) for t in found] == [("I1", "firing", "2025-07-16", "clock")]


def test_a_line_says_rule_subject_state_severity_date_values_and_message() -> None:
    engine = Engine(program(LOW), institutions(1))
    (transition,) = run(engine, [batch(engine, "q", [("I0", 90, (0.9, 1, 1))])])
    line = as_dict(transition, "zh")
    expected = {"rule": "low", "subject": "I0", "state": "firing", "severity": "critical", "as_of": "1970-04-01"}
    assert expected.items() <= line.items()
    assert line["values"] == {"x": 0.9}
    assert line["message"] == "90%"


def test_a_rule_is_about_the_value_its_levels_compare_with_numbers() -> None:
    compiled = program(LOW)
    value, levels = main_value(compiled.rules[0])
    assert value is not None
    assert value_name(value, compiled) == "x"
    assert [(level, one.sign, one.limit) for level, one in levels] == [(1, "<", 1.2), (3, "<", 1.0)]


def test_a_value_may_be_an_expression_or_a_derived_indicator() -> None:
    compiled = program(
        "  - {id: e, levels: {watch: 'pct_change(assets, 4) > 20% and x < 1'}}\n  - {id: s, levels: {watch: share > 1}}"
    )
    names = [value_name(value, compiled) for rule in compiled.rules if (value := main_value(rule)[0])]
    assert names == ["pct_change(assets, 4)", "share"]


def test_a_chart_holds_the_whole_history_of_the_indicator() -> None:
    compiled, who = program(LOW), institutions(2)
    engine = Engine(compiled, who)
    filings = batch(engine, "q", [("I1", 90 * n, (n / 10, 1, 1)) for n in range(1, 31)])
    (chart,) = charts(compiled, who, [filings], [("low", "I1")])
    assert chart.values == pytest.approx([n / 10 for n in range(1, 31)])
    assert chart.at.tolist() == [90 * n * DAY for n in range(1, 31)]


def test_limits_below_zero_and_parameters_are_bands_of_the_chart() -> None:
    """The parameter rises on day 180; a chart of three quarters shows its limit at each date."""
    text = """
pack: p
version: '1'
parameters:
  floor:
    unit: ratio
    rows:
      - {value: 5%, author: A, to: 1970-06-29}
      - {value: 8%, author: A, from: 1970-06-30}
rules:
  - {id: fall, levels: {watch: change(x) < -10%, critical: -20% > change(x)}}
  - {id: low, levels: {watch: x < floor + 2%, critical: x < floor}}
"""
    compiled, who = compile_packs([PackText(text, "p.yaml")], catalogue()), institutions(1)
    filings = batch(Engine(compiled, who), "q", [("I0", 90 * n, (0.5, 1, 1)) for n in (1, 2, 3)])
    fall, low = charts(compiled, who, [filings], [("fall", "I0"), ("low", "I0")])
    assert [(b.level, b.op, b.limits.tolist()) for b in fall.bands] == [(1, "<", [-0.1] * 3), (3, "<", [-0.2] * 3)]
    assert low.bands[0].limits == pytest.approx([0.07, 0.1, 0.1])
    assert low.bands[1].limits == pytest.approx([0.05, 0.08, 0.08])
