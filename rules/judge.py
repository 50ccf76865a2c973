"""Judging: one group of rules at given institutions and dates, from columns to events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rules.context import Context, World
from rules.fold import Fold, Records
from rules.operations import number as number_at
from rules.operations import truth
from rules.plan import Node, Rule, walk
from rules.store import NEVER, Bools, Ints, Longs
from rules.transitions import Cause

NONE, PENDING, FIRING, ESCALATED, EASED, RESOLVED, LAPSED = range(7)


@dataclass(slots=True)
class Group:
    """Rules that are judged at the same dates, and until when each institution has been judged."""

    rules: tuple[Rule, ...]
    index: Ints
    forms: frozenset[str]
    triggers: frozenset[str]
    clocks: frozenset[str]
    across: bool
    judged: Longs

    def grow(self, rows: int) -> None:
        """Make room for `rows` institutions."""
        wider = np.full(rows, NEVER)
        wider[: len(self.judged)] = self.judged
        self.judged = wider


@dataclass(frozen=True, slots=True)
class Event:
    """A change of state of one pair: `alert` is the start of the alert it speaks of, NEVER for none."""

    rule: int
    row: int
    date: int
    kind: int
    level: int
    previous: int
    alert: int
    supersedes: int = int(NEVER)


@dataclass(frozen=True, slots=True)
class Said:
    """An event to be told: what caused it, when that was seen (seconds), its place in the order of arrival.

    `by` names the filing or the knowledge behind it, so that a state which is left and reached again for
    another reason has another transition id.
    """

    event: Event
    cause: Cause
    seen_at: int
    by: str
    sequence: int = 0


@dataclass(slots=True)
class Tally:
    """What judging did: rule × subject evaluations, and unknown outcomes by rule and reason."""

    evaluated: int = 0
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter)


def group_rules(rules: Sequence[Rule], rows: int) -> list[Group]:
    """Gather rules that share their forms, triggers and clocks; those that ask for others come after them."""
    found: dict[tuple[int, bool, frozenset[str], frozenset[str], frozenset[str]], list[int]] = {}
    for number, rule in enumerate(rules):
        key = (rule.rank, bool(rule.across), rule.forms, rule.triggers, rule.clocks)
        found.setdefault(key, []).append(number)
    return [
        Group(
            tuple(rules[n] for n in numbers),
            np.array(numbers, np.int32),
            forms,
            triggers,
            clocks,
            across,
            np.full(rows, NEVER),
        )
        for (_, across, forms, triggers, clocks), numbers in sorted(found.items(), key=lambda item: item[0][0])
    ]


class Judge:
    """Runs groups over contexts and folds what they say. `system` marks rows that stand for the system."""

    def __init__(self, world: World, fold: Fold) -> None:
        self.world = world
        self.fold = fold
        self.tally = Tally()

    def step(self, group: Group, rows: Ints, dates: Longs, system: Bools) -> tuple[Records, Records]:
        """Judge the rows at their dates, later than any before; return states before and after the fold."""
        context = Context(self.world, rows, dates)
        held = self.held(group, context, system)
        busy = (held > 0) | self.fold.awake[np.ix_(group.index, rows)]
        local, position = np.nonzero(busy)
        clear = self._clear(group, context, local, position)
        group.judged[rows] = np.maximum(group.judged[rows], dates)
        return self.fold.step(group.index[local], rows[position], dates[position], held[local, position], clear)

    def held(self, group: Group, context: Context, system: Bools) -> NDArray[np.int8]:
        """Highest level that holds, [rules, n]: 0 none or out of scope, -1 unknown."""
        held = np.zeros((len(group.rules), len(context)), np.int8)
        any_system = bool(system.any())
        for number, rule in enumerate(group.rules):
            out = held[number]
            unknown: Bools | None = None
            for level in rule.levels:
                condition = truth(level.condition, context)
                out[condition.yes] = level.number
                unknown = condition.unknown if unknown is None else unknown | condition.unknown
            assert unknown is not None
            out[unknown & (out == 0)] = -1
            if rule.where is not None:
                where = truth(rule.where, context)
                out[where.unknown] = -1
                out[where.no] = 0
            if any_system or rule.scope == "system":
                out[system if rule.scope == "institution" else ~system] = 0
            if (out < 0).any():
                self._count_unknown(rule, context, np.flatnonzero(out < 0))
        self.tally.evaluated += held.size
        return held

    def _clear(self, group: Group, context: Context, local: NDArray[np.intp], position: NDArray[np.intp]) -> Bools:
        clear = np.zeros(len(local), np.bool_)
        for number in np.unique(local):
            rule = group.rules[number]
            if rule.clear is not None:
                chosen = local == number
                clear[chosen] = truth(rule.clear, context).yes[position[chosen]]
                if rule.where is not None:
                    clear[chosen] |= truth(rule.where, context).no[position[chosen]]
        return clear

    def _count_unknown(self, rule: Rule, context: Context, at: NDArray[np.intp]) -> None:
        left = np.ones(len(at), np.bool_)
        if rule.across:
            self.tally.unknown[rule.id, "coverage too low"] += len(at)
            return
        part = Context(context.world, context.rows[at], context.at[at])
        for reason, found in _reasons(rule, part):
            now = left & found
            if now.any():
                self.tally.unknown[rule.id, reason] += int(now.sum())
                left &= ~found
        if left.any():
            self.tally.unknown[rule.id, "history too short"] += int(left.sum())


def _reasons(rule: Rule, context: Context) -> Iterable[tuple[str, Bools]]:
    nodes = {n.id: n for node in _conditions(rule) for n in walk(node)}.values()
    columns = [node for node in nodes if node.op == "column"]
    filed = {form: context.filing(form)[1] for form in {str(n.params[0]) for n in columns}}
    yield (
        "not filed",
        ~np.logical_and.reduce(list(filed.values())) if filed else np.zeros(len(context), np.bool_),
    )
    for node in columns:
        form, indicator = str(node.params[0]), str(node.params[1])
        store = context.world.stores[form]
        slots, _ = context.filing(form)
        blank = np.isnan(store.values[store.column[indicator]][slots, context.rows])
        yield "not reported", blank
        yield "too old", ~blank & np.isnan(context.column(form, indicator))
    for node in nodes:
        if node.op == "divide":
            parts_known = ~np.isnan([number_at(arg, context) for arg in node.args]).any(axis=0)
            yield "divided by zero", parts_known & np.isnan(number_at(node, context))


def _conditions(rule: Rule) -> list[Node]:
    return [*([rule.where] if rule.where is not None else []), *(level.condition for level in rule.levels)]


def kinds(before: Records, after: Records) -> NDArray[np.int8]:
    """What happened between two states of the same pairs: NONE, PENDING, FIRING, …"""
    happened = np.zeros(len(before), np.int8)
    closed = (before.level == 0) & (after.level == 0)
    happened[closed & ~before.pending & after.pending] = PENDING
    happened[closed & before.pending & ~after.pending] = LAPSED
    happened[(before.level == 0) & (after.level > 0)] = FIRING
    happened[(before.level > 0) & (after.level > before.level)] = ESCALATED
    happened[(after.level > 0) & (after.level < before.level)] = EASED
    happened[(before.level > 0) & (after.level == 0)] = RESOLVED
    return happened


def events(before: Records, after: Records) -> list[Event]:
    """Return the events between two states, one a pair that changed."""
    happened = kinds(before, after)
    found = []
    for i in np.flatnonzero(happened):
        kind = int(happened[i])
        level = int(after.held[i]) if kind == PENDING else int(after.level[i])
        alert = before.started[i] if kind == RESOLVED else after.started[i]
        found.append(
            Event(
                int(after.rule[i]),
                int(after.row[i]),
                int(after.date[i]),
                kind,
                level,
                int(before.level[i]),
                int(alert),
            )
        )
    return found


def differences(first: Records, old: Sequence[Event], new: Sequence[Event], last: Records, date: int) -> list[Event]:
    """What to say when the past of one pair was folded again.

    first: the state before the earliest date folded again; last: the state now (each of length 1). old and
    new: events since, as they were and as they are. What is new is said; then every alert that readers
    would now believe in a wrong state is put right, at `date`, and so is what they believe pending.
    """
    belief = _Belief(first)
    for event in old:
        belief.hear(event)
    known = set(old)
    said: list[Event] = []
    fired = {e.alert for e in new if e.kind == FIRING}
    orphans = [e.alert for e in old if e.kind == FIRING and e.alert not in fired]
    for event in new:
        if event in known:
            continue
        if event.kind == FIRING and event.alert not in belief.levels and orphans:
            event = replace(event, supersedes=orphans.pop(0))
        belief.hear(event)
        said.append(event)
    return said + belief.corrections(last, date)


class _Belief:
    """What a reader of one pair's events believes: the level of each alert, and whether one is pending."""

    def __init__(self, first: Records) -> None:
        self.levels = {int(first.started[0]): int(first.level[0])} if first.level[0] > 0 else {}
        self.pending = bool(first.pending[0])

    def hear(self, event: Event) -> None:
        if event.kind in (PENDING, LAPSED):
            self.pending = event.kind == PENDING
            return
        self.levels.pop(event.supersedes, None)
        self.levels[event.alert] = event.level
        self.pending = self.pending and event.kind != FIRING

    def corrections(self, last: Records, date: int) -> list[Event]:
        """What to say at `date` so that the reader believes the state `last`."""
        rule, row = int(last.rule[0]), int(last.row[0])
        started, level = int(last.started[0]), int(last.level[0])
        said: list[Event] = []
        for alert, belief in list(self.levels.items()):
            now = level if alert == started and level > 0 else 0
            if belief != now:
                kind = RESOLVED if now == 0 else FIRING if belief == 0 else ESCALATED if now > belief else EASED
                said.append(Event(rule, row, date, kind, now, belief, alert))
                self.hear(said[-1])
        if self.pending != bool(last.pending[0]):
            kind, held = (LAPSED, 0) if self.pending else (PENDING, int(last.held[0]))
            said.append(Event(rule, row, date, kind, held, 0, int(NEVER)))
        return said
