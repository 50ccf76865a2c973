"""The limit: no framework, no state that survives, nothing validated. Records into numpy columns, rules over them.

Same client as the loop, msgspec into a struct of the form's own fields, one numpy pass for all rules and the
filings of one date; alerts are sent, offsets are committed at the end.
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Consumer, Producer
from msgspec.structs import astuple

from benchmarks.ways import Measured, Task
from benchmarks.ways.clock import Clock, job_named
from benchmarks.ways.columns import Judge, steps

BATCH = 2_000


def run(task: Task) -> Measured:
    """Work the topic off."""
    clock, job = Clock(), job_named(task.job)
    names = {f"v{i}": f"x{i:04d}" for i in range(job.indicators)}
    fields: list[Any] = [(field, float | None, np.nan) for field in names]
    inner = msgspec.defstruct("Values", fields, rename=names, gc=False)
    filing = msgspec.defstruct("Filing", [("institution", str), ("as_of", str), ("values", inner)])
    parse = msgspec.json.Decoder(filing).decode
    encode = msgspec.json.Encoder().encode
    pack = struct.Struct(f"{job.indicators}d").pack
    places = {i.code: n for n, i in enumerate(job.wide.institutions[: task.institutions])}
    judge = Judge(job, task.institutions)
    consumer = Consumer(
        {
            "bootstrap.servers": task.bootstrap,
            "group.id": task.group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "fetch.min.bytes": 1 << 16,
            "fetch.wait.max.ms": 20,
        }
    )
    producer = Producer(
        {"bootstrap.servers": task.bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 1_000_000}
    )
    consumer.subscribe([task.topic])
    seen = 0
    while seen < task.filings:
        messages = consumer.consume(BATCH, 0.02)
        if not messages:
            continue
        clock.start()
        filings = [parse(m.value()) for m in messages]
        rows = np.array([places[f.institution] for f in filings])
        values = np.empty((len(filings), job.indicators))
        for i, one in enumerate(filings):
            numbers = astuple(one.values)
            try:
                values[i] = np.frombuffer(pack(*numbers))
            except struct.error:
                values[i] = numbers
        for step in steps(rows):
            found = judge.judge(rows[step], values[step])
            for rule, place, old, new in zip(*(column.tolist() for column in found), strict=True):
                one = filings[step[place]]
                body = {"rule": judge.ids[rule], "subject": one.institution, "as_of": one.as_of, "from": old, "to": new}
                producer.produce(task.out, encode(body), one.institution)
        producer.poll(0)
        seen += len(filings)
    producer.flush()
    consumer.commit(asynchronous=False)
    measured = clock.stop()
    consumer.close()
    return measured
