"""Durations and windows as authors write them: '4 filings', '90d', '2 filings', '5bd'."""

from __future__ import annotations

import re

from rules.plan import Span

DAY = 86_400
COUNTED = r"\s*(?!0+\D)(\d{1,4})\s*filings?\s*"
TIMED = r"\s*(?!0+\D)(\d{1,5})\s*(d|days?|h|hours?|w|weeks?|min)\s*"
_FILINGS = re.compile(rf"{COUNTED}\Z")
_TIME = re.compile(rf"{TIMED}\Z")
_SECONDS = {"d": DAY, "h": 3600, "w": 7 * DAY, "m": 60}


def parse_span(text: str) -> Span | None:
    """Return what the text says, or None when it says nothing we know.

    >>> parse_span("90d").seconds // DAY
    90
    >>> parse_span("2 filings")
    Span(filings=2, seconds=0)
    """
    if match := _FILINGS.match(text):
        return Span(filings=int(match.group(1)))
    if match := _TIME.match(text):
        return Span(filings=0, seconds=int(match.group(1)) * _SECONDS[match.group(2)[0]])
    return None
