"""The system side without a broker: what it publishes, keeps and takes up again."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import numpy as np
import pytest

from rules.catalogue import SYSTEM, load_catalogue
from rules.engine import FormBatch
from rules.pack import PackText, Program, compile_packs
from rules.registry import Institution
from streams.cross_section import Slice
from streams.exporter import Snapshot
from streams.fetching import Record
from streams.filer import DATES, Filer
from streams.measured import Measured
from streams.roster import Roster
from streams.side import Names
from streams.system import SystemSide
from streams.values import value_packs
from streams.wire import DAY, to_seconds

PACK = """
pack: side
version: "1"
title: {en: Measures in rules of every scope}
catalogue: [cn]
rules:
  - id: side.own
    title: {en: An institution}
    levels: {watch: furfine_defaults >= 0 and threshold_impact >= 0%}
    message: {en: "{institution.name}"}
  - id: side.peers
    title: {en: An institution among its peers}
    levels: {watch: debtrank_2012_impact <= peer_mean(debtrank_2012_impact) * 100}
    message: {en: "peers"}
  - id: side.system
    title: {en: The system}
    scope: system
    levels: {watch: provider_nth_party_reach > 10% and assets_hhi > 0.1}
    message: {en: "{provider_nth_party_reach:.2f}"}
"""

CODES = tuple(f"CN{n:03d}" for n in range(1, 7))
DATE = "2026-03-31"
NAMES = Names("rejected", "alerts", "cross-section", "measures")


def program() -> Program:
    """Compile the pack and the declared values of China's catalogue."""
    catalogue = load_catalogue(["cn"])
    return compile_packs([PackText(PACK, "side.yaml"), *value_packs(catalogue)], catalogue).at("system")


def banks() -> Roster:
    """Return a registry of six banks."""
    return Roster("", "", [Institution(c, {"en": c}, type="city_bank", peer_group="city_bank") for c in CODES])


def side() -> SystemSide:
    """Return a side over six banks that holds its partition."""
    no_table: Any = None
    made = SystemSide(program(), banks(), no_table, "exposures", "cross-section", "market.quotes", NAMES, 1_000_000)
    made.reset(frozenset({0}))
    made.partitions = frozenset({0})
    return made


def record(topic: str, value: bytes, offset: int) -> Record:
    """Return a record as the consumer hands it over."""
    return Record(topic, 0, offset, 0, b"", value)


def balances(revision: int = 0) -> list[Record]:
    """Return all balance sheets."""
    n, at = len(CODES), to_seconds(DATE)
    own = np.arange(1.0, n + 1) * 1e9
    rows = np.arange(n, dtype=np.int32)
    nothing = np.zeros((0, n))
    batch = FormBatch(
        "cn.balance.q", rows, np.full(n, at), np.full(n, at + DAY), rows * 0 + revision, rows - n, rows, nothing
    )
    parts = Slice.of(batch, CODES, ("total_assets", "equity"), np.array([20 * own, own]))
    return [record("cross-section", part.encode(), 100 * revision + i) for i, part in enumerate(parts)]


def report(number: int, revision: int = 0) -> Record:
    """Return a bank's report: it lends to the next, and all its services hang on a cloud that hangs on another."""
    body = {
        "institution": CODES[number],
        "as_of": DATE,
        "revision": revision,
        "submitted_at": "2026-04-12T08:00:00Z",
        "exposures": [{"counterparty": CODES[(number + 1) % len(CODES)], "amount": 2e9 + revision}],
        "services": [{"provider": "P", "share": 0.6, "relies_on": [{"provider": "Q", "share": 0.5}]}],
    }
    return record("exposures", msgspec.json.encode(body), 10 * revision + number)


def take(made: SystemSide, records: list[Record]) -> None:
    """Apply records."""
    made.apply(made.read(records))


async def measure(made: SystemSide) -> list[dict[str, Any]]:
    """Do every job that is due; return what was published of measures and alerts."""
    told = []
    while (job := made.due()) is not None:
        effects = await made.file(job, await asyncio.to_thread(job.compute))
        told += [msgspec.json.decode(post.value) for post in (*effects.posts, *effects.later) if post.value]
        made.planner._slow_after = 0.0
    return told


