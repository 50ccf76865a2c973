"""The registry of institutions: seed files, and the compacted topic that every worker reads at its start."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from collections.abc import Mapping as Table
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec

from rules.calendar import format_instant, parse_instant
from rules.catalogue import SYSTEM
from rules.problems import InputError, Problem, nearest
from rules.registry import Institution
from rules.source import Reader, SourceProblem, Value, parse_yaml
from streams.cells import is_missing, read_text
from streams.clients import answering, open_producer, read_to_end
from streams.codes import EXACT_DIGITS, attribute_value, inexact, institution_problems, written_twice
from streams.mapping import DATES, DateField, InstitutionMapping, Mapping, TextField, load_mapping
from streams.measured import OTHERS
from streams.readers import kind_of, read_table, read_whole_text
from streams.tape import OWN_SERIES

RESERVED = frozenset({SYSTEM, OTHERS, *OWN_SERIES})
"""Codes that would be taken for the system as a whole, for the others together, or for a series of the market."""
KEYS = ("code", "name", "type", "region", "peer_group", "lei", "dsib_bucket", *DATES, "attributes")
NO_END = 9999
"""The year by which registries say that something has no end."""


def publish_institutions(bootstrap: str, topic: str, institutions: Iterable[Institution]) -> int:
    """Write each institution under its code and return how many; a later record of a code replaces it.

    Raises ServiceError when the broker does not answer or refuses one.
    """
    producer = open_producer(bootstrap, linger_ms=20, allow_auto_create_topics=False)
    with answering(bootstrap):
        try:
            sent = [producer.send(topic, key=i.code.encode(), value=msgspec.json.encode(i)) for i in institutions]
            producer.flush()
            for future in sent:
                future.get()
        finally:
            producer.close()
    return len(sent)


def retire_institutions(bootstrap: str, topic: str, codes: Iterable[str]) -> None:
    """Write a tombstone for each code: the institution leaves the registry and its alerts are retired."""
    producer = open_producer(bootstrap, allow_auto_create_topics=False)
    with answering(bootstrap):
        try:
            for future in [producer.send(topic, key=code.encode(), value=None) for code in codes]:
                future.get(timeout=60)
        finally:
            producer.close()


def read_institutions(bootstrap: str, topic: str) -> list[Institution]:
    """Read the topic to its end and return the latest record of each code that is not retired, by code.

    A record that is no institution is passed over: one bad record must not keep a worker from starting.
    Raises ServiceError when the broker does not answer.
    """
    latest: dict[bytes, Institution] = {}
    for record in read_to_end(bootstrap, topic):
        key = record.key or b""
        institution = decode_institution(record.value)
        if institution is not None:
            latest[key] = institution
        elif record.value is None:
            latest.pop(key, None)
    return sorted(latest.values(), key=lambda i: i.code)


def read_registrations(bootstrap: str, topic: str) -> dict[str, str]:
    """Read when each institution of the topic came into the registry, as an ISO instant by code.

    It is what its record says, else the time stamp of the first record that is there. Raises ServiceError.
    """
    found: dict[str, str] = {}
    for record in read_to_end(bootstrap, topic):
        institution = decode_institution(record.value)
        if institution is not None:
            code = institution.code
            found[code] = institution.registered or found.get(code) or stamped(record.timestamp)
        elif record.value is None:
            found.pop((record.key or b"").decode("utf-8", "replace"), None)
    return found


def stamped(timestamp: int) -> str:
    """Return a record's time stamp, milliseconds, as an ISO instant; empty where it has none.

    >>> stamped(86_400_000), stamped(-1)
    ('1970-01-02', '')
    """
    return format_instant(timestamp // 1000) if timestamp > 0 else ""


def registered(institutions: Iterable[Institution], known: Table[str, str], now: int) -> list[Institution]:
    """Return the institutions with when each came into the registry: as it says, as is known of its code, else now."""
    at = format_instant(now)
    return [msgspec.structs.replace(i, registered=i.registered or known.get(i.code) or at) for i in institutions]


def unreadable(institution: Institution) -> list[str]:
    """Return which of an institution's dates are none: nothing is made of them."""
    return [name for name in DATES if (text := getattr(institution, name)) and not _is_instant(text)]


