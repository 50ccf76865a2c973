"""Technology providers of the made-up sector, and who depends on whom for how much."""

from __future__ import annotations

from typing import Any

import numpy as np

PROVIDERS = (
    ("CLOUD-1", "cloud"),
    ("CLOUD-2", "cloud"),
    ("CORE-1", "core_banking"),
    ("CORE-2", "core_banking"),
    ("DATA-1", "data"),
)
POPULAR = (0.45, 0.15, 0.2, 0.12, 0.08)
"""How often each is chosen: one cloud leads, as in most sectors."""

BEHIND = {"CORE-1": ("CLOUD-1", 0.6), "DATA-1": ("CLOUD-1", 0.9), "CORE-2": ("CLOUD-2", 0.5)}
"""What stands behind a provider, and how much of its service would stop."""

MOVABLE = {"cloud": 0.2, "core_banking": 0.0, "data": 0.5}
"""The part of a service that its users could move in time."""


def draw_services(count: int, rng: np.random.Generator) -> list[list[dict[str, Any]]]:
    """Return for each of `count` institutions one to three providers and the share of its services each would stop."""
    found = []
    for _ in range(count):
        chosen = rng.choice(len(PROVIDERS), size=int(rng.integers(1, 4)), replace=False, p=POPULAR)
        shares = np.round(rng.uniform(0.05, 0.45, len(chosen)), 2).tolist()
        found.append([_service(*PROVIDERS[p], share) for p, share in zip(chosen.tolist(), shares, strict=True)])
    return found


def _service(provider: str, kind: str, share: float) -> dict[str, Any]:
    found: dict[str, Any] = {"provider": provider, "share": share, "kind": kind, "substitutable": MOVABLE[kind]}
    if provider in BEHIND:
        other, part = BEHIND[provider]
        found["relies_on"] = [{"provider": other, "share": part}]
    return found
