"""Filings through a plain Faust agent, and through Guanlan's worker: same topic, same rules, same alerts."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from alerts.events import decode
from benchmarks.worker.rules import COUNT, INDICATORS
from guanlan.synthetic import wide_filings
from rules.transitions import SEVERITIES
from streams.clients import admin_client, open_producer, read_to_end
from streams.registry import publish_institutions
from streams.topics import Topic, create_topics, topic_table

FILINGS = 80_000
INSTITUTIONS = 1_000
PARTITIONS = 4
SIDES = {"plain": "plain Faust agent", "columnar": "Guanlan's worker"}

Change = tuple[str, str, str, int]
"""Rule, institution, as-of date, and the level (0 to 3) that the alert is at from then on."""


def compare(bootstrap: str, filings: int = FILINGS, repeats: int = 2) -> list[dict[str, object]]:
    """Measure both sides, the best of `repeats` runs each; raise AssertionError when their alerts differ.

    Returns one row a side: name, filings, seconds, million values a second, alerts.
    """
    rows: list[dict[str, object]] = []
    found: dict[str, set[Change]] = {}
    for _ in range(repeats):
        prefix = f"bench{uuid.uuid4().hex[:8]}."
        with tempfile.TemporaryDirectory(prefix="guanlan-bench-") as folder:
            _prepare(bootstrap, prefix, Path(folder), filings)
            for side in SIDES:
                times = _run(side, bootstrap, prefix, f"{folder}/{side}", filings)
                alerts = _plain_alerts(bootstrap, prefix) if side == "plain" else _alerts(bootstrap, prefix)
                assert found.setdefault(side, alerts) == alerts, f"two runs of {side} gave different alerts"
                rows.append(_row(side, filings, times, len(alerts)))
            _clean(bootstrap, prefix)
    assert found["plain"] == found["columnar"], "the two sides gave different alerts"
    best = [min((r for r in rows if r["side"] == side), key=lambda r: float(str(r["seconds"]))) for side in SIDES]
    base = float(str(best[0]["seconds"]))
    return [{**row, "times": round(base / float(str(row["seconds"])), 1)} for row in best]


def _row(side: str, filings: int, times: Mapping[str, float], alerts: int) -> dict[str, object]:
    seconds = times["seconds"]
    return {
        "benchmark": f"{filings:,} filings × {INDICATORS} values, {COUNT} rules with state",
        "side": side,
        "name": SIDES[side],
        "filings": filings,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(times["cpu_seconds"], 2),
        "million_values_per_second": round(filings * INDICATORS / seconds / 1e6, 2),
        "alert_changes": alerts,
    }


def _prepare(bootstrap: str, prefix: str, folder: Path, filings: int) -> None:
    wide = wide_filings(INSTITUTIONS, INDICATORS, filings)
    plain = [
        Topic(f"{prefix}plain.alerts", PARTITIONS, 1),
        Topic(f"{prefix}plain-{prefix}states-changelog", PARTITIONS, 1, {"cleanup.policy": "compact"}),
    ]
    create_topics(bootstrap, [*topic_table(prefix, PARTITIONS, 1), *plain])
    publish_institutions(bootstrap, f"{prefix}institutions", wide.institutions)
    for side in SIDES:
        (folder / side).mkdir()
        (folder / side / "wide.yaml").write_text(wide.catalogue, encoding="utf-8")
    producer = open_producer(bootstrap, linger_ms=20, batch_size=1 << 19)
    for record in wide.records():
        producer.send(f"{prefix}filings", key=record.key.encode(), value=record.value)
    producer.flush()
    producer.close()


def _clean(bootstrap: str, prefix: str) -> None:
    with admin_client(bootstrap) as admin:
        admin.delete_topics([name for name in admin.list_topics() if name.startswith(prefix)])


def _run(side: str, bootstrap: str, prefix: str, folder: str, filings: int) -> dict[str, float]:
    command = [sys.executable, "-m", f"benchmarks.worker.{side}", bootstrap, prefix, folder, str(filings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{SIDES[side]} failed: {done.stderr.strip()[-2000:]}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=dict[str, float])


def _plain_alerts(bootstrap: str, prefix: str) -> set[Change]:
    bodies = [msgspec.json.decode(r.value or b"") for r in read_to_end(bootstrap, f"{prefix}plain.alerts")]
    return {(b["rule"], b["subject"], b["as_of"], b["to"]) for b in bodies}


def _alerts(bootstrap: str, prefix: str) -> set[Change]:
    told = [decode(r.value or b"") for r in read_to_end(bootstrap, f"{prefix}alerts")]
    return {
        (t.rule, t.subject, t.as_of, SEVERITIES.index(t.severity)) for t in told if t.alert_id and t.state != "pending"
    }


@contextmanager
def local_broker() -> Iterator[tuple[str, str]]:
    """Yield a broker's address and description: KAFKA_BOOTSTRAP, else Apache Kafka here, else the embedded one."""
    import os

    from deploy.kafka.local import LocalKafka
    from guanlan import parts
    from streams.embedded import EmbeddedKafka

    if address := os.environ.get("KAFKA_BOOTSTRAP"):
        yield address, f"Kafka at {address}"
        return
    broker = LocalKafka() if parts.java() and parts.kafka_jars() else EmbeddedKafka()
    with broker:
        yield broker.bootstrap, broker.description
