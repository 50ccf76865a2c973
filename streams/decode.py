"""Whole batches of filings into columns.

A record is decoded by msgspec into a struct made for its form, whose fields are the form's indicators. So
names, types and forms are checked in the decoder's own C loop, and the numbers come out in the form's order
without a dictionary. Range and date checks run over the columns. Only records that fail are looked at one
by one.

That decoder expects the next field where it is: 2,000 names in random order take it fifty times as long as in
the form's order. So a long record is probed first, and one whose names are out of order is read by way of a
dictionary, which takes any order alike.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple

from rules.catalogue import Catalogue, Form
from streams.diagnose import diagnose_filing, is_filed, out_of_range
from streams.encodings import Encoding, Headers, encoding_of, unknown_encoding
from streams.wire import DAY, Code, Reason, Rejection, Revision, from_seconds, to_seconds

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MAX_BYTES = 8_000_000
_BLOCK_VALUES = 32_768  # numbers that wait as Python objects before they become an array: about an L2 cache
_REMEMBERED_TIMES = 100_000
_LONG_BYTES = 10_000  # some 500 values: up to there the order of names costs little
_PROBES = 8


class Refused(NamedTuple):
    """A record that was refused: its position in the batch, and why."""

    position: int
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Columns:
    """The accepted filings of one form, n of them, in order of `index`.

    Times are seconds since the epoch, UTC. `values` is k × n: row j is the form's j-th indicator
    (`Catalogue.reported`), NaN where missing. `index` is each filing's position in the batch.
    """

    form: str
    institutions: list[str]
    as_of: Ints
    submitted_at: Ints
    revision: npt.NDArray[np.int32]
    index: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.institutions)

    def take(self, rows: npt.NDArray[Any]) -> Columns:
        """Return the filings at `rows` (positions, or a mask), in that order."""
        positions = np.arange(len(self))[rows]
        return Columns(
            self.form,
            [self.institutions[i] for i in positions],
            self.as_of[positions],
            self.submitted_at[positions],
            self.revision[positions],
            self.index[positions],
            self.values[:, positions],
        )


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch, sorted into forms (in order of first appearance) and refused records (by index)."""

    forms: list[Columns]
    rejected: list[Refused]


class Decoder:
    """Decodes filings of a catalogue's forms; the same record gives the same result in any batch.

    `max_bytes` is the longest record looked into. A key that a filing has twice counts with its last value.
    """

    def __init__(self, catalogue: Catalogue, max_bytes: int = MAX_BYTES) -> None:
        self.catalogue = catalogue
        self.max_bytes = max_bytes
        plans = [_Plan(catalogue, form) for form in catalogue.forms.values() if is_filed(form.id)]
        self._plans = {plan.struct: plan for plan in plans}
        self._forms = {plan.form: plan for plan in plans}
        self._places = {i.id.encode(): place for plan in plans for place, i in enumerate(plan.indicators)}
        kinds: Any = msgspec.NODEFAULT
        for plan in plans:
            kinds = plan.struct if kinds is msgspec.NODEFAULT else kinds | plan.struct
        self._parse = msgspec.json.Decoder(_NoForm if kinds is msgspec.NODEFAULT else kinds).decode
        self._times: dict[str, int] = {}

    def decode(
        self,
        records: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers] | None = None,
    ) -> Decoded:
        """Decode a batch; every index is in one of the columns or in `rejected`, and nothing is raised.

        With `keys` (the Kafka keys), a record whose key is not its institution's code is refused: it may sit
        in a partition where its institution's other filings are not. `headers` (the Kafka headers) tell each
        record's encoding.
        """
        gatherings: dict[str, _Gathering] = {}
        rejected: list[Refused] = []
        parse, plans, max_bytes, seconds = self._parse, self._plans, self.max_bytes, self._seconds
        for index, record in enumerate(records):
            if headers and headers[index] and encoding_of(headers[index]) is not Encoding.JSON:
                rejected.append(Refused(index, *unknown_encoding(headers[index])))
                continue
            try:
                if record is None or len(record) > max_bytes:
                    raise ValueError
                if len(record) > _LONG_BYTES and self._out_of_order(record):
                    filing, plan, numbers = self._parse_any_order(record)
                else:
                    filing = parse(record)
                    plan, numbers = plans[type(filing)], astuple(filing.values)
                as_of, submitted_at = seconds(filing.as_of), seconds(filing.submitted_at)
            except Exception as err:  # no record whatever may stop the stream
                rejected.append(Refused(index, *self._diagnose(record, err)))
                continue
            if keys is not None and keys[index] != filing.institution.encode():
                rejected.append(Refused(index, *_wrong_key(keys[index], filing.institution)))
                continue
            gathering = gatherings.get(plan.form)
            if gathering is None:
                gathering = gatherings[plan.form] = _Gathering(plan)
            gathering.add(index, as_of, submitted_at, filing, numbers)
        forms = []
        for gathering in gatherings.values():
            columns, refused = gathering.judge()
            rejected.extend(refused)
            if len(columns):
                forms.append(columns)
        rejected.sort()
        return Decoded(forms, rejected)

    def classify(self, record: bytes | None) -> Rejection | None:
        """Return why one record is refused, or None when it is a good filing."""
        refused = self.decode([record]).rejected
        return Rejection(refused[0].reason, refused[0].detail) if refused else None

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

    def _parse_any_order(self, record: bytes) -> tuple[_AnyOrder, _Plan, tuple[float | None, ...]]:
        filing = _parse_any_order(record)
        plan, told = self._forms[filing.form], filing.values
        if not told.keys() <= plan.names:
            raise ValueError
        return filing, plan, tuple([told.get(name, np.nan) for name in plan.names])

    def _seconds(self, text: str) -> int:
        found = self._times.get(text)
        if found is None:
            if len(self._times) >= _REMEMBERED_TIMES:
                self._times.clear()
            found = self._times[text] = to_seconds(text)
        return found

    def _diagnose(self, record: bytes | None, err: Exception) -> Rejection:
        try:
            return diagnose_filing(record, self.catalogue, self.max_bytes, str(err)[:200])
        except Exception as second:
            what = f"{type(second).__name__}: {second}"[:200]
            return Rejection(Reason.INTERNAL, f"the record could not be examined ({what})")


