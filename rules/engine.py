"""The engine: filings in columns go in, transitions come out. Pure state, no I/O, no clock of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rules.aggregates import is_aggregate
from rules.calendar import answer_by, deadlines, due_at, expected, has_deadline
from rules.catalogue import SYSTEM
from rules.context import Context, World
from rules.edits import Edition, Leftover, endings, part
from rules.evidence import Evidence
from rules.fold import Fold, Records
from rules.history import rule_nodes
from rules.judge import (
    REASONS,
    Event,
    Group,
    Judge,
    Said,
    by_pair,
    differences,
    events,
    group_rules,
    standings,
)
from rules.laps import Clock, Laps, no_clock
from rules.muting import WAIVED, ends, reasons
from rules.obligations import Tenure, obliged
from rules.pack import Program
from rules.plan import Waiver, walk
from rules.provisional import Moved
from rules.questions import MOST_HELD, OPEN_QUESTIONS, Held, Question, Questions, State
from rules.registry import NUMBER_ATTRIBUTES, TEXT_ATTRIBUTES, Institution
from rules.settings import Table
from rules.staleness import Staleness
from rules.store import ACCEPTED, BACKWARDS, BEYOND, DUPLICATE, NEVER, Bools, Floats, FormStore, Ints, Longs
from rules.transitions import SEVERITIES, Cause, Transition
from rules.worsening import worsened

FILED, LATE, REVISED, EDITED = range(4)
CAUSES: tuple[Cause, ...] = ("filed", "late", "revised", "rule-changed")
FIRST_ROWS = 64
COMPACT_EVERY = 200_000


@dataclass(frozen=True, slots=True)
class FormBatch:
    """Filings of one form as columns, n of them.

    rows: the engine's row of each institution, -1 (ignored) when unknown. as_of, submitted_at: seconds.
    offset: Kafka offset, -1 for none. sequence: order of arrival across the forms of one batch. values:
    float64 [k, n], k the form's reported indicators in the catalogue's order; NaN is missing. confirmed: whether
    somebody answers for the units of a filing; None for none. odd: whether it has an implausible value; None where
    nobody has looked.
    """

    form: str
    rows: Ints
    as_of: Longs
    submitted_at: Longs
    revision: Ints
    offset: Longs
    sequence: Longs
    values: Floats
    confirmed: Bools | None = None
    odd: Bools | None = None

    def take(self, index: NDArray[np.intp]) -> FormBatch:
        """Return the chosen filings."""
        return FormBatch(
            self.form,
            self.rows[index],
            self.as_of[index],
            self.submitted_at[index],
            self.revision[index],
            self.offset[index],
            self.sequence[index],
            self.values[:, index],
            None if self.confirmed is None else self.confirmed[index],
            None if self.odd is None else self.odd[index],
        )


@dataclass(slots=True)
class Outcome:
    """What a batch or a tick did.

    transitions: in order of arrival of the filings that caused them. refused: (sequence, reason code,
    sentence) of filings that contradict what is known, in that order too. replayed: filings seen before by
    offset, ignored. beyond: filings older than all history kept. evaluated: rule × subject evaluations.
    questions: what became of questions on the scale of filings, in order. beside: filings applied besides those of the
    batch: what was held until now, and what the engine observes itself.
    seconds: by stage (scatter, derive, rules, transitions), where the engine was given a clock.
    """

    transitions: list[Transition] = field(default_factory=list)
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    replayed: int = 0
    beyond: int = 0
    evaluated: int = 0
    questions: list[Question] = field(default_factory=list)
    beside: list[FormBatch] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Active:
    """One pair that is pending or firing.

    `suppressed_by` names what silences it, `overdue` the forms for want of which it is stale.
    """

    rule: str
    subject: str
    state: str
    severity: str
    started: int
    status: str
    suppressed_by: tuple[str, ...] = ()
    overdue: tuple[str, ...] = ()


class Engine:
    """Holds the state of one program over many institutions and applies filings to it.

    The result of a batch equals that of its filings one by one, in `sequence` order, however they are cut
    into batches. Within a batch everything is done for all institutions at once: step k takes every
    institution's k-th filing.

    With `asks`, a filing whose values seem to be in another unit is held and asked about (`rules.questions`).
    """

    def __init__(
        self,
        program: Program,
        institutions: Iterable[Institution] = (),
        clock: Clock = no_clock,
        asks: bool = False,
    ) -> None:
        institutions = list(institutions)
        self.program = program
        self.laps = Laps(clock)
        self.rules = tuple(r for r in program.rules if r.status != "retired")
        self._capacity = rows = max(FIRST_ROWS, len(institutions))
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self.institutions: list[Institution] = []
        self._active: Bools = np.zeros(rows, np.bool_)
        self._system: Bools = np.zeros(rows, np.bool_)
        self.applied: Longs = np.full(rows, -1, np.int64)
        catalogue = program.catalogue
        nodes = (node for rule in self.rules for top in rule_nodes(rule) for node in walk(top))
        groupings = {str(node.params[0]) for node in nodes if is_aggregate(node)} - {""}
        self._texts = (*TEXT_ATTRIBUTES, *sorted(groupings.difference(TEXT_ATTRIBUTES)))
        self.groups = group_rules(self.rules, rows)
        order = np.concatenate([np.zeros(0, np.int32), *(group.index for group in self.groups)])
        self.fold = Fold(self.rules, rows, np.argsort(order).astype(np.int32))
        # the world asks the fold for levels, not the engine: an engine that points at itself outlives its last user
        self.world = World(
            catalogue,
            {form: self._store(form, rows) for form in catalogue.forms},
            {name: np.full(rows, np.nan) for name in NUMBER_ATTRIBUTES},
            {name: np.zeros(rows, np.int32) for name in self._texts},
            {"": 0},
            catalogue.country,
            program.derived,
            self.fold.level_of,
            settings={name: Table(setting) for name, setting in program.settings.items()},
            opened=np.zeros(rows, np.int32),
            tenure=Tenure(rows, catalogue.timezone),
        )
        self.questions = Questions(catalogue, rows) if asks else None
        if self.questions is not None:
            self.world.unconfirmed = self.questions.unconfirmed
        for group in self.groups:
            group.bind(self.world.stores)
        self.staleness = Staleness(self.rules, self.world, self.fold, rows)
        self._shared = np.array([bool(rule.across) for rule in self.rules], np.bool_)
        self.judge = Judge(self.world, self.fold, self.laps)
        self._evidence = Evidence(self.rules, self.world)
        self._due: dict[str, int] = {}
        self._ticked = int(NEVER)
        self._closing = False
        self.ended: set[Waiver] = set()
        self.moved: dict[tuple[str, int], Moved] = {}
        self.edition = Edition.of(self.rules)
        self._edited: set[int] = set()
        self._edited_rows: set[int] = set()
        self._left_over: list[Leftover] = []
        self._across = frozenset[str]().union(*(g.triggers for g in self.groups if g.across))
        self._touched: dict[str, set[int]] = {}
        self._compact_at = COMPACT_EVERY
        for institution in institutions:
            self.put_institution(institution)

    def _store(self, form: str, rows: int) -> FormStore:
        catalogue = self.program.catalogue
        reported = catalogue.reported(form)
        together = (name for group in self.groups for stack in group.stacks for name in stack.reads(form))
        # what is judged together stands together; the order is of no other account
        read = self.program.reads.get(form, ())
        kept = tuple(name for name in dict.fromkeys([*together, *read]) if name in read)
        last = tuple(i for i in reported if i not in kept and catalogue.indicators[i].series)
        depth = self.program.history.get(form, 1) + catalogue.forms[form].horizon
        return FormStore(form, reported, kept, last, depth, rows)

    def put_institution(self, institution: Institution) -> int:
        """Add an institution or bring its attributes up to date; return its row."""
        row = self._rows.get(institution.code)
        if row is None:
            row = self._free.pop() if self._free else len(self.institutions)
            if row >= self._capacity:
                self.reserve(self._capacity + max(FIRST_ROWS, self._capacity // 4))
            if row == len(self.institutions):
                self.institutions.append(institution)
            self._rows[institution.code] = row
            self._active[row] = True
            for group in self.groups:
                group.judged[row] = NEVER
            # who comes between two ticks, and does not say since when, was not there when the deadlines before passed
            self.world.tenure.registered[row] = self._ticked
        self.institutions[row] = institution
        self.world.tenure.put(row, institution, int(self.world.tenure.registered[row]))
        self._closing = True
        self.world.version += 1
        self.staleness.look = True
        self._system[row] = institution.code == SYSTEM
        self.world.system = self._system
        for name in self._texts:
            self.world.texts[name][row] = self.world.code(institution.attribute(name))
        year = institution.opened[:4]
        self.world.opened[row] = int(year) if year.isdecimal() else 0
        for name in NUMBER_ATTRIBUTES:
            self.world.numbers[name][row] = float(getattr(institution, name))
        return row

    def row(self, code: str) -> int:
        """Return the institution's row, or -1 when it is not known."""
        return self._rows.get(code, -1)

    @property
    def registered(self) -> Bools:
        """Whether a row is an institution's now, by row: that of one which left is not until another takes it."""
        return self._active[: len(self.institutions)]

    def rows(self, codes: Sequence[str]) -> Ints:
        """Return the rows of many institutions; -1 for those not known."""
        get = self._rows.get
        return np.fromiter((get(code, -1) for code in codes), np.int32, len(codes))

    def reserve(self, rows: int) -> None:
        """Make room for so many institutions; more of them make room as they come, a quarter more each time."""
        if rows <= self._capacity:
            return
        self._capacity = rows
        self.world.version += 1
        self._active = _wider(self._active, rows, False)
        self._system = _wider(self._system, rows, False)
        self.applied = _wider(self.applied, rows, -1)
        self.world.numbers = {k: _wider(v, rows, np.nan) for k, v in self.world.numbers.items()}
        self.world.texts = {k: _wider(v, rows, 0) for k, v in self.world.texts.items()}
        self.world.opened = _wider(self.world.opened, rows, 0)
        self.world.tenure.grow(rows)
        for store in self.world.stores.values():
            store.grow(rows)
        self.fold.grow(rows)
        self.staleness.grow(rows)
        if self.questions is not None:
            self.questions.grow(rows)
        for group in self.groups:
            group.grow(rows)

    def drop(self, rows: Ints | Sequence[int]) -> None:
        """Forget the state of these institutions; they stay registered."""
        index = np.asarray(rows, np.int32)
        for store in self.world.stores.values():
            store.clear(index)
        self.fold.forget(index)
        self.staleness.forget(index)
        if self.questions is not None:
            self.questions.forget(index.tolist())
        self.applied[index] = -1
        for group in self.groups:
            group.judged[index] = NEVER

    def retire(self, code: str, now: int) -> Outcome:
        """Take an institution that left the registry out; its open alerts resolve with cause `retired`."""
        row = self._rows.pop(code, None)
        outcome = Outcome()
        if row is None:
            return outcome
        standing = self.fold.open()
        standing = standing.take(standing.row == row)
        said = [Said(event, "retired", now, "retired") for event in _ends_of(standing, np.full(len(standing), now))]
        outcome.transitions = self._evidence.tell(said, self.institutions)
        if self.questions is not None:
            for held in self.questions.held.get(row, {}).values():
                outcome.questions.append(Question("withdrawn", code, held, now))
        self.drop([row])
        self._active[row] = False
        self._free.append(row)
        return outcome

    def register(self, rows: Ints, moments: Longs) -> None:
        """Note that these institutions were there at these seconds, if nothing says that they came before."""
        self.world.tenure.remember(rows, moments)

    def owing(self, form: str, as_of: int) -> set[str]:
        """Return the codes of the institutions that owe a form for an as-of second, by what is known of that day."""
        rows = np.flatnonzero(self._active & ~self._system).astype(np.int32)
        owed = obliged(self.world, self.program.catalogue.forms[form], rows, as_of, as_of)
        return {self.institutions[row].code for row in rows[owed].tolist()}

    def apply(self, batches: Sequence[FormBatch]) -> Outcome:
        """Apply filings and return what they changed."""
        outcome = Outcome()
        self.laps.start()
        before = self.judge.tally.evaluated
        arrived: list[tuple[int, Transition]] = []
        self._touched.clear()
        for arrivals in _steps(batches):
            step = [self._unseen(batch, outcome) for batch in arrivals]
            # evidence is read at once: what comes next moves the history on
            arrived += [one for batch in step if len(batch.rows) for one in self._answers_before(batch, outcome)]
            for judge in (self._deadlines_before, self._apply_one_each):
                found = [said for batch in step if len(batch.rows) for said in judge(batch, outcome)]
                self.laps.lap("rules")
                told = self._evidence.tell(found, self.institutions)
                self.laps.lap("transitions")
                arrived += zip((said.sequence for said in found), told, strict=True)
        if self._touched:
            last = max(int(batch.sequence.max()) for batch in batches if len(batch.rows))
            found = self._judge_across(self._touched, np.unique(np.concatenate([batch.rows for batch in batches])))
            self.laps.lap("rules")
            told = self._evidence.tell(found, self.institutions)
            arrived += ((last, transition) for transition in told)
        arrived.sort(key=lambda entry: entry[0])
        outcome.transitions = [transition for _, transition in arrived]
        outcome.refused.sort(key=lambda entry: entry[0])
        outcome.questions.sort(key=lambda question: question.sequence)
        outcome.evaluated = self.judge.tally.evaluated - before
        self._compact()
        self.laps.lap("transitions")
        outcome.seconds = self.laps.take()
        return outcome

    def _unseen(self, batch: FormBatch, outcome: Outcome) -> FormBatch:
        """The filings of institutions that are known, without those applied before."""
        known = batch.rows >= 0
        replayed = known & (batch.offset >= 0) & (batch.offset <= self.applied[batch.rows])
        outcome.replayed += int(replayed.sum())
        new = known & ~replayed
        return batch if new.all() else batch.take(np.flatnonzero(new))

    def _answers_before(self, batch: FormBatch, outcome: Outcome) -> list[tuple[int, Transition]]:
        """Judge, of those who file now, what was held and found no answer in time, and that no tick has told yet."""
        if self.questions is None or not len(waiting := self.questions.asked(batch.rows)):
            return []
        due = [
            one
            for i in waiting.tolist()
            for one in self.questions.due(int(batch.submitted_at[i]), [int(batch.rows[i])])
        ]
        sequence = {self.institutions[batch.rows[i]].code: int(batch.sequence[i]) for i in waiting}
        return [(sequence[one.subject], one) for one in self._judge_held(due, outcome, sequence)]

    def _judge_held(
        self, due: Sequence[tuple[int, Held]], outcome: Outcome, sequence: Mapping[str, int] = MappingProxyType({})
    ) -> list[Transition]:
        """Judge held filings as they are: nobody answered in time. They count as unconfirmed from now on.

        sequence: the place of the filing that showed it, by institution.
        """
        questions = self.questions
        if questions is None or not due:
            return []
        changed: dict[int, tuple[int, int]] = {}
        by_form: dict[str, list[tuple[int, int, Held]]] = {}
        for place, (row, held) in enumerate(due):
            questions.release(row, held.form, held.as_of)
            known = held.form in self.world.stores
            state: State = "unconfirmed" if known else "withdrawn"
            code = self.institutions[row].code
            outcome.questions.append(Question(state, code, held, held.expires, sequence.get(code, -1)))
            changed[row] = max(changed.get(row, (int(NEVER), 0)), (held.expires, 0))
            if known:
                by_form.setdefault(held.form, []).append((place, row, held))
        found: list[Transition] = []
        aside = Outcome()  # nothing is refused that was held, but records are named by their place in the batch
        for step in _steps([self._as_batch(form, some) for form, some in by_form.items()]):
            for batch in step:
                outcome.beside.append(batch)
                said = self._apply_one_each(batch, aside)
                for row, as_of, revision in zip(
                    batch.rows.tolist(), batch.as_of.tolist(), batch.revision.tolist(), strict=True
                ):
                    questions.mark(row, batch.form, as_of, revision)
                found += self._evidence.tell(said, self.institutions)
        outcome.beyond += aside.beyond
        return found + self._evidence.tell(self._observe(changed, outcome), self.institutions)

    def _as_batch(self, form: str, some: Sequence[tuple[int, int, Held]]) -> FormBatch:
        """Return held filings, each with its place among all and its row, as columns."""
        names = self.world.stores[form].reported
        return FormBatch(
            form,
            np.array([row for _, row, _ in some], np.int32),
            np.array([held.as_of for _, _, held in some], np.int64),
            np.array([held.submitted_at for _, _, held in some], np.int64),
            np.array([held.revision for _, _, held in some], np.int32),
            np.array([held.offset for _, _, held in some], np.int64),
            np.array([place for place, _, _ in some], np.int64),
            np.array([[held.values.get(name, np.nan) for _, _, held in some] for name in names]).reshape(-1, len(some)),
            np.ones(len(some), np.bool_),
        )

    def _ask(
        self, questions: Questions, batch: FormBatch, values: Floats, order: NDArray[np.intp] | None, outcome: Outcome
    ) -> tuple[FormBatch, NDArray[np.intp] | None, dict[int, tuple[int, int]]]:
        """Hold the filings whose scale is in question.

        Returns the others, the columns of `values` that they have, and when and by which filing the questions of
        institutions changed, by row.
        """
        store = self.world.stores[batch.form]
        suspects = questions.suspects(store, batch.rows, batch.as_of, values, order, batch.odd)
        changed: dict[int, tuple[int, int]] = {}
        taken = np.zeros(len(batch.rows), np.bool_)
        for at, findings in zip(suspects.at.tolist(), suspects.findings, strict=True):
            row, as_of, revision = int(batch.rows[at]), int(batch.as_of[at]), int(batch.revision[at])
            if batch.confirmed is not None and batch.confirmed[at]:
                continue
            if store.would_refuse(row, as_of, revision):
                continue
            taken[at] = True
            submitted, sequence = int(batch.submitted_at[at]), int(batch.sequence[at])
            self.applied[row] = max(int(self.applied[row]), int(batch.offset[at]))
            self.world.now = max(self.world.now, submitted)
            column = values[:, at if order is None else order[at]]
            told = {store.reported[place]: float(column[place]) for place in np.flatnonzero(~np.isnan(column)).tolist()}
            form = self.world.catalogue.forms[batch.form]
            expires = answer_by(form, as_of, submitted, self.world.country)
            held = Held(batch.form, as_of, submitted, revision, int(batch.offset[at]), expires, told, tuple(findings))
            code = self.institutions[row].code
            before = questions.held.get(row, {}).get((batch.form, as_of))
            what = f"revision {revision} of {code} / {batch.form}"
            if before is not None and revision < before.revision:
                entry = (
                    "revision_backwards",
                    f"{what} is older than the revision that is held: its units are in question",
                )
            elif before is not None and revision == before.revision and told == before.values:
                entry = (
                    "duplicate",
                    f"{what} is held already, because its units are in question: send it with 'confirms'",
                )
            elif before is None and questions.count(row) >= MOST_HELD:
                entry = (
                    "scale",
                    f"{what}: its units are in question, and {MOST_HELD} filings of {code} are held already",
                )
            else:
                if before is not None:
                    outcome.questions.append(Question("superseded", code, before, submitted, sequence))
                questions.hold(row, held)
                outcome.questions.append(Question("asked", code, held, submitted, sequence))
                changed[row] = (submitted, sequence)
                continue
            outcome.refused.append((sequence, *entry))
        if not taken.any():
            return batch, order, changed
        left = np.flatnonzero(~taken)
        return batch.take(left), left if order is None else order[left], changed

    def _answer(
        self, questions: Questions, batch: FormBatch, changed: dict[int, tuple[int, int]], outcome: Outcome
    ) -> None:
        """Close the questions to which filings that are in the history now are the answer."""
        for at in questions.asked(batch.rows).tolist():
            row, as_of, revision = int(batch.rows[at]), int(batch.as_of[at]), int(batch.revision[at])
            questions.clear(row, batch.form, as_of)
            held = questions.held.get(row, {}).get((batch.form, as_of))
            if held is None or revision < held.revision:
                continue
            questions.release(row, batch.form, as_of)
            same = batch.confirmed is not None and batch.confirmed[at] and revision == held.revision
            submitted, sequence = int(batch.submitted_at[at]), int(batch.sequence[at])
            state: State = "confirmed" if same else "superseded"
            outcome.questions.append(Question(state, self.institutions[row].code, held, submitted, sequence))
            changed[row] = (submitted, sequence)

    def _observe(self, changed: dict[int, tuple[int, int]], outcome: Outcome) -> list[Said]:
        """File how many questions are open for institutions where that changed: rows, each with when and by what."""
        store = self.world.stores.get(OPEN_QUESTIONS)
        if store is None or self.questions is None or not changed:
            return []
        rows = np.array(sorted(changed), np.int32)
        moment = np.array([changed[row][0] for row in rows.tolist()], np.int64)
        batch = FormBatch(
            OPEN_QUESTIONS,
            rows,
            np.maximum(moment, store.newest(rows) + 1),  # two changes in one second follow each other
            moment,
            np.zeros(len(rows), np.int32),
            np.full(len(rows), -1, np.int64),
            np.array([changed[row][1] for row in rows.tolist()], np.int64),
            np.array([[float(self.questions.count(row)) for row in rows.tolist()]]),
        )
        outcome.beside.append(batch)
        return self._apply_one_each(batch, outcome)

    def _deadlines_before(self, batch: FormBatch, outcome: Outcome) -> list[Said]:
        """Judge, for those who file now, the deadlines that passed before and that no tick has told yet."""
        groups = [group for group in self.groups if batch.form in group.clocks and not group.across]
        found = self._pass_deadlines(groups, batch.rows, batch.submitted_at)
        found += self._close(batch.rows, batch.submitted_at)
        place = {int(row): i for i, row in enumerate(batch.rows)} if found else {}
        return [replace(said, sequence=int(batch.sequence[place[said.event.row]])) for said in found]

    def _apply_one_each(self, batch: FormBatch, outcome: Outcome) -> list[Said]:
        """Apply filings of one form, at most one an institution, in order of rows: so columns are read in one go."""
        store = self.world.stores[batch.form]
        values, order = batch.values, None
        batch = replace(batch, values=values[:0])
        if (batch.rows[1:] < batch.rows[:-1]).any():
            order = np.argsort(batch.rows, kind="stable")
            batch = batch.take(order)
        changed: dict[int, tuple[int, int]] = {}
        if self.questions is not None:
            batch, order, changed = self._ask(self.questions, batch, values, order, outcome)
        placed = store.place(batch.rows, batch.as_of, batch.revision, batch.offset, values, order)
        self.laps.lap("scatter")
        self.applied[batch.rows] = np.maximum(self.applied[batch.rows], batch.offset)
        if placed.verdict.any():
            self._refuse(batch, placed.verdict, outcome)
            chosen = np.flatnonzero(placed.verdict == ACCEPTED)
            batch = batch.take(chosen)
            placed_newest, placed_revised = placed.newest[chosen], placed.revised[chosen]
        else:
            placed_newest, placed_revised = placed.newest, placed.revised
        if self.questions is not None and len(batch.rows):
            self._answer(self.questions, batch, changed, outcome)
        cause = np.where(placed_revised, REVISED, np.where(placed_newest, FILED, LATE)).astype(np.int8)
        if len(batch.rows) and self._across & {batch.form}:
            self._touched.setdefault(batch.form, set()).update(np.unique(batch.as_of).tolist())
        if len(batch.rows):
            self.world.now = max(self.world.now, int(batch.submitted_at.max()))
        found: list[Said] = []
        still = batch.submitted_at < self.world.tenure.closed[batch.rows]
        if not still.all():  # it is history, and nobody's to act on
            batch, cause = batch.take(np.flatnonzero(still)), cause[still]
        self._closing |= bool((self.world.tenure.closed[batch.rows] <= self.world.clock).any())
        for group in self.groups:
            if group.across:
                continue
            if group.clocks:
                if batch.form in group.clocks:
                    found += self._judge_clock(group, batch, cause)
            elif batch.form in group.triggers:
                found += self._judge(group, batch, cause)
        if self.world.clock != NEVER:
            found += self._settle(found, batch, cause)
        return found + self._observe(changed, outcome)

    def _settle(self, found: Sequence[Said], batch: FormBatch, cause: NDArray[np.int8]) -> list[Said]:
        """Say what the filings of single institutions change of what is stale."""

        def because(row: int) -> Said:
            return self._attribute([Event(0, row, 0, 0, 0, 0, 0)], batch, cause)[0]

        return self.staleness.settle(found, batch.rows, [batch.form], ~self._shared, because, self.world.clock)

    def _refuse(self, batch: FormBatch, verdict: NDArray[np.int8], outcome: Outcome) -> None:
        outcome.beyond += int((verdict == BEYOND).sum())
        for i in np.flatnonzero((verdict == DUPLICATE) | (verdict == BACKWARDS)):
            what = f"revision {int(batch.revision[i])} of {self.institutions[batch.rows[i]].code} / {batch.form}"
            if verdict[i] == DUPLICATE:
                entry = ("duplicate", f"{what} was filed before")
            else:
                entry = ("revision_backwards", f"{what} is older than the revision that is known")
            outcome.refused.append((int(batch.sequence[i]), *entry))

    def _judge(self, group: Group, batch: FormBatch, cause: NDArray[np.int8]) -> list[Said]:
        """Judge what the filings change: one new date for most, all dates since for late and revised ones."""
        rows, at = batch.rows, batch.as_of
        fresh = at > group.judged[rows] if batch.form in group.forms else np.zeros(len(rows), bool)
        if cause.any() or len(group.forms) > 1:  # else all are filed as the newest of their form
            fresh &= at >= np.max([self.world.stores[form].newest(rows) for form in group.forms], axis=0)
        found: list[Said] = []
        if fresh.any():
            chosen = np.flatnonzero(fresh)
            before, after = self.judge.step(group, rows[chosen], at[chosen], self._system[rows[chosen]])
            told = events(before, after) + worsened(self.rules, self.world, batch.form, before, after)
            found += self._attribute(told, batch, cause)
        if not fresh.all():
            found += self._judge_again(group, batch.take(np.flatnonzero(~fresh)), cause[~fresh])
        return found

    def _judge_again(self, group: Group, batch: FormBatch, cause: NDArray[np.int8]) -> list[Said]:
        """Fold again from each filing's date to now, and say what came out differently."""
        rows = batch.rows
        dates = np.sort(np.concatenate([self.world.stores[f].as_of[:, rows] for f in sorted(group.forms)]), axis=0)
        dates[1:][dates[1:] == dates[:-1]] = NEVER
        since = np.maximum(batch.as_of, self._boundary(group, rows))
        if batch.form in group.forms:
            own = self._edge(batch.form, rows)
            since = np.where(batch.as_of < own, 2**62, since)
        dates[dates < since] = NEVER
        dates = np.sort(dates, axis=0)
        return self._fold_again(group, batch, cause, since, dates)

    def _fold_again(
        self, group: Group, batch: FormBatch, cause: NDArray[np.int8], since: Longs, dates: Longs
    ) -> list[Said]:
        """dates: [k, n] ascending, NEVER where there is nothing to do."""
        rows = batch.rows
        taken = self.fold.rewind(group.index, rows, since)
        before = self.fold.latest[np.ix_(group.index, rows)]
        old = by_pair(self._old_events(taken))
        new: dict[tuple[int, int], list[Event]] = {}
        group.judged[rows] = np.where(group.judged[rows] >= since, NEVER, group.judged[rows])
        for layer in dates[(dates != NEVER).any(axis=1)]:
            chosen = np.flatnonzero(layer != NEVER)
            step = self.judge.step(group, rows[chosen], layer[chosen], self._system[rows[chosen]])
            by_pair(events(*step), new)
        # only what was said before, or is said now, is looked at pair by pair
        touched = sorted(old.keys() | new.keys())
        if not touched:
            return []
        rule, row = (np.array(column, np.int32) for column in zip(*touched, strict=True))
        place = np.argsort(group.index)[np.searchsorted(np.sort(group.index), rule)]
        position = np.searchsorted(rows, row)
        firsts = standings(self.fold.at(before[place, position], rule, row))
        lasts = standings(self.fold.state(rule, row))
        said: list[Event] = []
        for pair, first, last, date in zip(touched, firsts, lasts, dates[-1][position].tolist(), strict=True):
            if date == NEVER:  # an edited rule reads forms of which nothing was filed: as of what it said last
                date = old[pair][-1].date
            said += differences(first, old.get(pair, ()), new.get(pair, ()), last, date)
        return self._attribute(said, batch, cause)

    def _old_events(self, taken: Records) -> list[Event]:
        """Events that the records taken back had said, by pair and oldest first."""
        return events(self.fold.at(taken.previous, taken.rule, taken.row), taken)

    def _judge_across(self, touched: Mapping[str, set[int]], filed: Ints | None = None) -> list[Said]:
        """Judge rules on values across institutions, for all of them, at the dates touched and since.

        filed: rows of those who filed, -1 among them for unknown ones.
        """
        found: list[Said] = []
        by = self._knowledge(touched)
        self.world.members = np.flatnonzero(self._active & ~self._system).astype(np.int32)
        self._date_system(touched)
        rows = np.flatnonzero(self._active & (self.world.tenure.closed > self.world.now)).astype(np.int32)
        for group in self.groups:
            dates = [date for form in group.triggers for date in touched.get(form, ())]
            if not group.across or not dates:
                continue
            newest = np.max([self.world.stores[form].newest(rows) for form in group.forms], axis=0)
            chosen = rows[newest >= min(dates)]
            n = len(chosen)
            if not n:
                continue
            cause = FILED if min(dates) >= int(newest.max()) else LATE
            filings = FormBatch(
                form="",
                rows=chosen,
                as_of=np.full(n, min(dates), np.int64),
                submitted_at=np.full(n, self.world.now, np.int64),
                revision=np.zeros(n, np.int32),
                offset=np.full(n, -1, np.int64),
                sequence=np.zeros(n, np.int64),
                values=np.zeros((0, n)),
            )
            told = self._judge_again(group, filings, np.full(n, cause, np.int8))
            found += [replace(said, by=by) for said in told]
        if self.world.clock != NEVER:
            found += self._settle_across(found, by, touched, filed)
        return found

    def _settle_across(self, found: Sequence[Said], by: str, forms: Iterable[str], filed: Ints | None) -> list[Said]:
        """Say what filings change of alerts of rules across institutions that are stale, the system's own too."""
        seen, system = self.world.now, np.flatnonzero(self._system)
        rows = np.zeros(0, np.int32) if filed is None else np.union1d(filed[filed >= 0], system).astype(np.int32)

        def because(row: int) -> Said:
            return Said(Event(0, row, 0, 0, 0, 0, 0), "filed", seen, by)

        return self.staleness.settle(found, rows, forms, self._shared, because, self.world.clock)

    def _knowledge(self, touched: Mapping[str, set[int]]) -> str:
        """How much is known of the dates touched: it grows with every filing, and with every deadline."""
        known = [self.world.now]
        for form, dates in sorted(touched.items()):
            store = self.world.stores[form]
            at = np.isin(store.as_of, list(dates))
            known += [min(dates), int((store.revision[at].astype(np.int64) + 1).sum())]
        return "/".join(map(str, known))

    def _date_system(self, touched: Mapping[str, set[int]]) -> None:
        """Give the system's own row the dates touched, as filings without values, so that it is judged at them.

        What it has filed itself stays: its measures belong to the same forms as those of institutions.
        """
        row = self._rows.get(SYSTEM)
        if row is None:
            return
        rows = np.array([row], np.int32)
        for form, dates in touched.items():
            store = self.world.stores[form]
            new = np.array(sorted(dates.difference(store.as_of[:, row].tolist())), np.int64)
            blank = np.full((len(store.reported), 1), np.nan)
            for date in new:
                store.place(rows, date[None], np.zeros(1, np.int32), np.full(1, -1, np.int64), blank)

    def _edge(self, form: str, rows: Ints) -> Longs:
        """The oldest as-of date of the form at which a filing still changes states."""
        store = self.world.stores[form]
        horizon = min(self.program.catalogue.forms[form].horizon, store.depth)
        found: Longs = store.as_of[store.order[horizon - 1, rows], rows]
        return found

    def _boundary(self, group: Group, rows: Ints) -> Longs:
        found: Longs = np.max([self._edge(form, rows) for form in sorted(group.forms)], axis=0)
        return found

    def _judge_clock(self, group: Group, batch: FormBatch, cause: NDArray[np.int8]) -> list[Said]:
        """A filing met its deadline, or was late for it: judge at the moment it was submitted."""
        rows = batch.rows
        judged = group.judged[rows]
        ticked = judged != NEVER
        if not ticked.any():
            return []
        batch, cause = batch.take(np.flatnonzero(ticked)), cause[ticked]
        at = np.maximum(batch.submitted_at, group.judged[batch.rows])
        return self._fold_again(group, batch, cause, at, at[None, :].copy())

    def _attribute(self, found: Sequence[Event], batch: FormBatch, cause: NDArray[np.int8]) -> list[Said]:
        """Join events with the filing that caused them. The batch's rows are in order."""
        if not found:
            return []
        at = np.searchsorted(batch.rows, [event.row for event in found])
        columns = (cause, batch.submitted_at, batch.as_of, batch.revision, batch.sequence)
        told = zip(found, *(column[at].tolist() for column in columns), strict=True)
        by = _Filings(batch.form)
        return [
            Said(event, CAUSES[why], seen, by[as_of, revision], sequence)
            for event, why, seen, as_of, revision, sequence in told
        ]

    def tick(self, now: int) -> Outcome:
        """Judge rules with `overdue` at every deadline that has passed since they were judged last.

        The time of a transition is the deadline, not `now`: whoever ticks, and when, gives the same ids. An
        institution that was never judged starts with each form's latest deadline when it was registered or, where
        nobody knows when that was, the latest there is. When it closes its alerts end.
        """
        outcome = Outcome()
        self.laps.start()
        before = self.judge.tally.evaluated
        rows = np.flatnonzero(self._active).astype(np.int32)
        held = self._judge_held(self.questions.due(now), outcome) if self.questions is not None else []
        groups = [group for group in self.groups if group.clocks and not group.across]
        found = self._pass_deadlines(groups, rows, np.full(len(rows), now, np.int64), first=True)
        passed: dict[str, set[int]] = {}
        for form in self._with_deadlines():
            wanted = expected(self.program.catalogue.forms[form], now, self.world.country)
            if wanted is not None and wanted[0] > (known := self._due.get(form, int(NEVER))):
                self._due[form] = wanted[0]
                passed[form] = {wanted[1], *self._passed(form, known, now)}
        self._ticked = max(self._ticked, now)
        closing = self.world.tenure.closed[rows]
        if self._closing or ((closing > self.world.clock) & (closing <= now)).any():
            self._closing = False
            found += self._close(rows, np.full(len(rows), now, np.int64))
        found += self._judge_edited(now)
        before_now = self.world.clock
        found += self._end_waivers(now)
        found += self._run_out(found, before_now)
        self.world.now = max(self.world.now, now)
        if passed:
            found += [replace(said, cause="clock") for said in self._judge_across(passed)]
        self.laps.lap("rules")
        outcome.transitions = held + self._evidence.tell(found, self.institutions)
        outcome.transitions += self._end_left_over(now)
        outcome.evaluated = self.judge.tally.evaluated - before
        self.laps.lap("transitions")
        outcome.seconds = self.laps.take()
        return outcome

    def _passed(self, form: str, known: int, now: int) -> set[int]:
        """As-of seconds that somebody filed for and whose deadline passed since `known`: many after a standstill."""
        catalogue, country = self.program.catalogue.forms[form], self.world.country
        filed = np.unique(self.world.stores[form].as_of).tolist()
        return {at for at in filed if at != NEVER and known < due_at(catalogue, at, country) <= now}

    def _pass_deadlines(self, groups: Sequence[Group], rows: Ints, until: Longs, first: bool = False) -> list[Said]:
        """Judge the rows at every deadline since their last judgement, `until` [n] included.

        Rows that were never judged begin with each form's latest deadline when they were registered. Where nobody knows
        when that was they are judged with `first` alone, at each form's latest deadline. Nobody is from closing on.
        """
        found: list[Said] = []
        if not len(rows):
            return found
        told, until = until, np.minimum(until, self.world.tenure.closed[rows] - 1)
        for group in groups:
            judged = self._judged(group, rows, told)
            never = judged == NEVER
            after = int(judged[~never].min()) if not never.all() else int(until.max())
            moments: set[int] = set()
            latest: set[int] = set()
            for form in sorted(group.clocks):
                passed = deadlines(self.program.catalogue.forms[form], after, int(until.max()), self.world.country)
                moments.update(due for due, _ in passed)
                newest = expected(self.program.catalogue.forms[form], int(until.max()), self.world.country)
                if first and never.any() and newest is not None:
                    latest.add(newest[0])
            for moment in sorted(moments | latest):
                chosen = rows[((~never & (judged < moment)) | (never & (moment in latest))) & (moment <= until)]
                if len(chosen):
                    states = self.judge.step(group, chosen, np.full(len(chosen), moment), self._system[chosen])
                    found += [Said(event, "clock", moment, "clock") for event in events(*states)]
        return sorted(found, key=lambda said: said.event.date)

    def _judged(self, group: Group, rows: Ints, until: Longs) -> Longs:
        """Until when deadlines were looked at for each row; NEVER where nobody can say where to begin.

        What was filed before the registration is history: by then, `until`, nobody looked.
        """
        found = group.judged[rows].copy()
        registered = self.world.tenure.registered[rows]
        new = (found == NEVER) & (registered != NEVER) & (registered <= until)
        for moment in np.unique(registered[new]).tolist():
            found[new & (registered == moment)] = self._before(group, moment)
        return found

    def _before(self, group: Group, moment: int) -> int:
        """Just before the latest deadlines of the group's forms at a moment."""
        forms = (self.program.catalogue.forms[form] for form in sorted(group.clocks))
        latest = [due[0] for form in forms if (due := expected(form, moment, self.world.country)) is not None]
        return min(latest, default=moment) - 1

    def watch_from(self, group: Group, rows: Ints, moment: int) -> None:
        """Have rules that are new begin with the latest deadlines at a moment, for the rows that were there then."""
        there = rows[self.world.tenure.registered[rows] <= moment]
        if group.clocks and moment != NEVER:
            group.judged[there] = self._before(group, moment)

    def _close(self, rows: Ints, until: Longs) -> list[Said]:
        """End what is open of those of the rows that closed until then, [n]: nobody is there to act on it."""
        closed = self.world.tenure.closed
        gone = rows[closed[rows] <= until]
        if not len(gone):
            return []
        groups = [group for group in self.groups if group.clocks and not group.across]
        found = self._pass_deadlines(groups, gone, closed[gone])  # what was missed until then belongs before the end
        standing = self.fold.open()
        standing = standing.take(np.isin(standing.row, gone))
        at = np.maximum(closed[standing.row], standing.date)
        said = [Said(event, "retired", event.date, "closed") for event in _ends_of(standing, at)]
        self.fold.forget(gone)
        self.staleness.forget(gone)
        return found + sorted(said, key=lambda one: one.event.date)

    def _end_waivers(self, now: int) -> list[Said]:
        """Tell of open alerts that a waiver silenced until now.

        Their states become those that judging them now would give, so that the order of filings and ticks is of
        no account.
        """
        found: list[Said] = []
        for index, rule in enumerate(self.rules):
            for waiver in rule.waivers:
                row = self._rows.get(waiver.institution, -1)
                end = ends(waiver, self.world)
                if row < 0 or end > now or waiver in self.ended:
                    continue
                self.ended.add(waiver)
                before, after = self.fold.lift(index, row, WAIVED, waiver.since, waiver.until)
                after.date[:] = waiver.until
                found += [Said(event, "clock", end, "waiver") for event in events(before, after)]
        self.world.clock = max(self.world.clock, now)
        return found

    def mark_edited(self, rules: Iterable[int], rows: Ints) -> None:
        """Have the next tick judge these rules again for institutions whose state other rules left."""
        self._edited.update(rules)
        if self._edited:
            self._edited_rows.update(rows.tolist())

    def mark_left_over(self, alert: Leftover) -> None:
        """Have the next tick, or `rejudge`, end an alert whose rule is not judged any more."""
        self._left_over.append(alert)

    @property
    def edited(self) -> bool:
        """Whether other rules left the state, and what that changes of open alerts is not told yet."""
        return bool(self._edited or self._left_over)

    def rejudge(self, now: int, rows: Iterable[int] | None = None) -> Outcome:
        """Tell what an edit of rules changes of open alerts: what the next tick would, without passing time.

        rows: only of these institutions, which must not be where rules look across institutions.
        """
        outcome = Outcome()
        before = self.judge.tally.evaluated
        found = self._judge_edited(now, rows)
        if found and self.world.clock != NEVER:
            nobody = np.zeros(0, np.int32)
            found += self.staleness.settle(found, nobody, (), self._shared, lambda row: found[0], self.world.clock)
        outcome.transitions = self._evidence.tell(found, self.institutions) + self._end_left_over(now)
        outcome.evaluated = self.judge.tally.evaluated - before
        return outcome

    def _end_left_over(self, now: int) -> list[Transition]:
        """End the alerts of rules that are not judged any more."""
        left, self._left_over = [one for one in self._left_over if self._active[one.row]], []
        rules, said = endings(left, now)
        return Evidence(rules, self.world).tell(said, self.institutions)

    def _judge_edited(self, now: int, only: Iterable[int] | None = None) -> list[Said]:
        """Fold edited rules again over the history at hand; say what comes out otherwise."""
        found: list[Said] = []
        chosen = self._edited_rows if only is None else self._edited_rows.intersection(only)
        marked, everyone = self._edited, np.array(sorted(chosen), np.int32)
        self._edited_rows = self._edited_rows - chosen
        self._edited = marked if self._edited_rows else set()
        if not marked or not len(everyone):
            return found
        self.world.members = np.flatnonzero(self._active & ~self._system).astype(np.int32)
        rows = everyone[self._active[everyone] & (self.world.tenure.closed[everyone] > now)]
        n = len(rows)
        whole = FormBatch(
            form="",
            rows=rows,
            as_of=np.full(n, NEVER),
            submitted_at=np.full(n, now, np.int64),
            revision=np.zeros(n, np.int32),
            offset=np.full(n, -1, np.int64),
            sequence=np.zeros(n, np.int64),
            values=np.zeros((0, n)),
        )
        for group in self.groups:
            edited = part(group, marked)
            if edited is not None and not edited.clocks and n:
                told = self._judge_again(edited, whole, np.full(n, EDITED, np.int8))
                found += [replace(said, by=f"edit/{self.rules[said.event.rule].hash}") for said in told]
        return found

    def _run_out(self, found: Sequence[Said], last: int) -> list[Said]:
        """Tell of open alerts whose data ran out since the last tick."""
        staleness, now = self.staleness, self.world.clock
        told = staleness.pass_time(now) if staleness.look or staleness.ran_out(last, now) else []
        nobody = np.zeros(0, np.int32)
        return told + staleness.settle(found, nobody, (), self._shared, lambda row: found[0], now)

    def _with_deadlines(self) -> set[str]:
        forms = self.program.catalogue.forms
        return {form for form in self._across if has_deadline(forms[form])}

    def _compact(self) -> None:
        if self.fold.size < self._compact_at:
            return
        boundary = np.full(self.fold.latest.shape, NEVER)
        rows = np.arange(len(self.institutions), dtype=np.int32)
        for group in self.groups:
            if not group.clocks:
                boundary[np.ix_(group.index, rows)] = self._boundary(group, rows)
        self.fold.compact(boundary)
        self._compact_at = max(COMPACT_EVERY, 2 * self.fold.size)

    @property
    def now(self) -> int:
        """The latest time that filings or ticks have told, in seconds; 0 before any."""
        return self.world.now

    def active(self) -> list[Active]:
        """Return every pair that is pending or firing now."""
        records = self.fold.open()
        pending = records.pending
        return [
            Active(
                rule=self.rules[records.rule[i]].id,
                subject=self.institutions[records.row[i]].code,
                state="pending" if pending[i] else "firing",
                severity=SEVERITIES[max(0, records.held[i]) if pending[i] else records.level[i]],
                started=int(records.started[i]),
                status=self.rules[records.rule[i]].status,
                suppressed_by=tuple(reasons(self.rules[records.rule[i]], int(records.muted[i]))),
                overdue=self._overdue(int(records.rule[i]), int(records.row[i])),
            )
            for i in range(len(records))
        ]

    def _overdue(self, rule: int, row: int) -> tuple[str, ...]:
        if not self.staleness.is_told(rule, row):
            return ()
        return tuple(lapse.form for lapse in self.staleness.lapses(rule, row, self.world.clock))

    def held(self, rule: str, code: str) -> int:
        """Return the level of a rule that holds for an institution at its newest date: 0 none, -1 unknown."""
        for group in self.groups:
            for i, one in enumerate(group.rules):
                if one.id == rule:
                    row = np.array([self._rows[code]], np.int32)
                    at = group.judged[row]
                    if at[0] == NEVER:
                        return -1
                    return int(self.judge.held(group, i, Context(self.world, row, at), self._system[row])[0])
        raise KeyError(rule)

    def why_unknown(self, rule: str, code: str) -> str:
        """Return why a rule's outcome is unknown for an institution at its newest date; '' where it is known."""
        for group in self.groups:
            for i, one in enumerate(group.rules):
                if one.id == rule:
                    row = np.array([self._rows[code]], np.int32)
                    at = group.judged[row]
                    if at[0] == NEVER:
                        return "not filed"
                    return self.judge.why_unknown(group, i, Context(self.world, row, at), self._system[row])[0]
        raise KeyError(rule)

    def system_at(self, dates: Sequence[int]) -> Context:
        """Return the context in which values of the system are read at these dates (seconds)."""
        self.world.members = np.flatnonzero(self._active & ~self._system).astype(np.int32)
        return Context(self.world, np.full(len(dates), self.row(SYSTEM), np.int32), np.array(dates, np.int64))

    def unknown_counts(self) -> dict[str, dict[str, int]]:
        """Return how often each rule's outcome was unknown, by reason, since the start."""
        counts = self.judge.tally.unknown
        return {
            rule.id: {REASONS[i]: int(counts[i, number]) for i in np.flatnonzero(counts[:, number])}
            for number, rule in enumerate(self.rules)
            if counts[:, number].any()
        }

    def free(self, rows: Iterable[int]) -> None:
        """Have institutions that come take these rows first: nobody is in them."""
        self._free += rows

    def set_clocks(self, other: Engine) -> None:
        """Take over what another engine knows of the time."""
        self.world.now, self.world.clock, self._ticked = other.world.now, other.world.clock, other._ticked

    def export(self, rows: Sequence[int]) -> bytes:
        """Return the state of these institutions as bytes that say what they are."""
        from rules.checkpoint import export

        return export(self, rows)

    def restore(self, blob: bytes) -> list[str]:
        """Take in state that `export` gave; return the institutions' codes. Unknown ones are registered bare."""
        from rules.checkpoint import restore

        return restore(self, blob)


