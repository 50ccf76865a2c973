"""Filings that are held because their scale is in question, until somebody answers.

A question holds one filing and nothing else: what the institution files later is judged. It is answered by the same
filing with `confirms`, by a corrected one, or by time: at the form's deadline the filing is judged as it is, and
counts as unconfirmed. What is held is state of the institution like its history, and is exported with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from rules.catalogue import OBSERVED, Catalogue
from rules.scale import SUSPICIOUS, Finding, Scale
from rules.store import NEVER, Bools, Floats, FormStore, Indices, Ints, Longs, Picker

OPEN_QUESTIONS = "observed.questions"
"""The form that the engine files itself: how many filings of an institution are held."""
MOST_HELD = 32
"""Questions that one institution may have open: who files ever more in another unit is refused."""
MOST_MARKED = 64
"""Filings of one form of one institution that are remembered as unconfirmed, the newest."""
COMPARED = 8
"""Indicators of one unit that are compared with the last filing of every institution; where one is off, all are."""

State = Literal["asked", "confirmed", "superseded", "unconfirmed", "withdrawn"]


class Held(msgspec.Struct, frozen=True, array_like=True):
    """A filing in question: what it says, and when it is judged without an answer. Times are seconds.

    `values` are by indicator; those that are missing are left out.
    """

    form: str
    as_of: int
    submitted_at: int
    revision: int
    offset: int
    expires: int
    values: dict[str, float]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What became of a question, at a moment in seconds.

    asked        the filing is held
    confirmed    the same filing came again with `confirms`, and is judged
    superseded   another filing took its place
    unconfirmed  nobody answered in time: it is judged as it is
    withdrawn    the institution left the registry, or the form the catalogue

    `sequence` is the place of the filing that caused it in its batch, -1 where time did.
    """

    state: State
    institution: str
    held: Held
    at: int
    sequence: int = -1


@dataclass(slots=True)
class Suspects:
    """Filings whose scale is in question: their positions in the batch, and why."""

    at: Indices
    findings: list[list[Finding]] = field(default_factory=list)


