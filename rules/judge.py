"""Judging: one group of rules at given institutions and dates, from columns to events."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rules.blocks import Pairs, judge_stack, scope_of
from rules.context import Context, World
from rules.fold import Bytes, Fold, Records
from rules.ladders import Ladders
from rules.laps import Laps
from rules.muting import can_be_muted, muted
from rules.operations import blank, either, truth
from rules.operations import number as number_at
from rules.plan import Node, Rule, walk
from rules.stacks import Stack, Stacked, stacked
from rules.store import NEVER, Bools, FormStore, Indices, Ints, Longs
from rules.transitions import Cause

REASONS = (
    "not filed", "not reported", "too old", "no parameter", "divided by zero", "history too short", "coverage too low",
)  # fmt: skip
"""Why an outcome can be unknown."""
NONE, PENDING, FIRING, ESCALATED, EASED, RESOLVED, LAPSED, SUPPRESSED, RELEASED, STALE, WORSENED = range(11)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a rule's conditions are made of: the forms of its columns, those columns, its divisions and parameters."""

    forms: tuple[str, ...]
    columns: tuple[Node, ...]
    divisions: tuple[Node, ...]
    settings: tuple[Node, ...]


@dataclass(slots=True)
class Group:
    """Rules that are judged at the same dates, and until when each institution has been judged.

    At dates of `own` forms levels move; at those of other `forms` only what silences alerts. `mutable` are the
    places of rules in the group that something can silence. Rules that are judged as `stacks` stand first; `alone`
    are the places of the others.
    """

    rules: tuple[Rule, ...]
    index: Ints
    forms: frozenset[str]
    triggers: frozenset[str]
    clocks: frozenset[str]
    across: bool
    judged: Longs
    own: frozenset[str] = frozenset()
    mutable: tuple[int, ...] = ()
    stacks: tuple[Stack, ...] = ()
    ladders: Ladders = field(init=False)
    inputs: tuple[Inputs, ...] = field(init=False)
    columns: dict[str, list[Node]] = field(init=False)
    alone: range = field(init=False)

    def __post_init__(self) -> None:
        self.ladders = Ladders(self.rules)
        self.inputs = tuple(map(_inputs, self.rules))
        self.alone = range(self.stacks[-1].members.stop if self.stacks else 0, len(self.rules))
        nodes = {node.id: node for i in self.alone for node in self.inputs[i].columns}.values()
        self.columns = {
            form: [node for node in nodes if node.params[0] == form] for form in sorted(self.forms & self.triggers)
        }

    def bind(self, stores: Mapping[str, FormStore]) -> None:
        """Look up where what the stacks read stands."""
        for stack in self.stacks:
            stack.bind(stores)

    def derive(self, context: Context) -> None:
        """Read the columns of the rules that are judged alone, and compute what their ladders compare."""
        for form, nodes in self.columns.items():
            context.load(form, nodes)
        for i in self.alone:
            if (ladder := self.ladders.of[i]) is not None:
                number_at(ladder.number, context)

    def grow(self, rows: int) -> None:
        """Make room for `rows` institutions."""
        wider = np.full(rows, NEVER)
        wider[: len(self.judged)] = self.judged
        self.judged = wider


@dataclass(slots=True, unsafe_hash=True)  # frozen, it would take four times as long to make
class Event:
    """A change of state of one pair: `alert` is the start of the alert it speaks of, NEVER for none.

    `muted` is what silences it from now on; of a resolved one, what did.
    """

    rule: int
    row: int
    date: int
    kind: int
    level: int
    previous: int
    alert: int
    supersedes: int = int(NEVER)
    muted: int = 0


@dataclass(frozen=True, slots=True)
class Lapse:
    """A form that is overdue: since which second, and for which as-of second it was filed last."""

    form: str
    since: int
    newest: int


@dataclass(slots=True)
class Said:
    """An event to be told: what caused it, when that was seen (seconds), its place in the order of arrival.

    `by` names the filing or the knowledge behind it, so that a state which is left and reached again for
    another reason has another transition id. `overdue` are the forms for want of which the alert is stale.
    """

    event: Event
    cause: Cause
    seen_at: int
    by: str
    sequence: int = 0
    overdue: tuple[Lapse, ...] = ()


