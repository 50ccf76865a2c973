"""As users of Quix Streams write it: a streaming data frame, a stateful function, changelog topics on.

Its JSON is orjson, its client librdkafka; a checkpoint (state, alerts, offsets) once a second.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application, State

from benchmarks.ways import Measured, Task
from benchmarks.ways.clock import Clock, job_named
from benchmarks.ways.closures import compiled, judge, remembered

STATE = "state"


def run(task: Task) -> Measured:
    """Work the topic off."""
    clock, thresholds = Clock(), job_named(task.job).thresholds
    rules, kept = compiled(thresholds), remembered(thresholds)
    app = Application(
        broker_address=task.bootstrap,
        consumer_group=task.group,
        auto_offset_reset="earliest",
        commit_interval=1.0,
        state_dir=task.folder,
        loglevel="ERROR",
        consumer_poll_timeout=0.1,
        producer_extra_config={"linger.ms": 5, "acks": "all"},
    )
    frame = app.dataframe(app.topic(task.topic, value_deserializer="json"))

    def watch(filing: dict[str, Any], store: State) -> list[dict[str, Any]]:
        clock.start()
        state = store.get(STATE) or {}
        changes = judge(rules, kept, filing, state)
        store.set(STATE, state)
        return changes

    seen = 0

    def processed(topic: str, partition: int, offset: int) -> None:
        nonlocal seen
        seen += 1
        if seen == task.filings:
            app.stop()

    app._on_message_processed = processed
    frame = frame.apply(watch, stateful=True, expand=True)
    frame.to_topic(app.topic(task.out, value_serializer="json"))
    app.run()
    return clock.stop()
