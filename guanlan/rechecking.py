"""`guanlan rules explain --alert`: events as they stand on the topic, explained from their evidence."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from alerts.events import NotATransition, decode
from guanlan.packs import find_rule
from rules.problems import InputError
from rules.recheck import again, recheck
from rules.transitions import Transition


def run_recheck(path: Path, packs: Sequence[str] | None, catalogue: Sequence[str] | None, language: str) -> bool:
    """Print what each event of a file comes to when evaluated again; return whether none differs.

    Raises InputError for a file that holds no events, ConfigError for a rule that no pack has.
    """
    alike = True
    for number, alert in enumerate(read_events(path)):
        _, program = find_rule(alert.rule, packs, catalogue)
        typer.echo("\n" * (number > 0) + "\n".join(recheck(alert, program, language)))
        alike = alike and again(alert, program).same is not False
    return alike


def read_events(path: Path) -> list[Transition]:
    """Return the events of a file: one JSON document, or one in each line."""
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as err:
        raise InputError(f"{path} can't be read: {err.strerror}") from None
    try:
        return [decode(data)]
    except NotATransition as err:
        first = err
    try:
        found = [decode(line) for line in data.splitlines() if line.strip()]
    except NotATransition:
        found = []
    if not found:
        raise InputError(f"{path}: {first}")
    return found
