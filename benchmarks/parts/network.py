"""The network measures of a whole sector: what `python -m benchmarks.systemic` measures, as rows."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.rows import Row
from benchmarks.setting import Setting
from benchmarks.systemic import make_world


def measure(setting: Setting) -> Iterator[Row]:
    """Yield seconds of each measure."""
    from benchmarks import systemic

    world = make_world(450, 20_000) if setting.quick else make_world()
    for line in systemic.measure(world, setting.runs):
        yield Row("network measures", line.name, "s", [line.best, line.seconds], "less", [], line.limit, line.note)
