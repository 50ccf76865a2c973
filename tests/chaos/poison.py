"""Records that must be refused, one kind for each way of being wrong, with the reason they must be refused for."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from streams.partitions import home

PARTITIONS = 4

Body = dict[str, Any]


class Sent(NamedTuple):
    """A record of topic `filings`, and why it must be refused; "" where it must be accepted."""

    partition: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    reason: str
    kind: str


Made = tuple[bytes | None, bytes | None, str]


def _text(body: object) -> bytes:
    return json.dumps(body).encode()


def _with(**changes: object) -> Callable[[bytes, Body], bytes]:
    return lambda key, body: _text(body | changes)


def _endless(key: bytes, body: Body) -> bytes:
    return _text(body | {"values": {"level": 0}}).replace(b'"level": 0', b'"level": 1e999')


KINDS: Mapping[str, tuple[str, Callable[[bytes, Body], bytes | None]]] = {
    "no JSON": ("not_json", lambda key, body: b"{not json"),
    "empty": ("not_json", lambda key, body: b""),
    "no UTF-8": ("not_json", lambda key, body: b'{"institution": "\xff\xfe"}'),
    "no value": ("wrong_shape", lambda key, body: None),
    "a list": ("wrong_shape", lambda key, body: _text([body])),
    "a word for a number": ("wrong_shape", _with(revision="x")),
    "a text for a value": ("wrong_shape", _with(values={"level": "1.0"})),
    "no such day": ("wrong_shape", _with(as_of="2025-02-30")),
    "too deep": ("wrong_shape", lambda key, body: b"[" * 3_000 + b"]" * 3_000),
    "another's key": ("wrong_shape", lambda key, body: _text(body)),
    "no key": ("wrong_shape", lambda key, body: _text(body)),
    "another partition": ("wrong_shape", lambda key, body: _text(body)),
    "a stranger": ("unknown_institution", _with(institution="NOBODY")),
    "another form": ("unknown_form", _with(form="z.d")),
    "another indicator": ("unknown_indicator", _with(values={"zz": 1})),
    "out of range": ("out_of_range", _with(values={"level": 99})),
    "not a number": ("not_finite", lambda key, body: _text(body | {"values": {"level": float("nan")}})),
    "endless": ("not_finite", _endless),
    "before its date": ("as_of_in_future", _with(submitted_at="2020-01-01")),
    "no Arrow": ("not_arrow", lambda key, body: b"no arrow"),
    "another encoding": ("unknown_encoding", lambda key, body: _text(body)),
    "nine megabytes": ("too_large", _with(meta={"pad": "x" * 9_000_000})),
}
DEAR = "nine megabytes"
ENCODINGS = {"no Arrow": b"application/vnd.apache.arrow.stream", "another encoding": b"text/x-nonsense"}


def poison(kind: str, code: str, body: Body, rng: random.Random) -> Sent:
    """Return a record of this kind, made from a filing that would be accepted."""
    reason, make = KINDS[kind]
    keys: Mapping[str, bytes | None] = {"another's key": b"C9998", "no key": None, "a stranger": b"NOBODY"}
    key = keys.get(kind, code.encode())
    own = home(key, PARTITIONS) if key and kind != "another's key" else rng.randrange(PARTITIONS)
    headers = (("content-type", ENCODINGS[kind]),) if kind in ENCODINGS else ()
    partition = (own + 1) % PARTITIONS if kind == "another partition" else own
    return Sent(partition, key, make(code.encode(), body), headers, reason, kind)
