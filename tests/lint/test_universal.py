"""Every check gets along with every pack that compiles: generated ones, and those written to break something."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings

from rules.engine import Engine
from rules.lint import CHECKS, History, lint
from rules.pack import PackText
from rules.problems import PackError
from tests.rules.generated import SECTOR, World, batches, catalogue, filings, worlds
from tests.rules.reference import Filing
from tests.rules.test_attacks import HARMLESS
from tests.rules.worlds import catalogue as small

TODAY = date(1970, 6, 1)


@settings(max_examples=50)
@given(worlds(2), filings(most=10))
def test_generated_packs_are_checked_whole(world: World, filed: list[Filing]) -> None:
    """With history and without, whatever the rules say; findings have places in the pack."""
    history = History(SECTOR, tuple(batches(Engine(world.program, SECTOR), filed)))
    packs = [PackText(world.text, "generated.yaml")]
    with_history = lint(packs, catalogue(), TODAY, history)
    assert {problem.check for problem in with_history} <= CHECKS.keys()
    assert {problem.place.file for problem in with_history} <= {"generated.yaml"}
    assert all(problem.place.line for problem in with_history)
    assert set(lint(packs, catalogue(), TODAY)) <= set(with_history)


@pytest.mark.parametrize("name", HARMLESS)
def test_packs_that_are_harmless_to_the_engine_are_to_lint(name: str) -> None:
    problems = lint([PackText(HARMLESS[name], f"{name}.yaml")], small(), TODAY)
    assert {problem.check for problem in problems} <= CHECKS.keys()


def test_a_ladder_of_formulas_does_not_grow_without_bound() -> None:
    """Each formula uses the one before twice: as a tree it has a million leaves, as a plan twenty nodes."""
    from rules.catalogue import parse_catalogues

    lines = ["  - {id: d0, form: f, unit: ratio, range: [0, 1]}"]
    lines += [f"  - {{id: d{n}, formula: d{n - 1} + d{n - 1} * d{n - 1}, unit: ratio}}" for n in range(1, 20)]
    deep = parse_catalogues(
        [("catalogue: deep\nforms:\n  - {id: f, frequency: daily}\nindicators:\n" + "\n".join(lines), "deep.yaml")]
    )
    text = "pack: p\nrules:\n  - id: r\n    levels: {watch: d19 > 1 and d18 / d17 > 1, warning: d19 > 2}\n"
    try:
        found = {problem.check for problem in lint([PackText(text, "p.yaml")], deep, TODAY)}
    except PackError as err:
        pytest.fail(str(err))
    assert "zero-division" in found
