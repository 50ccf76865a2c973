"""Running tables: rows into a fresh engine one by one, and after each how the rule stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from rules.catalogue import Catalogue
from rules.context import Context
from rules.engine import Engine, FormBatch
from rules.operations import number
from rules.pack import Program
from rules.plan import Node, Rule
from rules.rendering import Renderer, renderer
from rules.testing.coverage import Goal, reached
from rules.testing.tables import LEVEL, NOBODY, STALE, SUPPRESSED, Case, Row, names_in
from rules.thresholds import thresholds
from rules.transitions import SEVERITIES

MOST_COMPUTED = 3
"""How many computed values a timeline shows."""


@dataclass(frozen=True, slots=True)
class Step:
    """What came out at a row: by column of the table what was found, and values that the rule computes.

    `overdue` are the forms for want of which the alert is stale.
    """

    row: Row
    found: dict[str, str]
    computed: dict[str, float]
    overdue: tuple[str, ...] = ()

    @property
    def level(self) -> str:
        """The level found, or unknown, without the reason."""
        return self.found[LEVEL].partition(":")[0]

    @property
    def wrong(self) -> dict[str, str]:
        """What was expected and did not come, by column."""
        return {
            column: expected
            for column, expected in self.row.expected.items()
            if expected not in (self.found[column], self.found[column].partition(":")[0])
            and not (column == SUPPRESSED and sorted(names_in(expected)) == names_in(self.found[column]))
            and not (column == LEVEL and self._stale(expected))
        }

    def _stale(self, expected: str) -> bool:
        """Whether `stale` or `stale: form` is expected, and it is so."""
        level, _, form = expected.partition(":")
        return level == STALE and (form.strip() in self.overdue if form else bool(self.overdue))

    @property
    def ok(self) -> bool:
        """Whether everything that the row asserts came."""
        return not self.wrong


@dataclass(frozen=True, slots=True)
class Result:
    """A case that ran; `goals` are the parts of its rule that it has reached."""

    case: Case
    steps: tuple[Step, ...]
    goals: frozenset[Goal]

    @property
    def ok(self) -> bool:
        """Whether every row came out as expected."""
        return all(step.ok for step in self.steps)

    def timeline(self) -> str:
        """Return the rows as text: values, states, and what was expected where it did not come."""
        from rules.testing.timeline import timeline

        return timeline(self)


def run_case(case: Case, program: Program) -> Result:
    """File the rows one by one into a fresh engine and compare the rule's outcome after each.

    The clock is that of the rows: deadlines pass as they arrive.
    """
    rule = program.rule(case.rule)
    engine = Engine(_needed(program, rule), case.institutions)
    computed = _computed(rule, renderer(program))
    steps: list[Step] = []
    goals: set[Goal] = set()
    for row in case.rows:
        engine.tick(row.seen_at)
        if row.values:
            engine.apply(_filings(engine, row, program.catalogue))
        before = next((s.level for s in reversed(steps) if s.row.institution == row.institution), "none")
        found, overdue = _found(engine, rule, row.institution)
        step = Step(row, found, dict(_values(engine, row, computed)), overdue)
        goals |= reached(rule, engine, row, before, step.level, names_in(step.found[SUPPRESSED]))
        steps.append(step)
    return Result(case, tuple(steps), frozenset(goals))


def _needed(program: Program, rule: Rule) -> Program:
    """The program without rules that can't matter to this one: what it asks for and what suppresses it stay."""
    wanted = {rule.id}
    while (
        more := {asked for other in program.rules if other.id in wanted for asked in other.asks | other.heeds} - wanted
    ):
        wanted |= more
    return replace(program, rules=tuple(other for other in program.rules if other.id in wanted))


def _filings(engine: Engine, row: Row, catalogue: Catalogue) -> list[FormBatch]:
    forms = dict.fromkeys(catalogue.indicators[name].form for name in row.values)
    one = np.ones(1, np.int64)
    return [
        FormBatch(
            form=form,
            rows=engine.rows([row.institution]),
            as_of=one * row.as_of,
            submitted_at=one * row.seen_at,
            revision=np.array([row.revision], np.int32),
            offset=-one,
            sequence=one * position,
            values=np.array([[row.values.get(name, np.nan)] for name in catalogue.reported(form)]),
        )
        for position, form in enumerate(forms)
    ]


def _found(engine: Engine, rule: Rule, institution: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """How the rule stands for the institution, by column of the table; and which forms it is in want of."""
    for active in engine.active():
        if active.rule == rule.id and active.subject == institution:
            level = "pending" if active.state == "pending" else active.severity
            silent = ", ".join(sorted(active.suppressed_by)) or NOBODY
            return {LEVEL: level, SUPPRESSED: silent}, active.overdue
    reason = engine.why_unknown(rule.id, institution)
    return {LEVEL: f"unknown: {reason}" if reason else SEVERITIES[0], SUPPRESSED: NOBODY}, ()


def _computed(rule: Rule, render: Renderer) -> dict[str, Node]:
    """What the levels compare with numbers and the table does not show: all but plain indicators."""
    nodes = [one.value for level in rule.levels for one in thresholds(level.condition)]
    chosen = {node.id: node for node in nodes if node.op != "column"}
    return {render(node): node for node in list(chosen.values())[:MOST_COMPUTED]}


def _values(engine: Engine, row: Row, computed: dict[str, Node]) -> Iterator[tuple[str, float]]:
    context = Context(engine.world, engine.rows([row.institution]), np.array([row.as_of], np.int64))
    for name, node in computed.items():
        yield name, float(number(node, context)[0])
