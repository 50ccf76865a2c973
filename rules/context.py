"""A context says where expressions are evaluated: which institutions, at which dates of the world."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rules.calendar import due_at, has_deadline
from rules.catalogue import Catalogue
from rules.obligations import Tenure
from rules.plan import Node, walk
from rules.settings import Table
from rules.store import NEVER, Bools, Filed, Floats, FormStore, Indices, Ints, Longs, Picker

DAY = 86_400


class Truth:
    """A three-valued column: `yes` where it holds, `no` where it does not, neither where unknown.

    Most conditions are known everywhere: of those only `yes` is stored, and `unknown` is None.
    """

    __slots__ = ("_everywhere", "_no", "unknown", "yes")

    def __init__(self, yes: Bools, no: Bools) -> None:
        self.yes = yes
        self._no: Bools | None = no
        self.unknown: Bools | None = ~(yes | no)
        self._everywhere: bool | None = None

    @classmethod
    def known(cls, yes: Bools, but: Bools | None = None) -> Truth:
        """Return what holds at `yes` and is known everywhere `but` there, where `yes` is False."""
        found = cls.__new__(cls)
        found.yes, found._no, found.unknown, found._everywhere = yes, None, but, None
        return found

    @property
    def no(self) -> Bools:
        """Where it is known not to hold."""
        if self._no is None:
            self._no = ~self.yes if self.unknown is None else ~(self.yes | self.unknown)
        return self._no

    @property
    def everywhere(self) -> bool:
        """Whether it holds everywhere."""
        if self._everywhere is None:
            self._everywhere = bool(self.yes.all())
        return self._everywhere


Column = Floats | Truth | NDArray[np.int32]


LevelAt = Callable[[str, Ints, Longs], NDArray[np.int8]]


@dataclass(slots=True)
class World:
    """What contexts read from: stores by form, attribute columns by name, and the text codes in them.

    `derived` are the nodes of derived indicators. `level_at` tells the level (int8) of a rule's alert for rows
    at dates; expressions with `firing` need it. `members` are the rows of institutions, ascending, that count
    in values across institutions; `system` marks the row that stands for the system itself; `now` is the latest
    time that filings or ticks have told, `clock` the latest tick. `settings` are parameters by name; `version`
    counts changes of attributes. `opened` is the year in which an institution opened; 0 where it is not known.
    `tenure` says since when and until when each row is an institution.
    `unconfirmed` are filings whose scale nobody answered for, as (as-of, revision) by row and form.
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
    settings: Mapping[str, Table] = field(default_factory=dict)
    version: int = 0
    clock: int = int(NEVER)
    opened: Ints = field(default_factory=lambda: np.zeros(0, np.int32))
    tenure: Tenure = field(default_factory=lambda: Tenure(0, "UTC"))
    unconfirmed: Mapping[int, Mapping[str, set[tuple[int, int]]]] = field(default_factory=dict)

    def past_deadline(self, node: Node, at: int) -> bool:
        """Whether every form that the node reads was due before `now` for the date `at`."""
        forms = [self.catalogue.forms[str(n.params[0])] for n in walk(node) if n.op == "column"]
        return all(has_deadline(form) and due_at(form, at, self.country) <= self.now for form in forms)

    def code(self, text: str) -> int:
        """Return the number that stands for a text in attribute columns."""
        return self.codes.setdefault(text, len(self.codes))


