"""Rules that ask for other rules: what they inherit, the order they are judged in, and circles."""

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
    asked = [_resolve(by_id[a], by_id, done, (*path, rule.id), places, problems) for a in sorted(rule.asks)]
    if not asked:
        return done.setdefault(rule.id, rule)
    forms = rule.forms.union(*(a.forms for a in asked))
    clocks = rule.clocks.union(*(a.clocks for a in asked))
    if forms and clocks:
        summary = f"the rule {rule.id!r} joins deadlines with filed values, which are judged at different times"
        problems.append(Problem(places[rule.id], "composite", summary, "make it two rules"))
    placements = {a.placement for a in asked} | ({rule.placement} if rule.triggers or rule.clocks else set())
    if len(placements) > 1:
        summary = f"the rule {rule.id!r} joins rules of single institutions with rules of the system"
        problems.append(Problem(places[rule.id], "composite", summary, "ask for rules of one kind"))
    return done.setdefault(
        rule.id,
        replace(
            rule,
            forms=forms,
            triggers=rule.triggers.union(*(a.triggers for a in asked)),
            clocks=clocks,
            across=tuple(dict.fromkeys([*rule.across, *(node for a in asked for node in a.across)])),
            placement=asked[0].placement,
            rank=1 + max(a.rank for a in asked),
        ),
    )
