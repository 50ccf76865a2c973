"""Mapping files: what is wrong with one is said all at once, with places."""

from __future__ import annotations

from pathlib import Path

import pytest

from rules.catalogue import load_catalogue
from rules.problems import InputError
from streams.fdic import FINANCIALS, INSTITUTIONS
from streams.mapping import available, load_mapping, parse_mapping

WRONG = {
    "keys": """
mapping: x
form: us.call.q
instituton: {column: C}
as_of: {columm: D}
columns: {total_assets: {from: A, unit: thousand}, roa: {unit: percent, scale: 3}}
""",
    "long": """
mapping: x
forms:
  - form: us.call.q
    layout: long
    institution: {column: C, constant: D}
    as_of: {column: D, delay: soon, end_of: week}
    columns: []
layout: wide
""",
    "nothing": "mapping: x\ntitle: nothing in it\n",
    "catalogue": """
mapping: x
forms:
  - form: us.call
    institution: C
    as_of: D
    columns: {}
  - form: us.call.q
    institution: C
    as_of: D
    columns: {total_asets: A, securities_share: B}
""",
    "yaml": "mapping: [x\n",
    "institutions": "mapping: x\ninstitutions: {name: N, typ: T}\n",
}
"""Mappings with mistakes, by name."""


GOLDEN = Path(__file__).parent / "golden" / "mapping-problems.txt"


def said(text: str) -> str:
    """Return what is wrong with a mapping."""
    with pytest.raises(InputError) as caught:
        parse_mapping(text.lstrip(), "map.yaml").check(load_catalogue(["us-fdic"]))
    return str(caught.value)


def test_everything_wrong_is_said_at_once_with_its_place() -> None:
    """Each mistake has its line and column, and where possible the fix."""
    report = "\n\n".join(f"# {name}\n{said(text)}" for name, text in WRONG.items())
    assert report + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_a_mapping_that_is_not_there_names_the_near_one() -> None:
    """A name without a file offers the nearest of ours, or all."""
    with pytest.raises(InputError, match=r"no mapping 'us-fdi': did you mean 'us-fdic'\?"):
        load_mapping("us-fdi")
    with pytest.raises(InputError, match="there are: us-fdic"):
        load_mapping("mine.yaml")


@pytest.mark.parametrize("name", available())
def test_our_mappings_fit_our_catalogues(name: str) -> None:
    """Every mapping that comes with Guanlan fits the catalogue of the same name."""
    mapping = load_mapping(name)
    assert mapping.name == name
    mapping.check(load_catalogue([name]))


def test_the_fdic_mapping_reads_every_field_that_is_fetched() -> None:
    """What `guanlan import fdic` fetches and what the mapping reads are the same columns."""
    mapping = load_mapping("us-fdic")
    (form,) = mapping.forms
    assert {c.source for c in form.columns or ()} | {"CERT", "REPDTE"} == set(FINANCIALS)
    institutions = mapping.institutions
    assert institutions is not None
    fields = (institutions.fields, institutions.names, institutions.attributes)
    assert {f.column for group in fields for f in group.values() if f.column} <= set(INSTITUTIONS)