@dataclass(slots=True)
class Tally:
    """What judging did: rule × subject evaluations, and unknown outcomes, [reasons, rules]."""

    evaluated: int
    unknown: NDArray[np.int64]


def group_rules(rules: Sequence[Rule], rows: int) -> list[Group]:
    """Gather rules that share their forms, triggers and clocks; those that ask for others come after them."""
    found: dict[tuple[int, bool, frozenset[str], frozenset[str], frozenset[str], frozenset[str]], list[int]] = {}
    for number, rule in enumerate(rules):
        key = (rule.rank, bool(rule.across), rule.forms, rule.triggers, rule.clocks, rule.own)
        found.setdefault(key, []).append(number)
    groups: list[Group] = []
    for (_, across, forms, triggers, clocks, own), together in sorted(found.items(), key=lambda item: item[0][0]):
        order, stacks = stacked([rules[n] for n in together])
        numbers = [together[place] for place in order]
        groups.append(
            Group(
                tuple(rules[n] for n in numbers),
                np.array(numbers, np.int32),
                forms,
                triggers,
                clocks,
                across,
                np.full(rows, NEVER),
                own,
                tuple(i for i, n in enumerate(numbers) if can_be_muted(rules[n])),
                tuple(stacks),
            )
        )
    return groups


class Judge:
    """Runs groups over contexts and folds what they say. `system` marks rows that stand for the system."""

    def __init__(self, world: World, fold: Fold, laps: Laps) -> None:
        self.world = world
        self.fold = fold
        self.laps = laps
        self.tally = Tally(0, np.zeros((len(REASONS), len(fold.latest)), np.int64))

    def step(self, group: Group, rows: Ints, dates: Longs, system: Bools) -> tuple[Records, Records]:
        """Judge the rows at their dates, later than any before; return states before and after the fold."""
        context = Context(self.world, rows, dates)
        marked = system if system.any() else None
        awake = self.fold.remembered(group.index, context.pick)
        self.laps.lap("rules")
        parts = [self._stack(group, stack, context, marked, awake) for stack in group.stacks]
        if group.alone:
            parts.append(self._alone(group, context, marked, awake))
        self.tally.evaluated += len(group.rules) * len(rows)
        pairs = Pairs.joined(parts)
        numbers = group.index[pairs.local]
        if group.stacks:  # told in the order of the rules
            order = np.lexsort((pairs.position, numbers))
            pairs, numbers = pairs.take(order), numbers[order]
        group.judged[rows] = np.maximum(group.judged[rows], dates)
        masks = self._muted(group, context, pairs.local, pairs.position) if group.mutable else None
        still = self._still(group, context, pairs.position)
        where = rows[pairs.position], dates[pairs.position]
        return self.fold.step(numbers, *where, pairs.held, pairs.clear, masks, still)

    def _stack(self, group: Group, stack: Stack, context: Context, system: Bools | None, awake: Bools) -> Pairs:
        judged = judge_stack(stack, group.ladders, context, system, awake[stack.members], self.laps)
        if len(judged.unknown[0]):
            self._count_pairs(group, stack, context, judged.unknown)
        return judged.pairs

    def _count_pairs(self, group: Group, stack: Stack, context: Context, unknown: tuple[Indices, Indices]) -> None:
        """Count unknown outcomes of a stack by reason: of pairs of member and position."""
        rules = group.index[stack.members][unknown[0]]
        inputs = group.inputs[stack.members.start]
        if stack.template.across:
            np.add.at(self.tally.unknown[-1], rules, 1)
            return
        plain = len(inputs.columns) == 1 and stack.template.levels[0].condition.args[0] is inputs.columns[0]
        if plain and context.fresh(inputs.forms[0]) is None:
            self._count(rules, REASONS.index("not reported"))  # all have filed, so it is the value itself
            return
        pairs = Stacked(context, stack.leaves, unknown)
        for reason, mask in _reasons(inputs, pairs):
            if mask is None:
                continue
            here = mask & (rules >= 0)
            self._count(rules[here], REASONS.index(reason))
            rules = np.where(here, -1, rules)
        self._count(rules[rules >= 0], REASONS.index("history too short"))

    def _count(self, rules: Ints, reason: int) -> None:
        counts = np.bincount(rules, minlength=self.tally.unknown.shape[1])
        self.tally.unknown[reason] += counts

    def _alone(self, group: Group, context: Context, system: Bools | None, awake: Bools) -> Pairs:
        """Judge the rules that are in no stack, one after another."""
        group.derive(context)
        self.laps.lap("derive")
        busy: Bools = np.empty((len(group.alone), len(context)), np.bool_)
        verdicts = [self._verdict(group, i, context, system, out) for i, out in zip(group.alone, busy, strict=True)]
        for i, (unknown, _) in zip(group.alone, verdicts, strict=True):
            if unknown is not None:
                self._count_unknown(int(group.index[i]), group.rules[i], group.inputs[i], context, unknown)
        busy |= awake[group.alone.start :]
        place, position = np.divmod(np.flatnonzero(busy), max(1, len(context)))
        parts = _parts(place, len(group.alone))
        local = place + group.alone.start
        held = self._held(group, context, verdicts, local, position, parts)
        return Pairs(local, position, held, _clear(group, context, position, parts))

    def _muted(self, group: Group, context: Context, local: NDArray[np.intp], position: NDArray[np.intp]) -> Ints:
        found = np.zeros(len(local), np.int32)
        for i in group.mutable:
            chosen = np.flatnonzero(local == i)
            if len(chosen):
                found[chosen] = muted(group.rules[i], context, position[chosen])
        return found

    def _still(self, group: Group, context: Context, position: NDArray[np.intp]) -> Bools | None:
        """Pairs at whose date the group's own forms have no filing, so that their levels stay."""
        if group.own == group.forms:
            return None
        moves = np.zeros(len(context), np.bool_)
        for form in group.own:
            moves |= context.as_of(form) == context.at
        return ~moves[position]

    def held(self, group: Group, i: int, context: Context, system: Bools) -> Bytes:
        """Highest level of the i-th rule that holds, [n]: 0 none or out of scope, -1 unknown."""
        everywhere = np.arange(len(context))
        unknown, outside = self._verdict(group, i, context, system, np.empty(len(context), np.bool_))
        held = _highest(group.rules[i], context, everywhere)
        if unknown is not None:
            held[unknown] = -1
        if outside is not None:
            held[outside] = 0
        return held

    def _verdict(
        self, group: Group, i: int, context: Context, system: Bools | None, out: Bools
    ) -> tuple[Bools | None, Bools | None]:
        """Write into `out` where any level of the i-th rule holds; return where that is unknown, and outside.

        `system` marks rows that stand for the system, None where there are none.
        """
        rule, ladder = group.rules[i], group.ladders.of[i]
        if ladder is not None:
            ladder.compare(number_at(ladder.number, context), ladder.weakest, out)
            unknown = blank(ladder.number, context)
        else:
            unknown = _any_level(rule, context, out)
        scope = scope_of(rule, context, system)
        if scope.unsure is not None:
            out &= ~scope.unsure
            unknown = either(unknown, scope.unsure)
        if scope.outside is not None:
            out &= ~scope.outside
            unknown = None if unknown is None else unknown & ~scope.outside
        return unknown, scope.outside

    def _held(
        self,
        group: Group,
        context: Context,
        verdicts: Sequence[tuple[Bools | None, Bools | None]],
        local: Indices,
        position: Indices,
        parts: Sequence[tuple[int, slice]],
    ) -> Bytes:
        """Highest level of the pairs, in order of rules that are judged alone; 0 none or out of scope, -1 unknown."""
        values = np.full(len(local), np.nan)
        ladders = group.ladders.of
        for place, part in parts:
            if (ladder := ladders[group.alone[place]]) is not None:
                values[part] = number_at(ladder.number, context)[position[part]]
        held = group.ladders.levels(local, values)
        for place, part in parts:
            i, here = group.alone[place], position[part]
            unknown, outside = verdicts[place]
            if ladders[i] is None:
                held[part] = _highest(group.rules[i], context, here)
            if unknown is not None:
                held[part][unknown[here]] = -1
            if outside is not None:
                held[part][outside[here]] = 0
        return held

    def why_unknown(self, group: Group, i: int, context: Context, system: Bools) -> list[str]:
        """Return, for each place of the context, why the i-th rule of the group is unknown; '' where it is not."""
        unknown, _ = self._verdict(group, i, context, system, np.empty(len(context), np.bool_))
        found = [""] * len(context)
        if unknown is None:
            return found
        causes = [] if group.rules[i].across else list(_reasons(group.inputs[i], context))
        for at in np.flatnonzero(unknown):
            last = REASONS[-1] if group.rules[i].across else REASONS[-2]
            found[at] = next((reason for reason, mask in causes if mask is not None and mask[at]), last)
        return found

    def _count_unknown(self, number: int, rule: Rule, inputs: Inputs, context: Context, unknown: Bools) -> None:
        """Count unknown outcomes of one rule by reason."""
        count = int(np.count_nonzero(unknown))
        if not count:
            return
        told = self.tally.unknown[:, number]
        if rule.across:
            told[-1] += count
            return
        only = inputs.columns[0] if len(inputs.columns) == 1 else None
        if only is not None and unknown is context.blanks.get(only.id) and context.fresh(inputs.forms[0]) is None:
            told[REASONS.index("not reported")] += count  # all have filed, so it is the value itself
            return
        at = unknown.nonzero()[0]
        for reason, mask in _reasons(inputs, context):
            if mask is None:
                continue
            here = mask[at]
            if found := int(np.count_nonzero(here)):
                told[REASONS.index(reason)] += found
                if found == len(at):
                    return
                at = at[~here]
        told[REASONS.index("history too short")] += len(at)


