"""JSON Schema (2020-12) of packs and test files, made from `rules.keys`, so that editors complete and check them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rules.keys import PACK, TESTS, Key
from rules.windows import COUNTED, TIMED

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILES = {"pack": Path(__file__).parent / "schema.json", "test": Path(__file__).parent / "test.schema.json"}
"""The files that hold the schemas of packs and of test files."""

Schema = dict[str, Any]
_PLAIN = ["string", "number", "boolean"]
_DATE = r"^\d{4}-\d{2}-\d{2}$"


def schema_of_packs() -> Schema:
    """Return the schema of a rule pack."""
    return {"$schema": DIALECT, "title": "Guanlan rule pack", **_mapping(PACK)}


def schema_of_tests() -> Schema:
    """Return the schema of the test file beside a pack."""
    return {"$schema": DIALECT, "title": "Guanlan tests of a rule pack", **_mapping(TESTS)}


def as_text(schema: Schema) -> str:
    """Return the schema as it stands in its file."""
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def _mapping(keys: Sequence[Key], more: bool = False) -> Schema:
    schema: Schema = {"type": "object", "properties": {key.name: _key(key) for key in keys}}
    if needed := [key.name for key in keys if key.required]:
        schema["required"] = needed
    if not more:
        schema["additionalProperties"] = False
    return schema


def _key(key: Key) -> Schema:
    schema: Schema = {"description": key.doc, **_KINDS[key.kind](key)}
    if key.examples:
        schema["examples"] = list(key.examples)
    return schema


def _words(key: Key) -> Schema:
    by_language = {"en": {"type": _PLAIN}, "zh": {"type": _PLAIN}}
    mapping = {"type": "object", "properties": by_language, "additionalProperties": {"type": _PLAIN}}
    return {"anyOf": [{"type": ["string", "null"]}, mapping]}


def _by_level(key: Key) -> Schema:
    return {"anyOf": [*_words(key)["anyOf"], _mapping(key.keys)]}


def _texts(key: Key) -> Schema:
    return {"anyOf": [{"type": [*_PLAIN, "null"]}, {"type": "array", "items": {"type": _PLAIN}}]}


def _heeded(key: Key) -> Schema:
    one = {"anyOf": [{"type": _PLAIN}, _mapping(key.keys)]}
    return {"anyOf": [one, {"type": "array", "items": one}]}


def _needed(key: Key, *others: str) -> list[str]:
    """The types that a scalar may have; a required one can't be left empty."""
    return [*others] if key.required else [*others, "null"]


_KINDS: dict[str, Callable[[Key], Schema]] = {
    "text": lambda key: {"type": _needed(key, *_PLAIN)},
    "words": _words,
    "message": _words,
    "expression": lambda key: {"type": _needed(key, *_PLAIN)},
    "level": lambda key: {"type": _PLAIN, "minLength": 1},
    "clear": lambda key: {
        "type": ["string", "boolean", "null"],
        "anyOf": [{"not": {"pattern": r"\sfor\s"}}, {"pattern": rf"\sfor\s+({COUNTED}|{TIMED})$"}],
    },
    "span": lambda key: {"type": ["string", "null"], "pattern": f"^({COUNTED}|{TIMED})$"},
    "deadline": lambda key: {"type": ["string", "null"], "pattern": r"^\s*[0-9]{1,4}\s*(bd|d|h)\s*$"},
    "id": lambda key: {"type": "string", "pattern": r"^[^\s\d_.-]\S{0,99}$"},
    "date": lambda key: {"type": ["string", "null"], "pattern": _DATE},
    "choice": lambda key: {"type": "string", "enum": list(key.options)},
    "texts": _texts,
    "flag": lambda key: {"type": "boolean"},
    "number": lambda key: {"type": "number"},
    "mapping": lambda key: {**_mapping(key.keys), **({"minProperties": 1} if key.required else {})},
    "open": lambda key: _mapping(key.keys, more=True),
    "basis": lambda key: {"anyOf": [{"type": [*_PLAIN, "null"]}, _mapping(key.keys, more=True)]},
    "named": lambda key: {"type": "object", "additionalProperties": _mapping(key.keys)},
    "heeded": _heeded,
    "by_level": _by_level,
    "list": lambda key: {"type": "array", "items": _mapping(key.keys), **({"minItems": 1} if key.required else {})},
}


if __name__ == "__main__":
    for name, made in (("pack", schema_of_packs()), ("test", schema_of_tests())):
        FILES[name].write_text(as_text(made), encoding="utf-8")
