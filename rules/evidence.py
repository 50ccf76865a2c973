"""From events to transitions: ids, the values that were read, and the message, for the few rows that changed."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from math import isnan
from typing import Any

import numpy as np

from rules.calendar import format_instant
from rules.catalogue import Catalogue
from rules.context import Context, Truth, World
from rules.judge import EASED, ESCALATED, FIRING, LAPSED, PENDING, RELEASED, RESOLVED, STALE, SUPPRESSED, Said
from rules.muting import WAIVED, reasons
from rules.operations import evaluate, number
from rules.plan import Node, Piece, Rule
from rules.provenance import act_until, covered_by, in_force, notes, overdue, waived
from rules.registry import Institution
from rules.rendering import render as render_value
from rules.store import NEVER, Indices, Ints
from rules.transitions import SEVERITIES, Applied, Covered, Ids, Reading, State, Transition
from rules.units import RATIO

STATES: dict[int, State] = {
    PENDING: "pending",
    FIRING: "firing",
    ESCALATED: "escalated",
    EASED: "eased",
    RESOLVED: "resolved",
    LAPSED: "resolved",
    SUPPRESSED: "suppressed",
    RELEASED: "released",
    STALE: "stale",
}
MISSING = {"en": "n/a", "zh": "缺失"}


def transitions(
    said: Sequence[Said],
    rules: Sequence[Rule],
    world: World,
    institutions: Sequence[Institution],
) -> list[Transition]:
    """Return a transition for each event to be told, in the order given."""
    if not said:
        return []
    context, places = _where(said, world)
    sources = _Sources(context)
    found: list[Transition | None] = [None] * len(said)
    labels = {row: _labels(institutions[row]) for row in {one.event.row for one in said}}
    by_rule: dict[int, list[int]] = {}
    for position, one in enumerate(said):
        by_rule.setdefault(one.event.rule, []).append(position)
    for index, positions in by_rule.items():
        rule = rules[index]
        at = places[positions]
        mine = [said[position] for position in positions]
        subjects = [institutions[one.event.row] for one in mine]
        readings = _readings(rule, sources, at)
        revisions = sources.revisions(rule, at)
        applied = in_force(rule, context, at) if rule.settings else repeat(_NO_MAP)
        covered = covered_by(rule, context, at) if rule.across else repeat(_NO_MAP)
        languages = list(rule.message)
        texts = [render(rule.message[language], context, at, subjects, mine, rule, language) for language in languages]
        messages: list[dict[str, str]] = [{} for _ in mine]
        for language, words in zip(languages, texts, strict=True):
            for message, text in zip(messages, words, strict=True):
                message[language] = text
        tell = _Teller(rule, world)
        marks = [labels[one.event.row] for one in mine]
        told = zip(mine, subjects, marks, readings, applied, covered, revisions, messages, strict=False)
        for position, evidence in zip(positions, told, strict=True):
            found[position] = tell(*evidence)
    return [t for t in found if t is not None]


def _labels(institution: Institution) -> dict[str, str]:
    return {"type": institution.type, "region": institution.region, "peer_group": institution.peer_group}


def _where(said: Sequence[Said], world: World) -> tuple[Context, Indices]:
    """Return one context of every institution and date spoken of, and the place of each event in it."""
    rows = np.array([one.event.row for one in said], np.int64)
    dates, date = np.unique([one.event.date for one in said], return_inverse=True)
    pairs, places = np.unique(rows * len(dates) + date, return_inverse=True)
    row, date = np.divmod(pairs, len(dates))
    return Context(world, row.astype(np.int32), dates[date]), places


class _Sources:
    """The filings that values come from, by form, for all rows of a context; and the context itself."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.system = context.pick(context.world.system)
        self._told: dict[str, list[tuple[str, int, int | None] | None]] = {}
        self._exact: dict[str, Ints | None] = {}

    def of(self, form: str) -> list[tuple[str, int, int | None] | None]:
        """As-of date, revision and offset of each row's filing; None where there is none."""
        told = self._told.get(form)
        if told is None:
            filed, store = self.context.filed(form), self.context.world.stores[form]
            columns = (filed.as_of, filed.read(store.revision), filed.read(store.offset), filed.there)
            told = self._told[form] = [
                (instant(as_of), revision, offset if offset >= 0 else None) if there else None
                for as_of, revision, offset, there in zip(*(c.tolist() for c in columns), strict=True)
            ]
        return told

    def revisions(self, rule: Rule, at: Indices) -> list[int]:
        """Highest revision among the filings whose as-of date is the date judged."""
        revised = [exact for form in rule.triggers if (exact := self._revision(form)) is not None]
        if not revised:
            return [0] * len(at)
        revisions: list[int] = functools.reduce(np.maximum, revised)[at].tolist()
        return revisions

    def _revision(self, form: str) -> Ints | None:
        """Revisions of filings for the dates judged, else 0; None where all are 0."""
        if form not in self._exact:
            filed = self.context.filed(form)
            revision = filed.read(self.context.world.stores[form].revision)
            exact = np.where(filed.as_of == self.context.at, revision, 0)
            self._exact[form] = exact if exact.any() else None
        return self._exact[form]