def decode_institution(value: bytes | None) -> Institution | None:
    """Return the institution in a record's value, or None for a tombstone or anything else."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=Institution)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_seed(
    paths: Iterable[Path], mapping: Mapping | str | Path | None = None, types: Collection[str] | None = None
) -> list[Institution]:
    """Read institutions from seed files: YAML in the registry's own shape, or tables.

    A table has the columns `code`, `name` (or `name_en`, `name_zh` …), `type`, `region`, `peer_group`, `lei`,
    `dsib_bucket`, `opened`, `closed`, `registered`; every other column is an attribute. A `mapping` with a section
    `institutions` reads a foreign table. `types` are the types that are known, None for any. Raises InputError with
    every problem found, also for a code that stands twice, an LEI whose check digits are wrong, and a group in two
    spellings.
    """
    if isinstance(mapping, str | Path):
        mapping = load_mapping(mapping)
    if mapping is not None and mapping.institutions is None:
        raise InputError(f"the mapping {mapping.name!r} has no section 'institutions'")
    found: dict[str, Institution] = {}
    problems: list[str] = []
    for path in paths:
        yaml = kind_of(path) in (".yaml", ".yml")
        for place, institution in _yaml_seed(path, problems) if yaml else _table_seed(path, mapping, problems):
            if institution.code in RESERVED:
                problems.append(f"{place}: no institution can have the code {institution.code!r}: the system uses it")
            if institution.code in found:
                problems.append(f"{place}: the code {institution.code!r} stands twice")
            problems += [f"{place}: {problem}" for problem in institution_problems(institution, types)]
            found[institution.code] = institution
    problems += written_twice(found.values())
    if problems:
        raise InputError("\n".join(problems))
    return list(found.values())


def _table_seed(path: Path, mapping: Mapping | None, problems: list[str]) -> Iterator[tuple[str, Institution]]:
    table = read_table(path, mapping.sheet, mapping.encoding, mapping.delimiter) if mapping else read_table(path)
    missing = mapping.missing if mapping else frozenset[str]()
    fields = mapping.institutions if mapping else None
    if table.hidden:
        cure = "show it, or name the 'sheet' in a mapping"
        raise InputError(f"{path}: the column {min(table.hidden)!r} is hidden; {cure}")
    if table.columns and fields is not None:
        _check_columns(path, fields, table.columns)
    keys: dict[str, None] = {}
    for row in table.rows:
        if not table.columns:
            keys |= dict.fromkeys(row.cells)
        place = f"{path} row {row.number}"
        try:
            if row.problem:
                raise ValueError(row.problem)
            own = fields or _own_columns(table.columns or tuple(row.cells))
            yield place, _from_cells(own, row.cells, missing)
        except ValueError as err:
            problems.append(f"{place}: {err}")
    if keys and fields is not None:
        _check_columns(path, fields, tuple(keys))


def _check_columns(path: Path, fields: InstitutionMapping, columns: tuple[str, ...]) -> None:
    for group in (fields.fields, fields.names, fields.attributes, fields.dates):
        for told in group.values():
            optional = isinstance(told, DateField) and told.optional
            if told.column and told.column not in columns and not optional:
                guess = nearest(told.column, columns)
                raise InputError(f"{path}: has no column {told.column!r}; {guess}".rstrip("; "))


def _own_columns(columns: tuple[str, ...]) -> InstitutionMapping:
    """Return the mapping of a table that uses the registry's own names."""
    names = {"en" if c == "name" else c[5:]: TextField(c) for c in columns if c == "name" or c.startswith("name_")}
    named = {field.column for field in names.values()}
    rest = [c for c in columns if c and c not in named and c not in KEYS]
    return InstitutionMapping(
        {c: TextField(c) for c in columns if c in KEYS and c != "name" and c not in DATES},
        names,
        {c: TextField(c) for c in rest},
        {c: DateField(c) for c in columns if c in DATES},
    )


def _from_cells(fields: InstitutionMapping, cells: dict[str, Any], missing: frozenset[str]) -> Institution:
    """Return one table row's institution; raises ValueError with what is wrong."""
    told = {key: text for key, field in fields.fields.items() if (text := _told(field, cells, missing))}
    if not told.get("code"):
        raise ValueError("has no code")
    bucket = told.pop("dsib_bucket", "0")
    if not bucket.isascii() or not bucket.isdigit():
        raise ValueError(f"'dsib_bucket' must be a whole number, not {bucket!r}")
    dates = {key: _date(key, cells.get(field.column), field, missing) for key, field in fields.dates.items()}
    if problem := _bad_dates(dates):
        raise ValueError(problem)
    attributes = {key: text for key, field in fields.attributes.items() if (text := _told(field, cells, missing))}
    return Institution(
        name={language: text for language, f in fields.names.items() if (text := _told(f, cells, missing))},
        dsib_bucket=int(bucket),
        attributes={key: attribute_value(text) for key, text in attributes.items()},
        **dates,
        **told,
    )


