"""Messages to people, through any Apprise URL: mail, WeCom, DingTalk, Feishu and so on."""

from __future__ import annotations

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType, OverflowMode
from apprise.plugins.base import NotifyBase

from alerts.sinks import SinkDown
from alerts.sinks.people import Message, PeopleSink
from rules.problems import ConfigError

TYPES = {
    "none": NotifyType.SUCCESS,
    "watch": NotifyType.INFO,
    "warning": NotifyType.WARNING,
    "critical": NotifyType.FAILURE,
}


class AppriseSink(PeopleSink):
    """One Apprise URL. Apprise says only whether a message was taken, so one is refused when others are taken."""

    _server: NotifyBase | None = None

    def setup(self) -> None:
        """Read the URL; raise ConfigError, without the URL's secrets, where Apprise does not know it."""
        url = self.target.url
        server = Apprise.instantiate(url, asset=AppriseAsset(app_id="Guanlan"))
        if server is None:
            scheme = url.partition("://")[0][:20]
            raise ConfigError(f"{self.target.source}: Apprise does not understand the URL that begins with {scheme!r}")
        if "overflow=" not in url:
            server.overflow_mode = OverflowMode.SPLIT
        self._server = server

    def send(self, message: Message) -> None:
        """Send one message; raise SinkDown."""
        assert self._server is not None, "setup comes first"
        kind = TYPES[message.severity]
        try:
            sent = self._server.notify(
                body=message.body, title=message.title, notify_type=kind, body_format=NotifyFormat.TEXT
            )
        except TypeError as err:
            raise SinkDown(f"{self.name} could not send: {err}") from None
        if not sent:
            raise SinkDown(f"{self.name} did not take the message; Apprise's log says why")
