"""Thresholds: conditions that compare one value with what no filing changes, a number or a parameter."""

from __future__ import annotations

from dataclasses import dataclass

from rules.plan import Node, walk

RELATIONS = {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "unequal": "!="}
_OPPOSITE = {"<": ">=", ">=": "<", ">": "<=", "<=": ">", "==": "!=", "!=": "=="}
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Threshold:
    """`value sign limit`, as in lcr < 1.2; with a `base` the limit is that parameter plus so much.

    `bound` is the node that the value is compared with.
    """

    value: Node
    sign: str
    limit: float
    base: str
    bound: Node

    @property
    def falls(self) -> bool:
        """Whether it speaks of low values."""
        return self.sign in ("<", "<=")


def threshold(node: Node) -> Threshold | None:
    """Return the node as a threshold, None when it is anything else."""
    sign = relation(node)
    if sign not in _MIRRORED:
        return None
    left, right = node.args
    low, high = _limit(left), _limit(right)
    if high is not None and low is None:
        return Threshold(left, sign, *high, right)
    if low is not None and high is None:
        return Threshold(right, _MIRRORED[sign], *low, left)
    return None


def _limit(node: Node) -> tuple[float, str] | None:
    """What a node always is: a number, signs included, and the parameter it is on top of; None where values make it.

    What parameters make otherwise than by adding a number is a base of its own.
    """
    if node.op == "constant":
        return float(node.params[0]), ""  # type: ignore[arg-type]
    if node.op == "parameter":
        return 0.0, str(node.params[0])
    if any(below.op not in ("constant", "parameter") for below in walk(node) if not below.args):
        return None
    first, *others = (_limit(arg) for arg in node.args)
    if first is not None and node.op == "negate" and not first[1]:
        return -first[0], ""
    second = others[0] if others else None
    if first is not None and second is not None and not second[1] and node.op in ("add", "subtract"):
        return first[0] + (second[0] if node.op == "add" else -second[0]), first[1]
    return 0.0, f"#{node.id}"


def thresholds(node: Node) -> list[Threshold]:
    """Return the thresholds that must all be passed where the condition holds."""
    found = [threshold(leaf) for leaf, wanted in leaves(node, True) if wanted]
    return [one for one in found if one is not None]


def leaves(node: Node, outcome: bool) -> list[tuple[Node, bool]]:
    """Take apart what must all come out so: the sides of an `and` that holds, of an `or` that does not."""
    found: list[tuple[Node, bool]] = []
    stack = [(node, outcome)]
    while stack:
        part, wanted = stack.pop()
        if part.op == "not":
            stack.append((part.args[0], not wanted))
        elif part.op == ("and" if wanted else "or"):
            stack.extend((arg, wanted) for arg in reversed(part.args))
        else:
            found.append((part, wanted))
    return found


def relation(node: Node, outcome: bool = True) -> str:
    """Return the sign of a comparison that comes out so, '' for another node: not less is '>='."""
    sign = RELATIONS.get(node.op, "")
    return sign if outcome or not sign else _OPPOSITE[sign]
