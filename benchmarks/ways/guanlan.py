"""Guanlan's worker: the same process as `guanlan worker`, watched from inside."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from benchmarks.ways import Measured, Task
from benchmarks.ways.clock import Clock, job_named
from guanlan.settings import load_settings
from rules.catalogue import load_catalogue
from rules.pack import PackText, compile_packs
from streams.app import Worker
from streams.place import find_place
from streams.skimming import COMPILED


def run(task: Task) -> Measured:
    """Work the topic off."""
    return asyncio.run(_run(task))


async def _run(task: Task) -> Measured:
    job, clock, folder = job_named(task.job), Clock(), Path(task.folder)
    (folder / "wide.yaml").write_text(job.wide.catalogue, encoding="utf-8")
    settings = load_settings(
        bootstrap=task.bootstrap,
        topic_prefix=task.prefix,
        group=task.group,
        data_dir=folder,
        metrics_host="127.0.0.1",
        metrics_port=0,
    )
    program = compile_packs([PackText(job.pack, "bench.yaml")], load_catalogue([str(folder / "wide.yaml")]))
    place = await asyncio.to_thread(find_place, settings)
    await asyncio.to_thread(COMPILED.wait)  # like the imports of every way, before the clock runs
    worker = Worker(settings, program, place, folder)
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    while not (worker.watch.partitions and worker.consumer.progress.waiting):
        await asyncio.sleep(0.002)
        if running.done():
            raise RuntimeError(f"the worker ended with {running.result()}")
    clock.start()
    before = stages(worker)
    while _reached(worker.consumer.progress.applied(), task) < task.filings:
        await asyncio.sleep(0.01)
        if running.done():
            raise RuntimeError(f"the worker ended with {running.result()}")
    while _reached(worker.consumer.committed, task) < task.filings:
        worker.pace.hurry()
        await worker.consumer.commit()
        await asyncio.sleep(0.002)
    spent = {name: seconds - before.get(name, 0.0) for name, seconds in stages(worker).items()}
    measured = clock.stop(**spent)
    stop.set()
    await running
    return measured


def _reached(offsets: Any, task: Task) -> int:
    return sum(int(offset) for tp, offset in offsets.items() if tp.topic == task.topic)


def stages(worker: Worker) -> dict[str, float]:
    """Return processor seconds by stage, as the worker's own metrics count them."""
    worker.stages.rest(worker.consumer.member_seconds())
    samples = (s for family in worker.exporter.pipeline.stages.collect() for s in family.samples)
    return {s.labels["stage"]: s.value for s in samples if s.name.endswith("_sum")}
