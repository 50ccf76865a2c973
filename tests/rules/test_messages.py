"""What an alert says: its message in each language, and the evidence frozen with it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.engine import Engine
from rules.messages import _FORMAT
from rules.registry import Institution
from rules.transitions import Transition
from tests.rules.worlds import batch, program

NAN = float("nan")
BANK = Institution("I0", {"en": "River Bank", "zh": "江河银行"}, type="bank", region="north", peer_group="small")


def told(message: str, x: float = 0.5, y: float = 1.0, assets: float = 2e9, extra: str = "") -> Transition:
    """The first transition of a rule with the message, the bank having filed these values for 31 March 1970."""
    quoted = message.replace("'", "''")
    engine = Engine(program(f"  - id: r\n    levels: {{watch: x < 1}}\n    message: '{quoted}'\n{extra}"), [BANK])
    return engine.apply([batch(engine, "q", [("I0", 89, (x, y, assets))])]).transitions[0]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("plain words", "plain words"),
        ("{x}", "0.5"),
        ("{x:.1%} of {assets:,.0f}", "50.0% of 2,000,000,000"),
        ("{assets}", "2e+09"),
        ("{x + y:+.2f}", "+1.50"),
        ("{x / y if y > 0 else y:.0%}", "50%"),
        (
            "{institution.name} ({subject}, {type}): {level} as of {as_of}",
            "River Bank (I0, bank): watch as of 31 March 1970",
        ),
        ("{x < 1}, {y < 1}", "yes, no"),
        ("{z} and {lag(x, 1)}", "n/a and n/a"),
        ("{z > 1}", "n/a"),
        ("{{{x}}}", "{0.5}"),
        ("it's", "it's"),
        ("{ x :6.1f}|", "   0.5|"),
        ("{min(x, 0.25):.2f}", "0.25"),
    ],
)
def test_message(message: str, text: str) -> None:
    assert told(message).message == {"en": text}


def test_each_language_has_its_own_words_for_names_and_gaps() -> None:
    rule = """  - id: r
    title: {en: Ratio, zh: 比率}
    levels: {watch: x < 1}
    message:
      en: "{institution.name}: {rule.title} {x:.0%}, {z}"
      zh: "{institution.name}{rule.title}{x:.0%},{z}"
"""
    engine = Engine(program(rule), [BANK])
    (said,) = engine.apply([batch(engine, "q", [("I0", 89, (0.5, 1, 1))])]).transitions
    assert said.message == {"en": "River Bank: Ratio 50%, n/a", "zh": "江河银行比率50%,缺失"}


def test_a_rule_without_a_message_says_none() -> None:
    engine = Engine(program("  - {id: r, levels: {watch: x < 1}}"), [BANK])
    (said,) = engine.apply([batch(engine, "q", [("I0", 89, (0.5, 1, 1))])]).transitions
    assert said.message == {}


def test_the_message_of_a_late_filing_speaks_of_its_own_date() -> None:
    engine = Engine(program("  - {id: r, levels: {watch: x < 1}, message: '{x} at {as_of}'}"), [BANK])
    engine.apply([batch(engine, "q", [("I0", 179, (5, 1, 1))])])
    said = engine.apply([batch(engine, "q", [("I0", 89, (0.5, 1, 1))])]).transitions
    assert [(t.state, t.as_of, t.message) for t in said] == [
        ("firing", "1970-03-31", {"en": "0.5 at 31 March 1970"}),
        ("resolved", "1970-06-29", {}),
    ]


def test_evidence_names_every_value_with_the_filing_it_came_from() -> None:
    rule = "  - {id: r, levels: {watch: share < z}, basis: {document: 办法, article: 37.10}, tags: [a]}"
    engine = Engine(program(rule), [BANK])
    engine.apply([batch(engine, "q", [("I0", 89, (0.5, 1, 1), 2, None, 40)])])
    (said,) = engine.apply([batch(engine, "d", [("I0", 90, (0.6,), 0, None, 41)])]).transitions
    assert {name: (r.value, r.as_of, r.revision, r.offset) for name, r in said.values.items()} == {
        "x": (0.5, "1970-03-31", 2, 40),
        "y": (1.0, "1970-03-31", 2, 40),
        "z": (0.6, "1970-04-01", 0, 41),
        "share": (0.5, None, None, None),
    }
    assert said.condition == "share < z"
    assert said.basis == {"document": "办法", "article": "37.10"}
    assert said.labels == {"type": "bank", "region": "north", "peer_group": "small"}
    assert (said.rule_hash, said.pack, said.tags, said.revision) == (engine.rules[0].hash, "p", ["a"], 0)


def test_missing_values_are_in_the_evidence_as_missing() -> None:
    engine = Engine(program("  - {id: r, levels: {watch: x < 1 or y < 1 or z < 1}}"), [BANK])
    (said,) = engine.apply([batch(engine, "q", [("I0", 89, (0.5, NAN, 1))])]).transitions
    assert (said.values["y"].value, said.values["y"].as_of) == (None, "1970-03-31")
    assert (said.values["z"].value, said.values["z"].as_of) == (None, None)


def test_the_condition_of_a_resolved_alert_is_the_one_it_had() -> None:
    engine = Engine(program("  - {id: r, levels: {watch: x < 1, critical: x < 0.5}}"), [BANK])
    said = engine.apply([batch(engine, "q", [("I0", 90, (0.2, 1, 1)), ("I0", 180, (5, 1, 1))])]).transitions
    assert [(t.state, t.condition) for t in said] == [("firing", "x < 0.5"), ("resolved", "x < 0.5")]


@given(st.from_regex(_FORMAT, fullmatch=True), st.floats(allow_nan=False, allow_infinity=False))
def test_every_format_that_is_accepted_formats_every_number(format_: str, value: float) -> None:
    assert len(f"{value:{format_}}") < 500


@given(st.text("<>=^-+ #0123456789,_.eEfFgGn%sdxcobX{}:", max_size=8))
def test_what_is_no_format_is_refused_before_it_is_tried(format_: str) -> None:
    if _FORMAT.fullmatch(format_):
        assert re.fullmatch(r"[-+ ]?\d*,?(\.\d+)?[%efg]?", format_)
