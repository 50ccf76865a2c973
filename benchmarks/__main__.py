"""`python -m benchmarks [PART…]`: measure, print one table, write one JSON file."""

from __future__ import annotations

import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.found import Found
from benchmarks.machine import load_average
from benchmarks.parts import EXTRA, PARTS
from benchmarks.report import table
from benchmarks.rows import Row

try:
    from benchmarks.setting import Setting
except ModuleNotFoundError as err:
    sys.exit(f"{err.name} is not installed; run `make bench`, or pip install 'guanlan[bench]'")


def main(
    part: Annotated[
        list[str] | None, typer.Argument(help=f"Parts: {', '.join(PARTS)} (all by default), {', '.join(EXTRA)}.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A fifth of the size, one run: does it work?")] = False,
    runs: Annotated[int, typer.Option(help="Runs of each thing.")] = 3,
    keep: Annotated[bool, typer.Option("--keep", help="Keep what the file has of other parts.")] = False,
    out: Annotated[Path, typer.Option(help="File for the numbers.")] = Path("build/benchmarks.json"),
) -> None:
    """Measure what the README claims."""
    console = Console(width=None if sys.stdout.isatty() else 116)
    chosen = part or list(PARTS)
    known = PARTS | EXTRA
    if unknown := [name for name in chosen if name not in known]:
        raise typer.BadParameter(f"there is no part {unknown[0]!r}; there are: {', '.join(known)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that brokers and workers are ended
    found = Found(quick, 1 if quick else runs)
    if keep and out.exists():
        found.keep(out, chosen)
    with Setting(quick, found.runs) as setting:
        for name in chosen:
            console.print(f"{name}: {known[name]} …", style="dim")
            start, load = time.perf_counter(), load_average()
            rows: list[Row] = []
            why = ""
            try:
                rows.extend(import_module(f"benchmarks.parts.{name}").measure(setting))
            except Exception as err:  # one part that fails must not lose what the others measured
                why = f"{type(err).__name__}: {err}"
                console.print(f"  {why}", style="red", markup=False)
            found.add(name, rows, why, time.perf_counter() - start, load)
            found.brokers |= {kind: description for kind, (_, description) in setting.brokers.items()}
            found.write(out)
    console.print(table(found.rows))
    console.print(found.said, style="dim", markup=False)
    console.print(f"written to {out}", style="dim")
    if found.failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
