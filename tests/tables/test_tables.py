"""Tables beside a pack say what they must, run on the production engine, and can't pass by mistake."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest
from typer.testing import CliRunner

from guanlan.commands.rules_ import app
from rules.catalogue import load_catalogue
from rules.pack import PackText, Program, compile_packs
from rules.rendering import renderer
from rules.testing import Result, coverage, read_tests, run_case
from rules.testing.coverage import share

GOLDEN = Path(__file__).parent / "golden"
CATALOGUE = load_catalogue(["cn"])


def program(*rules: str) -> Program:
    """Rules given by the lines below their id, which is r0, r1 …"""
    body = "".join(f"  - id: r{n}\n{indent(rule, '    ')}\n" for n, rule in enumerate(rules))
    return compile_packs([PackText(f"pack: p\ncatalogue: cn\nrules:\n{body}", "p.yaml")], CATALOGUE)


def text(table: str, who: str = "institution: {type: city_bank}", rule: str = "r0") -> str:
    lines = "".join(f"      {line.strip()}\n" for line in table.strip().splitlines())
    return f"tests:\n  - name: t\n    rule: {rule}\n    {who}\n    table: |\n{lines}"


def run(packed: Program, table: str, **more: str) -> Result:
    cases, problems = read_tests(text(table, **more), "t.yaml", packed)
    assert problems == []
    return run_case(cases[0], packed)


def found(packed: Program, table: str, **more: str) -> list[str]:
    return [step.found["level"] for step in run(packed, table, **more).steps]


def wrong(packed: Program, table: str, **more: str) -> str:
    _, problems = read_tests(text(table, **more), "t.yaml", packed)
    return "\n".join(map(str, problems))


LCR = "levels: {watch: lcr < 120%, critical: lcr < 100%}"


def test_reports_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures as timelines of values and states, then what no test reaches."""
    monkeypatch.chdir(GOLDEN)
    result = CliRunner().invoke(app, ["test", "failing.yaml", "--coverage", "--min-coverage", "90%"])
    assert result.output == (GOLDEN / "failing.txt").read_text(encoding="utf-8")
    assert result.exit_code == 1


def test_shipped_packs_reach_the_threshold() -> None:
    """As CI asks for it: every pack by itself."""
    result = CliRunner().invoke(app, ["test", "--min-coverage", "95%"])
    assert (result.exit_code, "less than" in result.output) == (0, False)


@pytest.mark.parametrize("given", ["90 per cent", "101%", "-1"])
def test_a_threshold_is_a_percentage(given: str) -> None:
    result = CliRunner().invoke(app, ["test", "reporting", "--min-coverage", given])
    assert "write a percentage as 90%" in str(result.exception)


def test_what_a_row_does_not_assert_is_not_compared() -> None:
    """A dash, or nothing at all behind the bar."""
    table = "as_of lcr | level\n2026-01-05 99% | -\n2026-01-06 99% |\n2026-01-07 130% | none"
    assert run(program(LCR), table).ok


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2026-01-05 -    130% -    -", "not filed"),
        ("2026-01-06 -    -    2%   -", "not reported"),
        ("2026-01-07 1bn  99%  -    -", "history too short"),
        ("2026-01-08 0    99%  -    1bn", "divided by zero"),
    ],
)
def test_unknown_says_why(row: str, reason: str) -> None:
    """Each reason can be asserted, is compared, and `unknown` alone takes any."""
    packed = program(
        "levels: {watch: nsfr < 120%}",
        "levels: {watch: overnight_funding_spread > 1% and lcr < 120%}",
        "levels: {watch: change(lcr) < 0}",
        "levels: {watch: hqla / net_outflows_30d < 1}",
    )
    reasons = ["not filed", "not reported", "history too short", "divided by zero"]
    head = "as_of net_outflows_30d lcr overnight_funding_spread hqla | level\n"
    rule = f"r{reasons.index(reason)}"
    assert run(packed, f"{head}{row} | unknown: {reason}", rule=rule).ok
    assert run(packed, f"{head}{row} | unknown", rule=rule).ok
    other = reasons[reasons.index(reason) - 1]
    result = run(packed, f"{head}{row} | unknown: {other}", rule=rule)
    assert [step.wrong for step in result.steps] == [{"level": f"unknown: {other}"}]