class Context:
    """Rows of institutions, and for each the date `at` (seconds) as of which values are read.

    Results are kept by node, so a shared part of many rules is computed once in a context. Columns may be views
    of the stores: they are not written into, and hold until the next filing is placed. `pick` reads columns of
    all institutions at the rows.
    """

    __slots__ = ("_filed", "_fresh", "_newer", "_shifts", "_windows", "at", "blanks", "memo", "pick", "rows", "world")

    def __init__(self, world: World, rows: Ints, at: Longs, pick: Picker | None = None) -> None:
        self.world = world
        self.rows = rows
        self.at = at
        self.pick = pick or Picker(rows)
        self.memo: dict[int, Column] = {}
        self.blanks: dict[int, Bools | None] = {}
        self._filed: dict[str, Filed] = {}
        self._fresh: dict[str, Bools | None] = {}
        self._newer: dict[str, Indices | int] = {}
        self._shifts: dict[tuple[str, int], tuple[Context, Bools]] = {}
        self._windows: dict[tuple[str, int, int], tuple[list[Context], list[Bools] | None]] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def filed(self, form: str) -> Filed:
        """Where each row's newest filing at or before `at` stands."""
        found = self._filed.get(form)
        if found is None:
            found = self._filed[form] = self.world.stores[form].filed(self.pick, self._position(form))
        return found

    def _position(self, form: str) -> Indices | int:
        """How many filings of each row are newer than `at`; 0 for none of any row."""
        found = self._newer.get(form)
        if found is None:
            found = self._newer[form] = self.world.stores[form].position(self.pick, self.at)
        return found

    def filing(self, form: str) -> tuple[Indices, Bools]:
        """Slot of each row's newest filing at or before `at`, and whether there is one."""
        filed = self.filed(form)
        return filed.slots, filed.there

    def as_of(self, form: str) -> Longs:
        """As-of seconds of that filing; NEVER where there is none."""
        return self.filed(form).as_of

    def reported(self, form: str, indicator: str) -> Floats:
        """Values of an indicator in the newest filing, however old it is."""
        store = self.world.stores[form]
        return store.read(self.filed(form), store.column[indicator])

    def column(self, form: str, indicator: str) -> Floats:
        """Values of an indicator: of the newest filing, if it is not older than the form's validity."""
        values, fresh = self.reported(form, indicator), self.fresh(form)
        return values if fresh is None else np.where(fresh, values, np.nan)

    def unaged(self, node: Node) -> Floats:
        """Values of a column node in the newest filing, however old it is."""
        return self.reported(str(node.params[0]), str(node.params[1]))

    def leaf(self, node: Node) -> Floats:
        """Values of a column node."""
        values, fresh = self.unaged(node), self.fresh(str(node.params[0]))
        return values if fresh is None else np.where(fresh, values, np.nan)

    def constant(self, node: Node) -> Floats:
        """The constant of a node, of no dimension, so that numpy need not read a column of it."""
        return cast(Floats, np.float64(cast(float, node.params[0])))

    def load(self, form: str, nodes: Sequence[Node]) -> None:
        """Read many column nodes of one form, as `column` does, where that is quicker together."""
        filed = self.filed(form)
        if len(filed.odd) or self.fresh(form) is not None:
            return
        store = self.world.stores[form]
        plane, pick = store.values[filed.common], self.pick
        for node in nodes:
            self.memo[node.id] = pick(plane[store.column[str(node.params[1])]])

    def fresh(self, form: str) -> Bools | None:
        """Where there is a filing of the form, and the newest is not older than the form's validity.

        None for everywhere.
        """
        if form not in self._fresh:
            limit = int(self.world.catalogue.forms[form].validity_days * DAY)
            filed = self.filed(form)
            fresh: Bools = filed.there & (self.at - filed.as_of <= limit)
            self._fresh[form] = None if fresh.all() else fresh
        return self._fresh[form]

    def back(self, form: str, filings: int) -> tuple[Context, Bools]:
        """The context `filings` filings of the form earlier, and whether there was one.

        There is none behind a newest filing that is too old to be known itself.
        """
        earlier, there = self._shift(form, filings)
        fresh = self.fresh(form)
        return earlier, there if fresh is None else there & fresh

    def window(self, form: str, filings: int, seconds: int) -> tuple[list[Context], list[Bools] | None]:
        """The last filings of the form, newest first: the context of each, and for which rows each counts.

        `filings` of them, or those younger than `seconds` before `at`, as many as the form's frequency has in that
        time and one. Nothing counts where the newest filing is too old to be known itself. None says that all count
        for all rows.
        """
        key = (form, filings, seconds)
        found = self._windows.get(key)
        if found is None:
            count = filings or self.world.catalogue.forms[form].filings_within(seconds)
            contexts, masks = map(list, zip(*(self.back(form, back) for back in range(count)), strict=True))
            if seconds:
                masks = [mask & (c.at > self.at - seconds) for c, mask in zip(contexts, masks, strict=True)]
            found = self._windows[key] = contexts, None if all(mask.all() for mask in masks) else masks
        return found

    def _shift(self, form: str, back: int) -> tuple[Context, Bools]:
        key = (form, back)
        found = self._shifts.get(key)
        if found is None:
            filed = self.world.stores[form].filed(self.pick, self._position(form) + back)
            context = Context(self.world, self.rows, filed.as_of, self.pick)
            # the newest filing at its own date is itself
            context._filed[form], context._fresh[form] = filed, None if filed.complete else filed.there
            found = self._shifts[key] = context, filed.there
        return found
