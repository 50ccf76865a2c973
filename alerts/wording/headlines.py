"""Headlines: what happened, which rule, to whom."""

from __future__ import annotations

from alerts.desk import Notice
from alerts.wording.words import KIND_WORDS, SEVERITY_WORDS, Names, in_language
from rules.transitions import SEVERITIES, Transition


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


def gravity(notice: Notice) -> tuple[int, int]:
    """Return what to sort notices by: the gravest last; of one severity, what is over or eased first."""
    return SEVERITIES.index(notice.alert.last.severity), notice.kind not in ("resolved", "eased", "suppressed")