def test_what_is_too_old_is_unknown_for_that() -> None:
    packed = program("levels: {watch: lcr < 120% and npl_ratio > 1%}")
    table = "as_of npl_ratio lcr | level\n2025-03-31 2% - | -\n2026-01-05 - 99% | unknown: too old"
    assert run(packed, table).ok


def test_a_date_that_was_never_filed_is_an_error() -> None:
    """It would pass whatever the rule says; for the system any institution's date will do."""
    packed = program(LCR, "scope: system\nlevels: {watch: group_mean(lcr) < 120%}")
    asked = "as_of lcr | level\n2026-01-05 130% | none\n2026-01-06 - | none"
    assert "nothing was filed for 2026-01-06 (filed by A so far: 2026-01-05) [table]" in wrong(packed, asked)
    both = "institutions: [{code: A, type: city_bank}, {code: B}, {code: SYSTEM}]"
    asked = "as_of institution lcr | level\n2026-01-05 A 130% | none\n2026-01-05 B - | none"
    assert "nothing was filed for 2026-01-05 (filed by B so far: nothing)" in wrong(packed, asked, who=both)
    assert wrong(packed, asked.replace("B -", "SYSTEM -"), who=both, rule="r1") == ""


def test_late_and_revised_rows_are_judged_at_their_own_date() -> None:
    """The level behind the bar is how things stand once the row is in."""
    packed = program(f"{LCR}\nfor: 2 filings")
    table = """
      as_of       seen_at     revision  lcr  | level
      2026-01-05  2026-01-06  0         99%  | pending
      2026-01-07  2026-01-08  0         130% | none
      2026-01-06  2026-01-09  0         99%  | none
      2026-01-07  2026-01-10  1         98%  | critical
      2026-01-06  2026-01-11  1         130% | pending
    """
    assert run(packed, table).ok


def test_rows_stand_in_the_order_of_arrival() -> None:
    table = "as_of seen_at lcr | level\n2026-01-05 2026-01-09 99% | -\n2026-01-06 2026-01-08 99% | -"
    assert "was seen at 2026-01-08, the one above at 2026-01-09" in wrong(program(LCR), table)


def test_deadlines_pass_with_the_rows() -> None:
    """Peers who have not filed count until the deadline: T+1 for the daily form."""
    packed = program("levels: {watch: lcr < peer_median(lcr)}")
    who = "institutions: [{code: A, type: city_bank, peer_group: p}, {code: B, type: city_bank, peer_group: p}]"
    table = """
      as_of       seen_at     institution lcr  | level
      2026-01-05  2026-01-05  A           100% | unknown: coverage too low
      2026-01-05  2026-01-07  A           -    | none
      2026-01-05  2026-01-08  B           120% | none
      2026-01-05  2026-01-08  A           -    | watch
    """
    assert run(packed, table, who=who).ok


def test_an_alert_whose_data_ran_out_is_stale_and_keeps_its_level() -> None:
    """Daily filings are due on the next business day: that of Monday the 3rd is missed at the end of Tuesday."""
    result = run(
        program(LCR),
        """
        as_of       seen_at               lcr  | level
        2025-02-28  2025-03-03            90%  | critical
        2025-02-28  2025-03-04T15:59:59Z  -    | critical
        2025-02-28  2025-03-04T16:00:00Z  -    | stale
        2025-02-28  2025-03-05            -    | stale: cn.liquidity.d
        2025-02-28  2025-03-05            -    | critical
        2025-03-04  2025-03-05            90%  | stale
        """,
    )
    assert [step.wrong for step in result.steps] == [{}] * 5 + [{"level": "stale"}]
    assert "2025-03-05            -    █ critical, stale: cn.liquidity.d\n" in result.timeline()


