"""The rows of one form's filings, written one after another into their places in a batch."""

from __future__ import annotations

import numpy as np

from streams.columns import FormPlan, Piece, Sorting
from streams.nulls import put_missing

Head = tuple[int, str, int, int, int, int]
"""Position in the batch, institution, as-of and submission in seconds, revision, names that the values have."""

NO_NAMES = -1
"""Where values have no names."""


class Rows:
    """Takes filings of one form for a batch."""

    def __init__(self, plan: FormPlan, batch: Sorting) -> None:
        self.plan = plan
        self.batch = batch
        self.heads: list[Head] = []
        self._values = batch.values(plan)
        self._bytes = memoryview(self._values.reshape(-1).view(np.uint8))
        self._length = 8 * plan.width

    def add(self, head: Head, row: bytes | memoryview) -> None:
        """Take a filing: its head, and its values as the bytes of doubles, stand-ins where one is missing."""
        self.heads.append(head)
        start = head[0] * self._length
        self._bytes[start : start + self._length] = row

    def miscounted(self) -> list[int]:
        """Return the positions in the batch of filings that have not as many values as names."""
        names, index = np.array([head[5] for head in self.heads]), np.array([head[0] for head in self.heads])
        asked = np.flatnonzero(names >= 0)
        wrong: list[int] = []
        for begin in range(0, len(asked), self.plan.rows_together):
            rows = asked[begin : begin + self.plan.rows_together]
            there = self.plan.width - np.isnan(self._values[index[rows]]).sum(axis=1)
            wrong += index[rows[there != names[rows]]].tolist()
        return wrong

    def drop(self, indices: set[int]) -> None:
        """Give up the filings at these positions in the batch."""
        self.heads = [head for head in self.heads if head[0] not in indices]

    def finish(self) -> None:
        """Hand the filings to the batch."""
        if not self.heads:
            return
        piece = Piece(*[list(column) for column in zip(*self.heads, strict=True)][:5])
        step = self.plan.rows_together
        begin, end = piece.index[0], piece.index[-1] + 1
        for start in range(begin, end, step):
            put_missing(self._values[start : min(start + step, end)])
        self.batch.take(self.plan, piece)
