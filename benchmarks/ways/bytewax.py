"""As users of Bytewax write it: a dataflow from KafkaSource through `stateful_flat_map` to KafkaSink.

Its state and offsets are snapshots in SQLite files (it uses no consumer groups), once a second.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from bytewax import operators as op
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main

from benchmarks.ways import Measured, Task
from benchmarks.ways.clock import Clock, job_named
from benchmarks.ways.closures import State, compiled, judge, remembered


def run(task: Task) -> Measured:
    """Work the topic off: the source ends at the topic's end, and the flow with it."""
    clock, thresholds = Clock(), job_named(task.job).thresholds
    rules, kept = compiled(thresholds), remembered(thresholds)

    def read(message: Any) -> tuple[str, Any]:
        clock.start()
        filing = orjson.loads(message.value)
        return filing["institution"], filing

    def watch(state: State | None, filing: Any) -> tuple[State, list[dict[str, Any]]]:
        state = state or {}
        return state, judge(rules, kept, filing, state)

    def write(pair: tuple[str, dict[str, Any]]) -> KafkaSinkMessage[bytes, bytes]:
        institution, change = pair
        return KafkaSinkMessage(institution.encode(), orjson.dumps(change))

    flow = Dataflow("bench")
    source = KafkaSource([task.bootstrap], [task.topic], tail=False, batch_size=1_000)
    stream = op.map("read", op.input("filings", flow, source), read)
    changes = op.stateful_flat_map("watch", stream, watch)
    # the sink waits for its producer after every batch: lingering would only be waiting
    sink = KafkaSink([task.bootstrap], task.out, add_config={"linger.ms": "0"})
    op.output("alerts", op.map("write", changes, write), sink)
    saved = Path(task.folder)
    init_db_dir(saved, 1)
    cluster_main(flow, [], 0, epoch_interval=timedelta(seconds=1), recovery_config=RecoveryConfig(str(saved)))
    return clock.stop()
