"""The desk: events of the topic `alerts`, folded into what is open and what people must be told. Pure.

The fold takes events in the order of their partition. An event seen before changes nothing, so a repeated
stretch of the topic is harmless; alerts of different subjects don't touch each other, so the order between
partitions is of no account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from msgspec.structs import replace as replace_fields

from alerts.seen import Seen
from rules.transitions import SEVERITIES, Transition

QUIET_STATUSES = frozenset({"shadow", "trial"})
"""Statuses of rules that are evaluated and notify nobody."""

Kind = Literal["firing", "escalated", "eased", "resolved", "suppressed", "stale", "moved", "repeated"]


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
class Notice:
    """What a sink is told about one alert.

    firing     nobody was told of it yet, or it had been resolved or suppressed
    escalated  its severity rose
    eased      its severity fell
    resolved   it is over, or its rule notifies nobody any more
    suppressed it is still open and silenced: people hear nothing, targets that repeat it stop
    stale      its data ran out: it stays open, and nobody knows better until the forms named have come
    moved      same severity, other dates or words: a page would be one too many
    repeated   nothing changed; for targets that forget what is not said again

    `before` is the alert as it was told before, None where it was not.
    """

    kind: Kind
    alert: Alert
    before: Alert | None = None


class Desk:
    """What is open in one partition of the topic `alerts`."""

    def __init__(self) -> None:
        self._open: dict[str, Alert] = {}
        self._silent: dict[str, str] = {}
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
        silent = [self._silent.pop(alert, "") for alert in (event.alert_id, event.supersedes)]
        opened = next((seen for seen in (before.opened if before else "", *silent) if seen), event.seen_at)
        if before and event.deadline and not event.due and event.state != "resolved":
            event = replace_fields(event, due=before.last.due)
        alert = Alert(self._case(event), opened, event)
        over = event.state == "resolved" or event.status in QUIET_STATUSES
        if event.suppressed_by and not over:
            self._silent[event.alert_id] = opened
            return Notice("suppressed", alert, before) if before else None
        if not over:
            self._open[event.alert_id] = alert
            return Notice(_kind(before, alert), alert, before)
        return Notice("resolved", alert, before) if before else None

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
    return "stale" if after.last.overdue and not before.last.overdue else "moved"
