"""The schema that editors use is made from the keys the reader knows, and judges packs as the reader does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from guanlan import packs
from guanlan.commands.rules_ import app
from rules.pack import PACKS, available
from rules.schema import FILES, as_text, schema_of_packs, schema_of_tests
from rules.source import SourceProblem, parse_yaml
from tests.rules.test_bad_packs import PACKS as BAD
from tests.rules.test_bad_packs import errors

STRUCTURE = {"unknown-key", "required", "shape", "choice", "id"}
"""Checks of the reader that look at keys and shapes alone."""


def read(path: Path) -> Any:
    return parse_yaml(path.read_text(encoding="utf-8"), path.name).plain()


def complaints(schema: dict[str, Any], document: object) -> list[str]:
    return [error.message for error in Draft202012Validator(schema).iter_errors(document)]


@pytest.mark.parametrize("kind", ["pack", "test"])
def test_the_files_are_current(kind: str) -> None:
    """Made anew they are the same: `python -m rules.schema` writes them."""
    made = {"pack": schema_of_packs(), "test": schema_of_tests()}[kind]
    Draft202012Validator.check_schema(made)
    assert FILES[kind].read_text(encoding="utf-8") == as_text(made)


@pytest.mark.parametrize("name", available())
def test_shipped_packs_and_their_tests_are_valid(name: str) -> None:
    assert complaints(schema_of_packs(), read(PACKS / f"{name}.yaml")) == []
    assert complaints(schema_of_tests(), read(packs.test_file(name))) == []


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad_structure_is_seen_in_the_editor_too(path: Path) -> None:
    """Where the reader finds a wrong key or shape, the schema does; not always of a wrong word."""
    found = {line.rpartition("[")[2].rstrip("]") for line in errors(path).splitlines()}
    try:
        document = read(path)
    except SourceProblem:
        return
    if found & STRUCTURE:
        assert complaints(schema_of_packs(), document) != []


@pytest.mark.parametrize(("arguments", "kind"), [([], "pack"), (["--tests"], "test")])
def test_the_command_prints_it(arguments: list[str], kind: str) -> None:
    result = CliRunner().invoke(app, ["schema", *arguments])
    assert result.output == FILES[kind].read_text(encoding="utf-8")
