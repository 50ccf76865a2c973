"""Filings in another unit are held, answered or judged in time; nothing is lost or doubled wherever a worker dies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rules.calendar import parse_instant
from rules.catalogue import HERE, Catalogue, parse_catalogues
from rules.engine import Engine, FormBatch, Outcome
from rules.pack import PackText, Program, compile_packs
from rules.questions import MOST_HELD
from rules.registry import Institution
from rules.showing import newest
from rules.succession import hand_over, successor
from tests.examples import at_most

DAY = 86_400
CATALOGUE = """
catalogue: small
currency: CNY
country: CN
forms:
  - {id: m, title: {en: Monthly, zh: 月报}, frequency: monthly, deadline: 15d, grace_days: 30}
indicators:
  - {id: assets, form: m, unit: currency}
  - {id: loans, form: m, unit: currency}
  - {id: deposits, form: m, unit: currency}
  - {id: lcr, form: m, unit: ratio, range: [0, 100], plausible: [0.2, 50]}
"""
RULES = """
pack: p
version: '1'
rules:
  - {id: thin, levels: {warning: lcr < 100%}}
  - {id: shrunk, levels: {warning: "pct_change(assets, 1) < -20%"}}
  - {id: late, levels: {warning: "overdue('m')"}}
  - {id: asked, levels: {watch: open_questions > 0}}
"""
MONTHS = ["2025-01-31", "2025-02-28", "2025-03-31", "2025-04-30", "2025-05-31"]
GOOD = (100e9, 60e9, 80e9, 1.2)
THOUSANDS = (100e6, 60e6, 80e6, 1.2)


def catalogue() -> Catalogue:
    """The catalogue above with those that are always there."""
    shipped = [((HERE / f"{name}.yaml").read_text(encoding="utf-8"), name) for name in ("measures", "observed")]
    return parse_catalogues([(CATALOGUE, "small"), *shipped])


PROGRAM: Program = compile_packs([PackText(RULES, "p.yaml")], catalogue())
BANKS = [Institution("A"), Institution("B")]


@dataclass(frozen=True)
class Filed:
    """A filing of an institution, days after its month's end."""

    code: str
    month: int
    values: tuple[float, ...]
    revision: int = 0
    after: int = 5
    confirmed: bool = False


Step = Filed | int
"""A filing, or a tick at so many days after the first month's end."""


def columns(engine: Engine, filings: Sequence[tuple[int, Filed]]) -> list[FormBatch]:
    """Filings with their offsets as a batch."""
    as_of = np.array([parse_instant(MONTHS[f.month]) for _, f in filings], np.int64)
    return [
        FormBatch(
            "m",
            engine.rows([f.code for _, f in filings]),
            as_of,
            as_of + np.array([f.after for _, f in filings]) * DAY,
            np.array([f.revision for _, f in filings], np.int32),
            np.array([offset for offset, _ in filings], np.int64),
            np.arange(len(filings), dtype=np.int64),
            np.array([f.values for _, f in filings]).T.reshape(4, -1),
            np.array([f.confirmed for _, f in filings], np.bool_),
        )
    ]


def new() -> Engine:
    """An engine that asks."""
    return Engine(PROGRAM, BANKS, asks=True)


def run(engine: Engine, steps: Sequence[tuple[int, Step]]) -> Outcome:
    """Take the steps one by one, each filing with its offset; return all that they did."""
    whole = Outcome()
    for offset, step in steps:
        if isinstance(step, int):
            outcome = engine.tick(parse_instant(MONTHS[0]) + step * DAY)
        else:
            outcome = engine.apply(columns(engine, [(offset, step)]))
        whole.transitions += outcome.transitions
        whole.questions += outcome.questions
        whole.refused += [(0, *rest) for _, *rest in outcome.refused]
        whole.replayed += outcome.replayed
    return whole


def told(*steps: Step) -> tuple[list[tuple[str, str, int]], list[tuple[str, str, str]], Engine]:
    """Questions as (state, institution, revision), A's transitions as (rule, state, as-of), and the engine."""
    engine = new()
    outcome = run(engine, list(enumerate(steps)))
    questions = [(q.state, q.institution, q.held.revision) for q in outcome.questions]
    transitions = [(t.rule, t.state, t.as_of) for t in outcome.transitions if t.rule != "asked" and t.subject == "A"]
    return questions, transitions, engine


def shown(engine: Engine, name: str) -> tuple[list[int], list[float], list[int]]:
    """The newest known values of an indicator: rows, values, as-of dates."""
    rows, found = newest(engine, [name])
    known = np.isfinite(found[name].values)
    return rows[known].tolist(), found[name].values[known].tolist(), found[name].as_of[known].tolist()


