"""What institutions owe, and since when: the same whoever asks, whenever the clock is looked at, whoever restarts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from rules.backtest import replay
from rules.calendar import DAY, deadlines, format_instant, parse_instant, seconds
from rules.catalogue import parse_catalogues
from rules.checkpoint import export, restore
from rules.engine import Engine, Outcome
from rules.pack import PackText, Program, compile_packs
from rules.peers import reporting
from rules.registry import Institution
from rules.showing import newest
from rules.transitions import Transition, alert_id
from tests.examples import at_most
from tests.rules.worlds import batch

CATALOGUE = """
catalogue: owed
timezone: Asia/Shanghai
forms:
  - {id: q, frequency: quarterly, deadline: 15d, types: [bank]}
  - {id: m, frequency: monthly, deadline: 10d}
indicators: [{id: x, form: q}, {id: y, form: m}]
"""
PACK = """
pack: p
rules:
  - {id: late.q, levels: {watch: overdue('q')}}
  - {id: late.m, levels: {watch: overdue('m')}}
  - {id: low, levels: {warning: x < 0.5}}
"""
MARCH, JUNE, SEPTEMBER = (seconds(date(2025, month, day)) for month, day in ((3, 31), (6, 30), (9, 30)))
DUE_MARCH, DUE_JUNE = MARCH + 16 * DAY - 8 * 3600, JUNE + 16 * DAY - 8 * 3600
"""The first seconds after the fifteenth day, in Shanghai."""
FEBRUARY_20 = seconds(date(2025, 2, 20))


@cache
def program(pack: str = PACK) -> Program:
    return compile_packs([PackText(pack, "p.yaml")], parse_catalogues([(CATALOGUE, "owed.yaml")]))


def bank(code: str = "A", opened: str = "", closed: str = "", registered: int | None = None) -> Institution:
    at = "" if registered is None else format_instant(registered)
    return Institution(code, type="bank", opened=opened, closed=closed, registered=at)


def file(engine: Engine, as_of: int, submitted: int, code: str = "A", form: str = "q", value: float = 1.0) -> Outcome:
    made = batch(engine, form, [(code, as_of // DAY, (value,), 0)])
    return engine.apply([replace(made, submitted_at=np.array([submitted], np.int64))])


def late(outcome: Outcome | Iterable[Transition], rule: str = "late.q") -> list[tuple[str, str, str, str]]:
    transitions = outcome.transitions if isinstance(outcome, Outcome) else outcome
    return [(t.subject, t.state, t.as_of, t.cause) for t in transitions if t.rule == rule]


def test_who_was_registered_today_is_not_called_late_for_what_was_due_before() -> None:
    """Neither by the worker that runs, nor by one that starts later; both call the same ones late in the same way."""
    storm = [bank(f"ST{i:03d}", registered=DUE_MARCH + DAY) for i in range(150)]
    running = Engine(program())
    running.tick(DUE_MARCH)
    for institution in storm:
        running.put_institution(institution)
    assert late(running.tick(DUE_MARCH + 2 * DAY)) == []
    restarted = Engine(program(), storm)
    assert late(restarted.tick(DUE_MARCH + 2 * DAY)) == []
    found = [engine.tick(DUE_JUNE + DAY).transitions for engine in (running, restarted, Engine(program(), storm))]
    assert found[0] == found[1] == found[2]
    assert len(late(found[0])) == 150
    assert {t.alert_id for t in found[0] if t.subject == "ST007"} >= {
        alert_id("late.q", "ST007", format_instant(DUE_JUNE))
    }


def test_who_opened_long_ago_is_late_as_soon_as_it_is_registered() -> None:
    """Whoever runs or restarts: for the deadline that was the latest when it was registered, and with the same id."""
    old = bank(opened="1990-01-01", registered=DUE_MARCH + 5 * DAY)
    running = Engine(program())
    running.tick(DUE_MARCH + DAY)
    running.put_institution(old)
    assert late(running.tick(DUE_MARCH + 5 * DAY)) == [("A", "firing", "2025-04-15T16:00:00Z", "clock")]
    rebuilt = Engine(program(), [old])
    assert late(rebuilt.tick(DUE_JUNE + DAY)) == [("A", "firing", "2025-04-15T16:00:00Z", "clock")]


def test_the_day_of_opening_decides_which_period_is_the_first() -> None:
    """A bank that opened on 20 February owes the first quarter, not the year before; one of April owes neither."""
    banks = [bank("A", "2025-02-20"), bank("B", "2025-04-01"), bank("C", "2024-12-31")]
    engine = Engine(program(), banks)
    assert [subject for subject, *_ in late(engine.tick(FEBRUARY_20 + DAY))] == ["C"]
    assert [subject for subject, *_ in late(engine.tick(DUE_MARCH))] == ["A"]
    assert [subject for subject, *_ in late(engine.tick(DUE_JUNE))] == ["B"]


def test_a_registration_counts_by_the_day_of_the_catalogues_time_zone() -> None:
    """At 17:00 in UTC it is the next day in Shanghai: who was registered then does not owe the quarter before."""
    evening = [bank("A", registered=MARCH + 17 * 3600), bank("B", registered=MARCH + 15 * 3600)]
    engine = Engine(program(), evening)
    assert [subject for subject, *_ in late(engine.tick(DUE_MARCH))] == ["B"]


def test_a_first_filing_from_before_the_registration_says_that_it_was_there() -> None:
    engine = Engine(program(), [bank(registered=DUE_MARCH - DAY)])
    file(engine, MARCH - 90 * DAY, DUE_MARCH - DAY)
    assert late(engine.tick(DUE_MARCH)) == [("A", "firing", "2025-04-15T16:00:00Z", "clock")]


def test_history_that_is_loaded_after_the_registration_calls_nobody_late() -> None:
    """Returns of years, the last of them made a day late, but all before anybody looked."""
    engine = Engine(program(), [bank(opened="1990-01-01", registered=DUE_MARCH + 30 * DAY)])
    assert late(file(engine, MARCH - 90 * DAY, MARCH - 60 * DAY)) == []
    assert late(file(engine, MARCH, DUE_MARCH + DAY)) == []
    assert late(engine.tick(DUE_MARCH + 31 * DAY)) == []
    assert late(engine.tick(DUE_JUNE)) == [("A", "firing", "2025-07-15T16:00:00Z", "clock")]


def test_who_closed_owes_nothing_from_then_on_and_what_is_open_ends() -> None:
    """Late since April, closed on 5 May: all its alerts end on that day, and no deadline after it is missed."""
    engine = Engine(program(), [bank(opened="1990-01-01", closed="2025-05-05", registered=MARCH - 80 * DAY)])
    engine.tick(MARCH - 80 * DAY)
    file(engine, MARCH - 90 * DAY, MARCH - 70 * DAY, value=0.1)
    assert late(engine.tick(DUE_MARCH)) == [("A", "firing", "2025-04-15T16:00:00Z", "clock")]
    ended = engine.tick(DUE_JUNE + 400 * DAY)
    assert late(ended) == [("A", "resolved", "2025-05-05", "retired")]
    assert late(ended, "low") == [("A", "resolved", "2025-05-05", "retired")]
    assert engine.active() == []
    assert engine.tick(DUE_JUNE + 500 * DAY).transitions == []


def test_a_closing_that_is_told_later_counts_from_its_day() -> None:
    """The registry learns in June of a closing in May, after the deadline of another month was missed."""
    here = bank(opened="1990-01-01", registered=MARCH)
    engine = Engine(program(), [here])
    engine.tick(DUE_MARCH)
    engine.put_institution(replace_closed(here, "2025-05-05"))
    assert late(engine.tick(JUNE)) == [("A", "resolved", "2025-05-05", "retired")]
    engine.put_institution(here)
    assert late(engine.tick(DUE_JUNE)) == [("A", "firing", "2025-07-15T16:00:00Z", "clock")], "it was a mistake"


def replace_closed(institution: Institution, closed: str) -> Institution:
    return Institution(institution.code, type=institution.type, opened=institution.opened, closed=closed,
                       registered=institution.registered)  # fmt: skip


def test_a_filing_of_who_closed_is_history_and_opens_nothing() -> None:
    """The return of the last quarter comes after the closing: before or after the clock was looked at."""
    for ticked in (False, True):
        engine = Engine(program(), [bank(opened="1990-01-01", closed="2025-05-05", registered=MARCH)])
        engine.tick(MARCH + DAY)
        if ticked:
            engine.tick(MARCH + 60 * DAY)
        assert late(file(engine, MARCH, MARCH + 61 * DAY, value=0.1), "low") == []
        engine.tick(MARCH + 62 * DAY)
        assert engine.active() == []
        assert newest(engine, ["x"])[1]["x"].values.tolist() == [0.1]


def test_open_alerts_of_who_closed_do_not_go_stale() -> None:
    engine = Engine(program(), [bank(opened="1990-01-01", closed="2025-07-10", registered=MARCH)])
    engine.tick(MARCH + DAY)
    file(engine, MARCH, MARCH + 2 * DAY, value=0.1)
    said = engine.tick(DUE_JUNE + DAY).transitions
    assert [(t.state, t.as_of, t.cause) for t in said if t.rule == "low"] == [("resolved", "2025-07-10", "retired")]


def test_peers_are_expected_by_the_same_bounds() -> None:
    """Of four banks one had not opened and one had closed by the end of March: two are expected, and one has filed."""
    banks = [bank("A", "1990-01-01"), bank("B", "1990-01-01"), bank("C", "2025-05-01"), bank("D", "", "2025-03-15")]
    compiled = program("pack: p\nrules: [{id: r, levels: {watch: group_mean(x) > 9}}]")
    engine = Engine(compiled, banks)
    for one in ("A", "D"):
        file(engine, MARCH - 90 * DAY, MARCH - 60 * DAY, one)
    file(engine, MARCH, MARCH + DAY, "A")
    everyone = engine.system_at([MARCH])
    context = type(everyone)(engine.world, np.arange(4, dtype=np.int32), np.full(4, MARCH))
    (node,) = (args for args in [compiled.rules[0].levels[0].condition.args[0]])
    expected, filed = reporting(node, context)
    assert (expected.tolist(), filed.tolist()) == ([True, True, False, False], [True, False, False, False])
    assert engine.owing("q", MARCH) == {"A", "B"}


def test_a_rule_that_is_new_does_not_go_through_the_deadlines_of_years() -> None:
    """State of other rules: a rule on deadlines that a release brings begins with the latest of them."""
    before = Engine(program("pack: p\nrules: [{id: low, levels: {warning: x < 0.5}}]"), [bank(registered=MARCH)])
    before.tick(DUE_MARCH)
    before.tick(DUE_JUNE + 300 * DAY)
    after = Engine(program(), [bank(registered=MARCH)])
    restore(after, export(before, [0]))
    said = after.tick(DUE_JUNE + 301 * DAY).transitions
    assert late(said) == [("A", "firing", "2026-04-15T16:00:00Z", "clock")]


def test_a_moment_of_registration_that_only_the_engine_knows_is_kept_with_the_state() -> None:
    """Nobody says when a bank came: the engine's clock does, and the state remembers it over a restart."""
    engine = Engine(program(), [])
    engine.tick(DUE_MARCH + DAY)
    engine.put_institution(bank())
    kept = export(engine, [0])
    restarted = Engine(program(), [bank()])
    restore(restarted, kept)
    assert late(restarted.tick(DUE_MARCH + 2 * DAY)) == []
    assert late(restarted.tick(DUE_JUNE)) == [("A", "firing", "2025-07-15T16:00:00Z", "clock")]


