"""What `guanlan rules explain` says, whole, in English and Chinese; it is read from the plan that the engine runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from guanlan.commands.rules_ import app
from guanlan.packs import compile_each
from rules.catalogue import FREQUENCY_DAYS
from rules.catalogue import UNITS as CATALOGUE_UNITS
from rules.explain_words import FREQUENCIES, LEVELS, SPANS, UNITS, WORDS

GOLDEN = Path(__file__).parent / "golden"
REPORTS = [
    ("lcr", "en", "CN001"),
    ("lcr", "zh", "CN001"),
    ("outflow", "en", "CN002"),
    ("outflow", "zh", "CN002"),
    ("peers", "en", "IN001"),
    ("peers", "zh", "IN001"),
    ("both", "en", ""),
    ("both", "zh", ""),
    ("older", "en", "CN009"),
    ("older", "zh", "CN009"),
]


def explain(rule: str, language: str = "en", code: str = "", *more: str) -> str:
    arguments = [
        "explain",
        f"told.{rule}",
        "--pack",
        "told.yaml",
        "--language",
        language,
        "--today",
        "2026-11-26",
        *more,
    ]
    result = CliRunner().invoke(app, [*arguments, *(["--institution", code] if code else [])])
    return result.output if result.exception is None else str(result.exception)


@pytest.fixture(autouse=True)
def beside_the_pack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)


@pytest.mark.parametrize(("rule", "language", "code"), REPORTS)
def test_a_rule_explained_whole(rule: str, language: str, code: str) -> None:
    registry = [] if code == "CN009" else ["--institutions", "institutions.yaml"]
    expected = (GOLDEN / f"{rule}.{language}.txt").read_text(encoding="utf-8")
    assert explain(rule, language, code, *registry) == expected


def test_a_rule_book_whole(tmp_path: Path) -> None:
    """To standard output and to a file; the told pack has no title, so that its name stands there."""
    expected = (GOLDEN / "book.md").read_text(encoding="utf-8")
    assert CliRunner().invoke(app, ["docs", "told.yaml"]).output == expected
    CliRunner().invoke(app, ["docs", "told.yaml", "--out", str(tmp_path / "book.md")])
    assert (tmp_path / "book.md").read_text(encoding="utf-8") == expected


def test_the_book_has_every_rule_that_comes_along() -> None:
    text = CliRunner().invoke(app, ["docs"]).output
    rules = [rule.id for _, program in compile_each(None, None) for rule in program.rules]
    assert [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")] == rules


@pytest.mark.parametrize(("code", "value"), [("CN001", "102%"), ("CN002", "100%"), ("IN001", "100%")])
def test_the_row_that_wins_is_the_engines(code: str, value: str) -> None:
    assert f"lcr_minimum is {value}" in explain("lcr", "en", code, "--institutions", "institutions.yaml")


def test_an_institution_that_is_not_in_the_registry_is_said() -> None:
    said = explain("lcr", "en", "CN01", "--institutions", "institutions.yaml")
    assert said == "there is no institution 'CN01' in institutions.yaml: did you mean 'CN001'?"


def test_both_languages_say_the_same_things() -> None:
    """The same keys, with the same parts to fill in."""
    for table in (WORDS, LEVELS, SPANS):
        assert len(table["en"]) == len(table["zh"])
    assert WORDS["en"].keys() == WORDS["zh"].keys()
    for key, text in WORDS["en"].items():
        assert sorted(_parts(text)) == sorted(_parts(WORDS["zh"][key])), key
    assert set(UNITS["zh"]) == set(CATALOGUE_UNITS)
    assert set(FREQUENCIES["zh"]) == set(FREQUENCY_DAYS)


def _parts(text: str) -> list[str]:
    return [part.partition("}")[0] for part in text.split("{")[1:]]
