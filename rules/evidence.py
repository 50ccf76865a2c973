"""From events to transitions: ids, the values that were read, and the message, for the few rows that changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from rules.aggregates import coverages
from rules.calendar import DAY, act_by, format_instant
from rules.catalogue import Catalogue
from rules.context import Context, Truth, World
from rules.judge import EASED, ESCALATED, FIRING, LAPSED, PENDING, RELEASED, RESOLVED, SUPPRESSED, Said
from rules.muting import WAIVED, reasons, waiver_at
from rules.operations import evaluate, number
from rules.peers import FEW_PEERS
from rules.plan import Piece, Rule
from rules.reading import parse_deadline
from rules.registry import Institution
from rules.rendering import render as render_value
from rules.spans import EVER
from rules.store import NEVER
from rules.transitions import SEVERITIES, Applied, Covered, Reading, State, Transition, Waived, alert_id, transition_id

STATES: dict[int, State] = {
    PENDING: "pending",
    FIRING: "firing",
    ESCALATED: "escalated",
    EASED: "eased",
    RESOLVED: "resolved",
    LAPSED: "resolved",
    SUPPRESSED: "suppressed",
    RELEASED: "released",
}
MISSING = {"en": "n/a", "zh": "缺失"}


def transitions(
    said: Sequence[Said],
    rules: Sequence[Rule],
    world: World,
    institutions: Sequence[Institution],
) -> list[Transition]:
    """Return a transition for each event to be told, in the order given."""
    found: list[Transition | None] = [None] * len(said)
    by_rule: dict[int, list[int]] = {}
    for position, one in enumerate(said):
        by_rule.setdefault(one.event.rule, []).append(position)
    for index, positions in by_rule.items():
        rule = rules[index]
        chosen = [said[p].event for p in positions]
        context = Context(
            world,
            np.array([event.row for event in chosen], np.int32),
            np.array([event.date for event in chosen], np.int64),
        )
        readings = _readings(rule, context)
        applied = _applied(rule, context)
        covered = _covered(rule, context)
        revisions = _revisions(rule, context)
        for i, position in enumerate(positions):
            institution = institutions[said[position].event.row]
            found[position] = _transition(
                rule, said[position], institution, readings[i], applied[i], covered[i], revisions[i], context, i
            )
    return [t for t in found if t is not None]


def _transition(
    rule: Rule,
    said: Said,
    institution: Institution,
    readings: Mapping[str, Reading],
    applied: Mapping[str, Applied],
    covered: Mapping[str, Covered],
    revision: int,
    context: Context,
    at: int,
) -> Transition:
    event = said.event
    state, severity = STATES[event.kind], SEVERITIES[event.level]
    as_of = format_instant(event.date)
    started = format_instant(event.alert) if event.alert != NEVER else ""
    subject = institution.code
    alert = alert_id(rule.first_id, subject, started) if started else ""
    supersedes = ""
    if event.supersedes != NEVER:
        supersedes = alert_id(rule.first_id, subject, format_instant(event.supersedes))
    level = event.level or event.previous
    return Transition(
        id=transition_id(rule.first_id, subject, alert, as_of, state, severity, revision, said.by),
        alert_id=alert,
        rule=rule.id,
        subject=subject,
        state=state,
        severity=severity,
        previous=SEVERITIES[event.previous],
        as_of=as_of,
        started=started,
        seen_at=format_seen(said.seen_at),
        revision=revision,
        cause=said.cause,
        scope=rule.scope,
        pack=rule.pack,
        pack_version=rule.pack_version,
        rule_hash=rule.hash,
        status=rule.status,
        supersedes=supersedes,
        condition=next((x.text for x in rule.levels if x.number == level), ""),
        values=dict(readings),
        title=rule.title,
        message={
            language: render(pieces, context, at, institution, severity, as_of, rule, language)
            for language, pieces in rule.message.items()
        },
        basis=rule.basis,
        action=rule.action,
        deadline=rule.deadline,
        route=rule.route,
        tags=list(rule.tags),
        labels={"type": institution.type, "region": institution.region, "peer_group": institution.peer_group},
        suppressed_by=reasons(rule, event.muted),
        waiver=_waived(rule, subject, event.date) if event.muted & WAIVED else None,
        parameters=dict(applied),
        plan=list(rule.plan),
        due=_due(rule, said, context.world),
        coverage=dict(covered),
        notes=_notes(covered),
    )


def _due(rule: Rule, said: Said, world: World) -> str:
    """Until when to act; counted anew whenever people are told of something graver than before."""
    deadline = parse_deadline(rule.deadline)
    if deadline is None or said.event.muted or said.event.kind not in (FIRING, ESCALATED, RELEASED):
        return ""
    return act_by(deadline, said.seen_at, world.country, world.catalogue.timezone)


def _waived(rule: Rule, institution: str, at: int) -> Waived | None:
    found = waiver_at(rule, institution, at)
    return None if found is None else Waived(found.reason, found.document, found.approver, last_day(found.until))


def _covered(rule: Rule, context: Context) -> list[dict[str, Covered]]:
    out: list[dict[str, Covered]] = [{} for _ in range(len(context))]
    for node in rule.across:
        for found, c in zip(out, coverages(node, context), strict=True):
            if c is not None:
                found[render_value(node)] = Covered(c.expected, c.filed, c.values, c.share, c.by)
    return out


def _notes(covered: Mapping[str, Covered]) -> list[dict[str, str]]:
    """What a reader must know to weigh the alert: values among fewer than ten peers."""
    few = [(name, c.values) for name, c in covered.items() if name.startswith("peer_") and c.values < FEW_PEERS]
    return [
        {
            "en": f"{name}: only {n} peer{'s' if n != 1 else ''}, an outlier among them weighs heavily",
            "zh": f"{name}：可比机构仅{n}家，易受个别极端值影响",
        }
        for name, n in few
    ]


def last_day(until: int) -> str:
    """Return the ISO date of the last day before `until`; empty where there is no end."""
    return "" if until == EVER else format_instant(until - DAY)


def _applied(rule: Rule, context: Context) -> list[dict[str, Applied]]:
    out: list[dict[str, Applied]] = [{} for _ in range(len(context))]
    for name in rule.settings:
        table = context.world.settings[name]
        currency = context.world.catalogue.currency
        unit = currency if table.setting.unit == "currency" and currency else table.setting.unit
        for applied, chosen in zip(out, table.index(context.world, context.rows, context.at).tolist(), strict=True):
            if chosen < 0:
                applied[name] = Applied(None, unit)
                continue
            row = table.setting.rows[chosen]
            since = "" if row.since == NEVER else format_instant(row.since)
            applied[name] = Applied(row.value, unit, row.whom, row.basis, row.author, since, last_day(row.until))
    return out


def format_seen(seconds: int) -> str:
    """Return the instant as RFC 3339, always with a time, as CloudEvents wants it."""
    text = format_instant(seconds)
    return text if "T" in text else f"{text}T00:00:00Z"


def _readings(rule: Rule, context: Context) -> list[dict[str, Reading]]:
    out: list[dict[str, Reading]] = [{} for _ in range(len(context))]
    catalogue = context.world.catalogue
    system = [context.world.system[row] for row in context.rows]
    for name in rule.reads:
        form = catalogue.indicators[name].form
        store = context.world.stores[form]
        values = context.column(form, name)
        slots, there = context.filing(form)
        for i, row in enumerate(context.rows):
            if system[i] and rule.across:
                continue
            if not there[i]:
                out[i][name] = Reading(None, unit_name(catalogue, name))
                continue
            value = float(values[i])
            slot = slots[i]
            offset = int(store.offset[slot, row])
            out[i][name] = Reading(
                None if math.isnan(value) else value,
                unit_name(catalogue, name),
                format_instant(int(store.as_of[slot, row])),
                int(store.revision[slot, row]),
                offset if offset >= 0 else None,
            )
    for node in rule.across:
        found = number(node, context)
        for i in range(len(context)):
            out[i][render_value(node)] = Reading(None if math.isnan(found[i]) else float(found[i]))
    for name in rule.derives:
        derived = number(context.world.derived[name], context)
        for i in range(len(context)):
            if system[i] and rule.across:
                continue
            out[i][name] = Reading(None if math.isnan(derived[i]) else float(derived[i]), unit_name(catalogue, name))
    return out


def unit_name(catalogue: Catalogue, name: str) -> str:
    """Return the unit that readers see: the currency's code for amounts, else the catalogue's unit."""
    indicator = catalogue.indicators[name]
    return indicator.currency if indicator.unit == "currency" and indicator.currency else indicator.unit


def _revisions(rule: Rule, context: Context) -> list[int]:
    """Highest revision among the filings whose as-of date is the date judged."""
    found = np.zeros(len(context), np.int64)
    for form in rule.triggers:
        slots, there = context.filing(form)
        store = context.world.stores[form]
        exact = there & (store.as_of[slots, context.rows] == context.at)
        found = np.maximum(found, np.where(exact, store.revision[slots, context.rows], 0))
    return [int(r) for r in found]


def render(
    pieces: Sequence[Piece],
    context: Context,
    at: int,
    institution: Institution,
    severity: str,
    as_of: str,
    rule: Rule,
    language: str,
) -> str:
    """Return the message for row `at` of the context."""
    names = {
        "institution.name": institution.title(language),
        "subject": institution.code,
        "level": severity,
        "as_of": as_of,
        "rule.title": rule.title.get(language, rule.id),
    }
    parts = []
    for piece in pieces:
        if piece.name:
            parts.append(names[piece.name])
        elif piece.node is None:
            parts.append(piece.text)
        else:
            parts.append(_format(piece, context, at, language))
    return "".join(parts)


def _format(piece: Piece, context: Context, at: int, language: str) -> str:
    assert piece.node is not None
    column = evaluate(piece.node, context)
    missing = MISSING.get(language, MISSING["en"])
    if isinstance(column, Truth):
        return "yes" if column.yes[at] else "no" if column.no[at] else missing
    if piece.node.kind == "text":
        code = int(column[at])
        return next((text for text, known in context.world.codes.items() if known == code), "")
    value = float(column[at])
    return missing if math.isnan(value) else format(value, piece.format or ",.6g")
