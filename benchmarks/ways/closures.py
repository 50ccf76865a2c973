"""The rules as plain Python code has them: closures over a dictionary of values, state in a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.jobs import Threshold

Values = Mapping[str, float | None]
State = dict[str, Any]
Rule = tuple[str, int, Callable[[Values, Values], float | None], float, float, float]
BEFORE = "before"


def compiled(rules: Sequence[Threshold]) -> list[Rule]:
    """Return each rule as its id, how many filings it must hold, its number, and three bounds."""
    return [(r.id, r.hold, number(r.indicator, r.change), r.watch, r.warning, r.clear) for r in rules]


def remembered(rules: Sequence[Threshold]) -> list[str]:
    """Return the indicators whose last value must be kept."""
    return sorted({r.indicator for r in rules if r.change})


def number(name: str, change: bool) -> Callable[[Values, Values], float | None]:
    """Return what gets a rule's number from the values and those before; None when it is missing."""

    def value(values: Values, before: Values) -> float | None:
        return values.get(name)

    def difference(values: Values, before: Values) -> float | None:
        now, then = values.get(name), before.get(name)
        return None if now is None or then is None else now - then

    return difference if change else value


def judge(rules: Sequence[Rule], kept: Sequence[str], filing: Mapping[str, Any], state: State) -> list[dict[str, Any]]:
    """Judge one filing, bring `state` up to date, and return the changes of alerts."""
    values, before = filing["values"], state.get(BEFORE, {})
    changes = []
    for ident, hold, number_of, watch, warning, clear in rules:
        value = number_of(values, before)
        if value is None:
            held = -1
        elif value > warning:
            held = 2
        else:
            held = 1 if value > watch else 0
        entry = state.get(ident)
        if entry is None:
            if held < 1:
                continue
            level = first = second = 0
        else:
            level, first, second = entry
        first = first + 1 if held >= 1 else 0
        second = second + 1 if held >= 2 else 0
        wanted = 2 if second >= hold else 1 if first >= hold else 0
        new = level
        if wanted > level:
            new = wanted
        elif 0 <= held < level and value is not None and value <= clear:
            new = held
        if new != level:
            subject, as_of = filing["institution"], filing["as_of"]
            changes.append({"rule": ident, "subject": subject, "as_of": as_of, "from": level, "to": new})
        if new or first or second:
            state[ident] = (new, first, second)
        elif entry is not None:
            del state[ident]
    if kept:
        state[BEFORE] = {name: values.get(name) for name in kept}
    return changes
