"""A scrape shows one moment, however many indicators, forms, measures and alerts it holds."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date, timedelta

import numpy as np
from hypothesis import given

from rules.engine import Engine
from rules.showing import alerts, newest
from streams.exporter import Snapshot
from tests.examples import at_most
from tests.rules.generated import World, filings, worlds
from tests.rules.reference import Filing
from tests.rules.test_agreement import one_by_one
from tests.worker.memory import filing, lcr_below, opened, take, watch

FIRST = date(2026, 4, 1)


def shown(snapshot: Snapshot) -> tuple[set[tuple[str, float, int]], Counter[tuple[str, str, str]]]:
    """What a scrape says of the first bank: indicator, value and date; and its alerts."""
    found = {
        (column.indicator.id, float(value), int(at))
        for column in snapshot.columns
        for subject, value, at in zip(column.subjects, column.values, column.as_of, strict=True)
        if subject[0] == "CN001" and not np.isnan(value)
    }
    return found, snapshot.alerts


def test_values_and_alerts_of_one_scrape_are_of_one_filing() -> None:
    """Filings come in while it is written: what was copied is not what the engine holds then."""

    async def run() -> None:
        side = await opened(watch(lcr_below(100)))
        snapshots = []
        for day in range(6):
            low = 0.9 if day % 2 else 1.1
            take(side, [filing(day, str(FIRST + timedelta(days=day)), lcr=low, hqla=low * 1e9, net_outflows_30d=1e9)])
            snapshots.append(Snapshot())
            side.show(snapshots[-1])
        for day, snapshot in enumerate(snapshots):
            values, standing = shown(snapshot)
            assert {"lcr", "hqla", "net_outflows_30d"} <= {name for name, _, _ in values}
            assert len({at for _, _, at in values}) == 1
            assert ("lcr", 0.9 if day % 2 else 1.1, min(at for _, _, at in values)) in values
            assert standing == ({("p.lcr", "watch", "firing"): 1} if day % 2 else {})

    asyncio.run(run())


@at_most(30)
@given(worlds(), filings())
def test_what_is_shown_is_what_the_engine_holds(world: World, arriving: list[Filing]) -> None:
    """Alerts, counted column by column, are those that the engine names one by one; values are copies."""
    engine = world.engine()
    one_by_one(engine, arriving)
    assert alerts(engine) == _named(engine)
    names = [i.id for i in world.program.catalogue.indicators.values() if i.form in engine.world.stores or i.formula]
    _, before = newest(engine, names)
    held = {name: (one.values.copy(), one.as_of.copy()) for name, one in before.items()}
    engine.drop(np.arange(len(engine.institutions)))
    for store in engine.world.stores.values():
        store.values[:] = 7.0
    for name, (values, as_of) in held.items():
        np.testing.assert_array_equal(before[name].values, values)
        np.testing.assert_array_equal(before[name].as_of, as_of)


def _named(engine: Engine) -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for one in engine.active():
        if one.status != "shadow":
            state = "suppressed" if one.suppressed_by else "stale" if one.overdue else one.state
            found[one.rule, one.severity, state] += 1
    return found
