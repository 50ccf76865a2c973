"""Guanlan's worker and six other ways: the same filings, the same rules, the same alerts."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.parts import race
from benchmarks.rows import Row, ratio
from benchmarks.setting import Setting
from benchmarks.stage import stage
from benchmarks.ways import WAYS

ORDER = ("limit", "guanlan", "loop", "bytewax", "quix", "faust_take", "faust")
REACHES: dict[str, dict[str, float]] = {
    "small": {"limit": 0.75, "faust": 8.0, "quix": 1.7, "faust_take": 1.0, "bytewax": 1.0, "loop": 1.0},
    "large": {"limit": 0.75},
}


def measure(setting: Setting) -> Iterator[Row]:
    """Yield every way on both jobs, and how many times as fast the worker is."""
    for job in (setting.small, setting.large):
        part = f"end to end, {job.name} filings"
        with stage(setting.kafka(), job) as here:
            rows = race.run(here, ORDER, setting.runs, part).rows
        yield from rows
        for way in ORDER:
            if way != "guanlan":
                reach = REACHES[job.name].get(way)
                yield ratio(rows, WAYS["guanlan"], WAYS[way], part, f"worker / {WAYS[way]}", reach)
