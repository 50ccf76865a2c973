"""Built-in sentences: what a transition says where its rule has no text of its own, in English and Chinese.

A rule's `message` says that a level holds. Where none does any more, or nobody knows, it would state the opposite of
what is so. These sentences say what happened, and why.
"""

from __future__ import annotations

from collections.abc import Mapping

from rules.explain_words import LEVELS
from rules.spelling import day, number
from rules.transitions import SEVERITIES, Measured, Transition

UNKNOWN_TITLE = {"en": "Measured value", "zh": "监测值"}
_SEPARATOR = {"en": ", ", "zh": "、"}


def sentence(event: Transition, language: str = "en", was: Transition | None = None) -> str:
    """Return what a transition says in one language: the rule's own text, else a built-in sentence; empty for neither.

    `was` is the transition that was told of the alert before, where it is known: its value is what a correction
    corrects.
    """
    own = event.message.get(language) or event.message.get("en") or next(iter(event.message.values()), "")
    if event.state == "resolved" and event.rule_hash and event.cause in ("revised", "rule-changed", "retired"):
        own = ""  # its author thought of a filing that ends the alert
    tongue = "zh" if language == "zh" else "en"
    built = _BUILT_IN.get(event.state)
    if built is not None:
        return _frame(event, tongue) + (own or built(event, was, tongue))
    return f"{_BACK[tongue]}{own}" if own and is_back(event) else own


def is_back(event: Transition) -> bool:
    """Whether an alert's data came back, at the severity that it had."""
    return event.state == "firing" and event.previous == event.severity and not event.overdue


def _frame(event: Transition, language: str) -> str:
    """What state it is, before the colon."""
    if event.state == "resolved" and not event.alert_id:
        return "触发条件未持续足够时间：" if language == "zh" else "Not held for long enough: "
    level = severity(event.previous if event.state == "resolved" else event.severity, language)
    return _FRAMES[language][event.state].format(level=level)


def severity(word: str, language: str) -> str:
    """Return a severity in words.

    >>> severity("critical", "zh"), severity("none", "en")
    ('严重', 'none')
    """
    return LEVELS["zh" if language == "zh" else "en"][[str(s) for s in SEVERITIES].index(word)]


def cause(event: Transition, language: str) -> str:
    """Return why a transition came about, as a phrase."""
    zh = language == "zh"
    match event.cause:
        case "late":
            return "迟报数据" if zh else "a late filing"
        case "revised":
            return (
                (f"第{event.revision}次修订" if event.revision else "更正报送")
                if zh
                else (f"revision {event.revision}" if event.revision else "a revised filing")
            )
        case "clock":
            return "期限届满" if zh else "a deadline or the time passed"
        case "rule-changed":
            version = event.pack_version
            if zh:
                return f"规则调整（{version}版）" if version else "规则调整"
            return f"a change of the rule (version {version})" if version else "a change of the rule"
        case "retired":
            if event.status == "retired":
                return "规则停用" if zh else "the rule was retired"
            return "机构退出名录" if zh else "the institution left the registry"
        case _:
            return "新报送数据" if zh else "a filing"


def value_of(measured: Measured, language: str, was: float | None = None) -> str:
    """Return the number measured with its name, and what it was where that is known and another.

    >>> lcr = Measured("lcr", 1.5, "ratio", title={"en": "LCR", "zh": "流动性覆盖率"})
    >>> value_of(lcr, "en", 0.97), value_of(lcr, "zh", 0.97)
    ('LCR 150.00%, was 97.00%', '流动性覆盖率150.00%（此前97.00%）')
    """
    zh = language == "zh"
    text = f"{title_of(measured, language)}{'' if zh else ' '}{number(measured.value, measured.unit, language)}"
    if was is None or was == measured.value:
        return text
    before = number(was, measured.unit, language)
    return f"{text}（此前{before}）" if zh else f"{text}, was {before}"


def title_of(measured: Measured, language: str) -> str:
    """Return what the number measured is called."""
    words: Mapping[str, str] = measured.title or UNKNOWN_TITLE
    return words.get(language) or words.get("en") or next(iter(words.values()))


def _was(event: Transition, was: Transition | None) -> float | None:
    """The value that was told before; else that of the filing before, where a filing brought the change."""
    if event.measured is None:
        return None
    if was is not None and was.measured is not None and was.measured.name == event.measured.name:
        return was.measured.value
    return event.measured.before if event.cause == "filed" else None


