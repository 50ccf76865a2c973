"""History through the engine: what would have fired, when, and how that compares with what happened.

The engine is the worker's. Its clock is the data: deadlines pass as the filings' `submitted_at` moves on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from rules.calendar import DAY, expected, parse_instant
from rules.context import Context
from rules.engine import Engine, FormBatch, Outcome
from rules.expressions import Compare, ExpressionError, Name, Number, Unary, parse
from rules.operations import number
from rules.pack import Program
from rules.plan import Node, Rule, walk
from rules.registry import Institution
from rules.store import Floats, Longs
from rules.transitions import SEVERITIES, Transition

CHUNK = 2_000


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """A failure or other event that supervisors would have wanted to see coming; `at` in seconds."""

    institution: str
    at: int


@dataclass(frozen=True, slots=True)
class Episode:
    """One alert's life at or above a severity: seconds when it was first and last known so, None if still."""

    rule: str
    institution: str
    alert_id: str
    seen: int
    until: int | None


@dataclass(frozen=True, slots=True)
class RuleScore:
    """How one rule did against the known events.

    leads: days from the first sight of the alert to the event, for each event hit. missed: institutions
    whose event no alert preceded. false_share: share of episodes not followed by an event of the same
    institution within the window; None without episodes.
    """

    rule: str
    episodes: int
    institutions: int
    hits: int
    missed: tuple[str, ...]
    leads: tuple[float, ...]
    false_share: float | None

    @property
    def median_lead(self) -> float | None:
        """Median lead time in days, None without a hit."""
        return median(self.leads) if self.leads else None


def replay(engine: Engine, filings: Sequence[FormBatch]) -> Iterator[Outcome]:
    """Apply filings in the order in which they became known, ticking as deadlines pass.

    Order: submitted-at, then as-of, then revision, then as given. `sequence` of the batches is replaced.
    """
    ordered = _in_order(filings)
    if not ordered:
        return
    clocks = sorted({form for group in engine.groups for form in group.clocks})
    last = int(max(batch.submitted_at.max() for batch in ordered))
    start = int(min(batch.submitted_at.min() for batch in ordered))
    cuts = sorted({due for form in clocks for due in _dues(engine, form, start, last)})
    for cut in [*cuts, last + 1]:
        yield from _until(engine, ordered, start, cut)
        start = cut
        if clocks and cut in cuts:
            yield engine.tick(cut)


def _dues(engine: Engine, form: str, start: int, end: int) -> list[int]:
    """Deadlines of the form from `start` to `end`, walked backwards from the last."""
    found = []
    wanted = expected(engine.program.catalogue.forms[form], end, engine.world.country)
    while wanted is not None and wanted[0] >= start:
        found.append(wanted[0])
        wanted = expected(engine.program.catalogue.forms[form], wanted[0] - 1, engine.world.country)
    return found


def _in_order(filings: Sequence[FormBatch]) -> list[FormBatch]:
    batches = [b for b in filings if len(b.rows)]
    if not batches:
        return []
    key = [np.concatenate([getattr(b, name) for b in batches]) for name in ("revision", "as_of", "submitted_at")]
    rank = np.empty(len(key[0]), np.int64)
    rank[np.lexsort(key)] = np.arange(len(rank))
    out, first = [], 0
    for b in batches:
        out.append(replace(b, sequence=rank[first : first + len(b.rows)]))
        first += len(b.rows)
    return out


def _until(engine: Engine, filings: Sequence[FormBatch], start: int, end: int) -> Iterator[Outcome]:
    part = [b.take(np.flatnonzero((b.submitted_at >= start) & (b.submitted_at < end))) for b in filings]
    sequence = np.sort(np.concatenate([b.sequence for b in part]))
    for first in range(0, len(sequence), CHUNK):
        low, high = sequence[first], sequence[min(first + CHUNK, len(sequence)) - 1]
        yield engine.apply([b.take(np.flatnonzero((b.sequence >= low) & (b.sequence <= high))) for b in part])


def episodes(transitions: Iterable[Transition], severity: str = "warning") -> list[Episode]:
    """Return alerts that reached `severity`, from when they were seen at it until they fell below."""
    floor = SEVERITIES.index(severity)
    standing: dict[str, Episode] = {}
    found: list[Episode] = []
    for t in transitions:
        if not t.alert_id:
            continue
        if t.supersedes and t.supersedes in standing:
            standing[t.alert_id] = replace(standing.pop(t.supersedes), alert_id=t.alert_id)
        high = SEVERITIES.index(t.severity) >= floor and t.state != "resolved"
        seen = parse_instant(t.seen_at)
        if high and t.alert_id not in standing:
            standing[t.alert_id] = Episode(t.rule, t.subject, t.alert_id, seen, None)
        elif not high and t.alert_id in standing:
            found.append(replace(standing.pop(t.alert_id), until=seen))
    found += standing.values()
    return sorted(found, key=lambda e: (e.rule, e.institution, e.seen))


