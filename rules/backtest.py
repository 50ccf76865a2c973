"""History through the engine: what would have fired, when, and how that compares with what happened.

The engine is the worker's. Its clock is the data: deadlines pass as the filings' `submitted_at` moves on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np

from rules.calendar import DAY, expected, parse_instant, runs_out
from rules.context import Context
from rules.engine import Engine, FormBatch, Outcome
from rules.muting import ends
from rules.operations import number
from rules.pack import Program
from rules.plan import Node, Rule
from rules.registry import Institution
from rules.rendering import render
from rules.sentences import sentence
from rules.spans import EVER
from rules.store import NEVER, Floats, Longs
from rules.thresholds import Threshold, threshold
from rules.transitions import SEVERITIES, Transition
from rules.units import RATIO

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
    """Apply filings in the order in which they became known, ticking as deadlines pass, waivers end and data run out.

    Order: submitted-at, then as-of, then revision, then as given. `sequence` of the batches is replaced.
    """
    ordered = _in_order(filings)
    if not ordered:
        return
    clocks = sorted({form for group in engine.groups for form in group.clocks})
    last = int(max(batch.submitted_at.max() for batch in ordered))
    start = int(min(batch.submitted_at.min() for batch in ordered))
    dues = {due for form in clocks for due in _dues(engine, form, start, last)}
    _register(engine, ordered)
    moments = {ends(waiver, engine.world) for rule in engine.rules for waiver in rule.waivers}
    moments.update(closed for closed in engine.world.tenure.closed.tolist() if closed != EVER)
    moments.update(moment for batch in ordered for moment in _runs_out(engine, batch))
    cuts = sorted(dues | {moment for moment in moments if start <= moment <= last})
    for cut in [*cuts, last + 1]:
        yield from _until(engine, ordered, start, cut)
        start = cut
        if cut in cuts:
            yield engine.tick(cut)


def _register(engine: Engine, filings: Sequence[FormBatch]) -> None:
    """Have institutions be there since their first filings at the latest: history knows no other registration."""
    rows, as_of = (np.concatenate([getattr(batch, name) for batch in filings]) for name in ("rows", "as_of"))
    order = np.lexsort((as_of, rows))
    rows, first = np.unique(rows[order], return_index=True)
    engine.register(rows[rows >= 0], as_of[order][first][rows >= 0])


def _dues(engine: Engine, form: str, start: int, end: int) -> list[int]:
    """Deadlines of the form from `start` to `end`, walked backwards from the last."""
    found = []
    wanted = expected(engine.program.catalogue.forms[form], end, engine.world.country)
    while wanted is not None and wanted[0] >= start:
        found.append(wanted[0])
        wanted = expected(engine.program.catalogue.forms[form], wanted[0] - 1, engine.world.country)
    return found


def _runs_out(engine: Engine, batch: FormBatch) -> set[int]:
    """When alerts that rest on the filings would be stale."""
    if batch.form not in engine.staleness.forms:
        return set()
    form, country = engine.program.catalogue.forms[batch.form], engine.world.country
    dates = np.unique(batch.as_of).tolist()
    return {runs_out(form, date, country, owed) for date in dates for owed in (True, False)}


def _in_order(filings: Sequence[FormBatch]) -> list[FormBatch]:
    """The batches that hold any, each in the order in which its filings became known."""
    batches = [b for b in filings if len(b.rows)]
    if not batches:
        return []
    key = [np.concatenate([getattr(b, name) for b in batches]) for name in ("revision", "as_of", "submitted_at")]
    rank = np.empty(len(key[0]), np.int64)
    rank[np.lexsort(key)] = np.arange(len(rank))
    out, first = [], 0
    for b in batches:
        mine = rank[first : first + len(b.rows)]
        out.append(replace(b, sequence=mine).take(np.argsort(mine)))
        first += len(b.rows)
    return out


def _until(engine: Engine, filings: Sequence[FormBatch], start: int, end: int) -> Iterator[Outcome]:
    part = [b.take(np.arange(*np.searchsorted(b.submitted_at, (start, end)))) for b in filings]
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
    """A level of a rule that compares one value with limits: `value op limit` means the level holds.

    limits: one for each date of the chart, float64; a parameter's may change from date to date, NaN where none applies.
    """

    level: int
    op: str
    limits: Floats


@dataclass(frozen=True, slots=True)
class Chart:
    """What a plot of one rule for one institution shows: the value it is about, at dates in seconds, and its bands.

    `value` is an indicator's id or an expression; `is_ratio` says to show it as percent.
    """

    rule: str
    institution: str
    value: str
    is_ratio: bool
    at: Longs
    values: Floats
    bands: tuple[Band, ...]


def main_value(rule: Rule) -> tuple[Node | None, tuple[tuple[int, Threshold], ...]]:
    """Return the value that a rule is about, and the levels that compare it with a number or a parameter.

    It is the one that most levels compare first; None when no level does so.
    """
    found: dict[int, list[tuple[int, Threshold]]] = {}
    for level in rule.levels:
        condition = level.condition
        while condition.op in ("and", "or"):
            condition = condition.args[0]
        if (one := threshold(condition)) is not None:
            found.setdefault(one.value.id, []).append((level.number, one))
    if not found:
        return None, ()
    chosen = max(found.values(), key=len)
    return chosen[0][1].value, tuple(chosen)


def charts(
    program: Program,
    institutions: Iterable[Institution],
    filings: Sequence[FormBatch],
    pairs: Sequence[tuple[str, str]],
) -> list[Chart]:
    """Return the history of each (rule, institution)'s main value, as it is known at the end.

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
        value, levels = main_value(by_id[rule_id])
        if value is not None:
            at = _dates(whole, by_id[rule_id], code)
            context = Context(whole.world, np.full(len(at), whole.row(code), np.int32), at)
            values = number(value, context)
            bands = tuple(Band(level, one.sign, number(one.bound, context)) for level, one in levels)
            found.append(Chart(rule_id, code, value_name(value, program), value.unit == RATIO, at, values, bands))
    return found


def value_name(node: Node, program: Program) -> str:
    """Return what a value is called: its indicator's id, else its expression."""
    return next((name for name, derived in program.derived.items() if derived is node), None) or render(node)


def _dates(engine: Engine, rule: Rule, code: str) -> Longs:
    found = [engine.world.stores[form].as_of[:, engine.row(code)] for form in sorted(rule.forms)]
    dates = np.unique(np.concatenate(found))
    known: Longs = dates[dates != NEVER]
    return known


def as_dict(transition: Transition, language: str = "en") -> dict[str, object]:
    """Return the line of `backtest --format jsonl`: a transition without what every line would repeat."""
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
        "message": sentence(transition, language),
    }
