"""The blast radius of an edit: what other rules would change of the alerts that are open now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rules.engine import Engine
from rules.transitions import SEVERITIES, Severity, Transition

What = Literal["opens", "closes", "rises", "falls", "is silenced", "speaks again", "moves"]

QUIET = ("shadow", "trial")


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one alert; `quiet` says that it notifies nobody, because of its rule's status or silenced."""

    rule: str
    subject: str
    what: What
    before: Severity
    after: Severity
    quiet: bool


@dataclass(frozen=True, slots=True)
class Radius:
    """What a switch to other rules would tell, and how many alerts are open before it."""

    before: int
    changes: tuple[Change, ...]

    @property
    def loud(self) -> int:
        """How many changes people would be notified of."""
        return sum(not change.quiet for change in self.changes)


def radius(heir: Engine) -> Radius:
    """Return what an engine of the new rules, with the state that the old ones left, tells when it takes over."""
    told = [t for t in heir.rejudge(heir.now).transitions if t.alert_id]
    changes = tuple(_change(t) for t in told)
    after = sum(active.state == "firing" for active in heir.active())
    opened = sum(change.what == "opens" for change in changes)
    return Radius(after - opened + sum(change.what == "closes" for change in changes), changes)


def total(parts: Sequence[Radius]) -> Radius:
    """Return the radius of all parts of a program."""
    return Radius(sum(part.before for part in parts), tuple(change for part in parts for change in part.changes))


def _change(told: Transition) -> Change:
    quiet = told.status in QUIET or bool(told.suppressed_by)
    return Change(told.rule, told.subject, _what(told), told.previous, told.severity, quiet)


def _what(told: Transition) -> What:
    if told.state == "resolved":
        return "closes"
    if told.state in ("suppressed", "released"):
        return "is silenced" if told.state == "suppressed" else "speaks again"
    if told.supersedes or told.previous == told.severity:
        return "moves"
    if told.previous == "none":
        return "opens"
    return "rises" if SEVERITIES.index(told.severity) > SEVERITIES.index(told.previous) else "falls"
