"""Where the fields of a filing stand in Arrow streams that differ in nothing else.

A layout is learned from one stream that pyarrow has read and would write byte for byte: writing it again with one
field changed shows which bytes are that field's. What a stream has outside of the fields decides how it is read,
lengths and offsets of all fields included. So a stream of the same length with the same bytes there is read by
pyarrow to the bytes at the same places, and reading it here gives the same filing.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
    def slice(self) -> slice:
        """The field's bytes."""
        return slice(self.start, self.start + self.length)


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
    """The fixed bytes of a stream of `length` bytes, and where its fields are.

    `head` are the bytes before the body; those that are `free` belong to fields. `rest` are fixed bytes in and
    behind the body, with where they start. `nulls` is where the number of nulls stands (eight bytes), `validity`
    their bitmap and `data` the `width` values; the first two only where some value is null.
    """

    length: int
    width: int
    head: Bytes
    free: Bools
    rest: tuple[tuple[int, Bytes], ...]
    texts: dict[str, Span]
    revision: Span | None
    nulls: int | None
    validity: int | None
    data: int

    def read(self, records: Sequence[bytes]) -> Told:
        """Read streams of this length; those that are not of this layout, or unusual, are not `good`."""
        whole = np.frombuffer(b"".join(records), dtype=np.uint8).reshape(len(records), self.length)
        good: Bools = ((whole[:, : len(self.head)] == self.head) | self.free).all(axis=1)
        for start, fixed in self.rest:
            good &= (whole[:, start : start + len(fixed)] == fixed).all(axis=1)
        texts = [_texts(whole, self.texts[name], good) for name in _TEXTS]
        revision = self._revisions(whole, good)
        begin = self.data // 8
        values: Floats = whole.reshape(-1).view(np.float64).reshape(len(whole), -1)[:, begin : begin + self.width]
        return Told(good, *texts, revision, values, self._missing(whole, values, good))

    def _revisions(self, whole: Bytes, good: Bools) -> Ints:
        if self.revision is None:
            return np.zeros(len(whole), dtype=np.int64)
        digits = whole[:, self.revision.slice].astype(np.int64) - ord("0")
        count = digits.shape[1]
        number: Ints = digits @ 10 ** np.arange(count - 1, -1, -1)
        good &= ((digits >= 0) & (digits <= 9)).all(axis=1) & (number <= LATEST_REVISION)
        if count > 1:
            good &= digits[:, 0] > 0
        return number

    def _missing(self, whole: Bytes, values: Floats, good: Bools) -> tuple[Ints, Ints]:
        """Return rows and columns of nulls, and let rows be good only if all else is finite."""
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


def _texts(whole: Bytes, span: Span, good: Bools) -> list[bytes]:
    """Return one text a row; rows where it is not plain ASCII are no longer good."""
    each = np.ascontiguousarray(whole[:, span.slice])
    good &= ((each > 0) & (each < 128)).all(axis=1)
    texts: list[bytes] = each.view(f"S{each.shape[1]}")[:, 0].tolist()
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
    texts = {name: _span(record, filing, name) for name in _TEXTS}
    revision = _span(record, filing, "revision") if b"revision" in filing.metadata else None
    nulls = None if validity is None else _nulls_at(record[:head_end], filing)
    if None in texts.values() or (revision is None) != (b"revision" not in filing.metadata):
        return None
    if (nulls is None) != (validity is None) or (revision is not None and revision.length > _LONGEST_REVISION):
        return None
    spans = [span for span in (*texts.values(), revision) if span is not None]
    spans += [Span(data, 8 * width)]
    if nulls is not None and validity is not None:
        spans += [Span(nulls, 8), Span(validity, (width + 7) // 8)]
    free = np.zeros(length, dtype=np.bool_)
    for span in spans:
        free[span.slice] = True
    each = np.frombuffer(record, dtype=np.uint8)
    return Layout(
        length,
        width,
        each[:head_end].copy(),
        free[:head_end],
        tuple(_fixed(each, free, head_end)),
        {name: span for name, span in texts.items() if span is not None},
        revision,
        nulls,
        validity,
        data,
    )


def _span(record: bytes, filing: Unpacked, name: str) -> Span | None:
    """Return where a text of the metadata stands, if it is plain ASCII."""
    text = filing.metadata[name.encode()]
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
    column = pa.array([None] * others + [0.0] * (width - others), filing.values.type)
    changed = stream(filing.metadata, column)[: len(head)]
    places = _differences(head, changed)
    at = int(places[0])
    if places[-1] >= at + 8 or [struct.unpack_from("<q", each, at)[0] for each in (head, changed)] != [nulls, others]:
        return None
    return at


def _differences(one: bytes, other: bytes) -> Ints:
    if len(one) != len(other):
        return np.array([-1], dtype=np.int64)
    return np.flatnonzero(np.frombuffer(one, dtype=np.uint8) != np.frombuffer(other, dtype=np.uint8))


def _fixed(each: Bytes, free: Bools, begin: int) -> Iterator[tuple[int, Bytes]]:
    """Yield the runs of fixed bytes from `begin` on."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], free[begin:], [True]]).astype(np.int8))) + begin
    for start, stop in edges.reshape(-1, 2).tolist():
        yield start, each[start:stop].copy()
