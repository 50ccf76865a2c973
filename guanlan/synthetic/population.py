"""Who is in the sector: institutions by type, with sizes that follow a power law within each type.

Totals by type start from the sector's at the end of 2025: banking assets of CNY 480tn, of which large banks
210.8tn and joint-stock banks 77.8tn; life insurers 36.4tn, property insurers 3.1tn, reinsurers 0.86tn. How
the rest of banking splits, and how many institutions a type has in the country, are round numbers of ours;
a sector that holds fewer of a type holds the same share of its total.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from guanlan.synthetic.names import name_all
from rules.problems import ConfigError
from rules.registry import Institution

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SMALLEST = 40
REGIONS = ("North", "Northeast", "East", "Central", "South", "Southwest", "Northwest")


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of institution: its part of 200, its number and total assets in the country, and how unequal."""

    type: str
    weight: int
    number: int
    total: float
    exponent: float


KINDS = (
    Kind("large_bank", 6, 6, 210.8e12, 0.45),
    Kind("joint_stock_bank", 12, 12, 77.8e12, 0.55),
    Kind("city_bank", 48, 125, 62e12, 0.75),
    Kind("rural_bank", 74, 1500, 57e12, 0.75),
    Kind("digital_bank", 4, 19, 2.2e12, 0.80),
    Kind("foreign_bank", 10, 41, 3.8e12, 0.70),
    Kind("life_insurer", 24, 90, 36.4e12, 0.85),
    Kind("property_insurer", 18, 88, 3.1e12, 0.90),
    Kind("reinsurer", 4, 15, 857.3e9, 0.80),
)
BANK_TYPES = tuple(kind.type for kind in KINDS if kind.type.endswith("_bank"))
INSURER_TYPES = tuple(kind.type for kind in KINDS if not kind.type.endswith("_bank"))


@dataclass(frozen=True, slots=True)
class Population:
    """Institutions of one sector with their total assets, in yuan, at the end of the time shown."""

    institutions: tuple[Institution, ...]
    assets: Floats

    @property
    def types(self) -> NDArray[np.str_]:
        """Type of each institution."""
        return np.array([i.type for i in self.institutions])

    @property
    def banks(self) -> Bools:
        """Which institutions are banks."""
        return np.isin(self.types, BANK_TYPES)


def populate(institutions: int, rng: np.random.Generator) -> Population:
    """Draw a sector; raise ConfigError for fewer institutions than the smallest that has every type."""
    if institutions < SMALLEST:
        raise ConfigError(f"a synthetic sector needs at least {SMALLEST} institutions, not {institutions}")
    counts = _counts(institutions)
    types: list[str] = []
    assets: list[Floats] = []
    for kind, count in zip(KINDS, counts, strict=True):
        ranks = np.arange(1, count + 1)
        raw = ranks**-kind.exponent * np.exp(rng.normal(0, 0.08, count))
        total = kind.total * min(1.0, count / kind.number)
        assets.append(np.sort(raw)[::-1] / raw.sum() * total)
        types += [kind.type] * count
    size = np.concatenate(assets)
    names = name_all(types, rng)
    regions = rng.integers(0, len(REGIONS), institutions)
    buckets = _buckets(types)
    members = tuple(
        Institution(
            code=f"CN{number:0{max(3, len(str(institutions)))}d}",
            name=names[number - 1],
            type=types[number - 1],
            region=REGIONS[regions[number - 1]],
            peer_group=_peer_group(types[number - 1], float(size[number - 1])),
            dsib_bucket=buckets[number - 1],
        )
        for number in range(1, institutions + 1)
    )
    return Population(members, size)


def _counts(institutions: int) -> list[int]:
    """Split by weight, largest remainder first; every type has at least one."""
    weights = np.array([kind.weight for kind in KINDS], float)
    ideal = weights / weights.sum() * institutions
    counts = np.maximum(1, np.floor(ideal)).astype(int)
    counts[:2] = np.minimum(counts[:2], [kind.number for kind in KINDS[:2]])
    while counts.sum() != institutions:
        lack = ideal - counts
        lack[:2] -= 1e9 * (counts[:2] >= [kind.number for kind in KINDS[:2]])
        counts[int(np.argmax(lack) if counts.sum() < institutions else np.argmin(lack))] += np.sign(
            institutions - counts.sum()
        )
    return [int(c) for c in counts]


def _peer_group(type_: str, assets: float) -> str:
    if type_ in ("city_bank", "rural_bank"):
        return f"{type_}.{'large' if assets >= 200e9 else 'small'}"
    return type_


def _buckets(types: list[str]) -> list[int]:
    """D-SIB buckets by rank within the type: ours, in the pattern of the published list's sizes."""
    by_rank = {
        "large_bank": (4, 4, 4, 4, 3, 3),
        "joint_stock_bank": (3, 2, 2, 1, 1, 1, 1, 1, 1),
        "city_bank": (1, 1, 1, 1),
    }
    seen: dict[str, int] = {}
    buckets = []
    for kind in types:
        rank = seen.get(kind, 0)
        ladder = by_rank.get(kind, ())
        buckets.append(ladder[rank] if rank < len(ladder) else 0)
        seen[kind] = rank + 1
    return buckets