def test_a_filing_in_thousands_is_held_and_the_next_one_is_not() -> None:
    questions, transitions, engine = told(Filed("A", 0, GOOD), Filed("A", 1, THOUSANDS), Filed("A", 2, GOOD, after=-20))
    assert questions == [("asked", "A", 0)]
    assert transitions == []
    (finding,) = engine.questions.held[0]["m", parse_instant(MONTHS[1])].findings  # type: ignore[union-attr]
    assert (finding.unit, finding.factor, finding.indicators) == ("currency", 0.001, ("assets", "loans", "deposits"))
    assert shown(engine, "assets")[2] == [parse_instant(MONTHS[2])]


def test_a_merger_and_a_collapse_of_one_ratio_get_through() -> None:
    merged = tuple(3 * v for v in GOOD[:3])
    questions, transitions, _ = told(Filed("A", 0, GOOD), Filed("A", 1, (*merged, 0.25)))
    assert questions == []
    assert transitions == [("thin", "firing", MONTHS[1])]


def test_the_same_filing_with_an_answer_is_judged() -> None:
    questions, transitions, engine = told(
        Filed("A", 0, GOOD), Filed("A", 1, THOUSANDS), Filed("A", 1, THOUSANDS, confirmed=True)
    )
    assert questions == [("asked", "A", 0), ("confirmed", "A", 0)]
    assert transitions == [("shrunk", "firing", MONTHS[1])]
    assert list(engine.questions.every()) == []  # type: ignore[union-attr]


def test_a_corrected_filing_closes_the_question_with_the_same_or_the_next_revision() -> None:
    for revision in (0, 1):
        questions, transitions, _ = told(
            Filed("A", 0, GOOD), Filed("A", 1, THOUSANDS), Filed("A", 1, GOOD, revision=revision)
        )
        assert questions == [("asked", "A", 0), ("superseded", "A", 0)]
        assert transitions == []


def test_a_correction_of_what_was_wrong_from_the_start_is_not_asked_about() -> None:
    """The first filing was taken in thousands; its revision is compared with the filing before, not with itself."""
    questions, _, engine = told(Filed("A", 0, THOUSANDS), Filed("A", 0, GOOD, revision=1), Filed("A", 1, GOOD))
    assert questions == []
    assert shown(engine, "assets")[1] == [GOOD[0]]


def test_without_an_answer_it_is_judged_at_the_deadline_and_its_alerts_say_so() -> None:
    """The deadline passed 15 days after 28 February: the tick before does nothing, the one after judges it."""
    engine = new()
    steps: list[Step] = [Filed("A", 0, GOOD), Filed("A", 1, THOUSANDS), 43]
    before = run(engine, list(enumerate(steps)))
    assert [t.rule for t in before.transitions if t.subject == "A"] == ["asked"]
    outcome = engine.tick(parse_instant(MONTHS[0]) + 44 * DAY)
    (shrunk,) = [t for t in outcome.transitions if t.rule == "shrunk"]
    assert (shrunk.state, shrunk.as_of) == ("firing", MONTHS[1])
    assert [note["en"].startswith("m as of 2025-02-28 is unconfirmed") for note in shrunk.notes] == [True]
    assert "未经确认" in shrunk.notes[0]["zh"]
    assert [(q.state, q.institution) for q in outcome.questions] == [("unconfirmed", "A")]
    assert {(t.rule, t.state) for t in outcome.transitions if t.rule != "shrunk" and t.subject == "A"} == {
        ("asked", "resolved")
    }


def test_a_held_filing_makes_nothing_overdue_and_an_overdue_form_stays_so_until_the_answer() -> None:
    in_time = told(Filed("A", 0, GOOD), Filed("A", 1, THOUSANDS), 50)
    assert [t for t in in_time[1] if t[0] == "late"] == []
    late = told(Filed("A", 0, GOOD), 50, Filed("A", 1, THOUSANDS, after=30), 62)
    assert [(rule, state) for rule, state, _ in late[1] if rule == "late"][:1] == [("late", "firing")]
    assert ("late", "resolved") in [(rule, state) for rule, state, _ in late[1]]
    assert late[0] == [("asked", "A", 0), ("unconfirmed", "A", 0)]


def test_an_open_question_is_an_alert_of_its_own() -> None:
    engine = new()
    outcome = run(engine, list(enumerate([Filed("A", 0, GOOD), Filed("A", 1, THOUSANDS), Filed("A", 1, GOOD, 1)])))
    assert [(t.rule, t.state, t.values["open_questions"].value) for t in outcome.transitions] == [
        ("asked", "firing", 1.0),
        ("asked", "resolved", 0.0),
    ]


def test_what_is_held_already_is_refused_and_so_is_an_older_revision() -> None:
    engine = new()
    steps: list[Step] = [Filed("A", 0, GOOD), Filed("A", 1, THOUSANDS, 1), Filed("A", 1, THOUSANDS, 1)]
    steps.append(Filed("A", 1, tuple(1.1 * v for v in THOUSANDS)))
    outcome = run(engine, list(enumerate(steps)))
    assert [reason for _, reason, _ in outcome.refused] == ["duplicate", "revision_backwards"]


