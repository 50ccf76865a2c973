"""The whole way: a sector's filings through Kafka and a worker, alerts through the desk, all on the dashboard."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.grafana.build import FOLDER
from guanlan.demo.feed import Feeder
from guanlan.demo.stage import PACKS, Stage
from guanlan.synthetic import Sector
from rules.catalogue import load_catalogue
from streams.daemon import LOOPBACK, Daemon, accepts, free_port
from tests.alerts.web import Inbox
from tests.dashboards.asking import SCRAPE, Asked
from tests.parts import Broker
from tests.programs import start_prometheus

PACE = 3.0


@pytest.fixture
def live(kafka: Broker, tmp_path: Path) -> Iterator[Asked]:
    """A Prometheus that scrapes a worker and a desk while a sector files: history first, then live days."""
    sector = Sector(institutions=60, quarters=4)
    with Inbox() as inbox, Stage(kafka.bootstrap, PACKS, "en") as stage:
        stage.open(sector.institutions)
        stage.start_worker()
        feeder = Feeder(sector, stage)
        port = free_port()
        settings = {
            "GUANLAN_BOOTSTRAP": kafka.bootstrap,
            "GUANLAN_TOPIC_PREFIX": stage.prefix,
            "GUANLAN_METRICS_HOST": LOOPBACK,
            "GUANLAN_DESK_METRICS_PORT": str(port),
            "GUANLAN_NOTIFY": f"json://{inbox.address}",
        }
        command = ["env", *(f"{k}={v}" for k, v in settings.items()), sys.executable, "-m", "guanlan.cli", "desk"]
        desk = Daemon("the desk", command, tmp_path / "desk.log")
        desk.start(lambda: accepts(port))
        worker = f"{LOOPBACK}:{stage.metrics_port}"
        program = start_prometheus(tmp_path / "prometheus", SCRAPE % (worker, f"{LOOPBACK}:{port}"), {})
        try:
            feeder.send_history()
            feeder.start(PACE)
            yield Asked(program.url)
            assert feeder.error is None
            stage.check()
        finally:
            feeder.stop()
            program.stop()
            desk.stop()


def expressions() -> set[str]:
    """Return every query of every dashboard, but those on measures that wait until the worker has time for them."""
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")]
    asked = {t["expr"] for board in boards for panel in board["panels"] for t in panel.get("targets", ())}
    return {expr for expr in asked if not any(name in expr for name in slow())}


def slow() -> set[str]:
    """Series of cascades and simulations; `tests/worker` has them."""
    measures = load_catalogue(["measures"]).indicators.values()
    forms = ("measures.cascade", "measures.simulated")
    return {i.series_name for i in measures if i.form.startswith(forms)} | {"clearing_shortfall_added"}


@pytest.mark.needs("kafka", "prometheus")
def test_every_query_is_answered_while_a_sector_files(live: Asked) -> None:
    """Within the days played, each query of the dashboard gives numbers made of filings, alerts and notices."""
    left = expressions()
    give_up = time.monotonic() + 240
    while left and time.monotonic() < give_up:
        live.look()
        left = {expr for expr in left if not live.numbers(expr)}
        time.sleep(0.5)
    assert not left
