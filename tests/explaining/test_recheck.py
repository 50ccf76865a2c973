"""Evidence frozen in an alert, evaluated again: the same comes out, for every rule that can be written."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from alerts.events import decode, encode
from guanlan.commands.rules_ import app
from rules.engine import Engine
from rules.pack import PackText, compile_packs
from rules.recheck import again, recheck
from rules.registry import Institution
from rules.transitions import Transition
from tests.examples import at_most
from tests.rules.generated import World, filings, sectors, worlds
from tests.rules.reference import DAY, Filing
from tests.rules.test_agreement import one_by_one
from tests.rules.worlds import batch, catalogue

PACK = """
pack: p
parameters:
  floor:
    unit: ratio
    rows: [{value: 1, author: A}, {value: 1.5, type: bank, author: A}]
rules:
  - id: r
    title: {en: Low, zh: 偏低}
    where: type in BANKS
    levels: {watch: "x < floor + 50%", critical: "x < floor and change(x) < -20%"}
"""


def alert(x: float = 1.0, before: float = 1.9) -> Transition:
    program = compile_packs([PackText(PACK, "p.yaml")], catalogue())
    engine = Engine(program, [Institution("I0", type="bank")])
    said = []
    for day, value in ((90, before), (181, x)):
        said += engine.apply([batch(engine, "q", [("I0", day, (value, 1, 1))])]).transitions
    return said[-1]


@at_most(30)
@given(worlds(), filings(), st.integers(80, 300))
def test_what_was_told_comes_out_of_the_evidence_alone(world: World, arriving: list[Filing], day: int) -> None:
    """After a trip over the wire; where severity rests on dates before as well, nothing is claimed."""
    engine = world.engine()
    said = one_by_one(engine, arriving) + engine.tick(day * DAY).transitions
    for transition in said:
        found = again(decode(encode(transition)[1]), world.program)
        assert found.same is not False
        assert not found.edited


@at_most(15)
@given(sectors(), filings(institutions=3, dates={"slow": [90, 180], "mid": [90, 180], "fast": [90]}))
def test_values_across_institutions_too(world: World, arriving: list[Filing]) -> None:
    said = one_by_one(world.engine(), arriving)
    assert [t for t in said if again(t, world.program).same is False] == []


def test_a_rule_without_memory_is_held_to_the_severity() -> None:
    told = alert()
    program = compile_packs([PackText(PACK, "p.yaml")], catalogue())
    assert again(told, program).same is True
    mended = program.rule("r").levels
    assert [outcome for *_, outcome in again(told, program).levels] == [True] * len(mended)


def test_an_alert_explained_whole() -> None:
    program = compile_packs([PackText(PACK, "p.yaml")], catalogue())
    assert list(recheck(alert(), program)) == [
        "r · Low · I0 · 1970-07-01 · escalated · critical",
        "",
        "  x = 100% (filed for 1970-07-01, revision 0)",
        "  lag(x, 1) = 190%",
        "  floor = 150% (type=bank)",
        "",
        "  critical holds: x < floor and change(x) < -20%",
        "  watch holds: x < floor + 50%",
        "",
        "Evaluated again, the evidence gives the same: critical.",
    ]
    assert list(recheck(alert(), program, "zh"))[-1] == "按证据重新计算，结果相同：严重。"


def test_evidence_that_was_tampered_with_is_found_out() -> None:
    program = compile_packs([PackText(PACK, "p.yaml")], catalogue())
    told = alert()

    forged = msgspec.structs.replace(told, severity="watch")
    assert again(forged, program).same is False
    assert list(recheck(forged, program))[-1] == "Evaluated again, the evidence gives critical, told was watch."


def test_the_command_reads_events_and_says_if_the_rule_was_edited(tmp_path: Path) -> None:
    pack, event = tmp_path / "p.yaml", tmp_path / "event.json"
    pack.write_text(PACK.replace("x <", "lcr <").replace("change(x)", "change(lcr)"), encoding="utf-8")
    event.write_bytes(encode(alert())[1])
    result = CliRunner().invoke(app, ["explain", "--alert", str(event), "--pack", str(pack)])
    assert "it was edited since." in result.output
    assert result.output.endswith("Evaluated again, the evidence gives none, told was critical.\n")
    assert result.exit_code == 1


@pytest.mark.parametrize(("text", "said"), [("", "not an alert event"), ("{}\n{}", "not an alert event")])
def test_what_is_no_event_is_said(tmp_path: Path, text: str, said: str) -> None:
    event = tmp_path / "event.json"
    event.write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["explain", "--alert", str(event)])
    assert said in str(result.exception)
