"""`/metrics`: indicators, measures and alerts as series, and how the pipeline is doing.

Names and labels are documented in `docs/metrics.md`. The registry is our own, so nothing of the process at
large appears. A scrape runs in a thread; what it needs of the engines is copied at one moment between two batches,
and turned into text in the thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import math
import threading
from collections import Counter as Tally
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from wsgiref.simple_server import WSGIServer

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from rules.catalogue import Catalogue, Indicator
from rules.problems import ConfigError
from rules.registry import Institution
from streams.measured import LISTED, MARKET_FORM, SIMULATED_FORM, SYSTEM_FORMS

log = logging.getLogger("guanlan.worker")

SUBJECT_LABELS = ("institution", "type", "region", "peer_group")
INFO_LABELS = ("institution", "name", "name_zh", "type", "region", "peer_group", "lei", "dsib_bucket")
PART_LABELS, CASE_LABELS = ("measure", "part"), ("measure", "case")
AS_OF = "_as_of_timestamp_seconds"
SNAPSHOT_SECONDS = 8.0

LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
BATCH_BUCKETS = (1, 10, 50, 100, 250, 500, 1000, 2000, 5000, 10000)
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass(frozen=True, slots=True)
class Column:
    """One indicator's newest values: labels by subject, values (NaN for none) and as-of seconds, all of one length.

    `subjects` holds the label values of each row; an empty tuple marks the system as a whole.
    """

    indicator: Indicator
    subjects: Sequence[tuple[str, ...]]
    values: NDArray[np.float64]
    as_of: NDArray[np.int64]


@dataclass(slots=True)
class Snapshot:
    """What one scrape shows of the engines."""

    columns: list[Column] = field(default_factory=list)
    institutions: list[Institution] = field(default_factory=list)
    alerts: Tally[tuple[str, str, str]] = field(default_factory=Tally)
    unknown: dict[tuple[str, str], int] = field(default_factory=dict)
    unavailable: dict[tuple[str, str], int] = field(default_factory=dict)
    parts: dict[tuple[str, str], float] = field(default_factory=dict)
    moves: dict[tuple[str, str], float] = field(default_factory=dict)
    cases: dict[tuple[str, str], float] = field(default_factory=dict)
    lag: dict[tuple[str, int], int] = field(default_factory=dict)


class Spread:
    """A histogram that takes whole columns: one numpy pass a batch instead of a call a filing."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = np.array(bounds)
        self.counts = np.zeros(len(bounds) + 1, np.int64)
        self.total = 0.0

    def observe(self, values: NDArray[np.float64]) -> None:
        """Count the values."""
        self.counts += np.bincount(np.searchsorted(self.bounds, values), minlength=len(self.counts))
        self.total += float(values.sum())

    def buckets(self) -> list[tuple[str, float]]:
        """Return cumulative counts by upper bound, as Prometheus wants them."""
        bounds = [*map(float, self.bounds), math.inf]
        names = ["+Inf" if math.isinf(b) else repr(b) for b in bounds]
        return list(zip(names, map(float, np.cumsum(self.counts)), strict=True))


