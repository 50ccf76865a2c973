"""Parameters: which row wins for whom and when, units and names, and what an alert says of the value in force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rules.calendar import parse_instant
from rules.context import Context
from rules.engine import Engine
from rules.operations import number
from rules.pack import PackText, Program, compile_packs
from rules.plan import Row
from rules.problems import PackError
from rules.registry import Institution
from tests.rules.worlds import DAY, batch, catalogue

ROWS = """
      - {value: 100%, author: A, basis: {document: Law, article: "3"}}
      - {value: 105%, type: bank, author: B, to: 2024-12-31}
      - {value: 107%, type: bank, author: B, from: 2025-01-01}
      - {value: 110%, peer_group: big, author: C}
      - {value: 115%, dsib_bucket: 2, author: D}
      - {value: 120%, institution: ONE, author: E, from: 2025-06-30, to: 2025-06-30}
"""


def pack(rows: str = ROWS, unit: str = "ratio", levels: str = "{watch: x < floor}", name: str = "p") -> str:
    return (
        f"pack: {name}\nversion: '1'\nparameters:\n  floor:\n    title: {{en: Floor, zh: 底线}}\n    unit: {unit}\n"
        f"    rows:{rows}rules:\n  - {{id: {name}.r, levels: {levels}}}\n"
    )


def compiled(*texts: str) -> Program:
    return compile_packs([PackText(text, f"{i}.yaml") for i, text in enumerate(texts)], catalogue())


WHO = {
    "nobody special": Institution("A", type="insurer"),
    "a bank": Institution("B", type="bank"),
    "a big bank": Institution("C", type="bank", peer_group="big"),
    "a systemic big bank": Institution("D", type="bank", peer_group="big", dsib_bucket=2),
    "the one": Institution("ONE", type="bank", peer_group="big", dsib_bucket=2),
}


@pytest.mark.parametrize(
    ("who", "day", "value"),
    [
        ("nobody special", "2025-03-31", 1.00),
        ("a bank", "2024-12-31", 1.05),
        ("a bank", "2025-01-01", 1.07),
        ("a big bank", "2025-03-31", 1.10),
        ("a systemic big bank", "2025-03-31", 1.15),
        ("the one", "2025-06-29", 1.15),
        ("the one", "2025-06-30", 1.20),
        ("the one", "2025-06-30T15:00:00Z", 1.20),
        ("the one", "2025-07-01", 1.15),
    ],
)
def test_the_most_particular_row_that_is_valid_wins(who: str, day: str, value: float) -> None:
    program = compiled(pack())
    engine = Engine(program, WHO.values())
    node = program.rules[0].levels[0].condition.args[1]
    context = Context(engine.world, engine.rows([WHO[who].code]), np.array([parse_instant(day)]))
    assert number(node, context).tolist() == [value]


def test_an_institution_that_changes_its_group_has_that_group_s_row_from_then_on() -> None:
    engine = Engine(compiled(pack()), [WHO["a bank"]])
    assert not engine.apply([batch(engine, "q", [("B", 20_180, (1.08, 1, 1))])]).transitions
    engine.put_institution(replace_group(WHO["a bank"], "big"))
    assert engine.apply([batch(engine, "q", [("B", 20_270, (1.08, 1, 1))])]).transitions


def replace_group(institution: Institution, group: str) -> Institution:
    return Institution(institution.code, type=institution.type, peer_group=group)


def test_the_alert_carries_the_value_and_the_row_it_came_from() -> None:
    engine = Engine(compiled(pack()), WHO.values())
    day = parse_instant("2024-06-30") // DAY
    told = engine.apply([batch(engine, "q", [("B", day, (0.5, 1, 1)), ("A", day, (0.5, 1, 1))])]).transitions
    bank, other = sorted(told, key=lambda t: t.subject, reverse=True)
    floor = bank.parameters["floor"]
    assert (floor.value, floor.unit, floor.row, floor.author) == (1.05, "ratio", "type=bank", "B")
    assert (floor.since, floor.until) == ("", "2024-12-31")
    assert other.parameters["floor"].row == "default"
    assert other.parameters["floor"].basis == {"document": "Law", "article": "3"}


def test_without_a_default_it_is_missing_where_no_row_applies_and_neither_fires_nor_clears() -> None:
    engine = Engine(compiled(pack("\n      - {value: 100%, type: bank, author: A}\n")), WHO.values())
    told = engine.apply([batch(engine, "q", [("A", 90, (0.5, 1, 1)), ("B", 90, (0.5, 1, 1))])]).transitions
    assert [t.subject for t in told] == ["B"]
    assert engine.held("p.r", "A") == -1
    assert engine.unknown_counts() == {"p.r": {"no parameter": 1}}


def test_it_moves_with_the_date_inside_history_functions() -> None:
    """x less the floor, a filing ago, counts the floor of then."""
    program = compiled(pack(levels='{watch: "lag(x - floor, 1) > 0%"}'))
    engine = Engine(program, [WHO["a bank"]])
    before, after = parse_instant("2024-12-31") // DAY, parse_instant("2025-03-31") // DAY
    engine.apply([batch(engine, "q", [("B", before, (1.06, 1, 1)), ("B", after, (1.06, 1, 1))])])
    assert [a.severity for a in engine.active()] == ["watch"]


def test_two_packs_may_define_it_alike_and_not_otherwise() -> None:
    assert len(compiled(pack(name="p"), pack(name="q")).rules) == 2
    other = pack(name="q").replace("115%", "116%")
    with pytest.raises(PackError, match=r"1.yaml:4:3: error: the parameter 'floor' is defined otherwise at 0.yaml:4:3"):
        compiled(pack(name="p"), other)


def test_a_pack_can_t_use_another_one_s() -> None:
    with pytest.raises(PackError, match="there is no indicator 'floor'"):
        compiled(pack(), "pack: o\nrules:\n  - {id: o.r, levels: {watch: x < floor}}\n")


@pytest.mark.parametrize(
    ("old", "new"), [("100%, author", "99%, author"), ("author: A", "author: Z"), ("to: 2024-12-31", "to: 2024-12-30")]
)
def test_the_rule_s_hash_covers_the_parameters_it_uses(old: str, new: str) -> None:
    assert compiled(pack()).rules[0].hash != compiled(pack().replace(old, new)).rules[0].hash
    unused = pack(levels="{watch: x < 1}")
    assert compiled(unused).rules[0].hash == compiled(unused.replace(old, new)).rules[0].hash


def test_where_it_stands_in_the_file_is_no_part_of_the_definition() -> None:
    row = Row(1.0, "default", "", {}, "A", 0, 1)
    assert row == replace(row, place=catalogue().indicators["x"].place)
