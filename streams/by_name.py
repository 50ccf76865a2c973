"""Filings as JSON by name, from records to rows.

A record is decoded by msgspec into a struct made for its form, whose fields are the form's indicators. So
names, types and forms are checked in the decoder's own C loop, and the numbers come out in the form's order
without a dictionary.

Most records need not come that far: where compiled code is there, it reads their values (`streams.skimming`), and
what it does not take is read as said.

That decoder expects the next field where it is: 2,000 names in random order take it fifty times as long as in
the form's order. So a long record is probed first, and one whose names are out of order is read by way of a
dictionary, which takes any order alike.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from streams.columns import FormPlan, Piece, Sorting
from streams.nulls import STAND_IN_TEXT, without_nulls
from streams.rows_of import Rows
from streams.skimming import Skimming
from streams.times import Times
from streams.twins import QUOTE, QUOTES_OF_CONFIRMS, Twice, once, quotes_in
from streams.wire import NO_REVISION, Code, Confirms, Rejection, Revision

Diagnose = Callable[[bytes | None, Exception], Rejection]
_Told = tuple[str, str, str, int, Confirms | None]
_Read = tuple[FormPlan, _Told, bytes, int]
"""A filing's form, its head, its values, and how many quotes its text has besides those of the values' names."""

_LONG_BYTES = 10_000  # some 500 values: up to there the order of names costs little
_PROBES = 4
_QUOTE = ord('"')
_HEAD_QUOTES = 2 * (5 + 4)  # five keys, four of whose values are texts


class ByName:
    """Reads filings whose `values` is an object of indicator to number."""

    def __init__(self, plans: Sequence[FormPlan], times: Times, max_bytes: int, diagnose: Diagnose) -> None:
        self.times = times
        self.max_bytes = max_bytes
        self.diagnose = diagnose
        readers = [_Reader(plan) for plan in plans]
        self._readers = {reader.struct: reader for reader in readers}
        self._forms = {reader.plan.form: reader for reader in readers}
        self._places = {name.encode(): place for plan in plans for place, name in enumerate(plan.names)}
        kinds: Any = msgspec.NODEFAULT
        for reader in readers:
            kinds = reader.struct if kinds is msgspec.NODEFAULT else kinds | reader.struct
        self._skimming = Skimming(plans)
        self._parse = msgspec.json.Decoder(_NoForm if kinds is msgspec.NODEFAULT else kinds).decode

    def read(self, indices: Iterable[int], records: Sequence[bytes | None], batch: Sorting) -> None:
        """Sort the records at `indices` into the batch."""
        rows: dict[FormPlan, Rows] = {}
        max_bytes, times = self.max_bytes, self.times
        for index in self._unread(list(indices), records, batch):
            record = records[index]
            try:
                if record is None or (size := len(record)) > max_bytes:
                    raise ValueError
                if size > _LONG_BYTES and self._out_of_order(record):
                    plan, head, row, quotes = self._in_any_order(record)
                else:
                    plan, head, row, quotes = self._in_order(record)
                if size > _LONG_BYTES:
                    seen = np.count_nonzero(np.frombuffer(record, np.uint8) == _QUOTE)
                else:
                    seen = record.count(QUOTE)
                told = (index, head[0], plan.as_of[head[1]], times[head[2]], head[3], (seen - quotes) // 2)
                if head[4] is not None:
                    batch.confirms[index] = head[4]
            except Exception as err:  # no record whatever may stop the stream
                batch.refuse(index, self.diagnose(record, err))
                continue
            form = rows.get(plan)
            if form is None:
                form = rows[plan] = Rows(plan, batch)
            form.add(told, row)
        for form in rows.values():
            self._refuse_twins(form, records, batch)
            form.finish()

    def _refuse_twins(self, form: Rows, records: Sequence[bytes | None], batch: Sorting) -> None:
        """Refuse the filings in which a name stands twice; those with more names than values are looked at."""
        found = set[int]()
        for index in form.miscounted():
            record = records[index] or b""
            try:
                json.loads(record, object_pairs_hook=once)
            except Twice as err:
                batch.refuse(index, self.diagnose(record, err))
                found.add(index)
        if found:
            form.drop(found)

    def _unread(self, indices: list[int], records: Sequence[bytes | None], batch: Sorting) -> list[int]:
        """Sort those records into the batch that compiled code takes; return the others."""
        short = [index for index in indices if len(records[index] or b"") <= self.max_bytes]
        times, done = self.times, set[int]()
        for plan, skimmed in self._skimming.read(short, records, batch):
            heads: list[tuple[int, str, int, int, int]] = []
            for index, rest in skimmed:
                try:
                    as_of, submitted_at = plan.as_of[rest.as_of], times[rest.submitted_at]
                except Exception:  # it is read again as a whole, which tells why
                    continue
                heads.append((index, rest.institution, as_of, submitted_at, rest.revision if rest.revision > 0 else 0))
                if rest.confirms is not None:
                    batch.confirms[index] = rest.confirms
            if heads:
                done.update(head[0] for head in heads)
                batch.take(plan, Piece(*(list(column) for column in zip(*heads, strict=True))))
        return [index for index in indices if index not in done] if done else indices

    def _in_order(self, record: bytes) -> _Read:
        """Read by the form's struct. The filing is gone when this returns: its memory serves the next."""
        text = without_nulls(record)
        try:
            filing = self._parse(text)
            if text is not record and STAND_IN_TEXT in filing.institution:
                raise ValueError
            reader = self._readers[type(filing)]
            head, quotes = _head(filing)
            return reader.plan, head, reader.pack(*astuple(filing.values)), quotes
        except Exception:  # a null that is no value, perhaps: the record as it is will tell
            if text is record:
                raise
        filing = self._parse(record)
        reader = self._readers[type(filing)]
        head, quotes = _head(filing)
        return reader.plan, head, reader.pack(*_numbers(astuple(filing.values))), quotes

    def _in_any_order(self, record: bytes) -> _Read:
        filing = _parse_any_order(record)
        reader, told = self._forms[filing.form], filing.values
        if not told.keys() <= reader.plan.names:
            raise ValueError
        row = reader.pack(*_numbers([told.get(name) for name in reader.plan.names]))
        nulls = 2 * sum(value is None for value in told.values())
        head, quotes = _head(filing)
        return reader.plan, head, row, quotes + nulls

    def _out_of_order(self, record: bytes) -> bool:
        """Whether names found at a few places of the record do not stand in their form's order."""
        last, step = -1, len(record) // (_PROBES + 1)
        for at in range(step, len(record) - step, step):
            end = record.rfind(b'"', 0, record.find(b":", at))
            place = self._places.get(record[record.rfind(b'"', 0, end) + 1 : end])
            if place is not None:
                if place < last:
                    return True
                last = place
        return False


