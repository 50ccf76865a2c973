"""Rules in words: what a rule reads, when and where it is judged, what has to hold, from its compiled plan."""

from __future__ import annotations

from collections.abc import Iterator

from rules.calendar import format_instant
from rules.pack import Program, rule_nodes
from rules.plan import Node, Rule, walk
from rules.spans import EVER
from rules.store import NEVER
from rules.transitions import SEVERITIES

_SYMBOLS = {
    "add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "less": "<", "less_equal": "≤", "greater": ">",
    "greater_equal": "≥", "equal": "=", "unequal": "≠", "and": "and", "or": "or",
}  # fmt: skip
_WORDS = {
    "en": {
        "judged": "Judged in the {where}, at every as-of date of {forms}",
        "clock": "Judged when a deadline of {forms} passes, and when it is met",
        "watch": "watch agents, each institution on its own",
        "system": "system agent, over all institutions",
        "scope": "For",
        "everyone": "every institution",
        "level": "{level} when {condition}",
        "hold": "A level counts once it has held for {span}",
        "clear": "Severity falls only when {condition} (for {span})",
        "reads": "Reads",
        "history": "looks back {n} filings of {form}",
        "basis": "Legal basis",
    },
    "zh": {
        "judged": "由{where}在{forms}的每个报告期判断",
        "clock": "在{forms}的报送期限届满或补报时判断",
        "watch": "监测代理(逐机构)",
        "system": "系统代理(跨机构)",
        "scope": "适用于",
        "everyone": "所有机构",
        "level": "{level}:{condition}",
        "hold": "持续{span}后生效",
        "clear": "仅当{condition}(持续{span})时降级",
        "reads": "读取",
        "history": "{form}回看{n}期",
        "basis": "法规依据",
    },
}


def explain(rule: Rule, program: Program, language: str = "en") -> list[str]:
    """Return the lines that explain a rule; language is en or zh."""
    w = _WORDS[language]
    lines = [f"{rule.id} · {rule.title.get(language, '')}"]
    forms = ", ".join(program.catalogue.forms[f].title.get(language, f) for f in sorted(rule.clocks or rule.forms))
    lines.append(
        w["clock"].format(forms=forms) if rule.clocks else w["judged"].format(where=w[rule.placement], forms=forms)
    )
    lines.append(f"{w['scope']}: {render(rule.where) if rule.where is not None else w['everyone']}")
    for level in reversed(rule.levels):
        lines.append("  " + w["level"].format(level=SEVERITIES[level.number], condition=render(level.condition)))
    if rule.hold.filings > 1 or rule.hold.seconds:
        lines.append(w["hold"].format(span=rule.hold))
    if rule.clear is not None:
        lines.append(w["clear"].format(condition=render(rule.clear), span=rule.clear_hold))
    lines.append(f"{w['reads']}:")
    lines += [f"  {line}" for line in _reads(rule, program, language)]
    if rule.basis:
        lines.append(f"{w['basis']}: " + " · ".join(v for v in rule.basis.values() if v))
    return lines


def _reads(rule: Rule, program: Program, language: str) -> Iterator[str]:
    for name in rule.reads:
        indicator = program.catalogue.indicators[name]
        yield f"{name} ({indicator.unit}, {indicator.form}): {indicator.title.get(language, '')}"
    w = _WORDS[language]
    for form in sorted(rule.triggers):
        depth = max((_depth(node, form) for node in rule_nodes(rule)), default=1)
        if depth > 1:
            yield w["history"].format(n=depth, form=form)


def _depth(node: Node, form: str) -> int:
    deepest = 1
    for below in walk(node):
        if below.params and below.params[0] == form and below.op == "lag":
            deepest = max(deepest, int(below.params[1]) + 1)  # type: ignore[arg-type]
        elif below.params and below.params[0] == form and below.op.startswith("window_"):
            deepest = max(deepest, int(below.params[1]))  # type: ignore[arg-type]
    return deepest


def render(node: Node) -> str:
    """Return a node as an expression, derived indicators expanded."""
    if node.op == "constant":
        value = float(node.params[0])  # type: ignore[arg-type]
        return f"{value:.6g}" if node.unit is None else f"{value * 100:.6g}%"
    if node.op == "column":
        return str(node.params[1])
    if node.op in ("attribute", "truth", "text", "parameter"):
        return str(node.params[0])
    if node.op == "valid":
        return _dates(*map(int, node.params))  # type: ignore[arg-type]
    if node.op == "member":
        return f"{render(node.args[0])} in ({', '.join(map(str, node.params))})"
    if (idiom := _idiom(node)) is not None:
        return idiom
    if node.op in _SYMBOLS:
        left, right = (render(a) if not _loose(a, node) else f"({render(a)})" for a in node.args)
        return f"{left} {_SYMBOLS[node.op]} {right}"
    if node.op == "negate":
        inner = render(node.args[0])
        return f"−({inner})" if node.args[0].op in _RANK else f"−{inner}"
    if node.op == "absolute":
        return f"abs({render(node.args[0])})"
    if node.op == "lag":
        return f"lag({render(node.args[0])}, {node.params[1]})"
    if node.op.startswith("window_"):
        span = f"{node.params[1]} filings" if node.params[1] else f"{int(node.params[2]) // 86400}d"  # type: ignore[arg-type]
        return f"{node.op.removeprefix('window_')}({render(node.args[0])}, '{span}')"
    if node.op == "choice":
        condition, then, otherwise = (f"({render(a)})" if a.op == "choice" else render(a) for a in node.args)
        return f"{then} if {condition} else {otherwise}"
    if node.op == "not":
        inner = render(node.args[0])
        return f"not ({inner})" if node.args[0].op in _SYMBOLS else f"not {inner}"
    parts = [*map(render, node.args), *(str(param) for param in node.params if param != "")]
    return f"{node.op}({', '.join(parts)})"


def _dates(since: int, until: int) -> str:
    first = [f"as_of ≥ {format_instant(since)}"] if since != NEVER else []
    last = [f"as_of < {format_instant(until)}"] if until != EVER else []
    return " and ".join(first + last)


def _idiom(node: Node) -> str | None:
    """The function that authors write for a shape the compiler made: change, pct_change."""
    if node.op == "subtract" and node.args[1].op == "lag" and node.args[1].args[0] is node.args[0]:
        return f"change({render(node.args[0])}, {node.args[1].params[1]})"
    if node.op == "divide" and node.args[1].op == "absolute":
        difference, size = node.args[0], node.args[1].args[0]
        if difference.op == "subtract" and difference.args[1] is size and _idiom(difference):
            return f"pct_{_idiom(difference)}"
    return None


_RANK = {"choice": -1, "or": 0, "and": 1, "add": 3, "subtract": 3, "multiply": 4, "divide": 4}


def _loose(inner: Node, outer: Node) -> bool:
    """Whether the inner operation binds less tightly than the outer, and so needs brackets."""
    return _RANK.get(inner.op, 2 if inner.op in _SYMBOLS else 9) < _RANK.get(outer.op, 2)
