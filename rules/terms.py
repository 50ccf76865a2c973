"""Terms: parts of conditions whose value an alert must carry, because no single filing shows it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rules.aggregates import is_aggregate
from rules.plan import Node

_TERMS = frozenset({"lag", "streak", "age", "firing", "overdue"})


def is_term(node: Node) -> bool:
    """Whether the node looks back, at the clock, at other rules or institutions, or at a number of the registry."""
    if node.op in _TERMS or node.op.startswith("window_") or is_aggregate(node):
        return True
    return node.op == "attribute" and node.kind == "number"


def leaves_of(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield what the nodes are made of, each once: terms as a whole, else nodes without parts."""
    seen: set[int] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if node.id in seen:
            continue
        seen.add(node.id)
        if is_term(node) or not node.args:
            yield node
        else:
            stack.extend(node.args)


def terms_of(nodes: Iterable[Node]) -> tuple[Node, ...]:
    """Return the terms of the nodes that are no aggregates, which rules list by themselves."""
    return tuple(node for node in leaves_of(nodes) if is_term(node) and not is_aggregate(node))
