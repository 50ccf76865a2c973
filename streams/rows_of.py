"""The rows of one form's filings, written one after another into their places in a batch."""

from __future__ import annotations

import numpy as np

from streams.columns import FormPlan, Piece, Sorting
from streams.nulls import put_missing

Head = tuple[int, str, int, int, int]
"""Position in the batch, institution, as-of and submission in seconds, revision."""


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

    def finish(self) -> None:
        """Hand the filings to the batch."""
        piece = Piece(*(list(column) for column in zip(*self.heads, strict=True)))
        step = self.plan.rows_together
        begin, end = piece.index[0], piece.index[-1] + 1
        for start in range(begin, end, step):
            put_missing(self._values[start : min(start + step, end)])
        self.batch.take(self.plan, piece)
