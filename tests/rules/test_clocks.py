"""What only a clock can tell: deadlines that pass, filings that meet them, and who ticks when."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from rules.calendar import DAY, deadlines, seconds
from rules.catalogue import parse_catalogues
from rules.engine import Engine, Outcome
from rules.pack import PackText, compile_packs
from rules.registry import Institution
from rules.transitions import Transition, alert_id
from tests.examples import at_most
from tests.rules.reader import Reader, truth
from tests.rules.worlds import batch, institutions, program

LATE = "  - {id: late, levels: {watch: overdue('q')}}"
MARCH, JUNE, SEPTEMBER = (seconds(date(2025, month, day)) for month, day in ((3, 31), (6, 30), (9, 30)))
"""Ends of quarters, in seconds. Form q is due fifteen days later: overdue from the sixteenth on."""

DUE_MARCH, DUE_JUNE, DUE_SEPTEMBER = (end + 16 * DAY for end in (MARCH, JUNE, SEPTEMBER))


def engine_of(*rules: str, banks: int = 1) -> Engine:
    return Engine(program(*rules), institutions(banks))


def file(engine: Engine, as_of: int, submitted: int, form: str = "q", code: str = "I0", revision: int = 0) -> Outcome:
    values = (1.0, 1.0, 1.0) if form == "q" else (1.0,)
    made = batch(engine, form, [(code, as_of // DAY, values, revision)])
    return engine.apply([replace(made, submitted_at=np.array([submitted], np.int64))])


def told(outcome: Outcome | Iterable[Transition]) -> list[tuple[str, str, str]]:
    transitions = outcome.transitions if isinstance(outcome, Outcome) else outcome
    return [(t.state, t.as_of, t.cause) for t in transitions]


def test_a_filing_that_did_not_come_is_overdue_from_its_deadline() -> None:
    engine = engine_of(LATE)
    engine.tick(DUE_MARCH)
    file(engine, MARCH, DUE_MARCH + DAY)
    assert told(engine.tick(DUE_JUNE - 1)) == []
    assert told(engine.tick(DUE_JUNE)) == [("firing", "2025-07-16", "clock")]


def test_the_date_and_the_id_are_those_of_the_deadline_not_of_the_tick() -> None:
    early, tardy = engine_of(LATE), engine_of(LATE)
    (on_time,) = early.tick(DUE_JUNE).transitions
    (later,) = tardy.tick(DUE_JUNE + 5 * DAY + 4321).transitions
    assert on_time == later
    assert on_time.alert_id == alert_id("late", "I0", "2025-07-16")
    assert on_time.seen_at == "2025-07-16T00:00:00Z"


def test_ticking_again_says_nothing_more() -> None:
    engine = engine_of(LATE)
    assert len(engine.tick(DUE_JUNE).transitions) == 1
    assert [told(engine.tick(DUE_JUNE + n)) for n in (0, 1, DAY)] == [[], [], []]


def test_a_filing_in_time_keeps_the_deadline_quiet() -> None:
    engine = engine_of(LATE)
    engine.tick(DUE_MARCH - 1)
    file(engine, MARCH, DUE_MARCH - 1)
    assert told(engine.tick(DUE_MARCH)) == []


def test_a_late_filing_resolves_it_at_the_moment_it_was_submitted() -> None:
    engine = engine_of(LATE)
    engine.tick(DUE_MARCH)
    assert told(file(engine, MARCH, DUE_MARCH + 3 * DAY)) == [("resolved", "2025-04-19", "filed")]


def test_a_filing_of_an_older_date_does_not_meet_the_deadline() -> None:
    engine = engine_of(LATE)
    engine.tick(DUE_JUNE)
    assert told(file(engine, MARCH, DUE_JUNE + DAY)) == []


def test_a_filing_submitted_in_time_that_arrives_after_the_tick_takes_the_alert_back() -> None:
    """A queue was slow, the bank was not: the alert ends at the deadline at which it began."""
    engine = engine_of(LATE)
    engine.tick(DUE_MARCH)
    assert told(file(engine, MARCH, DUE_MARCH - DAY)) == [("resolved", "2025-04-16", "filed")]
    assert engine.active() == []


def test_deadlines_that_no_tick_told_are_told_in_order_by_the_next() -> None:
    engine = engine_of("  - {id: late, levels: {watch: overdue('q')}, for: 2 filings}")
    engine.tick(DUE_MARCH - 1)
    file(engine, MARCH - 90 * DAY, DUE_MARCH - 1)
    assert told(engine.tick(DUE_SEPTEMBER)) == [("pending", "2025-04-16", "clock"), ("firing", "2025-07-16", "clock")]


def test_a_filing_tells_the_deadline_that_passed_before_it() -> None:
    """The worker did not tick between the deadline and the late filing: both are told, as if it had."""
    engine = engine_of(LATE)
    engine.tick(DUE_MARCH - 1)
    file(engine, MARCH - 90 * DAY, DUE_MARCH - 1)
    found = file(engine, MARCH, DUE_MARCH + 3 * DAY)
    assert told(found) == [("firing", "2025-04-16", "clock"), ("resolved", "2025-04-19", "filed")]
    assert found.transitions[0].alert_id == found.transitions[1].alert_id


def test_before_the_first_tick_nothing_is_overdue() -> None:
    """History is loaded before anybody looks at the clock."""
    engine = engine_of(LATE)
    assert told(file(engine, MARCH, DUE_JUNE + 40 * DAY)) == []
    assert told(engine.tick(DUE_JUNE + 41 * DAY)) == [("firing", "2025-07-16", "clock")]


def test_who_joins_between_ticks_is_not_blamed_for_deadlines_before() -> None:
    engine = engine_of(LATE)
    engine.tick(DUE_MARCH + DAY)
    engine.put_institution(Institution("NEW", type="bank"))
    assert told(engine.tick(DUE_MARCH + 2 * DAY)) == []
    assert {t.subject for t in engine.tick(DUE_JUNE).transitions} == {"NEW"}


def test_a_form_for_some_types_is_not_asked_of_others() -> None:
    catalogue = """
