"""The registry of institutions: seed files, and the compacted topic that every worker reads at its start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from rules.catalogue import SYSTEM
from rules.problems import InputError, Problem, nearest
from rules.registry import Institution
from rules.source import Reader, SourceProblem, Value, parse_yaml
from streams.cells import is_missing, read_number, read_text
from streams.clients import answering, open_producer, read_to_end
from streams.mapping import InstitutionMapping, Mapping, TextField, load_mapping
from streams.measured import OTHERS
from streams.readers import kind_of, read_table, read_whole_text
from streams.tape import OWN_SERIES

RESERVED = frozenset({SYSTEM, OTHERS, *OWN_SERIES})
"""Codes that would be taken for the system as a whole, for the others together, or for a series of the market."""
KEYS = ("code", "name", "type", "region", "peer_group", "lei", "dsib_bucket", "opened", "attributes")


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


def decode_institution(value: bytes | None) -> Institution | None:
    """Return the institution in a record's value, or None for a tombstone or anything else."""
    if value is None:
        return None
    try:
        return msgspec.json.decode(value, type=Institution)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_seed(paths: Iterable[Path], mapping: Mapping | str | Path | None = None) -> list[Institution]:
    """Read institutions from seed files: YAML in the registry's own shape, or tables.

    A table has the columns `code`, `name` (or `name_en`, `name_zh` …), `type`, `region`, `peer_group`, `lei`,
    `dsib_bucket`; every other column is an attribute. A `mapping` with a section `institutions` reads a foreign
    table. Raises InputError with every problem found, also for a code that stands twice.
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
            found[institution.code] = institution
    if problems:
        raise InputError("\n".join(problems))
    return list(found.values())


def _table_seed(path: Path, mapping: Mapping | None, problems: list[str]) -> Iterator[tuple[str, Institution]]:
    table = read_table(path, mapping.sheet, mapping.encoding) if mapping else read_table(path)
    missing = mapping.missing if mapping else frozenset[str]()
    fields = mapping.institutions if mapping else None
    if table.columns and fields is not None:
        _check_columns(path, fields, table.columns)
    for row in table.rows:
        place = f"{path} row {row.number}"
        try:
            if row.problem:
                raise ValueError(row.problem)
            own = fields or _own_columns(table.columns or tuple(row.cells))
            yield place, _from_cells(own, row.cells, missing)
        except ValueError as err:
            problems.append(f"{place}: {err}")


def _check_columns(path: Path, fields: InstitutionMapping, columns: tuple[str, ...]) -> None:
    for group in (fields.fields, fields.names, fields.attributes):
        for told in group.values():
            if told.column and told.column not in columns:
                guess = nearest(told.column, columns)
                raise InputError(f"{path}: has no column {told.column!r}; {guess}".rstrip("; "))


def _own_columns(columns: tuple[str, ...]) -> InstitutionMapping:
    """Return the mapping of a table that uses the registry's own names."""
    names = {"en" if c == "name" else c[5:]: TextField(c) for c in columns if c == "name" or c.startswith("name_")}
    named = {field.column for field in names.values()}
    rest = [c for c in columns if c and c not in named and c not in KEYS]
    return InstitutionMapping(
        {c: TextField(c) for c in columns if c in KEYS and c != "name"}, names, {c: TextField(c) for c in rest}
    )


def _from_cells(fields: InstitutionMapping, cells: dict[str, Any], missing: frozenset[str]) -> Institution:
    """Return one table row's institution; raises ValueError with what is wrong."""
    told = {key: text for key, field in fields.fields.items() if (text := _told(field, cells, missing))}
    if not told.get("code"):
        raise ValueError("has no code")
    bucket = told.pop("dsib_bucket", "0")
    if not bucket.isascii() or not bucket.isdigit():
        raise ValueError(f"'dsib_bucket' must be a whole number, not {bucket!r}")
    if told.get("opened") and not is_date(told["opened"]):
        raise ValueError(f"'opened' must be a date as 2024-05-31, not {told['opened']!r}")
    attributes = {key: text for key, field in fields.attributes.items() if (text := _told(field, cells, missing))}
    return Institution(
        name={language: text for language, f in fields.names.items() if (text := _told(f, cells, missing))},
        dsib_bucket=int(bucket),
        attributes={key: _attribute(text) for key, text in attributes.items()},
        **told,
    )


def _told(field: TextField, cells: dict[str, Any], missing: frozenset[str]) -> str:
    if field.constant is not None:
        return field.constant
    cell = cells.get(field.column)
    if is_missing(cell, missing):
        return ""
    if field.values and str(cell).strip() not in field.values:
        guess = nearest(str(cell).strip(), field.values)
        raise ValueError(f"{field.column} is {cell!r}, which the mapping has no value for {guess}".rstrip())
    return read_text(cell, field)


def _attribute(text: str) -> str | float:
    """Return a number where the text is one; one with a leading zero is a code and stays text."""
    number = read_number(text)
    is_code = len(text) > 1 and text.startswith("0") and text.isdigit()
    return number if isinstance(number, float) and not is_code else text


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
        opened=_opened(r),
        attributes=attributes,
    )


def _opened(r: Reader) -> str:
    text = r.text("opened", "")
    if text and not is_date(text):
        r.problem(r.place("opened"), "shape", f"'opened' must be a date as 2024-05-31, not {text!r}")
        return ""
    return text


def is_date(text: str) -> bool:
    """Say whether a text is an ISO date.

    >>> is_date("2024-05-31"), is_date("May 2024")
    (True, False)
    """
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
