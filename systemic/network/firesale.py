"""Fire sales over common assets: what selling to restore leverage costs everybody who holds the same assets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from systemic.arrays import Vector
from systemic.checks import as_matrix, as_vector
from systemic.registry import declare, measure

GREENWOOD = "Greenwood, Landier, Thesmar (2015), Vulnerable banks, Journal of Financial Economics 115(3): 471-485"

declare("holdings", ("institution", "asset"), "currency", "[i, k] is what i holds of asset class k, not below 0")
declare("price_impact", ("asset",), "ratio", "price fall of a class for each unit of currency sold (1 / currency)")
declare("asset_shock", ("asset",), "ratio", "return of each asset class in the shock; -0.1 is a fall by a tenth")


@dataclass(frozen=True, slots=True)
class FireSale:
    """One round of deleveraging after a shock; n institutions, k asset classes, all amounts in one currency.

    direct[n]: losses from the shock itself. sold[n]: assets sold. price_change[k]: returns that the sales
    cause, not above 0. indirect[n]: losses from those. systemicness[n]: part of all indirect losses, over
    system equity, that n's own sales cause; they sum to `aggregate_vulnerability`.
    """

    direct: Vector
    sold: Vector
    price_change: Vector
    indirect: Vector
    systemicness: Vector
    equity: Vector

    @property
    def aggregate_vulnerability(self) -> float:
        """Indirect losses of all over the equity of all; NaN when there is no equity."""
        total = self.equity.sum()
        return float(self.indirect.sum() / total) if total > 0 else float("nan")

    @property
    def indirect_vulnerability(self) -> Vector:
        """Indirect losses of each over its equity; infinite where a loss meets no equity."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.indirect > 0, self.indirect / self.equity, 0.0)


def fire_sale(holdings: ArrayLike, equity: ArrayLike, price_impact: ArrayLike, asset_shock: ArrayLike) -> FireSale:
    """Return what one round of sales does: each sells, in proportion to its portfolio, to restore its leverage.

    `holdings` (n × k), `equity` (n), `price_impact` (k; price fall for each unit of currency sold),
    `asset_shock` (k; returns). An institution with debt D and equity E that loses L sells (D / E) · L, at
    most what it has left; without equity after the shock it sells everything. Portfolio weights and what the
    second fall of prices strikes are those of before the shock, as in the paper: where nobody is cut off,
    aggregate vulnerability is 1ᵀ A M L Mᵀ B A M F / Σ E with assets A, weights M, impact L, leverage B and the
    shock F. Returns are linear in sales and nobody buys back. O(n k). ValueError for negative holdings, equity
    or impact, and other shapes. After Greenwood, Landier & Thesmar (2015), section 2.
    """
    held = as_matrix("holdings", holdings)
    n, k = held.shape
    own, impact = as_vector("equity", equity, n), as_vector("price_impact", price_impact, k)
    shock = as_vector("asset_shock", asset_shock, k, low=-1.0)
    assets = held.sum(axis=1)
    direct = -(held @ shock)
    left = assets - direct
    with np.errstate(divide="ignore", invalid="ignore"):
        leverage = np.where(own > 0, np.maximum(assets - own, 0.0) / own, np.inf)
        wanted = np.where(direct > 0, leverage * direct, 0.0)
        mix = np.where(assets[:, None] > 0, held / assets[:, None], 0.0)
    gone = (direct > 0) & (own - direct <= 0)
    sold = np.where(gone, left, np.minimum(wanted, left))
    sales = mix * sold[:, None]
    fall = np.minimum(impact * sales.sum(axis=0), 1.0)
    indirect = held @ fall
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(sales.sum(axis=0) > 0, sales / sales.sum(axis=0), 0.0)
    caused = share @ (fall * held.sum(axis=0))
    total = own.sum()
    systemicness = caused / total if total > 0 else np.full(n, np.nan)
    return FireSale(direct, sold, -fall, indirect, systemicness, own)


@measure(
    "fire_sale_vulnerability",
    title={"en": "Fire sales: indirect losses over system equity", "zh": "资产抛售:间接损失占系统权益比"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference=GREENWOOD,
    assumptions=("institutions sell in proportion to what they hold", "price impact is linear", "one round"),
    complexity="O(n k)",
    inputs=("holdings", "buffer", "price_impact", "asset_shock"),
)
def fire_sale_vulnerability(
    holdings: ArrayLike, buffer: ArrayLike, price_impact: ArrayLike, asset_shock: ArrayLike
) -> float:
    """Aggregate vulnerability: losses from the sales that a shock sets off, over the equity of all."""
    return fire_sale(holdings, buffer, price_impact, asset_shock).aggregate_vulnerability


@measure(
    "fire_sale_systemicness",
    title={"en": "Fire sales: contribution of one institution", "zh": "资产抛售:机构贡献度"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=GREENWOOD,
    assumptions=("institutions sell in proportion to what they hold", "price impact is linear", "one round"),
    complexity="O(n k)",
    inputs=("holdings", "buffer", "price_impact", "asset_shock"),
)
def fire_sale_systemicness(
    holdings: ArrayLike, buffer: ArrayLike, price_impact: ArrayLike, asset_shock: ArrayLike
) -> Vector:
    """Part of the aggregate vulnerability that each institution's own sales cause; the parts sum to it."""
    return fire_sale(holdings, buffer, price_impact, asset_shock).systemicness
