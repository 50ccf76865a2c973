"""An alert explained from its own evidence: what was frozen in it is evaluated again, and must give the same.

The rule's compiled conditions run through the engine's operations; what they read (values filed, terms that look
back, parameters, attributes) comes from the alert and from nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rules.calendar import parse_instant
from rules.context import Column, Context, Truth, World
from rules.operations import truth
from rules.pack import Program
from rules.plan import Node, Rule, Span
from rules.registry import TEXT_ATTRIBUTES
from rules.rendering import render, renderer
from rules.terms import is_term, leaves_of
from rules.transitions import SEVERITIES, Transition

ALONE = Span()
"""`for` as it is without being written: one filing."""

WORDS = {
    "en": {
        "held": "{level} holds", "not": "{level} does not hold", "unknown": "whether {level} holds is not known",
        "value": "{name} = {value}", "from": "(filed for {as_of}, revision {revision})", "missing": "missing",
        "parameter": "{name} = {value} ({row})",
        "outside": "the rule does not apply to the institution at this date",
        "same": "Evaluated again, the evidence gives the same: {severity}.",
        "other": "Evaluated again, the evidence gives {held}, told was {severity}.",
        "before": "The severity rests on dates before this one, too; at this date the evidence gives {held}.",
        "edited": "The rule is not the one that judged (hash {old}, now {new}): it was edited since.",
        "none": "none", "watch": "watch", "warning": "warning", "critical": "critical", "open": "unknown",
        "pending": "pending", "firing": "firing", "escalated": "escalated", "eased": "eased", "resolved": "resolved",
        "suppressed": "suppressed", "released": "released", "stale": "stale", "worsened": "worsened",
    },
    "zh": {
        "held": "{level}成立", "not": "{level}不成立", "unknown": "{level}是否成立无法判断",
        "value": "{name} = {value}", "from": "（数据日期{as_of}，修订{revision}）", "missing": "缺失",
        "parameter": "{name} = {value}（{row}）",
        "outside": "该日规则不适用于该机构",
        "same": "按证据重新计算，结果相同：{severity}。",
        "other": "按证据重新计算，结果为{held}，原预警为{severity}。",
        "before": "该级别还取决于此前日期的数据；按本日证据为{held}。",
        "edited": "规则已被修改（原哈希{old}，现为{new}）。",
        "none": "无", "watch": "关注", "warning": "预警", "critical": "严重", "open": "无法判断",
        "pending": "待定", "firing": "触发", "escalated": "升级", "eased": "缓和", "resolved": "解除",
        "suppressed": "抑制", "released": "恢复", "stale": "数据中断", "worsened": "恶化",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Again:
    """What came out: each level's number, text and outcome (None unknown), the highest that holds (-1 unknown).

    `same` says whether that is what was told, None where the severity rests on dates before as well. `inside` is
    whether the rule applies, None where that is unknown; `edited` whether the rule is another one by now.
    """

    levels: tuple[tuple[int, str, bool | None], ...]
    held: int
    same: bool | None
    inside: bool | None
    edited: bool


def again(alert: Transition, program: Program) -> Again:
    """Evaluate an alert's evidence again; raise ConfigError where the program has no such rule."""
    rule = program.rule(alert.rule)
    context = _context(alert, rule, program)
    inside = True if rule.where is None else _outcome(truth(rule.where, context))
    levels = tuple((level.number, level.text, _outcome(truth(level.condition, context))) for level in rule.levels)
    held = _held(levels, inside)
    return Again(levels, held, _same(alert, rule, held), inside, bool(alert.rule_hash) and alert.rule_hash != rule.hash)


