"""Two versions of rules on one history: what fires newly, what falls silent, what changes.

Both run through the engine as it is; alerts are compared by rule, subject and the time they were open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from rules.backtest import replay
from rules.engine import Engine, FormBatch
from rules.pack import Program
from rules.registry import Institution
from rules.transitions import SEVERITIES, Severity, Transition


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert's life: as-of dates (ISO) of its start and end (empty while open), its highest level and its last.

    `suppressed` says whether it was silenced all the time.
    """

    rule: str
    subject: str
    started: str
    ended: str
    highest: Severity
    level: Severity
    suppressed: bool = False

    def meets(self, other: Alert) -> bool:
        """Whether both were open at one date."""
        return self.started <= (other.ended or "9999") and other.started <= (self.ended or "9999")


@dataclass(slots=True)
class RuleDiff:
    """What changes of one rule; `change` says whether it is added, removed, edited, or the same.

    new and silent: alerts of one version only. changed: pairs of alerts, old and new, of one episode that differ in
    their dates or levels. same: how many don't.
    """

    rule: str
    change: str
    new: list[Alert] = field(default_factory=list)
    silent: list[Alert] = field(default_factory=list)
    changed: list[tuple[Alert, Alert]] = field(default_factory=list)
    same: int = 0

    @property
    def opens(self) -> list[Alert]:
        """Alerts that are open at the end of history with the new version and not with the old one."""
        return [alert for alert in self.new if not alert.ended] + [
            n for o, n in self.changed if o.ended and not n.ended
        ]

    @property
    def closes(self) -> list[Alert]:
        """Alerts that are open at the end of history with the old version and not with the new one."""
        return [a for a in self.silent if not a.ended] + [o for o, n in self.changed if not o.ended and n.ended]

    @property
    def moves(self) -> list[tuple[Alert, Alert]]:
        """Alerts that are open at the end with both, at another level."""
        return [(o, n) for o, n in self.changed if not o.ended and not n.ended and o.level != n.level]


def alerts(program: Program, institutions: Sequence[Institution], filings: Sequence[FormBatch]) -> list[Alert]:
    """Run a program over filings, whose rows are positions among the institutions, and return its alerts."""
    engine = Engine(program, institutions)
    return fold(t for outcome in replay(engine, filings) for t in outcome.transitions)


def fold(transitions: Iterable[Transition]) -> list[Alert]:
    """Fold transitions into alerts, by rule, subject and start; one that is superseded goes on in the other."""
    found: dict[str, Alert] = {}
    for t in transitions:
        if not t.alert_id:
            continue
        known = found.pop(t.supersedes, None) or found.get(t.alert_id)
        silent = bool(t.suppressed_by)
        if known is None:
            known = Alert(t.rule, t.subject, t.started, "", t.severity, t.severity, silent)
        if t.state == "resolved":
            found[t.alert_id] = replace(known, started=t.started, ended=t.as_of)
            continue
        found[t.alert_id] = replace(
            known,
            started=t.started,
            ended="",
            highest=max(known.highest, t.severity, key=SEVERITIES.index),
            level=t.severity,
            suppressed=known.suppressed and silent,
        )
    return sorted(found.values(), key=lambda a: (a.rule, a.subject, a.started))


def compare(
    old: Program, new: Program, institutions: Sequence[Institution], filings: Sequence[FormBatch]
) -> list[RuleDiff]:
    """Run both versions over the same filings and return what differs, a rule each; renamed rules are the same."""
    names = {former: rule.id for rule in new.rules for former in rule.renamed_from}
    before = _by_pair(alerts(old, institutions, filings), names)
    after = _by_pair(alerts(new, institutions, filings), {})
    olds = {names.get(rule.id, rule.id): rule for rule in old.rules}
    news = {rule.id: rule for rule in new.rules}
    found = []
    for ident in dict.fromkeys([*olds, *news]):
        hashes = [version[ident].hash if ident in version else "" for version in (olds, news)]
        change = "removed" if not hashes[1] else "added" if not hashes[0] else "same"
        diff = RuleDiff(ident, "edited" if change == "same" and hashes[0] != hashes[1] else change)
        for pair in dict.fromkeys(p for p in [*before, *after] if p[0] == ident):
            _pair(diff, before.get(pair, []), after.get(pair, []))
        found.append(diff)
    return found


def _by_pair(found: Sequence[Alert], names: Mapping[str, str]) -> dict[tuple[str, str], list[Alert]]:
    pairs: dict[tuple[str, str], list[Alert]] = {}
    for alert in found:
        pairs.setdefault((names.get(alert.rule, alert.rule), alert.subject), []).append(alert)
    return pairs


def _pair(diff: RuleDiff, old: Sequence[Alert], new: Sequence[Alert]) -> None:
    """Match alerts of one rule and subject that were open at one date, each with one other."""
    left = list(old)
    for alert in new:
        match = next((other for other in left if other.meets(alert)), None)
        if match is None:
            diff.new.append(alert)
            continue
        left.remove(match)
        if replace(match, rule=alert.rule) == alert:
            diff.same += 1
        else:
            diff.changed.append((match, alert))
    diff.silent += left
