"""The same monitoring by Guanlan's worker.

`python -m benchmarks.worker.columnar BOOTSTRAP PREFIX FOLDER COUNT` works off the topic and prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import msgspec

from benchmarks.worker.rules import pack
from guanlan.settings import load_settings
from rules.catalogue import load_catalogue
from rules.pack import PackText, compile_packs
from streams.app import Worker
from streams.place import find_place


async def run(bootstrap: str, prefix: str, folder: str, count: int) -> dict[str, float]:
    """Work off the topic; return seconds, and processor seconds, from assignment until all is committed."""
    settings = load_settings(
        bootstrap=bootstrap,
        topic_prefix=prefix,
        group=f"{prefix}guanlan",
        data_dir=Path(folder),
        metrics_host="127.0.0.1",
        metrics_port=0,
        series_budget=10_000_000,
    )
    program = compile_packs([PackText(pack(), "bench.yaml")], load_catalogue([f"{folder}/wide.yaml"]))
    place = await asyncio.to_thread(find_place, settings)
    worker = Worker(settings, program, place, Path(folder))
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop))
    topic = place.topic("filings")
    while worker.watch.partitions is None:
        await asyncio.sleep(0.005)
    began, used = time.perf_counter(), time.process_time()
    while sum(v for tp, v in worker.consumer.committed.items() if tp.topic == topic) < count:
        await asyncio.sleep(0.02)
    measured = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
    stop.set()
    await running
    return measured


if __name__ == "__main__":
    address, topics, local, filings = sys.argv[1:]
    print(msgspec.json.encode(asyncio.run(run(address, topics, local, int(filings)))).decode())
