"""Parameters as the engine looks them up: one gather for many institutions and dates.

Which row is in force is kept by interval of validity and institution, until attributes of institutions change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rules.plan import RUNGS, Row, Setting
from rules.spans import EVER
from rules.store import NEVER, Bools, Floats, Ints, Longs

if TYPE_CHECKING:
    from rules.context import World


class Table:
    """One parameter as the engine looks it up: for every interval of validity and institution, the row in force."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        bounds = {bound for row in setting.rows for bound in (row.since, row.until)} - {int(NEVER), EVER}
        self._edges: Longs = np.array(sorted(bounds), np.int64)
        self._values: Floats = np.array([*(row.value for row in setting.rows), np.nan])
        self._chosen: NDArray[np.int16] = np.zeros((0, 0), np.int16)
        self._version = -1

    def values(self, world: World, rows: Ints, at: Longs) -> Floats:
        """Values in force for institutions [n] at dates [n]; NaN where no row applies."""
        found: Floats = self._values[self.index(world, rows, at)]
        return found

    def index(self, world: World, rows: Ints, at: Longs) -> NDArray[np.int16]:
        """Which of the setting's rows is in force; -1 for none."""
        if self._version != world.version:
            self._choose(world)
            self._version = world.version
        interval = np.searchsorted(self._edges, at, side="right") if len(self._edges) else 0
        found: NDArray[np.int16] = self._chosen[interval, rows]
        return found

    def _choose(self, world: World) -> None:
        starts = np.r_[NEVER, self._edges]
        self._chosen = np.full((len(starts), len(world.texts["type"])), -1, np.int16)
        for number, row in sorted(enumerate(self.setting.rows), key=lambda item: RUNGS.index(item[1].rung)):
            valid = np.flatnonzero((row.since <= starts) & (starts < row.until))
            self._chosen[np.ix_(valid, np.flatnonzero(_for_whom(row, world)))] = number


def _for_whom(row: Row, world: World) -> Bools:
    if row.rung == "dsib_bucket":
        found: Bools = world.numbers["dsib_bucket"] == float(row.key)
        return found
    if row.rung == "default":
        return np.ones(len(world.texts["type"]), np.bool_)
    column = world.texts["code" if row.rung == "institution" else row.rung]
    found = column == world.codes.get(row.key, -1)
    return found
