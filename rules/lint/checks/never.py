"""Check `never`."""

from __future__ import annotations

from collections.abc import Iterator

from rules.lint.registry import Finding, check
from rules.lint.subject import Subject


@check("never", "error")
def never(subject: Subject) -> Iterator[Finding]:
    """A condition can't hold for any value within the catalogue's ranges where the rule applies.

    Usually a percentage was left out, or two conditions exclude each other.
    """
    for rule in subject.rules:
        facts = subject.facts(rule.rule)
        for condition in rule.conditions():
            if condition.key == "where":
                if facts is None:
                    yield Finding(condition.place, "'where' never holds: the rule is for nobody", "check the numbers")
            elif facts is not None and facts.assume_all([(condition.node, True)]) is None:
                yield Finding(
                    condition.place,
                    f"{condition.key!r} never holds: no value that is accepted passes {condition.text.strip()!r}",
                    "check units and limits against the catalogue's ranges",
                )
