"""The pack on systemic risk: whole in both languages, honest about its numbers, every level and measure tried."""

from __future__ import annotations

import pytest

from guanlan import packs
from rules.catalogue import load_catalogue
from rules.pack import compile_packs, load_packs
from rules.plan import Rule, walk
from rules.testing import coverage, read_tests, run_case

PACK = "systemic-risk"
PROGRAM = compile_packs(load_packs([PACK]), load_catalogue(["cn"]))
UNREAD = {
    "assets_gini",
    "buffer_guide",
    "cascade_concordance",
    "cascade_coverage",
    "clearing_defaults",
    "debtrank_2012_impact",
    "debtrank_2012_impact_largest",
    "debtrank_impact_rank",
    "delta_covar",
    "delta_covar_rank",
    "distance_to_default",
    "dsib_score",
    "dsib_score_surcharge",
    "fire_sale_indirect_loss",
    "fire_sale_vulnerability",
    "gsib_score",
    "gsib_score_surcharge",
    "interbank_borrower_gini",
    "interbank_lender_gini",
    "lrmes",
    "lrmes_garch",
    "lrmes_simulated",
    "market_beta",
    "mes",
    "mes_rank",
    "provider_coverage",
    "srisk_rank",
    "stress_coverage",
    "threshold_impact",
}
"""Measures that no level reads; a message tells each."""


def test_there_are_rules_enough_of_both_scopes() -> None:
    """The system as a whole, and institutions within it."""
    assert len(PROGRAM.rules) >= 20
    assert {rule.scope for rule in PROGRAM.rules} == {"system", "institution"}


@pytest.mark.parametrize("rule", PROGRAM.rules, ids=lambda rule: rule.id)
def test_a_rule_is_whole(rule: Rule) -> None:
    """Title, message and action in both languages; a deadline, a route and tags; its numbers marked as proposals."""
    for texts in (rule.title, rule.message, rule.action):
        assert {language for language, text in texts.items() if text} == {"en", "zh"}
    assert rule.deadline
    assert rule.route == "systemic"
    assert rule.tags
    assert (rule.basis["document"], rule.basis["verified_on"], rule.basis["evidence"]) == (None, None, "proposal")
    assert rule.placement == "system"


def test_every_measure_is_judged_by_a_rule() -> None:
    """What is computed and published but judged by no level is in a message at least; bounds where they help."""
    catalogue = load_catalogue(["cn"])
    forms = [form for form in catalogue.forms if form.startswith("measures.")]
    parts = {f"stress_{part.id}" for part in (catalogue.stress.parts if catalogue.stress else ())}
    measures = {name for form in forms for name in catalogue.reported(form)} - parts
    points = {name for name in measures if not name.endswith(("_low", "_high"))}
    bounds = {name.rpartition("_")[0] for name in measures - points}
    judged = {name for rule in PROGRAM.rules for name in rule.reads}
    told = {
        str(node.params[1])
        for rule in PROGRAM.rules
        for piece in rule.message["en"]
        if piece.node
        for node in walk(piece.node)
        if node.op == "column"
    }
    assert bounds <= points
    assert {name for name in points if name not in judged} <= UNREAD
    assert told >= UNREAD


def test_the_tables_beside_the_pack_hold_and_reach_every_level() -> None:
    """Measures as the system agent files them, and sectors of five to twelve banks."""
    cases, problems = read_tests(packs.test_file(PACK).read_text(encoding="utf-8"), PACK, PROGRAM)
    assert problems == []
    results = [run_case(case, PROGRAM) for case in cases]
    assert [result.timeline() for result in results if not result.ok] == []
    assert [c for c in coverage(PROGRAM, results) if c.missed] == []
