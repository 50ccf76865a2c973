"""Taking files in: all of them are read to their end and every filing is judged, before any is sent.

What was accepted waits in a spool on disk (`streams.spool`); of each filing the memory keeps some fifty bytes, by which
filings that stand twice are found (`streams.repeats`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import numpy.typing as npt

from streams.batches import Batch, RowRefusal, in_batches
from streams.columns import Columns
from streams.decode import Decoder
from streams.repeats import Contradiction, Repeats
from streams.rows import Draft
from streams.spool import Frame, Spool
from streams.wire import Reason


class Observer(Protocol):
    """Sees the accepted filings as they are judged, before those that stand twice are known."""

    def take(self, columns: Columns) -> None:
        """Take in filings of one form; their index is their position among all."""


class Refusals:
    """What was refused: how many, why, and the first of them, at most `keep` (None: all)."""

    def __init__(self, keep: int | None = None) -> None:
        self.reasons: Counter[str] = Counter()
        self._keep = keep
        self._first: list[RowRefusal] = []

    def __len__(self) -> int:
        return self.reasons.total()

    def add(self, refusals: Iterable[RowRefusal]) -> None:
        """Count more."""
        for refusal in refusals:
            self.reasons[str(refusal.reason)] += 1
            if self._keep is None or len(self._first) < 2 * self._keep + 1:
                self._first.append(refusal)
            elif refusal.position < self._first[-1].position:
                self._first[-1] = refusal
                self._first.sort()

    def all(self) -> list[RowRefusal]:
        """Return those that are kept, in the files' order."""
        return sorted(self._first)[: self._keep]


class Taken:
    """Files that were taken in. `judged` counts filings, accepted or not.

    `repeats` counts those that say again what another one said; they are sent like others, and change nothing.
    """

    def __init__(self, spool: Spool | None, keep: int | None) -> None:
        self.spool = spool
        self.refused = Refusals(keep)
        self.judged = 0
        self.repeats = 0
        self._dropped = np.empty(0, np.int64)

    @property
    def accepted(self) -> int:
        """How many filings were accepted, repeats among them."""
        return self.judged - len(self.refused)

    def is_dropped(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which of the accepted filings at these positions another one contradicts."""
        return np.isin(positions, self._dropped)

    def drop(self, positions: Sequence[int]) -> None:
        """Leave out the filings at these positions."""
        self._dropped = np.union1d(self._dropped, np.array(positions, np.int64))

    def frames(self) -> Iterator[Frame]:
        """Yield what is to be sent, in the files' order: what was accepted, and the refused where they were spooled."""
        if self.spool is None:
            return
        dropped, at = self._dropped, 0
        for frame in self.spool.frames():
            while at < len(dropped) and dropped[at] < frame.position:
                at += 1
            if at < len(dropped) and dropped[at] == frame.position:
                continue
            yield frame


@contextmanager
def take_in(
    drafts: Iterable[Draft],
    decoder: Decoder,
    registered: frozenset[str] = frozenset(),
    *,
    observers: Sequence[Observer] = (),
    spooled: bool = True,
    send_rejected: bool = False,
    keep: int | None = None,
) -> Iterator[Taken]:
    """Take in all filings, to the end of all files; yield what came of it.

    Filings of institutions that are not among `registered` are refused; an empty set refuses nobody. Filings of one
    institution, form, as-of date and revision that have other values are refused, each with the place of the other.
    Raises InputError as the reading of `drafts` does.
    """
    spool = Spool() if spooled else None
    taken = Taken(spool, keep)
    repeats, places = Repeats(), _Places()
    try:
        for batch in in_batches(drafts):
            columns, refused = batch.judge(decoder, registered)
            taken.judged += len(batch.drafts)
            taken.refused.add(refused)
            places.take(batch)
            for form in columns:
                for observer in (repeats, *observers):
                    observer.take(form)
            if spool is not None:
                for frame in sorted(_frames(batch, columns, refused if send_rejected else [], spool)):
                    spool.write(frame)
        again, contradictions = repeats.settle()
        taken.repeats = again
        taken.drop([found.position for found in contradictions])
        taken.refused.add(places.refusal(found) for found in contradictions)
        yield taken
    finally:
        if spool is not None:
            spool.close()


class _Places:
    """Where every filing stands, by its position."""

    def __init__(self) -> None:
        self._files: dict[str, int] = {}
        self._pieces: list[npt.NDArray[np.int64]] = []
        self._all: npt.NDArray[np.int64] | None = None

    def take(self, batch: Batch) -> None:
        files = self._files
        told = [(files.setdefault(draft.file, len(files)), draft.row) for draft in batch.drafts]
        self._pieces.append(np.array(told, np.int64))

    def refusal(self, found: Contradiction) -> RowRefusal:
        file, row = self._at(found.position)
        other = "{} row {}".format(*self._at(found.other))
        detail = f"{found.what} stands in {other} with other values; a mapping with `merge: true` puts parts together"
        return RowRefusal(found.position, Reason.DUPLICATE, detail, file, row)

    def _at(self, position: int) -> tuple[str, int]:
        if self._all is None:
            self._all = np.concatenate(self._pieces)
        file, row = self._all[position].tolist()
        return list(self._files)[file], row


def _frames(batch: Batch, columns: list[Columns], refused: list[RowRefusal], spool: Spool) -> Iterator[Frame]:
    for form in columns:
        doubts = [False] * len(form) if form.odd is None else form.odd.tolist()
        for position, code, odd in zip(form.index.tolist(), form.institutions, doubts, strict=True):
            draft = batch.drafts[position - batch.start]
            file = spool.file_number(draft.file)
            yield Frame(position, file, draft.row, form.form, code.encode(), draft.record or b"", odd)
    for refusal in refused:
        draft = batch.drafts[refusal.position - batch.start]
        if draft.record is not None:
            file = spool.file_number(draft.file)
            yield Frame(refusal.position, file, draft.row, "", own_key(draft.record), draft.record)


def own_key(record: bytes) -> bytes | None:
    """Return the institution that a refused record names, so that it goes where the institution's others go."""
    import msgspec

    try:
        told = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
        return msgspec.json.decode(told["institution"], type=str).encode()
    except (msgspec.DecodeError, UnicodeError, RecursionError, KeyError):
        return None
