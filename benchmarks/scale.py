"""The model behind `docs/scale.md`: measured costs, multiplied out for a sector of any size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from streams.encodings import Encoding

INDICATORS, RULES, REPLICATION = 2_000, 500, 3
MEASURED_PEERS, MEASURED_NETWORK = 5_000, 4_500


@dataclass(frozen=True, slots=True)
class Costs:
    """What one run measured. Seconds are processor seconds; a filing has 2,000 values."""

    judge_filing: dict[str, float]
    filing_bytes: dict[str, float]
    institution_bytes: float
    alerts_filing: float
    alert_bytes: float
    slice_filing: float
    slice_bytes: float
    peers: float
    peers_exponent: float
    network: float
    network_exponent: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sector needs: a date on which everybody files, judged by so many workers of one core each."""

    institutions: int
    workers: int
    judge_seconds: dict[str, float]
    topic_bytes: dict[str, float]
    worker_bytes: float
    alerts: float
    alert_bytes: float
    section_bytes: float
    section_seconds: float
    peers_seconds: float
    network_seconds: float
    filings_a_second: float


def costs(rows: Iterable[Mapping[str, Any]]) -> Costs:
    """Take the costs out of the rows of a benchmark's JSON; raise KeyError naming the row that is not there."""
    found = {(row["part"], row["name"]): row for row in rows}
    judge = {}
    for encoding in Encoding:
        rates = sorted(found["encodings, large filings", str(encoding)]["detail"]["values a processor second"])
        judge[str(encoding)] = INDICATORS / rates[len(rates) // 2]
    burst = found["month's end", "first filing sent to last alert"]["detail"]["runs"][0]
    engine = found["memory", "engine, by institution"]
    peers = next((row for (part, name), row in found.items() if part == "system" and "peers" in name), None)
    if peers is None:
        raise KeyError("system, rules among peers")
    return Costs(
        judge,
        {e: found["decode", f"{e}, 2,000 values"]["detail"]["bytes a filing"] for e in judge},
        engine["median"],
        burst["alert changes"] / MEASURED_PEERS,
        burst["bytes"] / burst["alert changes"],
        found["system", "a filing through the cross-section"]["median"],
        found["system", "its bytes there"]["median"],
        peers["median"],
        found["growth", "rules among peers, by institutions"]["median"],
        found["network measures", "all single defaults"]["median"],
        found["growth", "all single defaults, by institutions and exposures"]["median"],
    )


def answer(measured: Costs, institutions: int, workers: int) -> Answer:
    """Multiply out; what grows faster than in proportion does so with its measured exponent."""
    peers = measured.peers * (institutions / MEASURED_PEERS) ** max(1.0, measured.peers_exponent)
    network = measured.network * (institutions / MEASURED_NETWORK) ** measured.network_exponent
    return Answer(
        institutions,
        workers,
        {e: institutions * seconds / workers for e, seconds in measured.judge_filing.items()},
        {e: institutions * size for e, size in measured.filing_bytes.items()},
        institutions * measured.institution_bytes / workers,
        institutions * measured.alerts_filing,
        institutions * measured.alerts_filing * measured.alert_bytes,
        institutions * measured.slice_bytes,
        institutions * measured.slice_filing,
        peers,
        network,
        1 / measured.slice_filing,
    )
