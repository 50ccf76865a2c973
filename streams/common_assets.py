"""Fire sales over common assets: what falls in the catalogue's asset classes would cost beyond themselves."""

from __future__ import annotations

import numpy as np

from streams.measured import MIN_COVERAGE, Floats, Measured
from streams.networks import Network
from systemic.network.firesale import FireSale, fire_sale

VULNERABILITY = "fire_sale_vulnerability"
DOUBT = 2.0


def common_assets(network: Network, found: Measured) -> None:
    """Let every asset class fall by its shock at once, and count what the sales that follow cost.

    Holdings are those of the catalogue's asset classes. A price impact is the fall of a class if all that is held of
    it were sold, so its price falls in proportion to the share sold. Nobody knows it well: the bounds are half and
    twice of it.
    """
    figures = network.figures.get("holdings")
    classes = network.classes
    if figures is None or not classes:
        found.lack((VULNERABILITY,), "no_indicators", "the catalogue declares no asset classes")
        return
    known = network.equity.keys() & figures.values.keys()
    names = [code for code in found.codes if code in known]
    share = len(names) / figures.expected if figures.expected else 0.0
    found.coverages.update(dict.fromkeys((VULNERABILITY, "fire_sale_systemicness", "fire_sale_indirect_loss"), share))
    if share < MIN_COVERAGE:
        detail = f"{len(names)} of {figures.expected} institutions have filed equity and holdings"
        found.lack((VULNERABILITY,), "too_few_indicators", f"{detail}; {MIN_COVERAGE:.0%} are needed")
        return
    held = np.array([[max(0.0, figures.values[code].get(c.indicator, 0.0)) for c in classes] for code in names])
    equity = np.array([max(0.0, network.equity[code]) for code in names])
    shock = np.array([c.shock for c in classes])

    def sold(strength: float, falling: Floats) -> FireSale:
        whole = held.sum(axis=0)
        impact = np.divide(
            strength * np.array([c.price_impact for c in classes]), whole, out=0 * whole, where=whole > 0
        )
        return fire_sale(held, equity, impact, falling)

    made = sold(1.0, shock)
    if not np.isfinite(made.aggregate_vulnerability):
        found.lack((VULNERABILITY,), "no_equity", "there is no equity to lose")
        return
    found.system[VULNERABILITY] = made.aggregate_vulnerability
    for bound, strength in (("low", 1 / DOUBT), ("high", DOUBT)):
        found.system[f"{VULNERABILITY}_{bound}"] = sold(strength, shock).aggregate_vulnerability
    found.intervals[VULNERABILITY] = "price impact halved and doubled"
    found.cases[VULNERABILITY] = {
        c.indicator: sold(1.0, np.where(np.arange(len(classes)) == k, shock, 0.0)).aggregate_vulnerability
        for k, c in enumerate(classes)
    }
    found.column("fire_sale_systemicness", names, made.systemicness)
    own = np.divide(made.indirect, equity, out=np.full(len(names), np.nan), where=equity > 0)
    found.column("fire_sale_indirect_loss", names, own)
