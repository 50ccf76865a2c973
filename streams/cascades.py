"""Measures of a network that cost more than a report should wait for: at most once for each date and state of it.

Cascades that pass on at default only or once only, for the failure of each institution, and who causes what the
stress of clearing adds.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from streams.measured import CASCADE_FORM, CASCADE_SYSTEM_FORM, MIN_COVERAGE, OTHERS, Measured
from streams.measuring import (
    RANGE,
    STRESS,
    OneNetwork,
    Sheets,
    balance_sheets,
    over_networks,
    too_little,
    without_assets,
)
from streams.networks import Network, networks
from systemic.arrays import Mask, Matrix
from systemic.bootstrap import concordance
from systemic.importance.shapley import shapley
from systemic.network.cascade import debtrank_2012, threshold_cascade
from systemic.network.clearing import clear

BATCH = 256
RECOVERY = 0.6
PLAYERS = 7

CASCADES = ("threshold_impact", "furfine_defaults", "debtrank_2012_impact")
LARGEST = tuple(f"{name}_largest" for name in CASCADES)
ATTRIBUTED = "clearing_shortfall_added"
WHOLE = (*LARGEST, ATTRIBUTED, "cascade_concordance")


def measure_cascades(network: Network) -> Measured:
    """Compute the cascades of every single failure, on every network that fits, and attribute the loss of clearing."""
    complete = network.equity.keys() & network.claims.keys()
    coverage = len(complete) / network.expected if network.expected else 0.0
    forms = (CASCADE_FORM, CASCADE_SYSTEM_FORM)
    found = Measured(
        network.as_of, network.version, coverage, {"cascade_coverage": coverage}, network.codes, forms=forms
    )
    found.intervals[""] = RANGE
    if detail := too_little(network):
        found.lack(WHOLE, "too_few_reports", detail)
        return found
    names = tuple(sorted(network.equity))
    drawn = networks(network, names)
    equity = np.array([max(0.0, network.equity[code]) for code in names])
    each = [_cascades(claims, equity) for claims in drawn]
    over_networks(found, names, each)
    agreed = concordance(np.array([found.institutions[name] for name in CASCADES]))
    if np.isfinite(agreed):
        found.system["cascade_concordance"] = agreed
    else:
        found.lack(("cascade_concordance",), "nobody_told_apart", "a cascade is the same for everybody")
    _attribute(network, balance_sheets(network, names, drawn[0]), found)
    return found


def _cascades(claims: sparse.csr_array, equity: Matrix) -> OneNetwork:
    """The stress or defaults that each failure alone adds; some failures at a time, to bound the memory."""
    size = equity.size
    columns: dict[str, list[Matrix]] = {name: [] for name in CASCADES}
    for start in range(0, size, BATCH):
        chosen = np.arange(start, min(start + BATCH, size))
        alone = np.zeros((size, chosen.size))
        alone[chosen, np.arange(chosen.size)] = 1.0
        columns["threshold_impact"].append(threshold_cascade(claims, equity, alone, equity).additional_stress)
        fallen = threshold_cascade(claims, equity, alone, equity, RECOVERY).additional_defaults
        columns["furfine_defaults"].append(np.asarray(fallen, np.float64))
        columns["debtrank_2012_impact"].append(debtrank_2012(claims, equity, alone, equity).additional_stress)
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    return OneNetwork({f"{name}_largest": float(values.max()) for name, values in joined.items()}, joined)


def _attribute(network: Network, sheets: Sheets, found: Measured) -> None:
    """Attribute what the stress adds to unpaid debts to those that owe most, and to the others together (Shapley).

    The game: only the members of a coalition lose `STRESS` of their external assets. Of several networks that fit, that
    of maximum entropy.
    """
    share = len(sheets.names) / network.expected if network.expected else 0.0
    found.coverages[ATTRIBUTED] = share
    owed = np.asarray(sheets.claims.sum(axis=0)) + sheets.external_debts
    if share < MIN_COVERAGE:
        found.lack((ATTRIBUTED,), "no_total_assets", without_assets(len(sheets.names), network.expected))
        return
    if not owed.sum() > 0:
        found.lack((ATTRIBUTED,), "nothing_owed", "no institution owes anything")
        return
    largest = np.argsort(-owed, kind="stable")[:PLAYERS]
    player = np.full(owed.size, len(largest))
    player[largest] = np.arange(len(largest))
    count = len(largest) + (owed.size > len(largest))

    def unpaid(coalition: Mask) -> float:
        hit = coalition[player] if count else np.zeros(0, np.bool_)
        assets = sheets.external_assets * np.where(hit, 1.0 - STRESS, 1.0)
        return float(clear(sheets.claims, assets, sheets.external_debts).shortfall) / float(owed.sum())

    made = shapley(unpaid, count)
    found.system[ATTRIBUTED] = made.whole
    codes = [sheets.names[i] for i in largest.tolist()] + [OTHERS] * (count > len(largest))
    found.parts[ATTRIBUTED] = dict(zip(codes, made.values.tolist(), strict=True))
