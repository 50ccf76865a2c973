"""All rules over columns by hand: what is left when there is nothing but numpy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.jobs import Job


class Judge:
    """All rules over columns: rule × institution arrays of level, and of how long each level held."""

    def __init__(self, job: Job, institutions: int) -> None:
        rules = job.thresholds
        self.ids = [r.id for r in rules]
        self.columns = [int(r.indicator[1:]) for r in rules]
        self.changes = np.flatnonzero([r.change for r in rules])
        self.before = np.full((len(self.changes), institutions), np.nan)
        self.watch, self.warning, self.clear = (
            np.array([getattr(r, name) for r in rules])[:, None] for name in ("watch", "warning", "clear")
        )
        self.hold = np.array([r.hold for r in rules], np.int8)[:, None]
        shape = (len(rules), institutions)
        self.level, self.first, self.second = (np.zeros(shape, np.int8) for _ in range(3))

    def judge(self, rows: Any, values: Any) -> tuple[Any, Any, Any, Any]:
        """Judge one filing each of some institutions. values: [n, indicators]; returns rule, place, from, to."""
        x = values[:, self.columns].T
        if len(self.changes):
            now = x[self.changes]
            x[self.changes] = now - self.before[:, rows]
            self.before[:, rows] = now
        over, far = x > self.watch, x > self.warning
        level = self.level[:, rows]
        first = np.where(over, np.minimum(self.first[:, rows] + 1, 100), 0)
        second = np.where(far, np.minimum(self.second[:, rows] + 1, 100), 0)
        wanted = np.where(second >= self.hold, 2, first >= self.hold).astype(np.int8)
        held = over.view(np.int8) + far.view(np.int8)
        new = np.where((held < level) & (x <= self.clear), held, level)
        new = np.where(wanted > level, wanted, new)
        self.level[:, rows], self.first[:, rows], self.second[:, rows] = new, first, second
        rule, place = np.nonzero(new != level)
        return rule, place, level[rule, place], new[rule, place]


def steps(rows: Any) -> Iterator[Any]:
    """Yield positions in turn: everybody's first filing of the batch, everybody's second, and so on."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.r_[True, ordered[1:] != ordered[:-1]]
    since = np.arange(len(rows)) - np.maximum.accumulate(np.where(starts, np.arange(len(rows)), 0))
    turn = np.empty(len(rows), np.intp)
    turn[order] = since
    for number in range(int(turn.max()) + 1):
        yield np.flatnonzero(turn == number)
