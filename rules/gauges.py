"""What a level measures: the number that it compares, its limit, and which way the limit is crossed."""

from __future__ import annotations

from collections.abc import Mapping

from rules.aggregates import is_aggregate
from rules.catalogue import Catalogue
from rules.ladders import constant_of
from rules.plan import Gauge, Node, Side, walk
from rules.rendering import render
from rules.units import RATIO

SIDES: dict[str, Side] = {
    "less": "below", "less_equal": "at_most", "greater": "above", "greater_equal": "at_least",
    "equal": "equal", "unequal": "unequal",
}  # fmt: skip
_TURNED: dict[Side, Side] = {
    "below": "above", "at_most": "at_least", "above": "below", "at_least": "at_most", "equal": "equal",
    "unequal": "unequal",
}  # fmt: skip


def gauge_of(condition: Node, catalogue: Catalogue, derived: Mapping[str, Node]) -> Gauge | None:
    """Return what a condition measures, best what has a name in words; None where it compares nothing with a limit."""
    names = {node.id: name for name, node in derived.items()}
    found: list[Gauge] = []
    for node in _comparisons(condition):
        number, limit = node.args
        side = SIDES[node.op]
        if _is_limit(number) and not _is_limit(limit):
            number, limit, side = limit, number, _TURNED[side]
        if not _is_limit(limit) or _is_limit(number):
            continue
        name = str(number.params[1]) if number.op == "column" else names.get(number.id, "")
        title = catalogue.indicators[name].title if name else _title(number, catalogue, names)
        unit = unit_of(number, catalogue)
        called = name or render(number, names)
        found.append(Gauge(number, limit, side, called, title, unit, bool(name), constant_of(limit)))
    return next((gauge for gauge in found if gauge.title), found[0] if found else None)


def unit_of(node: Node, catalogue: Catalogue) -> str:
    """What readers call the unit of a number; `points` for a difference of fractions, empty for a compound one."""
    if node.op.endswith("zscore"):
        return ""
    if node.unit == RATIO:
        return "points" if is_difference(node) else "ratio"
    ((name, power),) = node.unit if node.unit is not None and len(node.unit) == 1 else (("", 1),)
    return "" if power != 1 else catalogue.currency or name if name == "currency" else name


def is_difference(node: Node) -> bool:
    """Whether a number is one fraction less another, and so in percentage points; 1 - x is a fraction itself."""
    if node.op in ("absolute", "negate"):
        return is_difference(node.args[0])
    return node.op == "subtract" and node.unit == RATIO and all(arg.op != "constant" for arg in node.args)


def _comparisons(condition: Node) -> list[Node]:
    """Comparisons of a condition, in the order in which they were written."""
    if condition.op in ("and", "or"):
        return [found for arg in condition.args for found in _comparisons(arg)]
    return [condition] if condition.op in SIDES and condition.args[0].kind == "number" else []


def _is_limit(node: Node) -> bool:
    return all(n.op not in ("column", "overdue", "firing") and not is_aggregate(n) for n in walk(node))


def _title(node: Node, catalogue: Catalogue, names: Mapping[int, str]) -> dict[str, str]:
    """The words for a change of an indicator; empty for other expressions."""
    if node.op == "absolute":
        return _title(node.args[0], catalogue, names)
    relative = node.op == "divide" and node.args[1].op == "absolute"
    change = node.args[0] if relative else node
    if change.op != "subtract" or change.args[1].op != "lag" or change.args[1].args[0] is not change.args[0]:
        return {}
    if relative and node.args[1].args[0] is not change.args[1]:
        return {}
    now, filings = change.args[0], int(change.args[1].params[1])  # type: ignore[arg-type]
    name = str(now.params[1]) if now.op == "column" else names.get(now.id, "")
    if not name:
        return {}
    title = catalogue.indicators[name].title
    over = {"en": "since the last filing" if filings == 1 else f"over {filings} filings"}
    over["zh"] = "较上期变动" if filings == 1 else f"较{filings}期前变动"
    how = {"en": "relative change", "zh": "幅度"} if relative else {"en": "change", "zh": ""}
    found = {}
    if "en" in title:
        found["en"] = f"{title['en']}, {how['en']} {over['en']}"
    if "zh" in title:
        found["zh"] = f"{title['zh']}{over['zh']}{how['zh']}"
    return found
