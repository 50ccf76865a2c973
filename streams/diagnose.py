"""Why a record that does not decode was refused: the slow, careful second look, taken at bad records only."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from rules.catalogue import OWN_FORMS, Catalogue, Form, Indicator
from rules.problems import nearest
from streams.encodings import Encoding, form_version
from streams.times import read_as_of, read_day
from streams.wire import LATEST_REVISION, Reason, Rejection, to_seconds

FILING_FIELDS = ("institution", "form", "as_of", "submitted_at", "values", "revision", "meta", "confirms")
ORDERED_FIELDS = ("institution", "form", "version", "as_of", "submitted_at", "values", "revision", "meta", "confirms")
EXPOSURE_FIELDS = (
    "institution",
    "as_of",
    "submitted_at",
    "exposures",
    "borrowings",
    "totals",
    "services",
    "revision",
    "meta",
)
QUOTE_FIELDS = ("series", "as_of", "submitted_at", "value", "market_cap", "revision", "meta")
OPTIONAL_FIELDS = ("exposures", "borrowings", "services", "totals", "market_cap", "revision", "meta", "confirms")

_KINDS = {bool: "true or false", str: "a text", int: "a number", float: "a number", list: "a list"}
_LONGEST_GUESS = 80
_MISSING = ("leave it out if missing", "a missing one is null")


class _Found(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        self.rejection = Rejection(reason, detail)


def is_filed(form: str) -> bool:
    """Whether institutions file this form; those of measures and observations are Guanlan's own."""
    return not form.startswith(OWN_FORMS)


def diagnose_filing(
    record: bytes | None,
    catalogue: Catalogue,
    max_bytes: int,
    error: str = "",
    encoding: Encoding = Encoding.JSON,
) -> Rejection:
    """Return why `record` is no filing of `catalogue` in this encoding.

    `error` is the decoder's own word, used when none of our reasons fits.
    """
    ordered = encoding is not Encoding.JSON
    try:
        told = _sized(record, max_bytes, "filing")
        data = _object(_unpack(told) if encoding is Encoding.ARROW else _parse(told), "filing")
        _fields(data, ORDERED_FIELDS if ordered else FILING_FIELDS, "filing")
        _head(data)
        _confirms(data.get("confirms"))
        form = _form(data["form"], catalogue)
        _as_of(data["as_of"], catalogue.forms[form])
        if ordered:
            _version(data["version"], form, catalogue)
            _row(data["values"], form, catalogue)
        else:
            _values(data["values"], form, catalogue)
    except _Found as found:
        return found.rejection
    return Rejection(Reason.WRONG_SHAPE, error or "the filing does not have the documented shape")


def diagnose_exposures(record: bytes | None, max_bytes: int, error: str = "") -> Rejection:
    """Return why `record` is no exposure report."""
    try:
        data = _object(_parse(_sized(record, max_bytes, "exposure report")), "exposure report")
        _fields(data, EXPOSURE_FIELDS, "exposure report")
        _head(data)
        _time("as_of", data["as_of"], read_day)
        if data.get("exposures") is None and data.get("totals") is None:
            _stop(Reason.WRONG_SHAPE, "the exposure report has no 'exposures', nor 'totals' in their place")
        if data.get("totals") is not None:
            _totals(data["totals"])
        for name, check in (("exposures", _exposure), ("borrowings", _exposure), ("services", _service)):
            if data.get(name) is None:
                continue
            if not isinstance(data[name], list):
                _stop(Reason.WRONG_SHAPE, f"{name!r} must be a list, not {_kind(data[name])}")
            for position, entry in enumerate(data[name]):
                check(entry, f"{name}[{position}]")
    except _Found as found:
        return found.rejection
    return Rejection(Reason.WRONG_SHAPE, error or "the exposure report does not have the documented shape")