def test_who_files_ever_more_in_another_unit_is_refused() -> None:
    """Memory for held filings is bounded: beyond so many questions of one institution the reason is `scale`."""
    engine = new()
    engine.apply(columns(engine, [(0, Filed("A", 0, GOOD))]))
    (batch,) = columns(engine, [(1, Filed("A", 1, THOUSANDS))])
    for _ in range(MOST_HELD + 1):
        batch.as_of[0] += DAY
        batch.offset[0] += 1
        refused = engine.apply([batch]).refused
    assert [reason for _, reason, _ in refused] == ["scale"]


def test_who_leaves_takes_the_questions_along() -> None:
    engine = new()
    run(engine, list(enumerate([Filed("A", 0, GOOD), Filed("A", 1, THOUSANDS)])))
    outcome = engine.retire("A", parse_instant(MONTHS[2]))
    assert [(q.state, q.institution) for q in outcome.questions] == [("withdrawn", "A")]
    assert list(engine.questions.every()) == []  # type: ignore[union-attr]


def test_other_rules_that_take_over_hold_what_was_held() -> None:
    old = new()
    run(old, list(enumerate([Filed("A", 0, GOOD), Filed("A", 1, THOUSANDS)])))
    taken_over = successor(old, PROGRAM)
    hand_over(old, taken_over, [0, 1])
    assert standing(taken_over) == standing(old)
    (batch,) = columns(taken_over, [(2, Filed("A", 1, GOOD))])
    assert [q.state for q in taken_over.apply([batch]).questions] == ["superseded"]


def test_nobody_is_asked_where_the_engine_does_not_ask() -> None:
    """Backtests and tests of packs judge what stands there."""
    outcome = run(Engine(PROGRAM, BANKS), list(enumerate([Filed("A", 0, GOOD), Filed("A", 1, THOUSANDS)])))
    assert [(t.rule, t.state) for t in outcome.transitions] == [("shrunk", "firing")]


SCALES = st.sampled_from([1.0, 1.0, 1.0, 1e-3, 1e3, 1e4])
FILINGS = st.builds(
    lambda code, month, scale, lcr, revision, after, confirmed: Filed(
        code, month, (*(v * scale for v in GOOD[:3]), lcr), revision, after, confirmed
    ),
    st.sampled_from(["A", "B"]),
    st.integers(0, 4),
    SCALES,
    st.sampled_from([1.2, 0.9, 0.012, 120.0 / 1.5]),
    st.integers(0, 2),
    st.sampled_from([1, 5, 14, 30]),
    st.sampled_from([False, False, True]),
)


def standing(engine: Engine) -> object:
    """All that can be seen of an engine from outside."""
    questions = engine.questions
    assert questions is not None
    held = sorted((engine.institutions[row].code, h.form, h.as_of, h.revision) for row, h in questions.every())
    latest = {name: shown(engine, name) for name in ("assets", "lcr")}
    return held, latest, sorted((a.rule, a.subject, a.state, a.severity, a.started) for a in engine.active())


@at_most(60)
@given(st.lists(FILINGS, min_size=1, max_size=10))
def test_batches_give_what_single_filings_give(filings: list[Filed]) -> None:
    single, together = new(), new()
    one_by_one = run(single, list(enumerate(filings)))
    outcome = together.apply(columns(together, list(enumerate(filings))))
    assert outcome.transitions == one_by_one.transitions
    assert [(q.state, q.institution, q.held) for q in outcome.questions] == [
        (q.state, q.institution, q.held) for q in one_by_one.questions
    ]
    assert [rest for _, *rest in outcome.refused] == [rest for _, *rest in one_by_one.refused]
    assert standing(single) == standing(together)


@at_most(40)
@given(st.lists(FILINGS | st.integers(5, 150), min_size=1, max_size=8))
def test_a_worker_that_died_anywhere_is_replaced_without_a_trace(steps: list[Step]) -> None:
    """State is written after every number of steps and read by a new engine, to which the filings come again.

    Ticks in their order of time, as a clock gives them.
    """
    ticks = iter(sorted(step for step in steps if isinstance(step, int)))
    arriving = list(enumerate(next(ticks) if isinstance(step, int) else step for step in steps))
    undisturbed = new()
    whole = run(undisturbed, arriving)
    for cut in range(len(arriving) + 1):
        first, second = new(), new()
        said = run(first, arriving[:cut])
        second.restore(first.export([first.row("A"), first.row("B")]))
        second.set_clocks(first)
        again = run(second, [(offset, step) for offset, step in arriving[:cut] if not isinstance(step, int)])
        rest = run(second, arriving[cut:])
        assert (again.transitions, again.questions, again.refused) == ([], [], [])
        assert [*said.transitions, *rest.transitions] == whole.transitions
        assert [*said.questions, *rest.questions] == whole.questions
        assert standing(second) == standing(undisturbed)
