"""`make chaos`: kill workers and the broker at random, damage what they keep, and compare topics with a quiet run."""

from __future__ import annotations

import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.kafka.local import LocalKafka
from rules.problems import GuanlanError
from tests.chaos.load import load, registry
from tests.chaos.outcome import Outcome, faults_alone, faults_between, table
from tests.chaos.run import Run


def main(
    seed: Annotated[int, typer.Option(help="Where chance begins; 0 for any.")] = 0,
    kills: Annotated[int, typer.Option(min=0, help="How often workers are killed.")] = 24,
    filings: Annotated[int, typer.Option(min=1_000, help="Filings, without revisions and bad records.")] = 15_000,
    workers: Annotated[int, typer.Option(min=1, max=2, help="Workers at a time.")] = 1,
    institutions: Annotated[int, typer.Option(min=10, help="Who files.")] = 500,
    disks: Annotated[bool, typer.Option(help="Damage local stores too.")] = True,
    keep: Annotated[bool, typer.Option("--keep", help="Keep topics and logs, also where nothing differs.")] = False,
) -> None:
    """Run the load twice on a Kafka of its own: undisturbed, and under faults. Exit code 1 where topics differ."""
    seed = seed or random.SystemRandom().randrange(1, 1_000_000)
    again = f"make chaos SEED={seed} KILLS={kills} FILINGS={filings} WORKERS={workers}"
    console = Console(width=None if sys.stdout.isatty() else 116, highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that brokers and workers are ended
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/]  {text}", markup=True)

    folder = Path(tempfile.mkdtemp(prefix="guanlan-chaos-"))
    records, names = load(seed, filings, institutions), registry(institutions)
    say(f"seed {seed}: {len(records)} records of {institutions} institutions; topics and logs in {folder}")
    runs: dict[str, tuple[Run, Outcome]] = {}
    faults: list[str] = []
    open_: list[Run] = []
    broker = LocalKafka(folder=folder / "kafka")
    try:
        broker.start()
        quiet = Run("quiet", records, broker, folder, names, say)
        open_.append(quiet)
        quiet.undisturbed()
        runs["undisturbed"] = quiet, Outcome.of(quiet)
        say(f"undisturbed: {len(runs['undisturbed'][1].transitions)} transitions")
        chaos = Run("chaos", records, broker, folder, names, say)
        open_.append(chaos)
        chaos.disturbed(random.Random(f"faults of {seed}"), workers, kills, disks)
        runs["under faults"] = chaos, Outcome.of(chaos)
        for title, (run, found) in runs.items():
            faults += [f"{title}: {fault}" for fault in faults_alone(run, found)]
        faults += faults_between(runs["undisturbed"][1], runs["under faults"][1])
        console.print(_shown(table(runs)))
        console.print(", ".join(f"{count} × {fault}" for fault, count in sorted(chaos.faults.items()) if count))
        for run, _ in runs.values():
            for line in (*run.crew.ended, *(f"{n} × {text}" for text, n in run.crew.tracebacks().most_common(5))):
                console.print(f"{run.name}: {line}", style="yellow", markup=False)
    except GuanlanError as err:
        faults.append(f"it did not get to the end: {err}")
    finally:
        for run in open_:
            run.close()
        broker.thaw()
        broker.stop()
        if not (keep or faults):
            shutil.rmtree(folder, ignore_errors=True)
    for fault in faults:
        console.print(f"FAULT  {fault}", style="red", markup=False)
    verdict = f"{len(faults)} faults; logs are in {folder}" if faults else "nothing differs that must not"
    console.print(f"{verdict}. Once more: {again}", markup=False)
    if faults:
        raise typer.Exit(1)


def _shown(rows: list[tuple[str, ...]]) -> Table:
    shown = Table(pad_edge=False, title="Topics after both runs", title_justify="left")
    for number, heading in enumerate(rows[0]):
        shown.add_column(heading, justify="right" if number else "left")
    for row in rows[1:]:
        shown.add_row(*row)
    return shown


if __name__ == "__main__":
    typer.run(main)
