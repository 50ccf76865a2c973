"""A failed test as a person sees it: dates down, what was filed, what the rule made of it, and what was expected."""

from __future__ import annotations

import math
import unicodedata

from rules.calendar import format_instant
from rules.testing.running import Result, Step
from rules.testing.tables import LEVEL, NOBODY, SUPPRESSED

MARKS = {"none": "·", "pending": "○", "watch": "▂", "warning": "▅", "critical": "█", "unknown": "?"}


def timeline(result: Result) -> str:
    """Return the table of a case that ran, with a mark for each state; a row that failed says what was expected."""
    steps = result.steps
    names = list(dict.fromkeys(name for step in steps for name in step.row.written))
    computed = list(dict.fromkeys(name for step in steps for name in step.computed))
    several = len(result.case.institutions) > 1
    seen = any(step.row.seen_at != step.row.as_of for step in steps)
    revised = any(step.row.revision for step in steps)
    head = [
        "as_of",
        *["institution"] * several,
        *["seen_at"] * seen,
        *["revision"] * revised,
        *names,
        *computed,
        "level",
    ]
    rows = [
        [
            format_instant(step.row.as_of),
            *[step.row.institution] * several,
            *[format_instant(step.row.seen_at)] * seen,
            *[str(step.row.revision)] * revised,
            *(step.row.written.get(name, "-") for name in names),
            *(_number(step.computed.get(name, math.nan)) for name in computed),
            f"{MARKS[step.level]} {_found(step)}",
        ]
        for step in steps
    ]
    widths = [max(_width(line[i]) for line in [head, *rows]) for i in range(len(head))]
    return "\n".join("  ".join(map(_padded, line, widths)).rstrip() for line in [head, *rows])


def _found(step: Step) -> str:
    silent = step.found[SUPPRESSED]
    said = step.found[LEVEL] + (f", suppressed by {silent}" if silent != NOBODY else "")
    said += f", stale: {', '.join(step.overdue)}" if step.overdue else ""
    if step.ok:
        return said
    expected = " and ".join(f"suppressed by {x}" if column == SUPPRESSED else x for column, x in step.wrong.items())
    return f"{said}   ← expected {expected} (line {step.row.place.line})"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.4g}"


def _width(text: str) -> int:
    """Columns that a text takes in a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
