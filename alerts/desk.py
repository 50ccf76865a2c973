"""The desk: events of the topic `alerts`, folded into what is open and what people must be told. Pure.

The fold takes events in the order of their partition. An event seen before changes nothing, so a repeated
stretch of the topic is harmless; alerts of different subjects don't touch each other, so the order between
partitions is of no account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from msgspec.structs import replace as replace_fields

from alerts.seen import Seen
from rules.transitions import SEVERITIES, Transition

QUIET_STATUSES = frozenset({"shadow", "trial"})
"""Statuses of rules that are evaluated and notify nobody."""

Kind = Literal[
    "firing",
    "escalated",
    "eased",
    "resolved",
    "suppressed",
    "released",
    "stale",
    "moved",
    "repeated",
    "worsened",
    "past_due",
    "unanswered",
    "flapping",
]


@dataclass(frozen=True, slots=True)
class Alert:
    """One episode as its events tell it so far.

    `case` is the id of the first alert of the chain of `supersedes`: it stays when a late filing moves the
    start of the episode. `opened` is when the first event of the case was seen. `last` is the newest event; where it
    tells no time to act, with that which was told before.
    """

    case: str
    opened: str
    last: Transition


@dataclass(frozen=True, slots=True)
class Step:
    """One telling of an alert at one severity: to a target that knows alerts by their labels, an alert of its own.

    `offset` is that of the event that was told.
    """

    id: str
    severity: str
    offset: int = -1


@dataclass(frozen=True, slots=True)
class Notice:
    """What a sink is told about one alert.

    firing     nobody was told of it yet, or it had been resolved
    escalated  its severity rose
    eased      its severity fell
    resolved   it is over, or its rule notifies nobody any more
    suppressed it is still open and silenced: people hear nothing, targets that repeat it stop
    stale      its data ran out: it stays open, and nobody knows better until the forms named have come
    released   nothing silences it any more
    moved      same severity, other dates or words: a page would be one too many
    repeated   nothing changed; for targets that forget what is not said again

    The policy of telling again (`alerts.telling`) adds:

    worsened   same severity, and much worse than when it was told
    past_due   the last day to act has passed, and it is open
    unanswered it was told long ago, and nothing has happened
    flapping   it opens and closes: what follows is held back until it is quiet

    `before` is the alert as it was told before, None where it was not. `steps` are the tellings that stand, at most
    one a severity, the newest last. `partition` and `offset` say which event it comes from (offset -1: the clock),
    `at` when that was, in seconds since the epoch; `first` that the target is new and hears of what was open before.
    """

    kind: Kind
    alert: Alert
    before: Alert | None = None
    steps: tuple[Step, ...] = field(default=(), compare=False)
    partition: int = field(default=-1, compare=False)
    offset: int = field(default=-1, compare=False)
    at: float = field(default=0.0, compare=False)
    first: bool = field(default=False, compare=False)


class Desk:
    """What is open in one partition of the topic `alerts`."""

    def __init__(self) -> None:
        self._open: dict[str, Alert] = {}
        self._silent: dict[str, tuple[str, Alert | None]] = {}
        self._cases: dict[str, str] = {}
        self._seen = Seen()

    @property
    def open(self) -> Mapping[str, Alert]:
        """Open alerts by alert id; those that are suppressed, or of rules that notify nobody, are left out."""
        return MappingProxyType(self._open)

    def fold(self, event: Transition) -> Notice | None:
        """Take one event; return what to tell, None where there is nothing."""
        if not event.alert_id or not self._seen.add(event):
            return None
        replaced = self._open.pop(event.supersedes, None)
        before = self._open.pop(event.alert_id, None) or replaced
        muted = [self._silent.pop(alert, ("", None)) for alert in (event.alert_id, event.supersedes)]
        told = before or next((alert for _, alert in muted if alert), None)
        since = [before.opened if before else "", *(seen for seen, _ in muted), event.seen_at]
        opened = next(seen for seen in since if seen)
        if before and event.deadline and not event.due and event.state != "resolved":
            event = replace_fields(event, due=before.last.due, due_provisional=before.last.due_provisional)
        alert = Alert(self._case(event), opened, event)
        over = event.state == "resolved" or event.status in QUIET_STATUSES
        if event.suppressed_by and not over:
            self._silent[event.alert_id] = (opened, told)
            return Notice("suppressed", alert, before) if before else None
        if over:
            return Notice("resolved", alert, told) if told else None
        self._open[event.alert_id] = alert
        if before is None and event.state == "released":
            return Notice("released", alert, told)
        return Notice(_kind(before, alert), alert, before)

    def _case(self, event: Transition) -> str:
        if event.supersedes:
            self._cases[event.alert_id] = self._cases.get(event.supersedes, event.supersedes)
        return self._cases.get(event.alert_id, event.alert_id)


def _kind(before: Alert | None, after: Alert) -> Kind:
    if before is None:
        return "firing"
    change = SEVERITIES.index(after.last.severity) - SEVERITIES.index(before.last.severity)
    if change:
        return "escalated" if change > 0 else "eased"
    if after.last.state == "worsened":
        return "worsened"
    return "stale" if after.last.overdue and not before.last.overdue else "moved"
