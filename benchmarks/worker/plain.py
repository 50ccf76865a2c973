"""The same monitoring written as users of Faust write it: one event at a time, closures, state in a Table.

`python -m benchmarks.worker.plain BOOTSTRAP PREFIX FOLDER COUNT` works off the topic and prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import faust
import msgspec

from benchmarks.worker.rules import RULES, Threshold

Values = dict[str, float | None]


def condition(name: str, bound: float) -> Callable[[Values], bool | None]:
    """Return a closure that compares an indicator with a bound; None when it is missing."""

    def above(values: Values) -> bool | None:
        value = values.get(name)
        return None if value is None else value > bound

    return above


def compiled(rule: Threshold) -> tuple[str, int, Any, Any, Any]:
    """Return a rule as its id, how many filings it must hold, and closures for watch, warning and clear."""
    above = condition(rule.indicator, rule.clear)

    def clears(values: Values) -> bool:
        return above(values) is False

    return rule.id, rule.hold, condition(rule.indicator, rule.watch), condition(rule.indicator, rule.warning), clears


def make_app(bootstrap: str, prefix: str, folder: str) -> tuple[faust.App, dict[str, float]]:
    """Return the app, and where it notes how many filings it has seen."""
    app = faust.App(
        f"{prefix}plain",
        broker=f"kafka://{bootstrap}",
        datadir=folder,
        store="rocksdb://",
        value_serializer="json",
        consumer_auto_offset_reset="earliest",
        topic_partitions=4,
        topic_disable_leader=True,
        web_enabled=False,
        broker_max_poll_records=2_000,
        broker_commit_interval=1.0,
        producer_acks=-1,
        producer_linger=0.005,
    )
    filings = app.topic(f"{prefix}filings", value_serializer="json", key_type=str)
    alerts = app.topic(f"{prefix}plain.alerts", value_serializer="json", key_type=str)
    states = app.Table(f"{prefix}states", default=dict, partitions=4)
    rules = [compiled(rule) for rule in RULES]
    seen = {"filings": 0.0}

    @app.agent(filings)
    async def watch(stream: Any) -> None:
        async for filing in stream:
            institution, as_of, values = filing["institution"], filing["as_of"], filing["values"]
            state = states[institution]
            for ident, hold, watch, warning, clears in rules:
                known = watch(values)
                held = -1 if known is None else 2 if warning(values) else 1 if known else 0
                level, first, second = state.get(ident, (0, 0, 0))
                first = first + 1 if held >= 1 else 0
                second = second + 1 if held >= 2 else 0
                wanted = 2 if second >= hold else 1 if first >= hold else 0
                new = level
                if wanted > level:
                    new = wanted
                elif 0 <= held < level and clears(values):
                    new = held
                if new != level:
                    body = {"rule": ident, "subject": institution, "as_of": as_of, "from": level, "to": new}
                    await alerts.send(key=institution, value=body)
                if new or first or second:
                    state[ident] = (new, first, second)
                else:
                    state.pop(ident, None)
            states[institution] = state
            seen["filings"] += 1

    return app, seen


async def run(bootstrap: str, prefix: str, folder: str, count: int) -> dict[str, float]:
    """Work off the topic; return seconds, and processor seconds, from the first filing until all is committed."""
    app, seen = make_app(bootstrap, prefix, folder)
    app.finalize()
    app.in_worker = True
    starting = asyncio.create_task(app.start())
    while not seen["filings"]:
        await asyncio.sleep(0.005)
    began, used = time.perf_counter(), time.process_time()
    topic = f"{prefix}filings"
    committed: dict[Any, int | None] = app.consumer._committed_offset  # type: ignore[attr-defined]
    while sum(offset or 0 for tp, offset in committed.items() if tp.topic == topic) < count:
        await asyncio.sleep(0.02)
    measured = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - used}
    await app.stop()
    starting.cancel()
    return measured


if __name__ == "__main__":
    address, topics, local, filings = sys.argv[1:]
    print(msgspec.json.encode(asyncio.run(run(address, topics, local, int(filings)))).decode())
