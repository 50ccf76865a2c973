"""Check `overlap`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from rules.lint.ladder import named, plain_ladder
from rules.lint.registry import Finding, check
from rules.lint.subject import Subject, Written
from rules.thresholds import Threshold


@check("overlap")
def overlap(subject: Subject) -> Iterator[Finding]:
    """Two rules have ladders on the same value, for institutions in common, and their limits overlap.

    One bad filing then opens two alerts that say the same.
    """
    ladders = [(rule, ladder) for rule in subject.rules if (ladder := plain_ladder(rule))]
    for (first, left), (second, right) in combinations(ladders, 2):
        if _same_value(left[0], right[0]) and _overlap(left, right) and _together(subject, first, second):
            value = named(left[0].value, subject)
            summary = f"the levels of {second.rule.id!r} on {value} overlap with those of {first.rule.id!r}"
            if [one.limit for one in left] != [one.limit for one in right]:
                yield Finding(second.at("levels"), summary, "make it one ladder, or tell the two apart by 'where'")


def _same_value(one: Threshold, other: Threshold) -> bool:
    return (one.value.id, one.falls, one.base) == (other.value.id, other.falls, other.base)


def _overlap(left: list[Threshold], right: list[Threshold]) -> bool:
    a, b = [one.limit for one in left], [one.limit for one in right]
    return min(a) <= max(b) and min(b) <= max(a)


def _together(subject: Subject, first: Written, second: Written) -> bool:
    """Whether both rules can apply to one institution."""
    if first.rule.scope != second.rule.scope:
        return False
    facts = subject.facts(first.rule)
    if facts is None:
        return False
    return second.rule.where is None or facts.assume_all([(second.rule.where, True)]) is not None