def test_what_silences_an_alert_can_be_asserted() -> None:
    """A condition, another rule's alert, a waiver; in any order, or nobody."""
    packed = compile_packs([PackText(SILENCED, "p.yaml")], CATALOGUE)
    table = """
      as_of       seen_at     revision  lcr   nsfr  npl_ratio  total_assets  | level | suppressed_by
      2026-03-31  -           -         -     99%   -          900bn         | -
      2026-04-01  -           -         99%   -     -          -             | watch | r1
      2026-03-31  2026-04-02  1         -     99%   1%         -             | -
      2026-04-02  -           -         98%   -     -          -             | watch | waiver, unless
      2026-04-03  -           -         130%  -     -          -             | none  | nobody
    """
    assert [step.found for step in run(packed, table).steps if step.row.expected] == [
        {"level": "watch", "suppressed_by": "r1, waiver"},
        {"level": "watch", "suppressed_by": "r1, unless, waiver"},
        {"level": "none", "suppressed_by": "nobody"},
    ]
    assert [step.ok for step in run(packed, table).steps] == [True, False, True, False, True]
    assert run(packed, table.replace("| r1", "| waiver, r1").replace("waiver, unless", "unless, r1, waiver")).ok
    (one, other) = coverage(packed, [run(packed, table)])
    assert "no test shows it suppressed by r1" not in one.lines(renderer(packed))
    assert "no test shows it suppressed by r1" in coverage(packed, [])[0].lines(renderer(packed))
    assert other.missed == ("none", "warning")


SILENCED = """
pack: p
catalogue: cn
waivers:
  - {rule: r0, institution: A, reason: merger, document: D 1, approver: Zhang, from: 2026-04-01, to: 2026-12-31}
rules:
  - {id: r0, levels: {watch: lcr < 120%}, unless: npl_ratio > 0, inhibited_by: [r1]}
  - {id: r1, levels: {warning: nsfr < 100%}}
"""


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("as_of lcr | level\n2026-01-05 99% | criticl", "'criticl' is no level"),
        ("as_of lcr | level\n2026-01-05 99% | none: too old", "'none: too old' is no level"),
        ("as_of lcr | level\n2026-01-05 99% | unknown: to old", "did you mean 'too old'?"),
        ("as_of lcr | level\n2026-01-05 99% | unknown: out of range", "a filing that is refused never reaches a rule"),
        (
            "as_of lcr | level\n2026-01-05 130 | none",
            "lcr is 130, outside [0, 100]: the filing is refused (write 130%)",
        ),
        ("as_of lcr | levle\n2026-01-05 99% | none", "did you mean 'level'?"),
        ("as_of nsfr | level\n2026-04-01 99% | none", "no period ends then; the nearest end: 2026-03-31"),
        ("as_of lcr | level\n2026-04-01T10:00 99% | none", "it must be a date, as 2026-04-01, without a time of day"),
        ("as_of lrc | level\n2026-01-05 99% | none", "did you mean 'lcr'?"),
        ("as_of lcr lcr | level\n2026-01-05 99% 99% | none", "the column 'lcr' stands twice"),
        ("as_of lcr | level\n2026-01-05 99% | none | none", "the row asserts 2 things, the table's head has 1"),
        ("as_of lcr | level\n2026-01-05 99% 98% | none", "the row has 3 values, the table 2 columns"),
        ("as_of lcr | level\n2026-13-05 99% | none", "a value can't be read"),
        ("as_of lcr institution | level\n2026-01-05 99% X | none", "the institution 'X' is not in the test"),
        ("as_of lcr | level | suppressed_by\n2026-01-05 99% | - | r9", "nothing called 'r9' can suppress an alert"),
        ("lcr | level\n99% | none", "a table starts with 'as_of … | level'"),
    ],
)
def test_a_table_that_is_wrong_is_said_at_its_line(table: str, said: str) -> None:
    problem = wrong(program(LCR), table)
    assert said in problem
    assert problem.startswith(("t.yaml:6:1: ", "t.yaml:7:1: "))


