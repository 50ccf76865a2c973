"""The engine alone: the whole sector files, date after date, and all rules are judged. No Kafka, no JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmarks.jobs import Job
from benchmarks.rows import Row, taken
from benchmarks.setting import Setting
from guanlan.synthetic.timeline import DAY
from guanlan.synthetic.wide import FIRST_DAY, FORM
from rules.catalogue import parse_catalogues
from rules.engine import Engine, FormBatch
from rules.pack import PackText, compile_packs

REACH = {"plain comparisons": 1e9, "history functions in the mix": 400e6}
DATES = 6


def measure(setting: Setting) -> Iterator[Row]:
    """Yield rule evaluations a second: comparisons only, and with one rule in ten over history."""
    for name, job in (
        ("plain comparisons", replace(setting.sector, history=False)),
        ("history functions in the mix", setting.sector),
    ):
        yield evaluations(job, name, setting.runs)


def evaluations(job: Job, name: str, runs: int) -> Row:
    """Judge `runs` dates of the whole sector, after three that fill the history."""
    engine = make_engine(job)
    rng = np.random.default_rng(job.seed)
    rates, cpu, changes = [], [], 0
    for turn in range(3 + max(runs, DATES)):
        batch = filed(engine, job, turn, rng)
        with taken() as measured:
            outcome = engine.apply([batch])
        if turn >= 3:
            rates.append(job.rules * job.institutions / measured.seconds)
            cpu.append(measured.cpu)
            changes += len(outcome.transitions)
    detail = {
        "institutions": job.institutions,
        "rules": job.rules,
        "transitions a date": changes / len(rates),
        "milliseconds a date": [round(1e3 * job.rules * job.institutions / rate, 2) for rate in rates],
        "evaluations a processor second": job.rules * job.institutions / float(np.median(cpu)),
    }
    return Row("engine", name, "evaluations/s", rates, cpu=cpu, reach=REACH.get(name), detail=detail)


def make_engine(job: Job) -> Engine:
    """Return an engine with the job's rules and institutions."""
    catalogue = parse_catalogues([(job.wide.catalogue, "wide.yaml")])
    return Engine(compile_packs([PackText(job.pack, "bench.yaml")], catalogue), job.wide.institutions)


def filed(engine: Engine, job: Job, turn: int, rng: np.random.Generator) -> FormBatch:
    """Return what everybody files on one date, as the generator of wide filings draws it."""
    n = job.institutions
    values = rng.normal(1.0, 0.05, (job.indicators, n))
    values[rng.random((job.indicators, n)) < 0.01] = np.nan
    day = (FIRST_DAY + turn) * DAY
    return FormBatch(
        FORM,
        engine.rows([i.code for i in job.wide.institutions]),
        np.full(n, day, np.int64),
        np.full(n, day + DAY + 8 * 3600, np.int64),
        np.zeros(n, np.int32),
        np.arange(turn * n, turn * n + n, dtype=np.int64),
        np.arange(n, dtype=np.int64),
        values,
    )
