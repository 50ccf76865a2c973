"""Quotes on a real broker become market measures and a stress index, with intervals, and rules read them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rules.catalogue import SYSTEM, Catalogue, parse_catalogues
from rules.pack import PackText, Program, compile_packs
from rules.registry import Institution
from streams.stress import stress_packs
from streams.wire import DAY, Quote, encode, from_seconds, to_seconds
from systemic.market.lrmes import lrmes_from_beta, market_beta
from systemic.market.mes import marginal_expected_shortfall
from systemic.market.srisk import capital_shortfall
from systemic.stress.ciss import composite
from tests.worker.field import MEASURES, Field, Sent, until

pytestmark = pytest.mark.needs("kafka")

CATALOGUE = """
catalogue: little
title: {en: A little sector}
currency: CNY
forms:
  - {id: t.books, title: {en: Books}, frequency: quarterly, grace_days: 92}
  - {id: t.day, title: {en: A day}, frequency: daily, grace_days: 5}
indicators:
  - {id: equity, title: {en: Equity}, form: t.books, unit: currency}
  - {id: total_assets, title: {en: Assets}, form: t.books, unit: currency}
  - {id: funding_cost, title: {en: Cost of funding}, form: t.day, unit: ratio}
stress:
  history: 20
  decay: 0.9
  parts:
    - id: funding
      title: {en: Funding, zh: 融资}
      weight: 2
      indicators:
        - {id: cost, value: "group_mean(funding_cost)"}
    - id: market
      title: {en: Market, zh: 市场}
      indicators:
        - {id: volatility, series: MARKET, as: volatility}
        - {id: spread, series: bond_spread}
"""

PACK = """
pack: market
version: "1"
title: {en: Market}
rules:
  - id: market.tail
    title: {en: Loses more than a percent on bad days for sure}
    levels: {warning: mes_low > 1%}
    message: {en: "{institution.name}: {mes:.2%}, rank {mes_rank:.0f}"}
  - id: market.stress
    title: {en: Stress is high and comes from funding}
    scope: system
    levels: {watch: stress_index > 0% and stress_funding > stress_market}
    message: {en: "{stress_index:.2f}"}
  - id: market.speed
    title: {en: Stress moved}
    scope: system
    levels: {watch: abs(change(stress_index)) > 0%}
    message: {en: "{change(stress_index):+.3f}"}
"""

CODES = tuple(f"B{number}" for number in range(6))
DAYS = [to_seconds("2026-01-05") + day * DAY for day in range(140) if (day % 7) < 5]


def prices() -> dict[str, np.ndarray]:
    """Return a market and six banks with one common shock each day, seeded."""
    rng = np.random.default_rng(11)
    market = 0.012 * rng.standard_t(4, len(DAYS))
    moves = {"MARKET": market} | {
        code: (0.5 + 0.3 * n) * market + 0.01 * rng.standard_t(4, len(DAYS)) for n, code in enumerate(CODES)
    }
    return {series: 100 * np.exp(np.cumsum(move)) for series, move in moves.items()}


PRICES = prices()
COST = 0.02 + 0.001 * np.cumsum(np.random.default_rng(3).standard_normal(len(DAYS)))
SPREAD = 0.01 + 0.0005 * np.abs(np.random.default_rng(4).standard_normal(len(DAYS)))


def program() -> Program:
    """Compile the pack and the indicators of the stress index."""
    catalogue: Catalogue = parse_catalogues([(CATALOGUE, "little.yaml"), (MEASURES, "measures.yaml")])
    return compile_packs([PackText(PACK, "market.yaml"), *stress_packs(catalogue)], catalogue)


def quote(series: str, day: int, value: float, cap: float | None = None, **changes: Any) -> Sent:
    """Return one quote."""
    body = Quote(series, from_seconds(DAYS[day]), from_seconds(DAYS[day] + 36_000), value, cap)
    return Sent(series, encode(msgspec.structs.replace(body, **changes)))


def quotes(days: range) -> list[Sent]:
    """Return the quotes of these days, market values at a hundred million times the price of banks."""
    told = [(d, series, float(path[d])) for d in days for series, path in PRICES.items()]
    return [
        *(quote(series, d, p, None if series == "MARKET" else 1e8 * p) for d, series, p in told),
        *(quote("bond_spread", d, float(SPREAD[d])) for d in days),
    ]


def filing(code: str, form: str, as_of: int, values: dict[str, float]) -> Sent:
    """Return one filing."""
    body = {"institution": code, "form": form, "as_of": from_seconds(as_of), "values": values}
    return Sent(code, json.dumps({**body, "submitted_at": from_seconds(as_of + DAY)}).encode())


def filings(days: range) -> list[Sent]:
    """Return the balance sheets and what the banks pay for funding each day."""
    books = {"equity": 5e9, "total_assets": 1e11}
    return [
        *(filing(code, "t.books", to_seconds("2025-12-31"), books) for code in CODES),
        *(filing(code, "t.day", DAYS[d], {"funding_cost": float(COST[d])}) for d in days for code in CODES),
    ]


def bodies(field: Field) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return the last word on each measure, subject and date."""
    found = (msgspec.json.decode(record.value or b"") for record in field.read("measures"))
    return {(body["measure"], body["subject"], body["as_of"]): body for body in found}


