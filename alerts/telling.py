"""What of an alert is told, and told again: the desk's fold, and over it the policy of people's attention. Pure.

    worsened    an alert that is critical has moved away from its limit by a factor since it was told
    past_due    the last day to act has passed
    unanswered  it was told some days ago, and nothing has happened since
    flapping    it opens again and again: that is said once, and what follows is held back until it is quiet

All of it follows from the events, the times at which they were put on the topic, and the moment up to which the clock
was looked at (`tick`). So a desk that reads the topic again, and ticks up to the moment that it had noted, knows what
was told without having kept it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from heapq import heappop, heappush
from zoneinfo import ZoneInfo

from alerts.desk import Alert, Desk, Kind, Notice, Step
from rules.transitions import SEVERITIES, Transition

DAY = 86_400.0
_STEPS: frozenset[Kind] = frozenset(
    ("firing", "escalated", "eased", "stale", "released", "worsened", "past_due", "unanswered", "flapping")
)


@dataclass(frozen=True, slots=True)
class Again:
    """When an open alert is told again. Durations in seconds; 0, None or a severity that is missing: never.

    `worsened` is the factor by which the distance to the limit has grown; `openings` within `window` make an alert
    flap, and `quiet` without a change ends that.
    """

    worsened: float = 2.0
    past_due: bool = True
    unanswered: tuple[tuple[str, float], ...] = (("warning", 7 * DAY), ("critical", DAY))
    openings: int = 3
    window: float = 7 * DAY
    quiet: float = 2 * DAY
    timezone: str = "Asia/Shanghai"

    def answer_within(self, severity: str) -> float:
        """Return after how many seconds an alert of this severity counts as unanswered; 0 for never."""
        return dict(self.unanswered).get(severity, 0.0)


@dataclass(slots=True)
class _Told:
    """One case as targets know it: as it is, as people were told of it and when, and its steps by severity."""

    alert: Alert
    said: Transition
    offset: int
    at: float
    steps: dict[str, Step] = field(default_factory=dict)
    reminders: int = 0


@dataclass(slots=True)
class _Series:
    """The episodes of one rule and subject: when they opened, and while they flap what is held back."""

    openings: deque[float] = field(default_factory=deque)
    told: Alert | None = None
    closing: Notice | None = None
    now: Notice | None = None
    quiet_at: float = 0.0


class Telling:
    """What targets are to know of one partition of the topic `alerts`."""

    def __init__(self, policy: Again | None = None, desk: Desk | None = None, partition: int = -1) -> None:
        self.desk = desk or Desk()
        self._policy = policy or Again()
        self._zone = ZoneInfo(self._policy.timezone)
        self._partition = partition
        self._told: dict[str, _Told] = {}
        self._series: dict[tuple[str, str], _Series] = {}
        self._timers: list[tuple[float, int, str, object, object]] = []
        self._count = 0

    def fold(self, event: Transition, at: float, offset: int) -> list[Notice]:
        """Take the event of an offset, put on the topic at `at` (seconds since the epoch); return what to tell."""
        notice = self.desk.fold(event)
        if notice is None:
            return []
        passed = self._damp(replace(notice, partition=self._partition, offset=offset, at=at))
        return [self._note(one) for one in passed]

    def tick(self, now: float) -> list[Notice]:
        """Return what the clock has to say up to `now`, oldest first. Ticking twice says nothing twice."""
        found: list[Notice] = []
        while self._timers and self._timers[0][0] <= now:
            due, _, kind, key, stamp = heappop(self._timers)
            if kind == "quiet":
                assert isinstance(key, tuple)
                found.extend(self._note(notice) for notice in self._calm(key, due))
                continue
            told = self._told.get(str(key))
            if told is None or told.alert.last.suppressed_by:
                continue
            if kind == "past_due" and stamp == told.alert.last.due:
                found.append(self._note(self._clocked("past_due", told, due)))
            if kind == "unanswered" and stamp == told.at:
                told.reminders += 1
                found.append(self._note(self._clocked("unanswered", told, due)))
                pause = self._policy.answer_within(told.alert.last.severity)
                behind = int(max(0.0, now - due) // pause)
                told.reminders += behind
                self._wait(due + (behind + 1) * pause, "unanswered", key, stamp)
        return found

    def standing(self) -> list[Notice]:
        """Return every case that targets know as open, oldest first, as `repeated`."""
        found = [
            Notice("repeated", t.alert, t.alert, _newest_last(t.steps), self._partition, t.offset, t.at)
            for t in self._told.values()
        ]
        return sorted(found, key=lambda notice: (notice.alert.opened, notice.alert.last.alert_id))

    def _clocked(self, kind: Kind, told: _Told, at: float) -> Notice:
        return Notice(kind, told.alert, told.alert, (), self._partition, -1, at)

    def _note(self, notice: Notice) -> Notice:
        """Keep what is told now and when to look at it again; return the notice with its steps."""
        alert, event = notice.alert, notice.alert.last
        told = self._told.get(alert.case)
        if notice.kind in ("moved", "worsened") and told is not None:
            notice = replace(notice, kind="worsened" if self._much_worse(told.said, event) else "moved")
        if notice.kind == "resolved":
            steps = _newest_last(self._told.pop(alert.case).steps) if told else ()
            return replace(notice, steps=steps)
        if told is None:
            told = self._told[alert.case] = _Told(alert, event, notice.offset, notice.at)
        offset = notice.offset if notice.offset >= 0 else told.offset
        if notice.kind in _STEPS:
            ident = event.id + {"past_due": ".due", "unanswered": f".open{told.reminders}"}.get(notice.kind, "")
            told.steps.pop(event.severity, None)
            told.steps[event.severity] = Step(ident, event.severity, offset)
        if notice.offset >= 0:
            self._look_again(told, notice)
        return replace(notice, steps=_newest_last(told.steps))

    def _look_again(self, told: _Told, notice: Notice) -> None:
        before, event = told.alert.last, notice.alert.last
        fresh = notice.kind != "moved"
        told.alert, told.offset = notice.alert, notice.offset
        if event.due and self._policy.past_due and (event.due != before.due or notice.kind in ("firing", "flapping")):
            due = self._end_of(event.due)
            if due > notice.at:
                self._wait(due, "past_due", told.alert.case, event.due)
        if fresh:
            told.said, told.at, told.reminders = event, notice.at, 0
            pause = self._policy.answer_within(event.severity)
            if pause:
                self._wait(notice.at + pause, "unanswered", told.alert.case, told.at)

    def _end_of(self, due: str) -> float:
        """Return when a day to act by has passed, as the policy's time zone counts it; or the moment itself."""
        if len(due) > len("2026-03-31"):
            return datetime.fromisoformat(due).timestamp()
        day = datetime.combine(datetime.fromisoformat(due).date(), time(), self._zone)
        return (day + timedelta(days=1)).timestamp()

    def _much_worse(self, before: Transition, after: Transition) -> bool:
        factor = self._policy.worsened
        if not factor or after.severity != "critical" or before.severity != "critical":
            return False
        was, now = _beyond(before), _beyond(after)
        if was is None or now is None:  # another comparison spoke, or somebody without measured values
            return after.state == "worsened"
        return now > 0 and now >= factor * max(was, 0.0)

    def _damp(self, notice: Notice) -> list[Notice]:
        """Return what passes of a notice; while its series flaps, only what is graver than was told."""
        policy, event = self._policy, notice.alert.last
        if not policy.openings:
            return [notice]
        key = (event.rule, event.subject)
        series = self._series.get(key)
        if notice.kind == "firing":
            series = series or self._series.setdefault(key, _Series())
            while series.openings and series.openings[0] <= notice.at - policy.window:
                series.openings.popleft()
            series.openings.append(notice.at)
            if series.told is None and len(series.openings) >= policy.openings:
                series.told, series.now = notice.alert, notice
                self._quiet(key, series, notice.at)
                return [replace(notice, kind="flapping")]
        if series is None or series.told is None:
            return [notice]
        self._quiet(key, series, notice.at)
        same = notice.alert.case == series.told.case
        if notice.kind in ("suppressed", "released"):
            self._series.pop(key)
            return [notice] if same else []
        if notice.kind == "resolved":
            series.now = None
            series.closing = notice if same else series.closing
            return []
        series.now = notice
        if _rank(event.severity) > _rank(series.told.last.severity):
            closed, series.closing = series.closing, None
            before = series.told if same else None
            series.told = notice.alert
            kind: Kind = "escalated" if same else "firing"
            return [*([closed] if closed and not same else []), replace(notice, kind=kind, before=before)]
        return []

    def _quiet(self, key: tuple[str, str], series: _Series, at: float) -> None:
        series.quiet_at = at + self._policy.quiet
        self._wait(series.quiet_at, "quiet", key, None)

    def _calm(self, key: tuple[str, str], at: float) -> list[Notice]:
        """Return what differs from what was told, once a series has been quiet for long enough."""
        series = self._series.get(key)
        if series is None or series.told is None or series.quiet_at > at:
            return []
        del self._series[key]
        told, now, found = series.told, series.now, []
        if series.closing is not None and (now is None or now.alert.case != told.case):
            found.append(replace(series.closing, before=told, offset=-1, at=at))
        if now is not None and now.alert.case != told.case:
            found.append(replace(now, kind="firing", before=None, offset=-1, at=at))
        elif now is not None and now.alert.last.severity != told.last.severity:
            change = _rank(now.alert.last.severity) - _rank(told.last.severity)
            kind: Kind = "escalated" if change > 0 else "eased"
            found.append(replace(now, kind=kind, before=told, offset=-1, at=at))
        return found

    def _wait(self, due: float, kind: str, key: object, stamp: object) -> None:
        self._count += 1
        heappush(self._timers, (due, self._count, kind, key, stamp))


def _newest_last(steps: dict[str, Step]) -> tuple[Step, ...]:
    return tuple(steps.values())


def _rank(severity: str) -> int:
    return [str(name) for name in SEVERITIES].index(severity)


def _beyond(event: Transition) -> float | None:
    """Return by how much what the level measures is beyond its limit; None where it compares no number with a limit."""
    found = event.measured
    if found is None or found.value is None or found.limit is None:
        return None
    if found.side in ("below", "at_most"):
        return found.limit - found.value
    return found.value - found.limit if found.side in ("above", "at_least") else None
