"""Filings as columns: what decoding gives, and the checks that run over whole columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from rules.catalogue import Catalogue, Form
from streams.diagnose import out_of_range
from streams.encodings import form_version
from streams.times import AsOfTimes
from streams.wire import DAY, Confirms, Reason, Rejection, from_seconds

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_LOOKED_AT = 16  # values of a filing that are looked at one by one, before all of them are
_CHECKED_VALUES = 65_536  # checked at a time: they fit an L2 cache


class Refused(NamedTuple):
    """A record that was refused: its position in the batch, and why."""

    position: int
    reason: Reason
    detail: str


Accepted = TypeVar("Accepted")


def sort_out(decoded: Iterable[Accepted | Rejection]) -> tuple[list[tuple[int, Accepted]], list[Refused]]:
    """Return what was accepted and what was refused, each with its position in the batch."""
    accepted: list[tuple[int, Accepted]] = []
    rejected: list[Refused] = []
    for position, found in enumerate(decoded):
        if isinstance(found, Rejection):
            rejected.append(Refused(position, *found))
        else:
            accepted.append((position, found))
    return accepted, rejected


@dataclass(frozen=True, slots=True)
class Columns:
    """The accepted filings of one form, n of them, in order of `index`.

    Times are seconds since the epoch, UTC. `values` is k × n: row j is the form's j-th indicator
    (`Catalogue.reported`), NaN where missing; in memory a filing's values lie together. `index` is each filing's
    position in the batch. `odd` says which have an implausible value, None where nobody has looked.
    """

    form: str
    institutions: list[str]
    as_of: Ints
    submitted_at: Ints
    revision: npt.NDArray[np.int32]
    index: Ints
    values: Floats
    odd: Bools | None = None

    def __len__(self) -> int:
        return len(self.institutions)

    def take(self, rows: npt.NDArray[Any]) -> Columns:
        """Return the filings at `rows` (positions, or a mask), in that order."""
        positions = np.arange(len(self))[rows]
        return Columns(
            self.form,
            [self.institutions[i] for i in positions],
            self.as_of[positions],
            self.submitted_at[positions],
            self.revision[positions],
            self.index[positions],
            self.values.T[positions].T,
            None if self.odd is None else self.odd[positions],
        )


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch, sorted into forms (in order of first appearance) and refused records (by index).

    `confirms` says, by index, who answers for the units of filings that come with such an answer.
    """

    forms: list[Columns]
    rejected: list[Refused]
    confirms: dict[int, Confirms] = field(default_factory=dict)


