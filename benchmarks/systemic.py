"""`python -m benchmarks.systemic`: network measures of a whole national sector, and the same by plain means.

The sector is made up: 4,500 institutions and 200,000 exposures, uneven amounts and buffers, and buffers scaled so
that small shocks just die out (spectral radius 0.97 of exposures over buffers). The plain Python and the networkx are
the loop that textbooks and small packages have, one scenario at a time, sweeps until no change is above 1e-5 (ours is
exact to 1e-12); few scenarios are run and the rest is extrapolated. The R package NetworkRiskMeasures is measured too
where `Rscript` and it are installed. `--quick` takes a tenth of the sector.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from scipy import sparse
from scipy.sparse.linalg import eigs

from benchmarks.machine import load_average, machine
from benchmarks.rows import taken
from systemic.network.clearing import clear
from systemic.network.debtrank import impact_vulnerability, linear_debtrank
from systemic.network.funding import funding_defaults
from systemic.network.running import RunningImpacts

INSTITUTIONS = 4_500
EXPOSURES = 200_000
RADIUS = 0.97
PLAIN_SCENARIOS = 1
PLAIN_TOLERANCE = 1e-5
ALL_DEFAULTS = "all single defaults"
LIMITS = {ALL_DEFAULTS: 10.0, "one clearing vector": 0.050, "update of one institution": 0.100}


@dataclass(frozen=True, slots=True)
class World:
    """A made-up sector: exposures (n × n, sparse), buffers, and balance sheets outside."""

    exposures: Any
    buffer: Any
    external_assets: Any
    external_liabilities: Any


@dataclass(frozen=True, slots=True)
class Line:
    """One measured thing: seconds (median, best) and processor seconds (median) of the runs, and its limit, if any."""

    name: str
    seconds: float
    best: float
    cpu: float
    limit: float | None = None
    note: str = ""


def make_world(institutions: int = INSTITUTIONS, exposures: int = EXPOSURES, seed: int = 1) -> World:
    """Return a made-up sector with `exposures` exposures, seeded."""
    generator = np.random.default_rng(seed)
    lender = generator.integers(0, institutions, exposures)
    borrower = (lender + generator.integers(1, institutions, exposures)) % institutions
    amounts = generator.lognormal(0, 1, exposures)
    network = sparse.csr_array((amounts, (lender, borrower)), shape=(institutions, institutions))
    lent, owed = np.asarray(network.sum(axis=1)), np.asarray(network.sum(axis=0))
    buffer = lent * generator.lognormal(0, 0.5, institutions) + 1e-6
    radius = abs(eigs(sparse.diags_array(1 / buffer) @ network, k=1, return_eigenvectors=False)[0])
    outside = 3.0 * owed
    assets = np.maximum(owed + outside - lent, 0.0) * generator.lognormal(0, 0.05, institutions)
    return World(network, buffer * radius / RADIUS, assets, outside)


def measure(world: World, repeats: int = 3, tell: Callable[[str], None] = lambda _: None) -> list[Line]:
    """Measure ours, `tell`ing what comes next; the first is DebtRank of all defaults. Limits are in LIMITS."""
    size = world.buffer.size
    alone = np.zeros(size)
    alone[0] = 1.0
    generator = np.random.default_rng(2)

    def update() -> object:
        i, other = generator.integers(0, size, 2)
        row = world.exposures[[other]].toarray()[0]
        row[i] = 0.0
        return running.replace(int(i), row)

    def line(name: str, work: Callable[[], object], runs: int, note: str = "") -> Line:
        tell(name)
        return timed(name, work, runs, note)

    lines = [
        line(ALL_DEFAULTS, lambda: impact_vulnerability(world.exposures, world.buffer), repeats),
        line("one default", lambda: linear_debtrank(world.exposures, world.buffer, alone), 3 * repeats),
        line(
            "one clearing vector",
            lambda: clear(world.exposures, world.external_assets, world.external_liabilities),
            3 * repeats,
        ),
        line(
            "cascades of all failures",
            lambda: funding_defaults(world.exposures, world.buffer),
            repeats,
            "lost claims and withdrawn funding",
        ),
    ]
    tell("the state that updates start from")
    running = RunningImpacts(world.exposures, world.buffer)
    return [
        *lines,
        line("update of one institution", update, 10 * repeats, "all impacts, after new exposures of one"),
    ]


def others(world: World, tell: Callable[[str], None] = lambda _: None) -> tuple[list[Line], list[str]]:
    """Measure the same by plain means; return the lines, and what could not be measured."""
    lines, missing = [], []
    means: tuple[tuple[str, Callable[[World], Line | None]], ...] = (
        ("plain Python", plain_python),
        ("networkx", networkx_python),
        ("R NetworkRiskMeasures", r_package),
    )
    for name, run in means:
        tell(f"the same by {name}")
        found = run(world)
        if found is None:
            missing.append(f"{name} is not installed: not measured")
        else:
            lines.append(found)
    return lines, missing


def timed(name: str, work: Callable[[], object], repeats: int, note: str = "") -> Line:
    """Run `work` a few times and return the median and the best, and the median of the processor seconds."""
    runs = []
    for _ in range(repeats):
        with taken() as run:
            work()
        runs.append(run)
    seconds = [run.seconds for run in runs]
    cpu = float(np.median([run.cpu for run in runs]))
    return Line(name, float(np.median(seconds)), min(seconds), cpu, LIMITS.get(name), note)


def extrapolated(name: str, scenarios: int, seconds: float, size: int) -> Line:
    """Return a line of all scenarios from the seconds of a few."""
    total = seconds / scenarios * size
    return Line(f"{ALL_DEFAULTS}, {name}", total, total, total, None, f"{scenarios} run, extrapolated")


def plain_python(world: World, scenarios: int = PLAIN_SCENARIOS, tolerance: float = PLAIN_TOLERANCE) -> Line:
    """DebtRank of single defaults by dictionaries and sweeps, extrapolated to all institutions."""
    size = world.buffer.size
    edges = world.exposures.tocoo()
    lenders: dict[int, list[tuple[int, float]]] = {}
    for i, j, amount in zip(edges.row.tolist(), edges.col.tolist(), edges.data.tolist(), strict=True):
        lenders.setdefault(j, []).append((i, amount / world.buffer[i]))
    start = time.perf_counter()
    for shocked in range(scenarios):
        h = [0.0] * size
        h[shocked] = 1.0
        fresh = {shocked: 1.0}
        while fresh:
            arriving: dict[int, float] = {}
            for j, share in fresh.items():
                for i, weight in lenders.get(j, ()):
                    arriving[i] = arriving.get(i, 0.0) + weight * share
            fresh = {}
            for i, more in arriving.items():
                passed = min(1.0, h[i] + more) - min(1.0, h[i])
                h[i] += more
                if passed > tolerance:
                    fresh[i] = passed
    return extrapolated("plain Python", scenarios, time.perf_counter() - start, size)


def networkx_python(world: World, scenarios: int = PLAIN_SCENARIOS, tolerance: float = PLAIN_TOLERANCE) -> Line | None:
    """The same loop on a `networkx.DiGraph`, as it is written by most who use one; None where it is not installed."""
    try:
        import networkx
    except ModuleNotFoundError:
        return None
    edges = world.exposures.tocoo()
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(world.buffer.size))
    shares = edges.data / world.buffer[edges.row]
    graph.add_weighted_edges_from(zip(edges.col.tolist(), edges.row.tolist(), shares.tolist(), strict=True))
    start = time.perf_counter()
    for shocked in range(scenarios):
        h = dict.fromkeys(graph, 0.0) | {shocked: 1.0}
        fresh = {shocked: 1.0}
        while fresh:
            arriving: dict[int, float] = {}
            for j, share in fresh.items():
                for i, data in graph[j].items():
                    arriving[i] = arriving.get(i, 0.0) + data["weight"] * share
            fresh = {}
            for i, more in arriving.items():
                passed = min(1.0, h[i] + more) - min(1.0, h[i])
                h[i] += more
                if passed > tolerance:
                    fresh[i] = passed
    return extrapolated("networkx", scenarios, time.perf_counter() - start, world.buffer.size)


def r_package(world: World, scenarios: int = PLAIN_SCENARIOS) -> Line | None:
    """The same by R's NetworkRiskMeasures, extrapolated; None where it can't be run."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savetxt(folder / "exposures.csv", world.exposures.toarray(), delimiter=",")
        np.savetxt(folder / "buffer.csv", world.buffer)
        script = (
            "if (!requireNamespace('NetworkRiskMeasures', quietly = TRUE)) quit(status = 3)\n"
            "library(NetworkRiskMeasures)\n"
            "v <- as.matrix(read.csv('exposures.csv', header = FALSE)); b <- scan('buffer.csv', quiet = TRUE)\n"
            "rownames(v) <- colnames(v) <- paste0('i', seq_along(b))\n"
            f"s <- as.list(rownames(v)[1:{scenarios}]); t <- proc.time()[['elapsed']]\n"
            "contagion(v, b, shock = s, weights = rep(1, length(b)), method = 'debtrank', verbose = FALSE)\n"
            "cat('\\nSECONDS', proc.time()[['elapsed']] - t, '\\n')\n"
        )
        found = subprocess.run(["Rscript", "-e", script], cwd=folder, capture_output=True, text=True, check=False)
    seconds = [line.split()[1] for line in found.stdout.splitlines() if line.startswith("SECONDS")]
    if not seconds:
        return None
    return extrapolated("R NetworkRiskMeasures", scenarios, float(seconds[0]), world.buffer.size)