class _Teller:
    """Makes one rule's transitions. What says the same in all of them is one object, and nobody writes into it."""

    def __init__(self, rule: Rule, world: World) -> None:
        self._rule = rule
        self._world = world
        self._ids = Ids(rule.first_id)
        self._conditions = {level.number: level.text for level in rule.levels}
        self._tags, self._plan = list(rule.tags), list(rule.plan)

    def __call__(
        self,
        said: Said,
        institution: Institution,
        labels: dict[str, str],
        readings: dict[str, Reading],
        applied: dict[str, Applied],
        covered: dict[str, Covered],
        revision: int,
        message: dict[str, str],
    ) -> Transition:
        """Return the transition of one event."""
        rule, event, ids = self._rule, said.event, self._ids
        state, severity = STATES[event.kind], SEVERITIES[event.level]
        subject, as_of = institution.code, instant(event.date)
        started = alert = supersedes = ""
        if event.alert != NEVER:
            started = instant(event.alert)
            alert = ids.alert(subject, started)
        if event.supersedes != NEVER:
            supersedes = ids.alert(subject, instant(event.supersedes))
        return Transition(  # in the order of its fields: by name it takes four times as long to make
            ids.transition(subject, alert, as_of, state, severity, revision, said.by),
            alert,
            rule.id,
            subject,
            state,
            severity,
            SEVERITIES[event.previous],
            as_of,
            started,
            format_seen(said.seen_at),
            revision,
            said.cause,
            rule.scope,
            rule.pack,
            rule.pack_version,
            rule.hash,
            rule.status,
            supersedes,
            self._conditions.get(event.level or event.previous, ""),
            readings,
            rule.title,
            message,
            rule.basis,
            rule.action,
            rule.deadline,
            rule.route,
            self._tags,
            labels,
            reasons(rule, event.muted) if event.muted else _NO_LIST,
            waived(rule, subject, event.date) if event.muted & WAIVED else None,
            applied,
            self._plan,
            act_until(rule, said, self._world) if rule.deadline else "",
            covered,
            notes(covered) if covered else _NO_LIST,
            [overdue(lapse, self._world) for lapse in said.overdue] if said.overdue else _NO_LIST,
        )


_NO_MAP: dict[str, Any] = {}
_NO_LIST: list[Any] = []

instant = lru_cache(maxsize=65_536)(format_instant)


@lru_cache(maxsize=65_536)
def format_seen(seconds: int) -> str:
    """Return the instant as RFC 3339, always with a time, as CloudEvents wants it."""
    text = format_instant(seconds)
    return text if "T" in text else f"{text}T00:00:00Z"


