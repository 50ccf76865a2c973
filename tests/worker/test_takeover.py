"""Several workers, and one killed in mid-stream: the end is that of a single worker that nobody disturbed."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from deploy.kafka.local import LocalKafka
from streams.partitions import home
from tests.worker.field import Field, difference, direct, load, program_of, wait_until

pytestmark = pytest.mark.needs("kafka")


def test_two_workers_one_killed_end_as_one_undisturbed(field: Field) -> None:
    """Kill -9 of one of two workers while filings flow changes neither the alerts' ids nor the state at the end."""
    wide, records = load(institutions=60, filings=6_000)
    program = program_of(wide)
    expected = direct(program, wide.institutions, records)
    field.prepare(wide.institutions)
    field.start_worker(wide)
    doomed = field.start_worker(wide)
    feeder = threading.Thread(target=field.send, args=(records,), kwargs={"pause": 0.05, "piece": 40})
    feeder.start()
    wait_until(lambda: len(field.read("alerts")) > len(expected.transitions) // 4)
    assert feeder.is_alive()
    doomed.kill()
    feeder.join()
    wait_until(field.caught_up)
    found = field.transitions()
    assert found.keys() == expected.transitions.keys()
    assert difference(found, expected.transitions) == ""
    assert field.state(program, wide.institutions) == expected.active
    assert field.rejected() == []


def test_a_worker_killed_alone_goes_on_where_it_was(field: Field) -> None:
    """Kill -9 and restart on the same disk, three times in one load: same alerts, same state."""
    wide, records = load(institutions=40, filings=4_000, seed=5)
    program = program_of(wide)
    expected = direct(program, wide.institutions, records)
    field.prepare(wide.institutions)
    third = len(records) // 3
    for part in range(3):
        worker = field.start_worker(wide, instance="only")
        before = len(field.read("alerts"))
        field.send(records[part * third : None if part == 2 else (part + 1) * third])
        wait_until(lambda before=before: len(field.read("alerts")) > before)  # type: ignore[misc]
        worker.kill()
    field.start_worker(wide, instance="only")
    wait_until(field.caught_up)
    assert difference(field.transitions(), expected.transitions) == ""
    assert field.state(program, wide.institutions) == expected.active


def test_a_worker_that_joins_takes_its_share(field: Field) -> None:
    """A second worker gets half of the partitions while filings flow; leaving again in order it hands them back."""
    wide, records = load(institutions=40, filings=3_000, seed=7)
    program = program_of(wide)
    expected = direct(program, wide.institutions, records)
    field.prepare(wide.institutions)
    field.start_worker(wide)
    feeder = threading.Thread(target=field.send, args=(records,), kwargs={"pause": 0.05, "piece": 20})
    feeder.start()
    second = field.start_worker(wide)
    held = second.log.read_text(encoding="utf-8").rpartition("watching partitions ")[2].splitlines()[0]
    assert len(held.split(",")) == field.partitions // 2
    wait_until(lambda: len(field.read("alerts")) > len(expected.transitions) // 2)
    second.stop()
    feeder.join()
    wait_until(field.caught_up)
    assert "ending" in second.log.read_text(encoding="utf-8")
    assert difference(field.transitions(), expected.transitions) == ""
    assert field.state(program, wide.institutions) == expected.active
    alerts = field.read("alerts")
    assert max(Counter(home((a.key or b"").decode(), field.partitions) for a in alerts).values()) < len(alerts)


def test_a_broker_that_dies_and_comes_back_loses_nothing(own_kafka: LocalKafka, tmp_path: Path) -> None:
    """Kill -9 of the broker while filings flow: the worker waits for it, and ends with the same alerts and state."""
    field = Field(own_kafka.bootstrap, "b.", tmp_path)
    wide, records = load(institutions=40, filings=3_000, seed=9)
    program = program_of(wide)
    expected = direct(program, wide.institutions, records)
    field.prepare(wide.institutions)
    worker = field.start_worker(wide)
    try:
        field.send(records[:2_000], pause=0.02, piece=50)
        own_kafka.kill()
        own_kafka.restart()
        field.send(records[2_000:])
        wait_until(field.caught_up)
        assert worker.running
        assert field.transitions().keys() == expected.transitions.keys()
        assert field.state(program, wide.institutions) == expected.active
    finally:
        worker.stop()
