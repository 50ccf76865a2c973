"""`python -m benchmarks`: run the benchmarks, print one table, write one JSON file."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from benchmarks.worker import FILINGS, compare, local_broker

TARGET = 6.0
COLUMNS = {
    "name": "way",
    "seconds": "seconds",
    "cpu_seconds": "processor seconds",
    "million_values_per_second": "million values/s",
    "alert_changes": "alert changes",
    "times": "times",
}


def main(
    filings: Annotated[int, typer.Option(help="Filings to send through both sides.")] = FILINGS,
    repeats: Annotated[int, typer.Option(help="Runs of each side; the best counts.")] = 2,
    out: Annotated[Path, typer.Option(help="File for the numbers.")] = Path("build/benchmarks.json"),
) -> None:
    """Measure; exit with 1 when Guanlan is not at least six times as fast as the plain agent."""
    console = Console()
    console.print(f"filling topics and measuring, runs of each side: {repeats} …", style="dim")
    with local_broker() as (bootstrap, description):
        rows = compare(bootstrap, filings, repeats)
    told = machine()
    table = Table(title=str(rows[0]["benchmark"]), caption=f"{told['processor']}, {told['cores']} cores; {description}")
    for key, heading in COLUMNS.items():
        table.add_column(heading, justify="left" if key == "name" else "right")
    for row in rows:
        table.add_row(*(str(row[key]) for key in COLUMNS))
    console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    measured = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": told, "broker": description}
    out.write_text(json.dumps({**measured, "results": rows}, indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {out}", style="dim")
    if float(str(rows[1]["times"])) < TARGET:
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
