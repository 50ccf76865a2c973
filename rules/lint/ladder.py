"""Ladders of thresholds, and which way of a value is the worse one."""

from __future__ import annotations

from rules.lint.subject import Subject, Written
from rules.pack import Program
from rules.plan import Node
from rules.rendering import renderer
from rules.thresholds import Threshold, threshold

_KEEPS = (
    "lag", "window_mean", "window_median", "window_min", "window_max", "window_quantile", "window_ewma",
    "window_forecast", "peer_percentile", "peer_zscore", "window_slope",
)  # fmt: skip


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
