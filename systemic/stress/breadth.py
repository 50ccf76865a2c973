"""Breadth: how much of the system is in breach, and what missing reports could hide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from systemic.arrays import Vector
from systemic.registry import declare, measure

declare("breach", ("institution",), "ratio", "1 where the institution breaches, 0 where not, NaN where unknown")


@dataclass(frozen=True, slots=True)
class Breadth:
    """Share of the system in breach: `share` of what is known, and the bounds over all that is not.

    `low` if no unknown institution breaches, `high` if all do; `coverage` is the weight that is known.
    All in fractions of the system's weight; NaN when there is no weight.
    """

    share: float
    low: float
    high: float
    coverage: float


def breadth(breach: Vector, weight: Vector) -> Breadth:
    """Return the share of `weight` (n,) (total assets by custom) in institutions whose `breach` (n,) is 1.

    An institution without a weight is left out, whatever its breach. ValueError on a negative weight or a
    breach that is neither 0, 1 nor missing. Cost: O(n).
    """
    counted = np.isfinite(weight)
    heavy, state = weight[counted], breach[counted]
    known = np.isfinite(state)
    if (heavy < 0).any():
        raise ValueError("a weight is negative")
    if not np.isin(state[known], (0.0, 1.0)).all():
        raise ValueError("a breach is 1, 0 or missing")
    whole, seen, unseen = heavy.sum(), heavy[known].sum(), heavy[~known].sum()
    hit = heavy[known] @ state[known]
    if not whole > 0:
        return Breadth(*(4 * [float("nan")]))
    share = float(hit / seen) if seen > 0 else float("nan")
    return Breadth(share, float(hit / whole), float((hit + unseen) / whole), float(seen / whole))


@measure(
    "breadth_of_breach",
    title={"en": "Share of system assets in institutions in breach", "zh": "违规机构资产占比"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference="IMF (2019), Financial Soundness Indicators Compilation Guide: concentration and distribution measures",
    assumptions=("institutions that did not report breach as often as those that did",),
    complexity="O(n)",
    inputs=("breach", "weight"),
    live="share_of(condition, total_assets) in rules, and in values that a catalogue declares",
)
def breadth_of_breach(breach: Vector, weight: Vector) -> float:
    """Share of the reporting institutions' weight that is in institutions in breach.

    In [0, 1]; NaN when nobody reported. See `breadth` for the bounds that missing reports leave.
    """
    return breadth(breach, weight).share
