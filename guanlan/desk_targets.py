"""From settings and policy to the desk's sinks."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from alerts.policy import Policy, Target, read_policy
from alerts.sinks import Sink
from alerts.sinks.alertmanager import AlertmanagerSink
from alerts.sinks.apprise import AppriseSink
from alerts.sinks.people import PeopleSink
from alerts.sinks.webhook import WebhookSink, takes
from alerts.wording import Names
from guanlan.settings import Settings
from rules.problems import ConfigError, GuanlanError

log = logging.getLogger("guanlan.desk")

LOOK_AGAIN_SECONDS = 300.0
BETWEEN_LOOKS_SECONDS = 2.0
DEFAULT_FILE = Path("guanlan-desk.yaml")
_SECRET = re.compile(r"(?<=[?&])(pass|password|pwd|token|secret|key|apikey)=[^&]*", re.IGNORECASE)


class RegistryNames:
    """Names of institutions, read from the registry topic; read again when a code is not there.

    A code that is not in the registry either (a group, the system) is looked for again every five minutes.
    """

    def __init__(
        self, read: Callable[[], Mapping[str, Mapping[str, str]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._clock = clock
        self._names: Mapping[str, Mapping[str, str]] = {}
        self._missing: dict[str, float] = {}
        self._look_at = float("-inf")
        self._lock = threading.Lock()

    def __call__(self, subject: str) -> Mapping[str, str]:
        """Return the names of a subject by language; empty where nobody knows them."""
        with self._lock:
            now = self._clock()
            if subject not in self._names and now >= max(self._missing.get(subject, self._look_at), self._look_at):
                self._look_at = now + BETWEEN_LOOKS_SECONDS
                try:
                    self._names = self._read()
                except GuanlanError as err:
                    log.warning("names of institutions can't be read: %s", err)
                if subject not in self._names:
                    self._missing[subject] = now + LOOK_AGAIN_SECONDS
            return self._names.get(subject, {})


def load_policy(settings: Settings) -> Policy:
    """Read the policy of the settings, or `guanlan-desk.yaml` where it is. Raises ConfigError or PolicyError."""
    named = Path(settings.desk_policy) if settings.desk_policy else None
    path = named or (DEFAULT_FILE if DEFAULT_FILE.exists() else None)
    if path is None:
        return Policy()
    try:
        return read_policy(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as err:
        why = err.strerror if isinstance(err, OSError) else "it is not UTF-8"
        raise ConfigError(f"the desk's policy {path} can't be read: {why}; set GUANLAN_DESK_POLICY") from None


def targets(settings: Settings, policy: Policy) -> list[Target]:
    """Return whom to write to: the policy's targets, then the URLs of `GUANLAN_NOTIFY`."""
    plain = [Target(name_of(url), url, language=settings.language, digest=policy.digest) for url in settings.notify]
    return [*policy.targets, *plain]


def name_of(url: str) -> str:
    """Return the name of a target that has none: its scheme, and a hash of its address without passwords.

    >>> name_of("json://guanlan:old@host/hook") == name_of("json://guanlan:new@host/hook")
    True
    """
    parts = urlsplit(url)
    who, at, _ = parts.netloc.rpartition("@")
    bare = url
    if at:
        bare = url.replace(f"{who}@", f"{who.partition(':')[0]}@", 1)
    bare = _SECRET.sub(r"\1=", bare)
    return f"apprise-{parts.scheme}-{hashlib.blake2b(bare.encode(), digest_size=4).hexdigest()}"


def people_sink(target: Target, names: Names, policy: Policy, desk_url: str) -> PeopleSink:
    """Return the sink of a target, checked; raise ConfigError."""
    kind = WebhookSink if takes(target.url) else AppriseSink
    sink = kind(target, names, time.time, desk_url, policy.gather, policy.tries)
    sink.setup()
    return sink


def sinks(settings: Settings, policy: Policy, names: Names) -> Sequence[Sink]:
    """Return the sinks that the settings ask for, checked; raise ConfigError where they ask for none."""
    urls = [url.strip() for url in settings.alertmanager_url.split(",") if url.strip()]
    people = targets(settings, policy)
    if not urls and not people:
        raise ConfigError(
            "there is nobody to notify: set GUANLAN_ALERTMANAGER_URL or GUANLAN_NOTIFY, or name targets in"
            " guanlan-desk.yaml"
        )
    found: list[Sink] = []
    for n, url in enumerate(urls):
        sink = AlertmanagerSink(
            url,
            time.time,
            name="alertmanager" + (f"-{n}" if n else ""),
            names=names,
            desk_url=settings.desk_url,
            digesting=policy.digest,
            settle=policy.settle,
            gather=min(policy.gather, 1.0),
            desk=f"{settings.topic_prefix}{settings.group}",
        )
        sink.setup()
        found.append(sink)
    found.extend(people_sink(target, names, policy, settings.desk_url) for target in people)
    return found
