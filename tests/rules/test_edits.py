"""An edit of rules under open alerts: state that the old rules left, taken in by the new ones."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rules.engine import Engine
from rules.pack import PackText, compile_packs
from rules.registry import Institution
from rules.succession import hand_over, successor
from rules.transitions import Transition
from tests.examples import at_most
from tests.rules.generated import DAY, INSTITUTIONS, World, filings, rules, world
from tests.rules.reader import Reader, truth
from tests.rules.reference import Filing
from tests.rules.test_agreement import expected, one_by_one, standing
from tests.rules.worlds import batch, catalogue, institutions

EVERYTHING: dict[str, object] = {"id": "all", "levels": {"watch": "a + b + m + f + g > 1000"}}
"""So that versions keep the same history."""


@st.composite
def versions(draw: st.DrawFn) -> tuple[World, World]:
    """Two packs of two rules of the same names; the second may have lost its first rule."""
    old, new = (draw(rules(2, least=2)) for _ in range(2))
    first = draw(st.sampled_from([[old[0]], new[:1], []]))
    kept = new[1] if first or "r0" not in str(new[1]) else {"id": "r1", "levels": {"watch": "a > 1000"}}
    return world([*old, EVERYTHING]), world([*first, kept, EVERYTHING])


@at_most(60)
@given(versions(), filings(), st.integers(80, 300))
def test_what_the_new_rules_say_of_the_history_is_told_and_nothing_else(
    pair: tuple[World, World], arriving: list[Filing], day: int
) -> None:
    old, new = pair
    before, reader = old.engine(), Reader()
    reader.read(one_by_one(before, arriving))
    reader.read(before.tick(day * DAY).transitions)
    after = successor(before, new.program)
    hand_over(before, after, [before.row(i.code) for i in INSTITUTIONS])
    one, *others = (after.row(i.code) for i in INSTITUTIONS)
    told = after.rejudge(day * DAY, [one]).transitions + after.rejudge(day * DAY, others).transitions
    assert {t.cause for t in told} <= {"rule-changed"}
    assert not after.edited
    said = told + after.tick(day * DAY).transitions
    reader.read(said)
    assert standing(after) == expected(new.reference.states(arriving, day * DAY))
    assert reader.beliefs == truth(after)
    assert {t.cause for t in said} <= {"rule-changed", "clock"}
    assert after.tick(day * DAY).transitions == []


@at_most(60)
@given(versions(), filings(most=14))
def test_rules_that_are_the_same_say_nothing(pair: tuple[World, World], arriving: list[Filing]) -> None:
    before, after = pair[0].engine(), pair[0].engine()
    one_by_one(before, arriving)
    after.restore(before.export([before.row(i.code) for i in INSTITUTIONS]))
    assert after.active() == before.active()
    before.tick(80 * DAY)
    assert [t for t in after.tick(80 * DAY).transitions if t.cause != "clock"] == []


def engine_of(*rules: str) -> Engine:
    text = "pack: p\nversion: '1'\nrules:\n" + "".join(f"  - {rule}\n" for rule in rules)
    return Engine(compile_packs([PackText(text, "p.yaml")], catalogue()), institutions(1))


def file(engine: Engine, form: str, day: int, *values: float) -> list[Transition]:
    return engine.apply([batch(engine, form, [("I0", day, values)])]).transitions


def passed_on(old: Engine, new: Engine) -> list[tuple[str, str, str, str, list[str]]]:
    """What the new engine says when it takes over."""
    new.restore(old.export([0]))
    said = new.tick(92 * DAY).transitions
    return [(t.rule, t.state, t.severity, t.cause, t.suppressed_by) for t in said]


ONE, OTHER = "{id: one, levels: {watch: z > 1}}", "{id: other, levels: {watch: z > 2}}"


def test_a_stricter_level_escalates_the_same_alert_and_a_milder_one_ends_it() -> None:
    old = engine_of("{id: r, levels: {watch: x < 2}}")
    (first,) = file(old, "q", 90, 1.5, 1, 1)
    stricter = engine_of("{id: r, levels: {watch: x < 3, critical: x < 2}}")
    stricter.restore(old.export([0]))
    (moved,) = stricter.tick(92 * DAY).transitions
    assert (moved.alert_id, moved.severity, moved.cause) == (first.alert_id, "critical", "rule-changed")
    assert passed_on(old, engine_of("{id: r, levels: {watch: x < 1}}")) == [
        ("r", "resolved", "none", "rule-changed", [])
    ]
    assert passed_on(old, engine_of("{id: r, title: Other words, levels: {watch: x < 2}}")) == []


def test_an_edit_that_reads_a_form_nobody_filed_ends_the_alert_as_of_its_last_date() -> None:
    old = engine_of("{id: r, levels: {watch: x < 2}}")
    file(old, "q", 90, 1.5, 1, 1)
    new = engine_of("{id: r, levels: {watch: z < 2}}")
    new.restore(old.export([0]))
    (gone,) = new.rejudge(92 * DAY).transitions
    assert (gone.state, gone.as_of, gone.cause) == ("resolved", "1970-04-01", "rule-changed")


def test_a_rule_that_is_new_speaks_of_the_history_at_hand() -> None:
    old = engine_of("{id: r, levels: {watch: x < 2}}")
    file(old, "q", 90, 1.5, 1, 1)
    new = engine_of("{id: r, levels: {watch: x < 2}}", "{id: s, levels: {watch: x > 1}}")
    assert passed_on(old, new) == [("s", "firing", "watch", "rule-changed", [])]


def test_what_silences_an_alert_keeps_its_name_when_the_order_changes() -> None:
    old = engine_of("{id: r, levels: {watch: x < 2}, inhibited_by: [one, other]}", ONE, OTHER)
    file(old, "d", 90, 1.5)
    file(old, "q", 90, 1.5, 1, 1)
    new = engine_of("{id: r, levels: {watch: x < 2}, inhibited_by: [other, one]}", ONE, OTHER)
    new.restore(old.export([0]))
    assert [a.suppressed_by for a in new.active() if a.rule == "r"] == [("one",)]
    assert new.tick(92 * DAY).transitions == []


def test_what_no_longer_silences_an_alert_releases_it() -> None:
    old = engine_of("{id: r, levels: {watch: x < 2}, inhibited_by: [one], unless: y > 0}", ONE)
    file(old, "d", 90, 1.5)
    file(old, "q", 90, 1.5, 1, 1)
    assert passed_on(old, engine_of("{id: r, levels: {watch: x < 2}}", ONE)) == [
        ("r", "released", "watch", "rule-changed", [])
    ]


def test_a_rule_that_is_retired_ends_its_alerts_as_of_that_day() -> None:
    old = engine_of("{id: r, levels: {watch: x < 2}}")
    (first,) = file(old, "q", 90, 1.5, 1, 1)
    retired = "{id: r, levels: {watch: x < 2}, status: retired, retired: {on: 1970-04-03, reason: replaced}}"
    new = engine_of(retired, ONE)
    new.restore(old.export([0]))
    (gone,) = new.tick(92 * DAY).transitions
    assert (gone.alert_id, gone.state, gone.as_of, gone.cause) == (first.alert_id, "resolved", "1970-04-03", "retired")
    assert new.tick(93 * DAY).transitions == []


def test_a_rule_that_is_deleted_ends_its_alerts_once_with_the_id_they_had() -> None:
    old = engine_of("{id: r, levels: {watch: x < 2}, related: {renamed_from: [first]}, inhibited_by: [one]}", ONE)
    (first,) = file(old, "q", 90, 1.5, 1, 1)
    new = engine_of(ONE)
    new.restore(old.export([0]))
    (gone,) = new.tick(92 * DAY).transitions
    assert (gone.alert_id, gone.state, gone.previous, gone.as_of) == (first.alert_id, "resolved", "watch", first.as_of)
    assert (gone.cause, gone.suppressed_by) == ("rule-changed", [])
    assert gone.message["en"] == "The rule is in no pack any more"
    assert new.tick(93 * DAY).transitions == []
    later = engine_of(ONE)
    later.restore(new.export([0]))
    assert later.tick(94 * DAY).transitions == []


def test_what_silenced_the_alert_of_a_deleted_rule_stands_beside_its_end() -> None:
    old = engine_of("{id: r, levels: {watch: x < 2}, status: shadow, inhibited_by: [one]}", ONE)
    file(old, "d", 90, 1.5)
    file(old, "q", 90, 1.5, 1, 1)
    new = engine_of(ONE)
    new.restore(old.export([0]))
    (gone,) = new.tick(92 * DAY).transitions
    assert (gone.rule, gone.state, gone.suppressed_by, gone.status) == ("r", "resolved", ["one"], "shadow")


def test_a_rule_that_is_judged_elsewhere_now_is_not_deleted() -> None:
    old = engine_of("{id: r, levels: {watch: x < 2}}", ONE)
    file(old, "q", 90, 1.5, 1, 1)
    text = "pack: p\nversion: '1'\nrules:\n  - {id: r, levels: {watch: x < 3 * peer_median(x)}}\n"
    watch = compile_packs([PackText(f"{text}  - {ONE}\n", "p.yaml")], catalogue()).at("watch")
    new = Engine(watch, institutions(1))
    new.restore(old.export([0]))
    assert new.tick(92 * DAY).transitions == []


def test_a_successor_has_institutions_in_their_rows_and_the_clock() -> None:
    old = engine_of(ONE)
    for code in ("A", "B", "C"):
        old.put_institution(Institution(code))
    old.retire("A", 90 * DAY)
    old.tick(91 * DAY)
    new = successor(old, engine_of(OTHER).program)
    assert [new.row(code) for code in ("I0", "A", "B", "C")] == [old.row(code) for code in ("I0", "A", "B", "C")]
    assert new.now == old.now == 91 * DAY
    assert new.put_institution(Institution("D")) == old.put_institution(Institution("D"))


def test_where_a_pack_stands_in_its_file_is_no_edit() -> None:
    """A parameter's rows have places; a line more above them changes nothing."""
    text = "parameters:\n  p:\n    unit: ratio\n    rows: [{value: 2, author: A}]\nrules:\n"
    text += "  - {id: r, levels: {watch: x < p}}\n"
    packs = [PackText(f"pack: p\n{more}{text}", name) for more, name in (("", "a.yaml"), ("# a comment\n", "b.yaml"))]
    first, second = (compile_packs([pack], catalogue()).rules[0].hash for pack in packs)
    assert first == second
