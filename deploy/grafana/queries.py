"""PromQL that panels share. Series names come from the catalogue, so a renamed indicator can't leave a panel empty."""

from __future__ import annotations

from dataclasses import dataclass

from rules.catalogue import Catalogue

SUBJECTS = 'type=~"$type", region=~"$region"'
NAMES = "max by (institution, name, name_zh) (guanlan_institution_info)"
NAMED = "{{institution}} {{name}} {{name_zh}}"


@dataclass(frozen=True)
class Queries:
    """Queries over the series of one catalogue; an indicator that it does not have is a KeyError."""

    catalogue: Catalogue

    def of_system(self, indicator: str) -> str:
        """A measure of the whole system."""
        return self.catalogue.indicators[indicator].series_name

    def of(self, indicator: str) -> str:
        """An indicator of the institutions that the dashboard's variables choose."""
        return f"{self.of_system(indicator)}{{{SUBJECTS}}}"

    def as_of(self, indicator: str) -> str:
        """The as-of dates of an indicator, seconds since the epoch."""
        return f"{self.of_system(indicator)}_as_of_timestamp_seconds{{{SUBJECTS}}}"

    def quantile(self, share: float, indicator: str, by: str = "type") -> str:
        """The value below which this share of institutions lies, for each type."""
        return f"quantile by ({by}) ({share}, {self.of(indicator)})"

    def total(self, indicator: str, by: str = "") -> str:
        """The sum over institutions."""
        return f"sum{f' by ({by})' if by else ''} ({self.of(indicator)})"

    def band(self, indicator: str, low: float | None, high: float | None) -> str:
        """How many institutions have low <= value < high; 0 where none has."""
        above = f"({self.of(indicator)} >= bool {low})" if low is not None else ""
        below = f"({self.of(indicator)} < bool {high})" if high is not None else ""
        return f"sum ({' * '.join(filter(None, (above, below)))})"

    def highest(self, expr: str, count: int = 10) -> str:
        """The institutions with the highest values, with their names."""
        return f"topk({count}, {expr}) * on (institution) group_left (name, name_zh) {NAMES}"

    def lowest(self, expr: str, count: int = 10) -> str:
        """The institutions with the lowest values, with their names."""
        return f"bottomk({count}, {expr}) * on (institution) group_left (name, name_zh) {NAMES}"


def latency(share: float) -> str:
    """Seconds from submission to alert that this share of filings stays below."""
    return f"histogram_quantile({share}, sum by (le) (rate(guanlan_submit_to_alert_seconds_bucket[$__rate_interval])))"


def stage(share: float) -> str:
    """Seconds that this share of batches stays below, for each stage of the work."""
    rate = "rate(guanlan_stage_seconds_bucket[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (stage, le) ({rate}))"


def per_second(counter: str, by: str = "") -> str:
    """The rate of a counter, summed over workers."""
    return f"sum{f' by ({by})' if by else ''} (rate({counter}[$__rate_interval]))"
