"""docs/lint.md has every check, in its own words, and its examples are bad and good as it says."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from textwrap import indent

import pytest

from guanlan.linting import load_history
from rules.catalogue import load_catalogue
from rules.lint import CHECKS, History, lint
from rules.pack import PackText
from rules.problems import Problem

PAGE = (Path(__file__).parents[2] / "docs" / "lint.md").read_text(encoding="utf-8")
BROKEN = Path(__file__).parents[1] / "rules" / "bad_packs"
SECTIONS = dict(re.findall(r"^## ([\w-]+) · \w+\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
CATALOGUE = load_catalogue(["cn"])
TODAY = date(2026, 11, 26)


def found(example: str, history: History | None) -> list[Problem]:
    head = "" if re.search(r"^rules:", example, re.MULTILINE) else "rules:\n"
    text = f"pack: example\ncatalogue: cn\n{head}{indent(example, '  ') if head else example}"
    return lint([PackText(text, "example.yaml")], CATALOGUE, TODAY, history)


def test_the_page_has_every_check_with_its_severity_and_words() -> None:
    assert list(SECTIONS) == [name for name in SECTIONS if name in CHECKS]
    assert CHECKS.keys() == SECTIONS.keys()
    words = " ".join(PAGE.split())
    for check in CHECKS.values():
        assert f"## {check.name} · {check.severity}" in PAGE
        assert check.doc in words


def test_the_page_has_every_name_that_broken_packs_bring_up() -> None:
    """The corpus of broken packs knows them; a lint check is not called like an error of the compiler."""
    said = "".join(path.read_text(encoding="utf-8") for path in BROKEN.glob("*.txt"))
    names = set(re.findall(r"\[([a-z-]+)\]$", said, re.MULTILINE))
    assert {name for name in names if f"`{name}`" not in PAGE} == set()
    assert names & CHECKS.keys() == set()


@pytest.mark.parametrize("name", CHECKS)
def test_the_bad_example_is_found_and_the_good_one_is_not(name: str, tmp_path: Path) -> None:
    bad, good = re.findall(r"```yaml\n(.*?)```", SECTIONS[name], re.DOTALL)
    history = None
    if filings := re.search(r"```csv\n(.*?)```", SECTIONS[name], re.DOTALL):
        path = tmp_path / "filings.csv"
        path.write_text(filings.group(1), encoding="utf-8")
        history = load_history([path], None, None, CATALOGUE)
    assert name in {problem.check for problem in found(bad, history)}
    assert name not in {problem.check for problem in found(good, history)}
    assert [p for p in found(good, history) if p.severity == "error"] == []