def diagnose_quote(record: bytes | None, max_bytes: int, error: str = "") -> Rejection:
    """Return why `record` is no quote."""
    try:
        data = _object(_parse(_sized(record, max_bytes, "quote")), "quote")
        _fields(data, QUOTE_FIELDS, "quote")
        _head(data, "series")
        _time("as_of", data["as_of"], read_day)
        for name in ("value", "market_cap"):
            value = data.get(name)
            if name == "market_cap" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                _stop(Reason.WRONG_SHAPE, f"{name!r} must be a number, not {_kind(value)}")
        if data.get("market_cap") is not None and data["market_cap"] <= 0:
            _stop(Reason.OUT_OF_RANGE, f"'market_cap' is {data['market_cap']:g}; it must be above 0")
    except _Found as found:
        return found.rejection
    return Rejection(Reason.WRONG_SHAPE, error or "the quote does not have the documented shape")


def out_of_range(indicator: Indicator, value: float) -> Rejection:
    """Return the rejection of a value outside its indicator's range, with a guess at the cause."""
    low = "-∞" if math.isinf(indicator.low) else f"{indicator.low:g}"
    high = "∞" if math.isinf(indicator.high) else f"{indicator.high:g}"
    hint = ""
    if indicator.unit == "ratio" and indicator.low <= value / 100 <= indicator.high:
        hint = f"; ratios are fractions, {value:g} % is {value / 100:g}"
    return Rejection(Reason.OUT_OF_RANGE, f"{indicator.id} is {value:g}, outside [{low}, {high}]{hint}")


def _stop(reason: Reason, detail: str) -> NoReturn:
    raise _Found(reason, detail)


def _sized(record: bytes | None, max_bytes: int, what: str) -> bytes:
    if record is None:
        _stop(Reason.WRONG_SHAPE, f"the record has no value; a {what} can't be deleted, file a revision")
    if len(record) > max_bytes:
        _stop(Reason.TOO_LARGE, f"the record has {len(record):,} bytes; the limit is {max_bytes:,}")
    return record


def _object(data: Any, what: str) -> dict[str, Any]:
    for path, value in _leaves(data):
        if isinstance(value, float) and not math.isfinite(value):
            _stop(Reason.NOT_FINITE, f"{path or 'the record'} is not a finite number; {_MISSING[path.endswith(']')]}")
        if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
            _stop(Reason.NOT_JSON, f"{path or 'the record'} has half of a surrogate pair")
    if not isinstance(data, dict):
        _stop(Reason.WRONG_SHAPE, f"a {what} is an object, not {_kind(data)}")
    return data


def _unpack(record: bytes) -> dict[str, Any]:
    from streams.arrow import COLUMN, ArrowProblem, unpack

    try:
        head, values, _ = unpack(record)
    except ArrowProblem as err:
        _stop(Reason.WRONG_SHAPE if err.shape else Reason.NOT_ARROW, str(err))
    if COLUMN in head:
        _stop(Reason.WRONG_SHAPE, f"{COLUMN!r} is a column, and can't stand in the metadata too")
    for name in ("meta", "confirms"):
        if name in head:
            head[name] = _parse(head[name].encode())
    return {**head, COLUMN: values.to_pylist()}


def _parse(record: bytes) -> Any:
    if not record.strip():
        _stop(Reason.NOT_JSON, "the record is empty")
    try:
        return json.loads(record.decode("utf-8"), parse_int=_integer, object_pairs_hook=_no_twins)
    except UnicodeDecodeError as err:
        _stop(Reason.NOT_JSON, f"byte {err.start} is not UTF-8")
    except json.JSONDecodeError as err:
        _stop(Reason.NOT_JSON, f"{err.msg[0].lower()}{err.msg[1:]} at character {err.pos}")
    except RecursionError:
        _stop(Reason.WRONG_SHAPE, "the record is nested too deeply")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            _stop(Reason.WRONG_SHAPE, f"{_quote(name)} stands twice in one object")
        found[name] = value
    return found


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 300 else float(digits)


def _leaves(data: Any) -> Iterator[tuple[str, Any]]:
    stack = [("", data)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict):
            for key, child in reversed(value.items()):
                stack.append((f"{path}.{_short(key)}" if path else _short(key), child))
            for key in value:
                yield path, key
        elif isinstance(value, list):
            stack.extend((f"{path}[{i}]", child) for i, child in reversed(list(enumerate(value))))
        else:
            yield path, value


