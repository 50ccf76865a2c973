"""The FDIC's real filings, through the commands a person would type, on real Kafka: as the backtest says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from guanlan.backtests import run
from rules.transitions import Transition
from streams.daemon import Daemon
from tests.fdic import FINANCIALS, INSTITUTIONS, SILICON_VALLEY_BANK, needs_fdic
from tests.worker.field import Field, wait_until

pytestmark = [pytest.mark.needs("kafka"), needs_fdic]
PACK = "us-bank-early-warning"


def guanlan(field: Field, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a command with the field's settings."""
    return subprocess.run(
        [sys.executable, "-m", "guanlan.cli", *args],
        env=environment(field),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def environment(field: Field) -> dict[str, str]:
    settings = {
        "BOOTSTRAP": field.bootstrap,
        "TOPIC_PREFIX": field.prefix,
        "GROUP": field.prefix + "workers",
        "PARTITIONS": str(field.partitions),
        "DATA_DIR": str(field.folder / "data"),
        "METRICS_PORT": "0",
        "METRICS_HOST": "127.0.0.1",
        "CATALOGUE": "us-fdic",
        "CLOCK": "data",  # by today's, the newest quarter in the file has run out
    }
    return os.environ | {f"GUANLAN_{name}": value for name, value in settings.items()}


def comparable(transition: Transition) -> Transition:
    """The transition without the offsets of the filings it read, which a file does not have."""
    values = {name: msgspec.structs.replace(r, offset=None) for name, r in transition.values.items()}
    return msgspec.structs.replace(transition, values=values)


def test_submit_and_worker_give_the_transitions_of_the_backtest(field: Field) -> None:
    for args in (
        ("topics", "create"),
        ("institutions", "load", str(INSTITUTIONS), "--mapping", "us-fdic"),
        ("submit", str(FINANCIALS), "--mapping", "us-fdic", "--on-time"),
    ):
        done = guanlan(field, *args)
        assert done.returncode == 0, done.stderr
    assert "418 accepted, 0 rejected" in done.stdout + done.stderr
    log = field.folder / "worker.log"
    worker = Daemon(
        "worker", ["env", *_pairs(field), sys.executable, "-m", "guanlan.cli", "worker", "--pack", PACK], log
    )
    field.workers.append(worker)
    worker.start(lambda: "watching partitions" in log.read_text(encoding="utf-8"))
    wait_until(field.caught_up)
    expected = run(packs=[PACK], files=[FINANCIALS], mapping=Path("us-fdic"), institutions=INSTITUTIONS)
    found = {ident: comparable(t) for ident, t in field.transitions().items()}
    assert found == {t.id: comparable(t) for t in expected.transitions}
    assert "us.liquidity.run-prone" in {t.rule for t in found.values() if t.subject == SILICON_VALLEY_BANK}


def _pairs(field: Field) -> list[str]:
    return [f"{k}={v}" for k, v in environment(field).items() if k.startswith("GUANLAN_")]
