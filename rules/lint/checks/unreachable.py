"""Check `unreachable-level`."""

from __future__ import annotations

from collections.abc import Iterator

from rules.lint.facts import Facts
from rules.lint.ladder import plain_ladder
from rules.lint.registry import Finding, check
from rules.lint.subject import Condition, Subject


@check("unreachable-level", "error")
def unreachable(subject: Subject) -> Iterator[Finding]:
    """Wherever a level holds, a higher one does too: nobody will ever see it, for the highest wins."""
    for rule in subject.rules:
        facts = subject.facts(rule.rule)
        levels = rule.levels()
        if facts is None or plain_ladder(rule):
            continue  # a plain ladder in the wrong order is inverted
        for index, level in enumerate(levels):
            there = facts.assume_all([(level.node, True)])
            if there is None:
                continue
            for higher in levels[index + 1 :]:
                if implied(there, higher):
                    summary = f"{level.key!r} can't be reached: {higher.key!r} holds wherever it does"
                    yield Finding(level.place, summary, f"let {higher.key!r} ask for more")
                    break


def implied(facts: Facts, condition: Condition) -> bool:
    """Whether the condition is known to hold under the facts."""
    return not facts.can(condition.node, False) and not facts.can_be_unknown(condition.node)
