"""Mapping files: how a foreign table becomes filings and institutions, in YAML and without code.

    mapping: us-fdic
    form: us.call.q
    institution: {column: CERT, prefix: US}
    as_of: {column: REPDTE, format: "%Y%m%d"}
    submitted_at: {delay: 30d}
    columns:
      total_assets: {from: ASSET, unit: thousands}

`docs/filings.md` explains every key. Mappings that come with Guanlan stand in `streams/mappings/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rules.catalogue import Catalogue
from rules.problems import InputError, Place, Problem, nearest
from rules.source import Reader, SourceProblem, Value, parse_yaml
from streams.numerals import GROUPINGS, MARKS
from streams.opening import read_whole_text

HERE = Path(__file__).parent / "mappings"
NOWHERE = Place("")

UNITS: dict[str, int] = {
    "percent": -2,
    "permille": -3,
    "bp": -4,
    "thousands": 3,
    "millions": 6,
    "billions": 9,
    "万": 4,
    "亿": 8,
}
"""By how many places the decimal point of a number in the table moves."""

DATES = ("opened", "closed", "registered")
"""Keys of an entry of the registry that are dates."""

DELIMITERS = {",": ",", ";": ";", "tab": "\t", "\t": "\t", "|": "|"}
"""What parts the cells of CSV, by the name that a mapping gives it."""

PERIODS = ("month", "quarter", "year")
_DELAY = re.compile(r"(\d{1,4})(bd|d|h)")


@dataclass(frozen=True, slots=True)
class TextField:
    """A text from a column, with a prefix or looked up in `values`; or the same text for every row."""

    column: str = ""
    prefix: str = ""
    values: dict[str, str] = field(default_factory=dict)
    constant: str | None = None
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class TimeField:
    """A time from a column; `format` as for strptime (ISO 8601 when empty).

    `end_of` moves a date to the last day of its month, quarter or year. `delay` ("30d", "15bd", "6h") is added;
    a submission time without a column is the as-of date plus the delay.
    """

    column: str = ""
    format: str = ""
    end_of: str = ""
    delay: str = ""
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class DateField:
    """A date of the registry from a column; `format` as for strptime (ISO 8601 when empty)."""

    column: str = ""
    format: str = ""
    optional: bool = False
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """One indicator: where its numbers stand, by how many places their point moves, and what they are times."""

    indicator: str
    source: str
    shift: int = 0
    scale: float = 1.0
    optional: bool = False
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class FormMapping:
    """How rows become filings of a form.

    wide: a row is a filing and `ColumnMap.source` is a column. long: a row is one value, named in the column
    `indicator` and told in the column `value`, and `ColumnMap.source` is such a name. `columns` None means that
    every column (every name) that is not used otherwise is an indicator's id.
    """

    form: TextField
    institution: TextField
    as_of: TimeField
    submitted_at: TimeField = TimeField()
    revision: str = ""
    layout: str = "wide"
    indicator: str = ""
    value: str = ""
    columns: tuple[ColumnMap, ...] | None = None


@dataclass(frozen=True, slots=True)
class InstitutionMapping:
    """How rows become entries of the registry; keys of `fields` and `dates` are the entry's, names by language."""

    fields: dict[str, TextField]
    names: dict[str, TextField]
    attributes: dict[str, TextField]
    dates: dict[str, DateField] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping file. `missing` are the texts that mean a missing cell besides an empty one.

    `delimiter` parts the cells of CSV, `decimal` is the decimal mark of numbers that are texts and `grouping` what may
    stand between groups of their digits; empty where nobody says. `merge` puts parts of one filing together, in
    whatever rows and files of one command they stand.
    """

    name: str
    forms: tuple[FormMapping, ...]
    institutions: InstitutionMapping | None = None
    sheet: str = ""
    encoding: str = ""
    missing: frozenset[str] = frozenset()
    delimiter: str = ""
    decimal: str = ""
    grouping: str = ""
    merge: bool = False

    def check(self, catalogue: Catalogue) -> None:
        """Raise InputError when a form or an indicator is not in the catalogue, or stands in the wrong form."""
        problems: list[Problem] = []
        for mapped in self.forms:
            form = mapped.form.constant
            if form is None:
                continue
            if form not in catalogue.forms:
                summary = f"the catalogue has no form {form!r}"
                problems.append(Problem(mapped.form.place, "unknown-form", summary, nearest(form, catalogue.forms)))
                continue
            known = catalogue.reported(form)
            for column in mapped.columns or ():
                if column.indicator not in known:
                    summary = f"the form {form!r} has no indicator {column.indicator!r}"
                    fix = nearest(column.indicator, known)
                    problems.append(Problem(column.place, "unknown-indicator", summary, fix))
        _raise(problems)


def own_format(form: str = "", columns: Iterable[str] = ()) -> Mapping:
    """Return the mapping of tables that already use our names.

    Columns: `institution`, `as_of`, and where they exist `form`, `submitted_at`, `revision`; a table with columns
    `indicator` and `value` is long, otherwise every other column is an indicator's id. `form` is for tables
    without such a column. Raises InputError when neither names a form.
    """
    there = set(columns)
    if "form" not in there and not form:
        raise InputError("the table has no column 'form': name the form with --form, or give a --mapping")
    long = {"indicator", "value"} <= there
    mapped = FormMapping(
        form=TextField(column="form") if "form" in there else TextField(constant=form),
        institution=TextField(column="institution"),
        as_of=TimeField(column="as_of"),
        submitted_at=TimeField(column="submitted_at" if "submitted_at" in there else ""),
        revision="revision" if "revision" in there else "",
        layout="long" if long else "wide",
        indicator="indicator" if long else "",
        value="value" if long else "",
    )
    return Mapping("", (mapped,))


def available() -> list[str]:
    """Names of the mappings that come with Guanlan."""
    return sorted(path.stem for path in HERE.glob("*.yaml"))


def load_mapping(name: str | Path) -> Mapping:
    """Load a mapping by its name or its path; raise InputError with every problem, each with its place."""
    path = Path(name) if str(name).endswith((".yaml", ".yml")) else HERE / f"{name}.yaml"
    if not path.is_file():
        fix = nearest(str(name), available()) or f"there are: {', '.join(available())}"
        raise InputError(f"there is no mapping {str(name)!r}: {fix}")
    return parse_mapping(read_whole_text(path), str(name))


def parse_mapping(text: str, file: str) -> Mapping:
    """Read a mapping from its text; `file` is what the problems call it."""
    problems: list[Problem] = []
    try:
        root = parse_yaml(text, file)
    except SourceProblem as err:
        raise InputError(str(err)) from None
    top = Reader(root, problems, "a mapping")
    own = ("mapping", "title", "forms", "institutions", *_FILE_KEYS, "missing", "merge")
    top.only((*own, *_FORM_KEYS))
    forms = tuple(_form(value, problems) for value in top.items("forms"))
    single = [key for key in _FORM_KEYS if key in top.data]
    if single and forms:
        top.problem(top.place(single[0]), "shape", f"{single[0]!r} can't stand beside 'forms'", "move it into a form")
    elif single:
        rest = {k: v for k, v in top.data.items() if k in _FORM_KEYS}
        forms = (_form(Value(rest, root.place, root.key_places), problems),)
    institutions = top.data.get("institutions")
    mapping = Mapping(
        name=top.text("mapping"),
        forms=forms,
        institutions=_institutions(institutions, problems) if institutions else None,
        sheet=top.text("sheet", ""),
        encoding=top.text("encoding", ""),
        missing=frozenset(top.strings("missing")),
        delimiter=DELIMITERS[top.choice("delimiter", DELIMITERS)] if "delimiter" in top.data else "",
        decimal=top.choice("decimal", MARKS) if "decimal" in top.data else "",
        grouping=top.choice("grouping", GROUPINGS) if "grouping" in top.data else "",
        merge=top.flag("merge", False),
    )
    if mapping.grouping and mapping.grouping == mapping.decimal:
        summary = f"{mapping.grouping!r} can't be both the decimal mark and the mark between groups"
        top.problem(top.place("grouping"), "shape", summary)
    if mapping.grouping and not mapping.decimal:
        top.problem(top.place("grouping"), "required", "'grouping' needs 'decimal' beside it")
    if mapping.grouping == "indian" and mapping.decimal == ",":
        top.problem(top.place("grouping"), "shape", "Indian groups are parted by commas", 'decimal: "."')
    if not forms and not institutions:
        top.problem(root.place, "required", "a mapping needs 'form', 'forms' or 'institutions'")
    _raise(problems)
    return mapping


_FILE_KEYS = ("sheet", "encoding", "delimiter", "decimal", "grouping")
_FORM_KEYS = (
    "form",
    "layout",
    "institution",
    "as_of",
    "submitted_at",
    "revision",
    "indicator",
    "value",
    "columns",
)


def _form(value: Value, problems: list[Problem]) -> FormMapping:
    r = Reader(value, problems, "a form's mapping")
    r.only(_FORM_KEYS)
    layout = r.choice("layout", ("wide", "long"), "wide")
    for key in ("indicator", "value"):
        if layout == "wide" and key in r.data:
            r.problem(r.place(key), "shape", f"{key!r} is for 'layout: long'")
    if "columns" not in r.data:
        r.problem(value.place, "required", "a form's mapping needs 'columns'")
    columns = tuple(_column(name, v, problems) for name, v in r.mapping("columns").items())
    return FormMapping(
        form=_text(r, "form", constant=True),
        institution=_text(r, "institution"),
        as_of=_time(r, "as_of", needs_column=True),
        submitted_at=_time(r, "submitted_at", needs_column=False),
        revision=_text(r, "revision").column if "revision" in r.data else "",
        layout=layout,
        indicator=_text(r, "indicator").column if layout == "long" else "",
        value=_text(r, "value").column if layout == "long" else "",
        columns=columns,
    )


def _column(name: str, value: Value, problems: list[Problem]) -> ColumnMap:
    if isinstance(value.data, str):
        return ColumnMap(name, value.data, place=value.place)
    r = Reader(value, problems, f"the column of {name!r}")
    r.only(("from", "unit", "scale", "optional"))
    shift, scale = 0, 1.0
    if "unit" in r.data and "scale" in r.data:
        r.problem(r.place("scale"), "shape", "give 'unit' or 'scale', not both")
    elif "unit" in r.data:
        shift = UNITS[r.choice("unit", UNITS)]
    elif "scale" in r.data:
        scale = r.number("scale", 1.0)
    return ColumnMap(name, r.text("from"), shift, scale, r.flag("optional", False), value.place)


def _text(r: Reader, key: str, constant: bool = False) -> TextField:
    """Read a text field; a plain text is the constant where that makes sense, else the column's name."""
    found = r.data.get(key)
    if found is None:
        r.problem(r.value.place, "required", f"{r.what} needs {key!r}")
        return TextField()
    if not isinstance(found.data, dict):
        text = r.text(key)
        return TextField(constant=text, place=found.place) if constant else TextField(text, place=found.place)
    field_ = Reader(found, r.problems, f"{key!r}")
    field_.only(("column", "prefix", "values", "constant"))
    if ("column" in field_.data) == ("constant" in field_.data):
        field_.problem(found.place, "shape", f"{key!r} needs either 'column' or 'constant'")
    values = {k: str(v.data) for k, v in field_.mapping("values").items()}
    return TextField(
        column=field_.text("column", ""),
        prefix=field_.text("prefix", ""),
        values=values,
        constant=field_.text("constant") if "constant" in field_.data else None,
        place=found.place,
    )


