"""Delivery: nothing is lost, whatever stops where. Sinks and clocks are given, nothing waits."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from hypothesis import given
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.errors import KafkaConnectionError

from alerts.delivery import Delivery
from alerts.desk import Notice
from alerts.events import encode
from alerts.lag import LagWatch
from alerts.metrics import DeskMetrics
from alerts.notes import Digest
from alerts.sinks import DeadLetter, SinkDown
from tests.alerts.log import LogConsumer, Topic
from tests.alerts.samples import episode, transition


class Clock:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Target:
    """A sink that keeps what it took; `down` says whether it takes anything now."""

    name = "target"
    batch = 3

    def __init__(self, repeat_seconds: float = 0.0) -> None:
        self.repeat_seconds = repeat_seconds
        self.down = False
        self.taken: list[Notice] = []
        self.held: list[Notice] = []

    def setup(self) -> None:
        return

    def add(self, notice: Notice) -> None:
        self.held.append(notice)

    def flush(self) -> int:
        if self.down:
            raise SinkDown("target is down")
        self.taken.extend(self.held)
        taken = len(self.held)
        self.held.clear()
        return taken

    def waiting(self) -> list[Notice]:
        return list(self.held)

    def dead(self) -> list[DeadLetter]:
        return []

    def digests(self, partition: int) -> list[Digest]:
        return []

    def restore(self, partition: int, digests: Sequence[Digest]) -> None:
        return

    def assigned(self, partitions: Iterable[int]) -> None:
        return

    def on_paused(self) -> None:
        self.held.clear()

    @property
    def ids(self) -> list[str]:
        """Ids of the events that it took, in order."""
        return [notice.alert.last.id for notice in self.taken]


def values(*subjects: str) -> list[bytes | None]:
    """Return the records of one episode for each subject."""
    return [encode(event)[1] for subject in subjects for event in episode(subject)]


def started(topic: Topic) -> Topic:
    """Return the topic with the group at its beginning: it is not new and has been told nothing."""
    topic.offsets.update({("desk", p): 0 for p in range(len(topic.partitions))})
    return topic


def delivery(
    topic: Topic, target: Target, clock: Clock | None = None, metrics: DeskMetrics | None = None
) -> tuple[Delivery, LogConsumer]:
    """Return a delivery from the topic to the target, and its consumer."""
    consumer = topic.consumer()
    return Delivery(consumer, "alerts", target, metrics, clock or Clock(), lambda: 0.0), consumer  # type: ignore[arg-type]


def settle(one: Delivery, steps: int = 20) -> None:
    """Run until there is nothing left to read."""
    for _ in range(steps):
        one.step(0)


def test_everything_is_told_once_in_order() -> None:
    """A target that works gets each event once, and the offset ends behind the last."""
    topic = started(Topic([values("CN001", "CN002")]))
    target = Target()
    settle(delivery(topic, target)[0])
    assert target.ids == [event.id for subject in ("CN001", "CN002") for event in episode(subject)]
    assert topic.offsets["desk", 0] == 8


@given(st.lists(st.integers(0, 3), max_size=25), st.integers(1, 3))
def test_crashes_and_outages_lose_nothing(happenings: list[int], partitions: int) -> None:
    """Whatever mix of outages (1), rebalances (2) and crashes (3): every event is told, in its subject's order."""
    subjects = [f"CN{n:03}" for n in range(6)]
    topic = started(Topic([values(*subjects[p::partitions]) for p in range(partitions)]))
    target, clock = Target(), Clock()
    one, consumer = delivery(topic, target, clock)
    for happening in happenings:
        target.down = happening == 1
        if happening == 2:
            consumer.rebalance()
        if happening == 3:
            target.held.clear()
            one, consumer = delivery(topic, target, clock)
        clock.now += 100.0
        one.step(0)
    target.down = False
    for _ in range(40):
        clock.now += 100.0
        one.step(0)
    assert topic.offsets == {("desk", p): len(topic.partitions[p]) for p in range(partitions)}
    for subject in subjects:
        first_told = list(dict.fromkeys(n.alert.last.id for n in target.taken if n.alert.last.subject == subject))
        assert first_told == [event.id for event in episode(subject)]


