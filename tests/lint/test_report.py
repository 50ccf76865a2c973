"""The report as an author sees it, whole; the packs that come along pass without a word."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guanlan.commands.rules_ import app
from rules.catalogue import load_catalogue
from rules.lint import CHECKS, lint
from rules.lint.registry import check
from rules.pack import PackText, available
from rules.problems import Problem

GOLDEN = Path(__file__).parent / "golden"
CATALOGUE = load_catalogue(["cn"])
TODAY = date(2026, 11, 26)
BOTH = "    title: {en: a, zh: b}\n    message: {en: a, zh: b}\n    basis: {evidence: proposal}\n"


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["lint", *arguments, "--today", "2026-11-26"])
    return result.exit_code, result.output


def found(*packs: str) -> list[Problem]:
    return lint([PackText(text, f"{n}.yaml") for n, text in enumerate(packs)], CATALOGUE, TODAY)


def checks(*packs: str) -> list[str]:
    return [problem.check for problem in found(*packs)]


def pack(*rules: str, above: str = "") -> str:
    """A pack of rules given as the lines below `levels`, each complete otherwise."""
    listed = "".join(f"  - id: r{n}\n{BOTH}    levels:\n{rule}" for n, rule in enumerate(rules))
    return f"{above}pack: p\ncatalogue: cn\nrules:\n{listed}"


def test_a_report_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(GOLDEN)
    code, output = run("troubled.yaml")
    assert output == (GOLDEN / "troubled.txt").read_text(encoding="utf-8")
    assert code == 1


def test_the_packs_that_come_along_are_clean() -> None:
    assert run("--strict") == (0, f"{len(available())} packs: no problem found\n")


def test_a_warning_fails_only_when_strict(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(pack("      watch: roa > 1%\n"), encoding="utf-8")
    assert run(str(path))[0] == 0
    assert run(str(path), "--strict")[0] == 1


def test_a_date_that_is_none_is_said() -> None:
    result = CliRunner().invoke(app, ["lint", "--today", "tomorrow"])
    assert str(result.exception) == "--today can't be 'tomorrow': write a date as 2026-12-31"


def test_history_is_read_and_looked_at(tmp_path: Path) -> None:
    """Filings that a worker would reject are left out and counted; what has no value in the others is said."""
    path, filings = tmp_path / "p.yaml", tmp_path / "filings.csv"
    path.write_text(pack("      watch: lcr < 1 and hqla < 1bn\n"), encoding="utf-8")
    filings.write_text("form,institution,as_of,lcr\ncn.liquidity.d,A,2026-01-05,1.2\ncn.liquidity.d,A,2026-01-06,x\n")
    code, output = run(str(path), "--filings", str(filings))
    assert "history: 1 filing that a worker would reject left out" in output
    assert "'hqla' is blank in every filing of 'cn.liquidity.d' that the history has [nobody-files]" in output
    assert code == 0


def test_a_pack_that_does_not_compile_leaves_the_others_checked() -> None:
    """Its errors stand beside the findings on the others; what only it could answer is not asked."""
    broken = "pack: q\ncatalogue: cn\nrules:\n  - {id: q, levels: {watch: lrc < 1}}\n"
    assert checks(broken, pack("      watch: roa > 1%\n")) == ["unknown-name", "direction"]
    assert checks(broken, pack("      watch: firing('q') and roa < 0\n")) == ["unknown-name"]


@pytest.mark.parametrize(
    "comment",
    [
        "      # lint: disable direction\n",
        "      # lint: disable direction, we want it so\n",
        "      # lint: snooze direction until 2026-11-27: reviewed next week\n",
    ],
)
def test_a_comment_quietens_a_check_of_its_rule(comment: str) -> None:
    loud, quiet = "      watch: roa > 1%\n", f"{comment}      watch: roe > 1%\n"
    assert [p.place.line for p in found(pack(quiet, loud))] == [16]
    assert checks(pack(loud, loud.replace("roa", "roe"), above=comment.lstrip())) == []


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("snooze direction until 2026-11-26", ["lint-comment", "direction"]),
        ("snooze direction", ["lint-comment", "direction"]),
        ("snooze direction until soon", ["lint-comment", "direction"]),
        ("disable direction until 2027-01-01", ["lint-comment", "direction"]),
        ("disable directions", ["lint-comment", "direction"]),
        ("ignore direction", ["lint-comment", "direction"]),
    ],
)
def test_a_comment_that_is_not_understood_is_said(said: str, expected: list[str]) -> None:
    assert checks(pack(f"      # lint: {said}\n      watch: roa > 1%\n")) == expected


def test_what_excludes_zero_is_enough() -> None:
    """A condition beside the division, before or behind it, or an if; not one in another branch."""
    for safe in (
        "total_loans > 0 and npl_balance / total_loans > 5%",
        "npl_balance / total_loans > 5% and not (total_loans == 0)",
        "(npl_balance / total_loans if total_loans > 0 else 1) > 5%",
        "total_loans == 0 or npl_balance / total_loans > 5%",
        "npl_balance / (1bn + total_loans) > 5%",
    ):
        assert checks(pack(f'      watch: "{safe}"\n')) == [], safe
    for unsafe in (
        "total_loans > 0 or npl_balance / total_loans > 5%",
        "(npl_balance / total_loans if total_loans >= 0 else 1) > 5%",
        "lag(total_loans, 1) > 0 and npl_balance / total_loans > 5%",
        "total_loans > 0 and mean(npl_balance / total_loans, '4 filings') > 5%",
    ):
        assert checks(pack(f'      watch: "{unsafe}"\n')).count("zero-division") == 1, unsafe


def test_rules_for_others_do_not_overlap() -> None:
    apart = [
        pack("      watch: nsfr < 105%\n", "      watch: nsfr < 105%\n      warning: nsfr < 104%\n").replace(
            "id: r0\n", "id: r0\n    where: type in LOCAL_BANKS\n"
        ).replace("id: r1\n", f"id: r1\n    where: type in {types}\n")
        for types in ("NATIONAL_BANKS", "BANKS")
    ]  # fmt: skip
    assert [checks(text) for text in apart] == [[], ["overlap"]]


LAPSING = """pack: p
catalogue: cn
parameters:
  floor:
    unit: ratio
    rows:
      - {{value: 100%, author: a}}
      - {{value: 90%, type: rural_bank, author: a, to: {row_to}}}
{more}waivers:
  - {{rule: r, institution: A, reason: b, document: c, approver: d, to: {waived_to}}}
