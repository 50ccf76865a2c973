"""From events to transitions: ids, the values that were read, and the message, for the few rows that changed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise, repeat
from typing import Any

import numpy as np

from rules.calendar import format_instant
from rules.catalogue import Catalogue
from rules.context import Context, World
from rules.gauges import unit_of
from rules.history import spoken
from rules.judge import Said
from rules.measuring import Measuring
from rules.muting import WAIVED, reasons
from rules.plan import Rule
from rules.provenance import act_until, covered_by, in_force, notes, overdue, unconfirmed, waived
from rules.registry import Institution
from rules.rendering import render as render_value
from rules.saying import STATES, Saying
from rules.seen import Seen, instant
from rules.standing import at_level
from rules.store import NEVER, Indices
from rules.transitions import SEVERITIES, Applied, Covered, Ids, Measured, Reading, Transition


class Evidence:
    """Makes transitions of events of these rules. What belongs to a rule is prepared when it first has any."""

    def __init__(self, rules: Sequence[Rule], world: World) -> None:
        self._rules = rules
        self._world = world
        self._tellers: dict[int, _Teller] = {}

    def tell(self, said: Sequence[Said], institutions: Sequence[Institution]) -> list[Transition]:
        """Return a transition for each event to be told, in the order given."""
        if not said:
            return []
        context, places = _where(said, self._world)
        numbers = np.array([one.event.rule for one in said])
        order = np.argsort(numbers, kind="stable")
        edges = [0, *(np.flatnonzero(np.diff(numbers[order])) + 1).tolist(), len(said)]
        places, positions = places[order], order.tolist()
        groups = [
            (self._teller(int(numbers[positions[first]])), places[first:last], positions[first:last])
            for first, last in pairwise(edges)
        ]
        seen = Seen(
            context,
            [(teller.number, teller.columns, at) for teller, at, _ in groups],
            [(teller.number, teller.gauged, at) for teller, at, _ in groups],
        )
        labels = {row: _labels(institutions[row]) for row in {one.event.row for one in said}}
        told: dict[int, Transition] = {}
        for teller, at, mine in groups:
            events = [said[position] for position in mine]
            subjects = [institutions[one.event.row] for one in events]
            marks = [labels[one.event.row] for one in events]
            told |= zip(mine, teller(seen, at, events, subjects, marks), strict=True)
        return [told[position] for position in range(len(said))]

    def _teller(self, number: int) -> _Teller:
        found = self._tellers.get(number)
        if found is None:
            found = self._tellers[number] = _Teller(number, self._rules[number], self._world)
        return found


def _labels(institution: Institution) -> dict[str, str]:
    return {"type": institution.type, "region": institution.region, "peer_group": institution.peer_group}


def _where(said: Sequence[Said], world: World) -> tuple[Context, Indices]:
    """Return one context of every institution and date spoken of, and the place of each event in it."""
    rows = np.array([one.event.row for one in said], np.int64)
    dates, date = np.unique([one.event.date for one in said], return_inverse=True)
    pairs, places = np.unique(rows * len(dates) + date, return_inverse=True)
    row, date = np.divmod(pairs, len(dates))
    return Context(world, row.astype(np.int32), dates[date]), places


class _Teller:
    """Makes one rule's transitions. What says the same in all of them is one object, and nobody writes into it.

    `columns` are the form and the indicator of all that it reads as filed, `gauged` of those that its levels measure.
    """

    def __init__(self, number: int, rule: Rule, world: World) -> None:
        self.number = number
        self._rule = rule
        self._world = world
        self._ids = Ids(rule.first_id)
        texts = {level.number: level.text for level in rule.levels}
        self._conditions = [texts.get(number, "") for number in range(len(SEVERITIES))]
        self._tags, self._plan = list(rule.tags), list(rule.plan)
        catalogue = world.catalogue
        self._reads = [(name, unit_name(catalogue, name), catalogue.indicators[name].form) for name in rule.reads]
        self._across = [(render_value(node), "", node) for node in rule.across]
        self._terms = [(render_value(node), unit_of(node, catalogue), node) for node in rule.terms]
        self._derives = [(name, unit_name(catalogue, name), world.derived[name]) for name in rule.derives]
        self._zone = "" if catalogue.timezone == "UTC" else catalogue.timezone
        self._actions = {number: rule.action_at(number) for number in range(1, len(SEVERITIES))}
        self._basis = {number: at_level(rule.basis, rule.evidence, number) for number in range(len(SEVERITIES))}
        self._saying = Saying(rule, number, world)
        self._measuring = Measuring(rule, number) if rule.gauges else None
        self.gauged = self._measuring.columns if self._measuring is not None else []
        nodes = [*spoken(rule), *(node for _, _, node in (*self._across, *self._terms, *self._derives))]
        columns = {(str(node.params[0]), str(node.params[1])): None for node in nodes if node.op == "column"}
        columns |= dict.fromkeys(self.gauged)
        self.columns = list(columns | {(form, name): None for name, _, form in self._reads})

    def __call__(
        self,
        seen: Seen,
        at: Indices,
        said: Sequence[Said],
        subjects: Sequence[Institution],
        labels: Sequence[dict[str, str]],
    ) -> list[Transition]:
        """Return the transition of each event: at the places `at`, about the subjects."""
        rule, context = self._rule, seen.context
        applied = in_force(rule, context, at) if rule.settings else repeat(_NO_MAP)
        covered = covered_by(rule, context, at) if rule.across else repeat(_NO_MAP)
        told = zip(
            said,
            subjects,
            labels,
            self._readings(seen, at),
            applied,
            covered,
            seen.revisions(rule.triggers, at),
            self._saying(seen, at, said, subjects),
            self._measuring(seen, at, said) if self._measuring is not None else repeat(None),
            self._doubts(seen, at, said) if self._world.unconfirmed else repeat(_NO_LIST),
            strict=False,
        )
        return [self._tell(*evidence) for evidence in told]

    def _tell(
        self,
        said: Said,
        institution: Institution,
        labels: dict[str, str],
        readings: dict[str, Reading],
        applied: dict[str, Applied],
        covered: dict[str, Covered],
        revision: int,
        message: dict[str, str],
        measured: Measured | None,
        doubts: list[dict[str, str]],
    ) -> Transition:
        rule, event, ids = self._rule, said.event, self._ids
        state, severity = STATES[event.kind], SEVERITIES[event.level]
        subject, as_of = institution.code, instant(event.date)
        started = alert = supersedes = ""
        level = event.level or event.previous
        if event.alert != NEVER:
            started = instant(event.alert)
            alert = ids.alert(subject, started)
        if event.supersedes != NEVER:
            supersedes = ids.alert(subject, instant(event.supersedes))
        due, provisional = act_until(rule, said, self._world) if rule.deadline else ("", False)
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
            self._conditions[level],
            readings,
            rule.title,
            message,
            self._basis[level],
            self._actions[level] if state != "resolved" else _NO_MAP,
            rule.deadline if state != "resolved" else "",
            rule.route,
            self._tags,
            labels,
            reasons(rule, event.muted) if event.muted else _NO_LIST,
            waived(rule, subject, event.date) if event.muted & WAIVED else None,
            applied,
            self._plan,
            due,
            covered,
            notes(covered) + doubts if covered else doubts,
            [overdue(lapse, self._world) for lapse in said.overdue] if said.overdue else _NO_LIST,
            provisional,
            measured,
            self._zone,
        )

    def _doubts(self, seen: Seen, at: Indices, said: Sequence[Said]) -> list[list[dict[str, str]]]:
        """Say of each event which of the filings read were judged though nobody answered for their units."""
        forms = sorted({form for _, _, form in self._reads})
        found: list[list[dict[str, str]]] = []
        for one, place in zip(said, at.tolist(), strict=True):
            marked = self._world.unconfirmed.get(one.event.row, _NO_MAP)
            doubted = [(form, filing) for form in forms if form in marked and (filing := seen.filings(form)[place])]
            found.append(
                [
                    unconfirmed(self._world.catalogue.forms[form], filing[0])
                    for form, filing in doubted
                    if (filing[0], filing[1]) in {(instant(as_of), revision) for as_of, revision in marked[form]}
                ]
            )
        return found

    def _readings(self, seen: Seen, at: Indices) -> list[dict[str, Reading]]:
        out: list[dict[str, Reading]] = [{} for _ in range(len(at))]
        places = at.tolist()
        own = list(range(len(at)))
        if self._across:  # the system as a whole has no values of its own beside those across institutions
            own = np.flatnonzero(~seen.system[at]).tolist()
        for name, unit, form in self._reads:
            values, filings = seen.column(self.number, form, name), seen.filings(form)
            for i in own:
                value, filing = values[i], filings[places[i]]
                if filing is None:
                    out[i][name] = Reading(None, unit)
                else:
                    out[i][name] = Reading(value, unit, *filing)
        for name, unit, node in (*self._across, *self._terms):
            for readings, found in zip(out, seen.node(self.number, node, at), strict=True):
                readings[name] = Reading(None if found is None else float(found), unit)
        for name, unit, node in self._derives:
            numbers = seen.node(self.number, node, at)
            for i in own:
                found = numbers[i]
                out[i][name] = Reading(None if found is None else float(found), unit)
        return out


_NO_MAP: dict[str, Any] = {}
_NO_LIST: list[Any] = []


@lru_cache(maxsize=65_536)
def format_seen(seconds: int) -> str:
    """Return the instant as RFC 3339, always with a time, as CloudEvents wants it."""
    text = format_instant(seconds)
    return text if "T" in text else f"{text}T00:00:00Z"


def unit_name(catalogue: Catalogue, name: str) -> str:
    """Return the unit that readers see: the currency's code for amounts, else the catalogue's unit."""
    indicator = catalogue.indicators[name]
    return indicator.currency if indicator.unit == "currency" and indicator.currency else indicator.unit
