"""Going on with other rules while running: a new engine of the new rules takes over the state of the old one.

It is what a restart with other packs does, without the restart: state goes over as checkpoints write it
(`rules.checkpoint`), and what the edit changes of open alerts is told (`rules.edits`).
"""

from __future__ import annotations

from collections.abc import Sequence

from rules.checkpoint import export, restore
from rules.engine import Engine
from rules.pack import Program


def successor(old: Engine, program: Program) -> Engine:
    """Return an engine of other rules, with the old one's institutions in the same rows, its clock and no state."""
    new = Engine(program, clock=old.laps.clock, asks=old.questions is not None)
    new.reserve(len(old.institutions))
    left = []
    for row, institution in enumerate(old.institutions):
        if old.row(institution.code) == row:
            new.put_institution(institution)
        else:  # who left: the row is free, but must be there
            new.institutions.append(institution)
            left.append(row)
    new.free(left)
    new.set_clocks(old)
    return new


def hand_over(old: Engine, new: Engine, rows: Sequence[int]) -> None:
    """Give the state of these institutions to the successor; the old engine keeps its own."""
    restore(new, export(old, rows))