class _Reader:
    """A form's struct, and how its numbers become a row."""

    def __init__(self, plan: FormPlan) -> None:
        self.plan = plan
        self.struct = _filing_struct(plan.form, list(plan.names))
        self.pack = struct.Struct(f"{plan.width}d").pack


def _head(filing: Any) -> tuple[_Told, int]:
    """Return a filing's head, and how many quotes stand around its keys and texts, those of `meta` among them."""
    revision, quotes, confirms = filing.revision, _HEAD_QUOTES, filing.confirms
    if revision == NO_REVISION:
        revision = 0
    else:
        quotes += 2
    if filing.meta is not None:
        quotes += 2 + quotes_in(filing.meta)
    if confirms is not None:
        quotes += 2 + QUOTES_OF_CONFIRMS
    return (filing.institution, filing.as_of, filing.submitted_at, revision, confirms), quotes


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in values]


class _AnyOrder(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A filing of any form, with its values in a dictionary."""

    institution: Code
    form: str
    as_of: str
    submitted_at: str
    values: dict[str, float | None]
    revision: Revision = NO_REVISION
    meta: dict[str, Any] | None = None
    confirms: Confirms | None = None


_parse_any_order = msgspec.json.Decoder(_AnyOrder).decode


class _NoForm(msgspec.Struct, tag_field="form", tag=""):
    """Stands in for the forms of a catalogue that has none, so that every record goes to the diagnosis."""


def _filing_struct(form: str, names: list[str]) -> type[msgspec.Struct]:
    """Return the struct of one form's filings; an indicator's name need not be a Python name."""
    fields = {f"v{i}": name for i, name in enumerate(names)}
    values = msgspec.defstruct(
        "Values",
        [(field, float | None, np.nan) for field in fields],
        rename=fields,
        forbid_unknown_fields=True,
        gc=False,
    )
    return msgspec.defstruct(
        "FormFiling",
        [
            ("institution", Code),
            ("as_of", str),
            ("submitted_at", str),
            ("values", values),
            ("revision", Revision, NO_REVISION),
            ("meta", dict[str, Any] | None, None),
            ("confirms", Confirms | None, None),
        ],
        tag_field="form",
        tag=form,
        forbid_unknown_fields=True,
        gc=False,
    )
