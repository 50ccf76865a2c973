"""What sinks that write to people have in common: who wants what, groups, digests, hours, and messages refused.

A subclass says how one message is sent.
"""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from alerts.desk import Kind, Notice
from alerts.notes import Digest
from alerts.policy import Target
from alerts.sinks import DeadLetter, Refused, SinkDown
from alerts.sinks.alertmanager import stamp
from alerts.sinks.storms import Group, Storm, group_of
from alerts.wording import Names, digest, group_message, severity_after, structured
from rules.transitions import SEVERITIES

log = logging.getLogger("guanlan.desk")

UNTOLD: frozenset[Kind] = frozenset({"moved", "repeated"})
FAILURES_IN_A_ROW = 3
"""After so many messages that were not taken, one after another, the target counts as down."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: its notices, and the words; `severity` is the gravest after it."""

    notices: tuple[Notice, ...]
    title: str
    body: str
    severity: str
    data: tuple[dict[str, object], ...] = ()

    @property
    def key(self) -> str:
        """Names the oldest of its notices, and so stays when others join it."""
        notice = self.notices[0]
        said = f"{notice.alert.last.id}\x1f{notice.kind}\x1f{notice.at}"
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


class PeopleSink(ABC):
    """Messages to people at one target. Guarantee: at least once, in the order of each subject.

    What is merely corrected or repeated is not sent. The findings about one institution in one family of rules are
    one message; more groups than the policy allows in its interval are a digest. A message that the target refuses
    does not hold up those of other subjects: after `tries` refusals it is a dead letter.
    """

    batch = 200
    repeat_seconds = 0.0

    def __init__(
        self,
        target: Target,
        names: Names,
        now: Callable[[], float],
        desk_url: str = "",
        gather: float = 5.0,
        tries: int = 5,
    ) -> None:
        """Write to `target`; `gather` seconds a notice waits for others that belong to it."""
        self.target = target
        self.name = target.name
        self._names = names
        self._now = now
        self._desk_url = desk_url
        self._gather = gather
        self._most_tries = tries
        self._storm = Storm(target.digest)
        self._queue: list[tuple[float, Notice]] = []
        self._tries: dict[str, int] = {}
        self._apart = False
        self._singly: set[Group] = set()
        self._dead: list[DeadLetter] = []

    @abstractmethod
    def setup(self) -> None:
        """Check the target's address; raise ConfigError."""

    @abstractmethod
    def send(self, message: Message) -> None:
        """Send one message. Raises SinkDown where it was not taken, Refused where it was the message's fault."""

    def add(self, notice: Notice) -> None:
        """Take a notice that people of this target want to hear of."""
        if notice.kind not in UNTOLD and self.target.wants(notice):
            self._queue.append((self._now(), notice))

    def flush(self) -> int:
        """Send what is due; return how many messages were taken."""
        now = self._now()
        ready = [(at, notice) for at, notice in self._queue if self.target.open_at(now, notice.alert.last.severity)]
        if not ready or now < ready[0][0] + self._gather:
            return 0
        groups: dict[Group, list[Notice]] = {}
        for _, notice in ready:
            groups.setdefault(group_of(notice.alert.last), []).append(notice)
        first = len(groups) > 1 and any(notice.first for _, notice in ready)
        urgent = any(notice.alert.last.severity == "critical" for _, notice in ready)
        way = "digest" if first else self._storm.ask(now, len(groups), urgent)
        if way == "wait":
            return 0
        if way == "digest" and not self._apart:
            try:
                self._try(self._digest(list(groups.values())))
            except (SinkDown, Refused) as err:
                self._apart = True  # one of its notices may be to blame: try each group alone
                log.warning("%s did not take a digest, its groups go apart: %s", self.name, err)
            else:
                self._storm.digested(now)
                return 1
        return self._each(list(groups.values()), now)

    def waiting(self) -> list[Notice]:
        """Return what was not sent."""
        return [notice for _, notice in self._queue]

    def dead(self) -> list[DeadLetter]:
        """Return what was refused for good since the last call."""
        found, self._dead = self._dead, []
        return found

    def digests(self, partition: int) -> Sequence[Digest]:
        """People's digests are sent and done."""
        return ()

    def restore(self, partition: int, digests: Sequence[Digest]) -> None:
        """People's digests are sent and done."""
        return

    def assigned(self, partitions: Iterable[int]) -> None:
        """A message that was sent stays sent: there is nothing to compare with."""
        return

    def on_paused(self) -> None:
        """Forget everything."""
        self._queue.clear()
        self._tries.clear()
        self._singly.clear()
        self._apart = False

    def _each(self, groups: list[list[Notice]], now: float) -> int:
        """Send each group alone. One that is not taken holds up its subject only, where others are taken."""
        taken, in_a_row = 0, 0
        failed: dict[str, tuple[Message, Exception]] = {}
        for notices in self._units(groups):
            subject = notices[0].alert.last.subject
            if subject in failed:
                continue
            message = self._message(notices)
            try:
                self._try(message)
            except (SinkDown, Refused) as err:
                failed[subject] = (message, err)
                in_a_row += 1
                if in_a_row >= FAILURES_IN_A_ROW and not taken:
                    break
                continue
            taken, in_a_row = taken + 1, 0
            self._storm.sent(now)
        up = taken > 0 or any(isinstance(err, Refused) for _, err in failed.values())
        for message, err in failed.values():
            if up or isinstance(err, Refused):
                self._blame(message, err, now)
        left = [err for message, err in failed.values() if message.key in self._tries or not up]
        if left:
            raise SinkDown(str(left[0]))
        self._apart = False
        return taken

    def _units(self, groups: list[list[Notice]]) -> list[list[Notice]]:
        """Return what is one message; a group that was refused is one for each notice, to find the culprit."""
        self._singly &= {group_of(notices[0].alert.last) for notices in groups}
        units: list[list[Notice]] = []
        for notices in groups:
            alone = group_of(notices[0].alert.last) in self._singly
            units += [[notice] for notice in notices] if alone else [notices]
        return units

    def _try(self, message: Message) -> None:
        self.send(message)
        self._done(message)

    def _done(self, message: Message) -> None:
        sent = set(map(id, message.notices))
        self._queue = [(at, notice) for at, notice in self._queue if id(notice) not in sent]
        self._tries.pop(message.key, None)

    def _blame(self, message: Message, err: Exception, now: float) -> None:
        """Count a try against a message; the last makes it a dead letter."""
        if len(message.notices) > 1:
            self._singly.add(group_of(message.notices[0].alert.last))
            self._tries.setdefault(message.key, 0)
            return
        tries = self._tries[message.key] = self._tries.get(message.key, 0) + 1
        if tries < self._most_tries:
            return
        events = [notice.alert.last.id for notice in message.notices]
        letter = DeadLetter(
            f"{self.name}.{message.key}",
            self.name,
            str(err),
            stamp(now),
            tries,
            message.title,
            message.body,
            message.severity,
            events,
            list(message.data),
        )
        self._dead.append(letter)
        self._done(message)

    def _message(self, notices: list[Notice]) -> Message:
        title, body = group_message(notices, self._names, self.target.language, self._desk_url)
        return self._words(notices, title, body)

    def _digest(self, groups: list[list[Notice]]) -> Message:
        title, body = digest(groups, self._names, self.target.language, self.target.title, self._desk_url)
        return self._words([notice for group in groups for notice in group], title, body)

    def _words(self, notices: list[Notice], title: str, body: str) -> Message:
        gravest = max((severity_after(notice) for notice in notices), key=[str(s) for s in SEVERITIES].index)
        data = tuple(structured(notice, self._names, self._desk_url) for notice in notices)
        return Message(tuple(notices), title, body, gravest, data)


def resend(sink: PeopleSink, letter: DeadLetter) -> None:
    """Send a dead letter again. Raises SinkDown or Refused."""
    sink.send(Message((), letter.title, letter.body, letter.severity, tuple(letter.data)))
