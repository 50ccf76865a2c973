"""`guanlan rules diff`: two versions of a pack on the same history, on screen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from guanlan.backtests import read_history
from guanlan.packs import DEFAULT_CATALOGUE
from rules.catalogue import load_catalogue
from rules.diff import Alert, RuleDiff, compare
from rules.pack import compile_packs, load_packs, wanted_catalogues

SHOWN = 5
"""How many alerts of each kind are named for a rule."""


def run_diff(
    old: str,
    new: str,
    *,
    filings: Sequence[Path],
    mapping: Path | None,
    institutions: Path | None,
    catalogue: Sequence[str] | None,
) -> None:
    """Run both packs over the filings and print what fires newly, what falls silent and what changes."""
    console = Console(highlight=False, soft_wrap=True)
    texts = [load_packs([name]) for name in (old, new)]
    known = load_catalogue(catalogue or wanted_catalogues([*texts[0], *texts[1]]) or [DEFAULT_CATALOGUE])
    registry, batches, rejected = read_history(filings, mapping, institutions, known)
    if rejected:
        Console(stderr=True).print(f"history: {rejected} filings that a worker would reject left out")
    found = compare(*(compile_packs(text, known) for text in texts), registry, batches)
    for diff in found:
        if diff.change != "same" or diff.new or diff.silent or diff.changed:
            for line in _lines(diff):
                console.print(line, markup=False)
    console.print(_summary(found), markup=False)


def _lines(diff: RuleDiff) -> list[str]:
    counts = [(len(diff.new), "new"), (len(diff.silent), "silent"), (len(diff.changed), "changed"), (diff.same, "same")]
    told = ", ".join(f"{count} {what}" for count, what in counts if count) or "no alerts"
    lines = [f"{diff.rule} ({diff.change}): {told}"]
    lines += _some([f"  + {_alert(alert)}" for alert in diff.new])
    lines += _some([f"  - {_alert(alert)}" for alert in diff.silent])
    return lines + _some([f"  ~ {_alert(old)}  →  {_alert(new, whole=False)}" for old, new in diff.changed])


def _some(lines: list[str]) -> list[str]:
    rest = len(lines) - SHOWN
    return lines[:SHOWN] + ([f"    … and {rest} more"] if rest > 0 else [])


def _alert(alert: Alert, whole: bool = True) -> str:
    silent = ", suppressed" if alert.suppressed else ""
    life = f"{alert.started} to {alert.ended or 'now'}, {alert.highest}{silent}"
    return f"{alert.subject} {life}" if whole else life


def _summary(found: Sequence[RuleDiff]) -> str:
    """What publishing would do to the alerts of today."""
    opens, closes, moves = (sum(len(part) for part in parts) for parts in zip(*map(_today, found), strict=True))
    return f"alerts open at the end of history: {opens} more, {closes} less, {moves} at another level"


def _today(diff: RuleDiff) -> tuple[Sequence[object], Sequence[object], Sequence[object]]:
    return diff.opens, diff.closes, diff.moves
