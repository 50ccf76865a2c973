"""Check `duplicate`."""

from __future__ import annotations

from collections.abc import Iterator

from rules.lint.registry import Finding, check
from rules.lint.subject import Subject
from rules.plan import Node, Rule
from rules.thresholds import leaves


@check("duplicate")
def duplicate(subject: Subject) -> Iterator[Finding]:
    """A rule asks for the same as another: equal conditions after compilation, for the same institutions."""
    contents = _Contents()
    seen: dict[tuple[object, ...], str] = {}
    for rule in subject.rules:
        key = contents.asked(rule.rule)
        if key in seen:
            summary = f"the rule {rule.rule.id!r} asks for the same as {seen[key]!r}"
            yield Finding(rule.at("id"), summary, "keep one of them")
        else:
            seen[key] = rule.rule.id


class _Contents:
    """Numbers conditions by what they ask for, however it is written: 1.2 > x is x < 120%, and a and b is b and a."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[object, ...], int] = {}
        self._known: dict[int, int] = {}

    def asked(self, rule: Rule) -> tuple[object, ...]:
        """Return what the rule asks of whom."""
        where = self.of(rule.where) if rule.where is not None else None
        return rule.scope, where, tuple((level.number, self.of(level.condition)) for level in rule.levels)

    def of(self, node: Node) -> int:
        """Return the number of what a node says."""
        found = self._known.get(node.id)
        if found is None:
            found = self._known[node.id] = self._numbers.setdefault(self._content(node), len(self._numbers))
        return found

    def _content(self, node: Node) -> tuple[object, ...]:
        if node.op == "constant":
            return (node.op, node.params)
        if node.op in _MIRRORED:
            return (_MIRRORED[node.op], (), *(self.of(arg) for arg in reversed(node.args)))
        if node.op in ("and", "or"):
            return (node.op, frozenset((self.of(leaf), wanted) for leaf, wanted in leaves(node, node.op == "and")))
        return (node.op, node.params, *(self.of(arg) for arg in node.args))


_MIRRORED = {"greater": "less", "greater_equal": "less_equal"}
