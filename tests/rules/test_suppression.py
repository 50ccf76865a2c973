"""Suppression: unless, inhibition and waivers. Alerts are computed and told with their reasons, for any arrival."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from alerts.desk import Desk, Notice
from rules.backtest import replay
from rules.calendar import parse_instant
from rules.engine import Engine
from rules.pack import PackText, compile_packs
from rules.problems import PackError
from rules.transitions import Transition
from streams.exporter import Snapshot
from streams.watch import show_alerts
from tests.rules.worlds import DAY, batch, catalogue, institutions, program

CAUSE = "  - {id: cause, levels: {watch: z > 1, critical: z > 2}}\n"
EFFECT = "  - {id: effect, levels: {watch: x < 2, critical: x < 1}, inhibited_by: [{rule: cause, level: critical}]}\n"
ALONE = "  - {id: effect, levels: {watch: x < 2, critical: x < 1}, unless: z > 2}\n"
BOTH_WAYS = [CAUSE + EFFECT, EFFECT + CAUSE, ALONE]


def told(transitions: list[Transition], rule: str = "effect") -> list[tuple[str, str, list[str]]]:
    return [(t.as_of[5:], t.state, t.suppressed_by) for t in transitions if t.rule == rule]


def q(engine: Engine, day: int, x: float, revision: int = 0) -> list[Transition]:
    return engine.apply([batch(engine, "q", [("I0", day, (x, 1, 1), revision)])]).transitions


def d(engine: Engine, day: int, z: float, revision: int = 0) -> list[Transition]:
    return engine.apply([batch(engine, "d", [("I0", day, (z,), revision)])]).transitions


def silenced(engine: Engine) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {a.rule: (a.severity, a.suppressed_by) for a in engine.active() if a.rule == "effect"}


@pytest.mark.parametrize("text", BOTH_WAYS)
def test_an_open_alert_is_suppressed_and_released_at_the_dates_of_what_silences_it(text: str) -> None:
    """The quarterly alert is open; the daily cause comes on day 92 and goes on day 94."""
    by = ["unless"] if text == ALONE else ["cause"]
    engine = Engine(program(text), institutions(1))
    assert told(q(engine, 90, 0.5)) == [("04-01", "firing", [])]
    assert told(d(engine, 91, 1.5)) == []
    assert told(d(engine, 92, 2.5)) == [("04-03", "suppressed", by)]
    assert silenced(engine) == {"effect": ("critical", tuple(by))}
    assert told(d(engine, 93, 2.5)) == []
    assert told(d(engine, 94, 1.5)) == [("04-05", "released", [])]
    assert silenced(engine) == {"effect": ("critical", ())}


@pytest.mark.parametrize("text", BOTH_WAYS)
def test_one_that_fires_under_it_is_computed_and_says_so(text: str) -> None:
    by = ["unless"] if text == ALONE else ["cause"]
    engine = Engine(program(text), institutions(1))
    d(engine, 90, 2.5)
    assert told(q(engine, 90, 1.5)) == [("04-01", "firing", by)]
    assert told(d(engine, 91, 0.0)) == [("04-02", "released", [])]


def test_dates_of_the_cause_do_not_count_as_filings_of_the_consequence() -> None:
    """'for: 2 filings' counts its own two quarters, not the days between on which only the cause is filed."""
    rule = "  - {id: effect, levels: {watch: x < 2}, for: 2 filings, inhibited_by: cause}\n"
    engine = Engine(program(CAUSE + rule), institutions(1))
    q(engine, 90, 1.5)
    for day in range(91, 95):
        d(engine, day, 0.5)
    assert [a.state for a in engine.active()] == ["pending"]
    assert told(q(engine, 181, 1.5)) == [("07-01", "firing", [])]


def test_a_revision_of_the_cause_takes_the_suppression_back_and_a_late_one_brings_it() -> None:
    engine = Engine(program(CAUSE + EFFECT), institutions(1))
    q(engine, 90, 0.5)
    d(engine, 91, 2.5)
    assert told(d(engine, 91, 0.5, revision=1)) == [("04-02", "released", [])]
    d(engine, 93, 0.5)
    assert told(d(engine, 92, 2.5)) == [], "it was silenced for a day that is over"
    assert told(d(engine, 93, 2.5, revision=1)) == [("04-04", "suppressed", ["cause"])]


def test_what_is_unknown_silences_nothing() -> None:
    engine = Engine(program(ALONE), institutions(1))
    assert told(q(engine, 90, 0.5)) == [("04-01", "firing", [])]


def test_inhibits_on_the_cause_says_the_same() -> None:
    rules = "  - {id: cause, levels: {watch: z > 1}, inhibits: [effect]}\n  - {id: effect, levels: {watch: x < 2}}\n"
    engine = Engine(program(rules), institutions(1))
    d(engine, 90, 1.5)
    assert told(q(engine, 90, 1.5)) == [("04-01", "firing", ["cause"])]


def test_the_alert_of_another_subject_silences_nothing() -> None:
    engine = Engine(program(CAUSE + EFFECT), institutions(2))
    engine.apply([batch(engine, "d", [("I1", 90, (2.5,))])])
    assert told(q(engine, 90, 0.5)) == [("04-01", "firing", [])]


def test_another_reason_is_told_as_suppressed_again() -> None:
    rule = "  - {id: effect, levels: {watch: x < 2}, inhibited_by: cause, unless: y > 2}\n"
    engine = Engine(program(CAUSE + rule), institutions(1))
    engine.apply([batch(engine, "q", [("I0", 90, (1.5, 3, 1))])])
    assert told(d(engine, 91, 1.5)) == [("04-02", "suppressed", ["unless", "cause"])]


def test_a_circle_is_named() -> None:
    with pytest.raises(PackError, match="rules wait for each other in a circle: a → b → a"):
        program(
            "  - {id: a, levels: {watch: x > 1}, inhibits: [b]}\n",
            "  - {id: b, levels: {watch: x > 2}, inhibits: [a]}\n",
        )


WAIVER = (
    "waivers:\n  - {rule: effect, institution: I0, reason: Merger, document: No. 7, approver: Li, "
    "from: 1970-04-01, to: 1970-04-10}\n"
)


def waived(rules: str = "  - {id: effect, levels: {watch: z > 1}}\n", n: int = 2) -> Engine:
    text = f"pack: p\nversion: '1'\nrules:\n{rules}{WAIVER}"
    return Engine(compile_packs([PackText(text, "p.yaml")], catalogue()), institutions(n))


def test_a_waived_alert_says_why_until_when_and_by_whom_and_is_released_after_the_end() -> None:
    engine = waived()
    (first,) = d(engine, 90, 1.5)
    assert first.waiver is not None
    assert (first.state, first.suppressed_by) == ("firing", ["waiver"])
    assert (first.waiver.reason, first.waiver.document, first.waiver.approver) == ("Merger", "No. 7", "Li")
    assert first.waiver.until == "1970-04-10"
    assert told(d(engine, 99, 1.5)) == []
    assert told(d(engine, 100, 1.5)) == [("04-11", "released", [])]


def test_others_are_not_waived() -> None:
    engine = waived()
    (other,) = engine.apply([batch(engine, "d", [("I1", 90, (1.5,))])]).transitions
    assert (other.suppressed_by, other.waiver) == ([], None)


def test_that_it_lapses_with_the_alert_open_is_told_by_the_clock_once_whoever_ticks() -> None:
    engine = waived()
    d(engine, 99, 1.5)
    assert engine.tick(100 * DAY - 1).transitions == []
    (lapsed,) = engine.tick(102 * DAY + 5).transitions
    assert (lapsed.state, lapsed.as_of, lapsed.cause, lapsed.suppressed_by) == ("released", "1970-04-11", "clock", [])
    assert engine.tick(103 * DAY).transitions == []
    assert silenced(engine) == {"effect": ("watch", ())}
    again = waived()
    d(again, 99, 1.5)
    assert [t.id for t in again.tick(100 * DAY).transitions] == [lapsed.id]


def test_a_waiver_ends_at_midnight_where_the_catalogue_is() -> None:
    """Its last day is 10 April: in Shanghai that is over at 16:00 UTC."""
    text = f"pack: p\nversion: '1'\nrules:\n  - {{id: effect, levels: {{watch: z > 1}}}}\n{WAIVER}"
    there = replace(catalogue(), timezone="Asia/Shanghai")
    engine = Engine(compile_packs([PackText(text, "p.yaml")], there), institutions(2))
    d(engine, 99, 1.5)
    assert engine.tick(100 * DAY - 8 * 3600 - 1).transitions == []
    (lapsed,) = engine.tick(100 * DAY).transitions
    assert (lapsed.as_of, lapsed.seen_at) == ("1970-04-11", "1970-04-10T16:00:00Z")


def test_a_late_filing_after_the_end_is_not_waived_any_more() -> None:
    """However filings and ticks come, things stand alike in the end."""
    engine = waived()
    engine.tick(101 * DAY)
    d(engine, 99, 1.5)
    other = waived()
    d(other, 99, 1.5)
    other.tick(101 * DAY)
    assert engine.active() == other.active()
    assert silenced(engine) == {"effect": ("watch", ())}


def test_a_worker_that_is_replaced_goes_on_where_it_was() -> None:
    engine = waived()
    d(engine, 99, 1.5)
    fresh = waived()
    fresh.restore(engine.export([engine.row("I0")]))
    assert fresh.active() == engine.active()
    engine.tick(101 * DAY)
    again = waived()
    again.restore(engine.export([engine.row("I0")]))
    assert again.active() == engine.active()
    assert again.tick(102 * DAY).transitions == []


def test_state_that_is_older_than_the_clock_is_put_right_by_the_next_tick() -> None:
    """One block of institutions was written before the waiver's end, another one after it."""
    engine = waived()
    d(engine, 99, 1.5)
    old = engine.export([engine.row("I0")])
    (lapsed,) = engine.tick(101 * DAY).transitions
    fresh = waived()
    for blob in (engine.export([engine.row("I1")]), old):
        fresh.restore(blob)
    assert [t.id for t in fresh.tick(102 * DAY).transitions] == [lapsed.id]
    assert fresh.active() == engine.active()


