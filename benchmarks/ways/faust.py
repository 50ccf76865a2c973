"""As users of Faust write it: one event at a time, closures, state in a Table."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.ways import Measured, Task
from benchmarks.ways.clock import Clock, job_named
from benchmarks.ways.closures import compiled, judge, remembered
from benchmarks.ways.faust_app import make_app, until_committed


def run(task: Task) -> Measured:
    """Work the topic off."""
    return asyncio.run(_run(task))


async def _run(task: Task) -> Measured:
    app, clock, seen = make_app(task), Clock(), {"filings": 0}
    filings = app.topic(task.topic, value_serializer="json", key_type=str)
    alerts = app.topic(task.out, value_serializer="json", key_type=str)
    states = app.Table(f"{task.prefix}states", default=dict, partitions=task.partitions)
    thresholds = job_named(task.job).thresholds
    rules, kept = compiled(thresholds), remembered(thresholds)

    @app.agent(filings)
    async def watch(stream: Any) -> None:
        async for filing in stream:
            clock.start()
            institution = filing["institution"]
            state = states[institution]
            for change in judge(rules, kept, filing, state):
                await alerts.send(key=institution, value=change)
            states[institution] = state
            seen["filings"] += 1

    return await until_committed(app, task, clock, seen)