def main(
    institutions: Annotated[int, typer.Option(help="Institutions in the sector.")] = INSTITUTIONS,
    exposures: Annotated[int, typer.Option(help="Exposures among them.")] = EXPOSURES,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each measure.")] = 3,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the sector, one run: does it work?")] = False,
    compare: Annotated[bool, typer.Option(help="Also run plain Python, networkx, and R where it is installed.")] = True,
    out: Annotated[Path, typer.Option(help="File for the numbers.")] = Path("build/benchmarks-systemic.json"),
) -> None:
    """Measure; exit with 1 when a median is over its limit."""
    if quick:
        institutions, exposures, repeats = institutions // 10, exposures // 10, 1
    console = Console(width=None if sys.stdout.isatty() else 116)
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("a made-up sector", total=None)

        def tell(what: str) -> None:
            progress.update(task, description=what)
            if not console.is_terminal:
                console.print(f"{what} …", style="dim")

        world = make_world(institutions, exposures)
        lines = measure(world, repeats, tell)
        found, missing = others(world, tell) if compare else ([], [])
    told = machine()
    title = f"{institutions:,} institutions, {world.exposures.nnz:,} exposures"
    console.print(as_table(title, str(told["processor"]), lines, found))
    for sentence in missing:
        console.print(sentence, style="dim")
    out.parent.mkdir(parents=True, exist_ok=True)
    results = [asdict(line) | {"times_ours": ratio(line, lines)} for line in (*lines, *found)]
    record = {
        "machine": told,
        "load": load_average(),
        "institutions": institutions,
        "exposures": int(world.exposures.nnz),
        "results": results,
        "not_measured": missing,
    }
    out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    console.print(f"written to {out}", style="dim")
    if any(line.limit is not None and line.seconds > line.limit for line in lines):
        sys.exit(1)


def ratio(line: Line, ours: list[Line]) -> float | None:
    """Return how many times ours another way of all defaults takes; None for another thing."""
    return line.seconds / ours[0].seconds if line.name.startswith(f"{ALL_DEFAULTS},") else None


def as_table(title: str, caption: str, ours: list[Line], by_others: list[Line]) -> Table:
    """Return the lines as a table for the terminal."""
    table = Table(title=title, caption=caption)
    for heading in ("measure", "median s", "best s", "CPU s", "limit s", "times ours", ""):
        table.add_column(heading, justify="left" if heading in ("measure", "") else "right")
    for line in (*ours, *by_others):
        times = ratio(line, ours)
        limit = f"{line.limit:g}" if line.limit else ""
        mark = "" if line.limit is None else " ✓" if line.seconds <= line.limit else " ✗"
        numbers = (
            f"{value:,.0f}" if value > 1_000 else f"{value:.4f}" for value in (line.seconds, line.best, line.cpu)
        )
        table.add_row(line.name, *numbers, limit + mark, "" if times is None else f"{times:,.0f}", line.note)
    return table


if __name__ == "__main__":
    typer.run(main)
