"""A sector played through the decoder and the engine, day by day, without Kafka."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from guanlan.demo.stage import PACKS
from guanlan.demo.watch import Seen
from guanlan.synthetic import Record, Sector
from guanlan.synthetic.timeline import DAY
from rules.engine import Engine, FormBatch
from rules.pack import compile_packs, load_packs
from streams.decode import Decoder


@dataclass(slots=True)
class Replay:
    """What came out, and how many filings the engine itself refused."""

    seen: Seen = field(default_factory=Seen)
    refused_by_engine: int = 0
    accepted: int = 0


def replay(sector: Sector) -> Replay:
    """Apply the sector's filings; clock rules are judged at every midnight of the live days."""
    program = compile_packs(load_packs(PACKS), sector.catalogue)
    engine = Engine(program, sector.institutions)
    decoder = Decoder(sector.catalogue)
    out = Replay()

    def flush(records: list[Record]) -> None:
        decoded = decoder.decode([r.value for r in records], [r.key.encode() for r in records])
        for refused in decoded.rejected:
            out.seen.refused[records[refused.position].key, str(refused.reason)] += 1
        batches = [
            FormBatch(
                c.form,
                engine.rows(c.institutions),
                c.as_of,
                c.submitted_at,
                c.revision,
                np.full(len(c), -1, np.int64),
                c.index,
                c.values,
            )
            for c in decoded.forms
        ]
        outcome = engine.apply(batches)
        out.accepted += sum(len(c) for c in decoded.forms)
        out.refused_by_engine += len(outcome.refused)
        for transition in outcome.transitions:
            out.seen.take(transition)

    waiting: list[Record] = []
    for record in sector.records():
        if record.topic != "filings":
            continue
        midnight = record.at // DAY * DAY
        if waiting and waiting[-1].at // DAY * DAY != midnight:
            flush(waiting)
            waiting = []
            if midnight > sector.live_from:
                for transition in engine.tick(midnight).transitions:
                    out.seen.take(transition)
        waiting.append(record)
    flush(waiting)
    return out


def shares(seen: Seen) -> Counter[str]:
    """How often each rule fired."""
    return Counter(rule for rule, _ in seen.fired)
