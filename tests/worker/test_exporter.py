"""What `/metrics` shows: right names, labels and numbers, in an exposition that Prometheus reads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import httpx
import msgspec
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rules.catalogue import load_catalogue, parse_catalogues
from rules.problems import ConfigError
from rules.registry import Institution
from streams.exporter import AS_OF, SUBJECT_LABELS, Column, Exporter, Snapshot, Spread, check_budget, exported
from tests.programs import Program
from tests.worker.field import Field, direct, load, program_of, until
from tests.worker.test_system import CLAIMS, EQUITY, balance, institutions, program, report

AWKWARD = Institution('C"1\\', {"en": 'A "bank"\nof two lines'}, type="bank", region="Ost\\West", peer_group="")


def scrape(snapshot: Snapshot) -> dict[str, dict[tuple[str, ...], float]]:
    """Serve a snapshot, scrape it over HTTP, and return label values and value by series name."""

    async def run() -> str:
        async def give() -> Snapshot:
            return snapshot

        exporter = Exporter(asyncio.get_running_loop(), give)
        exporter.pipeline.rejected.labels("not_json").inc(2)
        exporter.pipeline.latency.observe(np.array([0.02, 0.02, 7.0, 1e9]))
        port = exporter.serve("127.0.0.1", 0)
        try:
            response = await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}/metrics")
            return response.raise_for_status().text
        finally:
            exporter.close()

    return parsed(asyncio.run(run()))


def parsed(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return label values (those of subjects first) and value by series name."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            order = [n for n in SUBJECT_LABELS if n in labels] + [n for n in labels if n not in SUBJECT_LABELS]
            found.setdefault(sample.name, {})[tuple(labels[name] for name in order)] = sample.value
    return found


def test_the_exposition_is_read_back_as_it_was_meant() -> None:
    """Values, as-of dates, awkward labels, alerts and histograms come through the text format unharmed."""
    lcr = load_catalogue(["cn"]).indicators["lcr"]
    labels = (AWKWARD.code, AWKWARD.type, AWKWARD.region, AWKWARD.peer_group)
    shown = Snapshot(institutions=[AWKWARD], lag={("filings", 3): 7}, unknown={("r", "not filed"): 4})
    shown.columns = [Column(lcr, [labels, ("C2", "", "", "")], np.array([1.25, np.nan]), np.array([86_400, 0]))]
    shown.alerts["r", "warning", "firing"] = 2
    found = scrape(shown)
    assert found["guanlan_lcr_ratio"] == {labels: 1.25}
    assert found["guanlan_lcr_ratio" + AS_OF] == {labels: 86_400.0}
    assert list(found["guanlan_alerts"].values()) == [2.0]
    assert list(found["guanlan_rule_unknown"].values()) == [4.0]
    assert list(found["guanlan_lag_records"].values()) == [7.0]
    assert found["guanlan_filings_rejected_total"] == {("not_json",): 2.0}
    assert found["guanlan_submit_to_alert_seconds_count"] == {(): 4.0}
    assert found["guanlan_submit_to_alert_seconds_bucket"][("0.025",)] == 2.0
    assert found["guanlan_submit_to_alert_seconds_bucket"][("+Inf",)] == 4.0
    ((code, *others),) = found["guanlan_institution_info"]
    assert code == AWKWARD.code
    assert AWKWARD.name["en"] in others
    assert not any(series.startswith("python_") or series.endswith("_created") for series in found)


def test_a_spread_counts_like_a_histogram() -> None:
    """A value on a bound belongs to that bound's bucket; buckets are cumulative."""
    spread = Spread((1.0, 2.0))
    spread.observe(np.array([0.5, 1.0, 1.5, 2.0, 3.0]))
    assert spread.buckets() == [("1.0", 2.0), ("2.0", 4.0), ("+Inf", 5.0)]
    assert spread.total == 8.0


