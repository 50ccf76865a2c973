"""Resident memory of one engine, and what a further institution and a further rule take of it.

`python -m benchmarks.parts.memory INSTITUTIONS RULES QUARTERS` prints the bytes of one process.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.jobs import SECTOR, Job
from benchmarks.rows import Row
from benchmarks.setting import Setting

INSTITUTIONS = (1_000, 4_000)
RULES = (100, 400)
DATES, QUARTERS = 10, 40
REACH_BYTES = float(2 << 30)


def measure(setting: Setting) -> Iterator[Row]:
    """Yield bytes by institution (at 400 rules) and by rule (at 4,000 institutions), as slopes between processes."""
    scale = 2 if setting.quick else 1
    small, large = (n // scale for n in INSTITUTIONS)
    few, many = RULES
    full, narrow, shallow = (resident(*size) for size in ((large, many), (small, many), (large, few)))
    detail = {"institutions": large, "rules": many, "bytes": full}
    yield Row("memory", "engine, by institution", "B", [(full - narrow) / (large - small)], "less", detail=detail)
    whole = resident(SECTOR.institutions // (5 if setting.quick else 1), SECTOR.rules, QUARTERS)
    name = f"engine, sector with {QUARTERS} quarters of what rules read"
    yield Row("memory", name, "B", [whole], "less", [], REACH_BYTES)
    yield Row("memory", "engine, by rule", "B", [(full - shallow) / (many - few)], "less", detail=detail)


def resident(institutions: int, rules: int, quarters: int = 1) -> int:
    """Return the resident bytes of a process that holds this many, after so many quarters, at least ten, were filed."""
    command = [sys.executable, "-m", "benchmarks.parts.memory", str(institutions), str(rules), str(quarters)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return int(done.stdout)


def main(institutions: int, rules: int, quarters: int) -> None:
    """Fill an engine and print the resident bytes of this process."""
    from benchmarks.parts.engine import dated, draw, make_engine
    from benchmarks.parts.recovery import looking_back

    job = Job("memory", institutions, 500, rules, institutions, history=True)
    engine = make_engine(job, looking_back(job, quarters) if quarters > 1 else job.pack)
    drawn = [draw(job, np.random.default_rng([job.seed, n])) for n in range(2)]
    for turn in range(max(DATES, quarters)):
        engine.apply([dated(drawn[turn % 2], turn)])
    del drawn
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    print(pages * 4096)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
