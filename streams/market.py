"""Market measures of one day from the quotes known then: pure functions, so the worker computes them in a thread.

Each carries an interval where one can be had: by the stationary bootstrap of whole days (mean block from the data,
`REPLICATIONS` samples, the same seed every day), by formula for the distance to default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from streams.measured import MARKET_FORM, MARKET_SYSTEM_FORM, MIN_COVERAGE, Lack, Measured
from streams.tape import CREDIT, DAY, MARKET, RECENT, Line, Prices, on_one_axis
from systemic.bootstrap import centred_bounds, concordance, rank_range
from systemic.market.absorption import absorption_ratio, last_turbulence
from systemic.market.connectedness import granger_degree, pcas
from systemic.market.covar import delta_covar
from systemic.market.distance import distance_error, kmv
from systemic.market.lookback import granger_replicates, spillover_replicates, turbulence_interval
from systemic.market.lrmes import lrmes_from_beta, market_beta
from systemic.market.mes import marginal_expected_shortfall
from systemic.market.resampled import bounds, delta_covar_replicates, draw_rows, replicate
from systemic.market.returns import price_returns
from systemic.market.spillover import Spillover, spillover_index, spillover_net
from systemic.market.srisk import capital_shortfall, total_shortfall
from systemic.ranks import average_ranks
from systemic.stress.creditgap import CREDIT_LAMBDA, buffer_guide, hp_trend

WINDOW = 250
FEWEST = 60
MIN_KNOWN = 0.9
REPLICATIONS = 200
CONFIDENCE = 0.9
RATE = 0.02
CAPITAL = 0.08
MONTH = 20
SERIES_OF_VAR = 30
QUARTERS = 8

OF_MARKET = ("mes", "delta_covar", "market_beta", "lrmes")
OF_BALANCE = ("srisk", "distance_to_default")
TOGETHER = ("absorption_ratio", "turbulence", "spillover_index", "granger_degree")
OF_INDEX = ("market_volatility", "market_drawdown")
OF_CREDIT = ("credit_gap", "buffer_guide")
WHOLE = ("system_srisk", "market_concordance", *TOGETHER, *OF_INDEX)
RANKED = ("mes", "delta_covar", "srisk")

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Books:
    """An institution's balance sheets: as-of seconds, oldest first, and liabilities in currency."""

    days: list[int]
    liabilities: list[float]


@dataclass(frozen=True, slots=True)
class Quoted:
    """What was quoted up to a day, the balance sheets known then, and the version of the tape.

    `states` are the catalogue's market series beside MARKET.
    """

    as_of: int
    version: int
    lines: Mapping[str, Line]
    books: Mapping[str, Books] = field(default_factory=dict)
    states: Mapping[str, Line] = field(default_factory=dict)


@dataclass(slots=True)
class _Day:
    """The window of returns that ends on the day: (T,), (T, n); who is in it; and draws of its rows (R, T)."""

    market: Floats
    returns: Floats
    draws: NDArray[np.int64]

    @property
    def table(self) -> Floats:
        return np.column_stack([self.market, self.returns])


def measure_market(quoted: Quoted) -> Measured:
    """Compute every market measure that the quotes of the day allow, and say of the others why not."""
    prices = on_one_axis(dict(quoted.lines), WINDOW + 1)
    fresh, expected = listed(quoted)
    coverage = len(fresh) / expected if expected else 0.0
    found = Measured(
        quoted.as_of,
        quoted.version,
        coverage,
        {"market_coverage": coverage},
        prices.codes,
        forms=(MARKET_FORM, MARKET_SYSTEM_FORM),
        intervals={
            "": f"{CONFIDENCE:.0%}, stationary bootstrap",
            "distance_to_default": f"{CONFIDENCE:.0%}, by formula",
            "turbulence": f"{CONFIDENCE:.0%}, by formula",
        },
    )
    _credit(quoted, found)
    rows = len(prices.days) - 1
    if coverage < MIN_COVERAGE:
        detail = f"{len(fresh)} of {expected} institutions quoted in the last ten days have a quote of the day"
        found.lack((*WHOLE, *OF_MARKET, *OF_BALANCE), "too_few_quotes", f"{detail}; {MIN_COVERAGE:.0%} are needed")
    elif rows < FEWEST:
        detail = f"{max(rows, 0)} returns are known; {FEWEST} are needed"
        found.lack((*WHOLE, *OF_MARKET, *OF_BALANCE), "history_too_short", detail)
    else:
        _measure(quoted, prices, found)
    return found


