"""Alerts to a Prometheus Alertmanager, through its v2 API.

Alertmanager forgets: an alert that is not sent again resolves itself, and a restart may lose everything. So
every open alert is sent again each minute, with an end four minutes ahead. It knows an alert by its labels;
where these change (an escalation changes `severity`), the alert with the old labels is ended in the same
request. Sending twice is harmless: equal labels are one alert.
"""

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from alerts.desk import Alert, Notice
from alerts.events import instant
from alerts.sinks import SinkDown
from alerts.wording import deadline, evidence, in_language, legal_basis, overdue
from rules.problems import ConfigError
from rules.transitions import Transition

log = logging.getLogger("guanlan.desk")

REPEAT_SECONDS = 60.0
ENDS_AFTER_SECONDS = 4 * REPEAT_SECONDS
TIMEOUT_SECONDS = 10.0
MOST_IN_A_REQUEST = 500
REFUSED = frozenset({400, 413, 422})

Posting = dict[str, object]
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


class AlertmanagerSink:
    """One Alertmanager. Guarantee: at least once, and once in effect, because equal labels are one alert.

    Of a cluster every member must be told: make a sink for each.
    """

    batch = MOST_IN_A_REQUEST
    repeat_seconds = REPEAT_SECONDS

    def __init__(
        self, url: str, now: Callable[[], float], name: str = "alertmanager", client: httpx.Client | None = None
    ) -> None:
        self.name = name
        self._url = url.rstrip("/")
        self._now = now
        self._client = client or httpx.Client(timeout=TIMEOUT_SECONDS)
        self._batch: list[Notice] = []

    def setup(self) -> None:
        """Check the address; raise ConfigError."""
        parts = httpx.URL(self._url)
        if parts.scheme not in ("http", "https") or not parts.host:
            raise ConfigError(f"GUANLAN_ALERTMANAGER_URL must be like http://host:9093, not {self._url!r}")

    def add(self, notice: Notice) -> None:
        """Take a notice."""
        self._batch.append(notice)

    def flush(self) -> int:
        """Post the batch in order; return how many Alertmanager refused as malformed, each logged."""
        refused = 0
        while self._batch:
            some = self._batch[:MOST_IN_A_REQUEST]
            refused += self._deliver(some)
            del self._batch[: len(some)]
        return refused

    def on_paused(self) -> None:
        """Forget the batch."""
        self._batch.clear()

    def _deliver(self, notices: list[Notice]) -> int:
        """Post notices together; where that is refused, each alone, so that one can't take others with it."""
        why = self._post(notices)
        if why is None:
            return 0
        if len(notices) > 1:
            return sum(self._deliver([notice]) for notice in notices)
        event = notices[0].alert.last
        log.error("%s refused event %s of rule %s for good: %s", self.name, event.id, event.rule, why)
        return 1

    def _post(self, notices: list[Notice]) -> str | None:
        """Return None when taken, the reason when refused for good; raise SinkDown otherwise."""
        now = self._now()
        body = [posting for notice in notices for posting in postings(notice, now)]
        try:
            answer = self._client.post(f"{self._url}/api/v2/alerts", json=body)
        except httpx.HTTPError as err:
            raise SinkDown(f"{self.name} at {self._url} can't be reached: {err or type(err).__name__}") from None
        if answer.is_success:
            return None
        said = f"{answer.status_code} {answer.text.strip()[:300]}"
        if answer.status_code in REFUSED:
            return said
        raise SinkDown(f"{self.name} at {self._url} answered {said}")


def postings(notice: Notice, now: float) -> list[Posting]:
    """Return what to post for a notice at `now` (seconds since the epoch)."""
    before, after = notice.before, notice.alert
    if notice.kind in ("resolved", "suppressed"):
        return [_posting(before or after, now, ended=after.last.seen_at)]
    ended = before is not None and labels(before) != labels(after)
    gone = [_posting(before, now, ended=after.last.seen_at)] if before is not None and ended else []
    return [*gone, _posting(after, now)]


def _posting(alert: Alert, now: float, ended: str = "") -> Posting:
    """Return one alert as the API takes it: open, or ended at an instant that is neither before its start nor ahead."""
    start = min(_seconds(alert.opened), now)
    end = max(start, min(_seconds(ended), now)) if ended else now + ENDS_AFTER_SECONDS
    return {
        "labels": labels(alert),
        "annotations": annotations(alert),
        "startsAt": _stamp(start),
        "endsAt": _stamp(end),
    }


def labels(alert: Alert) -> dict[str, str]:
    """Return the labels: what routes, groups and silences may match on, and what makes the alert this alert.

    `alert_id` is the id of the case, so that a corrected start does not make another alert. The engine's own
    labels (type, region, peer group) come along where their names suit Prometheus. Empty ones are left out.
    """
    event = alert.last
    own = {
        "alertname": event.rule,
        "subject": event.subject,
        "severity": event.severity,
        "pack": event.pack,
        "route": event.route,
        "scope": event.scope,
        "alert_id": alert.case,
    }
    others = {k: v for k, v in event.labels.items() if _LABEL.match(k)}
    return {k: v for k, v in sorted({**others, **own}.items()) if v}


def annotations(alert: Alert) -> dict[str, str]:
    """Return the annotations: the words and the evidence, in both languages."""
    event = alert.last
    found = {
        "as_of": event.as_of,
        "started": event.started,
        "event_id": event.id,
        "condition": event.condition,
        "due": event.due,
        "due_provisional": "true" if event.due_provisional else "",
        "rule_hash": event.rule_hash,
        "pack_version": event.pack_version,
        "evidence": "\n".join(evidence(event.values)),
    }
    for language in ("en", "zh"):
        found |= {f"{key}_{language}": text for key, text in _words(event, language).items()}
    return {k: v for k, v in sorted(found.items()) if v}


def _words(event: Transition, language: str) -> dict[str, str]:
    return {
        "title": event.title.get(language, ""),
        "message": event.message.get(language, ""),
        "basis": legal_basis(event.basis, language),
        "action": event.action.get(language, ""),
        "deadline": deadline(event.deadline, language),
        "notes": "\n".join(in_language(note, language) for note in event.notes),
        "overdue": "\n".join(overdue(event.overdue, language)),
        "summary": in_language(event.message, language) or in_language(event.title, language, event.rule),
    }


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(instant(moment)).timestamp()


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
