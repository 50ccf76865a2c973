"""`python -m benchmarks.systemic`: network measures of a whole national sector, and the same by plain means.

The sector is made up: 4,500 institutions and 200,000 exposures, uneven amounts and buffers, and buffers scaled so
that small shocks just die out (spectral radius 0.97 of exposures over buffers). The plain Python is the loop that
textbooks and small packages have: dictionaries, one scenario at a time, sweeps until the change is small. The R
package NetworkRiskMeasures is measured too where `Rscript` and it are installed.
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
from rich.table import Table
from scipy import sparse
from scipy.sparse.linalg import eigs

from benchmarks.machine import machine
from systemic.network.clearing import clear
from systemic.network.debtrank import impact_vulnerability, linear_debtrank
from systemic.network.funding import funding_defaults
from systemic.network.running import RunningImpacts

INSTITUTIONS = 4_500
EXPOSURES = 200_000
RADIUS = 0.97
PLAIN_SCENARIOS = 3
LIMITS = {"all single defaults": 10.0, "one clearing vector": 0.050, "update of one institution": 0.100}


@dataclass(frozen=True, slots=True)
class World:
    """A made-up sector: exposures (n × n, sparse), buffers, and balance sheets outside."""

    exposures: Any
    buffer: Any
    external_assets: Any
    external_liabilities: Any


@dataclass(frozen=True, slots=True)
class Line:
    """One measured thing: median and best seconds over the runs, and the limit it must hold, if any."""

    name: str
    seconds: float
    best: float
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


def measure(world: World, repeats: int = 3) -> list[Line]:
    """Measure ours; each name that has a limit is in LIMITS."""
    size = world.buffer.size
    alone = np.zeros(size)
    alone[0] = 1.0
    running = RunningImpacts(world.exposures, world.buffer)
    generator = np.random.default_rng(2)

    def update() -> object:
        i, other = generator.integers(0, size, 2)
        row = world.exposures[[other]].toarray()[0]
        row[i] = 0.0
        return running.replace(int(i), row)

    return [
        timed("all single defaults", lambda: impact_vulnerability(world.exposures, world.buffer), repeats),
        timed("one default", lambda: linear_debtrank(world.exposures, world.buffer, alone), 3 * repeats),
        timed(
            "one clearing vector",
            lambda: clear(world.exposures, world.external_assets, world.external_liabilities),
            3 * repeats,
        ),
        timed("update of one institution", update, 10 * repeats, "all impacts, after new exposures of one"),
        timed(
            "cascades of all failures",
            lambda: funding_defaults(world.exposures, world.buffer),
            repeats,
            "lost claims and withdrawn funding",
        ),
    ]


def timed(name: str, work: Callable[[], object], repeats: int, note: str = "") -> Line:
    """Run `work` a few times and return the median and the best."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return Line(name, float(np.median(taken)), min(taken), LIMITS.get(name), note)


def plain_python(world: World, scenarios: int = PLAIN_SCENARIOS, tolerance: float = 1e-10) -> Line:
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
    each = (time.perf_counter() - start) / scenarios
    return Line("all single defaults, plain Python", each * size, each * size, None, f"{scenarios} run, extrapolated")


def networkx_python(world: World, scenarios: int = PLAIN_SCENARIOS, tolerance: float = 1e-10) -> Line | None:
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
    each = (time.perf_counter() - start) / scenarios
    total = each * world.buffer.size
    return Line("all single defaults, networkx", total, total, None, f"{scenarios} run, extrapolated")


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
    each = float(seconds[0]) / scenarios
    total = each * world.buffer.size
    return Line("all single defaults, R NetworkRiskMeasures", total, total, None, f"{scenarios} run, extrapolated")


def main(
    institutions: Annotated[int, typer.Option(help="Institutions in the sector.")] = INSTITUTIONS,
    exposures: Annotated[int, typer.Option(help="Exposures among them.")] = EXPOSURES,
    repeats: Annotated[int, typer.Option(help="Runs of each measure.")] = 3,
    compare: Annotated[bool, typer.Option(help="Also run plain Python, and R where it is installed.")] = True,
    out: Annotated[Path, typer.Option(help="File for the numbers.")] = Path("build/benchmarks-systemic.json"),
) -> None:
    """Measure; exit with 1 when a median is over its limit."""
    console = Console()
    world = make_world(institutions, exposures)
    lines = measure(world, repeats)
    if compare:
        others = [plain_python(world), networkx_python(world), r_package(world)]
        lines += [line for line in others if line is not None]
        if others[1] is None:
            console.print("networkx is not installed: not measured", style="dim")
        if others[2] is None:
            console.print("R with NetworkRiskMeasures is not installed: not measured", style="dim")
    told = machine()
    table = Table(
        title=f"{institutions:,} institutions, {world.exposures.nnz:,} exposures", caption=str(told["processor"])
    )
    for heading in ("measure", "median s", "best s", "limit s", "times ours", ""):
        table.add_column(heading, justify="left" if heading in ("measure", "") else "right")
    ours = lines[0].seconds
    for line in lines:
        times = f"{line.seconds / ours:,.0f}" if line.name.startswith("all single defaults,") else ""
        limit = f"{line.limit:g}" if line.limit else ""
        table.add_row(line.name, f"{line.seconds:.4f}", f"{line.best:.4f}", limit, times, line.note)
    console.print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    record = {"machine": told, "institutions": institutions, "results": [asdict(line) for line in lines]}
    out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    if any(line.limit is not None and line.seconds > line.limit for line in lines):
        sys.exit(1)


if __name__ == "__main__":
    typer.run(main)
