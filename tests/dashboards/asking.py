"""Asking a real Prometheus what the dashboards and rules ask."""

from __future__ import annotations

import math
import time
from typing import Any

import httpx

SCRAPE = """
global: {scrape_interval: 3s, scrape_timeout: 3s}
scrape_configs:
  - {job_name: guanlan-worker, static_configs: [{targets: ["%s"]}]}
  - {job_name: guanlan-desk, static_configs: [{targets: ["%s"]}]}
"""
SUBSTITUTES = {"$type": ".*", "$region": ".*", "$__rate_interval": "30s", "$__range": "3600s", "$__interval": "1s"}
WELL = "min(min_over_time(up[15s])) == 1 and min(count_over_time(up[15s])) >= 4"


def filled(expr: str) -> str:
    """Return the expression as Grafana sends it, with all types and regions chosen."""
    for name, value in sorted(SUBSTITUTES.items(), reverse=True):
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr


class Asked:
    """A Prometheus; every query is asked as of one moment."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.look()

    def look(self) -> None:
        """Make now the moment that is asked about."""
        self._at = time.time()

    def wait(self, expr: str, seconds: float = 120.0) -> None:
        """Wait until the query gives something; the moment asked about is then the one of the answer."""
        give_up = time.monotonic() + seconds
        while not self.instant(expr):
            assert time.monotonic() < give_up, f"nothing for {expr} in {seconds} s"
            time.sleep(0.25)
            self.look()

    def look_back(self) -> None:
        """Make the moment of the last scrape that is done the one asked about.

        One under way may still fail; that its series are gone is then dated from its start.
        """
        self._at = min(float(series["value"][1]) for series in self.instant("timestamp(up)"))

    def instant(self, expr: str) -> list[dict[str, Any]]:
        """Return the vector of the moment."""
        return self._ask("query", {"query": filled(expr), "time": self._at})

    def numbers(self, expr: str) -> list[float]:
        """Return the finite numbers that the query gave in the minutes before the moment, however briefly."""
        found = [n for series in self.over_time(expr, 240) for _, n in series["values"]]
        return [n for n in map(float, found) if math.isfinite(n)]

    def over_time(self, expr: str, seconds: int = 15) -> list[dict[str, Any]]:
        """Return the series of the seconds before the moment."""
        return self._ask(
            "query_range", {"query": filled(expr), "start": self._at - seconds, "end": self._at, "step": 3}
        )

    def _ask(self, path: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        answer = httpx.get(f"{self._url}/api/v1/{path}", params=params, timeout=30).json()
        assert answer["status"] == "success", answer
        assert not answer.get("warnings")
        return list(answer["data"]["result"])
