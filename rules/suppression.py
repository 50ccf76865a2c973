"""Suppression as packs write it: waivers, and rules whose alerts silence those of others.

`inhibits` on the cause and `inhibited_by` on the consequence say the same; here they become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rules.keys import INHIBITOR, WAIVER, names
from rules.plan import Inhibitor, Rule, Waiver
from rules.problems import Place, Problem, nearest, short
from rules.source import Reader, Value
from rules.spans import dates
from rules.transitions import SEVERITIES

MAX_INHIBITORS = 24
MAX_WAIVERS = 5_000
_TEXTS = ("rule", "institution", "reason", "document", "approver", "to")

Wanted = tuple[str, Inhibitor, Place]
"""Consequence, its inhibitor, and the place that says so."""


def read_waivers(top: Reader) -> list[Waiver]:
    """Read a pack's `waivers`; what is wrong goes to the reader's problems."""
    values = list(top.items("waivers"))
    if len(values) > MAX_WAIVERS:
        top.problem(top.place("waivers"), "too-large", f"the pack has over {MAX_WAIVERS:,} waivers", "split it")
        return []
    return [w for w in (_waiver(value, top.problems) for value in values) if w is not None]


def _waiver(value: Value, problems: list[Problem]) -> Waiver | None:
    before = len(problems)
    r = Reader(value, problems, "a waiver")
    if not isinstance(value.data, dict):
        return None
    r.only(names(WAIVER))
    rule, institution, reason, document, approver, _ = (r.text(key) for key in _TEXTS)
    since, until = dates(r)
    waiver = Waiver(rule, institution, reason, document, approver, since, until, value.place)
    return waiver if len(problems) == before else None


def read_inhibitors(r: Reader, ident: str) -> list[Wanted]:
    """Read a rule's `inhibited_by` and `inhibits`."""
    found = [(ident, inhibitor, place) for inhibitor, place in _inhibited_by(r)]
    places = [v.place for v in r.items("inhibits")] if _is_list(r, "inhibits") else [r.place("inhibits")]
    names = zip(r.strings("inhibits"), places, strict=False)
    return found + [(name, Inhibitor(ident), place) for name, place in names]


def _is_list(r: Reader, key: str) -> bool:
    return key in r.data and isinstance(r.data[key].data, list)


def _inhibited_by(r: Reader) -> list[tuple[Inhibitor, Place]]:
    if "inhibited_by" not in r.data:
        return []
    value = r.data["inhibited_by"]
    values = value.data if isinstance(value.data, list) else [value]
    found = []
    for one in values:
        if isinstance(one.data, dict):
            inner = Reader(one, r.problems, "'inhibited_by'")
            inner.only(names(INHIBITOR))
            level = inner.choice("level", SEVERITIES[1:], SEVERITIES[1])
            found.append((Inhibitor(inner.text("rule"), SEVERITIES.index(level)), inner.place("rule")))
        elif isinstance(one.data, list) or one.data is None:
            r.problem(one.place, "shape", "'inhibited_by' must be a list of rule ids, or of {rule: …, level: …}")
        else:
            found.append((Inhibitor(one.text()), one.place))
    return found


def inhibited(rules: Sequence[Rule], wanted: Sequence[Wanted], problems: list[Problem]) -> list[Rule]:
    """Return the rules with their inhibitors; a rule that is not there, or that speaks of others, is a problem."""
    by_id = {rule.id: rule for rule in rules}
    found: dict[str, dict[str, Inhibitor]] = {}
    for consequence, inhibitor, place in wanted:
        missing = [name for name in (consequence, inhibitor.rule) if name not in by_id]
        if missing:
            fix = nearest(missing[0], by_id)
            problems.append(Problem(place, "unknown-rule", f"there is no rule {short(missing[0])}", fix))
        elif (by_id[consequence].scope, inhibitor.rule == consequence) != (by_id[inhibitor.rule].scope, False):
            summary = f"{inhibitor.rule!r} can't inhibit {consequence!r}: they speak of different subjects"
            if inhibitor.rule == consequence:
                summary = f"the rule {consequence!r} can't inhibit itself"
            problems.append(Problem(place, "inhibition", summary))
        else:
            mine = found.setdefault(consequence, {})
            # said on both sides: the lower level suppresses more
            level = min(inhibitor.level, mine.get(inhibitor.rule, inhibitor).level)
            mine[inhibitor.rule] = Inhibitor(inhibitor.rule, level)
            if len(mine) == MAX_INHIBITORS + 1:
                summary = f"over {MAX_INHIBITORS} rules inhibit {consequence!r}"
                problems.append(Problem(place, "inhibition", summary, "use 'unless' with firing"))
    return [
        replace(
            rule,
            inhibited_by=tuple(found[rule.id].values()),
            heeds=rule.heeds.union(found[rule.id]),
        )
        if rule.id in found
        else rule
        for rule in rules
    ]


def waived(rules: Sequence[Rule], waivers: Sequence[Waiver], problems: list[Problem]) -> list[Rule]:
    """Return the rules with their waivers; one of a rule that is not there, or a second at one date, is a problem."""
    names = {name: rule.id for rule in rules for name in (rule.id, *rule.renamed_from)}
    found: dict[str, list[Waiver]] = {}
    known: dict[tuple[str, str], list[Waiver]] = {}
    for waiver in waivers:
        if waiver.rule not in names:
            fix = nearest(waiver.rule, names)
            problems.append(Problem(waiver.place, "unknown-rule", f"there is no rule {short(waiver.rule)}", fix))
            continue
        ident = names[waiver.rule]
        mine = known.setdefault((ident, waiver.institution), [])
        for other in mine:
            if waiver.since < other.until and other.since < waiver.until:
                summary = f"a waiver for {waiver.institution!r} at the same dates stands at {other.place}"
                problems.append(Problem(waiver.place, "twice", summary, "one of them is enough"))
                break
        mine.append(waiver)
        found.setdefault(ident, []).append(waiver)
    return [replace(rule, waivers=tuple(found[rule.id])) if rule.id in found else rule for rule in rules]
