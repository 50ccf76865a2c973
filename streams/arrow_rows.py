"""Filings as Arrow streams, from records to rows.

pyarrow takes tens of microseconds for a stream, most of it for what all filings of a form have in common. So the
streams of a batch are looked at together, those of one length at a time: where all bytes but those of known
fields are the bytes of a stream that pyarrow has read before (a `Layout`), the fields stand where they stood
there, and are taken for all filings at once. Any other stream goes through pyarrow, and its layout is learned if
pyarrow would write the very same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

from streams.arrow import numbers, unpack
from streams.arrow_layout import Layout, learn
from streams.columns import Bools, FormPlan, Piece, Sorting
from streams.times import Times
from streams.twins import QUOTES_OF_CONFIRMS, check_twins, quotes_in
from streams.wire import Code, Confirms, Rejection, Revision

Diagnose = Callable[[bytes | None, Exception], Rejection]

_LAYOUTS_OF_A_LENGTH = 8
_LENGTHS = 256
_LESSONS = 4  # of one length in one batch: who sends ever other layouts shall not make them costly
_TOGETHER_BYTES = 4_000_000  # enough that numpy's calls do not count, and memory that was used before


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    institution: Code
    form: str
    version: str
    as_of: str
    submitted_at: str
    revision: Revision = 0
    meta: str = "{}"
    confirms: str = ""


_confirms = msgspec.json.Decoder(Confirms).decode


class ArrowRows:
    """Reads filings that are Arrow IPC streams."""

    def __init__(self, plans: Sequence[FormPlan], times: Times, max_bytes: int, diagnose: Diagnose) -> None:
        self.times = times
        self.max_bytes = max_bytes
        self.diagnose = diagnose
        self._plans = {(plan.form, plan.version): plan for plan in plans}
        self._layouts: dict[int, list[tuple[FormPlan, Layout]]] = {}

    def read(self, indices: Iterable[int], records: Sequence[bytes | None], batch: Sorting) -> None:
        """Sort the records at `indices` into the batch."""
        lengths: dict[int, list[int]] = {}
        for index in indices:
            record = records[index]
            if record is None or len(record) > self.max_bytes:
                batch.refuse(index, self.diagnose(record, ValueError()))
            else:
                lengths.setdefault(len(record), []).append(index)
        for length, alike in lengths.items():
            step = max(1, _TOGETHER_BYTES // max(1, length))
            for begin in range(0, len(alike), step):
                self._read_alike(alike[begin : begin + step], records, batch)

    def _read_alike(self, indices: list[int], records: Sequence[bytes | None], batch: Sorting) -> None:
        """Sort in records of one length: by the layouts that are known, the others one by one."""
        length = len(records[indices[0]] or b"")
        for plan, layout in self._layouts.get(length, ()):
            indices = self._by_layout(plan, layout, indices, records, batch)
            if not indices:
                return
        lessons = _LESSONS
        while indices:
            lesson = self._one(indices[0], records[indices[0]] or b"", batch, learning=lessons > 0)
            indices = indices[1:]
            if lesson is not None:
                lessons -= 1
                self._remember(length, lesson)
                if indices:
                    indices = self._by_layout(*lesson, indices, records, batch)

    def _remember(self, length: int, lesson: tuple[FormPlan, Layout]) -> None:
        if length not in self._layouts and len(self._layouts) >= _LENGTHS:
            self._layouts.clear()
        self._layouts[length] = [lesson, *self._layouts.get(length, ())][:_LAYOUTS_OF_A_LENGTH]

    def _by_layout(
        self,
        plan: FormPlan,
        layout: Layout,
        indices: list[int],
        records: Sequence[bytes | None],
        batch: Sorting,
    ) -> list[int]:
        """Sort in the records that have this layout, and return the indices of the others."""
        told = layout.read([records[i] or b"" for i in indices])
        as_of = _seconds(plan.as_of, told.as_of, told.good)
        submitted_at = _seconds(self.times, told.submitted_at, told.good)
        institutions = [code.decode(errors="replace") for code in told.institution]
        places, values = np.array(indices), batch.values(plan)
        values[places] = told.values
        rows, columns = told.missing
        values[places[rows], columns] = np.nan
        if told.good.all():
            batch.take(plan, Piece(indices, institutions, as_of, submitted_at, told.revision.tolist()))
            return []
        good = np.flatnonzero(told.good).tolist()
        heads = (indices, institutions, as_of, submitted_at, told.revision.tolist())
        batch.take(plan, Piece(*([column[row] for row in good] for column in heads)))
        return places[~told.good].tolist()

    def _one(self, index: int, record: bytes, batch: Sorting, learning: bool) -> tuple[FormPlan, Layout] | None:
        """Sort in one record through pyarrow, and return its layout if it is to be learned and has one."""
        try:
            filing = unpack(record)
            head = msgspec.convert(filing.head, _Head)
            plan = self._plans[head.form, head.version]
            values = numbers(filing.values)
            if len(values) != plan.width or np.count_nonzero(~np.isfinite(values)) != filing.values.null_count:
                raise ValueError
            meta = msgspec.json.decode(head.meta)
            if not isinstance(meta, dict | None):
                raise ValueError
            check_twins(head.meta.encode(), quotes_in(meta))
            confirms = _confirms(head.confirms) if head.confirms else None
            if confirms is not None:
                check_twins(head.confirms.encode(), QUOTES_OF_CONFIRMS)
            times = [plan.as_of[head.as_of]], [self.times[head.submitted_at]]
        except Exception as err:  # no record whatever may stop the stream
            batch.refuse(index, self.diagnose(record, err))
            return None
        batch.values(plan)[index] = values
        batch.take(plan, Piece([index], [head.institution], *times, [head.revision]))
        if confirms is not None:  # a layout holds what its streams have in common: an answer is one filing's own
            batch.confirms[index] = confirms
            return None
        layout = learn(record, filing) if learning else None
        return None if layout is None else (plan, layout)


def _seconds(times: Times, texts: list[bytes], good: Bools) -> list[int]:
    """Return seconds for times; of rows whose time is none, which are good no longer, any."""
    try:
        if texts.count(texts[0]) == len(texts):
            return [times[texts[0].decode()]] * len(texts)
        return [times[text.decode()] for text in texts]
    except ValueError:
        pass
    seconds = []
    for row, text in enumerate(texts):
        try:
            seconds.append(times[text.decode()])
        except ValueError:
            seconds.append(0)
            good[row] = False
    return seconds
