"""What if: a shock runs through clearing, distress, fire sales and recalled funding until nothing changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from systemic.arrays import Indices, Mask, Matrix, Sparse, Vector
from systemic.checks import as_network, as_vector
from systemic.network.clearing import Seniority, clear
from systemic.network.distress import distress

CHANNELS = ("direct", "credit", "distress", "fire sale")
DIRECT, CREDIT, DISTRESS, FIRE_SALE = range(4)
ROUNDS = 1_000
SETTLED = 1e-10

CIFUENTES = "Cifuentes, Ferrucci, Shin (2005), Liquidity risk and contagion, JEEA 3(2-3): 556-566"


@dataclass(frozen=True, slots=True)
class Sector:
    """Balance sheets of n institutions before the shock, in one currency.

    `exposures` (n × n; [i, j] lent by i to j), `holdings` (n × k) assets outside at market value, `cash` (n),
    `debts` (n) owed outside, `risk` (n) risk-weighted assets over total assets (1: the ratio is the leverage
    ratio). Equity is what remains.
    """

    exposures: Sparse
    holdings: Matrix
    cash: Vector
    debts: Vector
    risk: Vector

    @property
    def size(self) -> int:
        """Number of institutions."""
        return self.cash.size

    @property
    def assets(self) -> Vector:
        """Total assets (float64[n])."""
        return np.asarray(self.cash + self.holdings.sum(axis=1) + self.exposures.sum(axis=1))

    @property
    def equity(self) -> Vector:
        """Assets less debts inside and outside (float64[n])."""
        return np.asarray(self.assets - self.exposures.sum(axis=0) - self.debts)


def sector(
    exposures: Any,
    holdings: ArrayLike,
    debts: ArrayLike,
    cash: ArrayLike | None = None,
    risk: ArrayLike | None = None,
) -> Sector:
    """Check balance sheets and return them; `holdings` may be float64[n] for a single asset class."""
    claims = as_network(exposures)
    size = claims.shape[0]
    held = np.asarray(holdings, dtype=np.float64)
    held = held[:, None] if held.ndim == 1 else held
    if held.ndim != 2 or held.shape[0] != size or not np.isfinite(held).all() or (held < 0.0).any():
        raise ValueError(f"holdings must be amounts of {size} institutions, not missing and not below zero")
    return Sector(
        claims,
        held,
        np.zeros(size) if cash is None else as_vector("cash", cash, size),
        as_vector("debts", debts, size),
        np.ones(size) if risk is None else as_vector("risk", risk, size),
    )


@dataclass(frozen=True, slots=True)
class Shock:
    """What happens at first: shares of n institutions' assets outside lost, returns of k classes, funding.

    `losses` (n): share of its holdings that an institution alone loses; `returns` (k): −0.2 is a fall by a
    fifth; `withdrawn` (n): share of debts outside that must be paid at once; `outage` (n): loss that takes no
    holdings with it (stopped services, fraud), as a share of total assets, paid in cash or owed outside.
    """

    losses: Vector
    returns: Vector
    withdrawn: Vector
    outage: Vector

    def scaled(self, severity: float) -> Shock:
        """Return the shock times `severity`; nothing falls by more than all there is."""
        return Shock(
            np.minimum(self.losses * severity, 1.0),
            np.maximum(self.returns * severity, -1.0),
            np.minimum(self.withdrawn * severity, 1.0),
            np.minimum(self.outage * severity, 1.0),
        )


@dataclass(frozen=True, slots=True)
class Model:
    """How institutions and markets answer.

    `minimum_ratio`: below this ratio of equity to risk-weighted assets an institution sells assets to be back
    at it (0: nobody does), and recalls the share `recall` of what it has lent, once. `price_impact` (k): fall
    of a class's price if all of what the sector holds of it were sold; part of it falls by 1 − (1 − impact)^part
    (the exponential demand of Cifuentes, Ferrucci & Shin 2005). Clearing as in `systemic.network.clearing`.
    `distress`: share of a claim that is written off when its borrower has lost all its equity, and of less in
    proportion, before anybody defaults: linear DebtRank with a recovery of 1 − distress (0: claims stand until
    default).
    """

    minimum_ratio: float = 0.0
    recall: float = 0.0
    price_impact: Vector = field(default_factory=lambda: np.zeros(0))
    external: Seniority = "pari-passu"
    alpha: float = 1.0
    beta: float = 1.0
    distress: float = 0.0


@dataclass(frozen=True, slots=True)
class Round:
    """What one round added: losses by channel (float64[4, n], see CHANNELS), defaults, sales, prices after it."""

    losses: Matrix
    defaults: Indices
    sold: Matrix
    recalled: float
    prices: Vector


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a scenario; `losses` (float64[4, n]) sums all rounds and is equity before less equity after.

    `assets` are at the prices and recoveries of the end, `liabilities` what is owed by name, in and outside.
    """

    rounds: tuple[Round, ...]
    losses: Matrix
    equity_before: Vector
    assets_before: Vector
    equity: Vector
    ratio_before: Vector
    ratio: Vector
    assets: Vector
    liabilities: Vector
    default: Mask
    illiquid: Mask
    prices: Vector

    @property
    def by_channel(self) -> Mapping[str, float]:
        """Losses of all institutions by channel."""
        return dict(zip(CHANNELS, map(float, self.losses.sum(axis=1)), strict=True))


