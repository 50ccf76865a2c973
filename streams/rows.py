"""Rows of a table into records of the wire, as one form's mapping says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rules.catalogue import Catalogue
from rules.problems import InputError, nearest, short
from streams.cells import is_missing, read_text
from streams.mapping import ColumnMap, FormMapping, Mapping, TextField
from streams.numerals import Numerals, read_number
from streams.parts import Head, Key, Parts, key_of
from streams.table_times import date_reader, delayed, time_reader
from streams.tables import Row, Table
from streams.wire import Reason, Rejection

Clock = Callable[[str, str], str]
"""From a form's id and an as-of date to the submission time of a filing whose file does not tell it."""

_AS_IT_IS = TextField()
_TEXTS = {str, type(None)}
_REMEMBERED = 100_000
_STRANGERS = 1_000


class Draft(NamedTuple):
    """A filing as it came out of a file: the record for the wire, or the problem that there is none."""

    file: str
    row: int
    record: bytes | None
    problem: Rejection | None = None


def draft(file: str, row: int, head: Head, values: dict[str, Any]) -> Draft:
    """Return the filing of this head and these values."""
    try:
        return Draft(file, row, msgspec.json.encode({**head, "values": values}))
    except UnicodeEncodeError:
        return Draft(file, row, None, Rejection(Reason.NOT_JSON, "a text has half of a surrogate pair"))


class Sought:
    """What a form's mapping names and files must have: columns, and in a long table names of indicators.

    `names` are not yet found, over all files of a command; `strangers` are names that no mapping knows.
    """

    def __init__(self, mapped: FormMapping) -> None:
        sources = [column.source for column in mapped.columns or () if not column.optional]
        long = mapped.layout == "long"
        fields = [f.column for f in (mapped.form, mapped.institution, mapped.as_of, mapped.submitted_at)]
        fields += [mapped.revision, mapped.indicator, mapped.value]
        self.columns = dict.fromkeys(name for name in [*fields, *(() if long else sources)] if name)
        self.names = dict.fromkeys(sources) if long else {}
        self.strangers: dict[str, None] = {}
        self.known: dict[str, None] = {}
        self.place = mapped.form.place

    def check_columns(self, path: object) -> None:
        """Raise InputError when a column that the mapping reads was not found."""
        if self.columns:
            absent = next(iter(self.columns))
            guess = nearest(absent, list(self.known)[:_STRANGERS])
            more = f" and {len(self.columns) - 1} more that the mapping reads" if len(self.columns) > 1 else ""
            raise InputError(f"{path}: has no column {absent!r}{more}{'; ' if guess else ''}{guess}")

    def check_names(self, path: object) -> None:
        """Raise InputError when a name that the mapping reads stands in no row."""
        if self.names:
            absent = next(iter(self.names))
            guess = nearest(absent, self.strangers)
            more = f", nor {len(self.names) - 1} more that the mapping reads" if len(self.names) > 1 else ""
            cure = guess or "mark it `optional: true` if it may be absent"
            raise InputError(f"{path}: no row is about {absent!r}{more}; {cure}")

    def found(self, columns: Any) -> None:
        """Note which columns are there."""
        for name in columns:
            self.columns.pop(name, None)
            if len(self.known) < _STRANGERS:
                self.known[name] = None


class _NoSuch(Exception):
    def __init__(self, rejection: Rejection) -> None:
        self.rejection = rejection


