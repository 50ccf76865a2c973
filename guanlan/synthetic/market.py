"""Share prices of the sector's listed institutions: a calm year, then a fall with which everybody's shares go.

One market factor, a financial factor beside it, and noise with fat tails; betas differ. In the fall volatility triples
and the index loses a quarter, so that measures and the stress index move. Credit to GDP climbs over its trend.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guanlan.synthetic.population import Population
from guanlan.synthetic.timeline import DAY, Timeline, to_date
from streams.tape import CREDIT, MARKET
from streams.wire import Quote

Floats = NDArray[np.float64]

LISTED = {"large_bank": 6, "joint_stock_bank": 8, "city_bank": 8, "life_insurer": 3, "property_insurer": 1}
RUN_UP = 260
FALL_FROM, FALL_DAYS = 60, 25
CLOSE = 8 * 3600
QUARTERS = 40
BOOK_MULTIPLE = 0.7


@dataclass(frozen=True, slots=True)
class Market:
    """Prices [days, 1 + listed], the index first; market values of the listed; credit to GDP by quarter."""

    days: NDArray[np.int64]
    codes: tuple[str, ...]
    prices: Floats
    values: Floats
    quarters: NDArray[np.int64]
    credit: Floats

    def quotes(self) -> Iterator[tuple[int, Quote]]:
        """Yield every quote with the second of its arrival, in order."""
        credit = dict(zip(self.quarters.tolist(), self.credit.tolist(), strict=True))
        waiting = sorted(credit)
        for step, day in enumerate(self.days.tolist()):
            at = day * DAY + CLOSE
            while waiting and (waiting[0] + 30 <= day or (step == 0 and waiting[0] < day)):
                quarter = waiting.pop(0)
                yield at, _quote(CREDIT, quarter, at, round(credit[quarter], 4))
            yield at, _quote(MARKET, day, at, round(float(self.prices[step, 0]), 2))
            for k, code in enumerate(self.codes):
                price, value = float(self.prices[step, 1 + k]), float(self.values[step, k])
                yield at, _quote(code, day, at, round(price, 3), round(value, -4))


def _quote(series: str, day: int, at: int, value: float, market_cap: float | None = None) -> Quote:
    return Quote(series, to_date(day).isoformat(), f"{np.datetime64(at, 's')}Z", value, market_cap)


def list_shares(population: Population, timeline: Timeline, equity: Floats, rng: np.random.Generator) -> Market:
    """Draw the market of a sector whose equity at the reference date is given in yuan [institutions]."""
    chosen = np.concatenate([np.flatnonzero(population.types == kind)[:count] for kind, count in LISTED.items()])
    open_ = timeline.open
    last = int(np.searchsorted(open_, timeline.live[-1]))
    days = open_[max(0, last + 1 - len(timeline.live) - RUN_UP) : last + 1]
    elapsed = np.searchsorted(timeline.live, days, "right") - FALL_FROM - 1
    falling = (elapsed >= 0) & (elapsed < FALL_DAYS)
    nervous = np.where(elapsed >= 0, np.where(falling, 3.0, 2.0), 1.0)
    n = len(chosen)
    news = _shocks(rng, len(days), 1)[:, 0]
    for regime in (elapsed < 0, falling):
        news[regime] -= news[regime].mean() if regime.any() else 0.0
    index = 0.009 * nervous * news + np.where(falling, -0.30 / FALL_DAYS, 0.0003)
    sector = 0.006 * nervous * _shocks(rng, len(days), 1)[:, 0]
    beta = rng.uniform(0.7, 1.6, n)
    own = 0.010 * np.sqrt(nervous)[:, None] * _shocks(rng, len(days), n)
    moves = np.column_stack([index, beta * index[:, None] + sector[:, None] + own])
    paths = np.exp(np.cumsum(moves, axis=0))
    prices = paths * np.concatenate([[3_500.0], rng.uniform(3, 40, n)])
    at_reference = int(np.searchsorted(days, timeline.reference))
    worth = equity[chosen] * BOOK_MULTIPLE * rng.uniform(0.6, 1.5, n)
    values = worth * paths[:, 1:] / paths[min(at_reference, len(days) - 1), 1:]
    quarters = _quarter_ends(int(days[-1]))
    credit = 1.6 + 0.008 * np.arange(QUARTERS) + 0.05 * np.clip((np.arange(QUARTERS) - 30) / 10, 0, 1)
    codes = tuple(population.institutions[i].code for i in chosen.tolist())
    return Market(days, codes, prices, values, quarters, credit + 0.004 * rng.standard_normal(QUARTERS))


def _shocks(rng: np.random.Generator, days: int, count: int) -> Floats:
    """Return shocks with fat tails and a variance of 1."""
    return rng.standard_t(5, (days, count)) / np.sqrt(5 / 3)


def _quarter_ends(until: int) -> NDArray[np.int64]:
    months = (np.datetime64(until, "D").astype("datetime64[M]").astype(int) // 3 * 3) - 3 * np.arange(QUARTERS)[::-1]
    return np.asarray(months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1)
