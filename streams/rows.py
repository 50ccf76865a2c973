"""Rows of a table into records of the wire, as one form's mapping says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rules.catalogue import Catalogue
from rules.problems import InputError, nearest
from streams.cells import is_missing, read_number, read_text
from streams.mapping import ColumnMap, FormMapping, Mapping
from streams.readers import Row
from streams.table_times import date_reader, delayed, time_reader
from streams.wire import Reason, Rejection

Clock = Callable[[str, str], str]
"""From a form's id and an as-of date to the submission time of a filing whose file does not tell it."""


class Draft(NamedTuple):
    """A filing as it came out of a file: the record for the wire, or the problem that there is none."""

    file: str
    row: int
    record: bytes | None
    problem: Rejection | None = None


@dataclass(slots=True)
class _Group:
    """The rows of a long table that make one filing, as far as they have come."""

    row: int
    head: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    problem: Rejection | None = None


class RowWriter:
    """Makes the filings of one form from a table's rows, given one after another.

    A wide row makes its filing at once; the rows of a long table are kept until `rest`, because nothing says
    that those of one filing stand together. The catalogue says which forms have instants, in which time zone times
    are that are written without one, when a year ends, and whose business days a delay counts.
    """

    def __init__(self, mapped: FormMapping, mapping: Mapping, path: Path, clock: Clock, catalogue: Catalogue) -> None:
        self.mapped = mapped
        self.mapping = mapping
        self.path = path
        self.clock = clock
        self.catalogue = catalogue
        self.several = len(mapping.forms) > 1
        zone, year_end = catalogue.timezone, catalogue.year_end
        self.as_of = date_reader(mapped.as_of, zone, year_end)
        self.moment = time_reader(mapped.as_of, zone, year_end)
        self.submitted_at = time_reader(mapped.submitted_at, zone, year_end)
        self.intraday = {form.id for form in catalogue.forms.values() if form.frequency == "intraday"}
        self.used = {"institution", "form", "as_of", "submitted_at", "revision", ""}
        self.by_source: dict[str, list[ColumnMap]] = {}
        for column in mapped.columns or ():
            self.by_source.setdefault(column.source, []).append(column)
        self.groups: dict[tuple[str, ...], _Group] = {}

    def check_columns(self, columns: tuple[str, ...]) -> None:
        """Raise InputError when the table lacks a column that the mapping reads."""
        m = self.mapped
        needed = [f.column for f in (m.form, m.institution, m.as_of, m.submitted_at)]
        needed += [m.revision, m.indicator, m.value]
        if m.layout == "wide":
            needed += [column.source for column in m.columns or () if not column.optional]
        absent = [name for name in needed if name and name not in columns]
        if absent:
            guess = nearest(absent[0], columns)
            more = f" and {len(absent) - 1} more that the mapping reads" if len(absent) > 1 else ""
            raise InputError(f"{self.path}: has no column {absent[0]!r}{more}{'; ' if guess else ''}{guess}")

    def take(self, row: Row) -> Iterator[Draft]:
        """Yield the row's filing, if it makes one by itself."""
        if self.mapped.layout == "long":
            self._gather(row)
            return
        values = self._wide_values(row.cells)
        if values or not self.several:
            yield self._draft(row.number, self._head(row.cells), values)

    def rest(self) -> Iterator[Draft]:
        """Yield what was kept, in the order in which filings first appeared."""
        for group in self.groups.values():
            if group.problem is not None:
                yield Draft(str(self.path), group.row, None, group.problem)
            else:
                yield self._draft(group.row, group.head, group.values)

    def _draft(self, number: int, head: dict[str, Any], values: dict[str, Any]) -> Draft:
        return Draft(str(self.path), number, msgspec.json.encode({**head, "values": values}))

    def _missing(self, cell: Any) -> bool:
        return is_missing(cell, self.mapping.missing)

    def _head(self, cells: dict[str, Any]) -> dict[str, Any]:
        """Return everything but the values; what is missing is left out, for the decoder to name."""
        m = self.mapped
        head: dict[str, Any] = {}
        for key, text in (("institution", m.institution), ("form", m.form)):
            if text.constant is not None:
                head[key] = text.constant
            elif not self._missing(cell := cells.get(text.column)):
                head[key] = read_text(cell, text)
        if not self._missing(cell := cells.get(m.as_of.column)):
            head["as_of"] = self.moment(cell) if head.get("form") in self.intraday else self.as_of(cell)
        if m.revision and not self._missing(cell := cells.get(m.revision)):
            number = read_number(cell)
            head["revision"] = int(number) if isinstance(number, float) and number.is_integer() else number
        submitted = self._submission(cells, head)
        if submitted:
            head["submitted_at"] = submitted
        return head

    def _submission(self, cells: dict[str, Any], head: dict[str, Any]) -> str:
        told = self.mapped.submitted_at
        as_of = head.get("as_of", "")
        if told.column and not self._missing(cell := cells.get(told.column)):
            submitted = self.submitted_at(cell)
        elif told.delay and not told.column:
            submitted = as_of
        else:
            return self.clock(head.get("form", ""), as_of)
        if not told.delay:
            return submitted
        return delayed(submitted, told.delay, self.catalogue.country, self.catalogue.timezone)

    def _wide_values(self, cells: dict[str, Any]) -> dict[str, Any]:
        if self.mapped.columns is None:
            return {
                name: read_number(cell)
                for name, cell in cells.items()
                if name not in self.used and not self._missing(cell)
            }
        return {
            column.indicator: read_number(cell, column.shift, column.scale)
            for column in self.mapped.columns
            if not self._missing(cell := cells.get(column.source))
        }

    def _gather(self, row: Row) -> None:
        cells = row.cells
        head = self._head(cells)
        key = tuple(str(head.get(name, "")) for name in ("form", "institution", "as_of", "revision"))
        named = cells.get(self.mapped.indicator)
        source = "" if self._missing(named) else str(named).strip()
        anything = self.mapped.columns is None
        told = [ColumnMap(source, source)] if anything else self.by_source.get(source, [])
        for column in told:
            indicator = column.indicator
            group = self.groups.setdefault(key, _Group(row.number, head))
            if indicator in group.rows and group.problem is None:
                both = f"rows {group.rows[indicator]} and {row.number}"
                detail = f"{indicator} stands twice for {key[1]} at {key[2]} ({both})"
                group.problem = Rejection(Reason.WRONG_SHAPE, detail)
            group.rows[indicator] = row.number
            cell = cells.get(self.mapped.value)
            if not self._missing(cell):
                group.values[indicator] = read_number(cell, column.shift, column.scale)
