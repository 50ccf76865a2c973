"""Headlines: what happened, which rule, to whom."""

from __future__ import annotations

from alerts.desk import Notice
from alerts.wording.words import KIND_WORDS, SEVERITY_WORDS, Names, in_language
from rules.sentences import is_back
from rules.transitions import SEVERITIES, Transition


def subject_name(event: Transition, names: Names, language: str) -> str:
    """Return the subject's name and its code, or the code alone."""
    name = in_language(names(event.subject), language)
    if not name or name == event.subject:
        return event.subject
    return f"{name}（{event.subject}）" if language == "zh" else f"{name} ({event.subject})"


def change(notice: Notice, language: str) -> str:
    """Return what happened: "escalated watch → critical", or for an alert of one severity "new: warning"."""
    tongue = "zh" if language == "zh" else "en"
    kind = told_as(notice)
    word = KIND_WORDS[kind][tongue]
    after = SEVERITY_WORDS[severity_after(notice)][tongue]
    before = SEVERITY_WORDS[severity_before(notice)][tongue]
    if kind in ("escalated", "eased"):
        return f"{word}（{before}→{after}）" if tongue == "zh" else f"{word} {before} → {after}"
    if kind == "resolved":
        return f"{word}（原级别：{before}）" if tongue == "zh" else f"{word} (was {before})"
    if kind == "stale" and tongue == "zh":
        return f"{word}（原预警级别：{after}）"
    return f"{word}（级别：{after}）" if tongue == "zh" else f"{word}: {after}"


def told_as(notice: Notice) -> str:
    """Return the kind that the words go by: what is repeated is said as its last transition was.

    A target that is told each minute shows then what happened, whenever it gets to notify people.
    """
    event = notice.alert.last
    if notice.kind in ("moved", "repeated") and is_back(event):
        return "back"
    return event.state if notice.kind == "repeated" else notice.kind


def severity_after(notice: Notice) -> str:
    """Return the severity that the alert has after the notice."""
    return "none" if notice.kind == "resolved" else notice.alert.last.severity


def severity_before(notice: Notice) -> str:
    """Return the severity that was told before, else the one that the transition left."""
    before = notice.before
    if before is not None and before is not notice.alert:
        return before.last.severity
    return notice.alert.last.previous


def headline(notice: Notice, names: Names, language: str) -> str:
    """Return one line: what happened, which rule, to whom."""
    event = notice.alert.last
    title = in_language(event.title, language, event.rule)
    who = subject_name(event, names, language)
    if language == "zh":
        return f"【{change(notice, language)}】{title}：{who}"
    return f"[{change(notice, language)}] {title}: {who}"


def gravity(notice: Notice) -> tuple[int, int]:
    """Return what to sort notices by, the gravest last: how severe they are, and whether that is news."""
    event = notice.alert.last
    news = notice.kind not in ("resolved", "eased", "suppressed", "repeated", "moved")
    return max(SEVERITIES.index(event.severity), 0 if notice.kind == "resolved" else 1), int(news)
