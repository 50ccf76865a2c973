"""A worker with 40 quarters in its state is killed: how long until it judges again, and its memory.

The rules read 500 indicators, and one of them looks back over 40 filings, so that many are kept. Institutions file
the 500 indicators that are read; what they report beside them is not kept and would only take time here.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.feed import feed
from benchmarks.jobs import SECTOR, Job
from benchmarks.process import WorkerProcess
from benchmarks.rows import Row
from benchmarks.setting import Setting
from benchmarks.stage import Stage, ends, read, send, stage
from guanlan.synthetic.timeline import to_date
from guanlan.synthetic.wide import FIRST_DAY
from streams.topics import ALERTS, FILINGS

QUARTERS = 40
INSTITUTIONS = 5_000
REACH_SECONDS, REACH_BYTES = 10.0, float(2 << 30)
DRAWS = 4
SECONDS = 200.0
SETTLE = 3.0


def measure(setting: Setting) -> Iterator[Row]:
    """Yield seconds from starting again to the first filing's alert, with and without the local store; memory."""
    institutions = INSTITUTIONS // (5 if setting.quick else 1)
    job = replace(SECTOR, name="recovery", institutions=institutions, indicators=500, filings=institutions)
    with stage(setting.kafka(), job, fill=False, appended=(ALERTS,)) as here:
        worker = WorkerProcess(here, job, pack=looking_back(job))
        try:
            worker.start()
            worker.until("guanlan_partitions_assigned", here.partitions)
            began = time.perf_counter()
            send(here.bootstrap, f"{here.prefix}{FILINGS}", history(job))
            here.until_committed(QUARTERS * institutions, SECONDS, worker.alive)
            filled = time.perf_counter() - began
            time.sleep(SETTLE)
            memory, peak = worker.resident(), worker.resident(peak=True)
            again = []
            for turn, keep_store in enumerate((True, False), QUARTERS):
                worker.kill()
                if not keep_store:
                    shutil.rmtree(worker.folder / "data")
                again.append(first_alert(here, worker, turn))
        finally:
            worker.kill()
    detail = {
        "institutions": institutions,
        "quarters": QUARTERS,
        "indicators kept": job.rules,
        "seconds to file the history": filled,
        "numbers kept": institutions * QUARTERS * job.rules,
    }
    part = "recovery"
    yield Row(part, "start to first alert, local store there", "s", again[:1], "less", [], REACH_SECONDS, detail=detail)
    yield Row(part, "start to first alert, local store lost", "s", again[1:], "less", [], REACH_SECONDS, detail=detail)
    size = f"{institutions:,} institutions × {QUARTERS} quarters"
    yield Row("memory", f"worker, {size}", "B", [memory], "less", [], REACH_BYTES, detail=detail)
    yield Row("memory", f"worker, {size}, at its highest", "B", [peak], "less", [], REACH_BYTES, detail=detail)


def looking_back(job: Job, quarters: int = QUARTERS) -> str:
    """Return the rules, and one that looks back over that many filings."""
    return (
        job.pack
        + f"""  - id: bench.back
    title: {{en: x0000 is far above its mean}}
    levels:
      watch: x0000 > mean(x0000, '{quarters} filings') + 5
    message: {{en: "{{institution.name}}: {{x0000:.3f}}"}}
"""
    )


def history(job: Job) -> Iterator[tuple[bytes, bytes]]:
    """Yield the filings of all quarters: a few draws of the generator, dated anew in turns."""
    drawn = [list(feed(job, n)) for n in range(DRAWS)]
    for turn in range(QUARTERS):
        dates = [to_date(FIRST_DAY + turn % DRAWS + n).isoformat().encode() for n in (0, 1)]
        anew = [to_date(FIRST_DAY + turn + n).isoformat().encode() for n in (0, 1)]
        for key, value in drawn[turn % DRAWS]:
            head, _, values = value.partition(b'"values"')
            head = head.replace(b'"' + dates[1] + b"T", b'"' + anew[1] + b"T").replace(dates[0], anew[0])
            yield key, head + b'"values"' + values


def first_alert(here: Stage, worker: WorkerProcess, turn: int) -> float:
    """Start the worker again, with one filing waiting that raises alerts; return seconds until the first of them."""
    key, value = next(iter(feed(here.job, turn)))
    head, _, _ = value.partition(b'"values"')
    alarming = b'"values":{' + b",".join(b'"x%04d":9.5' % n for n in range(here.job.indicators)) + b"}}"
    since = ends(here.bootstrap, f"{here.prefix}{ALERTS}")
    send(here.bootstrap, f"{here.prefix}{FILINGS}", [(key, head + alarming)])
    began = time.time()
    worker.start()
    deadline = time.monotonic() + SECONDS
    while not (told := read(here.bootstrap, f"{here.prefix}{ALERTS}", since)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no alert after {SECONDS:g} s; {worker.said()}")
        time.sleep(0.1)
    return min(at for at, _ in told) / 1000 - began
