"""`guanlan backtest`: history through the rules, without Kafka."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What is printed."""

    table = "table"
    jsonl = "jsonl"
    html = "html"


def command(
    filings: Annotated[list[Path], typer.Option("--filings", help="Filings: CSV, JSON Lines, Parquet or XLSX.")],
    pack: Annotated[list[str], typer.Option("--pack", help="Rule pack: a file, or the name of one that comes along.")],
    mapping: Annotated[Path | None, typer.Option(help="How the files' columns become indicators.")] = None,
    institutions: Annotated[
        Path | None, typer.Option(help="Registry of institutions: CSV, YAML or JSON Lines.")
    ] = None,
    events: Annotated[Path | None, typer.Option(help="CSV with columns institution,date of known failures.")] = None,
    catalogue: Annotated[
        list[str] | None, typer.Option(help="Catalogue: name or file. By default what the packs ask for.")
    ] = None,
    output: Annotated[Format, typer.Option("--format", help="table, jsonl or html.")] = Format.table,
    out: Annotated[Path | None, typer.Option(help="Write there instead of to standard output.")] = None,
    severity: Annotated[str, typer.Option(help="From which severity an alert counts against events.")] = "warning",
    window: Annotated[int, typer.Option(help="Days before an event within which an alert counts.")] = 730,
    accept_scale: Annotated[
        list[str] | None, typer.Option(help="Indicator whose units are right though they seem wrong; needs --by.")
    ] = None,
    by: Annotated[str, typer.Option(help="Name of the person who answers for --accept-scale.")] = "",
    language: Annotated[str, typer.Option(help="Language of messages: en or zh.")] = "en",
) -> None:
    """Run rules over filed history: when would they have fired, how early, and how often for nothing."""
    from guanlan import backtests, reports

    run = backtests.run(
        packs=pack,
        files=filings,
        mapping=mapping,
        institutions=institutions,
        events=events,
        catalogue=catalogue,
        severity=severity,
        window_days=window,
        accept_scale=accept_scale or (),
        by=by,
    )
    if output is Format.jsonl:
        reports.write(reports.as_jsonl(run, language), out)
    elif output is Format.html:
        reports.write(reports.as_html(run, language), out)
    else:
        reports.write(reports.as_table(run, language), out)
    if run.rejected:
        raise typer.Exit(1)
