"""Check `long-hold`."""

from __future__ import annotations

from collections.abc import Iterator

from rules.catalogue import FREQUENCY_DAYS
from rules.lint.registry import Finding, check
from rules.lint.subject import Subject
from rules.plan import Span
from rules.windows import DAY


@check("long-hold")
def long_hold(subject: Subject) -> Iterator[Finding]:
    """`for` or `clear` hold on for longer than history is kept to judge again.

    A late or revised filing is judged at its own date as far back as its form's horizon. What has to hold for longer
    rests in part on states that no correction reaches.
    """
    for rule in subject.rules:
        for key, span in (("for", rule.rule.hold), ("clear", rule.rule.clear_hold)):
            for form in sorted(rule.rule.forms):
                horizon = subject.catalogue.forms[form].horizon
                filings = _filings(span, subject.catalogue.forms[form].frequency)
                if filings > horizon:
                    summary = (
                        f"{key!r} holds on for {filings} filings of {form!r}, {horizon} are judged again when late"
                    )
                    yield Finding(rule.at(key), summary, "shorten it, or raise the form's horizon")
                    break


def _filings(span: Span, frequency: str) -> int:
    """How many filings of a form the span takes."""
    return int(span.seconds / DAY / FREQUENCY_DAYS[frequency]) if span.seconds else span.filings
