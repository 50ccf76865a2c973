"""From files to filings: tables and JSON Lines become records of the wire, and records become columns.

Nothing here knows Kafka. `guanlan submit` sends what `filings_from` yields, `guanlan backtest` judges what
`load_columns` returns, and both go through the worker's own decoder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from rules.calendar import DAY, due_at, has_deadline
from rules.catalogue import Catalogue
from rules.problems import InputError, nearest
from streams.columns import Columns
from streams.decode import MAX_BYTES, Decoder
from streams.mapping import Mapping, load_mapping, own_format
from streams.readers import Row, check_file, kind_of, read_lines, read_table
from streams.rows import Clock, Draft, RowWriter
from streams.times import read_as_of
from streams.wire import Reason, Rejection, instant_text

BATCH_RECORDS = 2_000
BATCH_BYTES = 16_000_000


class RowRefusal(NamedTuple):
    """A filing that was refused before it was sent: its position among all, where it stands, and why."""

    position: int
    reason: Reason
    detail: str
    file: str
    row: int


def filings_from(
    paths: Iterable[Path],
    mapping: Mapping | str | Path | None,
    catalogue: Catalogue,
    form: str = "",
    clock: Clock | None = None,
) -> Iterator[Draft]:
    """Yield the filings of the files, in the files' order.

    Without a mapping the files use our names: JSON Lines of the wire format or flat, or tables as `own_format`
    says; `form` names the form of tables that have no such column. `clock` gives the submission time that a file
    does not tell; by default each filing counts as submitted on the day it was due. Raises InputError for a file
    that can't be read, and for a mapping that does not fit the catalogue or the file.
    """
    if isinstance(mapping, str | Path):
        mapping = load_mapping(mapping)
    if form and form not in catalogue.forms:
        raise InputError(f"there is no form {form!r} in the catalogue; {nearest(form, catalogue.forms)}".rstrip("; "))
    if mapping is not None:
        mapping.check(catalogue)
        if not mapping.forms:
            raise InputError(f"the mapping {mapping.name!r} is for institutions, not for filings")
    clock = clock or on_the_due_day(catalogue)
    paths = list(paths)
    for path in paths:
        check_file(path)
    for path in paths:
        if mapping is None and kind_of(path) in (".jsonl", ".ndjson") and _is_wire(path):
            yield from _wire_drafts(path, clock)
        else:
            yield from _table_drafts(path, mapping, catalogue, form, clock)


def on_the_due_day(catalogue: Catalogue) -> Clock:
    """Return the clock of punctual institutions: the last day of the form's deadline, else the as-of date."""

    @cache
    def clock(form: str, as_of: str) -> str:
        known = catalogue.forms.get(form)
        if known is None or not has_deadline(known):
            return as_of
        try:
            start = read_as_of(known, as_of)
        except ValueError:
            return as_of
        end = due_at(known, start, catalogue.country)
        return instant_text(end - 1 if known.frequency == "intraday" else max(start, end - DAY))

    return clock


def at(moment: datetime) -> Clock:
    """Return the clock that stands still at `moment`."""
    text = instant_text(int(moment.timestamp()))
    return lambda form, as_of: text


def load_columns(
    paths: Iterable[Path],
    mapping: Mapping | str | Path | None,
    catalogue: Catalogue,
    form: str = "",
    max_bytes: int = MAX_BYTES,
) -> tuple[list[Columns], list[RowRefusal]]:
    """Read whole files into columns by form, and what was refused.

    `index` is a filing's rank among all accepted filings of all forms by (submitted-at, as-of, position in the
    files); each form's columns are in that order. Raises InputError as `filings_from` does.
    """
    decoder = Decoder(catalogue, max_bytes)
    pieces: dict[str, list[Columns]] = {}
    refused: list[RowRefusal] = []
    for batch in in_batches(filings_from(paths, mapping, catalogue, form)):
        columns, wrong = batch.judge(decoder)
        refused += wrong
        for piece in columns:
            pieces.setdefault(piece.form, []).append(piece)
    joined = [_join(parts) for parts in pieces.values()]
    return _ranked(joined), refused