class Pipeline:
    """Counters and histograms of the worker itself; written on the event loop only."""

    def __init__(self, registry: CollectorRegistry) -> None:
        r = registry
        self.accepted = Counter("guanlan_filings_accepted", "Filings applied", ["form"], registry=r)
        self.values = Counter("guanlan_filing_values", "Values reported in filings that were applied", registry=r)
        self.rejected = Counter(
            "guanlan_filings_rejected", "Records put on the topic for rejected filings", ["reason"], registry=r
        )
        self.replayed = Counter("guanlan_filings_replayed", "Filings read again that were applied already", registry=r)
        self.reports = Counter("guanlan_exposure_reports_accepted", "Exposure reports applied", registry=r)
        self.quotes = Counter("guanlan_quotes_accepted", "Quotes put on the tape", registry=r)
        self.transitions = Counter(
            "guanlan_transitions", "Transitions put on the topic for alerts", ["state", "severity"], registry=r
        )
        self.evaluations = Counter("guanlan_rule_evaluations", "Rules judged, by rule and subject", registry=r)
        self.batch = Histogram("guanlan_batch_records", "Records judged in one go", buckets=BATCH_BUCKETS, registry=r)
        self.stages = Histogram(
            "guanlan_stage_seconds", "Processor time by stage of the work", ["stage"], buckets=STAGE_BUCKETS, registry=r
        )
        self.waits = Histogram(
            "guanlan_loop_wait_seconds", "How long the event loop let a task wait", buckets=STAGE_BUCKETS, registry=r
        )
        self.checkpoints = Histogram(
            "guanlan_checkpoint_seconds", "Time of a checkpoint", buckets=STAGE_BUCKETS, registry=r
        )
        self.checkpoint_bytes = Counter("guanlan_checkpoint_bytes", "State written at checkpoints", registry=r)
        self.put_off = Counter("guanlan_checkpoints_put_off", "Checkpoints the broker did not take", registry=r)
        self.progress = Gauge(
            "guanlan_last_progress_timestamp_seconds",
            "When records were last applied, or when there was last nothing to apply",
            registry=r,
        )
        self.partitions = Gauge("guanlan_partitions_assigned", "Partitions of filings this worker holds", registry=r)
        self.release = Gauge("guanlan_rules_release_info", "Release of rules in force", ["version", "hash"], registry=r)
        self.releases_rejected = Counter(
            "guanlan_rules_rejected", "Releases of rules that did not replace the one in force", registry=r
        )
        self.failed = Counter(
            "guanlan_measures_failed", "Measures that could not be told, computed or filed", ["kind"], registry=r
        )
        self.latency = Spread(LATENCY_BUCKETS)


class Exporter(Collector):
    """Serves `/metrics`; `snapshot` is awaited on `loop` for every scrape and gives what engines show."""

    def __init__(self, loop: asyncio.AbstractEventLoop, snapshot: Callable[[], Awaitable[Snapshot]]) -> None:
        self._loop = loop
        self._snapshot = snapshot
        self._server: tuple[WSGIServer, threading.Thread] | None = None
        self.port = 0
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=False)
        self.pipeline = Pipeline(self.registry)
        self.registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance: what there is depends on the data."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what the engines show now."""
        asked = asyncio.run_coroutine_threadsafe(self._copied(), self._loop)
        try:
            shown, latency = asked.result(SNAPSHOT_SECONDS)
        except concurrent.futures.TimeoutError:
            asked.cancel()
            raise TimeoutError("the worker's event loop did not answer the scrape") from None
        yield from indicator_families(shown.columns)
        yield _information(shown.institutions)
        yield _family(
            "guanlan_alerts", "Alerts by rule, severity and state", ("rule", "severity", "state"), shown.alerts
        )
        yield _family(
            "guanlan_rule_unknown", "Judgements that came out unknown, by reason", ("rule", "reason"), shown.unknown
        )
        yield _family(
            "guanlan_measure_unavailable",
            "Measures of the system that have no value for the newest date, by reason",
            ("measure", "reason"),
            shown.unavailable,
        )
        yield _family("guanlan_measure_part", "What a measure of the system is the sum of", PART_LABELS, shown.parts)
        yield _family(
            "guanlan_measure_move", "What moved a measure since the date before, by part", PART_LABELS, shown.moves
        )
        yield _family(
            "guanlan_measure_case",
            "Single cases that a measure is made of, as one provider's outage",
            CASE_LABELS,
            shown.cases,
        )
        lag = {(topic, str(partition)): n for (topic, partition), n in shown.lag.items()}
        yield _family(
            "guanlan_lag_records", "Records in the topic that are not applied yet", ("topic", "partition"), lag
        )
        spread = HistogramMetricFamily(
            "guanlan_submit_to_alert_seconds", "Time from a filing's arrival in Kafka to its verdicts being sent"
        )
        spread.add_metric([], *latency)
        yield spread

    async def _copied(self) -> tuple[Snapshot, tuple[list[tuple[str, float]], float]]:
        """Return what the engines show, and the spread of latencies, which the event loop alone may look at."""
        shown = await self._snapshot()
        return shown, (self.pipeline.latency.buckets(), self.pipeline.latency.total)

    def serve(self, host: str, port: int) -> int:
        """Start answering; return the port (a free one when `port` is 0)."""
        try:
            self._server = start_http_server(port, host, self.registry)
        except OSError as err:
            raise ConfigError(
                f"can't serve metrics on {host}:{port}: {err.strerror}; set GUANLAN_METRICS_PORT to a free port"
            ) from None
        self.port = int(self._server[0].server_address[1])
        return self.port

    def close(self) -> None:
        """Stop answering."""
        if self._server is not None:
            server, thread = self._server
            server.shutdown()
            server.server_close()
            thread.join(5)


