"""From files to filings: tables and JSON Lines become records of the wire, and records become columns.

Nothing here knows Kafka. `guanlan submit` sends what `streams.intake` took in of what `filings_from` yields,
`guanlan backtest` judges what `load_columns` returns, and both go through the worker's own decoder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from rules.calendar import DAY, due_at, has_deadline
from rules.catalogue import Catalogue
from rules.problems import InputError, nearest
from streams.batches import Batch, RowRefusal, in_batches
from streams.columns import Columns
from streams.decode import MAX_BYTES, Decoder
from streams.intake import take_in
from streams.limits import LIMITS, Limits
from streams.mapping import Mapping, load_mapping, own_format
from streams.numerals import Numerals
from streams.parts import Parts
from streams.read_json import json_row
from streams.readers import check_file, is_json_lines, read_lines, read_table
from streams.rows import Clock, Draft, RowWriter, Sought, draft
from streams.tables import Row, Table
from streams.times import read_as_of
from streams.twins import has_twins
from streams.wire import Reason, Rejection, instant_text

__all__ = ["Batch", "Draft", "RowRefusal", "at", "filings_from", "in_batches", "load_columns", "on_the_due_day"]

_OWN = ("form", "submitted_at", "revision", "indicator", "value")


def filings_from(
    paths: Iterable[Path],
    mapping: Mapping | str | Path | None,
    catalogue: Catalogue,
    form: str = "",
    clock: Clock | None = None,
    *,
    sheet: str = "",
    decimal: str = "",
    limits: Limits = LIMITS,
) -> Iterator[Draft]:
    """Yield the filings of the files, in the files' order.

    Without a mapping the files use our names: JSON Lines of the wire format or flat, or tables as `own_format`
    says; `form` names the form of tables that have no such column. `clock` gives the submission time that a file
    does not tell; by default each filing counts as submitted on the day it was due. `sheet` and `decimal` count where
    no mapping says them.

    Raises InputError for a file that can't be read, and for a mapping that does not fit the catalogue or the file; that
    may come after the last filing, so nothing may be done with a filing before all were taken (`streams.intake`).
    """
    if isinstance(mapping, str | Path):
        mapping = load_mapping(mapping)
    if form and form not in catalogue.forms:
        raise InputError(f"there is no form {form!r} in the catalogue; {nearest(form, catalogue.forms)}".rstrip("; "))
    if mapping is not None:
        mapping.check(catalogue)
        if not mapping.forms:
            raise InputError(f"the mapping {mapping.name!r} is for institutions, not for filings")
    paths = list(paths)
    for path in paths:
        check_file(path)
    reading = _Reading(mapping, catalogue, form, clock or on_the_due_day(catalogue), sheet, decimal, limits)
    for path in paths:
        yield from reading.file(path)
    yield from reading.rest(paths)


class _Reading:
    """Reads the files of one command, one after another."""

    def __init__(
        self,
        mapping: Mapping | None,
        catalogue: Catalogue,
        form: str,
        clock: Clock,
        sheet: str,
        decimal: str,
        limits: Limits,
    ) -> None:
        self.mapping = mapping
        self.catalogue = catalogue
        self.form = form
        self.clock = clock
        self.sheet = (mapping.sheet if mapping else "") or sheet
        self.decimal = (mapping.decimal if mapping else "") or decimal
        self.limits = limits
        self.merge = mapping is not None and mapping.merge
        self.parts = Parts(merge=True)
        self.sought = [Sought(mapped) for mapped in mapping.forms] if mapping else []
        self.rows = 0

    def file(self, path: Path) -> Iterator[Draft]:
        """Yield the filings of one file, but for those that are merged."""
        if self.mapping is None and is_json_lines(path):
            yield from self._own_lines(path)
            return
        m = self.mapping
        table = read_table(path, self.sheet, m.encoding if m else "", m.delimiter if m else "", self.limits)
        numerals = Numerals(path, self.decimal, m.grouping if m else "", table.point)
        parts = self.parts if self.merge else Parts()
        mapping = m or own_format(self.form, table.columns)
        sought = self.sought or [Sought(mapped) for mapped in mapping.forms]
        if not self.merge:
            sought = [_again(mapped, known) for mapped, known in zip(mapping.forms, sought, strict=True)]
        writers = [
            RowWriter(
                mapped, mapping, path, self.clock, self.catalogue, numerals=numerals, parts=parts, sought=one
            )
            for mapped, one in zip(mapping.forms, sought, strict=True)
        ]
        yield from self._table(table, writers, numerals)
        for whole in () if self.merge else parts.all():
            yield _draft(whole)

    def rest(self, paths: list[Path]) -> Iterator[Draft]:
        """Yield the merged filings, and say what was sought in all files and found in none."""
        names = ", ".join(map(str, paths))
        if self.rows:
            for sought in self.sought:
                if self.merge:
                    sought.check_columns(names)
                sought.check_names(names)
        for whole in self.parts.all():
            yield _draft(whole)

    def _table(self, table: Table, writers: list[RowWriter], numerals: Numerals) -> Iterator[Draft]:
        path = table.path
        for writer in writers:
            writer.check_columns(table)
            writer.sought.found(table.columns)
            if table.columns and not self.merge:
                writer.sought.check_columns(path)
        unsure = [] if table.columns else [writer.sought for writer in writers]
        for row in table.rows:
            self.rows += 1
            if row.problem:
                yield Draft(str(path), row.number, None, Rejection(Reason.WRONG_SHAPE, row.problem))
                continue
            for sought in unsure:
                if sought.columns:
                    sought.found(row.cells)
            yield from self._row(row, writers)
        if self.rows and not self.merge:
            for sought in unsure:
                sought.check_columns(path)
        numerals.check()

    def _row(self, row: Row, writers: list[RowWriter]) -> Iterator[Draft]:
        if len(writers) > 1 and not any(writer.has_values(row) for writer in writers):
            detail = "the row has a value for none of the mapping's forms"
            yield Draft(writers[0].file, row.number, None, Rejection(Reason.EMPTY, detail))
            return
        for writer in writers:
            yield from writer.take(row)

    def _own_lines(self, path: Path) -> Iterator[Draft]:
        """Yield the filings of JSON Lines with our names: each line says by its own keys what it is."""
        numerals, parts = Numerals(path, self.decimal), Parts()
        writers: dict[tuple[bool, ...], RowWriter] = {}
        for number, line in read_lines(path, self.limits):
            if b'"values"' in line:
                yield Draft(str(path), number, line if b'"submitted_at"' in line else _submitted(line, self.clock))
                continue
            row = json_row(number, line)
            if row.problem:
                yield Draft(str(path), number, line)
                continue
            kind = tuple([name in row.cells for name in _OWN])
            writer = writers.get(kind)
            if writer is None:
                mapping = own_format(self.form, row.cells)
                writer = writers[kind] = RowWriter(
                    mapping.forms[0], mapping, path, self.clock, self.catalogue, numerals=numerals, parts=parts
                )
            yield from writer.take(row)
        numerals.check()
        for whole in parts.all():
            yield _draft(whole)


def _again(mapped: object, known: Sought) -> Sought:
    """Return what one more file must have: the same columns anew, and names that no file had yet."""
    fresh = Sought(mapped)  # type: ignore[arg-type]
    fresh.names, fresh.strangers = known.names, known.strangers
    return fresh


def _draft(whole: object) -> Draft:
    file, row, head, values, problem = whole  # type: ignore[misc]
    return Draft(file, row, None, problem) if problem is not None else draft(file, row, head, values)


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
    limits: Limits = LIMITS,
) -> tuple[list[Columns], list[RowRefusal]]:
    """Read whole files into columns by form, and what was refused.

    `index` is a filing's rank among all accepted filings of all forms by (submitted-at, as-of, position in the
    files); each form's columns are in that order. A filing that others contradict is refused, as they are.
    Raises InputError as `filings_from` does.
    """
    pieces: dict[str, list[Columns]] = {}

    class Keeper:
        def take(self, columns: Columns) -> None:
            pieces.setdefault(columns.form, []).append(columns)

    decoder = Decoder(catalogue, max_bytes)
    drafts = filings_from(paths, mapping, catalogue, form, limits=limits)
    with take_in(drafts, decoder, observers=[Keeper()], spooled=False) as taken:
        joined = [_join(parts) for parts in pieces.values()]
        left = [columns.take(~taken.is_dropped(columns.index)) for columns in joined]
        return _ranked([columns for columns in left if len(columns)]), taken.refused.all()


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


def _submitted(line: bytes, clock: Clock) -> bytes:
    """Return a filing without `submitted_at` with it, and anything that is not such a filing as it is."""
    if has_twins(line):
        return line
    try:
        data = msgspec.json.decode(line)
        text = clock(data["form"], data["as_of"])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, KeyError):
        return line
    return msgspec.json.encode({**data, "submitted_at": text})
