"""Contagion that passes on only at default (threshold, Furfine), or only once (DebtRank as published in 2012)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from systemic.arrays import Mask, Matrix, Vector
from systemic.checks import as_shocks
from systemic.network.contagion import DEFAULT, Contagion, Network, prepare, settle
from systemic.registry import measure

FURFINE = "Furfine (2003), Interbank Exposures: Quantifying the Risk of Contagion, JMCB 35(1): 111-128"
GAI = "Gai, Kapadia (2010), Contagion in financial networks, Proc. R. Soc. A 466(2120): 2401-2423"
BATTISTON = "Battiston et al. (2012), DebtRank: Too Central to Fail?, Scientific Reports 2: 541"


def threshold_cascade(
    exposures: Any, buffer: ArrayLike, shock: ArrayLike, weight: ArrayLike | None = None, recovery: float = 0.0
) -> Contagion:
    """Return the end state when losses pass on only from institutions in default (h ≥ 1), and then in full.

    Arguments as in `linear_debtrank`: `shock` is the share of the buffer lost at first (n) or (n, m). The
    least fixed point h = h₀ + Λ [h ≥ 1]; at most n rounds of O(m). After Gai & Kapadia (2010).

    >>> threshold_cascade([[0, 10, 0], [0, 0, 10], [0, 0, 0]], [10, 20, 5], [0.0, 0.0, 1.0]).h.tolist()
    [0.0, 0.5, 1.0]
    """
    return sequential_default(exposures, buffer, shock, weight, recovery)[0]


def sequential_default(
    exposures: Any, buffer: ArrayLike, shock: ArrayLike, weight: ArrayLike | None = None, recovery: float = 0.0
) -> tuple[Contagion, Matrix]:
    """Return the end state of Furfine's sequential default, and each institution's round of default.

    An institution fails in the round after its losses on failed borrowers (exposure times 1 − recovery),
    with the shock's, reach its buffer. Rounds: float64 like `shock`, 0 for who the shock put in default,
    NaN for who survives. The end state is that of `threshold_cascade`. After Furfine (2003).
    """
    network = prepare(exposures, buffer, weight, recovery)
    shocks, single = as_shocks(shock, network.size)
    failed = shocks > DEFAULT
    when = np.where(failed, 0.0, np.nan)
    for number in range(1, network.size + 1):
        fresh = _in_default(network, shocks, failed) & ~failed
        if not fresh.any():
            break
        failed |= fresh
        when[fresh] = number
    end = settle(network, shocks, failed.astype(np.float64), single)
    return end, when[:, 0] if single else when


def _in_default(network: Network, shocks: Matrix, failed: Mask) -> Mask:
    passed = failed.astype(np.float64)
    bare = network.bare[:, None] & (network.losses @ passed > 0.0)
    found: Mask = (shocks + network.flow @ passed > DEFAULT) | bare
    return found


def debtrank_2012(
    exposures: Any, buffer: ArrayLike, shock: ArrayLike, weight: ArrayLike | None = None, recovery: float = 0.0
) -> Contagion:
    """Return the end state of DebtRank as published first: each institution passes distress on once.

    Arguments as in `linear_debtrank`. An institution passes on min(1, h) of the step in which it is first
    distressed, and nothing of what reaches it later, so walks through cycles are cut (Battiston et al.
    2012). Unlike there, an exposure larger than the lender's buffer counts in full, as losses beyond the
    buffer do. At most n steps of O(m).
    """
    network = prepare(exposures, buffer, weight, recovery)
    shocks, single = as_shocks(shock, network.size)
    passed = np.zeros_like(shocks)
    spoken = np.zeros(shocks.shape, np.bool_)
    stress = np.minimum(shocks, 1.0)
    while (fresh := (stress > 0.0) & ~spoken).any():
        passed[fresh] = stress[fresh]
        spoken |= fresh
        inflow = network.losses @ passed
        stress = np.minimum(shocks + network.flow @ passed, 1.0)
        stress[network.bare[:, None] & (inflow > 0.0)] = 1.0
    return settle(network, shocks, passed, single)


@measure(
    "threshold_impact",
    title={"en": "Default cascade impact", "zh": "违约级联影响力"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=GAI,
    complexity="O(n m) a round",
    inputs=("exposures", "buffer"),
    optional=("weight",),
    assumptions=("losses pass on at default only", "the same share of every exposure is lost at default"),
)
def threshold_impact(
    exposures: Any, buffer: ArrayLike, weight: ArrayLike | None = None, recovery: float = 0.0
) -> Vector:
    """Return the stress, Σ wᵢ min(hᵢ, 1), that each institution's default alone adds when only default passes on."""
    alone = np.eye(np.size(buffer))
    return np.asarray(threshold_cascade(exposures, buffer, alone, weight, recovery).additional_stress)


@measure(
    "furfine_defaults",
    title={"en": "Defaults that an institution's default causes", "zh": "单家违约引发的违约家数"},
    level="institution",
    unit="count",
    sign="higher is riskier",
    reference=FURFINE,
    complexity="O(n m) a round",
    inputs=("exposures", "buffer"),
    assumptions=("an institution fails when losses reach its buffer", "lenders lose 1 − recovery at once"),
)
def furfine_defaults(exposures: Any, buffer: ArrayLike, recovery: float = 0.6) -> Vector:
    """Return how many others fail after each institution's default alone; Furfine takes a recovery of 60 %."""
    alone = np.eye(np.size(buffer))
    end, _ = sequential_default(exposures, buffer, alone, None, recovery)
    return np.asarray(end.additional_defaults, dtype=np.float64)


@measure(
    "debtrank_2012_impact",
    title={"en": "DebtRank impact, as published in 2012", "zh": "DebtRank影响力(2012年原版)"},
    level="institution",
    unit="ratio",
    sign="higher is riskier",
    reference=BATTISTON,
    complexity="O(n m) a step",
    inputs=("exposures", "buffer"),
    optional=("weight",),
    assumptions=("distress passes on before default, once for each institution, so cycles are cut",),
)
def debtrank_2012_impact(
    exposures: Any, buffer: ArrayLike, weight: ArrayLike | None = None, recovery: float = 0.0
) -> Vector:
    """Return the stress that each institution's default alone adds when each passes distress on once."""
    alone = np.eye(np.size(buffer))
    return np.asarray(debtrank_2012(exposures, buffer, alone, weight, recovery).additional_stress)