def test_a_backtest_tells_of_waivers_that_end_on_the_way() -> None:
    engine = waived()
    filings = [replace(batch(engine, "d", [("I0", 99, (1.5,)), ("I1", 102, (0.0,))]), submitted_at=AT)]
    said = [t for outcome in replay(engine, filings) for t in outcome.transitions]
    assert [(t.subject, t.state, t.as_of[5:]) for t in said] == [
        ("I0", "firing", "04-10"),
        ("I0", "released", "04-11"),
    ]


AT = np.array([99, 103], np.int64) * DAY


def test_nobody_is_told_of_what_is_silenced_until_it_is_released() -> None:
    engine, desk = Engine(program(CAUSE + EFFECT), institutions(1)), Desk()

    def hears(transitions: list[Transition]) -> list[tuple[str, str]]:
        notices = [n for t in transitions if t.rule == "effect" and (n := desk.fold(t)) is not None]
        return [(n.kind, n.alert.last.severity) for n in notices]

    d(engine, 89, 2.5)
    assert hears(q(engine, 90, 1.5)) == []
    assert hears(q(engine, 90, 0.5, revision=1)) == [], "its escalation neither"
    assert hears(d(engine, 91, 1.5)) == [("released", "critical")]
    assert [a.opened for a in desk.open.values()] == ["1970-04-21T00:00:00Z"], "open since it was first seen"
    assert hears(d(engine, 92, 2.5)) == [("suppressed", "critical")]
    assert not desk.open
    assert hears(q(engine, 181, 5.0)) == [("resolved", "none")], "who was told of it hears that it is over"


