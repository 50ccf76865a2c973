"""What the two Faust ways have in common: the app with the settings its users recommend, and how to end it."""

from __future__ import annotations

import asyncio
from typing import Any

import faust

from benchmarks.ways import Measured, Task
from benchmarks.ways.clock import Clock


def make_app(task: Task, store: str = "rocksdb://") -> faust.App:
    """Return the app."""
    return faust.App(
        task.group,
        broker=f"kafka://{task.bootstrap}",
        datadir=task.folder,
        store=store,
        value_serializer="json",
        consumer_auto_offset_reset="earliest",
        topic_partitions=task.partitions,
        topic_disable_leader=True,
        web_enabled=False,
        broker_max_poll_records=2_000,
        broker_commit_interval=1.0,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=2.0,
        producer_acks=-1,
        producer_linger=0.005,
    )


async def until_committed(app: faust.App, task: Task, clock: Clock, seen: dict[str, int]) -> Measured:
    """Start the app, wait until every filing is judged and committed, and stop it."""
    app.finalize()
    app.in_worker = True
    starting = asyncio.create_task(app.start())
    while seen["filings"] < task.filings:
        await asyncio.sleep(0.01)
    committed: dict[Any, int | None] = app.consumer._committed_offset  # type: ignore[attr-defined]
    while sum(offset or 0 for tp, offset in committed.items() if tp.topic == task.topic) < task.filings:
        await app.consumer.commit()
        await asyncio.sleep(0.005)
    measured = clock.stop()
    await app.stop()
    starting.cancel()
    return measured