def test_a_backtest_calls_nobody_late_before_its_first_filing() -> None:
    """Two banks, the second of which comes into being a year later: as the worker that was there would have told."""
    filings = [("A", end) for end in QUARTERS] + [("B", end) for end in QUARTERS[2:] if end != SEPTEMBER]
    engine = Engine(program(), [bank("A"), bank("B"), bank("C", closed="2025-05-05", opened="2025-01-01")])
    made = [
        replace(batch(engine, "q", [(code, end // DAY, (1.0,), 0)]), submitted_at=np.array([end + 5 * DAY], np.int64))
        for code, end in filings
    ]
    said = [t for outcome in replay(engine, made) for t in outcome.transitions]
    assert late(said) == [
        ("C", "firing", "2025-04-15T16:00:00Z", "clock"),
        ("C", "resolved", "2025-05-05", "retired"),
        ("B", "firing", "2025-10-15T16:00:00Z", "clock"),
        ("B", "resolved", "2026-01-05", "filed"),
    ]


QUARTERS = [seconds(date(2024, 12, 31)), MARCH, JUNE, SEPTEMBER, seconds(date(2025, 12, 31))]
START, END = seconds(date(2024, 12, 1)), seconds(date(2026, 3, 1))
DAYS = st.integers(START // DAY, END // DAY - 1)


@dataclass(frozen=True)
class Life:
    """An institution of the registry, and its filings of form q: (as-of, submitted), in order of submission."""

    institution: Institution
    filings: tuple[tuple[int, int], ...]


@st.composite
def lives(draw: st.DrawFn, code: str) -> Life:
    registered = draw(DAYS) * DAY + 3600
    opened = draw(st.sampled_from(["", "1990-01-01", "2025-03-01", "2025-08-15"]))
    closed = draw(st.sampled_from(["", "", "2025-05-05", "2025-10-20"]))
    ends = draw(st.lists(st.sampled_from(QUARTERS), unique=True))
    filings = sorted((end, max(registered, end) + draw(st.integers(1, 240)) * DAY // 2) for end in ends)
    return Life(bank(code, opened, closed, registered), tuple(sorted(filings, key=lambda one: one[1])))


def told(everybody: Sequence[Life], ticks: Iterable[int], restarts: Iterable[int] = ()) -> dict[str, Transition]:
    """What an engine tells that learns of each when it is registered, in the order of time.

    At each of the restarts another engine takes over the state, with all that were registered by then.
    """
    engine = Engine(program())
    happening: list[tuple[int, int, int, object]] = [(tick, 2, n, None) for n, tick in enumerate(ticks)]
    for n, life in enumerate(everybody):
        happening.append((parse_instant(life.institution.registered), 0, n, life.institution))
        happening += [(at, 1, n, (life.institution.code, end, at)) for end, at in life.filings if at < END]
    happening += [(at, 3, n, "restart") for n, at in enumerate(restarts)]
    found: dict[str, Transition] = {}
    there: list[Institution] = []
    for moment, _, _, what in sorted(happening, key=lambda one: one[:3]):
        if isinstance(what, Institution):
            there.append(what)
            engine.put_institution(what)
        elif what == "restart":
            heir = Engine(program(), there)
            restore(heir, export(engine, list(range(len(there)))))
            engine = heir
        elif isinstance(what, tuple):
            code, end, at = what
            found |= {t.id: t for t in file(engine, end, at, code).transitions}
        else:
            found |= {t.id: t for t in engine.tick(moment).transitions}
    return found


@at_most(40)
@given(st.tuples(lives("A"), lives("B")), st.data())
def test_alerts_on_deadlines_depend_on_no_restart_and_no_tick(everybody: tuple[Life, Life], data: DataObject) -> None:
    """One ticks at every deadline, one when it likes and restarts, and one comes at the end and reads everything."""
    forms = program().catalogue.forms.values()
    dues = {due for form in forms for due, _ in deadlines(form, START, END)}
    closings = {seconds(date.fromisoformat(closed)) for one in everybody if (closed := one.institution.closed)}
    always = told(everybody, [*sorted(dues | closings), END])
    ticks = data.draw(st.lists(DAYS, max_size=5), label="ticks")
    restarts = data.draw(st.lists(DAYS, max_size=3), label="restarts")
    seldom = told(everybody, [*(day * DAY + 7200 for day in ticks), END], [day * DAY + 10_800 for day in restarts])
    assert seldom == always
    rebuilt = Engine(program(), [life.institution for life in everybody])
    said: list[Transition] = []
    for at, end, code in sorted((at, end, one.institution.code) for one in everybody for end, at in one.filings):
        if at < END:
            said += file(rebuilt, end, at, code).transitions
    said += rebuilt.tick(END).transitions
    assert {t.id: t for t in said} == always