@dataclass(slots=True)
class Batch:
    """Some consecutive drafts; `start` is the position of the first among all."""

    start: int
    drafts: list[Draft] = field(default_factory=list)

    def judge(
        self, decoder: Decoder, registered: frozenset[str] = frozenset()
    ) -> tuple[list[Columns], list[RowRefusal]]:
        """Return the accepted filings, with positions among all as their index, and the refused.

        Filings of institutions that are not among `registered` are refused; an empty set refuses nobody.
        """
        told = [i for i, draft in enumerate(self.drafts) if draft.problem is None]
        decoded = decoder.decode([self.drafts[i].record for i in told])
        where = np.array(told, dtype=np.int64)
        wrong = {told[r.position]: Rejection(r.reason, r.detail) for r in decoded.rejected}
        wrong |= {i: draft.problem for i, draft in enumerate(self.drafts) if draft.problem is not None}
        forms = []
        for columns in decoded.forms:
            strange = [bool(registered) and code not in registered for code in columns.institutions]
            for row in np.flatnonzero(strange).tolist():
                wrong[int(where[columns.index[row]])] = _stranger(columns.institutions[row], registered)
            known = columns.take(~np.array(strange)) if any(strange) else columns
            forms.append(replace(known, index=where[known.index] + self.start))
        return forms, [self._refusal(i, wrong[i]) for i in sorted(wrong)]

    def _refusal(self, i: int, rejection: Rejection) -> RowRefusal:
        draft = self.drafts[i]
        return RowRefusal(self.start + i, rejection.reason, rejection.detail, draft.file, draft.row)


def _stranger(code: str, registered: frozenset[str]) -> Rejection:
    guess = nearest(code, registered)
    return Rejection(Reason.UNKNOWN_INSTITUTION, f"no institution {code!r} is registered{'; ' if guess else ''}{guess}")


def in_batches(drafts: Iterable[Draft]) -> Iterator[Batch]:
    """Cut drafts into batches that are bounded in records and in bytes."""
    batch, size = Batch(0), 0
    for draft in drafts:
        batch.drafts.append(draft)
        size += len(draft.record or b"")
        if len(batch.drafts) >= BATCH_RECORDS or size >= BATCH_BYTES:
            yield batch
            batch, size = Batch(batch.start + len(batch.drafts)), 0
    if batch.drafts:
        yield batch


def _join(parts: list[Columns]) -> Columns:
    return Columns(
        parts[0].form,
        [code for part in parts for code in part.institutions],
        np.concatenate([part.as_of for part in parts]),
        np.concatenate([part.submitted_at for part in parts]),
        np.concatenate([part.revision for part in parts]),
        np.concatenate([part.index for part in parts]),
        np.concatenate([part.values for part in parts], axis=1),
    )


def _ranked(forms: list[Columns]) -> list[Columns]:
    if not forms:
        return []
    keys = [np.concatenate([getattr(f, name) for f in forms]) for name in ("index", "as_of", "submitted_at")]
    order = np.lexsort(keys)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    ranked, start = [], 0
    for columns in forms:
        ranks = rank[start : start + len(columns)]
        start += len(columns)
        ranked.append(replace(columns, index=ranks).take(np.argsort(ranks)))
    return ranked


def _is_wire(path: Path) -> bool:
    """Whether the first line is a filing of the wire, or nothing that could be a row of a table."""
    for _, line in read_lines(path):
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            return True
        return not isinstance(data, dict) or "values" in data
    return True


def _wire_drafts(path: Path, clock: Clock) -> Iterator[Draft]:
    for number, line in read_lines(path):
        yield Draft(str(path), number, line if b'"submitted_at"' in line else _submitted(line, clock))


def _submitted(line: bytes, clock: Clock) -> bytes:
    """Return a filing without `submitted_at` with it, and anything that is not such a filing as it is."""
    try:
        data = msgspec.json.decode(line)
        text = clock(data["form"], data["as_of"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, KeyError):
        return line
    return msgspec.json.encode({**data, "submitted_at": text})


def _table_drafts(
    path: Path, mapping: Mapping | None, catalogue: Catalogue, form: str, clock: Clock
) -> Iterator[Draft]:
    table = read_table(path, mapping.sheet, mapping.encoding) if mapping else read_table(path)
    rows = iter(table.rows)
    first = next(rows, None)
    columns = table.columns or tuple(first.cells if first else ())
    mapping = mapping or own_format(form, columns)
    writers = [RowWriter(mapped, mapping, path, clock, catalogue) for mapped in mapping.forms]
    if table.columns:
        for writer in writers:
            writer.check_columns(columns)
    for row in _again(first, rows):
        if row.problem:
            yield Draft(str(path), row.number, None, Rejection(Reason.WRONG_SHAPE, row.problem))
            continue
        for writer in writers:
            yield from writer.take(row)
    for writer in writers:
        yield from writer.rest()


def _again(first: Row | None, rows: Iterator[Row]) -> Iterator[Row]:
    if first is not None:
        yield first
        yield from rows
