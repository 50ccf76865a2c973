"""What a market measure reads: the options of the command line, and tables cut to one sample of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

import numpy as np

from guanlan.market_tables import Table, known_at
from rules.problems import ConfigError, InputError
from systemic.market import absorption, covar, mes, spillover
from systemic.market.lrmes import DECLINE
from systemic.market.returns import price_returns, windows

if TYPE_CHECKING:
    from systemic.arrays import Matrix, Vector

MOST_USUAL_RETURN = 0.2
"""No series of returns has a median of absolute values above it, daily, monthly or by quarter."""

Lrmes = Literal["beta", "mes", "simulation", "garch"]
Sign = Literal["loss", "return"]
Detail = Literal["pairs", "directional", "total"]


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; the meaning of each is in the command's help."""

    level: float = 0.05
    tail: mes.Tail = "strict"
    var: covar.VarKind = "empirical"
    sign: Sign = "loss"
    share: float = 0.2
    number: int | None = None
    moments: absorption.Moments = "covariance"
    half_life: float | None = None
    scaled: bool = False
    lags: int = 1
    horizon: float | None = None
    decomposition: spillover.Decomposition = "generalised"
    detail: Detail = "directional"
    rate: float = 0.0
    drift: float | None = None
    k: float = 0.08
    lrmes: Lrmes = "beta"
    decline: float = DECLINE
    paths: int = 20_000
    seed: int = 0
    window: int | None = None
    step: int = 1
    last: bool = False
    min_known: float = 0.9
    confidence: float | None = None
    replications: int = 500
    block: float | None = None


@dataclass(frozen=True, slots=True)
class Books:
    """Balance-sheet amounts (q, n) by the day from which they were known (ordinals), `lag` days after their own."""

    known_from: Vector
    amounts: Matrix
    lag: int

    def step(self, day: date) -> Vector:
        """Return the last amounts known on `day`, NaN before the first."""
        latest = int(np.searchsorted(self.known_from, day.toordinal(), side="right")) - 1
        return self.amounts[latest] if latest >= 0 else np.full(self.amounts.shape[1], np.nan)

    def path(self, days: Sequence[date]) -> Matrix:
        """Return the amounts along `days`, straight lines between the balance sheets known on the last of them.

        A step at each quarter's end would look like a jump in the value of assets. After the last sheet the
        amount stays; before the first it is NaN; an amount that is not positive is skipped.
        """
        ordinals = np.array([day.toordinal() for day in days], dtype=np.float64)
        seen = self.known_from <= ordinals[-1]
        paths = np.full((len(days), self.amounts.shape[1]), np.nan)
        for i, amounts in enumerate(self.amounts[seen].T):
            with np.errstate(invalid="ignore"):
                there = amounts > 0
            if there.any():
                paths[:, i] = np.interp(ordinals, self.known_from[seen][there], amounts[there], left=np.nan)
        return paths


def read_books(tables: Sequence[Table], names: Sequence[str], lag: int) -> Books:
    """Return liabilities, or assets less equity where two tables come, known `lag` days after their date."""
    first = tables[0]
    first.never_below(0.0, "liabilities and assets are amounts from 0 on", names)
    amounts = first.select(names)
    for other in tables[1:]:
        amounts = amounts - known_at(other, first.days, names)
        _no_debt_below_zero(first, amounts, names, other)
    return Books(np.array([day.toordinal() + lag for day in first.days], dtype=np.float64), amounts, lag)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a measure reads, cut to the same dates: row t of everything is the day `labels[t]`.

    `before` (T, k) has the states that condition each row, which are those of the row before it.
    """

    labels: tuple[str, ...]
    institutions: tuple[str, ...]
    returns: Matrix
    market: Vector | None = None
    before: Matrix | None = None
    equity: Matrix | None = None
    debts: Books | None = None
    days: tuple[date, ...] = ()
    rate: Vector | None = None

    def spans(self, options: Options) -> Iterator[slice]:
        """Yield the rows of each window, or all rows once."""
        if options.window is None:
            yield slice(0, len(self.labels))
            return
        if options.window > len(self.labels):
            raise InputError(f"a window of {options.window} rows is longer than the sample of {len(self.labels)}")
        yield from windows(len(self.labels), options.window, options.step)

    def index(self) -> Vector:
        """Return the market's returns; ConfigError when no column was named."""
        if self.market is None:
            raise ConfigError("this measure needs the market's series: name its column with --market")
        return self.market