def test_every_kind_of_measure_is_filed_published_and_read_by_rules_of_every_scope() -> None:
    """Quick measures, cascades and declared values; parts and cases beside them; a rule of each scope fires."""
    made = side()
    take(made, [*balances(), *(report(n) for n in range(len(CODES)))])
    told = asyncio.run(measure(made))
    measured = {(body["measure"], body["subject"]): body for body in told if "measure" in body}
    assert measured["provider_nth_party_reach", SYSTEM]["value"] == pytest.approx(0.3)
    assert measured["provider_outage_reach", SYSTEM]["cases"] == pytest.approx({"P": 0.6, "Q": 0.3})
    assert measured["assets_hhi", SYSTEM]["value"] == pytest.approx(91 / 21**2)
    assert measured["assets_hhi", SYSTEM]["coverage"] == 1.0
    assert measured["lcr_breach_share", SYSTEM]["reason"] == "too_few_filings"
    assert sum(measured["clearing_shortfall_added", SYSTEM]["parts"].values()) == pytest.approx(
        measured["clearing_shortfall_added", SYSTEM]["value"]
    )
    assert {code for name, code in measured if name == "furfine_defaults"} == set(CODES)
    fired = {(b["data"]["rule"], b["data"]["subject"]) for b in told if b.get("data", {}).get("state") == "firing"}
    assert {(rule, code) for rule in ("side.own", "side.peers") for code in CODES} < fired
    assert ("side.system", SYSTEM) in fired
    shown = Snapshot()
    made.show(shown)
    assert shown.cases["provider_outage_reach", "P"] == pytest.approx(0.6)
    assert shown.unavailable["dsib_score_largest", "too_few_indicators"] == 1
    known = {c.indicator.id for c in shown.columns if not np.isnan(c.values).all()}
    assert known >= {"threshold_impact", "interbank_density"}


def test_what_is_kept_is_taken_up_again() -> None:
    """A side that restores the blocks of another measures the same, and knows what was reported before."""
    one, other = side(), side()
    take(one, [*balances(), *(report(n) for n in range(len(CODES)))])
    for block in one.keeper.dirty[0]:
        parts = {part: one.export_part(0, block, part) for part in one.parts(0, block)}
        other.restore(0, block, one.export(0, block), parts)
    take(other, [report(0)])
    assert other.book.dates() == one.book.dates() == [to_seconds(DATE)]
    assert asyncio.run(measure(one)) == asyncio.run(measure(other))
    take(other, [report(0, revision=1)])
    again = asyncio.run(measure(other))
    assert {body["measure"] for body in again if "measure" in body and body["subject"] == CODES[0]}


def test_slow_measures_wait_until_nothing_else_is_due_and_then_for_their_tenth() -> None:
    """The cascade comes last, and after it a revision brings the quick measures at once and the cascade later."""
    made = side()
    take(made, [*balances(), *(report(n) for n in range(len(CODES)))])
    kinds = []
    while (job := made.due()) is not None:
        kinds.append(job.kind)
        asyncio.run(made.file(job, job.compute()))
    assert kinds[-1] == "cascade"
    take(made, [report(1, revision=1)])
    job = made.due()
    assert job is not None
    assert job.kind == "network"
    asyncio.run(made.file(job, job.compute()))
    made.planner._slow_after = float("inf")
    assert made.due() is None
    assert made.book.waiting(slow=True)


def test_what_was_filed_is_remembered_of_the_newest_dates_only() -> None:
    """So a worker that runs for years does not grow; dates that can be due again are not filed twice."""
    made = side()
    filer = Filer(made.engine.program.catalogue, (), "measures")

    def file(day: int) -> int:
        measured = Measured(day * DAY, 1, 1.0, {"exposure_coverage": 0.5})
        return sum(len(batch.rows) for batch in filer.batches(measured, made.engine, CODES, day * DAY))

    assert [file(day) for day in range(100)] == [1] * 100
    assert [file(day) for day in range(100 - DATES, 100)] == [0] * DATES
    assert [file(0), file(0), file(99)] == [1, 0, 0]
