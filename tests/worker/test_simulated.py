"""Simulated crises and ΔCoVaR by states of the newest day, against the functions they are made of."""

from __future__ import annotations

import numpy as np
import pytest

from rules.catalogue import load_catalogue
from streams.market import Quoted, measure_market
from streams.simulated import PATHS, SIMULATED, measure_simulated
from streams.tape import DAY, MARKET, Line
from systemic.market.covar import conditional_covar
from systemic.market.lrmes import simulated_lrmes

DAYS = 251
CODES = ("A", "B")


def quoted(days: int = DAYS, scale: float = 0.03) -> Quoted:
    """Return a nervous market and two banks, seeded, and a spread that moves by itself."""
    rng = np.random.default_rng(4)
    market = scale * rng.standard_t(5, days)
    moves = {MARKET: market} | {
        code: (0.8 + 0.5 * n) * market + 0.01 * rng.standard_normal(days) for n, code in enumerate(CODES)
    }
    at = [day * DAY for day in range(days)]
    lines = {s: Line(at, (100 * np.exp(np.cumsum(m))).tolist(), [1e9] * days, [0] * days) for s, m in moves.items()}
    spread = Line(at, (0.01 + 0.001 * rng.standard_normal(days)).tolist(), [None] * days, [0] * days)
    return Quoted(at[-1], 1, lines, states={"spread": spread})


def test_they_are_those_of_the_functions() -> None:
    """LRMES from history with the error of the simulation; by GARCH in its bounds; ΔCoVaR given three states."""
    known = quoted()
    found = measure_simulated(known)
    assert found.lacking == {}
    assert found.codes == CODES
    table = np.log(np.column_stack([known.lines[s].values for s in (MARKET, *CODES)]))
    returns = np.diff(table, axis=0)
    expected = simulated_lrmes(returns[:, 1:], returns[:, 0], paths=PATHS)
    assert found.institutions["lrmes_simulated"] == pytest.approx(expected.lrmes)
    for name in ("lrmes_simulated", "lrmes_garch"):
        low, value, high = (found.institutions[name + bound] for bound in ("_low", "", "_high"))
        assert (low < value).all()
        assert (value < high).all()
        assert (value > 0.2).all()
    volatility = [np.nan] * 19 + [returns[t - 20 : t, 0].std(ddof=1) for t in range(20, DAYS)]
    states = np.column_stack([returns[:, 0], volatility, known.states["spread"].values[1:]])
    by_hand = conditional_covar(returns[:, 1:], returns[:, 0], states).delta[-1]
    assert found.institutions["delta_covar_states"] == pytest.approx(by_hand)
    assert set(found.institutions) <= set(load_catalogue(["cn"]).reported("measures.simulated"))


@pytest.mark.parametrize(("days", "scale", "reason"), [(30, 0.03, "history_too_short"), (DAYS, 0.001, "no_crisis")])
def test_what_can_not_be_simulated_says_why(days: int, scale: float, reason: str) -> None:
    """Too few days; a market so calm that no half-year of it is a crisis."""
    found = measure_simulated(quoted(days, scale))
    assert found.lacking["lrmes_simulated"].reason == reason
    assert set(found.lacking) | set(found.institutions) >= set(SIMULATED)


def test_spillovers_links_and_turbulence_carry_bounds() -> None:
    """Each holds its estimate, and says what it is."""
    found = measure_market(quoted())
    for name in ("spillover_index", "granger_degree", "turbulence"):
        low, value, high = (found.system[name + bound] for bound in ("_low", "", "_high"))
        assert low <= value <= high
    low, value, high = (found.institutions["spillover_net" + bound] for bound in ("_low", "", "_high"))
    assert (low <= value).all()
    assert (value <= high).all()
    assert found.interval_of("turbulence") == "90%, by formula"