def _known(event: Transition, was: Transition | None, language: str) -> str:
    """The value now, and before; empty where nothing was measured."""
    found = event.measured
    return value_of(found, language, _was(event, was)) if found is not None and found.value is not None else ""


def _is_late_report(event: Transition) -> bool:
    return any(name.startswith("overdue(") for name in event.values)


def _resolved(event: Transition, was: Transition | None, language: str) -> str:
    return _resolved_zh(event, was) if language == "zh" else _resolved_en(event, was)


def _resolved_en(event: Transition, was: Transition | None) -> str:
    known = _known(event, was, "en")
    if event.cause == "retired":
        return cause(event, "en")
    if event.cause == "rule-changed":
        return f"by {cause(event, 'en')} no level holds" + (f": {known}" if known else "")
    if event.cause == "revised":
        return f"corrected by {cause(event, 'en')}" + (f": {known}" if known else "")
    if _is_late_report(event):
        return "what was overdue has been filed"
    date = day(event.as_of, event.zone)
    by = {
        "late": f"after a late filing no level holds as of {date}",
        "clock": "no level holds any more, as time has passed",
    }.get(event.cause, f"cleared by the filing for {date}")
    return by + (f": {known}" if known else "")


def _resolved_zh(event: Transition, was: Transition | None) -> str:
    known = _known(event, was, "zh")
    if event.cause == "retired":
        return cause(event, "zh").replace("停用", "已停用").replace("退出", "已退出")
    if event.cause == "rule-changed":
        return f"{cause(event, 'zh')}后不再触及任何级别" + (f"，{known}" if known else "")
    if event.cause == "revised":
        return f"经{cause(event, 'zh')}更正" + (f"，{known}" if known else "")
    if _is_late_report(event):
        return "逾期报表已补报"
    by = {
        "late": f"迟报数据补报后，截至{day(event.as_of, event.zone, 'zh')}",
        "clock": "随时间推移，触发条件已不成立",
    }
    parts = [by.get(event.cause, ""), known, "" if event.cause == "clock" else "已不触及预警条件"]
    return "，".join(filter(None, parts))


def _stale(event: Transition, was: Transition | None, language: str) -> str:
    found = event.measured if event.measured is not None and event.measured.value is not None else None
    if found is None and was is not None:
        found = was.measured
    last = value_of(found, language) if found is not None and found.value is not None else ""
    if language == "zh":
        return "预警维持" + (f"，最近报送{last}" if last else "")
    return "the alert stays open" + (f"; last known: {last}" if last else "")


def _suppressed(event: Transition, was: Transition | None, language: str) -> str:
    zh = language == "zh"
    parts = []
    for by in event.suppressed_by:
        if by == "waiver":
            parts.append(_waived(event, language))
        elif by == "unless":
            parts.append("规则的例外条件成立" if zh else "the rule's own exception holds")
        else:
            parts.append(f"规则{by}的预警未关闭" if zh else f"the alert of rule {by} is open")
    return _SEPARATOR[language].join(parts)


def _waived(event: Transition, language: str) -> str:
    waiver = event.waiver
    if waiver is None:
        return "豁免" if language == "zh" else "a waiver"
    until = day(waiver.until, event.zone, language)
    if language == "zh":
        return f"豁免至{until}（{waiver.document}，{waiver.reason}）"
    return f"a waiver until {until} ({waiver.document}: {waiver.reason})"


def _released(event: Transition, was: Transition | None, language: str) -> str:
    known = _known(event, None, language)
    if language == "zh":
        return "暂停原因已消除，预警仍未解除" + (f"，{known}" if known else "")
    return "nothing silences the alert any more, and it is still open" + (f": {known}" if known else "")


_FRAMES = {
    "en": {
        "resolved": "Resolved (was {level}): ",
        "stale": "Data overdue (level {level}): ",
        "suppressed": "Notifications paused (level {level}): ",
        "released": "Notifications resumed (level {level}): ",
    },
    "zh": {
        "resolved": "预警解除（原级别：{level}）：",
        "stale": "数据逾期未更新（原预警级别：{level}）：",
        "suppressed": "暂停通知（级别：{level}）：",
        "released": "恢复通知（级别：{level}）：",
    },
}
_BACK = {"en": "The overdue filings have come, the level is as before. ", "zh": "逾期数据已补报，预警级别不变。"}
_BUILT_IN = {"resolved": _resolved, "stale": _stale, "suppressed": _suppressed, "released": _released}
