"""Long-run marginal expected shortfall: the equity lost if the market falls far over half a year."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from systemic.arrays import Matrix, Vector
from systemic.market.returns import complete_rows
from systemic.registry import measure

SIX_MONTHS = 126
DECLINE = 0.4
LARGEST_ERROR = 0.05
"""Standard error of a simulated LRMES, in fractions of equity, above which it is not shown: two seeds would differ by
a tenth of equity once in six times."""
MOST_GAIN = 1.0
"""A path on which the market falls and the share more than doubles counts as one on which it doubles. The mean of
exp(Σ r) over paths with fat tails is else made by its few largest, and has no standard error that could be trusted."""


@measure(
    "market_beta",
    title={"en": "Market beta", "zh": "市场贝塔"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference="Sharpe (1964), Capital asset prices, Journal of Finance 19(3)",
    assumptions=("the slope is the same in calm and in crisis",),
    complexity="O(T n)",
    inputs=("returns", "market_return"),
)
def market_beta(returns: Matrix, market_return: Vector) -> Vector:
    """Slope of each institution's return on the market's, by least squares with an intercept.

    `returns` (T, n), `market_return` (T,); the result (n,) is without unit. Each slope uses the days on
    which both returns are known; NaN with fewer than two such days or a market that does not move.
    """
    both = np.isfinite(returns) & np.isfinite(market_return)[:, None]
    days = both.sum(axis=0)
    market = np.where(both, np.nan_to_num(market_return)[:, None], 0.0)
    own = np.where(both, returns, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        centred = np.where(both, market - market.sum(axis=0) / days, 0.0)
        slope = np.asarray((centred * own).sum(axis=0) / (centred**2).sum(axis=0), dtype=np.float64)
    slope[(days < 2) | ~np.isfinite(slope)] = np.nan
    return slope


def lrmes_from_beta(beta: ArrayLike, decline: float = DECLINE) -> Vector:
    """Return 1 − exp(log(1 − decline) · β): the loss that `beta` implies for a market fall of `decline`.

    V-Lab's approximation without simulation (Brownlees & Engle 2017); exact when log returns are β times
    the market's. `decline` and the result are fractions of value; negative where β is.

    >>> lrmes_from_beta([0.0, 1.0, 2.0], 0.4).round(4).tolist()
    [0.0, 0.4, 0.64]
    """
    _check_decline(decline)
    return np.asarray(1 - np.exp(np.log1p(-decline) * np.asarray(beta)), dtype=np.float64)


def lrmes_from_mes(mes: ArrayLike, multiple: float = 18.0) -> Vector:
    """Return 1 − exp(−multiple · MES), `mes` the expected daily loss when the market falls by 2 % or more.

    The approximation of Acharya, Engle & Richardson (2012), Capital shortfall, American Economic Review
    102(3): 18 was fitted to simulations of a 40 % fall over six months. A loss is positive.

    >>> lrmes_from_mes([0.0, 0.05]).round(4).tolist()
    [0.0, 0.5934]
    """
    return np.asarray(1 - np.exp(-multiple * np.asarray(mes)), dtype=np.float64)


BROWNLEES_ENGLE = (
    "Brownlees, Engle (2017), SRISK: a conditional capital shortfall measure of systemic risk, "
    "Review of Financial Studies 30(1)"
)


@measure(
    "lrmes",
    title={"en": "Long-run marginal expected shortfall by beta", "zh": "长期边际期望损失(贝塔近似)"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=BROWNLEES_ENGLE,
    assumptions=("log equity returns are beta times the market's",),
    complexity="O(T n)",
    inputs=("returns", "market_return"),
)
def lrmes_by_beta(returns: Matrix, market_return: Vector, *, decline: float = DECLINE) -> Vector:
    """Fraction of its equity that each institution loses when the market falls by `decline`, from its market beta.

    `returns` (T, n) and `market_return` (T,) are log returns; (n,), a loss is positive. See `market_beta` for
    missing values.
    """
    return lrmes_from_beta(market_beta(returns, market_return), decline)


@dataclass(frozen=True, slots=True)
class Simulated:
    """LRMES by simulation: (n,) losses, their standard errors (n,), and how many paths were crises."""

    lrmes: Vector
    standard_error: Vector
    crises: int
    paths: int

    def lacking(self, i: int) -> str:
        """Return why the loss of institution i is not known well enough to be shown; empty where it is."""
        if self.crises < 2:
            return f"{self.crises} of {self.paths:,} simulated paths are crises; two are needed"
        if not np.isfinite(self.lrmes[i]):
            return "the loss can't be computed"
        if not self.standard_error[i] <= LARGEST_ERROR:
            error = f"the standard error of the simulation is {self.standard_error[i]:.1%} of equity"
            return f"{error}, above {LARGEST_ERROR:.0%}, with {self.crises} crises: more --paths, or a longer history"
        return ""

    @property
    def sure(self) -> Simulated:
        """The same, with NaN for what is not known well enough."""
        unknown = [bool(self.lacking(i)) for i in range(len(self.lrmes))]
        return replace(self, lrmes=np.where(unknown, np.nan, self.lrmes))


def simulated_lrmes(
    returns: Matrix,
    market_return: Vector,
    *,
    decline: float = DECLINE,
    horizon: int = SIX_MONTHS,
    paths: int = 20_000,
    seed: int = 0,
) -> Simulated:
    """Draw paths of `horizon` whole days from history and average the institutions' loss over the crises.

    A path is a crisis when the market falls by more than `decline` (fraction of value) over it. `returns`
    (T, n) and `market_return` (T,) are LOG returns; the loss is 1 − exp(Σ r_i), a fraction of equity,
    positive, and a gain counts up to `MOST_GAIN`. Days are drawn independently and with replacement, each with all
    its returns, so dependence between institutions is kept and clustering of volatility is not: where that matters
    use `systemic.market.garch.simulate_lrmes`. Only days on which every return is known are drawn; give
    institutions of a like history. NaN where no path is a crisis; the standard error is of the simulation
    only and needs two crises. Same seed, same result. Cost: O(paths · (horizon + T · n)) time.
    """
    _check_decline(decline)
    known = complete_rows(returns, market_return)
    market, own = market_return[known], returns[known]
    if not len(market):
        return Simulated(np.full(returns.shape[1], np.nan), np.full(returns.shape[1], np.nan), 0, paths)
    generator = np.random.default_rng(seed)
    barrier = np.log1p(-decline)
    losses = []
    for size in _batches(paths):
        days = generator.integers(len(market), size=(size, horizon))
        fallen = days[market[days].sum(axis=1) < barrier]
        counts = np.stack([np.bincount(path, minlength=len(market)) for path in fallen]) if len(fallen) else None
        if counts is not None:
            losses.append(-np.expm1(counts @ own))
    return average_losses(losses, returns.shape[1], paths)


@measure(
    "lrmes_simulated",
    title={"en": "Long-run marginal expected shortfall by simulation", "zh": "长期边际期望损失(历史模拟)"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=BROWNLEES_ENGLE,
    assumptions=("the days of the crisis are drawn from those of the sample", "days are independent"),
    complexity="O(paths (horizon + T n))",
    inputs=("returns", "market_return"),
)
def lrmes_by_simulation(
    returns: Matrix,
    market_return: Vector,
    *,
    decline: float = DECLINE,
    horizon: int = SIX_MONTHS,
    paths: int = 20_000,
    seed: int = 0,
) -> Vector:
    """Fraction of its equity that each institution loses when simulated markets fall by more than `decline`.

    Each institution is simulated by `simulated_lrmes` over the days on which it and the market are known; (n,), a
    loss is positive. NaN where fewer than two paths are crises (the days of a calm year make no fall of 40 %), and
    where the standard error of the simulation is above `LARGEST_ERROR`.
    """
    lost = np.full(returns.shape[1], np.nan)
    days: dict[bytes, list[int]] = {}
    for i in range(returns.shape[1]):
        days.setdefault(complete_rows(returns[:, i], market_return).tobytes(), []).append(i)
    for alike in days.values():
        found = simulated_lrmes(
            returns[:, alike], market_return, decline=decline, horizon=horizon, paths=paths, seed=seed
        )
        lost[alike] = found.sure.lrmes
    return lost


def average_losses(losses: list[Matrix], institutions: int, paths: int) -> Simulated:
    """Pool the losses of the crises, each (crises, n), into their mean and its standard error.

    A gain counts up to `MOST_GAIN`.
    """
    pooled = np.maximum(np.concatenate(losses), -MOST_GAIN) if losses else np.empty((0, institutions))
    crises = len(pooled)
    if not crises:
        empty = np.full(institutions, np.nan)
        return Simulated(empty, empty.copy(), 0, paths)
    spread = pooled.std(axis=0, ddof=1) / np.sqrt(crises) if crises > 1 else np.full(institutions, np.nan)
    return Simulated(pooled.mean(axis=0), spread, crises, paths)


def _batches(total: int, size: int = 5_000) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]


def _check_decline(decline: float) -> None:
    if not 0 < decline < 1:
        raise ValueError(f"the market's decline is a fraction between 0 and 1, not {decline}")
