"""Check `zero-division`."""

from __future__ import annotations

from collections.abc import Iterator

from rules.expressions import ExpressionError, Name, parse, parts
from rules.lint.facts import Facts
from rules.lint.ladder import named
from rules.lint.registry import Finding, check
from rules.lint.subject import Condition, Subject, Written
from rules.plan import Node
from rules.problems import Place
from rules.thresholds import leaves


@check("zero-division")
def zero_division(subject: Subject) -> Iterator[Finding]:
    """A condition divides by a value that may be zero: the result is missing there and the rule says nothing.

    Looked at is what the rule itself divides; a formula of the catalogue and pct_change say in their own place what
    zero means. A condition beside it that excludes zero is enough.
    """
    for rule in subject.rules:
        facts = subject.facts(rule.rule)
        told: set[int] = set()
        for condition in rule.conditions():
            here = subject.anywhere() if condition.key == "where" else facts
            hidden = _hidden(condition, subject)
            if "/" not in condition.text or here is None:
                continue
            for node, numerator_too in dict.fromkeys(_divisions(condition.node, here, hidden)):
                if node.args[1].id in told:
                    continue
                told.add(node.args[1].id)
                divisor = named(node.args[1], subject)
                what = "divides 0 by 0" if numerator_too else "divides by 0"
                summary = f"{condition.key!r} {what} where {divisor} is 0, and is unknown there"
                yield Finding(_place(rule, condition), summary, f"say what zero means, as in '{divisor} > 0 and …'")


def _place(rule: Written, condition: Condition) -> Place:
    """The place of the division where there is only one, else of the condition."""
    value = rule.find(condition.key) or rule.find("levels", condition.key)
    if value is None or condition.text.count("/") != 1:
        return condition.place
    return value.at(value.text().index("/"))


def _hidden(condition: Condition, subject: Subject) -> frozenset[int]:
    """Derived indicators that the condition names."""
    try:
        stack = [parse(condition.text.rpartition(" for ")[0] or condition.text)]
    except ExpressionError:
        stack = [parse(condition.text)]
    named_here: set[str] = set()
    while stack:
        tree = stack.pop()
        if isinstance(tree, Name):
            named_here.add(tree.id)
        stack.extend(parts(tree))
    return frozenset(node.id for name, node in subject.program.derived.items() if name in named_here)


def _divisions(node: Node, facts: Facts, hidden: frozenset[int]) -> Iterator[tuple[Node, bool]]:
    """Divisions whose divisor may be zero under the facts, and whether the dividend may be as well."""
    if node.id in hidden:
        return
    if node.op in ("and", "or"):
        parted = leaves(node, node.op == "and")
        for index, (leaf, _) in enumerate(parted):
            beside = facts.assume_all(parted[:index] + parted[index + 1 :])
            if beside is not None:
                yield from _divisions(leaf, beside, hidden)
        return
    if node.op == "choice":
        condition, then, otherwise = node.args
        yield from _divisions(condition, facts, hidden)
        for outcome, branch in ((True, then), (False, otherwise)):
            there = facts.assume(condition, outcome)
            if there is not None:
                yield from _divisions(branch, there, hidden)
        return
    if node.op == "divide" and not _is_pct_change(node):
        divisor, dividend = facts.range(node.args[1]), facts.range(node.args[0])
        if divisor.low <= 0 <= divisor.high:
            yield node, dividend.low <= 0 <= dividend.high
    here = facts if node.op in _HERE else facts.base
    for arg in node.args:
        yield from _divisions(arg, here, hidden)


_HERE = (
    "add", "subtract", "multiply", "divide", "negate", "absolute", "pair_min", "pair_max", "not", "missing",
    "less", "less_equal", "greater", "greater_equal", "equal", "unequal",
)  # fmt: skip


def _is_pct_change(node: Node) -> bool:
    dividend, divisor = node.args
    return (
        divisor.op == "absolute"
        and divisor.args[0].op == "lag"
        and dividend.op == "subtract"
        and dividend.args[1] is divisor.args[0]
    )
