"""Texts of the shipped packs: one document is cited in one way, differences are points, Chinese has Chinese marks."""

from __future__ import annotations

import re

import pytest

from rules.catalogue import load_catalogue
from rules.gauges import is_difference
from rules.pack import Program, available, compile_packs, load_packs
from rules.plan import Piece, Rule
from rules.standing import standing

CATALOGUES = {"us-bank-early-warning": "us-fdic"}
PROGRAMS = {
    pack: compile_packs(load_packs([pack]), load_catalogue([CATALOGUES.get(pack, "cn")])) for pack in available()
}
RULES = [pytest.param(rule, id=rule.id) for program in PROGRAMS.values() for rule in program.rules]
HALF_WIDTH = re.compile(r"[一-鿿][:;,()!?]|[:;,()!?][一-鿿]")


def templates(rule: Rule) -> list[tuple[str, tuple[Piece, ...]]]:
    """Each text of a rule with its language."""
    return [(language, pieces) for text in (rule.message, *rule.texts.values()) for language, pieces in text.items()]


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_document_is_cited_in_one_way(program: Program) -> None:
    """Rules, rows of parameters and the catalogue's indicators give the same number of the same document."""
    cited = [rule.basis for rule in program.rules]
    cited += [row.basis for setting in program.settings.values() for row in setting.rows]
    cited += [indicator.basis for indicator in program.catalogue.indicators.values()]
    numbers: dict[str, set[str | None]] = {}
    for basis in cited:
        if document := basis.get("document"):
            numbers.setdefault(document, set()).add(basis.get("number"))
    assert {document: found for document, found in numbers.items() if len(found) > 1} == {}


@pytest.mark.parametrize("rule", RULES)
def test_every_level_says_whether_it_is_law(rule: Rule) -> None:
    """Law, or somebody's proposal; and what cites no document is no law."""
    for level in rule.levels:
        found = standing(rule.evidence.get(level.number, rule.basis.get("evidence")))
        assert found, level.number
        assert found == "proposal" or rule.basis["document"]


@pytest.mark.parametrize("rule", RULES)
def test_differences_of_ratios_are_points(rule: Rule) -> None:
    """A percent sign after a difference would be read as a relative change."""
    for _, pieces in templates(rule):
        for piece in pieces:
            if piece.node is not None and is_difference(piece.node) and piece.node.op != "text":
                assert "%" not in piece.format, piece.format


@pytest.mark.parametrize("rule", RULES)
def test_chinese_texts_have_chinese_marks(rule: Rule) -> None:
    """No half-width colon, comma or parenthesis beside Chinese characters."""
    written = [rule.title.get("zh", ""), *(words.get("zh", "") for words in (rule.action, *rule.actions.values()))]
    written += ["〇".join(p.text for p in pieces) for language, pieces in templates(rule) if language == "zh"]
    assert [text for text in written if HALF_WIDTH.search(text.replace("〇", "数"))] == []


@pytest.mark.parametrize("rule", RULES)
def test_texts_of_states_and_actions_are_in_both_languages(rule: Rule) -> None:
    for words in (*rule.texts.values(), *rule.actions.values()):
        assert {"en", "zh"} <= words.keys()
