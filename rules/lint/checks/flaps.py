"""Check `flaps`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from rules.backtest import replay
from rules.calendar import DAY, parse_instant
from rules.catalogue import FREQUENCY_DAYS
from rules.engine import Engine
from rules.lint.registry import Finding, check
from rules.lint.subject import Subject
from rules.transitions import Transition

SOON = 3
OFTEN = 3
"""An alert flaps when it opens again within so many filings of its end; so many times make a finding."""


@check("flaps")
def flaps(subject: Subject) -> Iterator[Finding]:
    """On the history given, alerts of a rule without `clear` open again soon after they ended, again and again."""
    if subject.history is None:
        return
    again: dict[str, list[Transition]] = defaultdict(list)
    ended: dict[tuple[str, str], int] = {}
    periods = {rule.rule.id: _period(subject, rule.rule.forms) for rule in subject.rules}
    for t in _told(subject):
        pair = (t.rule, t.subject)
        at = parse_instant(t.as_of)
        if t.state == "firing" and pair in ended and at - ended[pair] <= SOON * periods[t.rule] * DAY:
            again[t.rule].append(t)
        if t.state == "resolved" and t.alert_id:
            ended[pair] = at
    for rule in subject.rules:
        found = again[rule.rule.id]
        if rule.rule.clear is None and len(found) >= OFTEN:
            summary = (
                f"{len(found)} alerts opened again within {SOON} filings of their end, "
                f"as of {found[0].subject} on {found[0].as_of}"
            )
            yield Finding(rule.at("levels"), summary, "add 'clear' with a margin, or a longer 'for'")


def _period(subject: Subject, forms: frozenset[str]) -> float:
    return max((FREQUENCY_DAYS[subject.catalogue.forms[form].frequency] for form in forms), default=0.0)


def _told(subject: Subject) -> Iterator[Transition]:
    assert subject.history is not None
    engine = Engine(subject.program, subject.history.institutions)
    for outcome in replay(engine, subject.history.filings):
        yield from outcome.transitions
