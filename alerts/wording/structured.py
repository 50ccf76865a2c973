"""One notice as data, for programs: webhooks get it beside the text, Alertmanager as annotations."""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.desk import Notice
from alerts.wording import lines as standard
from alerts.wording.dates import days_between
from alerts.wording.headlines import headline, severity_after, severity_before
from alerts.wording.law import legal_basis, legal_line
from alerts.wording.message import link, paragraph, said
from alerts.wording.words import LANGUAGES, Names, in_language
from rules.sentences import cause
from rules.standing import standing

SCHEMA = "urn:guanlan:schema:notice:1"


def structured(notice: Notice, names: Names, desk_url: str = "") -> dict[str, Any]:
    """Return the notice as JSON data: the standard lines as numbers and dates, and the texts by language.

    `event` is the transition whole, as on the topic `alerts`. Times are RFC 3339; `time_zone` is that of local days.
    """
    alert, event = notice.alert, notice.alert.last
    over = notice.kind == "resolved"
    return {
        "schema": SCHEMA,
        "kind": notice.kind,
        "case": alert.case,
        "rule": event.rule,
        "title": dict(event.title),
        "subject": event.subject,
        "name": dict(names(event.subject)),
        "severity": severity_after(notice),
        "severity_before": severity_before(notice),
        "state": event.state,
        "cause": event.cause,
        "as_of": event.as_of,
        "opened": alert.opened,
        "open_days": days_between(alert.opened, event.seen_at),
        "time_zone": event.zone or "UTC",
        "measured": msgspec.to_builtins(event.measured),
        "overdue": msgspec.to_builtins(event.overdue),
        "basis": {} if over else dict(event.basis),
        "standing": "" if over else event.basis.get("standing") or standing(event.basis.get("evidence")),
        "action": dict(event.action) if not over else {},
        "due": "" if over else event.due,
        "due_provisional": bool(not over and event.due_provisional),
        "link": link(notice, desk_url),
        "headline": {language: headline(notice, names, language) for language in LANGUAGES},
        "sentence": {language: said(notice, language) for language in LANGUAGES},
        "lines": {language: paragraph(notice, language, desk_url) for language in LANGUAGES},
        "because": {language: cause(event, language) for language in LANGUAGES},
        "event": msgspec.to_builtins(event),
    }


def annotations(notice: Notice, names: Names, desk_url: str = "") -> dict[str, str]:
    """Return the words and the evidence as Alertmanager's annotations, in both languages; empty ones are left out."""
    event = notice.alert.last
    over = notice.kind == "resolved"
    found = {
        "as_of": event.as_of,
        "started": event.started,
        "event_id": event.id,
        "condition": "" if over else event.condition,
        "due": "" if over else event.due,
        "due_provisional": "true" if event.due_provisional and not over else "",
        "rule_hash": event.rule_hash,
        "pack_version": event.pack_version,
        "link": link(notice, desk_url),
        "evidence": "\n".join(standard.evidence(event.values, "en", event.zone)),
    }
    for language in LANGUAGES:
        found |= {f"{key}_{language}": text for key, text in _words(notice, names, language, desk_url).items()}
    return {key: text for key, text in sorted(found.items()) if text}


def _words(notice: Notice, names: Names, language: str, desk_url: str) -> dict[str, str]:
    event, over = notice.alert.last, notice.kind == "resolved"
    return {
        "title": event.title.get(language, ""),
        "name": in_language(names(event.subject), language),
        "headline": headline(notice, names, language),
        "message": said(notice, language),
        "text": "\n".join(paragraph(notice, language, desk_url)),
        "basis": "" if over else legal_basis(event.basis, language),
        "law": "" if over else legal_line(event.basis, language),
        "action": "" if over else in_language(event.action, language),
        "deadline": "" if over else standard.deadline(event.deadline, language),
        "notes": "\n".join(in_language(note, language) for note in event.notes),
        "overdue": "\n".join(standard.overdue(event.overdue, language, event.zone)),
        "summary": headline(notice, names, language),
    }
