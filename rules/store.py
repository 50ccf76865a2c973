"""The history that rules read, as columns: for each form, indicator × filing × institution.

A form's filings of one institution sit in `depth` slots in no order; `order[p, row]` is the slot of the
p-th newest. So a filing on time costs one write, and a late one goes to its place without moving values.
New filings go to one slot for all institutions where that is possible, so that the p-th newest of most stand in
one plane of memory and are read without looking up where each is.

A slot is indicator × institution. Memory of slots and rows that nobody has filed into is reserved, not touched, so
a history costs what is in it. What stands where there is no filing means nothing: readers ask `Filed.there`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Longs = NDArray[np.int64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]

Item = TypeVar("Item", bound=np.generic)

NEVER = np.int64(-(2**62))


@dataclass(frozen=True, slots=True)
class Placed:
    """What became of filings offered to a store: each array is as long as the filings.

    `accepted`: it is in the history now. `verdict` is 0 for accepted, else DUPLICATE, BACKWARDS or BEYOND
    (older than everything kept: noted, changes nothing). `newest`: no filing of the form is newer.
    """

    verdict: NDArray[np.int8]
    newest: Bools
    revised: Bools


ACCEPTED, DUPLICATE, BACKWARDS, BEYOND = range(4)
FEW = 8  # a gather costs about so many times a copy
PAGE = 512  # numbers in a page of memory
CACHED = 1 << 16  # numbers that are moved at a time


class Picker:
    """Reads columns at some rows, which are a slice of all rows where that is so: then nothing is copied."""

    __slots__ = ("index", "rows")

    def __init__(self, rows: Ints) -> None:
        self.index: Indices = rows.astype(np.intp)
        n = len(rows)
        self.rows: slice | None = None
        if n and rows[-1] - rows[0] == n - 1 and bool((self.index[1:] > self.index[:-1]).all()):
            self.rows = slice(int(rows[0]), int(rows[-1]) + 1)

    def __call__(self, column: NDArray[Item]) -> NDArray[Item]:
        """Return column[..., rows]; it may be a view, so write nothing into it."""
        if self.rows is not None:
            return column[..., self.rows]
        found: NDArray[Item] = column.take(self.index, axis=-1)
        return found


@dataclass(frozen=True, slots=True)
class Filed:
    """Where one filing of each of n rows stands: its slot, and whether it is there at all.

    Most rows have it in the slot `common`; `odd` are the positions of those that do not, `slots` all slots.
    `as_of` are its dates; `complete` says that all are there.
    """

    pick: Picker
    slots: Indices
    there: Bools
    as_of: Longs
    common: int
    odd: Indices
    complete: bool

    def read(self, planes: NDArray[Item]) -> NDArray[Item]:
        """Return what stands there, [n], of planes [depth, rows]. It may be a view, so write nothing into it."""
        if FEW * len(self.odd) > len(self.slots):
            found: NDArray[Item] = planes[self.slots, self.pick.index]
            return found
        found = self.pick(planes[self.common])
        if len(self.odd):
            found = found.copy()
            found[self.odd] = planes[self.slots[self.odd], self.pick.index[self.odd]]
        return found

    def take(self, places: Indices, pick: Picker) -> Filed:
        """Return the same of some of the rows, which `pick` reads."""
        slots = self.slots[places]
        odd = np.flatnonzero(slots != self.common) if len(self.odd) else self.odd
        there = self.there[places]
        return Filed(pick, slots, there, self.as_of[places], self.common, odd, self.complete)


class FormStore:
    """History of one form. Rows are institutions; `kept` indicators have full depth, `last` only the newest."""

    def __init__(
        self, form: str, reported: Sequence[str], kept: tuple[str, ...], last: tuple[str, ...], depth: int, rows: int
    ) -> None:
        self.form = form
        self.reported = reported
        self.kept = kept
        self.last = last
        place = {name: index for index, name in enumerate(reported)}
        self._kept_from: Indices = np.array([place[name] for name in kept], np.intp)
        self._last_from: Indices = np.array([place[name] for name in last], np.intp)
        self.depth = depth
        self.column = {name: index for index, name in enumerate(kept)}
        self.last_column = {name: index for index, name in enumerate(last)}
        self.as_of: Longs = np.full((depth, rows), NEVER)
        self.revision: Ints = np.zeros((depth, rows), np.int32)
        self.offset: Longs = np.full((depth, rows), -1, np.int64)
        self.order: NDArray[np.int16] = np.tile(np.arange(depth, dtype=np.int16)[:, None], (1, rows))
        self.values: Floats = np.empty((depth, len(kept), rows))
        self.latest: Floats = np.full((len(last), rows), np.nan)

    def grow(self, rows: int) -> None:
        """Make room for `rows` institutions."""
        fresh = FormStore(self.form, self.reported, self.kept, self.last, self.depth, rows)
        for name in ("as_of", "revision", "offset", "order", "latest"):
            old, new = getattr(self, name), getattr(fresh, name)
            new[..., : old.shape[-1]] = old
            setattr(self, name, new)
        for slot in np.flatnonzero((self.as_of != NEVER).any(axis=1)):
            fresh.values[slot, :, : self.values.shape[-1]] = self.values[slot]
        self.values = fresh.values

    def touch(self, slots: Indices) -> None:
        """Have the system give the memory of slots that nobody filed in: page after page it costs a tenth."""
        few = slots[:1] if (slots == slots[0]).all() else np.unique(slots)
        for slot in few.tolist():
            if (self.as_of[slot] == NEVER).all():
                self.values[slot].reshape(-1)[::PAGE] = 0.0

    def clear(self, rows: Ints) -> None:
        """Forget the history of these institutions."""
        rows = rows[(self.as_of[:, rows] != NEVER).any(axis=0)]
        self.as_of[:, rows] = NEVER
        self.offset[:, rows] = -1
        self.revision[:, rows] = 0
        self.latest[:, rows] = np.nan

    def newest(self, rows: Ints) -> Longs:
        """As-of seconds of the newest filing of each row; NEVER where there is none."""
        return self.filed(Picker(rows)).as_of

    def oldest(self, rows: Ints) -> Longs:
        """As-of seconds of the oldest filing kept of each row; later than everything where there is none."""
        as_of = self.as_of[:, rows]
        found: Longs = np.where(as_of == NEVER, -NEVER, as_of).min(axis=0)
        return found

    def position(self, pick: Picker, at: Longs) -> Indices | int:
        """How many filings of each row are newer than `at`: the position of the newest at or before it.

        The number 0 stands for no newer filing of any row.
        """
        if np.all(self.filed(pick).as_of <= at):
            return 0
        newer: Indices = np.count_nonzero(pick(self.as_of) > at, axis=0)
        return newer

    def filed(self, pick: Picker, position: Indices | int = 0) -> Filed:
        """Say where the filing at this position, counted from the newest, stands for each row."""
        last = self.depth - 1
        if isinstance(position, int):
            slots = pick(self.order[min(position, last)]).astype(np.intp)
            inside: Bools | None = None if position <= last else np.zeros(len(slots), np.bool_)
        else:
            slots = self.order[np.minimum(position, last), pick.index].astype(np.intp)
            inside = position <= last
        common, odd = _common(slots)
        where = Filed(pick, slots, _NOWHERE, _NO_DATES, common, odd, False)
        as_of = where.read(self.as_of)
        there = as_of != NEVER
        if inside is not None:
            there &= inside
            as_of = np.where(there, as_of, NEVER)
        return Filed(pick, slots, there, as_of, common, odd, bool(there.all()))

    def read(self, filed: Filed, column: int) -> Floats:
        """Return an indicator's values [n] in these filings; NaN where there is none. It may be a view."""
        found = filed.read(self.values[:, column])
        return found if filed.complete else np.where(filed.there, found, np.nan)

    def read_many(self, filed: Filed, columns: slice | Indices) -> Floats:
        """Return m indicators' values [m, n] in these filings; NaN where there is none. It may be a view."""
        pick = filed.pick
        if FEW * len(filed.odd) > len(filed.slots):
            index = np.arange(len(self.kept))[columns]
            found: Floats = self.values[filed.slots, index[:, None], pick.index]
        else:
            plane = self.values[filed.common]
            if pick.rows is not None:
                found = plane[columns, pick.rows]
            else:
                index = np.arange(len(self.kept))[columns]
                found = plane[index[:, None], pick.index]
            if len(odd := filed.odd):
                index = np.arange(len(self.kept))[columns]
                found = found.copy() if found.base is not None else found
                found[:, odd] = self.values[filed.slots[odd], index[:, None], pick.index[odd]]
        return found if filed.complete else np.where(filed.there, found, np.nan)

    def read_each(self, filed: Filed, columns: Indices) -> Floats:
        """Return one value a filing, [n], each of an indicator of its own; NaN where there is no filing."""
        _, kept, rows = self.values.shape
        found: Floats = self.values.reshape(-1).take((filed.slots * kept + columns) * rows + filed.pick.index)
        return found if filed.complete else np.where(filed.there, found, np.nan)

    def would_refuse(self, row: int, as_of: int, revision: int) -> bool:
        """Whether a filing of one institution would have no place: it contradicts what is there, or is too old."""
        same = self.as_of[:, row] == as_of
        if same.any():
            return revision <= int(self.revision[int(same.argmax()), row])
        return int(self.as_of[:, row].min()) > as_of

    def place(
        self,
        rows: Ints,
        as_of: Longs,
        revision: Ints,
        offset: Longs,
        values: Floats,
        order: Indices | None = None,
    ) -> Placed:
        """Put filings in, at most one a row.

        values: [k, n], the form's reported indicators; NaN is missing. order: which column of it belongs to each row;
        None where they have the same order.
        """
        pick = Picker(rows)
        verdict = np.zeros(len(rows), np.int8)
        newest_before = self.filed(pick).as_of
        oldest = pick(self.order[-1]).astype(np.intp)
        if (as_of > newest_before).all():
            known, slots = np.zeros(len(rows), np.bool_), self._together(rows, oldest)
        else:
            same = pick(self.as_of) == as_of
            known = same.any(axis=0)
            slots = np.where(known, same.argmax(axis=0), oldest)
        if known.any():
            held = self.revision[slots, rows]
            verdict[known & (revision == held)] = DUPLICATE
            verdict[known & (revision < held)] = BACKWARDS
        # the oldest slot is taken when all are full; what is older still has no place
        verdict[~known & (self.as_of[slots, rows] > as_of)] = BEYOND
        newest = as_of >= newest_before
        accepted = verdict == ACCEPTED
        if not accepted.all():
            chosen = np.flatnonzero(accepted)
            part, order = Picker(rows[chosen]), chosen if order is None else order[chosen]
            self._write(part, slots[chosen], as_of[chosen], revision[chosen], offset[chosen], values, order)
            self._refresh(part, values, order, newest[chosen], known[chosen])
        else:
            self._write(pick, slots, as_of, revision, offset, values, order)
            self._refresh(pick, values, order, newest, known)
        return Placed(verdict, newest, known)

    def _together(self, rows: Ints, slots: Indices) -> Indices:
        """Make the slot that most rows write their new filing into free for all of them; return it for each.

        What the others have there moves to the slot that they would have written into.
        """
        common, odd = _common(slots)
        if not len(odd):
            return slots
        moved, free = rows[odd].astype(np.intp), slots[odd]
        for planes in (self.as_of, self.revision, self.offset):
            planes[free, moved] = planes[common, moved]
        self.values[free, :, moved] = self.values[common, :, moved]
        order = self.order[:, moved]
        self.order[:, moved] = np.where(order == common, free, np.where(order == free, common, order))
        return np.full(len(slots), common)

    def _write(
        self,
        pick: Picker,
        slots: Indices,
        as_of: Longs,
        revision: Ints,
        offset: Longs,
        values: Floats,
        order: Indices | None,
    ) -> None:
        if not len(slots):
            return
        self.touch(slots)
        where: tuple[Indices | int, Indices | slice] = (slots, pick.index)
        if pick.rows is not None and (slots == slots[0]).all():
            where = (int(slots[0]), pick.rows)
        self.as_of[where] = as_of
        self.revision[where] = revision
        self.offset[where] = offset
        slot, here = where
        for which, part, block in _blocks(values, self._kept_from, order):
            if isinstance(slot, int):
                self.values[slot][which, _part(here, part)] = block
            else:
                self.values[slot[part], which, pick.index[part]] = block.T

    def _refresh(self, pick: Picker, values: Floats, order: Indices | None, newest: Bools, known: Bools) -> None:
        """Bring `order` and `latest` up to date after writes into the oldest or the same slots."""
        rows = pick.index
        here: Indices | slice = pick.rows or rows
        if not newest.all():
            chosen = np.flatnonzero(newest)
            here, order = rows[chosen], chosen if order is None else order[chosen]
        for which, part, block in _blocks(values, self._last_from, order):
            self.latest[which, _part(here, part)] = block
        fresh = rows[newest & ~known]
        if len(fresh) and self.depth > 1:
            moved = pick.rows if pick.rows is not None and len(fresh) == len(rows) else fresh
            before = self.order[:, moved].copy()
            self.order[1:, moved], self.order[0, moved] = before[:-1], before[-1]
        late = rows[~newest & ~known]
        if len(late):
            self.order[:, late] = np.argsort(-self.as_of[:, late], axis=0, kind="stable").astype(np.int16)


