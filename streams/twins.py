"""Keys that stand twice in a JSON object, which parsers read as the last of them and nobody meant.

Looking for them must cost next to nothing where there are none. A parser that took a record says which keys and which
texts it found, and each of them stands between two quotes. So a record with just as many quotes as that has no key
twice, whatever white space it has; only the others (a quote inside a text, for one) are looked at key by key.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

QUOTE = b'"'
QUOTES_OF_CONFIRMS = 2 * (2 + 2)
"""Quotes in an answer for a filing's units: two keys to two texts."""


class Twice(ValueError):
    """A key stands twice in one object."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name!r} stands twice in one object")
        self.name = name


def quotes_in(data: Any) -> int:
    """Return how many quotes the keys and texts of JSON data stand between.

    >>> quotes_in({"a": [{"b": 1}, {"b": "c"}]})
    8
    """
    count, stack = 0, [data]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            count += 2
        elif isinstance(value, dict):
            count += 2 * len(value)
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
    return count


def check_twins(text: bytes, quotes: int) -> None:
    """Raise Twice when a key stands twice in `text`, good JSON whose keys and texts stand between so many quotes."""
    if text.count(QUOTE) != quotes:
        json.loads(text, object_pairs_hook=once)


def has_twins(text: bytes) -> bool:
    """Whether a key stands twice in a text, if it is JSON."""
    try:
        check_twins(text, quotes_in(msgspec.json.decode(text)))
    except Twice:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of a JSON text; for `object_pairs_hook`. Raises Twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Twice(name)
            seen.add(name)
    return found