def _date(key: str, cell: Any, field: DateField, missing: frozenset[str]) -> str:
    """Return a cell as an ISO date, or as it is where it is none; a date of the year 9999 says that there is none."""
    if is_missing(cell, missing):
        return ""
    if isinstance(cell, date):
        text = cell.isoformat().removesuffix("T00:00:00")
    else:
        text = read_text(cell, TextField())
        if field.format:
            try:
                text = datetime.strptime(text, field.format).isoformat().removesuffix("T00:00:00")
            except ValueError:
                raise ValueError(f"{field.column} is {text!r}, which is no {key!r} as {field.format}") from None
    return "" if text.startswith(f"{NO_END}-") else text


def _bad_dates(told: Table[str, str]) -> str:
    """Say what is wrong with an institution's dates; nothing where they are right."""
    for key, text in told.items():
        if text and not (is_date(text) or (key == "registered" and _is_instant(text))):
            return f"{key!r} must be a date as 2024-05-31, not {text!r}"
    if told.get("closed") and told.get("opened") and told["closed"] < told["opened"]:
        return f"'closed' is {told['closed']}, before 'opened', which is {told['opened']}"
    return ""


def _told(field: TextField, cells: dict[str, Any], missing: frozenset[str]) -> str:
    if field.constant is not None:
        return field.constant
    cell = cells.get(field.column)
    if is_missing(cell, missing):
        return ""
    if field.values and str(cell).strip() not in field.values:
        guess = nearest(str(cell).strip(), field.values)
        raise ValueError(f"{field.column} is {cell!r}, which the mapping has no value for {guess}".rstrip())
    if inexact(cell):
        raise ValueError(f"{field.column} is a number of more than {EXACT_DIGITS} digits: store it as text in the file")
    return read_text(cell, field)


def _yaml_seed(path: Path, problems: list[str]) -> Iterator[tuple[str, Institution]]:
    found: list[Problem] = []
    try:
        root = parse_yaml(read_whole_text(path), str(path))
    except SourceProblem as err:
        problems.append(str(err))
        return
    if isinstance(root.data, list):
        entries = root.data
    else:
        top = Reader(root, found, "a seed file")
        top.only(("institutions",))
        entries = list(top.items("institutions"))
    for entry in entries:
        before = len(found)
        institution = _from_yaml(entry, found)
        if len(found) == before:
            yield str(entry.place), institution
    problems.extend(map(str, found))


def _from_yaml(entry: Value, problems: list[Problem]) -> Institution:
    r = Reader(entry, problems, "an institution")
    r.only(KEYS)
    if "code" in r.data and not r.text("code"):
        r.problem(r.place("code"), "required", "an institution's code can't be empty")
    attributes: dict[str, str | float] = {}
    for key, value in r.mapping("attributes").items():
        if isinstance(value.data, bool) or not isinstance(value.data, str | int | float):
            r.problem(value.place, "shape", f"the attribute {key!r} must be a text or a number")
        else:
            attributes[key] = value.data if isinstance(value.data, str) else float(value.data)
    return Institution(
        code=r.text("code"),
        name=r.words("name"),
        type=r.text("type", ""),
        region=r.text("region", ""),
        peer_group=r.text("peer_group", ""),
        lei=r.text("lei", ""),
        dsib_bucket=int(r.number("dsib_bucket", 0)),
        attributes=attributes,
        **_dates(r),
    )


def _dates(r: Reader) -> dict[str, str]:
    found = {key: r.text(key, "") for key in DATES}
    if problem := _bad_dates(found):
        wrong = next(key for key in ("registered", "closed", "opened") if f"{key!r}" in problem)
        r.problem(r.place(wrong), "shape", problem)
        return {}
    return found


def is_date(text: str) -> bool:
    """Say whether a text is an ISO date.

    >>> is_date("2024-05-31"), is_date("May 2024")
    (True, False)
    """
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_instant(text: str) -> bool:
    """Whether a text is an ISO date, or an instant with its offset."""
    if is_date(text):
        return True
    try:
        return datetime.fromisoformat(text).tzinfo is not None and parse_instant(text) > 0
    except ValueError:
        return False