def test_series_over_the_budget_are_refused_with_the_number() -> None:
    """The count is that of the institutions that file each form, twice, and the sentence says the way out."""
    catalogue = load_catalogue(["cn"])
    banks = [Institution(f"B{n}", type="city_bank") for n in range(10)]
    insurers = [Institution(f"I{n}", type="life_insurer") for n in range(3)]
    count = check_budget(catalogue, [*banks, *insurers], 200_000)
    assert count > check_budget(catalogue, banks, 200_000)
    with pytest.raises(ConfigError, match=rf"{count:,} series, over the budget of {count - 1:,}.*SERIES_BUDGET"):
        check_budget(catalogue, [*banks, *insurers], count - 1)


def test_two_indicators_of_one_series_name_are_refused() -> None:
    """Prometheus would join them, so the worker does not start."""
    text = """
catalogue: twice
forms: [{id: f.d, title: {en: F}, frequency: daily}]
indicators:
  - {id: a.b, title: {en: One}, form: f.d, unit: ratio}
  - {id: a_b, title: {en: Two}, form: f.d, unit: ratio}
"""
    with pytest.raises(ConfigError, match=r"'a\.b' and 'a_b'"):
        exported(parse_catalogues([(text, "twice.yaml")]))


@pytest.mark.needs("kafka")
def test_a_worker_shows_what_was_filed(field: Field) -> None:
    """Newest values, alerts that stand, and the pipeline's own counts are on /metrics."""
    wide, records = load(institutions=5, filings=100)
    rules = program_of(wide)
    expected = direct(rules, wide.institutions, records)
    field.prepare(wide.institutions)

    async def run() -> str:
        async with field.worker(rules) as worker:
            field.send(records)
            await until(field.caught_up)
            await until(lambda: worker.lag and not any(worker.lag.values()))
            port = worker.exporter.port
            return (await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}/metrics")).text

    found = parsed(asyncio.run(run()))
    filed = [msgspec.json.decode(r.value) for r in records if r.key == "W00000"]
    newest = max(filed, key=lambda f: (f["as_of"], f.get("revision", 0)))
    shown = {labels[0]: value for labels, value in found["guanlan_x0000_ratio"].items()}
    assert shown["W00000"] == newest["values"]["x0000"]
    assert sum(found["guanlan_alerts"].values()) == len(expected.active)
    assert found["guanlan_filings_accepted_total"] == {("wide.d",): float(len(records))}
    assert found["guanlan_partitions_assigned"] == {(): float(field.partitions)}
    assert set(found["guanlan_lag_records"].values()) == {0.0}


@pytest.mark.needs("kafka", "prometheus")
def test_prometheus_scrapes_a_worker_and_answers(field: Field, prometheus: Callable[..., Program]) -> None:
    """A PromQL query over a worker's series gives the number that was filed, and one over a measure its value."""
    field.prepare(institutions())

    async def run() -> None:
        async with field.worker(program()) as worker:
            field.send([balance(code, equity) for code, equity in EQUITY.items()])
            field.send([report(code, claims) for code, claims in CLAIMS.items()], "exposures")
            target = f"127.0.0.1:{worker.exporter.port}"
            config = f"""
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: guanlan, static_configs: [{{targets: ["{target}"]}}]}}]
"""
            server = await asyncio.to_thread(prometheus, config)

            def ask(query: str) -> list[str]:
                answer = httpx.get(f"{server.url}/api/v1/query", params={"query": query}).json()
                return [sample["value"][1] for sample in answer["data"]["result"]]

            await until(lambda: ask('guanlan_equity_cny{institution="CN001"}') == ["50000000000"])
            await until(lambda: ask('up{job="guanlan"}') == ["1"])
            await until(lambda: ask("guanlan_exposure_coverage_ratio") == ["1"])
            await until(lambda: float(ask('guanlan_alerts{rule="network.impact", state=~"firing|stale"}')[0]) >= 1)
            assert ask("sum(guanlan_equity_cny)") == ["150000000000"]
            day = ask('guanlan_equity_cny_as_of_timestamp_seconds{institution="CN001"}')
            assert time.strftime("%Y-%m-%d", time.gmtime(float(day[0]))) == "2026-03-31"

    asyncio.run(run())