def _reasons(inputs: Inputs, context: Context) -> Iterator[tuple[str, Bools | None]]:
    """Yield what can make a rule unknown, and where it is so; None for nowhere."""
    filed = [context.filed(form) for form in inputs.forms]
    yield "not filed", None if all(f.complete for f in filed) else ~np.logical_and.reduce([f.there for f in filed])
    for node in inputs.columns:
        if context.fresh(str(node.params[0])) is None:
            yield "not reported", blank(node, context)
        else:
            gone = np.isnan(context.unaged(node))
            yield "not reported", gone
            yield "too old", ~gone & np.isnan(number_at(node, context))
    for node in inputs.settings:
        yield "no parameter", blank(node, context)
    for node in inputs.divisions:
        gone_parts = functools.reduce(either, [blank(arg, context) for arg in node.args])
        result = blank(node, context)
        yield "divided by zero", result if result is None or gone_parts is None else result & ~gone_parts


def _parts(local: Indices, rules: int) -> list[tuple[int, slice]]:
    """Return which rules occur in `local`, ascending, and where."""
    edges = np.searchsorted(local, np.arange(rules + 1)).tolist()
    return [(i, slice(edges[i], edges[i + 1])) for i in range(rules) if edges[i] < edges[i + 1]]


def _any_level(rule: Rule, context: Context, out: Bools) -> Bools | None:
    """Write into `out` where any level holds; return where that is unknown."""
    conditions = [truth(level.condition, context) for level in rule.levels]
    np.logical_or.reduce([c.yes for c in conditions], out=out)
    unknown = functools.reduce(either, [c.unknown for c in conditions])
    return None if unknown is None else unknown & ~out


