"""A context says where expressions are evaluated: which institutions, at which dates of the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from rules.calendar import due, has_deadline
from rules.catalogue import Catalogue
from rules.plan import Node, walk
from rules.store import NEVER, Bools, Floats, FormStore, Ints, Longs

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Truth:
    """A three-valued column: `yes` where it holds, `no` where it does not, neither where unknown."""

    yes: Bools
    no: Bools

    @property
    def unknown(self) -> Bools:
        """Where neither is known."""
        return ~(self.yes | self.no)


Column = Floats | Truth | NDArray[np.int32]


LevelAt = Callable[[str, Ints, Longs], NDArray[np.int8]]


@dataclass(slots=True)
class World:
    """What contexts read from: stores by form, attribute columns by name, and the text codes in them.

    `derived` are the nodes of derived indicators. `level_at` tells the level (int8) of a rule's alert for rows
    at dates; expressions with `firing` need it. `members` are the rows of institutions, ascending, that count
    in values across institutions; `system` marks the row that stands for the system itself; `now` is the latest
    time that filings or ticks have told.
    """

    catalogue: Catalogue
    stores: dict[str, FormStore]
    numbers: dict[str, Floats]
    texts: dict[str, NDArray[np.int32]]
    codes: dict[str, int]
    country: str = ""
    derived: Mapping[str, Node] = field(default_factory=dict)
    level_at: LevelAt | None = None
    members: Ints = field(default_factory=lambda: np.zeros(0, np.int32))
    system: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    now: int = 0

    def past_deadline(self, node: Node, at: int) -> bool:
        """Whether every form that the node reads was due before `now` for the date `at`."""
        forms = [self.catalogue.forms[str(n.params[0])] for n in walk(node) if n.op == "column"]
        day = datetime.fromtimestamp(at, UTC).date()
        return all(has_deadline(form) and due(form, day, self.country) <= self.now for form in forms)

    def code(self, text: str) -> int:
        """Return the number that stands for a text in attribute columns."""
        return self.codes.setdefault(text, len(self.codes))


@dataclass(slots=True)
class Context:
    """Rows of institutions, and for each the date `at` (seconds) as of which values are read.

    Results are kept by node, so a shared part of many rules is computed once in a context.
    """

    world: World
    rows: Ints
    at: Longs
    memo: dict[int, Column] = field(default_factory=dict)
    _slots: dict[str, tuple[NDArray[np.intp], Bools]] = field(default_factory=dict)
    _fresh: dict[str, Bools] = field(default_factory=dict)
    _shifts: dict[tuple[str, int, int], tuple[Context, Bools]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def filing(self, form: str) -> tuple[NDArray[np.intp], Bools]:
        """Slot of each row's newest filing at or before `at`, and whether there is one."""
        found = self._slots.get(form)
        if found is None:
            store = self.world.stores[form]
            found = self._slots[form] = store.slot(self.rows, store.position(self.rows, self.at))
        return found

    def as_of(self, form: str) -> Longs:
        """As-of seconds of that filing; NEVER where there is none."""
        slots, there = self.filing(form)
        return np.where(there, self.world.stores[form].as_of[slots, self.rows], NEVER)

    def column(self, form: str, indicator: str) -> Floats:
        """Values of an indicator: of the newest filing, if it is not older than the form's validity."""
        store = self.world.stores[form]
        slots, _ = self.filing(form)
        values: Floats = store.values[store.column[indicator]][slots, self.rows]
        fresh = self.fresh(form)
        return values if fresh.all() else np.where(fresh, values, np.nan)

    def fresh(self, form: str) -> Bools:
        """Whether there is a filing of the form, and the newest is not older than the form's validity."""
        found = self._fresh.get(form)
        if found is None:
            limit = int(self.world.catalogue.forms[form].validity_days * DAY)
            slots, there = self.filing(form)
            age = self.at - self.world.stores[form].as_of[slots, self.rows]
            found = self._fresh[form] = there & (age <= limit)
        return found

    def back(self, form: str, filings: int) -> tuple[Context, Bools]:
        """The context `filings` filings of the form earlier, and whether there was one.

        There is none behind a newest filing that is too old to be known itself.
        """
        earlier, there = self._shift(form, filings, 1)
        return earlier, there & self.fresh(form)

    def window(self, form: str, filings: int, seconds: int) -> tuple[Context, Bools]:
        """The last filings of the form as one context of k × n rows, newest first, and which of them count.

        `filings` of them, or those younger than `seconds` before `at`, as many as the form's frequency has in that
        time and one. The mask has shape [k, n]; nothing
        counts where the newest filing is too old to be known itself.
        """
        count = filings or self.world.catalogue.forms[form].filings_within(seconds)
        context, there = self._shift(form, 0, count)
        mask = there.reshape(count, len(self)) & self.fresh(form)
        if seconds:
            mask = mask & (context.at.reshape(count, len(self)) > self.at - seconds)
        return context, mask

    def _shift(self, form: str, back: int, count: int) -> tuple[Context, Bools]:
        key = (form, back, count)
        found = self._shifts.get(key)
        if found is None:
            store = self.world.stores[form]
            position = store.position(self.rows, self.at) + back
            rows = np.tile(self.rows, count)
            positions = (np.arange(count)[:, None] + position).reshape(-1)
            slots, there = store.slot(rows, positions)
            at = np.where(there, store.as_of[slots, rows], NEVER)
            found = self._shifts[key] = (Context(self.world, rows, at), there)
        return found
