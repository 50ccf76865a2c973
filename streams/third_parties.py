"""Which outage of a technology provider stops what: of the sector, and of each institution."""

from __future__ import annotations

import numpy as np

from streams.measured import MIN_COVERAGE, Measured
from streams.networks import Network
from systemic.network.providers import outages, provider_concentration

PROVIDERS = ("provider_outage_reach", "provider_nth_party_reach", "provider_concentration")


def third_parties(network: Network, found: Measured) -> None:
    """What outages of single providers would stop, and how services concentrate; weighted by total assets.

    What providers themselves depend on is what the most pessimistic of their users reports; what a user can move
    elsewhere in time does not stop. Concentration counts services before anybody moves.
    """
    names = sorted(network.services.keys() & network.assets.keys())
    weights = np.array([network.assets[code] for code in names])
    share = len(names) / network.expected if network.expected else 0.0
    found.system["provider_coverage"] = share
    found.coverages.update(dict.fromkeys((*PROVIDERS, "provider_coverage", "provider_dependence_largest"), share))
    if share < MIN_COVERAGE or not weights.sum() > 0:
        detail = (
            f"{len(names)} of {network.expected} institutions have reported services and total assets;"
            f" {MIN_COVERAGE:.0%} are needed"
        )
        found.lack(PROVIDERS, "too_few_services", detail)
        return
    chain = _chain(network, names)
    own = {provider for code in names for provider in network.services[code]}
    providers = sorted(own | chain.keys() | {q for behind in chain.values() for q in behind})
    place = {provider: number for number, provider in enumerate(providers)}
    used, stuck = (np.zeros((len(names), len(providers))) for _ in range(2))
    for row, code in enumerate(names):
        movable = network.movable.get(code, {})
        for provider, part in network.services[code].items():
            used[row, place[provider]] = min(1.0, part)
            stuck[row, place[provider]] = min(1.0, part) * (1.0 - movable.get(provider, 0.0))
    behind = np.zeros((len(providers), len(providers)))
    for provider, parts in chain.items():
        for other, part in parts.items():
            behind[place[provider], place[other]] = part
    stopped = outages(stuck, weights, behind)
    found.system["provider_outage_reach"] = float(stopped.reach.max(initial=0.0))
    found.system["provider_nth_party_reach"] = float((stopped.reach - stopped.direct).max(initial=0.0))
    found.cases["provider_outage_reach"] = dict(zip(providers, stopped.reach.tolist(), strict=True))
    found.column("provider_dependence_largest", names, stopped.stopped.max(axis=1, initial=0.0))
    if used.any():
        found.system["provider_concentration"] = provider_concentration(used, weights)
        shares = weights @ used
        parts = (shares / shares.sum()) ** 2
        found.parts["provider_concentration"] = dict(zip(providers, parts.tolist(), strict=True))
    else:
        found.lack(("provider_concentration",), "nothing_outsourced", "no institution depends on a provider")


def _chain(network: Network, names: list[str]) -> dict[str, dict[str, float]]:
    """Return what each provider depends on: the largest share that any user reports; nothing on itself."""
    found: dict[str, dict[str, float]] = {}
    for code in names:
        for provider, behind in network.chains.get(code, {}).items():
            known = found.setdefault(provider, {})
            for other, part in behind.items():
                if other != provider:
                    known[other] = max(known.get(other, 0.0), min(1.0, part))
    return found