def test_a_restart_tells_nothing_twice() -> None:
    """A desk that stopped in order reads the past in silence."""
    topic = started(Topic([values("CN001")]))
    first, second = Target(), Target()
    settle(delivery(topic, first)[0])
    one, _ = delivery(topic, second)
    settle(one)
    assert (len(first.taken), len(second.taken), one.caught_up) == (4, 0, True)


def test_a_new_target_hears_of_what_is_open() -> None:
    """A group without an offset is told of open alerts once, not of the history."""
    topic = Topic([values("CN001"), values("CN002")[:2]])
    target = Target()
    settle(delivery(topic, target)[0])
    assert [(n.kind, n.alert.last.subject, n.alert.last.severity) for n in target.taken] == [
        ("firing", "CN002", "critical")
    ]
    topic.partitions[1].append(values("CN002")[2])
    again = Target()
    settle(delivery(topic, again)[0])
    assert [n.kind for n in again.taken] == ["eased"]


def test_a_crash_while_a_new_target_reads_the_past() -> None:
    """A group counts as new until it was told of what is open, however often it starts."""
    topic = Topic([values("CN001", "CN002", "CN003")])
    target, clock = Target(), Clock()
    for _ in range(3):
        one, _ = delivery(topic, target, clock)
        for _ in range(2):
            clock.now += 100.0
            one.step(0)
    assert topic.offsets == {}
    for _ in range(8):
        clock.now += 100.0
        one.step(0)
    assert target.taken == []
    assert topic.offsets == {("desk", 0): 12}


def test_what_was_taken_away_is_forgotten() -> None:
    """Alerts of partitions that went to another desk are no longer repeated by this one."""
    topic = started(Topic([values("CN001")[:1], values("CN002")[:1]]))
    one, consumer = delivery(topic, Target())
    settle(one)
    assert {alert.last.subject for alert in one.open} == {"CN001", "CN002"}
    consumer.rebalance(1)
    settle(one)
    assert {alert.last.subject for alert in one.open} == {"CN002"}


def test_offsets_beyond_the_end_count_as_new() -> None:
    """When the topic was made anew, the old offset silences nothing for ever."""
    topic = Topic([values("CN001")[:1]], {("desk", 0): 500})
    target = Target()
    settle(delivery(topic, target)[0])
    assert [n.kind for n in target.taken] == ["firing"]
    assert topic.offsets["desk", 0] == 1


def test_a_dead_target_bounds_what_is_read() -> None:
    """While a target is down no more than one batch is held, and tries are spaced out."""
    topic = started(Topic([values("CN001", "CN002", "CN003")]))
    target, clock, metrics = Target(), Clock(), DeskMetrics()
    target.down = True
    one, _ = delivery(topic, target, clock, metrics)
    settle(one, 50)
    lag = LagWatch(lambda: topic.consumer("ends"), [one], metrics)
    lag.look()
    assert len(target.held) == target.batch
    assert metrics.registry.get_sample_value("guanlan_desk_failures_total", {"sink": "target"}) == 1
    assert metrics.registry.get_sample_value("guanlan_desk_sink_up", {"sink": "target"}) == 0
    assert metrics.registry.get_sample_value("guanlan_desk_lag_records", {"sink": "target"}) == 12
    clock.now += 0.5
    settle(one)
    assert metrics.registry.get_sample_value("guanlan_desk_failures_total", {"sink": "target"}) == 2
    target.down = False
    clock.now += 60.0
    settle(one)
    assert len(target.taken) == 12
    lag.look()
    assert metrics.registry.get_sample_value("guanlan_desk_lag_records", {"sink": "target"}) == 0


def test_open_alerts_are_told_again() -> None:
    """A sink that asks for it gets every open alert at its interval, also when the topic is silent."""
    topic = started(Topic([values("CN001")[:2], values("CN002")]))
    target, clock = Target(repeat_seconds=60.0), Clock()
    one, _ = delivery(topic, target, clock)
    settle(one)
    told = len(target.taken)
    clock.now += 60.0
    settle(one)
    assert [(n.kind, n.alert.last.subject) for n in target.taken[told:]] == [("repeated", "CN001")]