def score(
    rules: Sequence[str], found: Sequence[Episode], events: Sequence[KnownEvent], window_days: float = 730
) -> list[RuleScore]:
    """Score each rule against the events: an alert hits an event that it precedes by at most the window.

    An alert that ended earlier than the window before the event does not count. The lead time is counted
    from the earliest alert that was still open at the event, else from the last before it.
    """
    window = int(window_days * DAY)
    scores = []
    for rule in rules:
        mine = [e for e in found if e.rule == rule]
        leads: list[float] = []
        missed: list[str] = []
        useful: set[str] = set()
        for event in events:
            before = [
                e
                for e in mine
                if e.institution == event.institution
                and e.seen <= event.at
                and (e.until is None or e.until >= event.at - window)
            ]
            useful.update(e.alert_id for e in before)
            open_then = [e for e in before if e.until is None or e.until >= event.at]
            if not before:
                missed.append(event.institution)
            else:
                chosen = min(open_then, key=lambda e: e.seen) if open_then else max(before, key=lambda e: e.seen)
                leads.append((event.at - chosen.seen) / DAY)
        false = sum(e.alert_id not in useful for e in mine)
        scores.append(
            RuleScore(
                rule=rule,
                episodes=len(mine),
                institutions=len({e.institution for e in mine}),
                hits=len(leads),
                missed=tuple(missed),
                leads=tuple(leads),
                false_share=false / len(mine) if mine else None,
            )
        )
    return scores


@dataclass(frozen=True, slots=True)
class Band:
    """A level of a rule that is one number on one indicator: `value op limit` means the level holds."""

    level: int
    op: str
    limit: float


@dataclass(frozen=True, slots=True)
class Chart:
    """What a plot of one rule for one institution shows: dates in seconds, the indicator, its level bands."""

    rule: str
    institution: str
    indicator: str
    at: Longs
    values: Floats
    bands: tuple[Band, ...]


def main_indicator(rule: Rule, program: Program) -> tuple[str, tuple[Band, ...]]:
    """Return the indicator that a rule is about, and the levels that compare it with a number.

    It is the one that most levels compare with a plain number; else the first that the rule reads.
    """
    bands: dict[str, list[Band]] = {}
    for level in rule.levels:
        try:
            tree = parse(level.text)
        except ExpressionError:
            continue
        if not isinstance(tree, Compare) or len(tree.ops) != 1:
            continue
        limit = _literal(tree.operands[1])
        if isinstance(tree.operands[0], Name) and limit is not None:
            bands.setdefault(tree.operands[0].id, []).append(Band(level.number, tree.ops[0], limit))
    if bands:
        name = max(bands, key=lambda n: len(bands[n]))
        return name, tuple(bands[name])
    return (rule.reads[0] if rule.reads else ""), ()


def _literal(tree: object) -> float | None:
    if isinstance(tree, Number):
        return tree.value
    if isinstance(tree, Unary) and tree.op == "-" and isinstance(tree.operand, Number):
        return -tree.operand.value
    return None


def charts(
    program: Program,
    institutions: Iterable[Institution],
    filings: Sequence[FormBatch],
    pairs: Sequence[tuple[str, str]],
) -> list[Chart]:
    """Return the history of each (rule, institution)'s main indicator, as it is known at the end.

    `filings` must use the rows of an engine made from the same institutions in the same order.
    """
    deepest = {b.form: int(np.bincount(b.rows[b.rows >= 0]).max(initial=1)) for b in filings if len(b.rows)}
    history: Mapping[str, int] = {**program.history, **deepest}
    whole = Engine(replace(program, rules=(), history=history), institutions)
    for _ in replay(whole, filings):
        pass
    by_id = {rule.id: rule for rule in program.rules}
    found = []
    for rule_id, code in pairs:
        name, bands = main_indicator(by_id[rule_id], program)
        if name:
            at, values = _series(whole, program, code, name)
            found.append(Chart(rule_id, code, name, at, values, bands))
    return found


def _series(engine: Engine, program: Program, code: str, name: str) -> tuple[Longs, Floats]:
    node = _node(program, name)
    form = _form(program, name)
    store = engine.world.stores[form]
    row = engine.row(code)
    at = np.sort(store.as_of[:, row])
    at = at[at > -(2**61)]
    values = number(node, Context(engine.world, np.full(len(at), row, np.int32), at))
    return at, values


def _node(program: Program, name: str) -> Node:
    derived = program.derived.get(name)
    if derived is not None:
        return derived
    form = program.catalogue.indicators[name].form
    return Node(-1, "column", (), (form, name), "number")


def _form(program: Program, name: str) -> str:
    return next(str(n.params[0]) for n in walk(_node(program, name)) if n.op == "column")


def as_dict(transition: Transition, language: str = "en") -> dict[str, object]:
    """Return the line of `backtest --format jsonl`: a transition without what every line would repeat."""
    message = transition.message.get(language) or next(iter(transition.message.values()), "")
    return {
        "rule": transition.rule,
        "subject": transition.subject,
        "state": transition.state,
        "severity": transition.severity,
        "as_of": transition.as_of,
        "seen_at": transition.seen_at,
        "cause": transition.cause,
        "alert_id": transition.alert_id,
        "id": transition.id,
        "values": {name: reading.value for name, reading in transition.values.items()},
        "message": message,
    }
