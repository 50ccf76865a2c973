"""Check `inverted-ladder`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from rules.lint.ladder import plain_ladder, told
from rules.lint.registry import Finding, check
from rules.lint.subject import Subject


@check("inverted-ladder", "error")
def inverted(subject: Subject) -> Iterator[Finding]:
    """The limits of a ladder go the wrong way, or stand still: a higher level asks for no more than a lower one."""
    for rule in subject.rules:
        for (low, level), (high, higher) in pairwise(zip(rule.levels(), plain_ladder(rule), strict=False)):
            asks_more = higher.limit < level.limit if level.falls else higher.limit > level.limit
            if not asks_more and not (higher.limit == level.limit and len(higher.sign) < len(level.sign)):
                summary = f"{high.key!r} at {told(higher)} asks for no more than {low.key!r} at {told(level)}"
                side = "lower" if level.falls else "higher"
                yield Finding(high.place, summary, f"give {high.key!r} a {side} limit")
