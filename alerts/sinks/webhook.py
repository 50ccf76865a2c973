"""Messages to programs: JSON with the text and, beside it, every notice as data."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from alerts.sinks import Refused, SinkDown
from alerts.sinks.apprise import TYPES
from alerts.sinks.people import Message, PeopleSink
from rules.problems import ConfigError

TIMEOUT_SECONDS = 10.0
REFUSED = frozenset({400, 413, 415, 422})
"""Answers that are about the message. Others, also 401 and 404, are about the target, and may pass."""
SCHEMES = {"http": "http", "https": "https", "json": "http", "jsons": "https"}


def takes(url: str) -> bool:
    """Whether a URL is one of ours: http(s), or Apprise's json(s) without options."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") or (parts.scheme in SCHEMES and not parts.query)


class WebhookSink(PeopleSink):
    """One address that takes POSTs of JSON.

    The body has Apprise's keys (version, title, message, attachments, type) and `alerts`, the notices as data.
    """

    _client: httpx.Client | None = None
    _address = ""

    def setup(self) -> None:
        """Check the address; raise ConfigError."""
        parts = urlsplit(self.target.url)
        if parts.scheme not in SCHEMES or not parts.hostname:
            raise ConfigError(f"{self.target.source}: a webhook's URL is like https://host/path")
        login = httpx.BasicAuth(unquote(parts.username), unquote(parts.password or "")) if parts.username else None
        host = parts.netloc.rpartition("@")[2]
        self._address = urlunsplit((SCHEMES[parts.scheme], host, parts.path or "/", parts.query, ""))
        self._client = httpx.Client(timeout=TIMEOUT_SECONDS, auth=login)

    def send(self, message: Message) -> None:
        """Post one message; raise Refused or SinkDown."""
        assert self._client is not None, "setup comes first"
        body: dict[str, Any] = {
            "version": "1.0",
            "title": message.title,
            "message": message.body,
            "attachments": [],
            "type": TYPES[message.severity].value,
            "severity": message.severity,
            "alerts": list(message.data),
        }
        try:
            answer = self._client.post(self._address, json=body)
        except httpx.HTTPError as err:
            raise SinkDown(f"{self.name} can't be reached: {err or type(err).__name__}") from None
        if answer.is_success:
            return
        said = f"{self.name} answered {answer.status_code} {answer.text.strip()[:200]}".rstrip()
        if answer.status_code in REFUSED:
            raise Refused(said)
        raise SinkDown(said)
