"""How cost grows: institutions, indicators and rules each ×10 and ×100, judged in one process, JSON in.

Exponents are slopes of log cost over log size (least squares): 1 is in proportion, below 1 is better than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.feed import feed
from benchmarks.jobs import Job
from benchmarks.parts.engine import make_engine
from benchmarks.rows import Row, taken
from benchmarks.setting import Setting
from rules.engine import FormBatch
from streams.decode import Decoder
from streams.watch import fileable

BASE = Job("growth", institutions=1_000, indicators=200, rules=100, filings=1_000, history=True)
BATCH = 1_000


def measure(setting: Setting) -> Iterator[Row]:
    """Yield processor seconds by size and the exponents."""
    dates = 2 if setting.quick else 4
    for what, sizes in (
        ("institutions", (100, 1_000) if setting.quick else (100, 1_000, 10_000)),
        ("indicators", (20, 200) if setting.quick else (20, 200, 2_000)),
        ("rules", (10, 100) if setting.quick else (10, 100, 1_000)),
    ):
        decode, judge = [], []
        for size in sizes:
            found = cost(_job(what, size), dates)
            decode.append(found[0])
            judge.append(found[1])
        for name, costs in (("decode", decode), ("judge", judge), ("both", np.add(decode, judge).tolist())):
            detail = {what: list(sizes), "processor seconds a date": costs}
            yield Row("growth", f"{name}, by {what}", "exponent", [slope(sizes, costs)], "less", detail=detail)


def _job(what: str, size: int) -> Job:
    chosen = {"institutions": BASE.institutions, "indicators": BASE.indicators, "rules": BASE.rules, what: size}
    return Job(f"{what}{size}", filings=chosen["institutions"], history=True, **chosen)


def cost(job: Job, dates: int) -> tuple[float, float]:
    """Return the median processor seconds of one date, after one that makes it warm: to decode, and to judge."""
    engine = make_engine(job)
    decoder = Decoder(fileable(engine.program.catalogue))
    decoding, judging = [], []
    for turn in range(dates + 1):
        records = list(feed(job, turn))
        spent = [0.0, 0.0]
        for start in range(0, len(records), BATCH):
            part = records[start : start + BATCH]
            with taken() as measured:
                (columns,) = decoder.decode([value for _, value in part], [key for key, _ in part]).forms
            spent[0] += measured.cpu
            with taken() as measured:
                batch = FormBatch(
                    columns.form,
                    engine.rows(columns.institutions),
                    columns.as_of,
                    columns.submitted_at,
                    columns.revision,
                    columns.index + turn * len(records) + start,
                    columns.index,
                    columns.values,
                )
                engine.apply([batch])
            spent[1] += measured.cpu
        if turn:
            decoding.append(spent[0])
            judging.append(spent[1])
    return float(np.median(decoding)), float(np.median(judging))


def slope(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Return b of cost = a · size^b by least squares on logarithms.

    >>> round(slope([1, 10, 100], [3, 30, 300]), 6)
    1.0
    """
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
