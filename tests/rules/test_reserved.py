"""Names that the system uses itself: refused to authors wherever they write them, with file, line and cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from guanlan.settings import Settings
from rules.catalogue import load_catalogue, parse_catalogues
from rules.lint import lint
from rules.pack import PackText, compile_packs
from rules.problems import CatalogueError, InputError, PackError
from streams.programs import compile_texts
from streams.registry import read_seed
from streams.stress import stress_packs
from streams.values import value_packs
from tests.lint.test_universal import TODAY

PACK = """pack: mine
version: "1"
title: {{en: Mine}}
catalogue: [cn]
rules:
  - id: {0}
    title: {{en: Mine}}
    scope: system
    levels: {{watch: hhi(total_assets) > 0.2}}
    message: {{en: m}}
"""
USES = {
    "inhibited": "    inhibited_by: [values.assets_hhi]\n",
    "asked": "    unless: firing('values.assets_hhi')\n",
}
WAIVER = """waivers:
  - rule: values.assets_hhi
    institution: CN001
    reason: r
    document: d
    approver: a
    from: 2026-01-01
    to: 2026-06-30
"""


def generated() -> list[str]:
    """Ids of the rules that the system makes of the catalogues it comes with."""
    found = []
    for name in ("cn", "us-fdic"):
        catalogue = load_catalogue([name])
        packs = [*stress_packs(catalogue), *value_packs(catalogue)]
        found += [rule.id for rule in compile_packs(packs, catalogue).rules]
    return found


@pytest.mark.parametrize("ident", ["values.concentration", *generated()])
def test_an_author_can_t_give_a_generated_rule_s_name(ident: str) -> None:
    """Lint, publishing and reading packs say so at its place; the rules that the system makes keep theirs."""
    pack = PackText(PACK.format(ident), "mine.yaml")
    told = f"mine.yaml:6:9: error: '{ident}' can't be a rule's id: the system names its own rules"
    assert [str(problem).startswith(told) for problem in lint([pack], load_catalogue(["cn"]), TODAY)] == [True]
    with pytest.raises(PackError) as published:
        compile_texts([pack], Settings())
    assert str(published.value).startswith(told)


def test_there_are_generated_rules_and_a_name_alike_is_free() -> None:
    """Only the first word is the system's."""
    assert {ident.partition(".")[0] for ident in generated()} == {"values", "stress"}
    compile_texts([PackText(PACK.format("mine.values.assets_hhi"), "mine.yaml")], Settings())
    compile_texts([PackText(PACK.format("stressed.banks"), "mine.yaml")], Settings())


@pytest.mark.parametrize("how", [*USES, "waived"])
def test_nobody_s_rule_asks_for_or_silences_a_generated_one(how: str) -> None:
    """Publishing says what lint does: there is no such rule."""
    text = PACK.format("mine.rule") + (WAIVER if how == "waived" else USES[how])
    pack = PackText(text, "mine.yaml")
    with pytest.raises(PackError, match=r"there is no rule 'values\.assets_hhi'") as published:
        compile_texts([pack], Settings())
    found = [p for p in lint([pack], load_catalogue(["cn"]), TODAY) if p.check == "unknown-rule"]
    assert [str(problem) for problem in found] == str(published.value).splitlines()


def test_a_catalogue_can_t_have_a_form_of_the_system() -> None:
    """Nobody could file it."""
    text = "catalogue: mine\nforms:\n  - {id: measures.mine, title: M, frequency: daily}\n"
    with pytest.raises(CatalogueError, match=r"mine.yaml:3:5: error: the form 'measures.mine' can't be filed"):
        parse_catalogues([(text, "mine.yaml")])


@pytest.mark.parametrize("code", ["SYSTEM", "MARKET", "CREDIT_TO_GDP", "others"])
def test_no_institution_has_a_code_of_the_system(tmp_path: Path, code: str) -> None:
    """Workers would pass over it, or take its quotes for the market's."""
    seed = tmp_path / "seed.yaml"
    seed.write_text(f"- code: CN001\n- code: {code}\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"seed.yaml:2:\d+: no institution can have the code '{code}'"):
        read_seed([seed])