def _blocks(values: Floats, indicators: Indices, order: Indices | None) -> Iterator[tuple[int | slice, slice, Floats]]:
    """Yield some of the indicators of filings [k, n], taken in `order`: which, of which filings, and the values.

    Memory is read in the order in which it stands: an indicator at a time, or, where the values of a filing stand
    together, as decoding leaves them, some filings at a time.
    """
    count = values.shape[1] if order is None else len(order)
    if not len(indicators) or not count:
        return
    if values.strides[0] >= values.strides[1]:
        for place, indicator in enumerate(indicators.tolist()):
            row = values[indicator]
            yield place, slice(0, count), row if order is None else row.take(order)
        return
    filings, step = values.T, max(1, CACHED // len(values))
    for first in range(0, count, step):
        part = slice(first, min(first + step, count))
        some = filings[part] if order is None else filings[order[part]]
        yield slice(0, len(indicators)), part, some.take(indicators, axis=1).T


def _part(rows: Indices | slice, part: slice) -> Indices | slice:
    return slice(rows.start + part.start, rows.start + part.stop) if isinstance(rows, slice) else rows[part]


_NOWHERE: Bools = np.zeros(0, np.bool_)
_NO_DATES: Longs = np.zeros(0, np.int64)


def _common(slots: Indices) -> tuple[int, Indices]:
    """Return the slot that most have, and the positions of those that have another."""
    if not len(slots):
        return 0, slots
    first = int(slots[0])
    odd = np.flatnonzero(slots != first)
    if 2 * len(odd) > len(slots):
        first = int(np.bincount(slots).argmax())
        odd = np.flatnonzero(slots != first)
    return first, odd