def _ends_of(standing: Records, at: Longs) -> list[Event]:
    """What there is to say where all that stands ends, at seconds [n]."""
    quiet = Records.empty(len(standing))
    quiet.rule, quiet.row, quiet.date = standing.rule, standing.row, at
    return events(standing, quiet)


class _Filings(dict[tuple[int, int], str]):
    """Names the filings of a form, by as-of second and revision; most of a batch have the same."""

    def __init__(self, form: str) -> None:
        self._form = form

    def __missing__(self, key: tuple[int, int]) -> str:
        as_of, revision = key
        found = self[key] = f"{self._form}/{as_of}/{revision}"
        return found


def _wider(array: NDArray[Any], rows: int, blank: object) -> NDArray[Any]:
    fresh = np.full(rows, blank, array.dtype)
    fresh[: len(array)] = array
    return fresh


def _steps(batches: Sequence[FormBatch]) -> Iterable[list[FormBatch]]:
    """Cut batches into steps in which every institution has at most one filing, in order of arrival."""
    batches = [b for b in batches if len(b.rows)]
    if not batches:
        return
    if len(batches) == 1 and (batches[0].rows[1:] > batches[0].rows[:-1]).all():
        yield list(batches)
        return
    rows = np.concatenate([b.rows for b in batches])
    sequence = np.concatenate([b.sequence for b in batches])
    order = np.lexsort((sequence, rows))
    ordered = rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.empty(len(rows), np.intp)
    rank[order] = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    if rank.max() == 0:
        yield list(batches)
        return
    edges = np.cumsum([0, *(len(b.rows) for b in batches)])
    for step in range(int(rank.max()) + 1):
        parts = []
        for i, batch in enumerate(batches):
            chosen = np.flatnonzero(rank[edges[i] : edges[i + 1]] == step)
            if len(chosen):
                parts.append(batch.take(chosen))
        yield parts
