"""As users of Faust write it who were told to batch: `stream.take`, one table write an institution and batch.

Inside a batch there is no current event, from which Faust's RocksDB store takes the partition of a key: so the
table is in memory, its changelog is partitioned by the producer, and a restart reads all of it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.ways import Measured, Task
from benchmarks.ways.clock import Clock, job_named
from benchmarks.ways.closures import compiled, judge, remembered
from benchmarks.ways.faust_app import make_app, until_committed

BATCH, WITHIN = 500, 0.1


def run(task: Task) -> Measured:
    """Work the topic off."""
    return asyncio.run(_run(task))


async def _run(task: Task) -> Measured:
    app, clock, seen = make_app(task, "memory://"), Clock(), {"filings": 0}
    filings = app.topic(task.topic, value_serializer="json", key_type=str)
    alerts = app.topic(task.out, value_serializer="json", key_type=str)
    states = app.Table(f"{task.prefix}states", default=dict, partitions=task.partitions, use_partitioner=True)
    thresholds = job_named(task.job).thresholds
    rules, kept = compiled(thresholds), remembered(thresholds)

    @app.agent(filings)
    async def watch(stream: Any) -> None:
        async for batch in stream.take(BATCH, within=WITHIN):
            clock.start()
            touched: dict[str, Any] = {}
            for filing in batch:
                institution = filing["institution"]
                if institution not in touched:
                    touched[institution] = states[institution]
                for change in judge(rules, kept, filing, touched[institution]):
                    await alerts.send(key=institution, value=change)
            for institution, state in touched.items():
                states[institution] = state
            seen["filings"] += len(batch)

    return await until_committed(app, task, clock, seen)
