"""What an alert says: its message in each language, and the evidence frozen with it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.engine import Engine
from rules.messages import _FORMAT
from rules.problems import PackError
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


@pytest.mark.parametrize(
    ("part", "en", "zh"),
    [
        ("{change(x):^.1pp}", "down 20.0 pp", "下降20.0个百分点"),
        ("{change(x):.1pp}", "-20.0 pp", "-20.0个百分点"),
        ("{pct_change(x):^.0%}", "down 29%", "下降29%"),
        ("{x - x:^.1pp}", "unchanged", "持平"),
        ("{lag(x, 5):^.1pp}", "change unknown", "变动情况缺失"),
        ("{x - y:>.1pp} the floor", "50.0 pp below the floor", "低50.0个百分点 the floor"),
        ("{assets:amount}", "300bn CNY", "3,000亿元"),
        ("{level}, was {previous}", "watch, was none", "关注, was 无"),
        ("{started}", "30 June 1970", "1970年6月30日"),
        ("{x < 1}", "yes", "是"),
    ],
)
def test_formats_in_words(part: str, en: str, zh: str) -> None:
    """Differences in points, money in billions or 亿, directions and dates as each language says them."""
    rule = f"  - {{id: r, levels: {{watch: x < 0.6}}, message: {{en: '{part}', zh: '{part}'}}}}"
    engine = Engine(program(rule), [BANK])
    engine.apply([batch(engine, "q", [("I0", 89, (0.7, 1, 3e11))])])
    (said,) = engine.apply([batch(engine, "q", [("I0", 180, (0.5, 1, 3e11))])]).transitions
    assert said.message == {"en": en, "zh": zh}


@pytest.mark.parametrize(
    ("part", "summary"),
    [
        ("{assets:.1pp}", "percentage points are of ratios, this is currency"),
        ("{x:amount}", "an amount is of money, this is a ratio"),
        ("{type:amount}", "'amount' needs a number"),
    ],
)
def test_a_format_that_does_not_suit_is_an_error(part: str, summary: str) -> None:
    with pytest.raises(PackError, match=summary):
        program(f"  - {{id: r, levels: {{watch: x < 1}}, message: '{part}'}}")


def test_each_state_has_its_own_text_and_the_message_none_that_it_would_belie() -> None:
    rule = """
  - id: r
    levels: {watch: x < 2, critical: x < 1}
    message: "{x:.1f} is low"
    texts: {resolved: "back at {x:.1f}, was {previous}", eased: "only {level} now"}
    action: {watch: {en: look}, critical: {en: act}}
    basis: {document: A, evidence: {watch: proposal, critical: "known (1)"}}
    deadline: 5bd"""
    engine = Engine(program(rule), [BANK])
    said = [
        transition
        for day, x in ((89, 1.5), (180, 0.5), (272, 1.5), (364, 3))
        for transition in engine.apply([batch(engine, "q", [("I0", day, (x, 1, 1))])]).transitions
    ]
    assert [(t.state, t.message, t.action, t.basis["standing"] if t.state != "resolved" else "") for t in said] == [
        ("firing", {"en": "1.5 is low"}, {"en": "look"}, "proposal"),
        ("escalated", {"en": "0.5 is low"}, {"en": "act"}, "law"),
        ("eased", {"en": "only watch now"}, {"en": "look"}, "proposal"),
        ("resolved", {"en": "back at 3.0, was watch"}, {}, ""),
    ]
    assert [t.deadline for t in said] == ["5bd", "5bd", "5bd", ""]


def test_what_a_level_measures_goes_with_its_alert() -> None:
    """The number, the limit in force, and the filing before; of a parameter the row that applies."""
    engine = Engine(program("  - {id: r, levels: {watch: x < 2, critical: 1 > x}}"), [BANK])
    said = [
        transition
        for day, x in ((89, 1.5), (180, 0.5), (272, 3))
        for transition in engine.apply([batch(engine, "q", [("I0", day, (x, 1, 1))])]).transitions
    ]
    measured = [t.measured for t in said]
    assert [(m.name, m.value, m.side, m.limit, m.before) for m in measured if m is not None] == [
        ("x", 1.5, "below", 2.0, None),
        ("x", 0.5, "below", 1.0, 1.5),
        ("x", 3.0, "below", 1.0, 0.5),
    ]


def test_evidence_that_does_not_say_whether_it_is_law_is_an_error() -> None:
    with pytest.raises(PackError, match="does not say whether the level is law or a proposal"):
        program("  - {id: r, levels: {watch: x < 1}, basis: {evidence: {watch: perhaps}}}")
