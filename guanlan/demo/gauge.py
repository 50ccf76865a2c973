"""The gauge: reads the worker's metrics and turns counters into rates for the screen."""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass, field

import httpx

COUNTERS = {
    "guanlan_filings_accepted_total": "applied",
    "guanlan_filing_values_total": "values",
    "guanlan_filings_rejected_total": "rejected",
    "guanlan_filings_replayed_total": "replayed",
    "guanlan_rule_evaluations_total": "judged",
}
LATENCY = "guanlan_submit_to_alert_seconds_bucket"
DEBTRANK = "guanlan_debtrank_largest_ratio"
RATE_OVER = 6
FULL_EVERY_SECONDS = 10.0  # the whole page is some megabytes, and making it costs the worker
_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
_BOUND = re.compile(r'le="([^"]+)"')


@dataclass(slots=True)
class Readings:
    """The worker's numbers: totals, filings a second by scrape, series exported, and latency bounds in seconds.

    debtrank: largest share of the system's equity lost in a single failure, None before it is known.
    """

    totals: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COUNTERS.values(), 0.0))
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=60))
    series: int = 0
    debtrank: float | None = None
    buckets: dict[float, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Filings a second over the last few scrapes."""
        latest = list(self.rates)[-RATE_OVER:]
        return sum(latest) / len(latest) if latest else 0.0

    def latency(self, share: float, before: dict[float, float]) -> float | None:
        """Return the histogram bound under which `share` of the filings since `before` stayed."""
        counts = {bound: count - before.get(bound, 0.0) for bound, count in self.buckets.items()}
        total = counts.get(float("inf"), 0.0)
        return next((b for b, c in sorted(counts.items()) if total and c >= share * total), None)


class Gauge:
    """Scrapes the worker: its counters at every `read`, all of its series every few seconds."""

    def __init__(self, url: str) -> None:
        self.readings = Readings()
        self.at_start: dict[float, float] = {}
        self._url = url
        self._client = httpx.Client(timeout=5, trust_env=False)
        self._full_at = 0.0
        self._before: tuple[float, float] | None = None

    def read(self) -> Readings:
        """Scrape and return the readings; a scrape that fails leaves the last ones."""
        now = time.monotonic()
        full = now >= self._full_at
        names = {} if full else {"name[]": list(COUNTERS)}
        try:
            text = self._client.get(self._url, params=names).raise_for_status().text
        except httpx.HTTPError:
            return self.readings
        if full:
            self._full_at = now + FULL_EVERY_SECONDS
        self._take(text, full)
        applied = self.readings.totals["applied"]
        if self._before is not None and now > self._before[0]:
            self.readings.rates.append((applied - self._before[1]) / (now - self._before[0]))
        self._before = (now, applied)
        return self.readings

    def begin(self) -> None:
        """Count latency from here on: what came before was a backlog."""
        self._full_at = 0.0
        self.read()
        self.at_start = dict(self.readings.buckets)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _take(self, text: str, full: bool) -> None:
        totals = dict.fromkeys(COUNTERS.values(), 0.0)
        series = 0
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            series += 1
            if not line.startswith(("guanlan_fil", "guanlan_rule_e", LATENCY, DEBTRANK)):
                continue
            match = _LINE.match(line)
            if match is None:
                continue
            name, labels, number = match.groups()
            if name in COUNTERS:
                totals[COUNTERS[name]] += float(number)
            elif name == DEBTRANK:
                self.readings.debtrank = float(number)
            elif name == LATENCY and (bound := _BOUND.search(labels or "")):
                self.readings.buckets[float(bound[1])] = float(number)
        self.readings.totals = totals
        if full:
            self.readings.series = series
