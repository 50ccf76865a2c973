"""Market measures that cost more than a day's quotes should wait for: simulated crises, and ΔCoVaR by states.

Of the newest day only. Pure functions, so the worker computes them in a thread.
"""

from __future__ import annotations

import numpy as np

from streams.market import FEWEST, MIN_KNOWN, MONTH, WINDOW, Quoted, listed
from streams.measured import MIN_COVERAGE, SIMULATED_FORM, Floats, Measured
from streams.stress import shaped_level
from streams.tape import Prices, on_one_axis
from systemic.market.covar import conditional_covar
from systemic.market.garch import market_model, simulate_lrmes
from systemic.market.lrmes import DECLINE, Simulated, simulated_lrmes
from systemic.market.returns import price_returns

SIMULATED = ("lrmes_simulated", "lrmes_garch", "delta_covar_states")
PATHS = 20_000
GARCH_PATHS = 10_000
GARCH_LISTED = 12
NORMAL_90 = 1.645


def measure_simulated(quoted: Quoted) -> Measured:
    """Simulate crises and condition ΔCoVaR on the state of the market, as far as the quotes of the day allow."""
    prices = on_one_axis(dict(quoted.lines), WINDOW + 1)
    fresh, expected = listed(quoted)
    coverage = len(fresh) / expected if expected else 0.0
    found = Measured(
        quoted.as_of, quoted.version, coverage, codes=prices.codes, forms=(SIMULATED_FORM, ""),
        intervals={"": "90%, error of the simulation"},
    )  # fmt: skip
    returns, market = price_returns(prices.prices), price_returns(prices.market)
    known = np.isfinite(returns)
    if coverage < MIN_COVERAGE:
        detail = f"{len(fresh)} of {expected} institutions quoted in the last ten days have a quote of the day"
        found.lack(SIMULATED, "too_few_quotes", f"{detail}; {MIN_COVERAGE:.0%} are needed")
    elif len(returns) < FEWEST or np.isfinite(market).sum() < FEWEST:
        found.lack(
            SIMULATED, "history_too_short", f"{len(returns)} returns of the market are known; {FEWEST} are needed"
        )
    else:
        inside = np.flatnonzero(known[-1] & (known.mean(axis=0) >= MIN_KNOWN))
        codes = [prices.codes[i] for i in inside.tolist()]
        _by_history(returns[:, inside], market, codes, found)
        _by_garch(prices, returns, market, inside, found)
        _by_states(quoted, prices, returns[:, inside], market, codes, found)
    return found


def _by_history(returns: Floats, market: Floats, codes: list[str], found: Measured) -> None:
    made = simulated_lrmes(returns, market, paths=PATHS)
    if made.crises < 2:
        fall = f"in {made.crises} of {PATHS:,} half-years drawn from the window the market falls by {DECLINE:.0%}"
        found.lack(("lrmes_simulated",), "no_crisis", f"{fall}; two are needed")
        return
    sure = made.sure
    if not np.isfinite(sure.lrmes).any():
        found.lack(("lrmes_simulated",), "not_sure_enough", f"{codes[0]}: {made.lacking(0)}" if codes else "nobody")
        return
    _file(found, "lrmes_simulated", codes, sure)


def _file(found: Measured, name: str, codes: list[str], made: Simulated) -> None:
    reach = NORMAL_90 * made.standard_error
    for suffix, values in (("", made.lrmes), ("_low", made.lrmes - reach), ("_high", made.lrmes + reach)):
        found.column(name + suffix, codes, values)


def _by_garch(prices: Prices, returns: Floats, market: Floats, inside: np.ndarray, found: Measured) -> None:
    """LRMES by GJR-GARCH-DCC of the largest by market value: a second for each is the price."""
    caps = np.nan_to_num(prices.caps[-1][inside])
    largest = inside[np.argsort(-caps, kind="stable")[:GARCH_LISTED]]
    made: dict[str, Simulated] = {}
    unsure = ""
    try:
        for i in largest.tolist():
            try:
                one = simulate_lrmes(market_model(returns[:, i], market), paths=GARCH_PATHS)
            except ValueError:  # a window with gaps is too short for it
                continue
            if one.crises > 1 and not one.lacking(0):
                made[prices.codes[i]] = one
            elif one.crises > 1:
                unsure = f"{prices.codes[i]}: {one.lacking(0)}"
    except ModuleNotFoundError as err:
        found.lack(("lrmes_garch",), "no_package", str(err))
        return
    if not made and unsure:
        found.lack(("lrmes_garch",), "not_sure_enough", unsure)
        return
    if not made:
        detail = "no quoted institution has 250 returns and a simulated half-year in which the market falls by 40%"
        found.lack(("lrmes_garch",), "no_crisis", detail)
        return
    joined = [np.concatenate([getattr(one, name) for one in made.values()]) for name in ("lrmes", "standard_error")]
    _file(found, "lrmes_garch", list(made), Simulated(joined[0], joined[1], 0, GARCH_PATHS))
    found.coverages["lrmes_garch"] = len(made) / len(inside)


def _by_states(
    quoted: Quoted, prices: Prices, returns: Floats, market: Floats, codes: list[str], found: Measured
) -> None:
    """ΔCoVaR of the day given the states of the day before: the market's return and volatility, and declared series."""
    held = market.copy()
    volatility = np.full(len(market), np.nan)
    for t in range(MONTH, len(market) + 1):
        volatility[t - 1] = np.nanstd(held[t - MONTH : t], ddof=1)
    columns = [market, volatility]
    columns += [shaped_level(line, prices.days[1:]) for _, line in sorted(quoted.states.items())]
    useful: list[Floats] = []
    for column in columns:
        rows = np.isfinite(np.column_stack([*useful, column])).all(axis=1)
        table = np.column_stack([np.ones(rows.sum()), *(c[rows] for c in (*useful, column))])
        if rows.sum() >= FEWEST and np.linalg.matrix_rank(table) == table.shape[1]:
            useful.append(column)
    if not useful:
        found.lack(("delta_covar_states",), "history_too_short", "no state of the market is known for long enough")
        return
    made = conditional_covar(returns, market, np.column_stack(useful))
    found.column("delta_covar_states", codes, made.delta[-1])
