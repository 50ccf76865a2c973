"""`python -m benchmarks [PART…]`: measure, print one table, write one JSON file."""

from __future__ import annotations

import json
import signal
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.machine import load_average, machine
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
    out: Annotated[Path, typer.Option(help="File for the numbers.")] = Path("build/benchmarks.json"),
) -> None:
    """Measure what the README claims."""
    console = Console(width=None if sys.stdout.isatty() else 116)
    chosen = part or list(PARTS)
    known = PARTS | EXTRA
    if unknown := [name for name in chosen if name not in known]:
        raise typer.BadParameter(f"there is no part {unknown[0]!r}; there are: {', '.join(known)}")
    rows: list[Row] = []
    failed: dict[str, str] = {}
    took: dict[str, float] = {}
    began = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "load": load_average()}
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that brokers and workers are ended
    with Setting(quick, 1 if quick else runs) as setting:
        for name in chosen:
            console.print(f"{name}: {known[name]} …", style="dim")
            start = time.perf_counter()
            try:
                rows += import_module(f"benchmarks.parts.{name}").measure(setting)
            except Exception as err:  # one part that fails must not lose what the others measured
                failed[name] = f"{type(err).__name__}: {err}"
                console.print(f"  {failed[name]}", style="red", markup=False)
            took[name] = round(time.perf_counter() - start, 1)
        brokers = {kind: description for kind, (_, description) in setting.brokers.items()}
    places = {part: place for place, part in enumerate(dict.fromkeys(row.part for row in rows))}
    rows.sort(key=lambda row: places[row.part])
    told = machine()
    console.print(table(rows))
    caption = f"{told['processor']}, {told['cores']} cores, {told['memory_gib']} GiB; Python {told['python']}; "
    console.print(caption + "; ".join(brokers.values()), style="dim", markup=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    measured = {
        **began,
        "load_at_end": load_average(),
        "quick": quick,
        "runs": 1 if quick else runs,
        "machine": told,
        "brokers": brokers,
        "seconds": took,
        "failed": failed,
        "rows": [row.as_dict() for row in rows],
    }
    out.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    console.print(f"written to {out}", style="dim")
    if failed:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
