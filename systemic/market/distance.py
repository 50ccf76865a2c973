"""Distance to default after Merton: how many standard deviations of asset value lie above the debt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import root
from scipy.special import ndtr

from systemic.arrays import Matrix, Vector
from systemic.registry import declare, measure

DAYS = 252
ENOUGH_DAYS = 20

declare("equity_path", ("time", "institution"), "currency", "market value of the equity, oldest first")
declare("debt_path", ("time", "institution"), "currency", "debt that falls due at the horizon, same dates")

MERTON = (
    "Merton (1974), On the pricing of corporate debt: the risk structure of interest rates, Journal of Finance 29(2)"
)


def option_value(assets: ArrayLike, debt: ArrayLike, rate: ArrayLike, volatility: ArrayLike, horizon: float) -> Vector:
    """Return the value of equity as a call on the assets (Black & Scholes 1973), in the assets' currency.

    `rate` continuous and annual, `volatility` annual, `horizon` in years; all broadcast.
    """
    value, owed, free, swing = (np.asarray(x, dtype=np.float64) for x in (assets, debt, rate, volatility))
    width = swing * np.sqrt(horizon)
    upper = (np.log(value / owed) + free * horizon) / width + width / 2
    priced: Vector = value * ndtr(upper) - owed * np.exp(-free * horizon) * ndtr(upper - width)
    return priced


def implied_assets(
    equity: ArrayLike, debt: ArrayLike, rate: ArrayLike, volatility: ArrayLike, horizon: float = 1.0
) -> Vector:
    """Return the asset value at which the call on it is worth `equity`; inverse of `option_value`.

    Newton's method from E + D e^(−rT), which lies above the root of a convex increasing function, so every
    step falls towards it; ends when no value moves by more than 1e-14 of itself.
    """
    owned, owed, free = (np.asarray(x, dtype=np.float64) for x in (equity, debt, rate))
    swing = np.asarray(volatility, dtype=np.float64)
    width = swing * np.sqrt(horizon)
    value = owned + owed * np.exp(-free * horizon)
    for _ in range(100):
        slope = ndtr((np.log(value / owed) + free * horizon) / width + width / 2)
        step = (option_value(value, owed, free, swing, horizon) - owned) / np.maximum(slope, 1e-300)
        lower = np.maximum(value - step, owned)
        if np.all(np.abs(lower - value) <= 1e-14 * value):
            return np.asarray(lower, dtype=np.float64)
        value = lower
    return np.asarray(value, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Merton:
    """Assets of one institution: value and annual volatility, and what they say of default.

    `distance` = (ln(V / D) + (drift − σ² / 2) T) / (σ √T) standard deviations; `probability` = N(−distance).
    For a path of equity values `assets`, `distance` and `probability` are (T,), NaN where equity or debt is
    not known. `iterations` that the fit took; `converged` tells whether the last one moved σ by no more
    than the tolerance.
    """

    assets: Vector
    volatility: float
    drift: float
    distance: Vector
    probability: Vector
    iterations: int
    converged: bool


def distance(assets: ArrayLike, debt: ArrayLike, drift: ArrayLike, volatility: float, horizon: float = 1.0) -> Vector:
    """Return the distance to default in standard deviations; smaller is riskier, negative below the debt."""
    value, owed, growth = (np.asarray(x, dtype=np.float64) for x in (assets, debt, drift))
    width = volatility * np.sqrt(horizon)
    return np.asarray((np.log(value / owed) + growth * horizon) / width - width / 2, dtype=np.float64)


def merton(equity: float, equity_volatility: float, debt: float, rate: float, horizon: float = 1.0) -> Merton:
    """Solve the two equations E = C(V, σ) and σ_E E = N(d₁) σ V for one date (Jones, Mason & Rosenfeld 1984).

    `equity` and `debt` in one currency, volatility and rate annual fractions, `horizon` in years. The
    distance is risk-neutral: the drift is `rate`. ValueError when an amount or the volatility is not
    positive or no solution is found.
    """
    if min(equity, equity_volatility, debt, horizon) <= 0:
        raise ValueError("equity, its volatility, debt and horizon must be positive")

    def errors(unknown: Vector) -> Vector:
        value, swing = np.exp(unknown)
        width = swing * np.sqrt(horizon)
        upper = (np.log(value / debt) + rate * horizon) / width + width / 2
        priced = option_value(value, debt, rate, swing, horizon)
        return np.array([np.log(priced / equity), np.log(ndtr(upper) * swing * value / (equity_volatility * equity))])

    start = equity + debt * np.exp(-rate * horizon)
    solved = root(errors, np.log([start, equity_volatility * equity / start]), tol=1e-13)
    if not np.abs(errors(solved.x)).max() < 1e-9:
        raise ValueError(f"no asset value fits equity {equity}, volatility {equity_volatility} and debt {debt}")
    value, swing = np.exp(solved.x)
    away = distance(value, debt, rate, float(swing), horizon)
    return Merton(np.asarray(value), float(swing), rate, away, ndtr(-away), int(solved.nfev), True)


def kmv(
    equity: Vector,
    debt: Vector,
    rate: Vector | float,
    *,
    horizon: float = 1.0,
    drift: float | None = None,
    tolerance: float = 1e-12,
    rounds: int = 1_000,
) -> Merton:
    """Fit asset value and volatility to a path of equity values by the KMV iteration.

    Crosbie & Bohn (2003), Modeling default risk; Vassalou & Xing (2004), Journal of Finance 59(2). `equity`
    and `debt` (T,) daily in one currency (debt: the default point, for KMV short-term plus half of
    long-term), `rate` (T,) or one number, continuous and annual. From σ = σ_E · E / (E + D): invert the
    call for the assets of every day, take σ = sd(Δ ln V) √252 (T − 1), repeat until σ moves by no more
    than `tolerance`. The distance uses the rate as its drift (risk-neutral), or `drift` (annual, of
    asset value) where given.

    Days where an input is missing or an amount is not positive are NaN, and no return spans them.
    ValueError with fewer than 20 returns or an equity that does not move. Cost: O(iterations · T).
    """
    rates = np.broadcast_to(np.asarray(rate, dtype=np.float64), equity.shape)
    with np.errstate(invalid="ignore"):
        known = np.isfinite(rates) & (equity > 0) & (debt > 0) & np.isfinite(equity) & np.isfinite(debt)
    steps = known[1:] & known[:-1]
    if steps.sum() < ENOUGH_DAYS:
        raise ValueError(f"{int(steps.sum())} returns of equity are too few: at least {ENOUGH_DAYS} are needed")
    owned, owed, free = (np.where(known, x, 1.0) for x in (equity, debt, rates))
    moves = np.diff(np.log(owned))[steps]
    if np.ptp(moves) == 0:
        raise ValueError("an equity that does not move has no volatility to fit")
    swing = float(moves.std(ddof=1) * np.sqrt(DAYS) * np.mean((owned / (owned + owed))[known]))
    converged = False
    count = 0
    while count < rounds and not converged:
        value = implied_assets(owned, owed, free, swing, horizon)
        new = float(np.diff(np.log(value))[steps].std(ddof=1) * np.sqrt(DAYS))
        converged = abs(new - swing) <= tolerance
        swing = new
        count += 1
    value = np.where(known, implied_assets(owned, owed, free, swing, horizon), np.nan)
    growth = np.where(known, rates if drift is None else drift, np.nan)
    away = distance(value, np.where(known, debt, np.nan), growth, swing, horizon)
    return Merton(value, swing, float(growth[known][-1]), away, ndtr(-away), count, converged)


def distance_error(away: ArrayLike, volatility: ArrayLike, returns: int, horizon: float = 1.0) -> Vector:
    """Return the standard error of a distance to default, from that of its volatility: σ / √(2 (N − 1)).

    `returns` is N, the returns that σ was estimated from. By ∂DD/∂σ = −(DD / σ + √T), assets held fixed: the
    sampling error of the volatility of normal returns only, not that of the debt or of the model.

    >>> float(distance_error(3.0, 0.1, 201))
    0.155
    """
    if returns < 2:
        raise ValueError(f"{returns} returns are too few for a standard error")
    width = np.asarray(volatility, dtype=np.float64) * np.sqrt(horizon)
    return np.asarray(np.abs(np.asarray(away) + width) / np.sqrt(2 * (returns - 1)), dtype=np.float64)


@measure(
    "distance_to_default",
    title={"en": "Distance to default", "zh": "违约距离"},
    level="institution",
    unit="score",
    sign="lower is riskier",
    reference=MERTON,
    assumptions=(
        "asset value follows a geometric Brownian motion with constant volatility",
        "default only at the horizon, when assets are below the debt",
        "for deposit-takers the book liabilities stand for the default point",
    ),
    complexity="O(iterations T n)",
    inputs=("equity_path", "debt_path"),
)
def distance_to_default(equity_path: Matrix, debt_path: Matrix, *, rate: float = 0.02, horizon: float = 1.0) -> Vector:
    """Standard deviations of asset value between each institution and its debt, on the last day.

    `equity_path` and `debt_path` (T, n) daily in one currency; (n,), risk-neutral, by the KMV iteration.
    NaN where the last day is missing or the path is too short to fit; see `kmv`.
    """
    last = np.full(equity_path.shape[1], np.nan)
    for i in range(len(last)):
        try:
            last[i] = kmv(equity_path[:, i], debt_path[:, i], rate, horizon=horizon).distance[-1]
        except ValueError:
            continue
    return last
