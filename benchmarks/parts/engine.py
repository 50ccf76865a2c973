"""The engine alone: the whole sector files, date after date, and all rules are judged. No Kafka, no JSON.

An evaluation is one rule judged for one institution and date, with everything that belongs to it: what is unknown is
counted, states that are not quiet are folded on, what changed becomes a transition with its evidence. "with placing"
counts the seconds of a whole `apply`, in which values also go to their place in the history; without, values
are in place and the rest is counted. Histories are full, as they are in every worker that has run for a while.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.jobs import Job
from benchmarks.rows import Row, taken
from benchmarks.setting import Setting
from guanlan.synthetic.timeline import DAY
from guanlan.synthetic.wide import FIRST_DAY, FORM
from rules.catalogue import parse_catalogues
from rules.engine import Engine, FormBatch, Outcome
from rules.laps import Clock, no_clock
from rules.pack import PackText, compile_packs
from rules.sieve import compiled

PLAIN, MIXED = "plain comparisons", "history functions in the mix"
REACH = {PLAIN: 1e9, MIXED: 400e6}
DATES, DRAWN = 15, 4
BACK = 3
HISTORY = {  # rule number modulo 10 → what the rule looks at, and its bounds: watch, warning, clear
    3: ("change({x}, 1)", 0.32, 0.36, 0.20),
    6: ("mean({x}, '4 filings')", 1.11, 1.13, 1.08),
    9: ("lag({x}, 2)", 1.23, 1.26, 1.15),
}


def measure(setting: Setting) -> Iterator[Row]:
    """Yield rule evaluations a second.

    First where alerts are as rare as in a sector that is well (one evaluation in 250,000 changes something):
    comparisons only, then with three rules in ten over history. Then the rules of the other parts, where one in
    250 does, what a change costs beyond the evaluations, and what a filing costs that revises an earlier date.
    """
    sieve = "compiled" if compiled() else "numpy"
    calm = replace(setting.sector, history=False)
    drawn = [draw(calm, np.random.default_rng([calm.seed, n])) for n in range(DRAWN)]
    gc.collect()
    gc.freeze()  # as the worker does when it has started
    quiet = evaluations(calm, PLAIN, well(calm, history=False), drawn)
    mixed = evaluations(calm, MIXED, well(calm, history=True), drawn)
    busy = evaluations(setting.sector, "one in 250 changes an alert", setting.sector.pack, drawn)
    for row in (*quiet, *mixed, *busy):
        row.note = f"{sieve} sieve"
        yield row
    work = calm.rules * calm.institutions
    more = busy[0].detail["transitions a date"] - quiet[0].detail["transitions a date"]
    costs = [(work / rate - work / quiet[0].median) / more for rate in busy[0].value]
    yield Row("engine", "a transition, with its evidence", "s", costs, "less")
    yield revised(setting.sector, drawn)


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


def evaluations(job: Job, name: str, pack: str, drawn: Sequence[FormBatch]) -> list[Row]:
    """Judge dates of the whole sector, after those that fill its histories; return rates without and with placing."""
    engine = make_engine(job, pack, time.perf_counter)
    full = engine.world.stores[FORM].depth
    whole: list[float] = []
    judging: list[float] = []
    cpu: list[float] = []
    outcomes: list[Outcome] = []
    for turn in range(full + DATES):
        batch = dated(drawn[turn % len(drawn)], turn)
        with taken() as measured:
            outcome = engine.apply([batch])
        if turn >= full:
            whole.append(measured.seconds)
            judging.append(measured.seconds - outcome.seconds["scatter"])
            cpu.append(measured.cpu)
            outcomes.append(outcome)
    work = job.rules * job.institutions
    detail = {
        "institutions": job.institutions,
        "rules": job.rules,
        "transitions a date": sum(len(outcome.transitions) for outcome in outcomes) / DATES,
        "milliseconds a date, by stage": {
            stage: round(1e3 * float(np.median([outcome.seconds[stage] for outcome in outcomes])), 2)
            for stage in outcomes[0].seconds
        },
        "evaluations a processor second, with placing": work / float(np.median(cpu)),
    }
    rates = {name: judging, f"{name}, with placing": whole}
    return [
        Row("engine", what, "evaluations/s", [work / s for s in seconds], cpu=cpu, reach=REACH.get(name), detail=detail)
        for what, seconds in rates.items()
    ]


def revised(job: Job, drawn: Sequence[FormBatch]) -> Row:
    """Return the seconds for each of the sector's filings when all revise the same earlier date."""
    engine = make_engine(job)
    turns = engine.world.stores[FORM].depth
    for turn in range(turns):
        engine.apply([dated(drawn[turn % len(drawn)], turn)])
    costs, cpu = [], []
    for revision in (1, 2, 3):
        batch = dated(drawn[revision % len(drawn)], turns - 1 - BACK, revision, turns + revision)
        with taken() as measured:
            engine.apply([batch])
        costs.append(measured.seconds / job.institutions)
        cpu.append(measured.cpu / job.institutions)
    return Row("engine", f"a filing that revises the date {BACK} dates ago", "s", costs, "less", cpu)


def make_engine(job: Job, pack: str = "", clock: Clock = no_clock) -> Engine:
    """Return an engine with the job's rules, or those of `pack`, and its institutions."""
    catalogue = parse_catalogues([(job.wide.catalogue, "wide.yaml")])
    return Engine(compile_packs([PackText(pack or job.pack, "bench.yaml")], catalogue), job.wide.institutions, clock)


def draw(job: Job, rng: np.random.Generator) -> FormBatch:
    """Return what everybody files on one date, as the generator of wide filings draws it; not dated yet.

    A filing's values stand together in memory, as decoding leaves them.
    """
    n = job.institutions
    values = rng.normal(1.0, 0.05, (n, job.indicators)).T
    values[rng.random(values.shape) < 0.01] = np.nan
    none = np.zeros(n, np.int64)
    return FormBatch(FORM, np.arange(n, dtype=np.int32), none, none, none.astype(np.int32), none, none, values)


def dated(batch: FormBatch, turn: int, revision: int = 0, arrival: int | None = None) -> FormBatch:
    """Return the filings for the date of that turn, arriving in the turn `arrival`."""
    n, day = len(batch.rows), (FIRST_DAY + turn) * DAY
    first = (turn if arrival is None else arrival) * n
    return replace(
        batch,
        as_of=np.full(n, day, np.int64),
        submitted_at=np.full(n, day + DAY + 8 * 3600, np.int64),
        revision=np.full(n, revision, np.int32),
        offset=np.arange(first, first + n, dtype=np.int64),
        sequence=np.arange(n, dtype=np.int64),
    )
