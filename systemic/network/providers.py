"""Third-party contagion: which outage of a technology provider stops which share of critical services.

The machinery is that of exposures: an institution has "lent" its services to the providers that it depends on,
a provider to those that it depends on itself (nth parties), and unavailability passes on as in linear DebtRank.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from systemic.arrays import Matrix, Vector
from systemic.checks import as_weights
from systemic.network.debtrank import linear_debtrank
from systemic.registry import declare, measure

declare(
    "dependence", ("institution", "provider"), "ratio", "[i, p] is the share of i's critical services that stop with p"
)
declare("nth_party", ("provider", "provider"), "ratio", "[p, q] is the share of p's own service that stops with q")
declare("services", ("institution",), "currency", "weight of each institution's critical services in the sector")


@dataclass(frozen=True, slots=True)
class Outages:
    """What each provider's outage alone stops: p providers, n institutions.

    `stopped[i, q]`: share of i's critical services that stop when q does, nth parties included. `reach[q]`:
    the same over the sector, weighted. `direct[q]`: without nth parties.
    """

    stopped: Matrix
    reach: Vector
    direct: Vector


def outages(
    dependence: ArrayLike,
    services: ArrayLike | None = None,
    nth_party: ArrayLike | None = None,
    substitutability: ArrayLike | None = None,
) -> Outages:
    """Return what stops when each provider alone is out.

    `dependence` (n × p): share of an institution's critical services that stop with a provider, a row may
    sum to more than 1 where several are needed at once. `nth_party` (p × p): the same between providers.
    `substitutability` (p, 0 to 1): share of a provider's service that users can move elsewhere in time.
    `services` (n): weights, equal by default. Unavailability adds up and stops at 1, as losses do in linear
    DebtRank (Bardoscia et al. 2015). ValueError for shares outside [0, 1] and for other shapes.
    """
    direct = _shares("dependence", dependence)
    n, p = direct.shape
    chain = np.zeros((p, p)) if nth_party is None else _shares("nth_party", nth_party)
    if chain.shape != (p, p) or np.diagonal(chain).any():
        raise ValueError(f"nth_party must be {p} × {p} with nothing on the diagonal")
    moved = np.zeros(p) if substitutability is None else _shares("substitutability", np.atleast_2d(substitutability))[0]
    if moved.shape != (p,):
        raise ValueError(f"substitutability must be {p} numbers")
    stuck = 1.0 - moved
    network = np.zeros((n + p, n + p))
    network[:n, n:] = direct * stuck
    network[n:, n:] = chain * stuck
    shock = np.zeros((n + p, p))
    shock[n + np.arange(p), np.arange(p)] = 1.0
    weight = as_weights(services, n)
    if not n or not p:
        return Outages(np.zeros((n, p)), np.zeros(p), np.zeros(p))
    stress = np.asarray(linear_debtrank(network, np.ones(n + p), shock).stress)[:n]
    return Outages(stress, weight @ stress, weight @ np.minimum(direct * stuck, 1.0))


def _shares(name: str, value: ArrayLike) -> Matrix:
    shares = np.asarray(value, dtype=np.float64)
    if shares.ndim != 2:
        raise ValueError(f"{name} must be a table, not an array of shape {shares.shape}")
    if not ((shares >= 0.0) & (shares <= 1.0)).all():
        raise ValueError(f"{name} has a share that is missing or outside 0 to 1")
    return shares


@measure(
    "provider_outage_reach",
    title={
        "en": "Largest share of critical services that one provider's outage stops",
        "zh": "单一服务商中断影响的关键服务占比",
    },
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference=(
        "Financial Stability Board (2023), Enhancing Third-Party Risk Management and Oversight; the propagation is "
        "linear DebtRank (Bardoscia et al. 2015)"
    ),
    assumptions=("one provider is out at a time", "services stop in proportion to dependence", "nobody moves in time"),
    complexity="O((n + p) p)",
    inputs=("dependence",),
    optional=("services", "nth_party"),
)
def provider_outage_reach(
    dependence: ArrayLike, services: ArrayLike | None = None, nth_party: ArrayLike | None = None
) -> float:
    """Share of the sector's critical services that stop in the worst outage of a single provider; 0 without any."""
    found = outages(dependence, services, nth_party)
    return float(found.reach.max(initial=0.0))


@measure(
    "provider_concentration",
    title={"en": "Concentration of critical services on providers (Herfindahl index)", "zh": "关键服务商集中度(HHI)"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference="Financial Stability Board (2023), Enhancing Third-Party Risk Management and Oversight: concentration",
    assumptions=("a provider's weight is the services that stop with it, nth parties included",),
    complexity="O((n + p) p)",
    inputs=("dependence",),
    optional=("services", "nth_party"),
)
def provider_concentration(
    dependence: ArrayLike, services: ArrayLike | None = None, nth_party: ArrayLike | None = None
) -> float:
    """Herfindahl index of providers by the critical services that stop with each; NaN when nobody depends.

    With `nth_party` a provider counts with what stops through the providers that depend on it; without, with what
    depends on it directly.
    """
    found = outages(dependence, services, nth_party)
    reach = found.direct if nth_party is None else found.reach
    total = reach.sum()
    return float(((reach / total) ** 2).sum()) if total > 0 else float("nan")
