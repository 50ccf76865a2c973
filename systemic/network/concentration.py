"""How unevenly an amount is spread: over institutions, over an institution's counterparties, over the links."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from systemic.arrays import Vector
from systemic.checks import as_network, as_vector
from systemic.registry import measure

HIRSCHMAN = "Hirschman (1964), The Paternity of an Index, American Economic Review 54(5)"
GINI = "Gini (1912), Variabilità e mutabilità; Sen (1973), On Economic Inequality"


@measure(
    "hhi",
    title={"en": "Herfindahl–Hirschman index", "zh": "赫芬达尔—赫希曼指数"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference=HIRSCHMAN,
    complexity="O(n)",
    inputs=("values",),
    live="hhi(x) in rules, and in values that a catalogue declares",
)
def hhi(values: ArrayLike) -> float:
    """Return Σ sᵢ² of the shares sᵢ of `values` (float64[n]): 1/n where all are equal, 1 where one has all.

    NaN where nothing is there to share. Times 10,000 it is the index in the points of competition law.

    >>> round(hhi([50, 30, 20]), 12)
    0.38
    """
    amounts = as_vector("values", values)
    total = amounts.sum()
    if total <= 0.0:
        return float("nan")
    shares = amounts / total
    return float(shares @ shares)


@measure(
    "gini",
    title={"en": "Gini coefficient", "zh": "基尼系数"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference=GINI,
    complexity="O(n log n)",
    inputs=("values",),
    live="gini(x) in rules, and in values that a catalogue declares",
)
def gini(values: ArrayLike) -> float:
    """Return the Gini coefficient of `values` (float64[n]): 0 where all are equal, 1 − 1/n where one has all.

    The mean absolute difference of all pairs over twice the mean; NaN where nothing is there to share.

    >>> gini([1, 1, 1, 1]), gini([0, 0, 0, 8])
    (0.0, 0.75)
    """
    amounts = np.sort(as_vector("values", values))
    total = amounts.sum()
    if total <= 0.0:
        return float("nan")
    rank = np.arange(1, amounts.size + 1)
    return float(((2 * rank - amounts.size - 1) @ amounts) / (amounts.size * total))


@measure(
    "largest_share",
    title={"en": "Share of the largest five", "zh": "前五大占比"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference="Bikker and Haaf (2002), Measures of competition and concentration in the banking industry",
    complexity="O(n)",
    inputs=("values",),
    live="interbank_borrower_top_five",
)
def largest_share(values: ArrayLike, count: int = 5) -> float:
    """Return the share of the `count` largest in the sum of `values` (float64[n]); NaN where the sum is 0."""
    amounts = as_vector("values", values)
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    total = amounts.sum()
    if total <= 0.0:
        return float("nan")
    return float(np.sort(amounts)[::-1][:count].sum() / total)


@measure(
    "interbank_hhi",
    title={"en": "Concentration of interbank lending", "zh": "同业融出集中度"},
    level="system",
    unit="ratio",
    sign="higher is riskier",
    reference=HIRSCHMAN,
    complexity="O(m)",
    inputs=("exposures",),
    live="interbank_borrower_hhi",
)
def interbank_hhi(exposures: Any) -> float:
    """Return the HHI of institutions' shares in all interbank borrowing; NaN where there is none."""
    return hhi(as_network(exposures).sum(axis=0))


@measure(
    "lending_hhi",
    title={"en": "Concentration of an institution's lending", "zh": "单家机构同业融出集中度"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=HIRSCHMAN,
    complexity="O(m)",
    inputs=("exposures",),
)
def lending_hhi(exposures: Any) -> Vector:
    """Return the HHI of each institution's lending over its borrowers; NaN for one that lends nothing."""
    claims = as_network(exposures)
    total = claims.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(claims.power(2).sum(axis=1) / total**2)


@measure(
    "funding_hhi",
    title={"en": "Concentration of an institution's funding", "zh": "单家机构同业融入集中度"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=HIRSCHMAN,
    complexity="O(m)",
    inputs=("exposures",),
)
def funding_hhi(exposures: Any) -> Vector:
    """Return the HHI of each institution's borrowing over its lenders; NaN for one that borrows nothing."""
    return lending_hhi(as_network(exposures).T)


@measure(
    "density",
    title={"en": "Density of the exposure network", "zh": "风险敞口网络密度"},
    level="system",
    unit="ratio",
    sign="neither",
    reference="Boss, Elsinger, Summer, Thurner (2004), Network topology of the interbank market",
    complexity="O(m)",
    inputs=("exposures",),
    live="interbank_density",
)
def density(exposures: Any) -> float:
    """Return the share of the n(n − 1) possible exposures that exist; NaN below two institutions."""
    claims = as_network(exposures)
    size = claims.shape[0]
    return float(claims.nnz / (size * (size - 1))) if size > 1 else float("nan")
