"""What the system agent pays: a filing that comes through the cross-section, and rules among peers over all of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.jobs import Job
from benchmarks.parts.engine import dated, draw
from benchmarks.parts.growth import slope
from benchmarks.rows import Row, taken
from benchmarks.setting import Setting
from rules.catalogue import parse_catalogues
from rules.engine import Engine
from rules.pack import PackText, compile_packs
from streams.cross_section import Slice, decode_slice

INDICATORS, RULES, BATCH = 20, 20, 500
SIZES = (500, 5_000)


def measure(setting: Setting) -> Iterator[Row]:
    """Yield seconds a filing of taking slices in, and of judging rules among peers for one date, by size."""
    sizes = tuple(n // 5 for n in SIZES) if setting.quick else SIZES
    found = [cost(size, setting.runs) for size in sizes]
    size = sizes[-1]
    transfer, judged = found[-1]
    detail = {"institutions": size, "indicators": INDICATORS, "rules": RULES}
    bytes_ = float(sum(len(part) for part in slices(_job(size), 0)))
    yield Row("system", "a filing through the cross-section", "s", [t / size for t in transfer], "less", detail=detail)
    yield Row("system", "its bytes there", "B", [bytes_ / size], "less")
    yield Row("system", f"{RULES} rules among {size:,} peers, one date", "s", judged, "less", detail=detail)
    exponent = slope(sizes, [float(np.median(costs[1])) for costs in found])
    yield Row("growth", "rules among peers, by institutions", "exponent", [exponent], "less")


def cost(size: int, runs: int) -> tuple[list[float], list[float]]:
    """Return processor seconds by date: to encode and decode all slices, and to judge the date once it is whole."""
    job = _job(size)
    catalogue = parse_catalogues([(job.wide.catalogue, "wide.yaml")])
    program = compile_packs([PackText(peers(job), "bench.yaml")], catalogue).at("system")
    engine = Engine(program, job.wide.institutions)
    transfers, judgements = [], []
    for turn in range(runs + 1):
        with taken() as moved:
            parts = [decode_slice(value) for value in slices(job, turn, engine)]
            reported = program.catalogue.reported("wide.d")
            batches, sequence = [], 0
            for part in parts:
                batches.append(part.batch(reported, engine.rows(part.codes), sequence))
                sequence += len(part.codes)
        with taken() as judged:
            engine.apply(batches)
        if turn:
            transfers.append(moved.cpu)
            judgements.append(judged.cpu)
    return transfers, judgements


def slices(job: Job, turn: int, engine: Engine | None = None) -> Iterator[bytes]:
    """Yield the records of topic `cross-section` for one date, as watch agents write them in batches."""
    wide = job.wide
    rng = np.random.default_rng(job.seed + turn)
    if engine is None:
        engine = Engine(compile_packs([], parse_catalogues([(wide.catalogue, "wide.yaml")])), wide.institutions)
    whole = dated(draw(job, rng), turn)
    for start in range(0, job.institutions, BATCH):
        batch = whole.take(np.arange(start, min(start + BATCH, job.institutions)))
        codes = [engine.institutions[row].code for row in batch.rows.tolist()]
        for part in Slice.of(batch, codes, wide.indicators, batch.values):
            yield part.encode()


def peers(job: Job) -> str:
    """Return rules that compare everybody with their peers."""
    lines = ["pack: bench", 'version: "1"', "title: {en: Peers}", "rules:"]
    for n in range(RULES):
        x = f"x{n % job.indicators:04d}"
        lines += [
            f"  - id: bench.p{n:03d}",
            f"    title: {{en: '{x} is far above its peers'}}",
            f"    levels: {{watch: 'peer_zscore({x}) > 4.5'}}",
            f'    message: {{en: "{{institution.name}}: {{{x}:.3f}}"}}',
        ]
    return "\n".join(lines) + "\n"


def _job(size: int) -> Job:
    return Job("peers", size, INDICATORS, RULES, size)
