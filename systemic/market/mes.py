"""Marginal expected shortfall: what an institution's share loses on the market's worst days."""

from __future__ import annotations

from typing import Literal

import numpy as np

from systemic.arrays import Matrix, Vector
from systemic.registry import measure

Tail = Literal["strict", "weak"]

PAPER = "Acharya, Pedersen, Philippon, Richardson (2017), Measuring systemic risk, Review of Financial Studies 30(1)"


def tail_threshold(market_return: Vector, level: float) -> float:
    """Return the `level`-quantile of the known market returns, linear between order statistics (type 7)."""
    known = market_return[np.isfinite(market_return)]
    return float(np.quantile(known, level)) if len(known) else float("nan")


@measure(
    "mes",
    title={"en": "Marginal expected shortfall", "zh": "边际期望损失"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=PAPER,
    assumptions=(
        "the worst days of the window stand for the next crisis",
        "equity prices reflect the loss on the same day",
    ),
    complexity="O(T log T + T n)",
    inputs=("returns", "market_return"),
)
def marginal_expected_shortfall(
    returns: Matrix, market_return: Vector, *, level: float = 0.05, tail: Tail = "strict"
) -> Vector:
    """Mean loss of each institution on the days when the market return is in its lower `level` tail.

    MES_i = −mean(r_i | r_m < q), q the `level`-quantile of the market return (linear between order
    statistics); `tail="weak"` takes r_m ≤ q, which differs only where a return equals q. A loss is positive.

    `returns` (T, n) and `market_return` (T,) in fractions; the result (n,) is in the same fractions. The
    market's quantile is taken over all days on which it is known; an institution's mean over those worst
    days on which it has a return, NaN where it has none.
    """
    if tail not in ("strict", "weak"):
        raise ValueError(f"the tail is 'strict' or 'weak', not {tail!r}")
    threshold = tail_threshold(market_return, level)
    worst = market_return < threshold if tail == "strict" else market_return <= threshold
    losses = -returns[worst]
    known = np.isfinite(losses)
    days = known.sum(axis=0)
    total: Vector = np.where(known, losses, 0.0).sum(axis=0)
    mean: Vector = np.divide(total, days, out=np.full(returns.shape[1], np.nan), where=days > 0)
    return mean