class FormPlan:
    """What decoding one form needs: its indicators in order, its version, their bounds, and its as-of dates.

    `low` and `high` are the bounds of each indicator, k of them; where there is none, the largest finite number,
    so that infinities are always outside. `likely_low` and `likely_high`, within them, bound what is plausible.
    """

    def __init__(self, catalogue: Catalogue, form: Form) -> None:
        self.form = form.id
        self.as_of = AsOfTimes(form)
        self.indicators = [catalogue.indicators[name] for name in catalogue.reported(form.id)]
        self.names = dict.fromkeys(i.id for i in self.indicators).keys()
        self.version = form_version(form.id, tuple(self.names))
        self.width = len(self.indicators)
        self.rows_together = max(1, _CHECKED_VALUES // max(1, self.width))
        largest = np.finfo(np.float64).max
        self.low = np.array([max(i.low, -largest) for i in self.indicators], dtype=np.float64)
        self.high = np.array([min(i.high, largest) for i in self.indicators], dtype=np.float64)
        self.likely_low = np.maximum(self.low, [i.likely_low for i in self.indicators])
        self.likely_high = np.minimum(self.high, [i.likely_high for i in self.indicators])

    def outside(self, values: Floats) -> Bools:
        """Return which filings (n × k) have a value outside its indicator's range; a missing one is not."""
        found: Bools = np.any((values < self.low) | (values > self.high), axis=1)
        return found

    def implausible(self, values: Floats) -> Bools:
        """Return which filings (n × k) have a value outside what is plausible of it; a missing one is not."""
        found = np.zeros(len(values), dtype=np.bool_)
        step = self.rows_together
        for begin in range(0, len(values), step):
            some = values[begin : begin + step]
            if (np.fmin.reduce(some) < self.likely_low).any() or (np.fmax.reduce(some) > self.likely_high).any():
                found[begin : begin + step] = ((some < self.likely_low) | (some > self.likely_high)).any(axis=1)
        return found

    def empty(self, values: Floats) -> Bools:
        """Return which filings (n × k) have no value at all; looks at few values of those that have one early on."""
        rows = np.arange(len(values))
        for column in range(min(_LOOKED_AT, self.width)):
            rows = rows[np.isnan(values[rows, column])]
            if not len(rows):
                break
        found = np.zeros(len(values), dtype=np.bool_)
        found[rows] = np.isnan(values[rows]).all(axis=1)
        return found


class Piece(NamedTuple):
    """Filings of one form that were read together; their values stand in `Sorting.values` already."""

    index: Sequence[int]
    institutions: list[str]
    as_of: Sequence[int]
    submitted_at: Sequence[int]
    revision: Sequence[int]


class Sorting:
    """A batch while it is read: pieces by form, their values, and what was refused.

    `count` is the number of records; `keys` are the Kafka keys, None when nobody asks that a filing has its
    institution's.
    """

    def __init__(self, count: int, keys: Sequence[bytes | None] | None) -> None:
        self.count = count
        self.keys = keys
        self.rejected: list[Refused] = []
        self.confirms: dict[int, Confirms] = {}
        self.pieces: dict[FormPlan, list[Piece]] = {}
        self._values: dict[FormPlan, Floats] = {}

    def refuse(self, index: int, rejection: Rejection) -> None:
        """Refuse a record."""
        self.rejected.append(Refused(index, *rejection))

    def values(self, plan: FormPlan) -> Floats:
        """Return where the values of a form's filings go: `count` × k, the row is the record's position.

        In a batch of one form, nothing refused, this becomes the columns as it is.
        """
        if plan not in self._values:
            self._values[plan] = np.empty((self.count, plan.width))
        return self._values[plan]

    def take(self, plan: FormPlan, piece: Piece) -> None:
        """Take filings whose shape is right and whose values are in their places."""
        if self.keys is not None:
            keys = self.keys
            found = [keys[i] for i in piece.index]
            if found != [code.encode() for code in piece.institutions]:
                piece = self._rightly_keyed(piece, found)
        if len(piece.index):
            self.pieces.setdefault(plan, []).append(piece)

    def _rightly_keyed(self, piece: Piece, keys: list[bytes | None]) -> Piece:
        good = []
        for row, (key, code) in enumerate(zip(keys, piece.institutions, strict=True)):
            if key == code.encode():
                good.append(row)
            else:
                self.refuse(piece.index[row], _wrong_key(key, code))
        return Piece(*([column[row] for row in good] for column in piece))

    def finish(self) -> Decoded:
        """Check ranges and dates, and return the batch."""
        forms = []
        for plan, pieces in self.pieces.items():
            columns = self._judge(plan, self._joined(plan, pieces))
            if len(columns):
                forms.append(columns)
        forms.sort(key=lambda columns: int(columns.index[0]))
        self.rejected.sort()
        return Decoded(forms, self.rejected, self.confirms)

    def _joined(self, plan: FormPlan, pieces: list[Piece]) -> Columns:
        """Return the pieces' filings in order of their index."""
        institutions = [code for piece in pieces for code in piece.institutions]
        index, as_of, submitted_at = (
            np.concatenate([np.asarray(piece[field], dtype=np.int64) for piece in pieces]) for field in (0, 2, 3)
        )
        revision = np.concatenate([np.asarray(piece.revision, dtype=np.int32) for piece in pieces])
        if (np.diff(index) < 0).any():
            order = np.argsort(index)
            institutions = [institutions[i] for i in order.tolist()]
            index, as_of, submitted_at, revision = index[order], as_of[order], submitted_at[order], revision[order]
        values = self._values[plan] if len(index) == self.count else self._values[plan][index]
        return Columns(plan.form, institutions, as_of, submitted_at, revision, index, values.T)

    def _judge(self, plan: FormPlan, columns: Columns) -> Columns:
        early = columns.as_of > columns.submitted_at + DAY
        odd = plan.implausible(columns.values.T)
        empty = plan.empty(columns.values.T)
        columns = replace(columns, odd=odd)
        bad = early | empty
        if odd.any():
            bad[odd] |= plan.outside(columns.values.T[odd])
        if not bad.any():
            return columns
        for row in np.flatnonzero(bad).tolist():
            if early[row]:
                rejection = _from_the_future(columns, row)
            else:
                rejection = _EMPTY if empty[row] else _range(plan, columns.values[:, row])
            self.refuse(int(columns.index[row]), rejection)
        return columns.take(~bad)


_EMPTY = Rejection(Reason.EMPTY, "the filing has no value at all, which is no filing")


def _range(plan: FormPlan, values: Floats) -> Rejection:
    first = int(np.flatnonzero((values < plan.low) | (values > plan.high))[0])
    return out_of_range(plan.indicators[first], float(values[first]))


def _from_the_future(columns: Columns, row: int) -> Rejection:
    as_of, submitted_at = from_seconds(columns.as_of[row]), from_seconds(columns.submitted_at[row])
    detail = f"'as_of' is {as_of}, more than a day after 'submitted_at', {submitted_at}"
    return Rejection(Reason.AS_OF_IN_FUTURE, detail)


def _wrong_key(key: bytes | None, institution: str) -> Rejection:
    got = "no key" if key is None else f"the key {key[:64].decode('utf-8', 'backslashreplace')!r}"
    return Rejection(Reason.WRONG_SHAPE, f"the record has {got}; it must be the institution, {institution!r}")
