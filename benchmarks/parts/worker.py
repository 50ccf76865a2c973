"""The worker end to end: groups, offsets, state kept, alerts sent; and the limit on the same records."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.jobs import Job
from benchmarks.parts import race
from benchmarks.rows import Row, ratio
from benchmarks.setting import Setting
from benchmarks.stage import stage
from benchmarks.ways import WAYS
from streams.encodings import Encoding

LIMIT_SHARE = 0.75
FASTER = {Encoding.ARRAY: 3.0, Encoding.ARROW: 8.0}


def measure(setting: Setting) -> Iterator[Row]:
    """Yield values a second of both jobs on Apache Kafka, each encoding, and the small job on the embedded broker."""
    yield from against_limit(setting, setting.small).rows
    by_name = against_limit(setting, setting.large)
    yield from by_name.rows
    yield from encodings(setting, by_name)
    job = setting.small
    with stage(setting.kafka("embedded"), job) as here:
        yield from race.run(here, ("guanlan",), setting.runs, f"worker, {job.name}, embedded broker").rows


def against_limit(setting: Setting, job: Job) -> race.Race:
    """Return the worker, the limit, and their ratio."""
    part = f"worker, {job.name}"
    with stage(setting.kafka(), job) as here:
        found = race.run(here, ("limit", "guanlan"), setting.runs, part)
    found.rows.append(ratio(found.rows, WAYS["guanlan"], WAYS["limit"], part, "worker / limit", LIMIT_SHARE))
    return found


def encodings(setting: Setting, by_name: race.Race) -> Iterator[Row]:
    """Yield the worker on large filings in the encodings that need no names, and how much faster that is."""
    job = setting.large
    part = f"worker, {job.name}"
    for encoding, reach in FASTER.items():
        with stage(setting.kafka(), job, encoding=encoding) as here:
            (row,) = race.run(here, ("guanlan",), setting.runs, part, by_name.changes).rows
        row.name += f", {encoding}"
        yield row
        yield ratio([*by_name.rows, row], row.name, WAYS["guanlan"], part, f"{encoding} / JSON by name", reach)
