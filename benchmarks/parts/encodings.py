"""The worker end to end on large filings in every encoding, and on small ones on the embedded broker."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.parts import race
from benchmarks.rows import Row, ratio
from benchmarks.setting import Setting
from benchmarks.stage import Change, stage
from streams.encodings import Encoding

FASTER = {Encoding.ARRAY: 3.0, Encoding.ARROW: 8.0}


def measure(setting: Setting) -> Iterator[Row]:
    """Yield values a second by encoding, all with the same alerts, and how much faster than JSON by name that is."""
    job, part = setting.large, "encodings, large filings"
    rows: list[Row] = []
    expected: set[Change] | None = None
    for encoding in Encoding:
        with stage(setting.kafka(), job, encoding=encoding) as here:
            found = race.run(here, ("guanlan",), setting.runs, part, expected)
        expected = found.changes
        found.rows[0].name = str(encoding)
        rows += found.rows
    yield from rows
    for encoding, reach in FASTER.items():
        yield ratio(rows, str(encoding), str(Encoding.JSON), part, f"{encoding} / JSON by name", reach)
    with stage(setting.kafka("embedded"), setting.small) as here:
        yield from race.run(here, ("guanlan",), setting.runs, "embedded broker, small filings").rows
