"""As people write it without a framework: confluent-kafka, orjson, a dictionary; state to a compacted topic."""

from __future__ import annotations

import time
from typing import Any

import orjson
from confluent_kafka import Consumer, Producer

from benchmarks.ways import Measured, Task
from benchmarks.ways.clock import Clock, job_named
from benchmarks.ways.closures import State, compiled, judge, remembered

BATCH = 1_000


def run(task: Task) -> Measured:
    """Work the topic off; once a second flush alerts and changed state, then commit."""
    clock, thresholds = Clock(), job_named(task.job).thresholds
    rules, kept = compiled(thresholds), remembered(thresholds)
    changelog = f"{task.prefix}{task.group}.changelog"
    settings: dict[str, Any] = {"bootstrap.servers": task.bootstrap}
    producer = Producer({**settings, "linger.ms": 5, "acks": "all", "queue.buffering.max.messages": 1_000_000})
    consumer = Consumer(
        {**settings, "group.id": task.group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    consumer.subscribe([task.topic])
    states: dict[str, State] = {}
    dirty: set[str] = set()
    seen, due = 0, 0.0

    def save() -> None:
        for institution in dirty:
            producer.produce(changelog, orjson.dumps(states[institution]), institution)
        dirty.clear()
        producer.flush()
        consumer.commit(asynchronous=False)

    while seen < task.filings:
        for message in consumer.consume(BATCH, 0.1):
            if message.error():
                raise RuntimeError(message.error())
            clock.start()
            filing = orjson.loads(message.value())
            institution = filing["institution"]
            state = states.setdefault(institution, {})
            for change in judge(rules, kept, filing, state):
                producer.produce(task.out, orjson.dumps(change), institution)
            dirty.add(institution)
            seen += 1
        producer.poll(0)
        if time.monotonic() >= due and dirty:
            save()
            due = time.monotonic() + 1.0
    if dirty:
        save()
    measured = clock.stop()
    consumer.close()
    return measured
