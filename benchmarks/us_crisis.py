"""Market measures over 20 US financial institutions, 2005 to 2010: the series that tests and plots share.

The data set is that of the SystemicRisk toolbox (Belluzzo), as CSV files in a folder that is given; the
project does not contain it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np

from guanlan.market_sample import Books, read_books
from guanlan.market_tables import Table, read_table
from systemic.arrays import Matrix, Vector
from systemic.market.absorption import absorption_ratio, last_turbulence
from systemic.market.covar import conditional_covar, delta_covar
from systemic.market.distance import kmv
from systemic.market.lrmes import lrmes_from_beta, market_beta
from systemic.market.mes import marginal_expected_shortfall
from systemic.market.returns import price_returns
from systemic.market.spillover import spillover_index
from systemic.market.srisk import capital_shortfall, total_shortfall
from systemic.stress.ciss import Composite, composite

YEAR = 252
MONTH = 22
FILING_LAG = 45
"""Days from a quarter's end to its 10-Q: what a supervisor without other sources knows."""

WEEKLY_DECAY = 0.93
DAILY_DECAY = WEEKLY_DECAY**0.2

GSES = ("FMCC", "FNMA")
SUBINDICES = ("equity market", "financial sector", "funding", "credit")
INDICATORS = (
    ("realised volatility of the S&P 500", 0),
    ("fall of the S&P 500 from its high of a year", 0),
    ("VIX", 0),
    ("realised volatility of financial shares", 1),
    ("fall of financial shares from their high of a year", 1),
    ("TED spread", 2),
    ("liquidity spread", 2),
    ("corporate credit spread", 3),
    ("mean CDS spread of the institutions", 3),
)


