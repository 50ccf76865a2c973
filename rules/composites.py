"""Rules that wait for other rules: what they inherit, the order they are judged in, and circles.

A rule waits for those that it asks for with `firing`, and for those that suppress it. The first move its level
at their dates; the second only silence its alert, so at their dates its level stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rules.plan import Rule
from rules.problems import Place, Problem

MAX_DEEP = 50


def composed(rules: Sequence[Rule], places: Mapping[str, Place], problems: list[Problem]) -> list[Rule]:
    """Return the rules with the dates and triggers of those they ask for, and ranks to judge them in order.

    Who asks a rule across institutions is judged like it: together, when a batch is done.

    A circle, a mix of the two agents, and a mix of deadlines and filed values are reported in `problems`.
    """
    done: dict[str, Rule] = {}
    by_id = {rule.id: rule for rule in rules}
    for rule in rules:
        _resolve(rule, by_id, done, (), places, problems)
    return [done.get(rule.id, rule) for rule in rules]


def _resolve(
    rule: Rule,
    by_id: Mapping[str, Rule],
    done: dict[str, Rule],
    path: tuple[str, ...],
    places: Mapping[str, Place],
    problems: list[Problem],
) -> Rule:
    if rule.id in done:
        return done[rule.id]
    if rule.id in path:
        circle = " → ".join([*path[path.index(rule.id) :], rule.id])
        problems.append(Problem(places[rule.id], "cycle", f"rules wait for each other in a circle: {circle}"))
        return done.setdefault(rule.id, rule)
    if len(path) >= MAX_DEEP:
        problems.append(Problem(places[rule.id], "composite", f"over {MAX_DEEP} rules wait for each other in a row"))
        return done.setdefault(rule.id, rule)
    waits = {
        name: _resolve(by_id[name], by_id, done, (*path, rule.id), places, problems)
        for name in sorted(rule.asks | rule.heeds)
    }
    if not waits:
        return done.setdefault(rule.id, rule)
    others = list(waits.values())
    own = rule.own.union(*(waits[name].own for name in rule.asks))
    forms = rule.forms.union(*(a.forms for a in others))
    clocks = rule.clocks.union(*(a.clocks for a in others))
    if forms and clocks:
        summary = f"the rule {rule.id!r} joins deadlines with filed values, which are judged at different times"
        fix = "make it two rules" if rule.asks else "only rules on deadlines can suppress it"
        problems.append(Problem(places[rule.id], "composite", summary, fix))
    placements = {a.placement for a in others} | ({rule.placement} if rule.triggers or rule.clocks else set())
    if len(placements) > 1:
        summary = f"the rule {rule.id!r} joins rules of single institutions with rules of the system"
        problems.append(Problem(places[rule.id], "composite", summary, "ask for rules of one kind"))
    return done.setdefault(
        rule.id,
        replace(
            rule,
            own=own,
            forms=forms,
            triggers=rule.triggers.union(*(a.triggers for a in others)),
            clocks=clocks,
            across=tuple(dict.fromkeys([*rule.across, *(node for a in others for node in a.across)])),
            placement=others[0].placement,
            rank=1 + max(a.rank for a in others),
        ),
    )
