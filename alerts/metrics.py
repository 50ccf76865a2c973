"""Series of the desk: what went out, what did not, and how far behind each sink is."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class DeskMetrics:
    """Counters and gauges by sink, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"guanlan_desk_{name}", text, ["sink", *labels], registry=self.registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"guanlan_desk_{name}", text, ["sink"], registry=self.registry)

        self.notices = counter("notices", "Notices given to the sink", "kind")
        self.failures = counter("failures", "Flushes that the sink did not take; each is tried again")
        self.refused = counter("refused", "Messages that the target refused for good: dead letters")
        self.unreadable = counter("unreadable", "Records on the topic that are no alert events")
        self.due_moved = counter("due_dates_moved", "Due dates that working days announced since moved")
        self.open_alerts = gauge("open_alerts", "Alerts that are open")
        self.lag = gauge("lag_records", "Records of the topic that the sink has not delivered yet; NaN if not known")
        text = "Whether Kafka said where the topic ends, so that the lag is known"
        self.kafka_up = Gauge("guanlan_desk_kafka_up", text, registry=self.registry)
        self.delivered = gauge("delivered_timestamp_seconds", "When the sink last took a batch")
        self.up = gauge("sink_up", "Whether the sink took the last batch")