rules:
  - id: r
{both}    levels: {{watch: lcr < floor}}
    valid: {{to: {valid_to}}}
"""


def test_what_lapses_within_sixty_days_is_said() -> None:
    """The last day counts, what follows is looked at, and what is over long ago is not news."""

    def lapsing(waived_to: str, row_to: str, valid_to: str, more: str = "") -> list[int]:
        problems = found(LAPSING.format(waived_to=waived_to, row_to=row_to, valid_to=valid_to, more=more, both=BOTH))
        assert {p.check for p in problems} <= {"lapsing"}
        return [p.place.line for p in problems]

    assert lapsing("2026-11-26", "2026-11-26", "2026-11-26") == [8, 10, 17]
    assert lapsing("2027-01-25", "2027-01-25", "2027-01-25") == [8, 10, 17]
    assert lapsing("2027-01-26", "2027-01-26", "2027-01-26") == []
    assert lapsing("2026-11-25", "2026-11-25", "2026-11-25") == []
    follows = "      - {value: 95%, type: rural_bank, author: a, from: 2026-12-01}\n"
    assert lapsing("2027-06-30", "2026-11-30", "2027-06-30", more=follows) == []


def test_parameters_have_the_range_of_their_rows() -> None:
    """What no row can make true is never true; a default row is always known."""
    head = "parameters: {floor: {unit: ratio, rows: [{value: 90%, author: a}, {value: 100%, type: t, author: a}]}}\n"
    assert checks(pack("      watch: lcr < 120% and floor > 101%\n", above=head)) == ["never"]
    assert checks(pack("      watch: lcr < 1 and lcr / floor < 1\n", above=head)) == []
    assert checks(pack("      watch: lcr < floor - 50%\n", above=head)) == []
    assert checks(pack("      watch: lcr / (floor - 95%) < 1\n", above=head)) == ["zero-division"]


def test_a_limit_that_is_a_parameter_has_a_side_too() -> None:
    head = "parameters: {cap: {unit: ratio, rows: [{value: 90%, author: a}]}}\n"
    assert checks(pack("      watch: roe > cap\n      warning: roe > cap + 5%\n", above=head)) == ["direction"] * 2
    assert checks(pack("      watch: roe < cap\n      warning: roe < cap - 5%\n", above=head)) == []


def test_a_ladder_on_a_parameter_has_an_order() -> None:
    """Its limits are so much above or below the parameter, whatever that is."""
    head = "parameters: {low: {unit: ratio, rows: [{value: 90%, author: a}]}}\n"

    def summaries(*levels: str) -> list[str]:
        names = ("watch", "warning", "critical")
        lines = "".join(f"      {name}: {level}\n" for name, level in zip(names, levels, strict=False))
        return [problem.summary for problem in found(pack(lines, above=head))]

    assert summaries("lcr < low + 10%", "lcr < low + 5%", "lcr < low - 1%") == []
    assert summaries("lcr < low", "lcr < low + 5%") == ["'warning' at low + 5% asks for no more than 'watch' at low"]
    assert summaries("low > lcr", "lcr < low - 0%") == ["'warning' at low asks for no more than 'watch' at low"]
    assert summaries("lcr < low * 1.1", "lcr < low") == []


def test_the_only_division_is_pointed_at() -> None:
    (problem,) = found(pack("      watch: npl_ratio > 1% and npl_balance / total_loans > 5%\n"))
    assert (problem.check, problem.place.line, problem.place.column) == ("zero-division", 9, 45)


def test_a_second_check_of_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        check("never")(CHECKS["never"].run)
