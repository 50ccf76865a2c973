"""Filings in batches through the worker's own decoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from rules.problems import nearest
from streams.columns import Columns
from streams.decode import Decoder
from streams.rows import Draft
from streams.wire import Reason, Rejection

BATCH_RECORDS = 2_000
BATCH_BYTES = 16_000_000


class RowRefusal(NamedTuple):
    """A filing that was refused before it was sent: its position among all, where it stands, and why."""

    position: int
    reason: Reason
    detail: str
    file: str
    row: int


@dataclass(slots=True)
class Batch:
    """Some consecutive drafts; `start` is the position of the first among all."""

    start: int
    drafts: list[Draft] = field(default_factory=list)

    def judge(
        self, decoder: Decoder, registered: frozenset[str] = frozenset()
    ) -> tuple[list[Columns], list[RowRefusal]]:
        """Return the accepted filings, with positions among all as their index, and the refused.

        Filings of institutions that are not among `registered` are refused; an empty set refuses nobody.
        """
        told = [i for i, draft in enumerate(self.drafts) if draft.problem is None]
        decoded = decoder.decode([self.drafts[i].record for i in told])
        where = np.array(told, dtype=np.int64)
        wrong = {told[r.position]: Rejection(r.reason, r.detail) for r in decoded.rejected}
        wrong |= {i: draft.problem for i, draft in enumerate(self.drafts) if draft.problem is not None}
        forms = []
        for columns in decoded.forms:
            strange = [bool(registered) and code not in registered for code in columns.institutions]
            for row in np.flatnonzero(strange).tolist():
                wrong[int(where[columns.index[row]])] = _stranger(columns.institutions[row], registered)
            known = columns.take(~np.array(strange)) if any(strange) else columns
            forms.append(replace(known, index=where[known.index] + self.start))
        return forms, [self._refusal(i, wrong[i]) for i in sorted(wrong)]

    def _refusal(self, i: int, rejection: Rejection) -> RowRefusal:
        draft = self.drafts[i]
        return RowRefusal(self.start + i, rejection.reason, rejection.detail, draft.file, draft.row)


def _stranger(code: str, registered: frozenset[str]) -> Rejection:
    guess = nearest(code, registered)
    return Rejection(Reason.UNKNOWN_INSTITUTION, f"no institution {code!r} is registered{'; ' if guess else ''}{guess}")


def in_batches(drafts: Iterable[Draft]) -> Iterator[Batch]:
    """Cut drafts into batches that are bounded in records and in bytes."""
    batch, size = Batch(0), 0
    for draft in drafts:
        batch.drafts.append(draft)
        size += len(draft.record or b"")
        if len(batch.drafts) >= BATCH_RECORDS or size >= BATCH_BYTES:
            yield batch
            batch, size = Batch(batch.start + len(batch.drafts)), 0
    if batch.drafts:
        yield batch
