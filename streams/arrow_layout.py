"""Where the fields of a filing stand in Arrow streams that differ in nothing else.

A layout is learned from one stream that pyarrow has read and would write byte for byte: writing it again with one
field changed shows which bytes are that field's. What a stream has outside of the fields decides how it is read,
lengths and offsets of all fields included. So a stream of the same length with the same bytes there is read by
pyarrow to the bytes at the same places, and reading it here gives the same filing.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.arrow import Unpacked, stream
from streams.columns import Bools, Floats, Ints
from streams.wire import LATEST_REVISION

Bytes = npt.NDArray[np.uint8]

_TEXTS = ("institution", "as_of", "submitted_at")
_LONGEST_HEAD = 4_000
_LONGEST_REVISION = 10
_NOTHING = np.zeros(0, dtype=np.int64)


class Span(NamedTuple):
    """Where a field stands in a stream."""

    start: int
    length: int

    @property
    def stop(self) -> int:
        """The first byte behind it."""
        return self.start + self.length


class Told(NamedTuple):
    """What n streams of one layout say; only of rows that are `good` it can be trusted.

    `values` is n × k, in the streams' own memory; `missing` are rows and columns of those that are null.
    """

    good: Bools
    institution: list[bytes]
    as_of: list[bytes]
    submitted_at: list[bytes]
    revision: Ints
    values: Floats
    missing: tuple[Ints, Ints]


@dataclass(frozen=True)
class Layout:
    """What bytes a stream of `length` bytes may have, and where its fields are.

    `lowest` and `spread` bound the bytes before the body: those outside of fields have no spread, texts are ASCII
    without NUL, revisions digits. `rest` are the places of fixed bytes in and behind the body, and these bytes.
    `nulls` is where the number of nulls stands (eight bytes), `validity` their bitmap and `data` the `width`
    values; the first two only where some value is null.
    """

    length: int
    width: int
    lowest: Bytes
    spread: Bytes
    rest: tuple[Ints, Bytes]
    texts: tuple[Span, ...]
    revision: Span | None
    nulls: int | None
    validity: int | None
    data: int

    def read(self, records: Sequence[bytes]) -> Told:
        """Read streams of this length; those that are not of this layout, or unusual, are not `good`."""
        whole = np.frombuffer(b"".join(records), dtype=np.uint8).reshape(len(records), self.length)
        good: Bools = (whole[:, : len(self.lowest)] - self.lowest <= self.spread).all(axis=1)
        places, fixed = self.rest
        good &= (whole[:, places] == fixed).all(axis=1)
        texts = [_texts(whole, span) for span in self.texts]
        begin = self.data // 8
        values: Floats = whole.reshape(-1).view(np.float64).reshape(len(whole), -1)[:, begin : begin + self.width]
        return Told(good, *texts, self._revisions(whole, good), values, self._missing(whole, values, good))

    def _revisions(self, whole: Bytes, good: Bools) -> Ints:
        number = np.zeros(len(whole), dtype=np.int64)
        if self.revision is not None:
            for place in range(self.revision.start, self.revision.stop):
                number = 10 * number + whole[:, place] - ord("0")
            if self.revision.length == _LONGEST_REVISION:
                good &= number <= LATEST_REVISION
        return number

    def _missing(self, whole: Bytes, values: Floats, good: Bools) -> tuple[Ints, Ints]:
        """Return rows and columns of nulls, and let rows be good only if all else is finite."""
        with np.errstate(invalid="ignore", over="ignore"):  # infinities, under nulls or to be refused
            finite = np.isfinite(values.sum(axis=1))
        if self.nulls is None or self.validity is None:
            good &= finite
            return _NOTHING, _NOTHING
        bitmap = ~whole[:, self.validity : self.validity + (self.width + 7) // 8]
        missing = np.unpackbits(bitmap, axis=1, count=self.width, bitorder="little").view(np.bool_)
        rows, columns = divmod(np.flatnonzero(missing), self.width)
        nulls = np.ascontiguousarray(whole[:, self.nulls : self.nulls + 8]).view(np.int64)[:, 0]
        good &= np.bincount(rows, minlength=len(whole)) == nulls
        if not finite.all():  # under a null may stand anything
            odd = np.flatnonzero(~finite)
            good[odd] &= (np.isfinite(values[odd]) | missing[odd]).all(axis=1)
        return rows, columns


def _texts(whole: Bytes, span: Span) -> list[bytes]:
    each = np.ascontiguousarray(whole[:, span.start : span.stop])
    texts: list[bytes] = each.view(f"S{span.length}")[:, 0].tolist()
    return texts


def learn(record: bytes, filing: Unpacked) -> Layout | None:
    """Return the layout of a stream that was unpacked to `filing`; None if it is an unusual one."""
    length, width = len(record), len(filing.values)
    if length % 8 or not width or stream(filing.metadata, filing.values) != record:
        return None
    address = pa.py_buffer(record).address
    validity, data = (None if b is None else b.address - address for b in filing.values.buffers())
    head_end = data if validity is None else min(validity, data)
    if data % 8 or not 0 <= head_end <= _LONGEST_HEAD:
        return None
    texts = tuple(span for name in _TEXTS if (span := _span(record, filing, name)))
    revision = _span(record, filing, "revision")
    nulls = None if validity is None else _nulls_at(record[:head_end], filing)
    if len(texts) < len(_TEXTS) or (revision is None) == (b"revision" in filing.metadata):
        return None
    if (nulls is None) != (validity is None) or (revision is not None and revision.length > _LONGEST_REVISION):
        return None
    lowest = np.frombuffer(record, dtype=np.uint8).copy()
    highest = lowest.copy()
    body = np.zeros(length, dtype=np.bool_)
    body[data : data + 8 * width] = True
    for span in texts:
        lowest[span.start : span.stop], highest[span.start : span.stop] = 1, 127
    if revision is not None:
        lowest[revision.start : revision.stop], highest[revision.start : revision.stop] = ord("0"), ord("9")
        lowest[revision.start] += revision.length > 1
    if nulls is not None and validity is not None:
        lowest[nulls : nulls + 8], highest[nulls : nulls + 8] = 0, 255
        body[validity : validity + (width + 7) // 8] = True
    rest = np.flatnonzero(~body[head_end:]) + head_end
    bounds = lowest[:head_end], (highest - lowest)[:head_end]
    return Layout(length, width, *bounds, (rest, lowest[rest]), texts, revision, nulls, validity, data)


def _span(record: bytes, filing: Unpacked, name: str) -> Span | None:
    """Return where a text of the metadata stands, if it is there and plain ASCII."""
    text = filing.metadata.get(name.encode(), b"")
    other = next((byte for byte in range(1, 128) if byte not in text), None)
    if not text or not text.isascii() or other is None:
        return None
    changed = {**filing.metadata, name.encode(): bytes([other]) * len(text)}
    places = _differences(record, stream(changed, filing.values))
    if len(places) != len(text) or places[-1] - places[0] != len(text) - 1:
        return None
    return Span(int(places[0]), len(text))


def _nulls_at(head: bytes, filing: Unpacked) -> int | None:
    """Return where the number of nulls stands in what precedes the body."""
    nulls, width = filing.values.null_count, len(filing.values)
    others = nulls - 1 if nulls > 1 else nulls + 1
    if others > width:
        return None
    changed = stream(filing.metadata, _zeros(width, others))[: len(head)]
    places = _differences(head, changed)
    at = int(places[0])
    if places[-1] >= at + 8 or [struct.unpack_from("<q", each, at)[0] for each in (head, changed)] != [nulls, others]:
        return None
    return at


def _zeros(width: int, nulls: int) -> Any:
    """Return a column of which the first are null, from buffers: `pa.array` loads pandas to see what it is given."""
    there = np.packbits(np.arange(width) >= nulls, bitorder="little")
    buffers = [pa.py_buffer(there) if nulls else None, pa.py_buffer(np.zeros(width))]
    return pa.Array.from_buffers(pa.float64(), width, buffers, nulls)


def _differences(one: bytes, other: bytes) -> Ints:
    if len(one) != len(other):
        return np.array([-1], dtype=np.int64)
    return np.flatnonzero(np.frombuffer(one, dtype=np.uint8) != np.frombuffer(other, dtype=np.uint8))
