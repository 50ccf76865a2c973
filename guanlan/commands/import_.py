"""`guanlan import`: data from public services, as files that `submit` and `backtest` read."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Fetch public data as files for submit and backtest.", no_args_is_help=True)


@app.callback()
def _services() -> None:
    """Fetch public data as files for submit and backtest."""


@app.command()
def fdic(
    cert: Annotated[list[int], typer.Option(help="FDIC certificate; may be given several times.")],
    out: Annotated[Path, typer.Option(help="CSV of financials, for --mapping us-fdic.")],
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First as-of date.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last as-of date.")] = None,
    institutions: Annotated[Path | None, typer.Option(help="CSV of the banks themselves.")] = None,
    url: Annotated[str, typer.Option(help="Address of the API.", envvar="GUANLAN_FDIC_URL")] = "",
    key: Annotated[str, typer.Option(help="Key of api.data.gov.", envvar="FDIC_API_KEY", show_envvar=True)] = "",
) -> None:
    """Fetch quarterly financials of US banks from the FDIC; exit 1 when a bank has none."""
    import httpx
    from rich.console import Console
    from rich.progress import track

    from streams.fdic import FINANCIALS, INSTITUTIONS, URL, BankFind, Row, between, missing_field, write_csv

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    bounds = [day.strftime("%Y%m%d") if day else "" for day in (first, last)]
    wanted = list(dict.fromkeys(cert))
    financials: list[Row] = []
    banks: list[Row] = []
    absent: list[int] = []
    with httpx.Client(timeout=30, follow_redirects=True) as client:
        api = BankFind(client, url or URL, key)
        for number in track(wanted, "Fetching", console=console, transient=True):
            rows = list(between(api.rows("financials", number, FINANCIALS), *bounds))
            financials += rows
            if not rows:
                absent.append(number)
            if institutions is not None:
                banks += api.rows("institutions", number, INSTITUTIONS)
    financials.sort(key=lambda row: (str(row.get("REPDTE")), int(row.get("CERT") or 0)))
    problems = [missing_field(financials, FINANCIALS), missing_field(banks, INSTITUTIONS[:5])]
    write_csv(out, FINANCIALS, financials)
    typer.echo(f"{len(financials):,} filings of {len(wanted) - len(absent)} banks in {out}")
    if institutions is not None:
        write_csv(institutions, INSTITUTIONS, banks)
        typer.echo(f"{len(banks)} banks in {institutions}")
    for number in absent:
        typer.echo(f"the FDIC has no financials of certificate {number} in this time", err=True)
    for problem in filter(None, problems):
        typer.echo(f"the FDIC's API at {url or URL} {problem}", err=True)
    if absent or any(problems):
        sys.exit(1)
