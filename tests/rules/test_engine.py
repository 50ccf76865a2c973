"""The engine by hand: ladders, patience, clearing, scope, lateness and its horizon, refusals, retirement, unknowns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given

from rules.catalogue import SYSTEM, parse_catalogues
from rules.engine import Engine, FormBatch, Outcome
from rules.pack import PackText, compile_packs
from rules.problems import CatalogueError
from rules.registry import Institution
from rules.showing import newest
from tests.rules.generated import World, filings, in_order, tight_worlds
from tests.rules.reference import Filing
from tests.rules.test_agreement import expected, one_by_one, standing
from tests.rules.worlds import DAY, batch, catalogue, institutions, program

NAN = float("nan")


def quarters(engine: Engine, values: Sequence[float], first: int = 1, code: str = "I0") -> Outcome:
    """File x for one institution, quarter after quarter, beginning with day 90 · first."""
    rows = [(code, 90 * (first + n), (value, 1.0, 1.0)) for n, value in enumerate(values)]
    return engine.apply([batch(engine, "q", rows)])


def story(outcome: Outcome) -> list[tuple[int, str, str]]:
    """Day, state and severity of each transition."""
    days = [(np.datetime64(t.as_of) - np.datetime64("1970-01-01")).astype(int) for t in outcome.transitions]
    return [(int(day), t.state, t.severity) for day, t in zip(days, outcome.transitions, strict=True)]


def one(rule: str, banks: int = 1) -> Engine:
    return Engine(program(f"  - {{id: r, {rule}}}"), institutions(banks))


LADDER = "levels: {watch: x < 3, warning: x < 2, critical: x < 1}"


class TestLadder:
    def test_the_highest_level_that_holds_wins(self) -> None:
        assert story(quarters(one(LADDER), [0.5])) == [(90, "firing", "critical")]

    def test_it_rises_and_falls_with_its_levels(self) -> None:
        assert story(quarters(one(LADDER), [2.5, 1.5, 0.5, 1.5, 5])) == [
            (90, "firing", "watch"),
            (180, "escalated", "warning"),
            (270, "escalated", "critical"),
            (360, "eased", "warning"),
            (450, "resolved", "none"),
        ]

    def test_a_level_that_is_known_wins_over_a_higher_one_that_is_not(self) -> None:
        engine = one("levels: {watch: x < 3, critical: y < 1}")
        said = engine.apply([batch(engine, "q", [("I0", 90, (2.0, NAN, 1.0))])])
        assert story(said) == [(90, "firing", "watch")]

    def test_unknown_neither_raises_nor_lowers(self) -> None:
        assert story(quarters(one(LADDER), [0.5, NAN, NAN, 0.5])) == [(90, "firing", "critical")]

    def test_a_new_episode_is_a_new_alert(self) -> None:
        said = quarters(one(LADDER), [2.5, 5, 2.5]).transitions
        assert [t.state for t in said] == ["firing", "resolved", "firing"]
        assert said[0].alert_id == said[1].alert_id != said[2].alert_id


class TestFor:
    def test_a_level_is_pending_until_it_has_held_long_enough(self) -> None:
        assert story(quarters(one(f"{LADDER}, for: 2 filings"), [2.5, 2.5])) == [
            (90, "pending", "watch"),
            (180, "firing", "watch"),
        ]

    def test_a_pending_that_does_not_last_lapses(self) -> None:
        said = quarters(one(f"{LADDER}, for: 2 filings"), [2.5, 5])
        assert story(said) == [(90, "pending", "watch"), (180, "resolved", "none")]
        assert {t.alert_id for t in said.transitions} == {""}

    def test_unknown_breaks_it(self) -> None:
        assert story(quarters(one(f"{LADDER}, for: 2 filings"), [2.5, NAN, 2.5, 2.5])) == [
            (90, "pending", "watch"),
            (180, "resolved", "none"),
            (270, "pending", "watch"),
            (360, "firing", "watch"),
        ]

    def test_a_higher_level_counts_for_the_lower_ones_too(self) -> None:
        """Critical, then warning: the second filing on which at least warning held."""
        assert story(quarters(one(f"{LADDER}, for: 2 filings"), [0.5, 1.5])) == [
            (90, "pending", "critical"),
            (180, "firing", "warning"),
        ]

    def test_in_days_it_counts_event_time(self) -> None:
        assert story(quarters(one(f"{LADDER}, for: 91d"), [2.5, 2.5, 2.5])) == [
            (90, "pending", "watch"),
            (270, "firing", "watch"),
        ]

    def test_rising_further_takes_as_long(self) -> None:
        assert story(quarters(one(f"{LADDER}, for: 2 filings"), [2.5, 2.5, 0.5, 0.5])) == [
            (90, "pending", "watch"),
            (180, "firing", "watch"),
            (360, "escalated", "critical"),
        ]


class TestClear:
    GUARDED = "levels: {watch: x < 1, warning: x < 0.5}, clear: x > 2 for 2 filings"

    def test_severity_falls_only_when_it_has_held_long_enough(self) -> None:
        assert story(quarters(one(self.GUARDED), [0.7, 1.5, 3, 1.5, 3, 3])) == [
            (90, "firing", "watch"),
            (540, "resolved", "none"),
        ]

    def test_it_guards_every_step_down(self) -> None:
        assert story(quarters(one(self.GUARDED), [0.3, 0.7, 0.7])) == [(90, "firing", "warning")]

    def test_unknown_breaks_its_run(self) -> None:
        assert story(quarters(one(self.GUARDED), [0.7, 3, NAN, 3])) == [(90, "firing", "watch")]

    def test_who_leaves_the_scope_clears(self) -> None:
        engine = one("where: y > 0, levels: {watch: x < 1}, clear: x > 2")
        said = engine.apply([batch(engine, "q", [("I0", 90, (0.5, 1, 1)), ("I0", 180, (0.5, -1, 1))])])
        assert story(said) == [(90, "firing", "watch"), (180, "resolved", "none")]


class TestWhere:
    def test_who_is_out_of_scope_is_quiet(self) -> None:
        engine = Engine(program("  - {id: r, where: type in BANKS, levels: {watch: x < 1}}"), institutions(3))
        said = engine.apply([batch(engine, "q", [(f"I{i}", 90, (0.5, 1, 1)) for i in range(3)])])
        assert [t.subject for t in said.transitions] == ["I0", "I1"]

    def test_where_nothing_is_known_of_the_scope_it_is_unknown(self) -> None:
        engine = one("where: y > 0, levels: {watch: x < 1}")
        filed = [("I0", 90, (0.5, 1, 1)), ("I0", 180, (5, NAN, 1)), ("I0", 270, (5, 1, 1))]
        assert story(engine.apply([batch(engine, "q", filed)])) == [(90, "firing", "watch"), (270, "resolved", "none")]

    def test_a_rule_is_judged_on_the_dates_of_its_levels_not_of_its_scope(self) -> None:
        """z is filed daily and only decides the scope: it brings no dates of its own."""
        engine = one("where: z > 0, levels: {watch: x < 1}, for: 2 filings")
        engine.apply([batch(engine, "d", [("I0", 90, (1,))])])
        quarters(engine, [0.5])
        assert engine.apply([batch(engine, "d", [("I0", day, (1,)) for day in (91, 92)])]).transitions == []
        assert [a.state for a in engine.active()] == ["pending"]

    def test_a_late_filing_of_the_scope_judges_the_dates_since_again(self) -> None:
        engine = one("where: z > 0, levels: {watch: x < 1}")
        quarters(engine, [0.5])
        assert engine.active() == []
        assert story(engine.apply([batch(engine, "d", [("I0", 88, (1,))])])) == [(90, "firing", "watch")]


class TestForms:
    def test_an_older_form_is_joined_as_of_the_date(self) -> None:
        engine = one("levels: {watch: z < x}")
        quarters(engine, [1, 2])
        daily = [("I0", day, (1.5,)) for day in (100, 181)]
        assert story(engine.apply([batch(engine, "d", daily)])) == [(181, "firing", "watch")]

    def test_a_value_older_than_its_validity_is_missing(self) -> None:
        """Form q is valid for 122 days: on the 123rd the comparison is unknown, and the alert stays as it was."""
        engine = one("levels: {watch: z < x}")
        quarters(engine, [2])
        daily = [("I0", 212, (1,)), ("I0", 213, (5,))]
        assert story(engine.apply([batch(engine, "d", daily)])) == [(212, "firing", "watch")]
        assert engine.unknown_counts()["r"]["too old"] == 1

    def test_a_filing_that_leaves_a_value_out_makes_it_missing(self) -> None:
        engine = one("levels: {watch: x < 1 or y < 1}")
        engine.apply([batch(engine, "q", [("I0", 90, (5, 5, 1)), ("I0", 180, (5, NAN, 1))])])
        assert engine.held("r", "I0") == -1


class TestLateness:
    def test_a_late_filing_moves_the_start_and_the_new_alert_supersedes_the_old(self) -> None:
        engine = one("levels: {watch: x < 1}")
        (first,) = quarters(engine, [0.5], first=2).transitions
        (moved,) = quarters(engine, [0.5], first=1).transitions
        assert (moved.cause, moved.state, moved.started) == ("late", "firing", "1970-04-01")
        assert moved.supersedes == first.alert_id

    def test_a_revision_takes_an_alert_back_at_its_own_date(self) -> None:
        engine = one("levels: {watch: x < 1}")
        (first,) = quarters(engine, [0.5]).transitions
        (taken,) = engine.apply([batch(engine, "q", [("I0", 90, (5, 1, 1), 1)])]).transitions
        assert (taken.state, taken.cause, taken.as_of, taken.revision) == ("resolved", "revised", "1970-04-01", 1)
        assert taken.alert_id == first.alert_id

    def test_going_back_and_forth_gives_every_step_an_id_of_its_own(self) -> None:
        """Two forms at one date; the second takes the alert back, a revision of it brings it again."""
        engine = one("levels: {watch: x < z}")
        said = [
            *quarters(engine, [0.5]).transitions,
            *engine.apply([batch(engine, "d", [("I0", 90, (1,))])]).transitions,
            *engine.apply([batch(engine, "d", [("I0", 90, (0.1,), 1)])]).transitions,
            *engine.apply([batch(engine, "d", [("I0", 90, (1,), 2)])]).transitions,
        ]
        assert [t.state for t in said] == ["firing", "resolved", "firing"]
        assert len({t.alert_id for t in said}) == 1
        assert len({t.id for t in said}) == 3

    def test_what_does_not_change_is_not_said(self) -> None:
        engine = one("levels: {watch: x < 1}")
        quarters(engine, [0.5, 0.5])
        assert engine.apply([batch(engine, "q", [("I0", 90, (0.6, 1, 1), 1)])]).transitions == []


class TestHorizon:
    """Form q keeps the fold of eight dates: a filing that is older changes no state, but is in the history."""

    def test_the_eighth_date_back_still_counts(self) -> None:
        engine = one("levels: {watch: x < 1}")
        quarters(engine, [5] * 10)
        revised = engine.apply([batch(engine, "q", [("I0", 270, (0.5, 1, 1), 1)])])
        assert story(revised) == [(270, "firing", "watch"), (360, "resolved", "none")]

    def test_the_ninth_changes_nothing_and_is_not_refused(self) -> None:
        engine = one("levels: {watch: x < 1}")
        quarters(engine, [5] * 10)
        revised = engine.apply([batch(engine, "q", [("I0", 180, (0.5, 1, 1), 1)])])
        assert (revised.transitions, revised.refused, revised.beyond) == ([], [], 0)

    def test_functions_that_look_back_see_it_all_the_same(self) -> None:
        engine = one("levels: {watch: 'lag(x, 9) < 1'}")
        quarters(engine, [5] * 10)
        engine.apply([batch(engine, "q", [("I0", 180, (0.5, 1, 1), 1)])])
        assert story(quarters(engine, [5], first=11)) == [(990, "firing", "watch")]

    def test_what_is_older_than_all_that_is_kept_is_counted(self) -> None:
        engine = one("levels: {watch: x < 1}")
        quarters(engine, [5] * 12, first=2)
        assert quarters(engine, [0.5], first=1).beyond == 1

    def test_the_fold_before_the_horizon_is_kept_as_it_was(self) -> None:
        """An alert of nine dates ago stays the start of the episode when everything since is folded again."""
        engine = one("levels: {watch: x < 1}")
        quarters(engine, [0.5] * 10)
        revised = engine.apply([batch(engine, "q", [("I0", 540, (5, 1, 1), 1)])])
        assert story(revised) == [(540, "resolved", "none"), (630, "firing", "watch")]
        assert revised.transitions[0].started == "1970-04-01"


class TestArrival:
    def test_the_same_filing_again_is_refused(self) -> None:
        engine = one("levels: {watch: x < 1}")
        quarters(engine, [0.5])
        again = quarters(engine, [0.7])
        assert again.transitions == []
        assert again.refused == [(0, "duplicate", "revision 0 of I0 / q was filed before")]

    def test_a_revision_that_goes_backwards_is_refused(self) -> None:
        engine = one("levels: {watch: x < 1}")
        engine.apply([batch(engine, "q", [("I0", 90, (0.5, 1, 1), 2)])])
        late = engine.apply([batch(engine, "q", [("I0", 90, (5, 1, 1), 1)])])
        assert [reason for _, reason, _ in late.refused] == ["revision_backwards"]

    def test_the_same_offset_again_is_ignored(self) -> None:
        engine = one("levels: {watch: x < 1}")
        delivered = batch(engine, "q", [("I0", 90, (0.5, 1, 1), 0, None, 7)])
        engine.apply([delivered])
        again = engine.apply([delivered])
        assert (again.transitions, again.refused, again.replayed) == ([], [], 1)

    def test_institutions_nobody_knows_are_left_alone(self) -> None:
        engine = one("levels: {watch: x < 1}")
        said = engine.apply([batch(engine, "q", [("NOBODY", 90, (0.5, 1, 1)), ("I0", 90, (0.5, 1, 1))])])
        assert [t.subject for t in said.transitions] == ["I0"]

    def test_an_empty_batch_does_nothing(self) -> None:
        engine = one("levels: {watch: x < 1}")
        empty = FormBatch("q", *(np.zeros(0, d) for d in ("i4", "i8", "i8", "i4", "i8", "i8")), np.zeros((3, 0)))
        assert engine.apply([empty]) == engine.apply([]) == Outcome()

    def test_transitions_come_in_the_order_of_arrival_across_forms(self) -> None:
        engine = Engine(
            program("  - {id: a, levels: {watch: x < 1}}", "  - {id: b, levels: {watch: z < 1}}"), institutions(2)
        )
        said = engine.apply(
            [
                batch(engine, "q", [("I0", 90, (0.5, 1, 1), 0, 1), ("I1", 90, (0.5, 1, 1), 0, 2)]),
                batch(engine, "d", [("I1", 90, (0.5,), 0, 0), ("I0", 90, (0.5,), 0, 3)]),
            ]
        )
        assert [(t.rule, t.subject) for t in said.transitions] == [("b", "I1"), ("a", "I0"), ("a", "I1"), ("b", "I0")]

    def test_many_institutions_make_room_for_themselves(self) -> None:
        engine = Engine(program("  - {id: r, levels: {watch: x < 1}}"), institutions(500))
        said = engine.apply([batch(engine, "q", [(f"I{i}", 90, (i / 100, 1, 1)) for i in range(500)])])
        assert len(said.transitions) == 100


class TestRetirement:
    def test_open_alerts_resolve_with_that_reason(self) -> None:
        engine = Engine(
            program("  - {id: a, levels: {watch: x < 1}}", "  - {id: b, levels: {watch: x < 1}, for: 2 filings}"),
            institutions(2),
        )
        firing, pending = quarters(engine, [0.5]).transitions
        quarters(engine, [0.5], code="I1")
        said = engine.retire("I0", 100 * DAY).transitions
        assert [(t.rule, t.state, t.cause, t.subject) for t in said] == [
            ("a", "resolved", "retired", "I0"),
            ("b", "resolved", "retired", "I0"),
        ]
        assert (said[0].alert_id, said[1].alert_id) == (firing.alert_id, pending.alert_id)
        assert {a.subject for a in engine.active()} == {"I1"}
        assert engine.row("I0") == -1

    def test_who_takes_the_place_begins_with_nothing(self) -> None:
        engine = one("levels: {watch: x < 1}, for: 2 filings", banks=1)
        quarters(engine, [0.5])
        row = engine.row("I0")
        engine.retire("I0", 100 * DAY)
        assert engine.put_institution(Institution("NEW", type="bank")) == row
        assert story(quarters(engine, [0.5], first=2, code="NEW")) == [(180, "pending", "watch")]

    def test_who_is_not_known_is_no_matter(self) -> None:
        assert one("levels: {watch: x < 1}").retire("NOBODY", 0) == Outcome()

    def test_retired_rules_are_not_judged(self) -> None:
        engine = one("status: retired, retired: {on: 2026-01-01, reason: no more}, levels: {watch: x < 1}")
        assert quarters(engine, [0.5]) == Outcome()


class TestUnknowns:
    """Counted by rule, with the first reason that explains it."""

    @pytest.mark.parametrize(
        ("condition", "reason"),
        [
            ("z < 1", "not filed"),
            ("y < 1", "not reported"),
            ("x / assets < 1", "divided by zero"),
            ("lag(x, 1) < 1", "history too short"),
            ("mean(x, '4 filings') < 1", "history too short"),
        ],
    )
    def test_reason(self, condition: str, reason: str) -> None:
        engine = one(f'levels: {{watch: "{condition} and x > 0"}}')
        engine.apply([batch(engine, "q", [("I0", 90, (5, NAN, 0))])])
        assert engine.unknown_counts() == {"r": {reason: 1}}

    def test_what_is_known_is_not_counted(self) -> None:
        engine = one(LADDER)
        quarters(engine, [5, 0.5])
        assert engine.unknown_counts() == {}


class TestReading:
    def test_newest_values_with_their_dates(self) -> None:
        engine = Engine(program("  - {id: r, levels: {watch: x < 1}}"), institutions(3))
        engine.apply([batch(engine, "q", [("I0", 90, (1, 2, 7)), ("I0", 180, (NAN, 4, 8)), ("I2", 90, (3, 0, 9))])])
        expected = {
            "x": [("I2", 3.0, 90)],
            "assets": [("I0", 8.0, 180), ("I2", 9.0, 90)],
            "z": [],
        }
        rows, found = newest(engine, expected)
        for indicator, known in expected.items():
            one = found[indicator]
            told = zip(rows.tolist(), one.values.tolist(), (one.as_of // DAY).tolist(), strict=True)
            assert [(engine.institutions[row].code, v, at) for row, v, at in told if not np.isnan(v)] == known

    def test_derived_values_leave_divisions_by_zero_out(self) -> None:
        engine = Engine(program("  - {id: r, levels: {watch: share < 1}}"), institutions(2))
        engine.apply([batch(engine, "q", [("I0", 90, (1, 2, 7)), ("I1", 90, (1, 0, 7))])])
        rows, found = newest(engine, ["share"])
        assert dict(zip(rows.tolist(), found["share"].values.tolist(), strict=True)) == pytest.approx(
            {engine.row("I0"): 0.5, engine.row("I1"): NAN}, nan_ok=True
        )

    def test_the_level_that_holds_is_told_apart_from_the_alert(self) -> None:
        engine = one("levels: {watch: x < 1}, for: 2 filings")
        assert engine.held("r", "I0") == -1
        quarters(engine, [0.5])
        assert engine.held("r", "I0") == 1
        assert [a.state for a in engine.active()] == ["pending"]
        with pytest.raises(KeyError):
            engine.held("nothing", "I0")


class TestSystem:
    """Rules of the system speak of the pseudo-institution, and those of institutions never do."""

    def test_scopes_do_not_mix(self) -> None:
        engine = Engine(
            program(
                "  - {id: s, scope: system, levels: {watch: debtrank_largest > 0.5}}",
                "  - {id: i, levels: {watch: debtrank_largest > 0.5}}",
            ),
            [*institutions(1), Institution(SYSTEM)],
        )
        reported = engine.program.catalogue.reported("measures.system")
        values = tuple(0.9 if name == "debtrank_largest" else NAN for name in reported)
        said = engine.apply([batch(engine, "measures.system", [(SYSTEM, 90, values), ("I0", 90, values)])])
        assert [(t.rule, t.subject) for t in said.transitions] == [("s", SYSTEM), ("i", "I0")]


def test_catalogues_must_give_forms_a_sane_horizon() -> None:
    with pytest.raises(CatalogueError, match="'horizon' must be a whole number of dates, 1 to 400"):
        parse_catalogues([("catalogue: c\nforms: [{id: f, frequency: daily, horizon: 0}]", "c")])


@given(tight_worlds(), filings().map(in_order))
def test_the_history_that_is_kept_is_enough(world: World, arriving: list[Filing]) -> None:
    """With a horizon of one date every store holds just what the rules look back over."""
    engine = world.engine()
    one_by_one(engine, arriving)
    assert standing(engine) == expected(world.reference.states(arriving))


def test_packs_are_compiled_together() -> None:
    texts = [
        PackText(f"pack: p{n}\nrules:\n  - {{id: r{n}, levels: {{watch: x < {n}}}}}", f"p{n}.yaml") for n in (1, 2)
    ]
    assert [rule.id for rule in compile_packs(texts, catalogue()).rules] == ["r1", "r2"]


def test_clear_is_not_counted_while_nothing_is_remembered() -> None:
    """It holds all the time; a first pending lapses in between, and what it had counted is forgotten with it."""
    engine = one("levels: {watch: x < 2}, for: 2 filings, clear: y > 0 for 4 filings")
    told = story(quarters(engine, [1, 3, 1, 1, 3, 3]))
    assert told == [
        (90, "pending", "watch"),
        (180, "resolved", "none"),
        (270, "pending", "watch"),
        (360, "firing", "watch"),
        (540, "resolved", "none"),
    ]
