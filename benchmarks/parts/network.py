"""The network measures of a whole sector: what `python -m benchmarks.systemic` measures, as rows."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.parts.growth import slope
from benchmarks.rows import Row
from benchmarks.setting import Setting
from benchmarks.systemic import make_world


def measure(setting: Setting) -> Iterator[Row]:
    """Yield seconds of each measure."""
    from benchmarks import systemic

    world = make_world(450, 20_000) if setting.quick else make_world()
    lines = systemic.measure(world, setting.runs)
    fifth = make_world(world.buffer.size // 5, len(world.exposures.data) // 5)
    exponent = slope([1, 5], [systemic.measure(fifth, 1)[0].seconds, lines[0].seconds])
    yield Row("growth", f"{lines[0].name}, by institutions and exposures", "exponent", [exponent], "less")
    for line in lines:
        yield Row(
            "network measures", line.name, "s", [line.best, line.seconds], "less", [line.cpu], line.limit, line.note
        )
    found, missing = systemic.others(world)
    for line in found:
        times = line.seconds / lines[0].seconds
        yield Row("network measures", f"{line.name}: time over ours", "×", [times], note=line.note)
    for sentence in missing:
        print(f"  {sentence}")