def run(before: Sector, shock: Shock, model: Model) -> Outcome:
    """Return what the shock does, round by round, until nobody defaults, sells or recalls any more.

    Round 0 is the shock itself with the cash calls of withdrawn funding; its defaults are those of institutions
    whose own losses exceed their equity. Each further round clears all debts
    (claims on defaulters are worth what the greatest clearing vector pays), lets institutions below
    `minimum_ratio` sell and recall, and moves prices. Each asset sold is sold at the price after the round's
    sales. With `distress`, claims on the weakened are written down, as far as clearing does not already, until
    that has worked itself out; what a later default makes of such a claim moves from distress to credit.
    Losses are changes of equity, so the channels add up to equity before less equity after; nothing
    sold is bought back, so it ends. ValueError for inputs of the wrong shape or range.
    """
    _check(before, shock, model)
    state = _State(before, shock, model)
    rounds = [state.strike(shock)]
    scale = SETTLED * max(float(before.assets.sum()), 1e-300)
    while len(rounds) < ROUNDS:
        found = state.step()
        if np.abs(found.losses).sum() <= scale and not found.defaults.size and found.sold.sum() <= scale:
            break
        rounds.append(found)
    else:
        raise ValueError(f"the scenario has not come to rest after {ROUNDS} rounds")
    losses = np.sum([r.losses for r in rounds], axis=0)
    equity = before.equity - losses.sum(axis=0)
    return Outcome(
        tuple(rounds),
        losses,
        before.equity,
        before.assets,
        equity,
        _ratio(before.equity, before.assets, before.risk),
        _ratio(equity, state.assets, before.risk),
        state.assets,
        np.asarray(state.exposures.sum(axis=0)) + state.debts,
        state.default,
        state.illiquid,
        state.prices,
    )


def _check(before: Sector, shock: Shock, model: Model) -> None:
    size, classes = before.holdings.shape
    of_institutions = {"losses": shock.losses, "withdrawn": shock.withdrawn, "outage": shock.outage}
    for name, value in of_institutions.items():
        as_vector(name, value, size, high=1.0)
    as_vector("price_impact", model.price_impact, classes, high=1.0)
    as_vector("returns", shock.returns, classes, low=-1.0)
    if (model.price_impact >= 1.0).any():
        raise ValueError("price_impact must be below 1: selling everything leaves some price")
    for name, share in (
        ("minimum_ratio", model.minimum_ratio),
        ("recall", model.recall),
        ("distress", model.distress),
    ):
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"{name} must be between 0 and 1, not {share}")


