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

PLAIN, MIXED = "plain comparisons", "history functions in the mix"
REACH = {PLAIN: 1e9, MIXED: 400e6}
DATES = 6
HISTORY = {  # rule number modulo 10 → what the rule looks at, and its bounds: watch, warning, clear
    3: ("change({x}, 1)", 0.32, 0.36, 0.20),
    6: ("mean({x}, '4 filings')", 1.11, 1.13, 1.08),
    9: ("lag({x}, 2)", 1.23, 1.26, 1.15),
}


def measure(setting: Setting) -> Iterator[Row]:
    """Yield rule evaluations a second.

    First where alerts are as rare as in a sector that is well (one evaluation in 50,000 changes something):
    comparisons only, then with three rules in ten over history. Then the rules of the other parts, where one in
    500 does, and what a change costs beyond the evaluations.
    """
    calm = replace(setting.sector, history=False)
    quiet = evaluations(calm, PLAIN, setting.runs, well(calm, history=False))
    yield quiet
    yield evaluations(calm, MIXED, setting.runs, well(calm, history=True))
    busy = evaluations(setting.sector, "one in 500 changes an alert", setting.runs, setting.sector.pack)
    yield busy
    work = calm.rules * calm.institutions
    more = busy.detail["transitions a date"] - quiet.detail["transitions a date"]
    costs = [(work / rate - work / quiet.median) / more for rate in busy.value]
    yield Row("engine", "a transition, with its evidence", "s", costs, "less")


def well(job: Job, *, history: bool) -> str:
    """Return the job's rules with bounds 4.6 spreads off the mean; with `history`, three in ten look back."""
    lines = ["pack: bench", 'version: "1"', "title: {en: Rules to measure with}", "rules:"]
    for n, rule in enumerate(job.thresholds):
        x, watch, warning, clear = HISTORY.get(n % 10 if history else -1, ("{x}", 1.23, 1.26, 1.15))
        x = x.format(x=rule.indicator)
        lines += [
            f"  - id: {rule.id}",
            f"    title: {{en: '{rule.indicator} is high'}}",
            f'    levels: {{watch: "{x} > {watch}", warning: "{x} > {warning}"}}',
            f"    for: {rule.hold} filings",
            f"    clear: not ({x} > {clear}) for 1 filings",
            f'    message: {{en: "{{institution.name}}: {{{rule.indicator}:.3f}}"}}',
        ]
    return "\n".join(lines) + "\n"


def evaluations(job: Job, name: str, runs: int, pack: str) -> Row:
    """Judge dates of the whole sector, after three that fill the history."""
    engine = make_engine(job, pack)
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


def make_engine(job: Job, pack: str = "") -> Engine:
    """Return an engine with the job's rules, or those of `pack`, and its institutions."""
    catalogue = parse_catalogues([(job.wide.catalogue, "wide.yaml")])
    return Engine(compile_packs([PackText(pack or job.pack, "bench.yaml")], catalogue), job.wide.institutions)


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