def test_a_silenced_alert_has_a_state_of_its_own_in_the_metrics() -> None:
    engine, snapshot = waived(), Snapshot()
    engine.apply([batch(engine, "d", [("I0", 90, (1.5,)), ("I1", 90, (1.5,))])])
    show_alerts(engine, snapshot)
    assert snapshot.alerts == {("effect", "watch", "suppressed"): 1, ("effect", "watch", "firing"): 1}


def test_the_notice_that_ends_it_says_how_it_was_before() -> None:
    engine, desk = Engine(program(ALONE), institutions(1)), Desk()
    found: list[Notice | None] = [desk.fold(t) for t in q(engine, 90, 0.5) + d(engine, 91, 2.5)]
    first, second = found
    assert first is not None
    assert second is not None
    assert second.before == first.alert


def test_ids_follow_from_the_oldest_name() -> None:
    old = Engine(program("  - {id: a, levels: {watch: x < 2}}\n"), institutions(1))
    text = "  - {id: b, levels: {watch: x < 2}, related: {renamed_from: [a]}}\n"
    new = Engine(program(text), institutions(1))
    before, after = q(old, 90, 1.5), q(new, 90, 1.5)
    assert [(t.id, t.alert_id) for t in before] == [(t.id, t.alert_id) for t in after]
    assert after[0].rule == "b"
    restored = Engine(program(text), institutions(1))
    restored.restore(old.export([0]))
    assert [a.rule for a in restored.active()] == ["b"]
    assert q(restored, 90, 1.4, revision=1) == [], "the alert goes on under the new name"


def test_a_rule_is_judged_at_dates_inside_its_validity_alone() -> None:
    rule = "  - {id: r, levels: {watch: x < 2}, valid: {from: 1970-04-02, to: 1970-10-01}}\n"
    engine = Engine(program(rule), institutions(1))
    assert q(engine, 90, 1.5) == []
    assert [t.state for t in q(engine, 181, 1.5)] == ["firing"]
    assert [t.state for t in q(engine, parse_instant("1970-12-31") // DAY, 1.5)] == ["resolved"]


def test_plan_and_tags_are_carried_on_the_alert() -> None:
    engine = Engine(program("  - {id: r, levels: {watch: x < 2}, plan: [P-1, P-2], tags: [t]}\n"), institutions(1))
    (told_of,) = q(engine, 90, 1.5)
    assert (told_of.plan, told_of.tags) == (["P-1", "P-2"], ["t"])