def _fields(
    data: dict[str, Any], known: tuple[str, ...], what: str, optional: tuple[str, ...] = OPTIONAL_FIELDS
) -> None:
    for name in known:
        if name not in data and name not in optional:
            _stop(Reason.WRONG_SHAPE, f"the {what} has no {name!r}")
    for name in data:
        if name not in known:
            _stop(Reason.WRONG_SHAPE, f"the {what} has an unknown field {_quote(name)}{_guess(name, known)}")


def _head(data: dict[str, Any], who: str = "institution") -> None:
    _code(data[who], who)
    for name in ("as_of", "submitted_at"):
        if not isinstance(data[name], str):
            _stop(Reason.WRONG_SHAPE, f"{name!r} must be a text, not {_kind(data[name])}")
        _time(name, data[name], to_seconds)
    revision = data.get("revision", 0)
    if type(revision) is not int or not 0 <= revision <= LATEST_REVISION:
        _stop(Reason.WRONG_SHAPE, f"'revision' must be a whole number from 0 to {LATEST_REVISION}")
    if not isinstance(data.get("meta"), dict | None):
        _stop(Reason.WRONG_SHAPE, f"'meta' must be an object, not {_kind(data['meta'])}")


def _as_of(text: str, form: Form) -> None:
    _time("as_of", text, lambda written: read_as_of(form, written))


def _time(name: str, text: str, read: Callable[[str], int]) -> None:
    try:
        read(text)
    except ValueError as err:
        _stop(Reason.WRONG_SHAPE, f"{name!r} is {_quote(text)}: {err}")


def _confirms(told: Any) -> None:
    if told is None:
        return
    if not isinstance(told, dict):
        _stop(Reason.WRONG_SHAPE, f"'confirms' must be an object of 'by' and 'reason', not {_kind(told)}")
    _fields(told, ("by", "reason"), "'confirms'", ())
    for name, longest in (("by", 64), ("reason", 500)):
        if not isinstance(told[name], str) or not 1 <= len(told[name]) <= longest:
            _stop(Reason.WRONG_SHAPE, f"confirms.{name} must be a text of 1 to {longest} characters")


def _code(value: Any, path: str) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= 64:
        got = f"one of {len(value)} characters" if isinstance(value, str) else _kind(value)
        _stop(Reason.WRONG_SHAPE, f"{path!r} must be a text of 1 to 64 characters, not {got}")


def _form(form: Any, catalogue: Catalogue) -> str:
    if not isinstance(form, str):
        _stop(Reason.WRONG_SHAPE, f"'form' must be a text, not {_kind(form)}")
    known = [name for name in catalogue.forms if is_filed(name)]
    if form not in known:
        _stop(Reason.UNKNOWN_FORM, f"there is no form {_quote(form)} to file{_guess(form, known)}")
    return form


def _values(values: Any, form: str, catalogue: Catalogue) -> None:
    if not isinstance(values, dict):
        _stop(Reason.WRONG_SHAPE, f"'values' must be an object of indicator to number, not {_kind(values)}")
    known = catalogue.reported(form)
    names = set(known)
    for name in values:
        if name not in names:
            _stop(Reason.UNKNOWN_INDICATOR, _unknown_indicator(name, form, known, catalogue))
    for name, value in values.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            _stop(Reason.WRONG_SHAPE, f"{name} must be a number or null, not {_kind(value)}")


def _version(version: Any, form: str, catalogue: Catalogue) -> None:
    if not isinstance(version, str):
        _stop(Reason.WRONG_SHAPE, f"'version' must be a text, not {_kind(version)}")
    known = form_version(form, catalogue.reported(form))
    if version != known:
        detail = f"the filing is in the order of version {_quote(version)} of form {form}; the catalogue has {known!r}"
        _stop(Reason.WRONG_VERSION, detail)


