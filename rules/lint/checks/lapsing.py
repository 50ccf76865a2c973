"""Check `lapsing`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

from rules.calendar import DAY, format_instant, seconds
from rules.lint.registry import Finding, check
from rules.lint.subject import Subject
from rules.plan import Row, Setting
from rules.spans import EVER

SOON = timedelta(days=60)


@check("lapsing")
def lapsing(subject: Subject) -> Iterator[Finding]:
    """A waiver, a row of a parameter or a rule's validity ends within 60 days, and nothing follows it."""
    for setting in subject.program.settings.values():
        for row in setting.rows:
            if _soon(row.until, subject.today) and not _followed(row, setting):
                summary = f"{setting.name!r} for {row.whom} lapses after {_last(row.until)}"
                yield Finding(row.place, summary, "add the row that follows, or let the next wider one count")
    for rule in subject.rules:
        for waiver in rule.rule.waivers:
            later = [w for w in rule.rule.waivers if w.institution == waiver.institution and w.since >= waiver.until]
            if _soon(waiver.until, subject.today) and not later:
                summary = (
                    f"the waiver of {waiver.institution!r} from {rule.rule.id!r} lapses after {_last(waiver.until)}"
                )
                yield Finding(waiver.place, summary, "renew it by a decision, or prepare for the alert")
        if rule.rule.valid is not None and _soon(rule.rule.valid.until, subject.today):
            summary = f"the rule {rule.rule.id!r} is valid until {_last(rule.rule.valid.until)}"
            yield Finding(rule.at("valid"), summary, "move the end, or retire the rule")


def _soon(until: int, today: date) -> bool:
    return until != EVER and seconds(today) < until <= seconds(today + SOON) + DAY


def _followed(row: Row, setting: Setting) -> bool:
    """Whether another row for the same begins where this one ends."""
    return any((other.rung, other.key, other.since) == (row.rung, row.key, row.until) for other in setting.rows)


def _last(until: int) -> str:
    """The last day of a span that ends before `until`."""
    return format_instant(until - DAY)