class _AnyOrder(msgspec.Struct, forbid_unknown_fields=True):
    """A filing of any form, with its values in a dictionary."""

    institution: Code
    form: str
    as_of: str
    submitted_at: str
    values: dict[str, float | None]
    revision: Revision = 0
    meta: dict[str, Any] | None = None


_parse_any_order = msgspec.json.Decoder(_AnyOrder).decode


class _NoForm(msgspec.Struct, tag_field="form", tag=""):
    """Stands in for the forms of a catalogue that has none, so that every record goes to the diagnosis."""


class _Plan:
    """What decoding one form needs: its struct, its bounds, and a packer of its numbers."""

    def __init__(self, catalogue: Catalogue, form: Form) -> None:
        self.form = form.id
        self.indicators = [catalogue.indicators[name] for name in catalogue.reported(form.id)]
        self.names = dict.fromkeys(i.id for i in self.indicators).keys()
        self.pack = struct.Struct(f"{len(self.indicators)}d").pack
        low = np.array([i.low for i in self.indicators], dtype=np.float64)
        high = np.array([i.high for i in self.indicators], dtype=np.float64)
        self.bounded = np.flatnonzero(np.isfinite(low) | np.isfinite(high))
        self.low, self.high = low[self.bounded, None], high[self.bounded, None]
        self.struct = _filing_struct(form.id, [i.id for i in self.indicators])


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
            ("revision", Revision, 0),
            ("meta", dict[str, Any] | None, None),
        ],
        tag_field="form",
        tag=form,
        forbid_unknown_fields=True,
    )


class _Gathering:
    """The filings of one form in one batch, on their way from structs to columns."""

    def __init__(self, plan: _Plan) -> None:
        self.plan = plan
        self.institutions: list[str] = []
        self.as_of: list[int] = []
        self.submitted_at: list[int] = []
        self.revision: list[int] = []
        self.index: list[int] = []
        self.blocks: list[Floats] = []
        self.waiting: list[tuple[float | None, ...]] = []
        self.most_waiting = max(1, _BLOCK_VALUES // max(1, len(plan.indicators)))

    def add(self, index: int, as_of: int, submitted_at: int, filing: Any, numbers: tuple[float | None, ...]) -> None:
        self.institutions.append(filing.institution)
        self.as_of.append(as_of)
        self.submitted_at.append(submitted_at)
        self.revision.append(filing.revision)
        self.index.append(index)
        self.waiting.append(numbers)
        if len(self.waiting) >= self.most_waiting:
            self._flush()

    def _flush(self) -> None:
        k, pack = len(self.plan.indicators), self.plan.pack
        try:
            block = np.frombuffer(b"".join([pack(*numbers) for numbers in self.waiting]), dtype=np.float64)
        except struct.error:  # a null, None, does not pack; numpy reads it as NaN
            block = np.array(self.waiting, dtype=np.float64)
        self.blocks.append(block.reshape(len(self.waiting), k).T)
        self.waiting = []

    def judge(self) -> tuple[Columns, list[Refused]]:
        """Return the columns that hold good filings only, and the rest."""
        if self.waiting:
            self._flush()
        n, k = len(self.index), len(self.plan.indicators)
        values = np.empty((k, n))
        np.concatenate(self.blocks, axis=1, out=values)
        columns = Columns(
            self.plan.form,
            self.institutions,
            np.array(self.as_of, dtype=np.int64),
            np.array(self.submitted_at, dtype=np.int64),
            np.array(self.revision, dtype=np.int32),
            np.array(self.index, dtype=np.int64),
            values,
        )
        early = columns.as_of > columns.submitted_at + DAY
        bad = early | self._outside(values)
        if not bad.any():
            return columns, []
        refused = [
            _from_the_future(columns, row) if early[row] else self._range(columns, row)
            for row in np.flatnonzero(bad).tolist()
        ]
        return columns.take(~bad), refused

    def _outside(self, values: Floats) -> npt.NDArray[np.bool_]:
        plan = self.plan
        watched = values if len(plan.bounded) == len(values) else values[plan.bounded]
        return np.asarray(((watched < plan.low) | (watched > plan.high)).any(axis=0))

    def _range(self, columns: Columns, row: int) -> Refused:
        numbers = columns.values[self.plan.bounded, row]
        first = np.flatnonzero((numbers < self.plan.low[:, 0]) | (numbers > self.plan.high[:, 0]))[0]
        indicator = self.plan.indicators[self.plan.bounded[first]]
        return Refused(int(columns.index[row]), *out_of_range(indicator, float(numbers[first])))


def _from_the_future(columns: Columns, row: int) -> Refused:
    as_of, submitted_at = from_seconds(columns.as_of[row]), from_seconds(columns.submitted_at[row])
    detail = f"'as_of' is {as_of}, more than a day after 'submitted_at', {submitted_at}"
    return Refused(int(columns.index[row]), Reason.AS_OF_IN_FUTURE, detail)


def _wrong_key(key: bytes | None, institution: str) -> Rejection:
    got = "no key" if key is None else f"the key {key[:64].decode('utf-8', 'backslashreplace')!r}"
    return Rejection(Reason.WRONG_SHAPE, f"the record has {got}; it must be the institution, {institution!r}")
