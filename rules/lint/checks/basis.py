"""Check `no-basis`."""

from __future__ import annotations

from collections.abc import Iterator

from rules.lint.registry import Finding, check
from rules.lint.subject import Subject


@check("no-basis")
def basis(subject: Subject) -> Iterator[Finding]:
    """A rule does not say on which law, rule or guideline it stands, nor that it is somebody's own proposal."""
    for rule in subject.rules:
        found = rule.rule.basis
        if not found.get("document") and not found.get("evidence"):
            summary = f"the rule {rule.rule.id!r} has no legal basis"
            yield Finding(rule.at("id"), summary, "name its document, or write 'basis: {evidence: proposal}'")