def _row(values: Any, form: str, catalogue: Catalogue) -> None:
    if not isinstance(values, list):
        _stop(Reason.WRONG_SHAPE, f"'values' must be a list of numbers, not {_kind(values)}")
    known = catalogue.reported(form)
    if len(values) != len(known):
        _stop(Reason.WRONG_SHAPE, f"'values' has {len(values):,} entries; form {form} has {len(known):,} indicators")
    for name, value in zip(known, values, strict=True):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            _stop(Reason.WRONG_SHAPE, f"{name} must be a number or null, not {_kind(value)}")


def _unknown_indicator(name: str, form: str, known: tuple[str, ...], catalogue: Catalogue) -> str:
    elsewhere = catalogue.indicators.get(name)
    if elsewhere is None:
        return f"form {form} has no indicator {_quote(name)}{_guess(name, known)}"
    if elsewhere.formula:
        return f"{name} is derived from others, not filed"
    if not is_filed(elsewhere.form):
        return f"{name} is a measure, not filed"
    return f"{name} belongs to form {elsewhere.form}, not to {form}"


def _exposure(exposure: Any, path: str) -> None:
    amount = _entry(exposure, path, ("counterparty", "amount", "instrument"))
    _word(exposure, path, "instrument")
    if amount < 0:
        _stop(Reason.OUT_OF_RANGE, f"{path}.amount is {amount:g}; an exposure can't be negative")


def _totals(totals: Any) -> None:
    if not isinstance(totals, dict):
        _stop(Reason.WRONG_SHAPE, f"'totals' must be an object, not {_kind(totals)}")
    _fields(totals, ("lent", "borrowed"), "totals")
    for name, value in totals.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            _stop(Reason.WRONG_SHAPE, f"totals.{name} must be a number, not {_kind(value)}")
        if value < 0:
            _stop(Reason.OUT_OF_RANGE, f"totals.{name} is {value:g}; a total can't be negative")


def _service(service: Any, path: str) -> None:
    _share(_entry(service, path, ("provider", "share", "kind", "substitutable", "relies_on")), f"{path}.share")
    _word(service, path, "kind")
    if "substitutable" in service:
        _share(_number(service["substitutable"], f"{path}.substitutable"), f"{path}.substitutable")
    behind = service.get("relies_on")
    if behind is not None and not isinstance(behind, list):
        _stop(Reason.WRONG_SHAPE, f"{path}.relies_on must be a list, not {_kind(behind)}")
    for position, entry in enumerate(behind or ()):
        at = f"{path}.relies_on[{position}]"
        _share(_entry(entry, at, ("provider", "share")), f"{at}.share")


def _share(share: float, path: str) -> None:
    if not 0 <= share <= 1:
        _stop(Reason.OUT_OF_RANGE, f"{path} is {share:g}; a share is from 0 to 1")


def _entry(entry: Any, path: str, known: tuple[str, ...]) -> float:
    """Check an entry of a list: first of the `known` fields who, then how much; return how much."""
    code, number = known[:2]
    if not isinstance(entry, dict):
        _stop(Reason.WRONG_SHAPE, f"{path} must be an object, not {_kind(entry)}")
    for name in (code, number):
        if name not in entry:
            _stop(Reason.WRONG_SHAPE, f"{path} has no {name!r}")
    for name in entry:
        if name not in known:
            _stop(Reason.WRONG_SHAPE, f"{path} has an unknown field {_quote(name)}{_guess(name, known)}")
    _code(entry[code], f"{path}.{code}")
    return _number(entry[number], f"{path}.{number}")


def _number(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        _stop(Reason.WRONG_SHAPE, f"{path} must be a number, not {_kind(value)}")
    return float(value)


def _word(entry: Any, path: str, name: str) -> None:
    word = entry.get(name, "")
    if not isinstance(word, str) or len(word) > 64:
        _stop(Reason.WRONG_SHAPE, f"{path}.{name} must be a text of up to 64 characters")


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), "an object")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_GUESS else text[:_LONGEST_GUESS] + "…"


def _quote(text: str) -> str:
    return repr(_short(text))


def _guess(name: str, known: Iterable[str]) -> str:
    guess = nearest(name, known) if len(name) <= _LONGEST_GUESS else ""
    return f"; {guess}" if guess else ""
