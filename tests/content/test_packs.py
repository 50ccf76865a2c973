"""The packs for China say what they must, in both languages, and claim no more than is known."""

from __future__ import annotations

import re

import pytest

from guanlan import packs
from guanlan.demo.stage import PACKS
from rules.catalogue import load_catalogue
from rules.pack import compile_packs, load_packs
from rules.plan import Rule
from rules.testing import coverage, read_tests, run_case
from rules.testing.coverage import share

PROGRAM = compile_packs(load_packs(PACKS), load_catalogue(["cn"]))
STATEMENTS = re.compile(r"plan: digital-finance-2025/([A-E]\d|F)")


def rules() -> list[pytest.param]:  # type: ignore[valid-type]
    """Every rule, by id."""
    return [pytest.param(rule, id=rule.id) for rule in PROGRAM.rules]


@pytest.mark.parametrize("rule", rules())
def test_a_rule_speaks_both_languages(rule: Rule) -> None:
    """Title, message and what to do, in English and in Chinese."""
    for texts in (rule.title, rule.message, rule.action):
        assert {"en", "zh"} <= {language for language, text in texts.items() if text}


@pytest.mark.parametrize("rule", rules())
def test_messages_begin_with_the_name(rule: Rule) -> None:
    """Whoever reads a message on a telephone must see at once whom it is about."""
    for language, pieces in rule.message.items():
        assert pieces[0].name == "institution.name", language


@pytest.mark.parametrize("rule", rules())
def test_a_rule_can_be_worked_with(rule: Rule) -> None:
    """It says by when to act, who gets it, and what it belongs to."""
    assert rule.deadline
    assert rule.route
    assert rule.tags


@pytest.mark.parametrize("rule", rules())
def test_a_rule_says_how_far_its_levels_can_be_trusted(rule: Rule) -> None:
    """`evidence` is always there, nothing is marked as verified, and what is ours is called a proposal."""
    assert rule.basis["evidence"]
    assert rule.basis["verified_on"] is None
    if rule.basis.get("document") is None:
        assert str(rule.basis["evidence"]).startswith("proposal")


@pytest.mark.parametrize("rule", [r for r in PROGRAM.rules if r.pack == "digital-transformation"], ids=lambda r: r.id)
def test_digital_rules_name_statements_of_the_plan(rule: Rule) -> None:
    """By our own keys A1 to E7 and F: the official task numbers are not known."""
    assert rule.tags
    assert [tag for tag in rule.tags if not STATEMENTS.fullmatch(tag)] == []


@pytest.mark.parametrize("pack", PACKS)
def test_the_tables_beside_a_pack_hold(pack: str) -> None:
    """Every case passes, every level of every rule is reached by one, and 95 % of all branches are."""
    program = compile_packs(load_packs([pack]), load_catalogue(["cn"]))
    cases, problems = read_tests(packs.test_file(pack).read_text(encoding="utf-8"), pack, program)
    assert problems == []
    results = [run_case(case, program) for case in cases]
    assert [result.timeline() for result in results if not result.ok] == []
    found = coverage(program, results)
    assert [c.rule.id for c in found if c.missed] == []
    assert share(found) >= 0.95