def listed(quoted: Quoted) -> tuple[list[str], int]:
    """Return who is quoted on the day, and how many were in the last ten days."""
    own = {s: line for s, line in quoted.lines.items() if s not in (MARKET, CREDIT) and line.days}
    recent = [s for s, line in own.items() if line.days[-1] > quoted.as_of - RECENT]
    return [s for s in recent if own[s].days[-1] == quoted.as_of], len(recent)


def _measure(quoted: Quoted, prices: Prices, found: Measured) -> None:
    returns, market = price_returns(prices.prices), price_returns(prices.market)
    known = np.isfinite(returns)
    inside = known[-1] & (known.mean(axis=0) >= MIN_KNOWN)
    _together(returns[:, inside], inside, found)
    if np.isfinite(market[-1]) and np.isfinite(market).sum() >= FEWEST:
        both = np.nan_to_num(np.column_stack([market, returns[:, inside]]))
        day = _Day(market, returns, draw_rows(both, REPLICATIONS))
        samples = _with_market(day, inside, found)
        samples |= _shortfall(quoted, prices, day, inside, samples["market_beta"], found)
        found.system["market_volatility"] = float(np.nanstd(market[-MONTH:], ddof=1) * np.sqrt(252))
        found.system["market_drawdown"] = float(1 - prices.market[-1] / np.nanmax(prices.market))
        _ranks(samples, inside, found)
    else:
        names = (*OF_MARKET, "srisk", "system_srisk", *OF_INDEX)
        found.lack(names, "no_market_series", f"the series {MARKET} has no quote of the day, or under {FEWEST} returns")
    _distances(quoted, prices, inside, found)
    _agreement(found)


def _put(found: Measured, name: str, values: Floats, low: Floats | None = None, high: Floats | None = None) -> None:
    """File a column of all codes, with its bounds where there are any."""
    found.institutions[name] = values
    if low is not None and high is not None:
        found.institutions[f"{name}_low"], found.institutions[f"{name}_high"] = low, high


def _with_market(day: _Day, inside: NDArray[np.bool_], found: Measured) -> dict[str, Floats]:
    """MES, ΔCoVaR, beta and LRMES of those inside; return their replicates (R, n)."""
    statistics: dict[str, tuple[Callable[[Floats, Floats], Floats], Floats | None]] = {
        "mes": (marginal_expected_shortfall, None),
        "market_beta": (market_beta, None),
        "delta_covar": (delta_covar, delta_covar_replicates(day.returns, day.market, day.draws)),
    }
    samples: dict[str, Floats] = {}
    for name, (function, drawn) in statistics.items():
        values = np.where(inside, function(day.returns, day.market), np.nan)
        if drawn is None:
            drawn = replicate(_of_table(function), day.table, day.draws)
        samples[name] = np.where(inside, drawn, np.nan)
        _put(found, name, values, *bounds(samples[name], CONFIDENCE))
    samples["lrmes"] = lrmes_from_beta(samples["market_beta"])
    lost = lrmes_from_beta(found.institutions["market_beta"])
    _put(found, "lrmes", lost, *bounds(samples["lrmes"], CONFIDENCE))
    return samples


def _of_table(function: Callable[[Floats, Floats], Floats]) -> Callable[[Floats], Floats]:
    return lambda table: function(table[:, 1:], table[:, 0])


