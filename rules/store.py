"""The history that rules read, as columns: for each form, indicator × filing × institution.

A form's filings of one institution sit in `depth` slots in no order; `order[p, row]` is the slot of the
p-th newest. So a filing on time costs one write, and a late one goes to its place without moving values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]

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


class FormStore:
    """History of one form. Rows are institutions; `kept` indicators have full depth, `last` only the newest."""

    def __init__(self, form: str, kept: tuple[str, ...], last: tuple[str, ...], depth: int, rows: int) -> None:
        self.form = form
        self.kept = kept
        self.last = last
        self.depth = depth
        self.column = {name: index for index, name in enumerate(kept)}
        self.last_column = {name: index for index, name in enumerate(last)}
        self.as_of: Longs = np.full((depth, rows), NEVER)
        self.revision: Ints = np.zeros((depth, rows), np.int32)
        self.offset: Longs = np.full((depth, rows), -1, np.int64)
        self.order: NDArray[np.int16] = np.tile(np.arange(depth, dtype=np.int16)[:, None], (1, rows))
        self.values: Floats = np.full((len(kept), depth, rows), np.nan)
        self.latest: Floats = np.full((len(last), rows), np.nan)

    def grow(self, rows: int) -> None:
        """Make room for `rows` institutions."""
        fresh = FormStore(self.form, self.kept, self.last, self.depth, rows)
        for name in ("as_of", "revision", "offset", "order", "values", "latest"):
            old, new = getattr(self, name), getattr(fresh, name)
            new[..., : old.shape[-1]] = old
            setattr(self, name, new)

    def clear(self, rows: Ints) -> None:
        """Forget the history of these institutions."""
        self.as_of[:, rows] = NEVER
        self.offset[:, rows] = -1
        self.revision[:, rows] = 0
        self.values[:, :, rows] = np.nan
        self.latest[:, rows] = np.nan

    def newest(self, rows: Ints) -> Longs:
        """As-of seconds of the newest filing of each row; NEVER where there is none."""
        found: Longs = self.as_of[self.order[0, rows], rows]
        return found

    def position(self, rows: Ints, at: Longs) -> NDArray[np.intp]:
        """How many filings of each row are newer than `at`: the position of the newest at or before it."""
        first = self.newest(rows)
        if np.all(first <= at):
            return np.zeros(len(rows), np.intp)
        newer: NDArray[np.intp] = np.count_nonzero(self.as_of[:, rows] > at, axis=0)
        return newer

    def slot(self, rows: Ints, position: NDArray[np.intp]) -> tuple[NDArray[np.intp], Bools]:
        """Slots at the positions, and whether a filing is there at all."""
        slots = self.order[np.minimum(position, self.depth - 1), rows].astype(np.intp)
        there = (position < self.depth) & (self.as_of[slots, rows] != NEVER)
        return slots, there

    def place(self, rows: Ints, as_of: Longs, revision: Ints, offset: Longs, kept: Floats, last: Floats) -> Placed:
        """Put filings in, at most one a row. kept: [len(kept), n], last: [len(last), n]; NaN is missing."""
        n = len(rows)
        verdict = np.zeros(n, np.int8)
        same = self.as_of[:, rows] == as_of
        known = same.any(axis=0)
        newest_before = self.newest(rows)
        slots = np.where(known, same.argmax(axis=0), self.order[-1, rows]).astype(np.intp)
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
            self._write(rows[chosen], slots[chosen], as_of[chosen], revision[chosen], offset[chosen], kept[:, chosen])
            self._refresh(rows[chosen], last[:, chosen], newest[chosen], known[chosen])
        else:
            self._write(rows, slots, as_of, revision, offset, kept)
            self._refresh(rows, last, newest, known)
        return Placed(verdict, newest, known)

    def _write(
        self, rows: Ints, slots: NDArray[np.intp], as_of: Longs, revision: Ints, offset: Longs, kept: Floats
    ) -> None:
        self.as_of[slots, rows] = as_of
        self.revision[slots, rows] = revision
        self.offset[slots, rows] = offset
        self.values[:, slots, rows] = kept

    def _refresh(self, rows: Ints, last: Floats, newest: Bools, known: Bools) -> None:
        """Bring `order` and `latest` up to date after writes into the oldest or the same slots."""
        if newest.all():
            if len(self.last):
                self.latest[:, rows] = last
        elif len(self.last):
            self.latest[:, rows[newest]] = last[:, newest]
        fresh = rows[newest & ~known]
        if len(fresh) and self.depth > 1:
            self.order[:, fresh] = np.roll(self.order[:, fresh], 1, axis=0)
        late = rows[~newest & ~known]
        if len(late):
            self.order[:, late] = np.argsort(-self.as_of[:, late], axis=0, kind="stable").astype(np.int16)
