"""Problems point at the right character, however YAML lets an expression be written."""

from __future__ import annotations

from textwrap import indent

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import parse_catalogues
from rules.pack import PackText, compile_packs
from rules.problems import CatalogueError, PackError, Problem
from rules.scalars import index_of
from rules.source import parse_yaml
from tests.examples import at_most
from tests.rules.worlds import catalogue

CULPRIT = "zzz9"


def problems(text: str) -> list[Problem]:
    with pytest.raises(PackError) as raised:
        compile_packs([PackText(text, "p.yaml")], catalogue())
    return list(raised.value.problems)


def pointed_at(text: str) -> str:
    """What stands at the place of the only problem."""
    (problem,) = problems(text)
    assert problem.check == "unknown-name"
    return text.split("\n")[problem.place.line - 1][problem.place.column - 1 :][: len(CULPRIT)]


HEAD = "pack: p\nrules:\n  - id: r\n    title: 流动性 # 注释\n"
BREAKS = st.sampled_from([" ", " ", "  ", "\n", "\n\n"])
TERMS = st.sampled_from(["x", "y", "0.5", "lag(x, 1)", "abs(y)"])


@st.composite
def broken_expressions(draw: st.DrawFn) -> list[str]:
    """Terms and what stands between them, one of the terms an indicator that there is not."""
    count = draw(st.integers(1, 6))
    terms = [draw(TERMS) for _ in range(count)]
    terms[draw(st.integers(0, count - 1))] = CULPRIT
    found = [terms[0]]
    for term in terms[1:]:
        found += [draw(BREAKS), "+", draw(BREAKS), term]
    return [*found, " > 1"]


def on_lines(parts: list[str], margin: str) -> str:
    return "".join(parts).replace("\n", "\n" + margin).replace(f"{margin}\n", "\n")


@at_most(40)
@given(broken_expressions(), st.sampled_from(["|", ">", "|-", ">-", "|+", "> # the limit"]), st.integers(1, 5))
def test_block_scalars(parts: list[str], sign: str, depth: int) -> None:
    body = indent("".join(parts), " " * (6 + depth))
    assert pointed_at(f"{HEAD}    levels:\n      watch: {sign}\n{body}\n") == CULPRIT


@at_most(40)
@given(broken_expressions(), st.sampled_from(["", "'", '"']), st.booleans())
def test_plain_and_quoted_scalars(parts: list[str], quote: str, flow: bool) -> None:
    if flow and not quote:
        parts = ["abs(x)" if part == "lag(x, 1)" else part for part in parts]
    written = quote + on_lines(parts, " " * 10) + quote
    levels = f"    levels: {{watch: {written}}}\n" if flow else f"    levels:\n      watch: {written}\n"
    assert pointed_at(HEAD + levels) == CULPRIT


@at_most(40)
@given(broken_expressions())
def test_escapes_in_double_quotes(parts: list[str]) -> None:
    """\\x20, \\t, \\u0078 and a line that goes on behind a backslash are one character or none in the value."""
    escaped = [p.replace("x", "\\u0078").replace("  ", "\\x20\\t").replace("\n", "\\n\\\n        \\ ") for p in parts]
    assert pointed_at(f'{HEAD}    levels:\n      watch: "{"".join(escaped)}"\n') == CULPRIT


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("    levels: {watch: x > 1}\n    clear: x < zzz9 for 2 filings\n", 6, 16),
        ("    levels: {watch: x > 1}\n    clear: x < 1 for 2 fillings\n", 6, 22),
        ("    levels: {watch: x > 1}\n    clear: |\n      x < 1\n      for ever\n", 8, 11),
        ("    levels: {watch: x > 1}\n    message: '流动性 {zzz9:.1%}'\n", 6, 20),
        ("    levels: {watch: x > 1}\n    message: 'it''s {zzz9:.1%}'\n", 6, 22),
        ("    levels: {watch: x > 1}\n    message:\n      en: a\n      zh: >-\n        一\n        {zzz9}\n", 10, 10),
        ("    levels: {watch: x > 1}\n    message: '{x:.1Q}'\n", 6, 18),
        ("    levels:\n      watch: x > 1 # 注\n      warning: x > (1\n", 7, 22),
        ("    levels: {watch: x > 1}\n    for: a while\n", 6, 10),
        ("    levels: {watch: x > 1, wrning: x > 2}\n", 5, 28),
    ],
)
def test_elsewhere_in_a_rule(text: str, line: int, column: int) -> None:
    (problem,) = problems(HEAD + text)
    assert (problem.place.line, problem.place.column) == (line, column)


def test_formulas_of_a_catalogue_are_pointed_into_as_well() -> None:
    text = """catalogue: c
forms: [{id: f, frequency: daily}]
indicators:
  - {id: a, form: f}
  - id: b
    formula: >
      a +
      zzz9
"""
    with pytest.raises(CatalogueError) as raised:
        compile_packs([], parse_catalogues([(text, "c.yaml")]))
    (problem,) = raised.value.problems
    assert (problem.place.line, problem.place.column) == (8, 7)


STYLES = st.sampled_from(["", "'", '"', "|", ">"])


@given(st.text("ab '\"\\\t\n:#\u3000𝕏", max_size=12), STYLES)
def test_every_character_of_a_scalar_is_found_where_it_was_written(value: str, style: str) -> None:
    """Whatever PyYAML writes: every visible character stands in the file at the place that `at` tells."""
    text = yaml.dump({"k": value}, default_style=style or None, allow_unicode=True, width=8)
    scalar = parse_yaml(text, "f").data["k"]  # type: ignore[index]
    if not isinstance(scalar.data, str):
        return
    lines = text.split("\n")
    for offset, char in enumerate(scalar.data):
        place = scalar.at(offset)
        at_place = lines[place.line - 1][place.column - 1 :]
        assert at_place.startswith((char, "\\")) or char in " \t\n"


def test_the_end_of_a_scalar_is_behind_its_last_character() -> None:
    assert index_of("'ab'", "'", "ab", 2) == 3
    assert index_of("|\n  ab\n", "|", "ab\n", 3) == 7
