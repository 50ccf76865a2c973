"""What somebody believes who knows only the transitions, in the order in which they came."""

from __future__ import annotations

from collections.abc import Iterable

from rules.calendar import format_instant
from rules.engine import Engine
from rules.transitions import Transition, alert_id

Open = dict[str, tuple[str, tuple[str, ...], bool]]


class Reader:
    """Folds transitions: open alerts by id with what silences them, and what is pending. Repeats change nothing."""

    def __init__(self, transitions: Iterable[Transition] = ()) -> None:
        self.open: Open = {}
        self.pending: set[tuple[str, str]] = set()
        self._seen: set[str] = set()
        self.read(transitions)

    def read(self, transitions: Iterable[Transition]) -> None:
        """Take more transitions in."""
        for transition in transitions:
            if transition.id not in self._seen:
                self._seen.add(transition.id)
                self._fold(transition)

    def _fold(self, transition: Transition) -> None:
        pair = (transition.rule, transition.subject)
        if not transition.alert_id:
            (self.pending.add if transition.state == "pending" else self.pending.discard)(pair)
            return
        if transition.state == "firing":
            self.pending.discard(pair)
        self.open.pop(transition.supersedes, None)
        if transition.state == "resolved":
            self.open.pop(transition.alert_id, None)
        else:
            self.open[transition.alert_id] = (
                transition.severity,
                tuple(transition.suppressed_by),
                bool(transition.overdue),
            )

    @property
    def beliefs(self) -> tuple[Open, set[tuple[str, str]]]:
        """Severity of open alerts, what silences them and whether they are stale, by id; and the pending pairs."""
        return self.open, self.pending


def truth(engine: Engine) -> tuple[Open, set[tuple[str, str]]]:
    """What a reader ought to believe now."""
    active = engine.active()
    firing = [a for a in active if a.state == "firing"]
    return (
        {
            alert_id(a.rule, a.subject, format_instant(a.started)): (a.severity, a.suppressed_by, bool(a.overdue))
            for a in firing
        },
        {(a.rule, a.subject) for a in active if a.state == "pending"},
    )
