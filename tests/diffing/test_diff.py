"""Two versions of rules on one history: every alert is new, silent, changed or the same, and none is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from typer.testing import CliRunner

from guanlan.commands.rules_ import app
from rules.diff import alerts, compare
from rules.engine import Engine
from tests.rules.generated import SECTOR, World, batches, filings, worlds
from tests.rules.reference import Filing
from tests.rules.worlds import batch, institutions, program

GOLDEN = Path(__file__).parent / "golden"


def test_a_report_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    result = CliRunner().invoke(app, ["diff", "before.yaml", "after.yaml", "--filings", "filings.csv"])
    assert result.output == (GOLDEN / "report.txt").read_text(encoding="utf-8")
    assert result.exit_code == 0


@settings(max_examples=30)
@given(worlds(1), worlds(1), filings(most=8))
def test_nothing_is_lost(old: World, new: World, filed: list[Filing]) -> None:
    """Each alert of each version is told once, as of one of them only, as changed, or among the same."""
    made = batches(Engine(old.program, SECTOR), filed)
    (diff,) = compare(old.program, new.program, SECTOR, made)
    before, after = (alerts(version.program, SECTOR, made) for version in (old, new))
    told_before = [*diff.silent, *(pair[0] for pair in diff.changed)]
    told_after = [*diff.new, *(pair[1] for pair in diff.changed)]
    assert (len(told_before) + diff.same, len(told_after) + diff.same) == (len(before), len(after))
    assert set(told_before) <= set(before)
    assert set(told_after) <= set(after)
    if old.text == new.text:
        assert (diff.change, told_before, told_after) == ("same", [], [])


def test_a_version_compared_with_itself_is_the_same() -> None:
    made = program("- {id: r, levels: {watch: x > 1}}", "- {id: s, levels: {watch: y > 1}}")
    filed = [batch(Engine(made, institutions(1)), "q", [("I0", 100, (2.0, 1.0, 1.0))])]
    found = compare(made, made, institutions(1), filed)
    assert [(d.rule, d.change, d.new, d.silent, d.changed, d.same) for d in found] == [
        ("r", "same", [], [], [], 1),
        ("s", "same", [], [], [], 0),
    ]


def test_an_alert_whose_start_moved_is_one_alert() -> None:
    """A late filing opens the episode earlier: the new id supersedes the old one."""
    made = program("- {id: r, levels: {watch: x > 1}}")
    engine = Engine(made, institutions(1))
    filed = [("I0", 100, (2.0, 1.0, 1.0), 0, 0), ("I0", 10, (2.0, 1.0, 1.0), 0, 1)]
    found = alerts(made, institutions(1), [batch(engine, "q", [filed[0]]), batch(engine, "q", [filed[1]])])
    assert [(a.subject, a.started, a.ended, a.highest) for a in found] == [("I0", "1970-01-11", "", "watch")]