def returns(until_day: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the market's and the banks' log returns up to a day."""
    table = np.log(np.column_stack([PRICES[s][: until_day + 1] for s in ("MARKET", *CODES)]))
    moves = np.diff(table, axis=0)
    return moves[:, 0], moves[:, 1:]


def test_quotes_become_measures_with_intervals_and_a_stress_index(field: Field, tmp_path: Path) -> None:
    """MES, SRISK and the index are those of the functions; bounds hold them; the next day is filed; rules fire."""
    field.prepare([Institution(code, {"en": f"Bank {code}"}) for code in CODES])
    last = len(DAYS) - 1
    today = from_seconds(DAYS[last])

    async def run() -> None:
        async with field.worker(program(), market_seconds=0.0) as worker:
            field.send(filings(range(last)), piece=200)
            field.send(quotes(range(last)), "market.quotes")
            await until(lambda: ("stress_index", SYSTEM, from_seconds(DAYS[last - 1])) in bodies(field))
            await until(lambda: ("mes", "B0", from_seconds(DAYS[last - 1])) in bodies(field))
            field.send([s for s in filings(range(last, last + 1)) if b"t.day" in s.value])
            field.send(quotes(range(last, last + 1)), "market.quotes")
            await until(lambda: bodies(field).get(("stress_index", SYSTEM, today), {}).get("coverage") == 1.0)
            await until(lambda: bodies(field).get(("market_coverage", SYSTEM, today), {}).get("value") == 1.0)
            await until(lambda: not worker.system.tape.state.due and not worker.system.stress.state.due)
            url = f"http://127.0.0.1:{worker.exporter.port}/metrics"
            (tmp_path / "metrics").write_bytes(await asyncio.to_thread(lambda: urllib.request.urlopen(url).read()))

    asyncio.run(run())
    found = bodies(field)
    market, own = returns(last)
    mes = marginal_expected_shortfall(own, market)
    lost = lrmes_from_beta(market_beta(own, market))
    short = capital_shortfall(np.array([1e8 * PRICES[c][last] for c in CODES]), np.full(6, 9.5e10), lost)
    for n, code in enumerate(CODES):
        body = found["mes", code, today]
        assert body["value"] == pytest.approx(mes[n])
        assert body["low"] <= body["value"] <= body["high"]
        assert body["interval"] == "90%, stationary bootstrap"
        assert found["srisk", code, today]["value"] == pytest.approx(short[n])
        assert 1 <= found["mes_rank", code, today]["low"] <= found["mes_rank", code, today]["high"] <= 6
        assert found["distance_to_default", code, today]["interval"] == "90%, by formula"
    assert found["system_srisk", SYSTEM, today]["value"] == pytest.approx(np.maximum(short, 0).sum())
    for name in ("absorption_ratio", "turbulence", "spillover_index", "granger_degree", "market_concordance"):
        assert found[name, SYSTEM, today]["value"] >= 0
    assert found["credit_gap", SYSTEM, today]["reason"] == "no_credit_series"
    _check_stress(found, today, last)
    shown = (tmp_path / "metrics").read_text(encoding="utf-8")
    low = next(line for line in shown.splitlines() if line.startswith('guanlan_mes_low_ratio{institution="B0"'))
    assert float(low.split()[-1]) == found["mes", "B0", today]["low"]
    assert 'guanlan_measure_part{measure="stress_index",part="correlation"}' in shown
    assert 'guanlan_measure_move{measure="stress_index",part="funding.cost"}' in shown
    assert "guanlan_stress_funding_ratio " in shown
    fired = {(t.rule, t.subject) for t in field.transitions().values() if t.state == "firing"}
    assert ("market.tail", "B5") in fired
    assert {("market.stress", SYSTEM), ("market.speed", SYSTEM)} <= fired


def _check_stress(found: dict[tuple[str, str, str], dict[str, Any]], today: str, last: int) -> None:
    moves = np.diff(np.log(PRICES["MARKET"]))
    volatility = [np.nan] * 20 + [moves[t - 20 : t].std(ddof=1) for t in range(20, last + 1)]
    table = np.column_stack([COST, volatility, SPREAD])
    made = composite(table, [0, 1, 1], [2, 1], initial=20, decay=0.9)
    body = found["stress_index", SYSTEM, today]
    assert body["value"] == pytest.approx(made.index[last])
    assert sum(body["parts"].values()) == pytest.approx(body["value"])
    assert set(body["parts"]) == {"funding.cost", "market.volatility", "market.spread", "correlation"}
    assert body["parts"]["correlation"] == pytest.approx(made.correlation[last])
    moved = sum(step["after"] - step["before"] for step in body["moves"])
    assert moved == pytest.approx(made.index[last] - made.index[last - 1])
    sizes = [abs(step["after"] - step["before"]) for step in body["moves"]]
    assert sizes == sorted(sizes, reverse=True)
    assert found["stress_funding", SYSTEM, today]["value"] == pytest.approx(made.subindex_contributions()[last, 0])


def test_bad_quotes_are_set_aside_and_the_tape_outlives_its_worker(field: Field) -> None:
    """Each with its reason; a worker on another disk knows the days that another took in."""
    field.prepare([Institution(code, {"en": f"Bank {code}"}) for code in CODES])
    good = quote("B0", 0, 100.0, revision=1)
    bad = {
        "not_json": Sent("B0", b"{"),
        "wrong_shape": Sent("B0", b'{"series": "B0"}'),
        "unknown_series": quote("B9", 0, 1.0),
        "out_of_range": quote("B0", 1, 0.0),
        "duplicate": good,
        "revision_backwards": quote("B0", 0, 1.0),
        "as_of_in_future": quote("B0", 1, 1.0, submitted_at="2025-01-01"),
    }

    async def run() -> None:
        async with field.worker(program(), data_dir=field.folder / "one", market_seconds=0.0):
            field.send([good, *bad.values(), quote("bond_spread", 0, 0.01)], "market.quotes")
            await until(lambda: field.caught_up("market.quotes"))
            await until(lambda: {"mes", "stress_index"} <= {name for name, _, _ in bodies(field)})
        async with field.worker(program(), data_dir=field.folder / "two", market_seconds=0.0) as worker:
            await until(lambda: worker.system.partitions)
            assert worker.system.tape.lines["B0"].days == [DAYS[0]]

    asyncio.run(run())
    assert {h["reason"]: r.value for h, r in field.rejected()} == {k: s.value for k, s in bad.items()}
    told = {name: body["reason"] for (name, _, _), body in bodies(field).items() if body["value"] is None}
    assert told["mes"] == "history_too_short"
    assert told["stress_index"] == "history_too_short"


def test_the_command_sends_a_table(field: Field, tmp_path: Path) -> None:
    """`guanlan quotes` sends prices and market values, the named column as MARKET, and lists what nobody knows."""
    field.prepare([Institution("B0", {"en": "Bank"})])
    table = "date,INDEX,B0,B7\n2026-01-05,100,5,1\n2026-01-06,101,,2\n"
    (tmp_path / "prices.csv").write_text(table, encoding="utf-8")
    (tmp_path / "caps.csv").write_text("date,B0\n2026-01-05,2e9\n", encoding="utf-8")
    command = [sys.executable, "-m", "guanlan.cli", "quotes", "prices.csv", "--market-caps", "caps.csv"]
    done = subprocess.run(
        [*command, "--market", "INDEX", "--bootstrap", field.bootstrap],
        cwd=tmp_path,
        env={"GUANLAN_TOPIC_PREFIX": field.prefix, "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "3 accepted, 2 rejected\n  unknown_series 2\n")
    assert (
        "prices.csv row 2: unknown_series: no institution and no series of the catalogue is called 'B7'" in done.stderr
    )
    sent = [msgspec.json.decode(r.value or b"", type=Quote) for r in field.read("market.quotes")]
    assert [(q.series, q.as_of, q.value, q.market_cap) for q in sent] == [
        ("MARKET", "2026-01-05", 100.0, None),
        ("B0", "2026-01-05", 5.0, 2e9),
        ("MARKET", "2026-01-06", 101.0, None),
    ]
