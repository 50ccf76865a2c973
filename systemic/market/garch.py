"""GJR-GARCH volatilities with dynamic conditional correlation, and LRMES simulated from them.

The univariate models are fitted by the package `arch`, the extra `market` of this project; all other
measures do without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import solve_banded
from scipy.optimize import minimize

from systemic.arrays import Matrix, Vector
from systemic.market.lrmes import BROWNLEES_ENGLE, DECLINE, SIX_MONTHS, Simulated, average_losses
from systemic.market.returns import complete_rows
from systemic.registry import measure

PERCENT = 100.0
MOST_PERSISTENCE = 0.999
PARAMETERS = ("mu", "omega", "alpha[1]", "gamma[1]", "beta[1]")


@dataclass(frozen=True, slots=True)
class GjrGarch:
    """σ²_t = ω + (α + γ 1[e_{t−1} < 0]) e²_{t−1} + β σ²_{t−1}, r_t = μ + e_t; returns in percent.

    `volatility` (T,) in percent a day, `shocks` (T,) the standardised residuals e / σ, `next_variance` the
    forecast of σ² for the day after the last.
    """

    mean: float
    omega: float
    alpha: float
    gamma: float
    beta: float
    volatility: Vector
    shocks: Vector

    @property
    def persistence(self) -> float:
        """How much of a surplus of variance is left a day later, on average over the sample's own shocks.

        β + mean((α + γ 1[z < 0]) z²): that is α + γ/2 + β for symmetric shocks, and more where falls are the larger.
        """
        return self.beta + float(np.mean((self.alpha + self.gamma * (self.shocks < 0)) * self.shocks**2))

    @property
    def held(self) -> GjrGarch:
        """The same model with a persistence of at most `MOST_PERSISTENCE`, its answer to news and β cut alike.

        The likelihood of a sample that ends in a crisis can lie beyond 1: simulated from there, variances grow without
        bound.
        """
        excess = self.persistence / MOST_PERSISTENCE
        if excess <= 1:
            return self
        return replace(self, alpha=self.alpha / excess, gamma=self.gamma / excess, beta=self.beta / excess)

    @property
    def next_variance(self) -> float:
        """Variance forecast for the day after the last, in percent²."""
        error = self.shocks[-1] * self.volatility[-1]
        return float(
            self.omega + (self.alpha + self.gamma * (error < 0)) * error**2 + self.beta * self.volatility[-1] ** 2
        )


def gjr_garch(returns: Vector) -> GjrGarch:
    """Fit GJR-GARCH(1,1) with a constant mean and normal errors by maximum likelihood.

    Glosten, Jagannathan & Runkle (1993), Journal of Finance 48(5). `returns` (T,) log returns in fractions,
    without gaps. ModuleNotFoundError with the command to install when `arch` is missing; ValueError with
    fewer than 250 returns or one that is missing. Cost: some 50 likelihoods of O(T).
    """
    if len(returns) < 250 or not np.isfinite(returns).all():
        raise ValueError(f"a volatility model needs 250 returns without a gap, got {len(returns)}")
    arch_model = _arch_model()
    fitted = arch_model(PERCENT * returns, mean="Constant", p=1, o=1, q=1, rescale=False).fit(
        disp="off", show_warning=False
    )
    values = fitted.params
    mean, omega, alpha, gamma, beta = (float(values[name]) for name in PARAMETERS)
    return GjrGarch(
        mean,
        omega,
        alpha,
        gamma,
        beta,
        volatility=np.asarray(fitted.conditional_volatility, dtype=np.float64),
        shocks=np.asarray(fitted.std_resid, dtype=np.float64),
    )


def _arch_model() -> Any:
    try:
        from arch import arch_model
    except ModuleNotFoundError as err:
        raise ModuleNotFoundError("GJR-GARCH needs the package arch: pip install 'guanlan[market]'") from err
    return arch_model


@dataclass(frozen=True, slots=True)
class DynamicCorrelation:
    """Q_t = (1 − a − b) Q̄ + a z_{t−1} z_{t−1}ᵀ + b Q_{t−1}, scaled to a correlation, of two series.

    `q` (T + 1, 3): the entries market, institution and cross of Q; the last row is the day after the last.
    `target` (3,) the entries of Q̄; `correlation` (T + 1,).
    """

    a: float
    b: float
    target: Vector
    q: Matrix

    @property
    def correlation(self) -> Vector:
        """The correlation of each day, the day after the last included."""
        return np.asarray(self.q[:, 2] / np.sqrt(self.q[:, 0] * self.q[:, 1]), dtype=np.float64)


def dynamic_correlation(market: Vector, institution: Vector) -> DynamicCorrelation:
    """Fit the DCC(1,1) of two series of standardised shocks, each (T,), by the second-step likelihood.

    Engle (2002), Dynamic conditional correlation, Journal of Business & Economic Statistics 20(3), with
    correlation targeting: Q̄ is the second-moment matrix of the shocks. a, b ≥ 0 and a + b ≤ 0.9999.
    """
    products = np.column_stack([market**2, institution**2, market * institution])
    target = products.mean(axis=0)

    def loss(point: Vector) -> float:
        rho = _q_path(products, target, *_bounded(point))[:-1]
        correlation = rho[:, 2] / np.sqrt(rho[:, 0] * rho[:, 1])
        free = 1 - correlation**2
        return float(np.sum(np.log(free) + (products[:, 0] + products[:, 1] - 2 * correlation * products[:, 2]) / free))

    solutions = [
        minimize(loss, _unbounded(a, b), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8, "maxiter": 2_000})
        for a, b in ((0.03, 0.95), (0.1, 0.6))
    ]
    a, b = _bounded(min(solutions, key=lambda s: float(s.fun)).x)
    return DynamicCorrelation(a, b, target, _q_path(products, target, a, b))


def _q_path(products: Matrix, target: Vector, a: float, b: float) -> Matrix:
    drive = (1 - a - b) * target + a * products
    drive[0] += b * target
    bands = np.vstack([np.ones(len(drive)), np.full(len(drive), -b)])  # each less b times the one before
    return np.vstack([target, solve_banded((1, 0), bands, drive)])


def _bounded(point: Vector) -> tuple[float, float]:
    total = 0.9999 / (1 + np.exp(-point[0]))
    share = 1 / (1 + np.exp(-point[1]))
    return float(total * share), float(total * (1 - share))


def _unbounded(a: float, b: float) -> Vector:
    total, share = (a + b) / 0.9999, a / (a + b)
    return np.array([np.log(total / (1 - total)), np.log(share / (1 - share))])


@dataclass(frozen=True, slots=True)
class MarketModel:
    """The market's and one institution's GJR-GARCH and their DCC, over the same days."""

    market: GjrGarch
    institution: GjrGarch
    dependence: DynamicCorrelation

    @property
    def beta(self) -> Vector:
        """Conditional beta ρ σ_i / σ_m of each day, (T,)."""
        ratio = self.institution.volatility / self.market.volatility
        return np.asarray(self.dependence.correlation[:-1] * ratio, dtype=np.float64)


def market_model(institution_return: Vector, market_return: Vector) -> MarketModel:
    """Fit the bivariate model of Brownlees & Engle (2017) to two series of log returns, each (T,).

    Days on which either is missing are left out. Errors as `gjr_garch`.
    """
    known = complete_rows(institution_return, market_return)
    return _joined(gjr_garch(market_return[known]), institution_return[known])


def _joined(market: GjrGarch, institution_return: Vector) -> MarketModel:
    institution = gjr_garch(institution_return)
    return MarketModel(market, institution, dynamic_correlation(market.shocks, institution.shocks))


def simulate_lrmes(
    model: MarketModel,
    *,
    decline: float = DECLINE,
    horizon: int = SIX_MONTHS,
    paths: int = 10_000,
    seed: int = 0,
) -> Simulated:
    """Simulate `paths` of `horizon` days from the day after the last and average the loss over the crises.

    The shocks drawn are the sample's own pairs (market shock, institution shock orthogonal to it), with
    replacement, so fat tails stay; variances (`GjrGarch.held`) and correlation evolve by the model from their last
    state. A path is a crisis when the market loses more than `decline`; the loss is 1 − exp(Σ r), a fraction of
    equity, positive, and a gain counts up to `MOST_GAIN`. (1,) arrays, NaN where no path is a crisis. Cost:
    O(paths · horizon).
    """
    generator = np.random.default_rng(seed)
    dependence = model.dependence
    rho = dependence.correlation[:-1]
    own = (model.institution.shocks - rho * model.market.shocks) / np.sqrt(1 - rho**2)
    days = generator.integers(len(own), size=(horizon, paths))
    market, institution = model.market.held, model.institution.held
    q = np.repeat(dependence.q[-1][:, None], paths, axis=1)
    variances = [np.full(paths, side.next_variance) for side in (market, institution)]
    totals = [np.zeros(paths), np.zeros(paths)]
    for drawn in days:
        rho = q[2] / np.sqrt(q[0] * q[1])
        shocks = (model.market.shocks[drawn], rho * model.market.shocks[drawn] + np.sqrt(1 - rho**2) * own[drawn])
        for side, fitted in enumerate((market, institution)):
            error = np.sqrt(variances[side]) * shocks[side]
            totals[side] += fitted.mean + error
            variances[side] = (
                fitted.omega + (fitted.alpha + fitted.gamma * (error < 0)) * error**2 + fitted.beta * variances[side]
            )
        products = np.stack([shocks[0] ** 2, shocks[1] ** 2, shocks[0] * shocks[1]])
        q = (1 - dependence.a - dependence.b) * dependence.target[:, None] + dependence.a * products + dependence.b * q
    crisis = totals[0] / PERCENT < np.log1p(-decline)
    losses = -np.expm1(totals[1][crisis] / PERCENT)
    return average_losses([losses[:, None]] if crisis.any() else [], 1, paths)


@measure(
    "lrmes_garch",
    title={"en": "Long-run marginal expected shortfall by GJR-GARCH and DCC", "zh": "长期边际期望损失(GJR-GARCH-DCC)"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=BROWNLEES_ENGLE,
    assumptions=("volatility clusters and answers more to falls", "the correlation with the market moves and returns"),
    complexity="O(n T) likelihoods, then O(n paths horizon)",
    inputs=("returns", "market_return"),
)
def lrmes_by_garch(
    returns: Matrix,
    market_return: Vector,
    *,
    decline: float = DECLINE,
    horizon: int = SIX_MONTHS,
    paths: int = 10_000,
    seed: int = 0,
) -> Vector:
    """Fraction of its equity that each institution loses when markets simulated by its model fall by `decline`.

    `market_model` is fitted to each column of `returns` (T, n) with `market_return` (T,), log returns; (n,), a loss
    is positive. NaN with fewer than 250 days on which both are known, where fewer than two paths are crises, and where
    the standard error of the simulation is above `LARGEST_ERROR`. Needs `arch`:
    ModuleNotFoundError with the command to install.
    """
    lost = np.full(returns.shape[1], np.nan)
    markets: dict[bytes, GjrGarch] = {}
    for i in range(returns.shape[1]):
        known = complete_rows(returns[:, i], market_return)
        try:
            if known.tobytes() not in markets:
                markets[known.tobytes()] = gjr_garch(market_return[known])
            model = _joined(markets[known.tobytes()], returns[known, i])
        except ValueError:
            continue
        lost[i] = simulate_lrmes(model, decline=decline, horizon=horizon, paths=paths, seed=seed).sure.lrmes[0]
    return lost
