"""Broken packs and what is said of them: every `bad_packs/NNN_what.yaml` has its errors in the `.txt` beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rules.pack import PackText, compile_packs
from rules.problems import PackError
from tests.rules.worlds import catalogue

PACKS = sorted((Path(__file__).parent / "bad_packs").glob("*.yaml"))


def test_there_are_many_and_each_has_its_errors() -> None:
    assert len(PACKS) >= 60
    assert [p.with_suffix(".txt").name for p in PACKS if not p.with_suffix(".txt").is_file()] == []


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_errors_are_those_expected(path: Path) -> None:
    assert errors(path) == path.with_suffix(".txt").read_text(encoding="utf-8")


def errors(path: Path) -> str:
    """What compiling the pack raises, a line for each problem."""
    with pytest.raises(PackError) as raised:
        compile_packs([PackText(path.read_text(encoding="utf-8"), path.name)], catalogue())
    return f"{raised.value}\n"