def _context(alert: Transition, rule: Rule, program: Program) -> Context:
    own = {**alert.labels, "code": alert.subject}
    world = World(program.catalogue, {}, {}, {}, {"": 0})
    world.texts = {name: np.array([world.code(own.get(name, ""))], np.int32) for name in TEXT_ATTRIBUTES}
    context = Context(world, np.zeros(1, np.int32), np.array([parse_instant(alert.as_of)], np.int64))
    conditions = [level.condition for level in rule.levels] + ([rule.where] if rule.where is not None else [])
    for node in leaves_of(conditions):
        if (column := _frozen(node, alert)) is not None:
            context.memo[node.id] = column
    return context


def _frozen(node: Node, alert: Transition) -> Column | None:
    """The node's column as the alert has it; None for what is computed from it."""
    if node.op == "parameter":
        applied = alert.parameters.get(str(node.params[0]))
        return _column(node, applied.value if applied is not None else None)
    if node.op == "column" or is_term(node):
        reading = alert.values.get(str(node.params[1]) if node.op == "column" else render(node))
        return _column(node, reading.value if reading is not None else None)
    return None


def _column(node: Node, value: float | None) -> Column:
    if node.kind == "truth":
        return Truth(np.array([value == 1.0]), np.array([value == 0.0]))
    return np.array([math.nan if value is None else value])


def _outcome(found: Truth) -> bool | None:
    return True if found.yes[0] else False if found.no[0] else None


def _held(levels: tuple[tuple[int, str, bool | None], ...], inside: bool | None) -> int:
    if inside is not True:
        return 0 if inside is False else -1
    held = max((number for number, _, outcome in levels if outcome), default=0)
    return -1 if held == 0 and any(outcome is None for _, _, outcome in levels) else held


def _same(alert: Transition, rule: Rule, held: int) -> bool | None:
    severity = SEVERITIES.index(alert.severity)
    back = alert.state == "firing" and alert.severity == alert.previous  # its data came
    stays = back or alert.state in ("suppressed", "released", "stale")
    if held == severity or (held < 0 and stays):
        return True
    memory = rule.hold != ALONE or rule.clear is not None or rule.own != rule.forms
    if held < 0 or memory or stays or alert.state not in ("firing", "escalated", "eased"):
        return None
    return False


def recheck(alert: Transition, program: Program, language: str = "en") -> Iterator[str]:
    """Yield the lines that explain an alert from its evidence; language is en or zh."""
    words, found = WORDS[language], again(alert, program)
    name = renderer(program, language)
    title = alert.title.get(language) or alert.rule
    yield f"{alert.rule} · {title} · {alert.subject} · {alert.as_of} · {words[alert.state]} · {words[alert.severity]}"
    if found.edited:
        yield words["edited"].format(old=alert.rule_hash, new=program.rule(alert.rule).hash)
    yield ""
    for key, reading in alert.values.items():
        line = words["value"].format(name=key, value=_told(reading.value, reading.unit, words))
        origin = words["from"].format(as_of=reading.as_of, revision=reading.revision or 0) if reading.as_of else ""
        yield f"  {line} {origin}".rstrip()
    for key, applied in alert.parameters.items():
        value = _told(applied.value, applied.unit, words)
        yield f"  {words['parameter'].format(name=key, value=value, row=applied.row)}"
    yield ""
    if found.inside is False:
        yield f"  {words['outside']}"
    for number, _, outcome in reversed(found.levels):
        condition = next(x.condition for x in program.rule(alert.rule).levels if x.number == number)
        key = "held" if outcome else "unknown" if outcome is None else "not"
        yield f"  {words[key].format(level=words[SEVERITIES[number]])}: {name(condition)}"
    yield ""
    key = "before" if found.same is None else "same" if found.same else "other"
    held = words["open"] if found.held < 0 else words[SEVERITIES[found.held]]
    yield words[key].format(severity=words[alert.severity], held=held)


def _told(value: float | None, unit: str, words: dict[str, str]) -> str:
    if value is None:
        return words["missing"]
    return f"{value * 100:.6g}%" if unit == "ratio" else f"{value:,.6g} {unit}".rstrip()