class Questions:
    """What is held, by row. `unconfirmed` are filings judged without an answer: row, then form, (as-of, revision)."""

    def __init__(self, catalogue: Catalogue, rows: int) -> None:
        self._scales = {f: Scale(catalogue, f) for f in catalogue.forms if not f.startswith(OBSERVED)}
        self.held: dict[int, dict[tuple[str, int], Held]] = {}
        self.unconfirmed: dict[int, dict[str, set[tuple[int, int]]]] = {}
        self._some: Bools = np.zeros(rows, np.bool_)

    def grow(self, rows: int) -> None:
        """Make room for `rows` institutions."""
        wider = np.zeros(rows, np.bool_)
        wider[: len(self._some)] = self._some
        self._some = wider

    def count(self, row: int) -> int:
        """How many filings of the institution are held."""
        return len(self.held.get(row, ()))

    def asked(self, rows: Ints) -> Indices:
        """Return the positions of rows that have a filing held, or one unconfirmed."""
        return np.flatnonzero(self._some[rows]) if self._some.any() else np.zeros(0, np.intp)

    def hold(self, row: int, held: Held) -> None:
        """Hold a filing, in place of one for the same date."""
        self.held.setdefault(row, {})[held.form, held.as_of] = held
        self._some[row] = True

    def release(self, row: int, form: str, as_of: int) -> Held:
        """Hold a filing no longer, and return it."""
        found = self.held[row].pop((form, as_of))
        if not self.held[row]:
            del self.held[row]
        self._note(row)
        return found

    def mark(self, row: int, form: str, as_of: int, revision: int) -> None:
        """Remember a filing as unconfirmed."""
        marked = self.unconfirmed.setdefault(row, {}).setdefault(form, set())
        marked.add((as_of, revision))
        if len(marked) > MOST_MARKED:
            marked.remove(min(marked))
        self._some[row] = True

    def clear(self, row: int, form: str, as_of: int) -> None:
        """Forget that a filing was unconfirmed: another one took its place."""
        forms = self.unconfirmed.get(row)
        if forms is None or form not in forms:
            return
        forms[form] = {one for one in forms[form] if one[0] != as_of}
        if not forms[form]:
            del forms[form]
        if not forms:
            del self.unconfirmed[row]
        self._note(row)

    def forget(self, rows: Iterable[int]) -> None:
        """Forget what is held of these institutions."""
        for row in rows:
            self.held.pop(row, None)
            self.unconfirmed.pop(row, None)
            self._some[row] = False

    def due(self, until: int, rows: Iterable[int] | None = None) -> list[tuple[int, Held]]:
        """Return the rows and filings whose time has come, of some rows or all: by that time, then by date."""
        found = [
            (row, held)
            for row in (self.held if rows is None else rows)
            for held in self.held.get(row, {}).values()
            if held.expires <= until
        ]
        return sorted(found, key=lambda one: (one[1].expires, one[1].as_of, one[1].form, one[0]))

    def export(self, rows: Sequence[int]) -> tuple[list[tuple[int, Held]], list[tuple[int, str, int, int]]]:
        """Return what is held and what is unconfirmed of some rows, each with the row's position among them."""
        held = [(at, one) for at, row in enumerate(rows) for one in self.held.get(row, {}).values()]
        marked = [
            (at, form, *one)
            for at, row in enumerate(rows)
            for form, marks in self.unconfirmed.get(row, {}).items()
            for one in sorted(marks)
        ]
        return held, marked

    def restore(
        self, rows: Ints, held: Iterable[tuple[int, Held]], marked: Iterable[tuple[int, str, int, int]]
    ) -> None:
        """Take in what `export` gave."""
        for at, one in held:
            self.hold(int(rows[at]), one)
        for at, form, as_of, revision in marked:
            self.mark(int(rows[at]), form, as_of, revision)

    def every(self) -> Iterator[tuple[int, Held]]:
        """Yield what is held: row and filing."""
        for row, held in self.held.items():
            for one in held.values():
                yield row, one

    def _note(self, row: int) -> None:
        self._some[row] = row in self.held or row in self.unconfirmed

    def suspects(
        self, store: FormStore, rows: Ints, as_of: Longs, values: Floats, order: Indices | None, odd: Bools | None
    ) -> Suspects:
        """Return which filings of a form are in question, at most one of each row.

        values: [k, n], the form's indicators; order: which column of it belongs to each row, None for the same order.
        odd: which filings (in the rows' order) have an implausible value; None where nobody has looked.
        """
        scale = self._scales.get(store.form)
        if scale is None or not scale.kinds:
            return Suspects(np.zeros(0, np.intp))
        if odd is None:
            odd = scale.outside(values) if order is None else scale.outside(values)[order]
        closer = np.flatnonzero(odd | _moved(scale, store, rows, as_of, values, order))
        if not len(closer):
            return Suspects(closer)
        mine = values[:, closer if order is None else order[closer]]
        found = scale.look(mine, _before(store, rows[closer], as_of[closer]))
        some = [i for i, findings in enumerate(found) if findings]
        return Suspects(closer[some], [found[i] for i in some])


def _moved(
    scale: Scale, store: FormStore, rows: Ints, as_of: Longs, values: Floats, order: Indices | None
) -> NDArray[np.bool_]:
    """Return which filings have a value, among the few that are compared, far off the one before."""
    far = np.zeros(len(rows), np.bool_)
    pick = Picker(rows)
    filed = store.filed(pick, store.position(pick, as_of - 1))
    if not filed.there.any():
        return far
    known = set(store.column) | set(store.last_column)
    newest: Bools | None = None
    for kind in scale.kinds:
        places = [p for p in kind.places.tolist() if scale.names[p] in known][:COMPARED]
        for place in places:
            name = scale.names[place]
            if name in store.column:
                last = store.read(filed, store.column[name])
            else:
                newest = store.newest(rows) < as_of if newest is None else newest
                last = np.where(newest, pick(store.latest[store.last_column[name]]), np.nan)
            new, old = np.abs(values[place] if order is None else values[place].take(order)), np.abs(last)
            with np.errstate(over="ignore"):
                far |= ((new > SUSPICIOUS * old) | (old > SUSPICIOUS * new)) & (new > 0.0) & (old > 0.0)
    return far


def _before(store: FormStore, rows: Ints, as_of: Longs) -> Floats:
    """Return the values [k, n] of the filings before these dates; NaN where there is none or it is not kept."""
    pick = Picker(rows)
    filed = store.filed(pick, store.position(pick, as_of - 1))
    found = np.full((len(store.reported), len(rows)), np.nan)
    newest = (store.newest(rows) < as_of) & (store.newest(rows) != NEVER)
    for place, name in enumerate(store.reported):
        if name in store.column:
            found[place] = store.read(filed, store.column[name])
        elif name in store.last_column:
            found[place] = np.where(newest, pick(store.latest[store.last_column[name]]), np.nan)
    return found
