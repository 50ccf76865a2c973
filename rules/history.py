"""How far back nodes look: the filings of each form that must be kept, and no more."""

from __future__ import annotations

from rules.catalogue import FREQUENCY_DAYS, Catalogue
from rules.plan import Node, Rule
from rules.windows import DAY

WINDOWED = ("lag", "streak")


def rule_nodes(rule: Rule) -> list[Node]:
    """Every node a rule evaluates, its texts' included."""
    nodes = [
        n for n in (rule.where, rule.clear, rule.unless, *(level.condition for level in rule.levels)) if n is not None
    ]
    return nodes + spoken(rule)


def spoken(rule: Rule) -> list[Node]:
    """Every node that the rule's texts show."""
    texts = (rule.message, *rule.texts.values())
    return [p.node for text in texts for pieces in text.values() for p in pieces if p.node is not None]


def depth(node: Node, catalogue: Catalogue, memo: dict[int, dict[str, int]]) -> dict[str, int]:
    """Filings of each form that the node looks back, the current one included."""
    if node.id in memo:
        return memo[node.id]
    need: dict[str, int] = {}
    if node.op == "column":
        need[str(node.params[0])] = 1
    for arg in node.args:
        for form, filings in depth(arg, catalogue, memo).items():
            need[form] = max(need.get(form, 0), filings)
    if node.op in WINDOWED or node.op.startswith("window_"):
        days = FREQUENCY_DAYS[catalogue.forms[str(node.params[0])].frequency]
        filings = int(node.params[1])  # type: ignore[arg-type]
        seconds = int(node.params[2]) if len(node.params) > 2 else 0  # type: ignore[arg-type]
        back_days = seconds / DAY or filings * days
        for form in need:
            period = FREQUENCY_DAYS[catalogue.forms[form].frequency]
            need[form] += max(1, int(-(-back_days // period))) + (1 if seconds else 0)
    memo[node.id] = need
    return need
