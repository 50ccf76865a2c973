"""A real bank's real failure is seen coming: Silicon Valley Bank, closed on 10 March 2023."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guanlan.backtests import Run, run
from rules.transitions import SEVERITIES
from tests.fdic import FINANCIALS, INSTITUTIONS, SILICON_VALLEY_BANK, needs_fdic

pytestmark = [needs_fdic, pytest.mark.xdist_group("silicon-valley")]
FAILED = "2023-03-10"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    events = tmp_path_factory.mktemp("events") / "events.csv"
    events.write_text(f"institution,date\n{SILICON_VALLEY_BANK},{FAILED}\n", encoding="utf-8")
    return run(
        packs=["us-bank-early-warning"],
        files=[FINANCIALS],
        mapping=Path("us-fdic"),
        institutions=INSTITUTIONS,
        events=events,
    )


def warned(finished: Run, as_of: str) -> set[str]:
    """Institutions with an alert at warning or above after the filings of this date."""
    level: dict[str, tuple[str, int]] = {}
    for t in finished.transitions:
        if t.alert_id and t.as_of <= as_of:
            level[t.alert_id] = (t.subject, SEVERITIES.index(t.severity) if t.state != "resolved" else 0)
    return {subject for subject, severity in level.values() if severity >= SEVERITIES.index("warning")}


def test_all_filings_are_accepted(finished: Run) -> None:
    assert (finished.count, finished.rejected, finished.refused) == (418, (), ())


@pytest.mark.parametrize("as_of", ["2021-12-31", "2022-03-31", "2022-06-30", "2022-09-30", "2022-12-31"])
def test_it_stands_at_warning_and_most_others_do_not(finished: Run, as_of: str) -> None:
    """The last five filings before the failure: at least two were asked for, and at most a third of the others."""
    found = warned(finished, as_of)
    others = {i.code for i in finished.institutions} - {SILICON_VALLEY_BANK}
    assert SILICON_VALLEY_BANK in found
    assert len(found & others) <= len(others) / 3


def test_the_rule_on_run_prone_funding_led_by_more_than_two_years(finished: Run) -> None:
    (score,) = [s for s in finished.scores if s.rule == "us.liquidity.run-prone"]
    assert (score.hits, score.missed) == (1, ())
    assert score.median_lead is not None
    assert score.median_lead > 730


def test_the_command_prints_a_transition_a_line() -> None:
    import typer

    from guanlan.commands.backtest_ import command

    app = typer.Typer()
    app.command()(command)
    args = [
        "--pack",
        "us-bank-early-warning",
        "--filings",
        str(FINANCIALS),
        "--mapping",
        "us-fdic",
        "--format",
        "jsonl",
    ]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    wanted = {"rule", "subject", "state", "severity", "as_of", "values", "message"}
    assert lines
    assert all(wanted <= line.keys() for line in lines)
    assert {line["rule"] for line in lines if line["subject"] == SILICON_VALLEY_BANK} >= {"us.liquidity.run-prone"}


def test_the_report_shows_plots_of_what_fired(finished: Run) -> None:
    from guanlan.reports import as_html

    page = as_html(finished)
    assert page.count("<svg") == len(finished.charts()) > 10
    assert "Silicon Valley Bank" in page
    assert "uninsured" in page