def _ratio(equity: Vector, assets: Vector, risk: Vector) -> Vector:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(assets * risk > 0.0, equity / (assets * risk), np.nan)


class _State:
    """The sector between rounds: units held, prices, cash, debts, and what claims are worth."""

    def __init__(self, before: Sector, shock: Shock, model: Model) -> None:
        self.model = model
        self.risk = before.risk
        self.exposures = before.exposures
        self.units = before.holdings * (1.0 - shock.losses[:, None])
        self.prices = np.ones(before.holdings.shape[1])
        self.cash = before.cash.copy()
        self.debts = before.debts.copy()
        self.share = np.ones(before.size)
        self.default = np.zeros(before.size, dtype=bool)
        self.illiquid = np.zeros(before.size, dtype=bool)
        self.recalled = np.zeros(before.size, dtype=bool)
        self.equity = before.equity
        self.before = before.equity
        self.marks = np.zeros(before.size)
        self.distress = np.zeros(before.size)
        self._short = np.zeros(before.size)
        total = before.holdings.sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            self.depth = np.where(total > 0.0, np.log1p(-model.price_impact) / total, 0.0)
        self._losses0 = (before.holdings * shock.losses[:, None]).sum(axis=1)
        self._outage = shock.outage * before.assets

    @property
    def assets(self) -> Vector:
        """Total assets at the prices and recoveries of now."""
        return np.asarray(self.cash + self.units @ self.prices + self.exposures @ self.worth)

    @property
    def worth(self) -> Vector:
        """Share of each institution's debts inside that lenders still have on their books (float64[n])."""
        return np.minimum(self.share, 1.0 - self.marks)

    def strike(self, shock: Shock) -> Round:
        """Apply the shock, and pay what is withdrawn."""
        losses = np.zeros((len(CHANNELS), self.cash.size))
        losses[DIRECT] = self._losses0 - self.units @ shock.returns + self._outage
        self.prices = 1.0 + shock.returns
        paid = np.minimum(self._outage, self.cash)
        self.cash -= paid
        self.debts += self._outage - paid
        call = shock.withdrawn * self.debts
        self.debts -= call
        sold, losses[FIRE_SALE] = self._raise(call)
        self.debts += self._short
        self.equity = self.equity - losses.sum(axis=0)
        self.default = self.equity < -SETTLED * self.assets
        return Round(losses, np.flatnonzero(self.default), sold, 0.0, self.prices.copy())

    def step(self) -> Round:
        """Clear, sell, recall; return what that added."""
        losses = np.zeros((len(CHANNELS), self.cash.size))
        fresh, losses[CREDIT] = self._clear()
        self.equity = self.equity - losses[CREDIT]
        losses[DISTRESS] = self._write_down()
        self.equity = self.equity - losses[DISTRESS]
        calls, recalled = self._recall()
        at_par = np.asarray(self.exposures @ (self.share - self.worth)) - self.distress
        self.distress = self.distress + at_par
        losses[DISTRESS] += at_par
        self.equity = self.equity - at_par
        sold, losses[FIRE_SALE] = self._raise(calls, self._excess())
        self.debts += self._short
        self.equity = self.equity - losses[FIRE_SALE]
        return Round(losses, fresh, sold, recalled, self.prices.copy())

    def _clear(self) -> tuple[Indices, Vector]:
        model = self.model
        outside = self.cash + self.units @ self.prices
        found = clear(self.exposures, outside, self.debts, model.external, model.alpha, model.beta)
        inside = np.asarray(self.exposures.sum(axis=0))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(inside > 0.0, found.interbank_payment / inside, 1.0)
        share = np.minimum(self.share, share)
        loss = self.exposures @ (self.share - share)
        fresh = np.flatnonzero(found.default & ~self.default)
        self.share, self.default = share, self.default | found.default
        return fresh, np.asarray(loss)

    def _write_down(self) -> Vector:
        """Mark claims on the weakened down; return what that adds to losses beside those of unpaid claims."""
        if self.model.distress == 0.0:
            return np.zeros(self.cash.size)
        own = self.before - (self.equity + self.distress)
        stress = distress(self.exposures, self.before, own, 1.0 - self.share, self.model.distress)
        self.marks = self.model.distress * stress
        level = np.asarray(self.exposures @ (self.share - self.worth))
        added = level - self.distress
        self.distress = level
        return added

    def _weak(self) -> Mask:
        needed = self.model.minimum_ratio * self.risk * self.assets
        return np.asarray((self.equity < needed * (1.0 - 1e-9)) & (self.model.minimum_ratio > 0.0))

    def _excess(self) -> Vector:
        """Assets to sell so that equity is `minimum_ratio` of what remains; all of them without equity."""
        weak = self._weak()
        with np.errstate(divide="ignore", invalid="ignore"):
            bearable = np.where(self.risk > 0.0, self.equity / (self.risk * self.model.minimum_ratio), np.inf)
        return np.where(weak, np.maximum(self.assets - np.maximum(bearable, 0.0), 0.0), 0.0)

    def _recall(self) -> tuple[Vector, float]:
        """The weak take back a share of what they have lent to those who still pay; return the calls for cash."""
        lenders = self._weak() & ~self.recalled
        self.recalled |= lenders
        if self.model.recall == 0.0 or not lenders.any():
            return np.zeros(self.cash.size), 0.0
        able = (~self.default & (self.share >= 1.0)).astype(np.float64)
        taken = self.exposures.multiply(self.model.recall * lenders[:, None]).multiply(able[None, :]).tocsr()
        self.exposures = as_network((self.exposures - taken).tocsr())
        self.cash += np.asarray(taken.sum(axis=1))
        return np.asarray(taken.sum(axis=0)), float(taken.sum())

    def _raise(self, calls: Vector, shrink: Vector | None = None) -> tuple[Matrix, Vector]:
        """Meet `calls` from cash, then by sales; sell `shrink` too and repay debts; return sales and losses.

        What can't be met stays in `_short` and makes the institution illiquid: it is owed on, outside. In
        default what is sold stays as cash for all creditors.
        """
        from_cash = np.minimum(calls, self.cash)
        self.cash -= from_cash
        need = calls - from_cash
        if shrink is not None:
            need = np.maximum(need, shrink)
        value = self.units @ self.prices
        before = self.prices
        parts = self._parts(need, value)
        sold = self.units * parts[:, None]
        self.prices = before * np.exp(self.depth * sold.sum(axis=0))
        loss = self.units @ (before - self.prices)
        self.units = self.units - sold
        proceeds = sold @ self.prices
        met = np.minimum(calls - from_cash, proceeds)
        self._short = calls - from_cash - met
        self.illiquid |= self._short > 1e-9 * np.maximum(calls, 1e-300)
        left = proceeds - met
        repaid = np.where(self.default, 0.0, np.minimum(left, self.debts))
        self.debts -= repaid
        self.cash += left - repaid
        return sold * self.prices, np.asarray(loss)

    def _parts(self, need: Vector, value: Vector) -> Vector:
        """Share of its holdings that each must sell to raise `need` at the price that all the sales make.

        The lower the price the more must be sold: the least solution, iterated from no sales.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = np.where(need > 0.0, np.where(value > 0.0, np.minimum(need / value, 1.0), 0.0), 0.0)
            for _ in range(ROUNDS):
                after = self.prices * np.exp(self.depth * (parts @ self.units))
                worth = self.units @ after
                more = np.where(need > 0.0, np.where(worth > 0.0, np.minimum(need / worth, 1.0), 0.0), 0.0)
                if np.abs(more - parts).max(initial=0.0) <= 1e-13:
                    return more
                parts = np.maximum(parts, more)
        return parts