def _time(r: Reader, key: str, needs_column: bool) -> TimeField:
    found = r.data.get(key)
    if found is None:
        if needs_column:
            r.problem(r.value.place, "required", f"{r.what} needs {key!r}")
        return TimeField()
    if not isinstance(found.data, dict):
        return TimeField(r.text(key), place=found.place)
    time = Reader(found, r.problems, f"{key!r}")
    time.only(("column", "format", "end_of", "delay"))
    delay = time.text("delay", "")
    if delay and not _DELAY.fullmatch(delay):
        time.problem(time.place("delay"), "shape", f"'delay' can't be {delay!r}", "30d, 15bd or 6h")
    if needs_column and "column" not in time.data:
        time.problem(found.place, "required", f"{key!r} needs 'column'")
    end_of = time.choice("end_of", PERIODS, PERIODS[0]) if "end_of" in time.data else ""
    return TimeField(time.text("column", ""), time.text("format", ""), end_of, delay, found.place)


def _institutions(value: Value, problems: list[Problem]) -> InstitutionMapping:
    r = Reader(value, problems, "the mapping of institutions")
    r.only(("code", "name", "type", "region", "peer_group", "lei", "dsib_bucket", *DATES, "attributes"))
    names: dict[str, TextField] = {}
    name = r.data.get("name")
    if name is not None:
        by_language = isinstance(name.data, dict) and not {"column", "constant"} & name.data.keys()
        names = _fields(name, problems, "'name'") if by_language else {"en": _text(r, "name")}
    attributes = r.data.get("attributes")
    return InstitutionMapping(
        fields={key: _text(r, key) for key in ("code", *r.data) if key not in ("name", "attributes", *DATES)},
        names=names,
        attributes=_fields(attributes, problems, "'attributes'") if attributes else {},
        dates={key: _date(r, key) for key in DATES if key in r.data},
    )


def _date(r: Reader, key: str) -> DateField:
    found = r.data[key]
    if not isinstance(found.data, dict):
        return DateField(r.text(key), place=found.place)
    told = Reader(found, r.problems, f"{key!r}")
    told.only(("column", "format", "optional"))
    return DateField(told.text("column"), told.text("format", ""), told.flag("optional", False), found.place)


def _fields(value: Value, problems: list[Problem], what: str) -> dict[str, TextField]:
    r = Reader(value, problems, what)
    return {key: _text(r, key) for key in r.data}


def delay_parts(delay: str) -> tuple[int, str]:
    """Return the number and the unit ("d", "bd" or "h") of a delay like "30d"; raises ValueError."""
    found = _DELAY.fullmatch(delay)
    if not found:
        raise ValueError(f"{delay!r} is no delay: 30d, 15bd or 6h")
    return int(found[1]), found[2]


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise InputError("\n".join(map(str, problems)))
