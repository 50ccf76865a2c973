"""Coverage: which levels of a rule, and which sides of its conditions, no test reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

import numpy as np

from rules.context import Context
from rules.engine import Engine
from rules.operations import truth
from rules.pack import Program
from rules.plan import Node, Rule, walk
from rules.rendering import Renderer
from rules.testing.tables import Row
from rules.transitions import SEVERITIES

if TYPE_CHECKING:
    from rules.testing.running import Result

OPEN = SEVERITIES[1:]
WHERE = "where"
LEVEL, INHIBITOR = -1, -2


@dataclass(frozen=True, slots=True)
class Goal:
    """Something a test should reach: a level of the rule, or a condition's outcome.

    `key` says where the condition stands (`where`, `clear`, `unless`, or a level that it is part of). Without a
    condition `node` is -1, and `key` a level; or -2, and `key` a rule that suppresses this one.
    """

    key: str
    node: int = LEVEL
    outcome: bool = True


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the tests reach of one rule, and what they don't."""

    rule: Rule
    reached: tuple[Goal, ...]
    unreached: tuple[Goal, ...]

    @property
    def missed(self) -> tuple[str, ...]:
        """Levels that no test shows; `none` is one of them."""
        return tuple(goal.key for goal in self.unreached if goal.node == LEVEL)

    def lines(self, render: Renderer) -> Iterator[str]:
        """Say what is not reached, a line each."""
        if self.missed:
            yield f"no test reaches {', '.join(self.missed)}"
        nodes = {part.id: part for _, condition in _conditions(self.rule) for part in walk(condition)}
        for goal in self.unreached:
            if goal.node == INHIBITOR:
                yield f"no test shows it suppressed by {goal.key}"
            elif goal.node != LEVEL:
                yield f"{goal.key}: never {'true' if goal.outcome else 'false'} in a test: {render(nodes[goal.node])}"


def coverage(program: Program, results: Sequence[Result]) -> list[Coverage]:
    """Return for each rule what some test has reached, and what none did; retired rules have nothing to reach.

    A `where` that several rules share is reached by a test of any of them, and is counted with the first.
    """
    seen: dict[str, set[Goal]] = {}
    for result in results:
        seen.setdefault(result.case.rule, set()).update(result.goals)
    anywhere = {goal for mine in seen.values() for goal in mine if goal.key == WHERE}
    counted: set[Goal] = set()
    found = []
    for rule in program.rules:
        if rule.status != "retired":
            mine = seen.get(rule.id, set()) | anywhere
            wanted = [goal for goal in goals(rule) if goal not in counted]
            counted.update(goal for goal in wanted if goal.key == WHERE)
            hit = [goal in mine for goal in wanted]
            found.append(Coverage(rule, tuple(compress(wanted, hit)), tuple(compress(wanted, (not h for h in hit)))))
    return found


def share(found: Iterable[Coverage]) -> float:
    """Return which part of all goals is reached, 0 to 1; 1 where there are none."""
    found = list(found)
    reached_ = sum(len(one.reached) for one in found)
    total = reached_ + sum(len(one.unreached) for one in found)
    return reached_ / total if total else 1.0


def goals(rule: Rule) -> list[Goal]:
    """Everything a rule's tests should reach.

    Every level and none; `where`, `clear` and `unless` each true and false; each rule that suppresses it; and where
    a condition has several parts, each side of its and, or, if … else both true and false.
    """
    found = [Goal(level) for level in ("none", *(SEVERITIES[level.number] for level in rule.levels))]
    told: set[int] = set()
    for key, condition in _conditions(rule):
        parts = list(_parts(condition))
        if key not in OPEN and condition.id not in {part.id for part in parts}:
            parts.insert(0, condition)
        if key in OPEN and parts == [condition]:
            continue
        for part in parts:
            if part.id not in told and part.op != "truth":
                told.add(part.id)
                found += [Goal(key, part.id, True), Goal(key, part.id, False)]
    return found + [Goal(inhibitor.rule, INHIBITOR) for inhibitor in rule.inhibited_by]


def _conditions(rule: Rule) -> list[tuple[str, Node]]:
    found = [(SEVERITIES[level.number], level.condition) for level in rule.levels]
    named = [(WHERE, rule.where), ("clear", rule.clear), ("unless", rule.unless)]
    return found + [(key, node) for key, node in named if node is not None]


def _parts(condition: Node) -> Iterator[Node]:
    """The sides of and, or, not and if … else, and what an if inside a number asks."""
    stack = [condition]
    while stack:
        node = stack.pop()
        if node.op in ("and", "or", "not") or (node.op == "choice" and node.kind == "truth"):
            stack.extend(reversed(node.args))
            continue
        yield node
        stack.extend(below.args[0] for below in walk(node) if below.op == "choice")


def reached(rule: Rule, engine: Engine, row: Row, before: str, level: str, silent: Sequence[str]) -> set[Goal]:
    """Return what of the rule a row has reached: how it stood `before`, its `level` after it, and what is `silent`.

    Conditions count at the row's date, for its institution, and for all where the rule looks at several. What
    `clear` says counts only while an alert is open, and `unless` where one is.
    """
    found = {Goal(level), *(Goal(name, INHIBITOR) for name in silent)}
    rows = np.arange(len(engine.institutions), dtype=np.int32) if rule.across else engine.rows([row.institution])
    at = row.seen_at if rule.clocks else row.as_of
    context = Context(engine.world, rows, np.full(len(rows), at, np.int64))
    conditions = dict(_conditions(rule))
    if before not in OPEN:
        conditions.pop("clear", None)
    if level not in OPEN:
        conditions.pop("unless", None)
    wanted: dict[int, list[Goal]] = {}
    for goal in goals(rule):
        if goal.node >= 0 and goal.key in conditions:
            wanted.setdefault(goal.node, []).append(goal)
    nodes = {part.id: part for condition in conditions.values() for part in walk(condition)}
    for ident, both in wanted.items():
        outcome = truth(nodes[ident], context)
        found.update(goal for goal in both if (outcome.yes if goal.outcome else outcome.no).any())
    return found