def test_what_is_no_event_is_passed_over() -> None:
    """A record that is no event, or a tombstone, is counted and stops nothing."""
    topic = started(Topic([[b"{}", None, *values("CN001")]]))
    target, metrics = Target(), DeskMetrics()
    settle(delivery(topic, target, metrics=metrics)[0])
    assert len(target.taken) == 4
    assert metrics.registry.get_sample_value("guanlan_desk_unreadable_total", {"sink": "target"}) == 2


def test_shadow_rules_move_the_offset_and_tell_nobody() -> None:
    """Events that nobody hears of are committed all the same."""
    quiet = encode(transition(status="shadow"))[1]
    topic = started(Topic([[quiet]]))
    target, clock = Target(), Clock()
    one, _ = delivery(topic, target, clock)
    clock.now += 10.0
    settle(one)
    assert target.taken == []
    assert topic.offsets["desk", 0] == 1


class Vague(LogConsumer):
    """A consumer of a broker that names the last offset for the end, as the embedded one does."""

    def end_offsets(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        return {tp: max(0, end - 1) for tp, end in super().end_offsets(tps).items()}


def test_a_broker_that_is_vague_about_the_end() -> None:
    """A new target hears once of what is open, and a restart tells nothing twice."""
    topic = Topic([values("CN001")[:2], values("CN002")])
    told = []
    for _ in range(2):
        target = Target()
        one = Delivery(Vague(topic, "desk"), "alerts", target, clock=Clock(), draw=lambda: 0.0)  # type: ignore[arg-type]
        settle(one)
        told.append([(n.kind, n.alert.last.severity) for n in target.taken])
    assert told == [[("firing", "critical")], []]


class Marked(LogConsumer):
    """A consumer of partitions that end with the mark of a transaction: an offset without a record."""

    def highwater(self, tp: TopicPartition) -> int:
        return super().highwater(tp) + 1

    def position(self, tp: TopicPartition, timeout_ms: int = 0) -> int:
        known = super().position(tp)
        return known + 1 if known == super().highwater(tp) else known


def test_an_offset_without_a_record_is_no_lag() -> None:
    """What the group commits is its position: behind the mark, where nothing is left to tell."""
    topic = started(Topic([values("CN001")]))
    target, metrics, clock = Target(), DeskMetrics(), Clock()
    one = Delivery(Marked(topic, "desk"), "alerts", target, metrics, clock=clock, draw=lambda: 0.0)  # type: ignore[arg-type]
    settle(one)
    clock.now += 10.0
    settle(one)
    assert len(target.taken) == 4
    LagWatch(lambda: Marked(topic, "lag"), [one], metrics).look()  # type: ignore[arg-type]
    assert metrics.registry.get_sample_value("guanlan_desk_lag_records", {"sink": "target"}) == 0
    assert topic.offsets["desk", 0] == len(topic.partitions[0]) + 1


class Shaky(LogConsumer):
    """A consumer whose broker is away for the first polls."""

    failures = 2

    def poll(self, timeout_ms: int, max_records: int) -> dict:  # type: ignore[type-arg]
        if self.failures:
            self.failures -= 1
            raise KafkaConnectionError("away")
        return super().poll(timeout_ms, max_records)


def test_a_broker_that_is_away_is_waited_out() -> None:
    """Errors of Kafka that pass end nothing; told to stop, the delivery leaves its group."""
    topic = started(Topic([values("CN001")]))
    target, stop = Target(), threading.Event()
    consumer = Shaky(topic, "desk")
    one = Delivery(consumer, "alerts", target, draw=lambda: 1.0)  # type: ignore[arg-type]
    taken = target.flush

    def flush_and_stop() -> int:
        refused = taken()
        if len(target.taken) == 4:
            stop.set()
        return refused

    target.flush = flush_and_stop  # type: ignore[method-assign]
    one.run(stop)
    assert target.ids == [event.id for event in episode()]
    assert consumer.closed