def _clear(group: Group, context: Context, position: Indices, parts: Sequence[tuple[int, slice]]) -> Bools:
    clear = np.zeros(len(position), np.bool_)
    for place, part in parts:
        rule, here = group.rules[group.alone[place]], position[part]
        if rule.clear is not None:
            clear[part] = truth(rule.clear, context).yes[here]
            if rule.where is not None:
                clear[part] |= truth(rule.where, context).no[here]
    return clear


def _highest(rule: Rule, context: Context, position: Indices) -> Bytes:
    held = np.zeros(len(position), np.int8)
    for level in rule.levels:
        held[truth(level.condition, context).yes[position]] = level.number
    return held


def _inputs(rule: Rule) -> Inputs:
    nodes = {n.id: n for node in _conditions(rule) for n in walk(node)}.values()
    columns = tuple(node for node in nodes if node.op == "column")
    forms = tuple({str(node.params[0]): None for node in columns})
    divisions = tuple(node for node in nodes if node.op == "divide")
    return Inputs(forms, columns, divisions, tuple(node for node in nodes if node.op == "parameter"))


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
    changed = (after.level > 0) & (after.level == before.level) & (after.muted != before.muted)
    happened[changed] = np.where(after.muted[changed] != 0, SUPPRESSED, RELEASED)
    return happened


