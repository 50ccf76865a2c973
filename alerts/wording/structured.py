"""One notice as data, for programs: webhooks get it beside the text, Alertmanager as annotations."""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.desk import Notice
from alerts.wording.headlines import headline, severity_after
from alerts.wording.lines import deadline, evidence, legal_basis, overdue
from alerts.wording.message import link, paragraph
from alerts.wording.words import LANGUAGES, Names, in_language


def structured(notice: Notice, names: Names, desk_url: str = "") -> dict[str, Any]:
    """Return the notice as JSON data: ids, severity, the transition whole, and texts by language."""
    alert, event = notice.alert, notice.alert.last
    return {
        "schema": "urn:guanlan:schema:notice:1",
        "kind": notice.kind,
        "case": alert.case,
        "rule": event.rule,
        "subject": event.subject,
        "name": dict(names(event.subject)),
        "severity": severity_after(notice),
        "severity_before": notice.before.last.severity if notice.before else "none",
        "opened": alert.opened,
        "link": link(notice, desk_url),
        "headline": {language: headline(notice, names, language) for language in LANGUAGES},
        "lines": {language: paragraph(notice, language) for language in LANGUAGES},
        "event": msgspec.to_builtins(event),
    }


def annotations(notice: Notice, names: Names, desk_url: str = "") -> dict[str, str]:
    """Return the words and the evidence as Alertmanager's annotations, in both languages; empty ones are left out."""
    event = notice.alert.last
    found = {
        "as_of": event.as_of,
        "started": event.started,
        "event_id": event.id,
        "condition": event.condition,
        "due": event.due,
        "due_provisional": "true" if event.due_provisional else "",
        "rule_hash": event.rule_hash,
        "pack_version": event.pack_version,
        "link": link(notice, desk_url),
        "evidence": "\n".join(evidence(event.values)),
    }
    for language in LANGUAGES:
        found |= {f"{key}_{language}": text for key, text in _words(notice, names, language).items()}
    return {key: text for key, text in sorted(found.items()) if text}


def _words(notice: Notice, names: Names, language: str) -> dict[str, str]:
    event = notice.alert.last
    return {
        "title": event.title.get(language, ""),
        "headline": headline(notice, names, language),
        "text": "\n".join(paragraph(notice, language)),
        "message": event.message.get(language, ""),
        "basis": legal_basis(event.basis, language),
        "action": event.action.get(language, ""),
        "deadline": deadline(event.deadline, language),
        "notes": "\n".join(in_language(note, language) for note in event.notes),
        "overdue": "\n".join(overdue(event.overdue, language)),
        "summary": in_language(event.message, language) or in_language(event.title, language, event.rule),
    }
