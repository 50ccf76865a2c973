"""Check `direction`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rules.lint.ladder import better, named
from rules.lint.registry import Finding, check
from rules.lint.subject import Subject, Written
from rules.thresholds import Threshold, thresholds


@check("direction")
def direction(subject: Subject) -> Iterator[Finding]:
    """A level speaks of the side of its indicator that the catalogue calls the better one.

    Looked at is what the ladder climbs on: a level's only threshold, or one whose limit changes from level to level.
    """
    for rule in subject.rules:
        climbed = _climbed(rule)
        for level in rule.levels():
            found = thresholds(level.node)
            for one in found:
                good = better(one.value, subject.program)
                is_subject = len(found) == 1 or (one.value.id, one.falls) in climbed
                if is_subject and good == ("lower" if one.falls else "higher"):
                    side = "low" if one.falls else "high"
                    summary = f"{level.key!r} warns of {side} {named(one.value, subject)}, where {good} is better"
                    yield Finding(level.place, summary, f"turn {one.sign!r} round, or correct the catalogue")


def _climbed(rule: Written) -> set[tuple[int, bool]]:
    """Values, and their side, that several levels compare with different limits."""
    limits: dict[tuple[int, bool], set[tuple[str, float]]] = {}
    seen: Counter[tuple[int, bool]] = Counter()
    for level in rule.rule.levels:
        for one in thresholds(level.condition):
            limits.setdefault(_key(one), set()).add((one.base, one.limit))
            seen[_key(one)] += 1
    return {key for key, found in limits.items() if len(found) > 1 and seen[key] == len(rule.rule.levels)}


def _key(one: Threshold) -> tuple[int, bool]:
    return one.value.id, one.falls
