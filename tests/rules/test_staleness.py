"""Alerts whose data ran out: stale from the due date on, told once, and never resolved for want of data."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date

import numpy as np

from alerts.desk import Desk
from rules.backtest import replay
from rules.calendar import DAY, seconds
from rules.engine import Engine, Outcome
from rules.pack import PackText, Program, compile_packs
from rules.registry import Institution
from rules.transitions import Transition
from streams.exporter import Snapshot
from streams.watch import show_alerts
from tests.rules.reader import Reader, truth
from tests.rules.worlds import batch, institutions, program

LOW = "  - {id: low, levels: {watch: x < 2, critical: x < 1}}"
MARCH, JUNE, SEPTEMBER = (seconds(date(2025, month, day)) for month, day in ((3, 31), (6, 30), (9, 30)))
DUE_JUNE = JUNE + 16 * DAY
"""Form q is due fifteen days after the quarter's end: overdue from the sixteenth on."""


def engine_of(*rules: str) -> Engine:
    return Engine(program(*rules), institutions(1))


def file(engine: Engine, as_of: int, x: float, submitted: int = 0, form: str = "q") -> list[Transition]:
    values = (x, 1.0, 1.0) if form == "q" else (x,)
    made = batch(engine, form, [("I0", as_of // DAY, values)])
    return engine.apply([replace(made, submitted_at=np.array([submitted or as_of + DAY], np.int64))]).transitions


def told(transitions: list[Transition] | Outcome) -> list[tuple[str, str, str, list[str]]]:
    found = transitions.transitions if isinstance(transitions, Outcome) else transitions
    return [(t.state, t.severity, t.as_of, [o.form for o in t.overdue]) for t in found]


def test_an_open_alert_is_stale_from_the_deadline_that_was_missed() -> None:
    engine = engine_of(LOW)
    file(engine, MARCH, 0.5)
    assert told(engine.tick(DUE_JUNE - 1)) == []
    (stale,) = engine.tick(DUE_JUNE).transitions
    assert told([stale]) == [("stale", "critical", "2025-07-16", ["q"])]
    assert (stale.cause, stale.previous, stale.seen_at) == ("clock", "critical", "2025-07-16T00:00:00Z")
    assert (stale.overdue[0].since, stale.overdue[0].last) == ("2025-07-16", "2025-03-31")
    assert [(a.state, a.severity, a.overdue) for a in engine.active()] == [("firing", "critical", ("q",))]


def test_the_id_is_that_of_the_due_date_whenever_the_clock_is_looked_at() -> None:
    found = []
    for late in (0, 4321, 20 * DAY):
        engine = engine_of(LOW)
        file(engine, MARCH, 0.5)
        found += engine.tick(DUE_JUNE + late).transitions
    assert len(found) == 3
    assert found[0] == found[1] == found[2]


def test_it_is_told_once() -> None:
    engine = engine_of(LOW)
    file(engine, MARCH, 0.5)
    assert [len(engine.tick(DUE_JUNE + n * DAY).transitions) for n in range(5)] == [1, 0, 0, 0, 0]


def test_data_that_come_back_fire_again_ease_or_resolve_it() -> None:
    outcomes = {
        0.5: [("firing", "critical", "2025-06-30", [])],
        1.5: [("eased", "watch", "2025-06-30", [])],
        3.0: [("resolved", "none", "2025-06-30", [])],
    }
    for x, expected in outcomes.items():
        engine = engine_of(LOW)
        file(engine, MARCH, 0.5)
        engine.tick(DUE_JUNE + DAY)
        back = file(engine, JUNE, x, DUE_JUNE + 2 * DAY)
        assert told(back) == expected
        assert all(not a.overdue for a in engine.active())
        assert back[0].cause == "filed"


def test_fired_again_it_is_the_same_alert_at_the_same_severity_and_has_no_new_time_to_act() -> None:
    engine = engine_of("  - {id: low, levels: {watch: x < 2}, deadline: 5bd}")
    (first,) = file(engine, MARCH, 0.5)
    engine.tick(DUE_JUNE)
    (again,) = file(engine, JUNE, 0.5, DUE_JUNE + DAY)
    assert (again.alert_id, again.started, again.previous) == (first.alert_id, "2025-03-31", "watch")
    assert first.due
    assert not again.due


def test_what_fires_while_a_later_filing_is_overdue_says_so_at_once() -> None:
    """The clock is in October when the filing for March arrives: those for June and September are missing."""
    engine = engine_of(LOW)
    engine.tick(SEPTEMBER + 20 * DAY)
    assert told(file(engine, MARCH, 0.5)) == [("firing", "critical", "2025-03-31", ["q"])]
    assert told(file(engine, JUNE, 1.5)) == [("eased", "watch", "2025-06-30", ["q"])]
    assert told(file(engine, SEPTEMBER, 1.5)) == [("firing", "watch", "2025-09-30", [])]
    assert told(engine.tick(SEPTEMBER + 30 * DAY)) == []


def test_a_deadline_that_passes_while_a_filing_of_another_date_comes_is_told_anew() -> None:
    """Stale for want of June; June comes when September is overdue too: stale since another date."""
    engine = engine_of(LOW)
    file(engine, MARCH, 1.5)
    engine.tick(SEPTEMBER + 20 * DAY)
    assert told(file(engine, JUNE, 1.5)) == [("stale", "watch", "2025-10-16", ["q"])]


def test_a_first_filing_that_is_too_old_already_makes_an_open_alert_stale() -> None:
    """The alert rests on form q; of form d nothing was filed until, after the clock, something of long ago is."""
    engine = engine_of("  - {id: low, levels: {watch: x < 2, critical: z < 0}}")
    engine.tick(MARCH + 9 * DAY)
    file(engine, MARCH, 1.5)
    assert told(file(engine, MARCH - 9 * DAY, 1.0, form="d")) == [("stale", "watch", "2025-03-31", ["d"])]
    assert told(engine.tick(MARCH + 9 * DAY)) == []


def test_each_form_that_runs_out_is_told_and_so_is_each_that_comes_back() -> None:
    """Form d runs out first, then q: the alert is stale for want of one, of both, and of one again."""
    engine = engine_of("  - {id: low, levels: {watch: x < 2 and z < 2}}")
    file(engine, MARCH, 1.5, form="d")
    file(engine, MARCH, 1.5)
    assert told(engine.tick(MARCH + 5 * DAY)) == [("stale", "watch", "2025-04-05", ["d"])]
    assert told(engine.tick(DUE_JUNE)) == [("stale", "watch", "2025-07-16", ["d", "q"])]
    assert told(engine.tick(DUE_JUNE + DAY)) == []
    assert told(file(engine, DUE_JUNE, 1.5, DUE_JUNE + DAY, form="d")) == [("stale", "watch", "2025-07-16", ["q"])]
    assert told(file(engine, JUNE, 1.5, DUE_JUNE + DAY)) == [("firing", "watch", "2025-07-16", [])]


def test_a_value_left_out_is_unknown_and_ends_nothing() -> None:
    engine = engine_of(LOW)
    file(engine, MARCH, 0.5)
    engine.tick(DUE_JUNE)
    assert told(file(engine, JUNE, float("nan"))) == [("firing", "critical", "2025-06-30", [])]
    assert engine.why_unknown("low", "I0") == "not reported"


def test_a_form_without_a_deadline_runs_out_when_its_values_are_too_old() -> None:
    """Form d is daily with three days of grace: of a filing for the 10th, the 14th is the last day."""
    engine = engine_of("  - {id: low, levels: {watch: z < 2}}")
    day = seconds(date(2025, 3, 10))
    file(engine, day, 1.0, form="d")
    assert told(engine.tick(day + 5 * DAY - 1)) == []
    assert told(engine.tick(day + 5 * DAY)) == [("stale", "watch", "2025-03-15", ["d"])]


def test_who_need_not_file_a_form_is_not_late_for_it() -> None:
    text = """
catalogue: typed
timezone: Asia/Shanghai
forms: [{id: t, frequency: monthly, deadline: 5d, grace_days: 9, types: [bank]}]
indicators: [{id: x, form: t, unit: ratio}]
"""
    engine = Engine(typed(text), [Institution("B", type="bank"), Institution("I", type="insurer")])
    made = batch(engine, "t", [(code, MARCH // DAY, (0.5,)) for code in "BI"])
    engine.apply([made])
    assert [(t.subject, t.as_of) for t in engine.tick(MARCH + 36 * DAY).transitions] == [("B", "2025-05-05T16:00:00Z")]
    assert [(t.subject, t.as_of) for t in engine.tick(MARCH + 41 * DAY).transitions] == [("I", "2025-05-10T16:00:00Z")]


def typed(text: str) -> Program:
    from rules.catalogue import parse_catalogues

    pack = "pack: p\nrules: [{id: low, levels: {watch: x < 1}}]"
    return compile_packs([PackText(pack, "p.yaml")], parse_catalogues([(text, "typed")]))


def test_a_rule_that_watches_the_deadline_is_not_stale_itself() -> None:
    engine = engine_of("  - {id: late, levels: {watch: overdue('q')}}", LOW)
    file(engine, MARCH, 0.5)
    assert [(t.rule, t.state) for t in engine.tick(DUE_JUNE).transitions] == [("late", "firing"), ("low", "stale")]


def test_pending_is_not_stale() -> None:
    engine = engine_of("  - {id: low, levels: {watch: x < 2}, for: 2 filings}")
    file(engine, MARCH, 0.5)
    assert told(engine.tick(DUE_JUNE)) == []


def test_it_is_stale_whatever_silences_it() -> None:
    engine = engine_of("  - {id: low, levels: {watch: x < 2}, unless: y < 2}")
    file(engine, MARCH, 0.5)
    (stale,) = engine.tick(DUE_JUNE).transitions
    assert (stale.state, stale.suppressed_by) == ("stale", ["unless"])


def test_a_value_across_institutions_runs_out_with_the_institution_s_own_filing() -> None:
    rules = "  - {id: high, levels: {watch: 'share(assets) > 10%'}}"
    engine = Engine(program(rules), institutions(2))
    rows = [(code, MARCH // DAY, (1.0, 1.0, 5.0)) for code in ("I0", "I1")]
    engine.apply([batch(engine, "q", rows)])
    engine.apply([batch(engine, "q", [("I0", JUNE // DAY, (1.0, 1.0, 5.0))])])
    assert [(t.subject, t.state) for t in engine.tick(DUE_JUNE).transitions] == [("I1", "stale")]
    back = engine.apply([batch(engine, "q", [("I1", JUNE // DAY, (1.0, 1.0, 5.0))])]).transitions
    assert [(t.subject, t.state, t.as_of, t.overdue) for t in back] == [("I1", "firing", "2025-06-30", [])]


def test_any_order_of_filings_and_ticks_ends_in_the_same_state() -> None:
    steps = [(MARCH, 0.5), (JUNE, 1.5), (None, DUE_JUNE + 100 * DAY), (None, DUE_JUNE - DAY)]
    ends = []
    for order in itertools.permutations(steps):
        engine, reader = engine_of(LOW), Reader()
        for as_of, what in order:
            said = engine.tick(int(what)).transitions if as_of is None else file(engine, as_of, what)
            reader.read(said)
        assert reader.beliefs == truth(engine)
        ends.append(engine.active())
    assert ends == [ends[0]] * len(ends)
    assert ends[0][0].overdue == ("q",)


def test_state_written_and_read_back_says_nothing_twice_and_forgets_nothing() -> None:
    first, second = engine_of(LOW), engine_of(LOW)
    file(first, MARCH, 0.5)
    first.tick(DUE_JUNE)
    second.restore(first.export([first.row("I0")]))
    assert second.active() == first.active()
    assert told(second.tick(DUE_JUNE + DAY)) == []
    assert told(file(second, JUNE, 0.5)) == [("firing", "critical", "2025-06-30", [])]


def test_what_a_state_was_not_told_is_told_by_the_next_tick() -> None:
    """The state is older than the deadline, the clock of the process that takes it in is not."""
    first, second = engine_of(LOW), engine_of(LOW)
    file(first, MARCH, 0.5)
    second.tick(DUE_JUNE + DAY)
    second.restore(first.export([first.row("I0")]))
    assert told(second.tick(DUE_JUNE + DAY)) == [("stale", "critical", "2025-07-16", ["q"])]


def test_an_institution_that_leaves_retires_its_stale_alert() -> None:
    engine = engine_of(LOW)
    file(engine, MARCH, 0.5)
    engine.tick(DUE_JUNE)
    (gone,) = engine.retire("I0", DUE_JUNE + DAY).transitions
    assert (gone.state, gone.cause, gone.overdue) == ("resolved", "retired", [])
    assert engine.active() == []
    assert told(engine.tick(DUE_JUNE + 90 * DAY)) == []


def test_it_has_a_state_of_its_own_in_the_metrics() -> None:
    engine, snapshot = engine_of(LOW), Snapshot()
    file(engine, MARCH, 0.5)
    engine.tick(DUE_JUNE)
    show_alerts(engine, snapshot)
    assert snapshot.alerts == {("low", "critical", "stale"): 1}


def test_people_hear_that_it_is_stale_and_of_its_return_only_if_the_severity_moved() -> None:
    engine, desk = engine_of(LOW), Desk()
    said = file(engine, MARCH, 0.5) + engine.tick(DUE_JUNE).transitions + file(engine, JUNE, 0.5, DUE_JUNE + DAY)
    notices = [desk.fold(t) for t in said]
    assert [n.kind for n in notices if n] == ["firing", "stale", "moved"]
    assert [a.last.severity for a in desk.open.values()] == ["critical"]


def test_history_that_is_replayed_has_its_stale_times_too() -> None:
    """What was submitted when: June came in August, so in between the alert of March was stale."""
    engine = engine_of(LOW)
    made = batch(engine, "q", [("I0", MARCH // DAY, (0.5, 1, 1)), ("I0", JUNE // DAY, (0.5, 1, 1))])
    filings = replace(made, submitted_at=np.array([MARCH + DAY, DUE_JUNE + 20 * DAY]))
    said = [t for outcome in replay(engine, [filings]) for t in outcome.transitions]
    assert [(t.state, t.as_of) for t in said] == [
        ("firing", "2025-03-31"),
        ("stale", "2025-07-16"),
        ("firing", "2025-06-30"),
    ]