def _shortfall(
    quoted: Quoted, prices: Prices, day: _Day, inside: NDArray[np.bool_], betas: Floats, found: Measured
) -> dict[str, Floats]:
    """SRISK of those whose market value and balance sheet are known, and its sum."""
    debt = np.array([_debt(quoted, code) for code in prices.codes])
    equity = np.where(inside, prices.caps[-1], np.nan)
    values = capital_shortfall(equity, debt, found.institutions["lrmes"], CAPITAL)
    if not np.isfinite(values).any():
        detail = "no quoted institution has both a market value of the day and a balance sheet of the last half year"
        found.lack(("srisk", "system_srisk"), "no_balance_sheets", detail)
        return {}
    samples = capital_shortfall(equity, debt, lrmes_from_beta(betas), CAPITAL)
    _put(found, "srisk", values, *bounds(samples, CONFIDENCE))
    share = float(np.isfinite(values).mean())
    found.coverages.update({"srisk": share, "system_srisk": share})
    found.system["system_srisk"] = total_shortfall(values)
    low, high = bounds(np.nansum(np.maximum(samples, 0), axis=1)[:, None], CONFIDENCE)
    found.system["system_srisk_low"], found.system["system_srisk_high"] = float(low[0]), float(high[0])
    return {"srisk": samples}


def _debt(quoted: Quoted, code: str) -> float:
    books = quoted.books.get(code)
    return books.liabilities[-1] if books is not None and books.days else float("nan")


def _distances(quoted: Quoted, prices: Prices, inside: NDArray[np.bool_], found: Measured) -> None:
    """Distance to default by the KMV iteration; debt runs in straight lines between balance sheets."""
    values, low, high = (np.full(len(prices.codes), np.nan) for _ in range(3))
    for i in np.flatnonzero(inside):
        books = quoted.books.get(prices.codes[i])
        if books is None or not books.days:
            continue
        debt = np.interp(prices.days, books.days, books.liabilities)
        try:
            fitted = kmv(prices.caps[:, i], debt, RATE)
        except ValueError:
            continue
        values[i] = fitted.distance[-1]
        used = int(np.isfinite(prices.caps[:, i]).sum()) - 1
        reach = 1.645 * float(distance_error(values[i], fitted.volatility, used))
        low[i], high[i] = values[i] - reach, values[i] + reach
    if np.isfinite(values).any():
        _put(found, "distance_to_default", values, low, high)
        found.coverages["distance_to_default"] = float(np.isfinite(values).mean())
    else:
        detail = "no quoted institution has a path of market values and a balance sheet of the last half year"
        found.lack(("distance_to_default",), "no_balance_sheets", detail)


def _together(returns: Floats, inside: NDArray[np.bool_], found: Measured) -> None:
    """How tightly the quoted move together, and who stands in the middle; over days complete for all of them."""
    n = returns.shape[1]
    if n < 2:
        found.lack(TOGETHER, "too_few_series", f"{n} institutions have returns enough; two are needed")
        return
    draws = draw_rows(np.nan_to_num(returns), REPLICATIONS)
    _keep(found, "absorption_ratio", absorption_ratio(returns))
    _bound(found, "absorption_ratio", bounds(replicate(absorption_ratio, returns, draws), CONFIDENCE))
    _keep(found, "turbulence", last_turbulence(returns))
    if "turbulence" in found.system:
        usual = int(np.isfinite(returns[:-1]).all(axis=1).sum())
        _bound(found, "turbulence", turbulence_interval(found.system["turbulence"], usual, n, CONFIDENCE))
    if n <= SERIES_OF_VAR:
        _passing_on(returns, inside, draws, found)
    else:
        detail = f"{n} series; a vector autoregression of a year of days holds {SERIES_OF_VAR} at most"
        found.lack(("spillover_index", "granger_degree"), "too_many_series", detail)
    exposure = replicate(pcas, returns, draws)
    _put(found, "pcas", *(_everyone(v, inside) for v in (pcas(returns), *bounds(exposure, CONFIDENCE))))


