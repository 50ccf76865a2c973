"""The watcher: reads back what the system said, from its topics and its metrics. It never asks the generator."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from alerts.events import Event
from guanlan.demo.stage import Stage
from guanlan.synthetic import Story
from rules.transitions import Transition
from streams.clients import answering
from streams.topics import ALERTS, REJECTED
from streams.wire import read_rejection

KEPT = 200


@dataclass(slots=True)
class Seen:
    """What came out: (rule, subject) pairs that fired, refused records by (sender, reason), and the latest alerts."""

    fired: dict[tuple[str, str], Transition] = field(default_factory=dict)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    open: dict[str, Transition] = field(default_factory=dict)
    latest: deque[Transition] = field(default_factory=lambda: deque(maxlen=KEPT))
    transitions: int = 0
    ids: set[str] = field(default_factory=set)

    def take(self, transition: Transition) -> None:
        """Take in one transition; one seen before is a repeat and passed over."""
        if transition.id in self.ids:
            return
        self.ids.add(transition.id)
        self.transitions += 1
        if not transition.alert_id:
            return
        if transition.state in ("firing", "escalated"):
            self.fired.setdefault((transition.rule, transition.subject), transition)
        if transition.supersedes:
            self.open.pop(transition.supersedes, None)
        if transition.state == "resolved":
            self.open.pop(transition.alert_id, None)
        else:
            self.open[transition.alert_id] = transition
        self.latest.appendleft(transition)

    def lacking(self, story: Story) -> list[str]:
        """Return what has not been seen of a story."""
        return story.missing(self.fired.keys(), self.refused)

    def others(self, stories: Sequence[Story]) -> list[Transition]:
        """Return first firings of institutions to which nothing was planted."""
        cast = {code for story in stories for code in story.institutions}
        return [t for (_, subject), t in self.fired.items() if subject not in cast]


class Watcher:
    """Reads the topics of alerts and of refused filings from a thread of its own; hold `lock` to read `seen`."""

    def __init__(self, stage: Stage) -> None:
        self.seen = Seen()
        self.lock = threading.Lock()
        self.error: BaseException | None = None
        self._stage = stage
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """Stop reading and wait for the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    def _run(self) -> None:
        try:
            self._read()
        except BaseException as err:
            self.error = err

    def _read(self) -> None:
        from kafka import KafkaConsumer, TopicPartition

        decode = msgspec.json.Decoder(Event).decode
        alerts, rejected = self._stage.topic(ALERTS), self._stage.topic(REJECTED)
        with answering(self._stage.bootstrap):
            consumer = KafkaConsumer(
                bootstrap_servers=self._stage.bootstrap.split(","),
                group_id=None,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
            try:
                topics = (alerts, rejected)
                consumer.assign([TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t) or ()])
                consumer.seek_to_beginning()
                while not self._stop.is_set():
                    for partition, records in consumer.poll(timeout_ms=200).items():
                        with self.lock:
                            for record in records:
                                if partition.topic == alerts:
                                    self.seen.take(decode(record.value).data)
                                else:
                                    reason = read_rejection(record.headers).get("reason", "")
                                    self.seen.refused[(record.key or b"").decode("utf-8", "replace"), reason] += 1
            finally:
                consumer.close()
