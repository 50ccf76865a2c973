"""Messages to people, through any Apprise URL: mail, WeCom, DingTalk, Feishu, webhooks and so on."""

from __future__ import annotations

import hashlib

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType, OverflowMode
from apprise.plugins.base import NotifyBase

from alerts.desk import Notice
from alerts.sinks import SinkDown
from alerts.wording import LANGUAGES, Names, headline, message, severity_after
from rules.problems import ConfigError
from rules.transitions import SEVERITIES

DIGEST_ABOVE = 10
TOLD = frozenset({"firing", "escalated", "eased", "resolved", "stale"})
TYPES = {
    "none": NotifyType.SUCCESS,
    "watch": NotifyType.INFO,
    "warning": NotifyType.WARNING,
    "critical": NotifyType.FAILURE,
}


class AppriseSink:
    """One Apprise URL. Guarantee: at least once, in order; each message ends with its event's id.

    What is merely corrected or repeated is not sent. More than ten notices at once, as after an outage of the
    target, go as one message with a line for each, so that a storm stays readable and within rate limits.
    """

    batch = 200
    repeat_seconds = 0.0

    def __init__(self, url: str, names: Names, language: str = "en") -> None:
        scheme = url.partition(":")[0]
        self.name = f"apprise-{scheme}-{hashlib.blake2b(url.encode(), digest_size=4).hexdigest()}"
        self._url = url
        self._names = names
        self._language = language
        self._server: NotifyBase | None = None
        self._batch: list[Notice] = []

    def setup(self) -> None:
        """Read the URL; raise ConfigError, without the URL's secrets, where Apprise does not know it."""
        server = Apprise.instantiate(self._url, asset=AppriseAsset(app_id="Guanlan"))
        if server is None:
            scheme = self._url.partition("://")[0][:20]
            raise ConfigError(f"GUANLAN_NOTIFY: Apprise does not understand the URL that begins with {scheme!r}")
        if "overflow=" not in self._url:
            server.overflow_mode = OverflowMode.SPLIT
        self._server = server

    def add(self, notice: Notice) -> None:
        """Take a notice that people want to hear of."""
        if notice.kind in TOLD:
            self._batch.append(notice)

    def flush(self) -> int:
        """Send each message, or one digest; a message that was sent leaves the batch. Refuses nothing."""
        if len(self._batch) > DIGEST_ABOVE:
            worst = max(self._batch, key=_rank)
            self._send(*digest(self._batch, self._names, self._language), severity_after(worst))
            self._batch.clear()
        while self._batch:
            notice = self._batch[0]
            title = headline(notice, self._names, self._language)
            self._send(title, message(notice, self._names, self._language), severity_after(notice))
            del self._batch[0]
        return 0

    def on_paused(self) -> None:
        """Forget the batch."""
        self._batch.clear()

    def _send(self, title: str, body: str, severity: str) -> None:
        assert self._server is not None, "setup comes first"
        try:
            sent = self._server.notify(
                body=body, title=title, notify_type=TYPES[severity], body_format=NotifyFormat.TEXT
            )
        except TypeError as err:
            raise SinkDown(f"{self.name} could not send: {err}") from None
        if not sent:
            raise SinkDown(f"{self.name} did not take the message; Apprise's log says why")


def _rank(notice: Notice) -> int:
    return [str(s) for s in SEVERITIES].index(severity_after(notice))


def digest(notices: list[Notice], names: Names, first: str = "en") -> tuple[str, str]:
    """Return title and body of one message for many notices, the gravest first."""
    title = {"en": f"{len(notices)} changes of alerts", "zh": f"{len(notices)}项预警变动"}
    languages = sorted(LANGUAGES, key=lambda language: language != first)
    lines: list[str] = []
    for notice in sorted(notices, key=_rank, reverse=True):
        lines.extend(headline(notice, names, language) for language in languages)
        lines.append(f"  alert {notice.alert.case} · event {notice.alert.last.id}")
    return " / ".join(title[language] for language in languages), "\n".join(lines)
