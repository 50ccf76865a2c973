"""Batches of JSON by name through compiled code, where there is some (`streams.skim`, the extra `fast`).

The values go from the text into their rows; the rest of the record, with a token in their place (`streams.cut`), is
decoded by msgspec.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from rules.later import Later
from streams.columns import FormPlan, Sorting
from streams.cut import TOKEN, without
from streams.twins import QUOTE, QUOTES_OF_CONFIRMS, quotes_in
from streams.wire import NO_REVISION, Code, Confirms, Revision

LEAST = 8
"""Records from which on a batch is worth it."""
SPARE = 24

COMPILED = Later("streams.skim")


class Rest(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A filing without its values."""

    institution: Code
    form: str
    as_of: str
    submitted_at: str
    values: Literal[TOKEN]  # type: ignore[valid-type]
    revision: Revision = NO_REVISION
    meta: dict[str, Any] | None = None
    confirms: Confirms | None = None


_parse = msgspec.json.Decoder(Rest).decode

_QUOTES = 2 * (5 + 5)  # five keys, and as many texts: the token is one


Skimmed = tuple[int, Rest]
"""A filing whose values are in their row: its position in the batch, and the rest of it."""


class _Words(NamedTuple):
    text: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.intp]


class Skimming:
    """Reads values of filings of these forms."""

    def __init__(self, plans: Sequence[FormPlan]) -> None:
        self._plans = plans
        self._forms = _words(plan.form for plan in plans)
        self._names = [_words(plan.names) for plan in plans]
        longest = max(int(np.diff(words.ends, prepend=0).max(initial=0)) for words in [self._forms, *self._names])
        self._spare = longest + SPARE
        self._room = np.zeros(0, np.uint8)  # kept: memory that is touched for the first time costs more than copying

    def read(
        self, indices: Sequence[int], records: Sequence[bytes | None], batch: Sorting
    ) -> Iterator[tuple[FormPlan, list[Skimmed]]]:
        """Put values of records at `indices` into the batch's rows; yield by form what was read.

        Records that are not among those are for others to read. Nothing is read where there is no compiled code.
        """
        compiled = COMPILED.found
        if compiled is None or len(indices) < LEAST:
            return
        texts = [records[index] or b"" for index in indices]
        joined, starts = self._joined(texts)
        rows = np.array(indices, np.intp)
        form = compiled.which(joined, starts, *self._forms)
        for number in np.unique(form[form >= 0]).tolist():
            plan, mine = self._plans[number], np.flatnonzero(form == number)
            places = compiled.skim(joined, starts[mine], *self._names[number], batch.values(plan), rows[mine])
            places -= starts[mine, None]
            read: list[Skimmed] = []
            for at, (begin, end) in zip(mine.tolist(), places.tolist(), strict=True):
                if begin < 0:
                    continue
                try:
                    text = without(texts[at], begin, end)
                    rest = _parse(text)
                    quotes = _QUOTES + 2 * (rest.revision != NO_REVISION)
                    if rest.meta is not None:
                        quotes += 2 + quotes_in(rest.meta)
                    if rest.confirms is not None:
                        quotes += 2 + QUOTES_OF_CONFIRMS
                    if text.count(QUOTE) != quotes:
                        continue  # a key may stand twice: whoever reads the whole record says so
                except Exception:  # whoever reads the whole record says what is wrong with it
                    continue
                if rest.form == plan.form:
                    read.append((indices[at], rest))
            yield plan, read

    def _joined(self, texts: Sequence[bytes]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.intp]]:
        """Return the texts one behind the other, each with a NUL behind it, and where they start."""
        lengths = np.fromiter(map(len, texts), np.intp, len(texts))
        ends = np.cumsum(lengths + 1) - 1
        needed = int(ends[-1]) + 1 + self._spare
        if len(self._room) < needed:
            self._room = np.zeros(needed + needed // 4, np.uint8)
        room = memoryview(self._room)
        starts = ends - lengths
        for text, start, end in zip(texts, starts.tolist(), ends.tolist(), strict=True):
            room[start:end] = text
        self._room[ends] = 0
        self._room[needed - self._spare : needed] = 0
        return self._room, starts


def _words(words: Any) -> _Words:
    quoted = [msgspec.json.encode(word) for word in words]
    return _Words(
        np.frombuffer(b"".join(quoted) + bytes(8), np.uint8), np.cumsum([len(w) for w in quoted], dtype=np.intp)
    )
