"""Whole batches of filings into columns, whichever way each record is encoded.

Each encoding has its reader (`streams.by_name`, `streams.by_form`, `streams.arrow_rows`), which makes rows of what
has the right shape. Range and date checks then run over whole columns, the same for all. Only records that fail
are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

from rules.catalogue import Catalogue
from streams.by_form import ByForm
from streams.by_name import ByName
from streams.columns import Decoded, FormPlan, Sorting
from streams.diagnose import diagnose_filing, is_filed
from streams.encodings import Encoding, Headers, encoding_of, unknown_encoding
from streams.times import Times
from streams.wire import Reason, Rejection, to_seconds

MAX_BYTES = 8_000_000


class Reader(Protocol):
    """Reads records of one encoding."""

    def read(self, indices: Iterable[int], records: Sequence[bytes | None], batch: Sorting) -> None:
        """Sort the records at `indices` into the batch; nothing is raised."""


class Decoder:
    """Decodes filings of a catalogue's forms; the same record gives the same result in any batch.

    `max_bytes` is the longest record looked into. A key that stands twice refuses the filing.
    """

    def __init__(self, catalogue: Catalogue, max_bytes: int = MAX_BYTES) -> None:
        self.catalogue = catalogue
        self.max_bytes = max_bytes
        self._plans = [FormPlan(catalogue, form) for form in catalogue.forms.values() if is_filed(form.id)]
        self._times = Times(partial(to_seconds, zone=catalogue.timezone))
        self._readers: dict[Encoding, Reader] = {}

    def decode(
        self,
        records: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers] | None = None,
    ) -> Decoded:
        """Decode a batch; every index is in one of the columns or in `rejected`, and nothing is raised.

        With `keys` (the Kafka keys), a record whose key is not its institution's code is refused: it may sit
        in a partition where its institution's other filings are not. `headers` (the Kafka headers) tell each
        record's encoding; without them all are JSON by name.
        """
        return self.sort(records, keys, headers).finish()

    def sort(
        self,
        records: Sequence[bytes | None],
        keys: Sequence[bytes | None] | None = None,
        headers: Sequence[Headers] | None = None,
    ) -> Sorting:
        """Do the first half of `decode`: read the records. `finish` then checks ranges and dates."""
        batch = Sorting(len(records), keys)
        if headers is None or not any(headers):
            self._reader(Encoding.JSON).read(range(len(records)), records, batch)
            return batch
        for encoding, indices in _by_encoding(headers, batch).items():
            self._reader(encoding).read(indices, records, batch)
        return batch

    def classify(self, record: bytes | None, headers: Headers = ()) -> Rejection | None:
        """Return why one record is refused, or None when it is a good filing."""
        refused = self.decode([record], headers=[headers]).rejected
        return Rejection(refused[0].reason, refused[0].detail) if refused else None

    def _reader(self, encoding: Encoding) -> Reader:
        """Return the reader of an encoding, made when its first record comes: Arrow takes memory."""
        if encoding not in self._readers:
            arguments = (self._plans, self._times, self.max_bytes, partial(self._diagnose, encoding))
            if encoding is Encoding.JSON:
                self._readers[encoding] = ByName(*arguments)
            elif encoding is Encoding.ARRAY:
                self._readers[encoding] = ByForm(*arguments)
            else:
                from streams.arrow_rows import ArrowRows

                self._readers[encoding] = ArrowRows(*arguments)
        return self._readers[encoding]

    def _diagnose(self, encoding: Encoding, record: bytes | None, err: Exception) -> Rejection:
        try:
            return diagnose_filing(record, self.catalogue, self.max_bytes, str(err)[:200], encoding)
        except Exception as second:
            what = f"{type(second).__name__}: {second}"[:200]
            return Rejection(Reason.INTERNAL, f"the record could not be examined ({what})")


def _by_encoding(headers: Sequence[Headers], batch: Sorting) -> dict[Encoding, list[int]]:
    """Return the positions of records by encoding, and refuse those with none of ours.

    Records mostly have the headers of the record before.
    """
    found: dict[Encoding, list[int]] = {}
    previous: Headers = ()
    indices = found.setdefault(Encoding.JSON, [])
    for index, told in enumerate(headers):
        if told != previous:
            previous, encoding = told, encoding_of(told)
            if encoding is None:
                batch.refuse(index, unknown_encoding(told))
                previous, indices = (), found[Encoding.JSON]
                continue
            indices = found.setdefault(encoding, [])
        indices.append(index)
    return found