def test_coverage_is_of_levels_and_of_every_side_of_conditions() -> None:
    packed = program(
        "where: type in BANKS\n"
        "levels: {watch: lcr < 120% and nsfr < 110%, critical: (lcr if total_assets > 1bn else nsfr) < 90%}\n"
        "clear: lcr > 125%"
    )

    def lines(*tables: str) -> list[str]:
        (one,) = coverage(packed, [run(packed, table) for table in tables])
        return list(one.lines(renderer(packed)))

    assert lines() == [
        "no test reaches none, watch, critical",
        "watch: never true in a test: lcr < 120%",
        "watch: never false in a test: lcr < 120%",
        "watch: never true in a test: nsfr < 110%",
        "watch: never false in a test: nsfr < 110%",
        "critical: never true in a test: (lcr if total_assets > 1bn else nsfr) < 90%",
        "critical: never false in a test: (lcr if total_assets > 1bn else nsfr) < 90%",
        "critical: never true in a test: total_assets > 1bn",
        "critical: never false in a test: total_assets > 1bn",
        "where: never true in a test: type in BANKS",
        "where: never false in a test: type in BANKS",
        "clear: never true in a test: lcr > 125%",
        "clear: never false in a test: lcr > 125%",
    ]
    up = "as_of total_assets lcr nsfr | level\n2026-03-31 2bn 110% 105% | watch\n2026-04-01 - 80% - | critical"
    assert [line for line in lines(up) if "type" not in line] == [
        "no test reaches none",
        "watch: never false in a test: lcr < 120%",
        "watch: never false in a test: nsfr < 110%",
        "critical: never false in a test: total_assets > 1bn",
        "clear: never true in a test: lcr > 125%",
    ]


def test_a_where_that_rules_share_is_tested_once() -> None:
    packed = program(f"where: type in BANKS\n{LCR}", "where: type in BANKS\nlevels: {watch: nsfr < 1}")
    results = [
        run(packed, "as_of lcr | level\n2026-01-05 130% | none", who=f"institution: {{type: {kind}}}")
        for kind in ("city_bank", "life_insurer")
    ]
    assert [(len(c.reached), len(c.unreached)) for c in coverage(packed, results)] == [(3, 2), (0, 2)]
    assert share(coverage(packed, results)) == 3 / 7
    assert share([]) == 1.0


def test_packs_that_name_each_other_s_rules_are_tested_together(tmp_path: Path) -> None:
    """Each alone does not compile; coverage is of a pack's own rules."""
    cause = f"pack: cause\nrules:\n  - {{id: cause, {LCR}}}\n"
    consequence = "pack: other\nrules:\n  - {id: other, levels: {watch: nsfr < 100%}, inhibited_by: [cause]}\n"
    table = "as_of lcr nsfr | level | suppressed_by\n2025-12-31 99% 90% | watch | cause"
    tests = f"pack: other\ntests:\n  - name: t\n    rule: other\n    table: |\n{indent(table, ' ' * 6)}\n"
    for name, text in (("cause.yaml", cause), ("other.yaml", consequence), ("other.test.yaml", tests)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = [str(tmp_path / name) for name in ("cause.yaml", "other.yaml")]
    told = CliRunner().invoke(app, ["test", *files, "--coverage"]).output
    assert "other.yaml: 1 of 1 tests passed" in told
    assert told.count("cause: no test reaches") == 1
    alone = CliRunner().invoke(app, ["test", files[1]])
    assert "there is no rule 'cause'" in str(alone.exception)
