"""The three encodings of a filing, and how a Kafka record tells which it has.

| encoding | content type | what it is |
|---|---|---|
| `json` | `application/json`, or no header | values by name |
| `array` | `application/vnd.guanlan.array+json` | values in the form's order |
| `arrow` | `application/vnd.apache.arrow.stream` | an Arrow IPC stream of one column in the form's order |
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum

from rules.problems import nearest
from streams.wire import CONTENT_TYPE, Reason, Rejection

Headers = Sequence[tuple[str, bytes]]


class Encoding(StrEnum):
    """How a filing is written; the value is what `guanlan submit --encoding` takes."""

    JSON = "json"
    ARRAY = "array"
    ARROW = "arrow"

    @property
    def content_type(self) -> str:
        """The content type of records with this encoding."""
        return _TYPES[self]

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """The Kafka headers that tell this encoding: none for JSON by name."""
        return [] if self is Encoding.JSON else [(CONTENT_TYPE, _TYPES[self].encode())]


_TYPES = {
    Encoding.JSON: "application/json",
    Encoding.ARRAY: "application/vnd.guanlan.array+json",
    Encoding.ARROW: "application/vnd.apache.arrow.stream",
}
_BY_TYPE = {content_type.encode(): encoding for encoding, content_type in _TYPES.items()}


def encoding_of(headers: Headers) -> Encoding | None:
    """Return the encoding that a record's headers tell, JSON by name if they tell none; None if it is not known.

    The name of the header and its value are read in any case, without parameters; of several the last counts.

    >>> encoding_of([("Content-Type", b"application/json; charset=utf-8")])
    <Encoding.JSON: 'json'>
    """
    for name, value in reversed(headers):
        if name == CONTENT_TYPE or name.lower() == CONTENT_TYPE:
            return _BY_TYPE.get(value) or _BY_TYPE.get((value or b"").split(b";")[0].strip().lower())
    return Encoding.JSON


def unknown_encoding(headers: Headers) -> Rejection:
    """Return the rejection of a record whose content type is none of ours."""
    told = next(value or b"" for name, value in reversed(headers) if name.lower() == CONTENT_TYPE)
    text = told[:80].decode("utf-8", "backslashreplace")
    hint = nearest(text, _TYPES.values()) or f"there are: {', '.join(_TYPES.values())}"
    return Rejection(Reason.UNKNOWN_ENCODING, f"filings are not read from the content type {text!r}; {hint}")


def form_version(form: str, indicators: Sequence[str]) -> str:
    """Return the version of a form: eight hexadecimal digits that change when its indicators or their order do.

    They are the first of the SHA-256 of the form's id and the ids of its indicators, each with a line feed behind.

    >>> form_version("t.day", ["lcr", "nsfr"]), form_version("t.day", ["nsfr", "lcr"])
    ('b19aa22c', 'd6fd817b')
    """
    text = "".join(f"{name}\n" for name in (form, *indicators))
    return hashlib.sha256(text.encode()).hexdigest()[:8]