def indicator_families(columns: Iterable[Column]) -> Iterator[Metric]:
    """Yield for each indicator its values and, beside them, the as-of dates they speak of; no series where missing."""
    for column in columns:
        name = column.indicator.series_name
        title = column.indicator.title.get("en") or column.indicator.id
        system = not any(column.subjects)
        known = np.flatnonzero(~np.isnan(column.values))
        labels = () if system else SUBJECT_LABELS
        value = GaugeMetricFamily(name, title, labels=labels)
        as_of = GaugeMetricFamily(name + AS_OF, f"As-of date of: {title}", labels=labels)
        for i, number, date in zip(
            known.tolist(), column.values[known].tolist(), column.as_of[known].tolist(), strict=True
        ):
            value.add_metric(column.subjects[i], number)
            as_of.add_metric(column.subjects[i], date)
        if len(known):
            yield value
            yield as_of


def _information(institutions: Iterable[Institution]) -> Metric:
    info = GaugeMetricFamily("guanlan_institution_info", "Institutions under supervision", labels=INFO_LABELS)
    for i in institutions:
        names = (i.title("en"), i.title("zh"))
        info.add_metric((i.code, *names, i.type, i.region, i.peer_group, i.lei, str(i.dsib_bucket)), 1)
    return info


def _family(name: str, title: str, labels: Sequence[str], numbers: Mapping[Any, float]) -> Metric:
    family = GaugeMetricFamily(name, title, labels=labels)
    for key, number in sorted(numbers.items()):
        family.add_metric(key, number)
    return family


def subject_labels(institution: Institution) -> tuple[str, ...]:
    """Return the label values of an institution's series, in the order of `SUBJECT_LABELS`."""
    return (institution.code, institution.type, institution.region, institution.peer_group)


def exported(catalogue: Catalogue) -> list[Indicator]:
    """Return the indicators that become series; raise ConfigError when two of them would share a name."""
    chosen = [i for i in catalogue.indicators.values() if i.series]
    names: dict[str, str] = {}
    for indicator in chosen:
        other = names.setdefault(indicator.series_name, indicator.id)
        if other != indicator.id:
            raise ConfigError(
                f"the indicators {other!r} and {indicator.id!r} would both be the series"
                f" {indicator.series_name!r}: rename one, or set 'series: false' on it"
            )
    return chosen


def check_budget(catalogue: Catalogue, institutions: Sequence[Institution], budget: int) -> int:
    """Return how many series the indicators of these institutions make at most; raise ConfigError over `budget`.

    An indicator of a form that only some types file is counted for institutions of those types, a measure of
    the system once, a market measure for as many as are measured. Each has two series: the value and its as-of date.
    """
    of_type = Tally(i.type for i in institutions)
    everyone = len(institutions)
    count = everyone
    for indicator in exported(catalogue):
        form = catalogue.forms.get(indicator.form)
        subjects = sum(of_type[t] for t in form.types) if form is not None and form.types else everyone
        if indicator.form in SYSTEM_FORMS:
            subjects = 1
        elif indicator.form in (MARKET_FORM, SIMULATED_FORM):
            subjects = min(subjects, LISTED)
        count += 2 * subjects
    if count > budget:
        raise ConfigError(
            f"{everyone} institutions and this catalogue make {count:,} series, over the budget of {budget:,}:"
            " set 'series: false' on indicators nobody looks at, or raise GUANLAN_SERIES_BUDGET"
        )
    return count
