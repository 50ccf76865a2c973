"""Filings that stand in the files of a command more than once: the same again, or with other values."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streams.columns import Columns

Ints = npt.NDArray[np.int64]


class Contradiction(NamedTuple):
    """A filing at `position` that another, at `other`, contradicts; `what` names it."""

    position: int
    other: int
    what: str


class Repeats:
    """Remembers every accepted filing by 44 bytes, and each institution's code once."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._forms: dict[str, int] = {}
        self._columns: list[Ints] = []

    def take(self, columns: Columns) -> None:
        """Take in a batch of one form's filings; their index is their position among all."""
        form = self._forms.setdefault(columns.form, len(self._forms))
        codes = self._codes
        rows = columns.values.T
        contents = [
            blake2b(rows[i].tobytes() + columns.submitted_at[i].tobytes(), digest_size=8).digest()
            for i in range(len(columns))
        ]
        told = np.empty((6, len(columns)), np.int64)
        told[0] = form
        told[1] = [codes.setdefault(code, len(codes)) for code in columns.institutions]
        told[2] = columns.as_of
        told[3] = columns.revision
        told[4] = columns.index
        told[5] = np.frombuffer(b"".join(contents), np.int64)
        self._columns.append(told)

    def settle(self) -> tuple[int, list[Contradiction]]:
        """Return how many filings say again what was said, and the filings that contradict each other."""
        if not self._columns:
            return 0, []
        form, code, as_of, revision, position, content = np.concatenate(self._columns, axis=1)
        order = np.lexsort((position, revision, as_of, code, form))
        same = np.ones(len(order) - 1, bool)
        for column in (form, code, as_of, revision):
            same &= column[order[1:]] == column[order[:-1]]
        if not same.any():
            return 0, []
        starts = np.flatnonzero(np.append(True, ~same))
        repeats = 0
        contradictions: list[Contradiction] = []
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=True):
            if end - start == 1:
                continue
            group = order[start:end]
            if (content[group] == content[group[0]]).all():
                repeats += len(group) - 1
                continue
            what = self._what(*(int(column[group[0]]) for column in (form, code, as_of, revision)))
            for place in group.tolist():
                other = next(int(position[i]) for i in group if content[i] != content[place])
                contradictions.append(Contradiction(int(position[place]), other, what))
        return repeats, sorted(contradictions)

    def _what(self, form: int, code: int, as_of: int, revision: int) -> str:
        from streams.wire import from_seconds

        names = list(self._forms)[form], list(self._codes)[code]
        return f"revision {revision} of {names[0]} of {names[1]} as of {from_seconds(as_of)}"
