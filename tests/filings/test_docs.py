"""docs/filings.md says what the code does: its examples are run, its tables are compared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import numpy as np

from rules.catalogue import load_catalogue
from streams.decode import Decoder
from streams.encodings import Encoding
from streams.exposures import decode_exposures
from streams.mapping import UNITS, parse_mapping
from streams.quotes import decode_quotes
from streams.registry import read_seed
from streams.schemas import schemas
from streams.wire import Reason

PAGE = (Path(__file__).parents[2] / "docs" / "filings.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """Return the page's code blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_example_records_are_good() -> None:
    """The JSON examples are accepted and fit the published schemas; those of filings say the same in any encoding."""
    filing, array, exposures, quote = blocks("json")
    (program,) = blocks("python")
    made: dict[str, bytes] = {}
    exec(program, made)
    jsonschema.validate(json.loads(quote), schemas()["quote.json"])
    assert decode_quotes([quote.encode()])[1] == []
    jsonschema.validate(json.loads(filing), schemas()["filing.json"])
    jsonschema.validate(json.loads(array), schemas()["filing-array.json"])
    records = [filing.encode(), array.encode(), made["record"]]
    decoded = Decoder(load_catalogue(["cn"])).decode(records, headers=[encoding.headers for encoding in Encoding])
    assert decoded.rejected == []
    np.testing.assert_array_equal(decoded.forms[0].values.T, decoded.forms[0].values.T[[0, 0, 0]])
    jsonschema.validate(json.loads(exposures), schemas()["exposure.json"])
    assert Decoder(load_catalogue(["cn"])).classify(filing.encode()) is None
    assert decode_exposures([exposures.encode()])[1] == []


def test_the_example_mappings_and_seeds_are_good(tmp_path: Path) -> None:
    """The YAML examples are a mapping, a seed file and a mapping of institutions."""
    mapping, seed, registry = blocks("yaml")
    assert len(parse_mapping(mapping, "docs").forms[0].columns or ()) == 4
    assert parse_mapping(registry, "docs").institutions is not None
    path = tmp_path / "seed.yaml"
    path.write_text(seed, encoding="utf-8")
    assert [i.code for i in read_seed([path])] == ["CN001"]


def test_every_reason_and_every_unit_is_explained() -> None:
    """The table of reasons has each code once, and the line of units names each unit."""
    rows = re.findall(r"^\| `([a-z_]+)` \|", PAGE, flags=re.MULTILINE)
    assert {r for r in rows if r in set(Reason)} == set(Reason)
    line = next(line for line in PAGE.splitlines() if line.startswith("| `unit` |"))
    assert set(re.findall(r"`([^`]+)`", line)) == {"unit", *UNITS}


def test_every_content_type_is_explained() -> None:
    """The table of encodings has each with its content type."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE, flags=re.MULTILINE)
    told = {name: text for name, text in rows if name in set(Encoding)}
    assert told.keys() == set(Encoding)
    for name, text in told.items():
        assert f"`{Encoding(name).content_type}`" in text