@dataclass(frozen=True)
class Crisis:
    """The data: row t of everything is the day `days[t]`, returns are log, amounts in millions of dollars."""

    days: tuple[date, ...]
    names: tuple[str, ...]
    market: Vector
    returns: Matrix
    index: Vector
    caps: Matrix
    books: Books
    spreads: Matrix
    states: Table
    rate: Vector

    def row(self, day: str) -> int:
        """Return the row of a trading day given as 2008-08-29."""
        return self.days.index(date.fromisoformat(day))

    def year_to(self, t: int) -> slice:
        """Return the rows of the year that ends with row t."""
        return slice(max(0, t + 1 - YEAR), t + 1)

    def alive(self, rows: slice) -> list[int]:
        """Return the institutions with a return on every one of the rows."""
        return [int(i) for i in np.flatnonzero(np.isfinite(self.returns[rows]).all(axis=0))]

    def tail_losses(self, t: int) -> Vector:
        """MES at 5 % over the year to row t, (n,)."""
        rows = self.year_to(t)
        return marginal_expected_shortfall(self.returns[rows], self.market[rows])

    def lrmes(self, t: int) -> Vector:
        """LRMES of a 40 % fall by the beta of the year to row t, (n,)."""
        rows = self.year_to(t)
        return lrmes_from_beta(market_beta(self.returns[rows], self.market[rows]))

    def shortfalls(self, t: int) -> Vector:
        """SRISK at k = 8 % with the balance sheets filed by then, millions of dollars, (n,)."""
        return capital_shortfall(self.caps[t], self.books.step(self.days[t]), self.lrmes(t))

    def delta_covars(self, t: int) -> Vector:
        """ΔCoVaR at 5 % over the year to row t, (n,)."""
        rows = self.year_to(t)
        return delta_covar(self.returns[rows], self.market[rows])

    def conditional_delta_covar(self) -> Vector:
        """Mean ΔCoVaR of the institutions that live to the end, given the states of the day before, (T,).

        Five seconds: three linear programmes of 1,300 rows and ten columns an institution.
        """
        living = np.isfinite(self.returns[-1])
        found = conditional_covar(self.returns[:, living], self.market, self.states.values[1:])
        return np.asarray(found.delta.mean(axis=1), dtype=np.float64)

    def distances(self, t: int) -> Vector:
        """Distance to default over the year to row t, risk-neutral, one year ahead, (n,)."""
        rows = self.year_to(t)
        debt = self.books.path(self.days[rows])
        found = np.full(len(self.names), np.nan)
        for i in range(len(found)):
            try:
                found[i] = kmv(self.caps[rows, i], debt[:, i], self.rate[rows]).distance[-1]
            except ValueError:
                continue
        return found

    def rolling(self, what: str, step: int = 1) -> tuple[list[int], Vector]:
        """Return rows and values of a system series, each over the year to its row.

        `what`: "absorption", "turbulence", "spillover", "mes" and "delta_covar" (means over the institutions
        with a return on every day), or "srisk" (sum of shortfalls; without the two GSEs, whose losses the
        Treasury carried from 2008-09-07 on while consolidation tripled their balance sheets in 2010).
        """
        rows = list(range(YEAR, len(self.days), step))
        return rows, np.array([self._system(what, t) for t in rows])

    def _system(self, what: str, t: int) -> float:
        alive = self.alive(self.year_to(t))
        chosen = self.returns[self.year_to(t)][:, alive]
        if what == "absorption":
            return absorption_ratio(chosen)
        if what == "turbulence":
            return last_turbulence(chosen)
        if what == "spillover":
            return spillover_index(chosen)
        if what == "mes":
            return float(self.tail_losses(t)[alive].mean())
        if what == "delta_covar":
            return float(self.delta_covars(t)[alive].mean())
        if what == "srisk":
            return total_shortfall(self.shortfalls(t)[[name not in GSES for name in self.names]])
        raise ValueError(f"no series is called {what!r}")

    @cached_property
    def indicators(self) -> Matrix:
        """Raw stress indicators in the order of INDICATORS, (T, 9)."""
        financials = np.nanmean(self.returns, axis=1)
        return np.column_stack(
            [
                _volatility(self.market),
                _fall(self.index),
                self.states.column("VIX")[1:],
                _volatility(financials),
                _fall(np.exp(np.cumsum(financials))),
                self.states.column("TED_SPREAD")[1:],
                self.states.column("LIQUIDITY_SPREAD")[1:],
                self.states.column("CREDIT_SPREAD")[1:],
                np.nanmean(self.spreads, axis=1),
            ]
        )

    def stress(self, initial: int | None = None) -> Composite:
        """The composite of the indicators, ranked over the whole sample or recursively after `initial` rows."""
        return composite(self.indicators, [group for _, group in INDICATORS], decay=DAILY_DECAY, initial=initial)


def _volatility(series: Vector) -> Vector:
    """Mean absolute value of the month to each row, NaN before a month is there."""
    totals = np.cumsum(np.r_[0.0, np.abs(series)])
    return np.r_[np.full(MONTH - 1, np.nan), (totals[MONTH:] - totals[:-MONTH]) / MONTH]


def _fall(level: Vector) -> Vector:
    """1 − level / its highest of the year to each row (CMAX); NaN before a month is there."""
    highs = np.array([level[max(0, t + 1 - YEAR) : t + 1].max() for t in range(len(level))])
    falls = 1 - level / highs
    falls[: MONTH - 1] = np.nan
    return np.asarray(falls, dtype=np.float64)


def load(folder: Path) -> Crisis:
    """Read the data set; Lehman, carried on at zero after 2008-09-15, is missing from then on."""
    prices, caps, cds = (read_table(folder / f"{name}.csv") for name in ("prices", "market_caps", "cds"))
    names = prices.columns[1:]
    returns = price_returns(prices.values)
    assert prices.days is not None
    return Crisis(
        days=prices.days[1:],
        names=names,
        market=returns[:, 0],
        returns=returns[:, 1:],
        index=prices.values[1:, 0],
        caps=np.where(caps.values[1:] > 0, caps.values[1:], np.nan),
        books=read_books([read_table(folder / "assets.csv"), read_table(folder / "equity.csv")], names, FILING_LAG),
        spreads=np.where(cds.select(names)[1:] > 0, cds.select(names)[1:], np.nan),
        states=read_table(folder / "state_variables.csv"),
        rate=cds.column("RF")[1:],
    )