catalogue: typed
forms: [{id: t, frequency: monthly, deadline: 5d, types: [bank]}]
indicators: [{id: x, form: t}]
"""
    pack = "pack: p\nrules: [{id: late, levels: {watch: overdue('t')}}]"
    compiled = compile_packs([PackText(pack, "p.yaml")], parse_catalogues([(catalogue, "typed")]))
    engine = Engine(compiled, [Institution("B", type="bank"), Institution("I", type="insurer")])
    assert {t.subject for t in engine.tick(JUNE + 20 * DAY).transitions} == {"B"}


def test_a_deadline_others_were_told_of_still_comes_for_who_was_not() -> None:
    """I1 filed in March and moves in from a process whose clock is behind."""
    behind = engine_of(LATE, banks=2)
    behind.tick(DUE_MARCH - 1)
    file(behind, MARCH, MARCH + DAY, code="I1")
    behind.tick(DUE_MARCH)
    state = behind.export([behind.row("I1")])
    ahead = engine_of(LATE, banks=2)
    ahead.tick(DUE_JUNE)
    ahead.restore(state)
    assert [(t.subject, t.as_of) for t in ahead.tick(DUE_JUNE + 1).transitions] == [("I1", "2025-07-16")]


def test_a_rule_that_asks_a_clock_rule_is_judged_with_it() -> None:
    engine = engine_of("  - {id: grave, levels: {critical: \"firing('late')\"}}", LATE)
    assert [(t.rule, t.state) for t in engine.tick(DUE_MARCH).transitions] == [("late", "firing"), ("grave", "firing")]
    assert [(t.rule, t.state) for t in file(engine, MARCH, DUE_MARCH + DAY).transitions] == [
        ("late", "resolved"),
        ("grave", "resolved"),
    ]


def test_hours_of_patience_are_counted_from_the_deadline() -> None:
    """`for` in time is looked at when the rule is judged: here at the next deadline."""
    engine = engine_of("  - {id: late, levels: {watch: overdue('q')}, for: 12h}")
    assert told(engine.tick(DUE_MARCH)) == [("pending", "2025-04-16", "clock")]
    assert told(engine.tick(DUE_MARCH + DAY)) == []
    assert told(engine.tick(DUE_JUNE)) == [("firing", "2025-07-16", "clock")]


@dataclass(frozen=True)
class Late:
    """A filing of form q for a quarter's end, submitted at a moment."""

    as_of: int
    submitted: int


QUARTERS = [seconds(date(2024, 12, 31)), MARCH, JUNE, SEPTEMBER]
START = QUARTERS[0]


@st.composite
def histories(draw: st.DrawFn) -> list[Late]:
    """Filings of one bank in the order of submission: in time, late, or never."""
    chosen = draw(st.lists(st.sampled_from(QUARTERS), unique=True))
    found = [Late(end, end + draw(st.integers(1, 250)) * DAY // 2) for end in chosen]
    return sorted(found, key=lambda late: late.submitted)


def run(rules: Sequence[str], filings: Sequence[Late], ticks: Iterable[int]) -> tuple[Engine, list[Transition]]:
    """Ticks and filings in the order of their times, a tick before a filing of the same moment."""
    engine = engine_of(*rules)
    said = engine.tick(START).transitions
    happening = [(moment, 0, None) for moment in ticks] + [(late.submitted, 1, late) for late in filings]
    for moment, _, late in sorted(happening, key=lambda entry: entry[:2]):
        outcome = engine.tick(moment) if late is None else file(engine, late.as_of, late.submitted)
        said += outcome.transitions
    return engine, said


PATIENT = "  - {id: patient, levels: {watch: overdue('q'), warning: \"overdue('q') and age(x) > 100\"}, for: 2 filings}"


@at_most(40)
@given(histories(), st.data())
def test_ticks_come_when_they_like(filings: list[Late], data: DataObject) -> None:
    """Nothing depends on when, and how often, the clock was looked at; only on what had passed at the end."""
    end = max([late.submitted for late in filings], default=START) + 400 * DAY
    form = program(LATE).catalogue.forms["q"]
    dues = [due for due, _ in deadlines(form, START, end, "CN")]
    ticks = data.draw(st.lists(st.integers(START, end), max_size=6), label="ticks")
    always, said_always = run([LATE, PATIENT], filings, [*dues, end])
    seldom, said_seldom = run([LATE, PATIENT], filings, [*ticks, end])
    assert {t.id: t for t in said_seldom} == {t.id: t for t in said_always}
    assert seldom.active() == always.active()
    assert Reader(said_seldom).beliefs == truth(seldom)