def build_sample(
    prices: Table,
    *,
    kind: Literal["log", "simple"] | None,
    are_returns: bool,
    market: str | None,
    institutions: list[str],
    since: date | None,
    until: date | None,
    states: Table | None,
    caps: Table | None,
    books: Sequence[Table],
    reporting_lag: int,
    rates: Table | None,
    rate_column: str,
) -> Sample:
    """Cut the tables to one sample: returns of the institutions, and what else was given, on the same rows.

    `kind` says how prices become returns, which costs the first row; None takes the numbers as they are, returns
    where `are_returns` says so.
    """
    names = institutions or [name for name in prices.columns if name != market]
    if not names:
        raise InputError(f"{prices.file} has no institution beside the market's column")
    if doubled := next((name for name in names if names.count(name) > 1), ""):
        raise ConfigError(f"--institutions names {doubled!r} twice; its shortfall would count twice")
    read = [*names, *([market] if market else [])]
    if are_returns:
        _look_like_returns(prices, read)
    else:
        prices.never_below(0.0, "a price is never below 0; returns go with --returns", read)
    if caps is not None:
        caps.never_below(0.0, "a market value is never below 0", names)
    values = prices.values if kind is None else price_returns(prices.values, kind)
    first = 0 if kind is None else 1
    keep = [t for t in range(first, len(prices.labels)) if (since or date.min) <= prices.days[t] <= (until or date.max)]
    if len(keep) < 2:
        raise InputError(f"{prices.file}: fewer than two returns are left in the sample")
    days = [prices.days[t] for t in keep]
    earlier = prices.days[keep[0] - 1] if keep[0] else None
    chosen = values[[t - first for t in keep]]
    return Sample(
        labels=tuple(prices.labels[t] for t in keep),
        institutions=tuple(names),
        returns=chosen[:, [prices.position(name) for name in names]],
        market=None if market is None else chosen[:, prices.position(market)],
        before=None if states is None else _day_before(states, days, earlier),
        equity=None if caps is None else _positive(known_at(caps, days, names)),
        debts=read_books(books, names, reporting_lag) if books else None,
        days=tuple(days),
        rate=None if rates is None else known_at(rates, days, [rate_column])[:, 0],
    )


def _no_debt_below_zero(assets: Table, debts: Matrix, names: Sequence[str], equity: Table) -> None:
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(debts < 0)
    if len(wrong):
        row, column = wrong[0]
        who = f"the equity of {names[column]!r}"
        raise InputError(f"{equity.file}: {who} is above its assets in {assets.file} on {assets.labels[row]}")


def _day_before(table: Table, days: Sequence[date], earlier: date | None) -> Matrix:
    """Return the states that condition each day, (T, k): those of the row of returns before, NaN where there are none.

    Before the first row that is `earlier`, the day of the price before, else the last day that the table has before.
    """
    row = {day: t for t, day in enumerate(table.days)}
    first = row.get(earlier, -1) if earlier else int(np.searchsorted(_ordinals(table.days), days[0].toordinal())) - 1
    found = [first, *(row.get(day, -1) for day in days[:-1])]
    if max(found) < 0:
        raise InputError(f"{table.file}: no row is of a day of the sample, {days[0]} to {days[-1]}, or just before it")
    return np.where(np.array(found)[:, None] >= 0, table.values[found], np.nan)


def _ordinals(days: Sequence[date]) -> list[int]:
    return [day.toordinal() for day in days]


def _look_like_returns(table: Table, names: Sequence[str]) -> None:
    """Refuse prices, or percent, that came as returns: half of them beyond 20 % in a row are neither log nor simple."""
    for name in names:
        known = table.column(name)[np.isfinite(table.column(name))]
        if len(known) and (middle := float(np.median(np.abs(known)))) > MOST_USUAL_RETURN:
            told = f"{table.file}: half of the returns of {name!r} are beyond {middle:.3g}, which is {middle:.0%}"
            raise InputError(f"{told}; returns are fractions, 0.012 for 1.2 %. Prices go with --prices")


def _positive(values: Matrix) -> Matrix:
    return np.where(values > 0, values, np.nan)
