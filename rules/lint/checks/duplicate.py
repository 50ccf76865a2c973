"""Check `duplicate`."""

from __future__ import annotations

from collections.abc import Iterator

from rules.lint.registry import Finding, check
from rules.lint.subject import Subject
from rules.plan import Rule


@check("duplicate")
def duplicate(subject: Subject) -> Iterator[Finding]:
    """A rule asks for the same as another: equal conditions after compilation, for the same institutions."""
    seen: dict[tuple[object, ...], str] = {}
    for rule in subject.rules:
        key = _asked(rule.rule)
        if key in seen:
            summary = f"the rule {rule.rule.id!r} asks for the same as {seen[key]!r}"
            yield Finding(rule.at("id"), summary, "keep one of them")
        else:
            seen[key] = rule.rule.id


def _asked(rule: Rule) -> tuple[object, ...]:
    where = rule.where.id if rule.where is not None else None
    return rule.scope, where, tuple((level.number, level.condition.id) for level in rule.levels)
