"""A sector as the worker's exporter and the desk show it: every series of the catalogue, with made-up values."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from typing import Self

import numpy as np
from prometheus_client import start_http_server

from alerts.metrics import DeskMetrics
from rules.catalogue import Catalogue, Indicator, load_catalogue
from rules.registry import Institution
from streams.daemon import LOOPBACK
from streams.exporter import Column, Exporter, Snapshot, exported, subject_labels
from streams.measured import SYSTEM_FORMS

TYPES = ("large_bank", "city_bank", "rural_bank", "life_insurer", "property_insurer")
REGIONS = ("Beijing", "Jiangsu", "Sichuan")
EACH = 12
TODAY = 1_775_000_000 // 86_400 * 86_400
STAGES = ("decode", "judge", "send")


class Sector:
    """Serves two `/metrics`, the worker's and the desk's; counters go on counting while it is entered."""

    def __init__(self) -> None:
        self.catalogue: Catalogue = load_catalogue(["cn", "measures"])
        self.institutions = [
            Institution(
                f"CN{n:03}",
                {"en": f"Institution {n}", "zh": f"机构{n}"},
                TYPES[n % len(TYPES)],
                REGIONS[n % len(REGIONS)],
            )
            for n in range(EACH * len(TYPES))
        ]
        self._draw = np.random.default_rng(7)
        self.values = {i.id: self._column(i) for i in exported(self.catalogue)}
        self._loop = asyncio.new_event_loop()
        self._stop = threading.Event()
        self._exporter = Exporter(self._loop, self._snapshot)
        self._desk = DeskMetrics()
        self._threads = [threading.Thread(target=self._loop.run_forever), threading.Thread(target=self._count)]
        self.worker = self.desk = ""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.worker = f"{LOOPBACK}:{self._exporter.serve(LOOPBACK, 0)}"
        self._server, self._served = start_http_server(0, LOOPBACK, self._desk.registry)
        self.desk = f"{LOOPBACK}:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._exporter.close()
        self._server.shutdown()
        self._server.server_close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        for thread in (*self._threads, self._served):
            thread.join()
        self._loop.close()

    def known(self, indicator: str) -> dict[str, float]:
        """Return an indicator's value by institution."""
        column = self.values[indicator]
        return {subject[0]: float(value) for subject, value in zip(column.subjects, column.values, strict=True)}

    def _column(self, indicator: Indicator) -> Column:
        form = self.catalogue.forms.get(indicator.form)
        if indicator.form in SYSTEM_FORMS:
            return Column(indicator, [()], self._draw.uniform(0.1, 0.9, 1), np.array([TODAY]))
        filers = [i for i in self.institutions if form is None or not form.types or i.type in form.types]
        scale = {"ratio": 2.0, "currency": 1e12, "score": 100.0}.get(indicator.unit, 1000.0)
        values = self._draw.uniform(0.1, 1.0, len(filers)) * scale
        dates = np.full(len(filers), TODAY)
        dates[:3] -= 86_400
        return Column(indicator, [subject_labels(i) for i in filers], values, dates)

    async def _snapshot(self) -> Snapshot:
        return Snapshot(
            columns=list(self.values.values()),
            institutions=self.institutions,
            alerts=Counter(
                {
                    ("bank.liquidity.lcr", "critical", "firing"): 2,
                    ("bank.liquidity.lcr", "watch", "firing"): 5,
                    ("bank.capital.cet1", "warning", "firing"): 3,
                    ("bank.capital.cet1", "watch", "pending"): 4,
                }
            ),
            unknown={("bank.liquidity.lcr", "not filed"): 7, ("bank.capital.cet1", "too old"): 2},
            unavailable={("credit_gap", "no_credit_series"): 1},
            parts={
                ("stress_index", "funding.spread"): 0.3,
                ("stress_index", "correlation"): -0.1,
                ("clearing_shortfall_added", "CN001"): 0.01,
            },
            cases={("fire_sale_vulnerability", "shares"): 0.3, ("provider_outage_reach", "CLOUD-1"): 0.2},
            moves={("stress_index", "funding.spread"): 0.05, ("stress_index", "correlation"): -0.02},
            lag={("filings", 0): 40, ("filings", 1): 2, ("exposures", 0): 0},
        )

    def _count(self) -> None:
        """Count as a worker and a desk do, ten times a second."""
        p, d = self._exporter.pipeline, self._desk
        p.release.labels("1", "0abe3627014c").set(1)
        while not self._stop.wait(0.1):
            for form in self.catalogue.forms:
                p.accepted.labels(form).inc(3)
            p.values.inc(600)
            for reason in ("not_json", "unknown_indicator"):
                p.rejected.labels(reason).inc()
            for stage in STAGES:
                p.stages.labels(stage).observe(0.004)
            p.latency.observe(np.array([0.03, 0.04, 0.2]))
            p.progress.set(time.time())
            d.notices.labels("alertmanager", "firing").inc()
            d.up.labels("alertmanager").set(1)