class RowWriter:
    """Makes the filings of one form from a table's rows, given one after another.

    A wide row makes its filing at once; the rows of a long table, and all where the mapping merges, go to `parts`.
    The catalogue says which forms have instants, in which time zone times are that are written without one, when a year
    ends, and whose business days a delay counts.
    """

    def __init__(
        self,
        mapped: FormMapping,
        mapping: Mapping,
        path: Path,
        clock: Clock,
        catalogue: Catalogue,
        *,
        numerals: Numerals | None = None,
        parts: Parts | None = None,
        sought: Sought | None = None,
    ) -> None:
        self.mapped = mapped
        self.mapping = mapping
        self.file = str(path)
        self.path = path
        self.clock = clock
        self.catalogue = catalogue
        self.several = len(mapping.forms) > 1
        self.numerals = numerals or Numerals(path)
        self.parts = parts if parts is not None else Parts()
        self.sought = sought or Sought(mapped)
        zone, year_end = catalogue.timezone, catalogue.year_end
        self.as_of = date_reader(mapped.as_of, zone, year_end)
        self.moment = time_reader(mapped.as_of, zone, year_end)
        self.submitted_at = time_reader(mapped.submitted_at, zone, year_end)
        self.intraday = {form.id for form in catalogue.forms.values() if form.frequency == "intraday"}
        self.used = {"institution", "form", "as_of", "submitted_at", "revision", ""}
        self.by_source: dict[str, list[ColumnMap]] = {}
        for column in mapped.columns or ():
            self.by_source.setdefault(column.source, []).append(column)
        self._columns = [
            (c.indicator, c.source, self.numerals.column(c.source).read, c.shift, c.scale) for c in mapped.columns or ()
        ]
        self._heads: dict[tuple[Any, ...], tuple[Key, Head]] = {}
        names = [f.column for f in (mapped.form, mapped.institution, mapped.as_of, mapped.submitted_at)]
        self._head_columns = [name for name in [*names, mapped.revision] if name]

    def check_columns(self, table: Table) -> None:
        """Raise InputError when the table hides a column that the mapping reads."""
        wanted = {*self.sought.columns, *self.by_source} if self.mapped.columns is not None else set(table.columns)
        unseen = next((name for name in table.columns if name in table.hidden and name in wanted), "")
        if unseen:
            cure = "show it, or name the 'sheet' in a mapping"
            raise InputError(f"{self.path}: the column {unseen!r} is hidden; {cure}")

    def take(self, row: Row) -> Iterator[Draft]:
        """Yield the row's filing, if it makes one by itself, or why it makes none."""
        try:
            if self.mapped.layout == "long":
                self._gather(row)
                return
            values = self._wide_values(row)
            if self.several and not values:
                return
            head = self._head(row.cells)
        except _NoSuch as err:
            yield Draft(self.file, row.number, None, err.rejection)
            return
        if self.mapping.merge:
            self.parts.add(key_of(head), self.file, row.number, head, values)
        else:
            yield draft(self.file, row.number, head, values)

    def has_values(self, row: Row) -> bool:
        """Whether a row says anything for this form."""
        if self.mapped.layout == "long" or self.mapped.columns is None:
            return True
        return any(not self._missing(row.cells.get(column.source)) for column in self.mapped.columns)

    def _missing(self, cell: Any) -> bool:
        return is_missing(cell, self.mapping.missing)

    def _head(self, cells: dict[str, Any]) -> Head:
        """Return everything but the values; what is missing is left out, for the decoder to name."""
        m = self.mapped
        head: Head = {}
        for key, text, reason in (
            ("institution", m.institution, Reason.UNKNOWN_INSTITUTION),
            ("form", m.form, Reason.UNKNOWN_FORM),
        ):
            if text.constant is not None:
                head[key] = text.constant
            elif not self._missing(cell := cells.get(text.column)):
                head[key] = _text(cell, text, reason)
        if not self._missing(cell := cells.get(m.as_of.column)):
            head["as_of"] = self.moment(cell) if head.get("form") in self.intraday else self.as_of(cell)
        if m.revision and not self._missing(cell := cells.get(m.revision)):
            number = read_number(cell)
            head["revision"] = int(number) if isinstance(number, float) and number.is_integer() else number
        submitted = self._submission(cells, head)
        if submitted:
            head["submitted_at"] = submitted
        return head

    def _submission(self, cells: dict[str, Any], head: Head) -> str:
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

    def _wide_values(self, row: Row) -> dict[str, Any]:
        number, missing, cells = row.number, self.mapping.missing, row.cells
        if self.mapped.columns is None:
            column = self.numerals.column
            return {
                name: column(name).read(cell, number)
                for name, cell in cells.items()
                if not is_missing(cell, missing) and name not in self.used
            }
        return {
            indicator: read(cell, number, shift, scale)
            for indicator, source, read, shift, scale in self._columns
            if not is_missing(cell := cells.get(source), missing)
        }

    def _gather(self, row: Row) -> None:
        cells = row.cells
        key, head = self._known_head(cells)
        named = cells.get(self.mapped.indicator)
        source = "" if self._missing(named) else str(named).strip()
        if self.mapped.columns is None:
            told = [ColumnMap(source, source)]
        else:
            told = self.by_source.get(source, [])
            if told:
                self.sought.names.pop(source, None)
            elif len(self.sought.strangers) < _STRANGERS:
                self.sought.strangers[source] = None
        cell = cells.get(self.mapped.value)
        missing = self._missing(cell)
        column = self.numerals.column(self.mapped.value)
        for one in told:
            value = None if missing else column.read(cell, row.number, one.shift, one.scale)
            self.parts.add(key, self.file, row.number, head, {one.indicator: value})

    def _known_head(self, cells: dict[str, Any]) -> tuple[Key, Head]:
        """Return the row's head and key; the same objects for the same texts."""
        told = tuple([cells.get(name) for name in self._head_columns])
        if not {*map(type, told)} <= _TEXTS:
            head = self._head(cells)
            return key_of(head), head
        found = self._heads.get(told)
        if found is None:
            if len(self._heads) >= _REMEMBERED:
                self._heads.clear()
            head = self._head(cells)
            found = self._heads[told] = key_of(head), head
        return found


def _text(cell: Any, field: TextField, reason: Reason) -> str:
    told = read_text(cell, _AS_IT_IS)
    if field.values and told not in field.values:
        guess = nearest(told, field.values)
        hint = f"; {guess}" if guess else ""
        raise _NoSuch(Rejection(reason, f"the column {field.column!r} is {short(told)}, not one of the mapping{hint}"))
    return read_text(cell, field)
