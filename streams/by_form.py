"""Filings as form-ordered JSON arrays, from records to rows.

The array is cut out of the record and read by simdjson into doubles, without a Python object per value; the rest
of the record, with a token in the array's place (`streams.cut`), is decoded by msgspec. A record that this way does
not take (an unusual layout, a number beyond 64 bits), or a Python for which there is no simdjson, is read by msgspec
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, cast

import msgspec
import numpy as np

from streams.columns import FormPlan, Sorting
from streams.cut import TOKEN, without
from streams.nulls import without_nulls
from streams.rows_of import NO_NAMES, Rows
from streams.times import Times
from streams.twins import QUOTE, QUOTES_OF_CONFIRMS, check_twins, quotes_in
from streams.wire import NO_REVISION, Code, Confirms, Rejection, Revision

try:
    from simdjson import Parser
except ImportError:
    Parser = None

Diagnose = Callable[[bytes | None, Exception], Rejection]

_OPENING = b'"values":['
_LENGTH = len(_OPENING) - 1


class _Head(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    institution: Code
    form: str
    version: str
    as_of: str
    submitted_at: str
    values: Any
    revision: Revision = NO_REVISION
    meta: dict[str, Any] | None = None
    confirms: Confirms | None = None


class _Cut(_Head, gc=False):
    values: Literal[TOKEN]  # type: ignore[valid-type]


class _Whole(_Head, gc=False):
    values: list[float | None]


_parse_cut = msgspec.json.Decoder(_Cut).decode
_parse_whole = msgspec.json.Decoder(_Whole).decode


_QUOTES = 2 * (6 + 5)  # six keys, five of whose values are texts


class ByForm:
    """Reads filings whose `values` is an array in the order of a version of the form."""

    def __init__(self, plans: Sequence[FormPlan], times: Times, max_bytes: int, diagnose: Diagnose) -> None:
        self.times = times
        self.max_bytes = max_bytes
        self.diagnose = diagnose
        self._plans = {(plan.form, plan.version): plan for plan in plans}
        self._parser = Parser() if Parser else None

    def read(self, indices: Iterable[int], records: Sequence[bytes | None], batch: Sorting) -> None:
        """Sort the records at `indices` into the batch."""
        rows: dict[FormPlan, Rows] = {}
        times, plans, max_bytes = self.times, self._plans, self.max_bytes
        for index in indices:
            record = records[index]
            try:
                if record is None or len(record) > max_bytes:
                    raise ValueError
                head, row = self._cut(record) or _whole(record)
                plan = plans[head.form, head.version]
                if len(row) != 8 * plan.width:
                    raise ValueError
                told = (
                    index,
                    head.institution,
                    plan.as_of[head.as_of],
                    times[head.submitted_at],
                    head.revision if head.revision > 0 else 0,
                    NO_NAMES,
                )
                if head.confirms is not None:
                    batch.confirms[index] = head.confirms
            except Exception as err:  # no record whatever may stop the stream
                batch.refuse(index, self.diagnose(record, err))
                continue
            form = rows.get(plan)
            if form is None:
                form = rows[plan] = Rows(plan, batch)
            form.add(told, row)
        for form in rows.values():
            form.finish()

    def _cut(self, record: bytes) -> tuple[_Head, memoryview] | None:
        start = record.find(_OPENING) + _LENGTH
        end = record.rfind(b"]") + 1
        if self._parser is None or start < _LENGTH or record.find(b"[", start + 1, end) >= 0:
            return None
        try:
            row = self._parser.parse(without_nulls(record[start:end])).as_buffer(of_type="d")
            rest = without(record, start, end)
            head = _parse_cut(rest)
            quotes = _QUOTES + 2 * (head.revision != NO_REVISION)
            if head.meta is not None:
                quotes += 2 + quotes_in(head.meta)
            if head.confirms is not None:
                quotes += 2 + QUOTES_OF_CONFIRMS
            if rest.count(QUOTE) != quotes + 2:  # the token is a text
                return None
        except Exception:  # msgspec says of the whole what is wrong with it, if anything is
            return None
        return cast(_Head, head), memoryview(row)


def _whole(record: bytes) -> tuple[_Head, bytes]:
    head = _parse_whole(record)
    quotes = _QUOTES + 2 * (head.revision != NO_REVISION)
    if head.meta is not None:
        quotes += 2 + quotes_in(head.meta)
    if head.confirms is not None:
        quotes += 2 + QUOTES_OF_CONFIRMS
    check_twins(record, quotes)
    return head, np.array(head.values, dtype=np.float64).tobytes()
