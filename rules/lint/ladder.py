"""Thresholds: conditions that compare one value with a number, and which way of that value is the worse one."""

from __future__ import annotations

from dataclasses import dataclass

from rules.lint.facts import leaves, relation
from rules.lint.subject import Subject, Written
from rules.pack import Program
from rules.plan import Node, walk
from rules.rendering import renderer

_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_KEEPS = (
    "lag", "window_mean", "window_median", "window_min", "window_max", "window_quantile", "window_ewma",
    "window_forecast", "peer_percentile", "peer_zscore", "window_slope",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Threshold:
    """`value sign limit`, as in lcr < 1.2; with a `base` the limit is that parameter plus so much."""

    value: Node
    sign: str
    limit: float
    base: str = ""

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
        return Threshold(left, sign, *high)
    if low is not None and high is None:
        return Threshold(right, _MIRRORED[sign], *low)
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


def plain_ladder(rule: Written) -> list[Threshold]:
    """Return a threshold for each level when all compare one value in one direction, from one base; else nothing."""
    found = [one for level in rule.rule.levels if (one := threshold(level.condition)) is not None]
    alike = {(one.value.id, one.falls, one.base) for one in found}
    return found if len(found) == len(rule.rule.levels) and len(alike) == 1 else []


def better(node: Node, program: Program) -> str:
    """Return which way of a value is better, as its indicator says: higher, lower, or '' when that is not said."""
    names = [name for name, derived in program.derived.items() if derived is node]
    if node.op == "column":
        names.append(str(node.params[1]))
    for name in names:
        direction = program.catalogue.indicators[name].direction
        return "" if direction == "none" else direction
    if node.op in _KEEPS:
        return better(node.args[0], program)
    if node.op == "negate":
        return {"higher": "lower", "lower": "higher"}.get(better(node.args[0], program), "")
    if node.op == "subtract" and node.args[1].op == "lag" and node.args[1].args[0] is node.args[0]:
        return better(node.args[0], program)
    if node.op == "divide" and node.args[1].op == "absolute" and node.args[0].op == "subtract":
        return better(node.args[0], program)
    return ""


def named(node: Node, subject: Subject) -> str:
    """What a value is called in a message: its indicator's id, else its expression."""
    return renderer(subject.program)(node)


def told(one: Threshold) -> str:
    """A limit as authors write it: percent for ratios, on top of its parameter."""
    size = f"{abs(one.limit) * 100:.6g}%" if one.value.unit == () else f"{abs(one.limit):,.6g}"
    sign = "-" if one.limit < 0 else "+"
    if not one.base:
        return f"-{size}" if one.limit < 0 else size
    return f"{one.base} {sign} {size}" if one.limit else one.base