def _readings(rule: Rule, sources: _Sources, at: Indices) -> list[dict[str, Reading]]:
    out: list[dict[str, Reading]] = [{} for _ in range(len(at))]
    context = sources.context
    catalogue = context.world.catalogue
    own, where = out, at
    if rule.across:  # the system as a whole has no values of its own beside those across institutions
        institutions = np.flatnonzero(~sources.system[at])
        own, where = [out[i] for i in institutions.tolist()], at[institutions]
    places = where.tolist()
    for name in rule.reads:
        form = catalogue.indicators[name].form
        unit, filings = unit_name(catalogue, name), sources.of(form)
        values = context.column(form, name)[where].tolist()
        for readings, place, value in zip(own, places, values, strict=True):
            filing = filings[place]
            if filing is None:
                readings[name] = Reading(None, unit)
            else:
                readings[name] = Reading(None if isnan(value) else value, unit, *filing)
    for node in rule.across:
        name = render_value(node)
        for readings, value in zip(out, number(node, context)[at].tolist(), strict=True):
            readings[name] = Reading(None if isnan(value) else value)
    for node in rule.terms:
        name, unit = render_value(node), _unit_of(node, catalogue)
        for readings, value in zip(out, _column(node, context, at), strict=True):
            readings[name] = Reading(value, unit)
    for name in rule.derives:
        unit = unit_name(catalogue, name)
        values = number(context.world.derived[name], context)[where].tolist()
        for readings, value in zip(own, values, strict=True):
            readings[name] = Reading(None if isnan(value) else value, unit)
    return out


def _column(node: Node, context: Context, at: Indices) -> list[float | None]:
    """A node's values at the places, None where missing; of a condition 1, 0, and None where it is unknown."""
    found = evaluate(node, context)
    if isinstance(found, Truth):
        outcomes = zip(found.yes[at].tolist(), found.no[at].tolist(), strict=True)
        return [1.0 if yes else 0.0 if no else None for yes, no in outcomes]
    return [None if isnan(value) else value for value in found[at].tolist()]


def _unit_of(node: Node, catalogue: Catalogue) -> str:
    """What readers call the unit of a term: as of indicators, empty for a bare number or a compound unit."""
    if node.unit == RATIO:
        return "ratio"
    ((name, power),) = node.unit if node.unit is not None and len(node.unit) == 1 else (("", 1),)
    return "" if power != 1 else catalogue.currency or name if name == "currency" else name


def unit_name(catalogue: Catalogue, name: str) -> str:
    """Return the unit that readers see: the currency's code for amounts, else the catalogue's unit."""
    indicator = catalogue.indicators[name]
    return indicator.currency if indicator.unit == "currency" and indicator.currency else indicator.unit


def render(
    pieces: Sequence[Piece],
    context: Context,
    at: Indices,
    institutions: Sequence[Institution],
    said: Sequence[Said],
    rule: Rule,
    language: str,
) -> list[str]:
    """Return the message of each event: at the places `at` of the context, about the institutions."""
    parts = [_part(piece, context, at, institutions, said, rule, language) for piece in pieces]
    return ["".join(texts) for texts in zip(*parts, strict=True)] if parts else [""] * len(at)


def _part(
    piece: Piece,
    context: Context,
    at: Indices,
    institutions: Sequence[Institution],
    said: Sequence[Said],
    rule: Rule,
    language: str,
) -> list[str]:
    if piece.node is not None:
        return _format(piece, piece.node, context, at, language)
    match piece.name:
        case "":
            return [piece.text] * len(at)
        case "institution.name":
            return [institution.name.get(language) or institution.title(language) for institution in institutions]
        case "subject":
            return [institution.code for institution in institutions]
        case "level":
            return [SEVERITIES[one.event.level] for one in said]
        case "as_of":
            return [instant(one.event.date) for one in said]
        case "rule.title":
            return [rule.title.get(language, rule.id)] * len(at)
    raise KeyError(piece.name)


def _format(piece: Piece, node: Node, context: Context, at: Indices, language: str) -> list[str]:
    column = evaluate(node, context)
    missing = MISSING.get(language, MISSING["en"])
    if isinstance(column, Truth):
        pairs = zip(column.yes[at].tolist(), column.no[at].tolist(), strict=True)
        return ["yes" if yes else "no" if no else missing for yes, no in pairs]
    values = column[at].tolist()
    if node.kind == "text":
        texts = {code: text for text, code in context.world.codes.items()}
        return [texts.get(code, "") for code in values]
    spec = piece.format or ",.6g"
    return [missing if isnan(value) else format(value, spec) for value in values]
