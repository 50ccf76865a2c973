"""What is told again, and what a restart makes of it. Clocks are given, nothing waits."""

from __future__ import annotations

from datetime import datetime

from alerts.delivery import Delivery
from alerts.desk import Notice
from alerts.events import encode
from alerts.notes import Digest, Notes, decode
from alerts.telling import DAY, Again, Telling
from rules.transitions import Measured, State, Transition
from tests.alerts.log import Topic
from tests.alerts.samples import transition
from tests.alerts.test_delivery import Clock, Target

START = datetime.fromisoformat("2026-04-01T08:00:00+08:00").timestamp()


def fold(telling: Telling, events: list[tuple[float, Transition]]) -> list[Notice]:
    """Return the notices of events, each with its day after the start."""
    return [n for at, event in events for n in telling.fold(event, START + at * DAY, 0)]


def kinds(found: list[Notice]) -> list[str]:
    """Return the kinds of notices."""
    return [notice.kind for notice in found]


def test_a_deadline_that_passes_and_no_answer_are_told_once_each() -> None:
    """The day to act by ends at midnight in the policy's zone; reminders come at their interval, not in arrears."""
    telling = Telling(Again(unanswered=(("critical", 5 * DAY),)))
    fold(telling, [(0, transition(severity="critical", deadline="1bd", due="2026-04-02"))])
    midnight = datetime.fromisoformat("2026-04-03T00:00:00+08:00").timestamp()
    assert telling.tick(midnight - 1) == []
    assert kinds(telling.tick(midnight)) == ["past_due"]
    assert telling.tick(midnight + 1) == []
    assert kinds(telling.tick(START + 5 * DAY)) == ["unanswered"]
    assert kinds(telling.tick(START + 17 * DAY)) == ["unanswered"], "one, however long nobody looked"
    assert telling.tick(START + 19 * DAY) == []
    assert kinds(fold(telling, [(19.5, transition("resolved", as_of="2026-04-20"))])) == ["resolved"]
    assert telling.tick(START + 100 * DAY) == []


def test_no_deadline_that_had_passed_when_it_was_told() -> None:
    """An event that comes late with a day to act by that is over is told, and its deadline not."""
    telling = Telling(Again(unanswered=()))
    fold(telling, [(30, transition(deadline="1bd", due="2026-04-02"))])
    assert telling.tick(START + 100 * DAY) == []


def test_much_worse_within_critical() -> None:
    """Told again when the distance to the limit has doubled since it was told, and not before.

    What measures nothing is told when the engine says so, and nothing is where the policy asks for nothing.
    """
    telling = Telling(Again(unanswered=()))

    def at(value: float | None, day: int, state: State = "firing") -> Transition:
        found = None if value is None else Measured("lcr", value, "ratio", "below", 1.0)
        return transition(state, as_of=f"2026-04-{day:02}", started="2026-04-01", severity="critical", measured=found)

    found = fold(telling, [(n, at(value, n + 1)) for n, value in enumerate((0.97, 0.95, 0.94, 0.93, 0.87))])
    assert kinds(found) == ["firing", "moved", "worsened", "moved", "worsened"]
    assert kinds(fold(telling, [(6, at(None, 7, "worsened"))])) == ["worsened"]
    indifferent = Telling(Again(unanswered=(), worsened=0.0))
    assert kinds(fold(indifferent, [(0, at(0.97, 1)), (1, at(0.5, 2, "worsened"))])) == ["firing", "moved"]


def test_flapping_is_said_once_and_held_back_until_it_is_quiet() -> None:
    """The third opening says so; what follows is told when nothing has changed for two days, as it is then."""
    telling = Telling(Again(unanswered=()))
    events = []
    for n in range(5):
        started = f"2026-04-{2 * n + 1:02}"
        events.append((n, transition(started=started, as_of=started)))
        events.append((n + 0.5, transition("resolved", started=started, as_of=f"2026-04-{2 * n + 2:02}")))
    assert kinds(fold(telling, events)) == ["firing", "resolved", "firing", "resolved", "flapping"]
    assert telling.tick(START + 6.4 * DAY) == []
    (end,) = telling.tick(START + 6.6 * DAY)
    assert (end.kind, end.alert.last.started) == ("resolved", "2026-04-05")
    assert telling.standing() == []


def test_something_graver_breaks_through_flapping() -> None:
    """Held back is what is no graver than was told."""
    telling = Telling(Again(unanswered=(), openings=2))
    first, again = transition(), transition(started="2026-04-03", as_of="2026-04-03")
    end = transition("resolved", as_of="2026-04-02")
    worse = transition("escalated", started="2026-04-03", as_of="2026-04-04")
    better = transition("eased", started="2026-04-03", as_of="2026-04-05")
    found = fold(telling, [(0, first), (0.1, end), (0.2, again), (0.3, worse), (0.4, better)])
    assert kinds(found) == ["firing", "resolved", "flapping", "escalated"]
    assert kinds(telling.tick(START + 3 * DAY)) == ["eased"]


class Holding(Target):
    """A target that holds back what is a watch, as one outside its hours does."""

    open = False

    def flush(self) -> int:
        go = [n for n in self.held if self.open or n.alert.last.severity != "watch"]
        self.taken += go
        self.held = [n for n in self.held if n not in go]
        return len(go)


def test_a_restart_neither_repeats_nor_loses_what_waits() -> None:
    """Held back before a crash: told after it, when it is time. Told before: not told again. Nor is the deadline."""
    due = transition(subject="CN001", severity="critical", deadline="1bd", due="2026-04-02")
    values = [encode(transition(subject="CN002"))[1], encode(due)[1], encode(transition(subject="CN003"))[1]]
    topic = Topic([values], {("desk", 0): 0})
    topic.stamps = {(0, n): int(START * 1000) for n in range(3)}
    moment = [START]

    def start(target: Target) -> Delivery:
        clock = Clock()
        one = Delivery(topic.consumer(), "alerts", target, clock=clock, now=lambda: moment[0])  # type: ignore[arg-type]
        for _ in range(6):
            clock.now += 10.0
            one.step(0)
        return one

    first = Holding()
    one = start(first)
    moment[0] += 0.9 * DAY + 0.9 * DAY
    one.step(0)
    assert [(n.kind, n.alert.last.subject) for n in first.taken] == [
        ("firing", "CN001"),
        ("unanswered", "CN001"),
        ("past_due", "CN001"),
    ]
    assert topic.offsets["desk", 0] == 0, "the first still waits"
    second = Holding()
    second.open = True
    start(second)
    assert [(n.kind, n.alert.last.subject) for n in second.taken] == [("firing", "CN002"), ("firing", "CN003")]
    assert topic.offsets["desk", 0] == 3


def test_notes_are_read_back_and_kept_short() -> None:
    """What is noted beside an offset comes back; where there is too much, everything is told again."""
    notes = Notes(900, 1.5, frozenset({3, 4, 5, 9}), (Digest("d", frozenset({1, 2})),))
    assert decode(3, notes.encode()) == notes
    assert decode(4, notes.encode()) is None, "of another offset"
    assert decode(0, "no notes") is None
    assert Notes(9000, 1.5, frozenset(range(0, 4000, 2))).encode() == ""