def events(before: Records, after: Records) -> list[Event]:
    """Return the events between two states, one a pair that changed."""
    happened = kinds(before, after)
    chosen = np.flatnonzero(happened)
    kind = happened[chosen]
    columns = (
        after.rule[chosen],
        after.row[chosen],
        after.date[chosen],
        kind,
        np.where(kind == PENDING, after.held[chosen], after.level[chosen]),
        before.level[chosen],
        np.where(kind == RESOLVED, before.started[chosen], after.started[chosen]),
        np.full(len(chosen), NEVER),
        np.where(kind == RESOLVED, before.muted[chosen], after.muted[chosen]),
    )
    return [Event(*fields) for fields in zip(*(column.tolist() for column in columns), strict=True)]


class Standing(NamedTuple):
    """How one pair stands: the fields of a record that its events tell of."""

    rule: int
    row: int
    level: int
    held: int
    started: int
    muted: int
    pending: bool


def standings(records: Records) -> list[Standing]:
    """Return how each pair stands."""
    of = records
    columns = (of.rule, of.row, of.level, of.held, of.started, of.muted, of.pending)
    return [Standing(*fields) for fields in zip(*(column.tolist() for column in columns), strict=True)]


Told = dict[tuple[int, int], list[Event]]


def by_pair(found: Sequence[Event], into: Told | None = None) -> Told:
    """Gather events by rule and row, in their order."""
    gathered: Told = {} if into is None else into
    for event in found:
        gathered.setdefault((event.rule, event.row), []).append(event)
    return gathered


def differences(first: Standing, old: Sequence[Event], new: Sequence[Event], last: Standing, date: int) -> list[Event]:
    """What to say when the past of one pair was folded again.

    first: the state before the earliest date folded again; last: the state now. old and new: events since, as they
    were and as they are. What is new is said; then every alert that readers would now believe in a wrong state is
    put right, at `date`, and so is what they believe pending.
    """
    belief = _Belief(first)
    for event in old:
        belief.hear(event)
    known = {replace(event, muted=0) for event in old}
    said: list[Event] = []
    silenced: list[Event] = []
    fired = {e.alert for e in new if e.kind == FIRING}
    orphans = [e.alert for e in old if e.kind == FIRING and e.alert not in fired]
    for event in new:
        if event.kind in (SUPPRESSED, RELEASED):
            silenced.append(event)
            continue
        if replace(event, muted=0) in known:
            continue
        if event.kind == FIRING and event.alert not in belief.levels and orphans:
            event = replace(event, supersedes=orphans.pop(0))
        belief.hear(event)
        said.append(event)
    return said + belief.corrections(last, date, silenced)


class _Belief:
    """What a reader of one pair's events believes: level and mask of each alert, and whether one is pending."""

    def __init__(self, first: Standing) -> None:
        self.levels = {first.started: first.level} if first.level > 0 else {}
        self.masks = {first.started: first.muted} if first.level > 0 else {}
        self.pending = first.pending

    def hear(self, event: Event) -> None:
        if event.kind in (PENDING, LAPSED):
            self.pending = event.kind == PENDING
            return
        self.levels.pop(event.supersedes, None)
        self.levels[event.alert] = event.level
        self.masks[event.alert] = event.muted
        self.pending = self.pending and event.kind != FIRING

    def corrections(self, last: Standing, date: int, silenced: Sequence[Event]) -> list[Event]:
        """What to say so that the reader believes the state `last`: at `date`, or as one of `silenced` says it."""
        rule, row, level, _, started, mask, _ = last
        said: list[Event] = []
        for alert, belief in list(self.levels.items()):
            now = level if alert == started and level > 0 else 0
            if belief != now:
                kind = RESOLVED if now == 0 else FIRING if belief == 0 else ESCALATED if now > belief else EASED
                said.append(Event(rule, row, date, kind, now, belief, alert, muted=mask if now else self.masks[alert]))
                self.hear(said[-1])
            elif now and self.masks[alert] != mask:
                kind = SUPPRESSED if mask else RELEASED
                event = Event(rule, row, date, kind, now, now, alert, muted=mask)
                same = [e for e in silenced[-1:] if (e.kind, e.level, e.alert, e.muted) == (kind, now, alert, mask)]
                said.append(same[0] if same else event)
                self.hear(said[-1])
        if self.pending != last.pending:
            kind, held = (LAPSED, 0) if self.pending else (PENDING, last.held)
            said.append(Event(rule, row, date, kind, held, 0, int(NEVER)))
        return said
