"""The JSON Schemas of the wire formats, made from the structs.

`python -m streams.schemas docs/schemas` writes them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from alerts.events import evened
from streams.wire import ExposureReport, Filing, OrderedFiling, Quote

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED: dict[str, type[msgspec.Struct]] = {
    "filing.json": Filing,
    "filing-array.json": OrderedFiling,
    "exposure.json": ExposureReport,
    "quote.json": Quote,
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return every published schema by file name."""
    made = {name: msgspec.json.schema(struct) for name, struct in PUBLISHED.items()}
    return {name: {"$schema": DIALECT, **told, "$defs": evened(told["$defs"])} for name, told in made.items()}


def as_text(schema: dict[str, Any]) -> str:
    """Return a schema as the text its file holds."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(folder: Path) -> None:
    """Write every schema into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (folder / name).write_text(as_text(schema), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
