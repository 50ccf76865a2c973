"""A rule book from compiled packs: Markdown that a supervisor reads, English and Chinese side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rules.explain import length, value_of
from rules.explain_words import LEVELS
from rules.pack import Program
from rules.plan import Piece, Rule, Setting, Span
from rules.rendering import Renderer, renderer

_HEADINGS = {
    "whom": "For whom · 适用对象",
    "hold": "Has to hold for · 持续",
    "clear": "Falls only when · 降级条件",
    "unless": "Silent while · 抑制条件",
    "inhibited": "Silenced by · 被抑制",
    "message": "Message · 消息",
    "action": "What to do · 处置",
    "deadline": "By when · 期限",
    "basis": "Legal basis · 法规依据",
    "parameters": "Parameters · 参数",
    "reads": "Reads · 读取指标",
    "plan": "Statements of the Plan · 方案条目",
    "status": "Status · 状态",
}
_STATES = {
    "escalated": "升级",
    "eased": "降级",
    "resolved": "解除",
    "stale": "数据逾期未更新",
    "suppressed": "暂停通知",
    "released": "恢复通知",
}
_STATUS = {
    "live": "live · 正式运行",
    "trial": "on trial · 试运行",
    "shadow": "shadow · 影子运行",
    "retired": "retired · 已停用",
}


def book(programs: Sequence[tuple[str, Program]]) -> str:
    """Return the rule book of packs, each given by a heading and its program: a list of rules, then each rule."""
    lines = ["# Rule book · 规则手册", ""]
    for heading, program in programs:
        lines += [f"## {heading}", ""]
        lines += ["| rule · 规则 | title | 名称 | levels · 级别 |", "|---|---|---|---|"]
        for rule in program.rules:
            levels = ", ".join(LEVELS["en"][level.number] for level in rule.levels)
            link = f"[{rule.id}](#{rule.id.lower().replace('.', '')})"
            lines.append(
                f"| {link} | {_cell(rule.title.get('en', ''))} | {_cell(rule.title.get('zh', ''))} | {levels} |"
            )
        lines.append("")
        for rule in program.rules:
            lines += _chapter(rule, program)
    return "\n".join(lines)


def _chapter(rule: Rule, program: Program) -> list[str]:
    lines = [f"### {rule.id}", "", _both(rule.title), "", "| | |", "|---|---|"]
    lines += [f"| {heading} | {text} |" for heading, text in _rows(rule, program, renderer(program)) if text]
    return [*lines, ""]


def _rows(rule: Rule, program: Program, render: Renderer) -> Iterator[tuple[str, str]]:
    if rule.status != "live":
        yield _HEADINGS["status"], _STATUS[rule.status]
    if rule.where is not None:
        yield _HEADINGS["whom"], _code(render(rule.where))
    for level in reversed(rule.levels):
        yield _level(level.number), _code(render(level.condition))
    if rule.hold != Span():
        yield _HEADINGS["hold"], _spans(rule.hold)
    if rule.clear is not None:
        held = f", {_spans(rule.clear_hold)}" if rule.clear_hold != Span() else ""
        yield _HEADINGS["clear"], _code(render(rule.clear)) + held
    if rule.unless is not None:
        yield _HEADINGS["unless"], _code(render(rule.unless))
    silencers = [
        f"{other.rule} ({LEVELS['en'][other.level]} · {LEVELS['zh'][other.level]})" for other in rule.inhibited_by
    ]
    yield _HEADINGS["inhibited"], ", ".join(silencers)
    texts = {language: _template(pieces, render) for language, pieces in rule.message.items()}
    yield _HEADINGS["message"], _both(texts, "<br>")
    for state, text in rule.texts.items():
        told = {language: _template(pieces, render) for language, pieces in text.items()}
        yield f"{_HEADINGS['message']}, {state} · {_STATES[state]}", _both(told, "<br>")
    if not rule.actions:
        yield _HEADINGS["action"], _both(rule.action, "<br>")
    for number, action in sorted(rule.actions.items(), reverse=True):
        yield f"{_HEADINGS['action']}, {_level(number)}", _both(action, "<br>")
    yield _HEADINGS["deadline"], rule.deadline
    yield _HEADINGS["basis"], _cell(" · ".join(value for value in rule.basis.values() if value))
    yield _HEADINGS["plan"], _cell(", ".join(rule.plan))
    yield _HEADINGS["parameters"], "<br>".join(_parameter(program.settings[name]) for name in rule.settings)
    indicators = (program.catalogue.indicators[name] for name in (*rule.reads, *rule.derives))
    yield _HEADINGS["reads"], "<br>".join(f"`{one.id}` {_both(one.title)}" for one in indicators)


def _parameter(setting: Setting) -> str:
    rows = ", ".join(f"{value_of(setting, row)} {row.whom}" for row in setting.rows)
    return f"`{setting.name}` {_both(setting.title)}: {_cell(rows)}"


def _level(number: int) -> str:
    return f"{LEVELS['en'][number]} · {LEVELS['zh'][number]}"


def _spans(span: Span) -> str:
    return f"{length(span, 'en')} · {length(span, 'zh')}"


def _template(pieces: Sequence[Piece], render: Renderer) -> str:
    """The message as its author wrote it."""
    return "".join(
        piece.text
        or f"{{{piece.name or (render(piece.node) if piece.node is not None else '')}"
        f"{':' if piece.format else ''}{piece.format}}}"
        for piece in pieces
    )


def _both(texts: dict[str, str], between: str = " · ") -> str:
    """English, Chinese, and what else there is."""
    order = [*(language for language in ("en", "zh") if language in texts), *sorted(texts.keys() - {"en", "zh"})]
    return between.join(_cell(texts[language]) for language in order if texts[language])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _code(text: str) -> str:
    return f"`{_cell(text)}`"
