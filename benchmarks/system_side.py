"""How long the system agent holds the event loop at once, at a national size: `python -m benchmarks.system_side`.

4,500 institutions, 200,000 exposures, the pack systemic-risk; without a broker, so that only its own work is counted.
Each line is the longest burst of processor time between two turns of the event loop in one kind of work.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np

from rules.catalogue import load_catalogue
from rules.engine import FormBatch
from rules.pack import compile_packs, load_packs
from rules.registry import Institution
from streams.cross_section import Slice
from streams.exporter import Snapshot
from streams.fetching import Record
from streams.roster import Roster
from streams.side import Names
from streams.system import SystemSide
from streams.values import value_packs
from streams.wire import DAY

SIZE, LINKS = 4_500, 200_000
DATE = 20_543 * DAY
BATCH = 500


class Bursts:
    """The longest processor time between two turns of the event loop, by the kind of work that is under way."""

    def __init__(self) -> None:
        self.longest: dict[str, float] = {}
        self.kind = ""

    async def beat(self) -> None:
        """Take every turn there is, and note how long it was in coming."""
        before = time.thread_time()
        while True:
            await asyncio.sleep(0 if self.kind else 0.01)
            now = time.thread_time()
            if self.kind:
                self.longest[self.kind] = max(self.longest.get(self.kind, 0.0), now - before)
            before = now

    @asynccontextmanager
    async def during(self, kind: str) -> AsyncIterator[None]:
        """Note the bursts of what is done inside."""
        await asyncio.sleep(0.02)
        self.kind = kind
        await asyncio.sleep(0)
        yield
        await asyncio.sleep(0)
        self.kind = ""


def record(topic: str, key: str, value: bytes, offset: int) -> Record:
    """Return a record as the consumer hands it over."""
    return Record(topic, 0, offset, 0, key.encode(), value)


def balances(codes: list[str], equity: np.ndarray) -> Iterable[Slice]:
    """Return every balance sheet."""
    n = len(codes)
    batch = FormBatch(
        "cn.balance.q", np.arange(n, dtype=np.int32), np.full(n, DATE), np.full(n, DATE + 9 * DAY),
        np.zeros(n, np.int32), np.full(n, -1), np.arange(n), np.zeros((0, n)),
    )  # fmt: skip
    return Slice.of(batch, codes, ("total_assets", "equity"), np.array([20 * equity, equity]))


def reports(codes: list[str], rng: np.random.Generator, equity: np.ndarray) -> list[bytes]:
    """Return every exposure report: as many counterparties each, amounts that a failure passes on."""
    each = LINKS // SIZE
    found = []
    for number, code in enumerate(codes):
        others = rng.choice(SIZE - 1, each, replace=False)
        others += others >= number
        amounts = 0.5 * equity[number] * rng.dirichlet(np.ones(each))
        entries = [{"counterparty": codes[o], "amount": float(a)} for o, a in zip(others, amounts, strict=True)]
        body = {
            "institution": code,
            "as_of": "2026-03-31",
            "submitted_at": "2026-04-12T08:00:00Z",
            "exposures": entries,
        }
        found.append(msgspec.json.encode(body))
    return found


async def main() -> None:
    """Run and print."""
    rng = np.random.default_rng(1)
    catalogue = load_catalogue(["cn"])
    program = compile_packs([*load_packs(["systemic-risk"]), *value_packs(catalogue)], catalogue)
    codes = [f"CN{n:04d}" for n in range(SIZE)]
    roster = Roster("", "", [Institution(code, {"en": code}, type="city_bank") for code in codes])
    names = Names("rejected", "alerts", "cross-section", "measures")
    table: Any = None
    side = SystemSide(
        program.at("system"), roster, table, "exposures", "cross-section", "market.quotes", names, 8_000_000
    )
    side.reset(frozenset({0}))
    side.partitions = frozenset({0})
    bursts = Bursts()
    beating = asyncio.create_task(bursts.beat())
    equity = rng.lognormal(22, 1.5, SIZE)
    values = [record("cross-section", s.form, s.encode(), i) for i, s in enumerate(balances(codes, equity))]
    values += [
        record("exposures", code, value, i)
        for i, (code, value) in enumerate(zip(codes, reports(codes, rng, equity), strict=True))
    ]
    for start in range(0, len(values), BATCH):
        await apply(side, values[start : start + BATCH], bursts)
    await measure(side, bursts)
    body = msgspec.json.decode(values[-1].value)
    for revision in (1, 2):
        body |= {"revision": revision, "exposures": body["exposures"][1:]}
        await apply(side, [record("exposures", codes[-1], msgspec.json.encode(body), SIZE + revision)], bursts)
        sys.stdout.write("one institution revises its report\n")
        await measure(side, bursts)
    for block in side.keeper.dirty[0]:
        for part in side.parts(0, block):
            async with bursts.during("copying a part at a checkpoint"):
                side.export_part(0, block, part)
    async with bursts.during("a scrape"):
        side.show(Snapshot())
    beating.cancel()
    for kind, seconds in bursts.longest.items():
        sys.stdout.write(f"{1000 * seconds:8.0f} ms  {kind}\n")


async def apply(side: SystemSide, records: list[Record], bursts: Bursts) -> None:
    """Apply a batch."""
    async with bursts.during("decoding a batch of reports"):
        read = side.read(records)
    async with bursts.during("applying a batch of reports"):
        side.apply(read)


async def measure(side: SystemSide, bursts: Bursts) -> None:
    """Do every job that is due."""
    while True:
        async with bursts.during("seeing what is due"):
            job = side.due()
        if job is None:
            return
        began = time.perf_counter()
        measured = await asyncio.to_thread(job.compute)
        sys.stdout.write(f"{time.perf_counter() - began:8.1f} s   {job.kind} in a thread\n")
        async with bursts.during(f"filing {job.kind} measures"):
            await side.file(job, measured)


if __name__ == "__main__":
    asyncio.run(main())
