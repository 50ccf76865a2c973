"""What people read about an alert, in English and Chinese."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

from alerts.desk import Notice
from rules.transitions import Overdue, Reading, Transition

LANGUAGES = ("en", "zh")

Names = Callable[[str], Mapping[str, str]]
"""Names by language of a subject; an empty mapping where they are not known."""

SEVERITY_WORDS = {
    "none": {"en": "none", "zh": "无"},
    "watch": {"en": "watch", "zh": "关注"},
    "warning": {"en": "warning", "zh": "预警"},
    "critical": {"en": "critical", "zh": "严重"},
}
KIND_WORDS = {
    "firing": {"en": "new", "zh": "新增"},
    "escalated": {"en": "escalated", "zh": "升级"},
    "eased": {"en": "eased", "zh": "缓和"},
    "resolved": {"en": "resolved", "zh": "解除"},
    "suppressed": {"en": "suppressed", "zh": "抑制"},
    "stale": {"en": "stale", "zh": "数据中断"},
    "moved": {"en": "corrected", "zh": "更正"},
    "repeated": {"en": "still open", "zh": "持续"},
}
_UNITS = {
    "bd": {"en": ("business day", "business days"), "zh": ("个工作日", "个工作日")},
    "d": {"en": ("day", "days"), "zh": ("天", "天")},
    "h": {"en": ("hour", "hours"), "zh": ("小时", "小时")},
}
_SCALES = ((1e12, "tn"), (1e9, "bn"), (1e6, "m"))
_DEADLINE = re.compile(r"\s*(\d+)\s*(bd|d|h)\s*\Z")


def in_language(words: Mapping[str, str], language: str, default: str = "") -> str:
    """Return the words in `language`, else in English, else in any language, else `default`.

    >>> in_language({"zh": "流动性"}, "en")
    '流动性'
    """
    return words.get(language) or words.get("en") or next(iter(words.values()), default)


def number(value: float | None, unit: str) -> str:
    """Return a number with its unit: a ratio in percent, an amount in thousands, millions and so on.

    >>> number(0.9731, "ratio"), number(1.234e12, "CNY"), number(3.0, "count"), number(None, "ratio")
    ('97.31%', '1.234tn CNY', '3', 'missing')
    """
    if value is None or math.isnan(value):
        return "missing"
    if unit == "ratio":
        return f"{value:.2%}"
    if unit in ("", "count", "score"):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    scale, suffix = next(((s, t) for s, t in _SCALES if abs(value) >= s), (1.0, ""))
    return f"{value / scale:,.4g}{suffix} {unit}"


def evidence(values: Mapping[str, Reading]) -> list[str]:
    """Return a line for each value that the rule read: name, value, and the filing that it came from."""
    width = max(map(len, values), default=0)
    return [f"{name.ljust(width)}  {number(r.value, r.unit)}{_origin(r)}" for name, r in sorted(values.items())]


def _origin(reading: Reading) -> str:
    if reading.as_of is None:
        return ""
    revision = f", revision {reading.revision}" if reading.revision else ""
    return f"  ({reading.as_of}{revision})"


def legal_basis(basis: Mapping[str, str | None], language: str) -> str:
    """Return the legal basis as it is cited; empty where the rule names none.

    >>> legal_basis({"document": "商业银行流动性风险管理办法", "number": "2018年第3号", "article": "37"}, "en")
    '商业银行流动性风险管理办法 (2018年第3号), art. 37'
    """
    document, number_, article = (basis.get(k) or "" for k in ("document", "number", "article"))
    if not document:
        return ""
    if language == "zh":
        return f"《{document}》" + (f"（{number_}）" if number_ else "") + (f"第{article}条" if article else "")
    return document + (f" ({number_})" if number_ else "") + (f", art. {article}" if article else "")


def overdue(forms: Sequence[Overdue], language: str) -> list[str]:
    """Return a line for each form that did not come: what it is, since when it is overdue, what was filed last.

    >>> overdue([Overdue("cn.liquidity.d", "2026-03-06", "2026-03-04", {"en": "Liquidity"})], "en")
    ['Overdue since 2026-03-06: Liquidity (cn.liquidity.d), last filed for 2026-03-04']
    """
    lines = []
    for form in forms:
        title = in_language(form.title, language)
        name = f"{title} ({form.form})" if title else form.form
        lines.append(
            f"报表逾期（自{form.since}）：{name}，最近报送日期{form.last}"
            if language == "zh"
            else f"Overdue since {form.since}: {name}, last filed for {form.last}"
        )
    return lines


def deadline(text: str, language: str) -> str:
    """Return a deadline in words; what is not understood comes back as it is.

    >>> deadline("5bd", "en"), deadline("5bd", "zh"), deadline("1d", "en")
    ('5 business days', '5个工作日', '1 day')
    """
    match = _DEADLINE.match(text)
    if match is None:
        return text
    count, unit = int(match.group(1)), match.group(2)
    word = _UNITS[unit]["zh" if language == "zh" else "en"][count != 1]
    return f"{count}{word}" if language == "zh" else f"{count} {word}"


def subject_name(event: Transition, names: Names, language: str) -> str:
    """Return the subject's name and its code, or the code alone."""
    name = in_language(names(event.subject), language)
    return f"{name} ({event.subject})" if name and name != event.subject else event.subject


