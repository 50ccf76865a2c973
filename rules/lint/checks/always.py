"""Check `always`."""

from __future__ import annotations

from collections.abc import Iterator

from rules.lint.registry import Finding, check
from rules.lint.subject import Subject


@check("always")
def always(subject: Subject) -> Iterator[Finding]:
    """A condition holds for every value within the catalogue's ranges, wherever its values are known.

    A level that always holds is an alert that never ends.
    """
    for rule in subject.rules:
        facts = subject.facts(rule.rule)
        for condition in rule.conditions():
            here = subject.anywhere() if condition.key == "where" else facts
            if here is not None and here.assume_all([(condition.node, False)]) is None:
                fix = "leave it out" if condition.key == "where" else "check the limit against the catalogue's range"
                yield Finding(condition.place, f"{condition.key!r} holds for every value that is accepted", fix)