def _passing_on(returns: Floats, inside: NDArray[np.bool_], draws: NDArray[np.int64], found: Measured) -> None:
    """Spillovers and Granger-causal links, each about its estimate: resampling shifts them."""
    tables = [Spillover(table) for table in spillover_replicates(returns, draws)]
    _keep(found, "spillover_index", spillover_index(returns))
    if "spillover_index" in found.system:
        total = np.array([[table.total] for table in tables])
        _bound(found, "spillover_index", centred_bounds(found.system["spillover_index"], total, CONFIDENCE, 0.0, 1.0))
    net = spillover_net(returns)
    scatter = centred_bounds(net, np.array([table.net for table in tables]), CONFIDENCE)
    _put(found, "spillover_net", *(_everyone(v, inside) for v in (net, *scatter)))
    _keep(found, "granger_degree", granger_degree(returns))
    if "granger_degree" in found.system:
        degrees = granger_replicates(returns, draws)[:, None]
        _bound(found, "granger_degree", centred_bounds(found.system["granger_degree"], degrees, CONFIDENCE, 0.0, 1.0))


def _bound(found: Measured, name: str, ends: tuple[ArrayLike, ArrayLike]) -> None:
    """File the bounds of a measure that has a value, where they are known."""
    low, high = (float(np.reshape(end, -1)[0]) for end in ends)
    if name in found.system and np.isfinite(low) and np.isfinite(high):
        found.system[f"{name}_low"], found.system[f"{name}_high"] = low, high


def _keep(found: Measured, name: str, value: float) -> None:
    if np.isfinite(value):
        found.system[name] = value
    else:
        found.lack((name,), "cannot_be_computed", "too few days are complete for every series, or nothing moves")


def _everyone(values: Floats, inside: NDArray[np.bool_]) -> Floats:
    out = np.full(len(inside), np.nan)
    out[inside] = values
    return out


def _ranks(samples: Mapping[str, Floats], inside: NDArray[np.bool_], found: Measured) -> None:
    """Rank of each institution (1 is riskiest), and the best and worst rank over the replicates."""
    for name in RANKED:
        if name not in samples:
            continue
        values = found.institutions[name]
        known = np.isfinite(values)
        columns = (average_ranks(-values[known]), *rank_range(samples[name][:, known], CONFIDENCE))
        for suffix, column in zip(("rank", "rank_low", "rank_high"), columns, strict=True):
            found.institutions[f"{name}_{suffix}"] = _everyone(np.asarray(column), known)


def _agreement(found: Measured) -> None:
    """Kendall's concordance of the measures of an institution's risk that are known for the same institutions."""
    scores = [found.institutions[name] for name in (*RANKED, "lrmes") if name in found.institutions]
    if "distance_to_default" in found.institutions:
        scores.append(-found.institutions["distance_to_default"])
    agreed = concordance(np.array(scores)) if len(scores) > 1 else float("nan")
    if np.isfinite(agreed):
        found.system["market_concordance"] = agreed
    else:
        found.lack(("market_concordance",), "too_few_series", "fewer than two measures know the same two institutions")


def _credit(quoted: Quoted, found: Measured) -> None:
    """Credit-to-GDP gap and buffer guide of the newest ratio, by the one-sided filter over all of them."""
    line = quoted.lines.get(CREDIT)
    if line is None or len(line.values) < QUARTERS:
        held = 0 if line is None else len(line.values)
        detail = f"{held} quarters of the series {CREDIT} are known; {QUARTERS} are needed"
        found.lacking.update(dict.fromkeys(OF_CREDIT, Lack("no_credit_series", detail)))
        return
    ratio = np.array(line.values)
    gap = float(ratio[-1] - hp_trend(ratio, CREDIT_LAMBDA)[-1])
    found.system["credit_gap"] = gap
    found.system["buffer_guide"] = float(buffer_guide([100 * gap])[0]) / 100


def books_until(day: int, known: list[tuple[int, float]], valid: int = 184 * DAY) -> Books | None:
    """Return the balance sheets up to a day, oldest first; None when the newest is older than `valid` seconds."""
    past = sorted((at, owed) for at, owed in known if at <= day)
    if not past or day - past[-1][0] > valid:
        return None
    return Books([at for at, _ in past], [owed for _, owed in past])