def change(notice: Notice, language: str) -> str:
    """Return what happened: "escalated watch → critical", or for an alert of one severity "new: warning"."""
    tongue = "zh" if language == "zh" else "en"
    word = KIND_WORDS[notice.kind][tongue]
    after = SEVERITY_WORDS[severity_after(notice)][tongue]
    before = SEVERITY_WORDS[notice.before.last.severity][tongue] if notice.before else ""
    if notice.kind in ("escalated", "eased"):
        return f"{word} {before} → {after}"
    if notice.kind == "resolved":
        return f"{word} ({before})"
    return f"{word}: {after}"


def severity_after(notice: Notice) -> str:
    """Return the severity that the alert has after the notice."""
    return "none" if notice.kind == "resolved" else notice.alert.last.severity


def headline(notice: Notice, names: Names, language: str) -> str:
    """Return one line: what happened, which rule, to whom."""
    event = notice.alert.last
    title = in_language(event.title, language, event.rule)
    return f"[{change(notice, language)}] {title}: {subject_name(event, names, language)}"


def paragraph(notice: Notice, language: str) -> list[str]:
    """Return the lines of a message in one language below its headline: message, as-of, basis, action, deadline."""
    event = notice.alert.last
    zh = language == "zh"
    said = in_language(event.message, language)
    lines = [said] if said else []
    lines.append(f"数据日期 {event.as_of}" if zh else f"As of {event.as_of}")
    lines += [in_language(note, language) for note in event.notes]
    lines += overdue(event.overdue, language)
    basis = legal_basis(event.basis, language)
    if basis:
        lines.append(f"依据：{basis}" if zh else f"Basis: {basis}")
    action = in_language(event.action, language)
    if action and notice.kind != "resolved":
        within = deadline(event.deadline, language)
        by = "" if not event.due else f"，至{event.due}" if zh else f", by {event.due}"
        if event.due_provisional:
            by += "，暂定，以正式公布的放假调休安排为准" if zh else ", provisional until working days are announced"
        limit = "" if not within else f"（时限{within}{by}）" if zh else f" (within {within}{by})"
        lines.append(f"措施：{action}{limit}" if zh else f"Action: {action}{limit}")
    return lines


def message(notice: Notice, names: Names, first: str = "en") -> str:
    """Return what stands below the headline in `first`: both languages, the evidence, and the ids."""
    first, second = sorted(LANGUAGES, key=lambda language: language != first)
    lines = [*paragraph(notice, first), "", headline(notice, names, second), *paragraph(notice, second)]
    parts = ["\n".join(lines)]
    event = notice.alert.last
    lines = evidence(event.values)
    if event.condition and notice.kind != "resolved":
        lines.insert(0, event.condition)
    if lines:
        parts.append("\n".join(["Evidence / 依据数据", *lines]))
    parts.append(f"{event.rule} · alert {notice.alert.case} · event {event.id}")
    return "\n\n".join(parts)
