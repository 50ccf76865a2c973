"""What lenders and borrowers say of the same exposure: where they differ is a finding on the quality of reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.measured import Floats, Measured
from streams.networks import Network

MISMATCH = ("exposure_mismatch_share",)
TOLERANCE = 0.01


def two_sides(network: Network, found: Measured) -> None:
    """Compare what lenders and borrowers say of the same date; a pair's amount is the larger of the two.

    Only pairs count of which both sides told: the lender its exposures and the borrower its borrowings.
    """
    pairs, claimed, admitted = _pairs(network, found.codes)
    amount = np.maximum(claimed, admitted)
    off = np.where(np.abs(claimed - admitted) > TOLERANCE * amount, amount, 0.0)
    total = float(amount.sum())
    if not total > 0:
        detail = "no exposure was reported by both its lender and its borrower for the same date"
        found.lack(MISMATCH, "no_borrowings", detail)
        return
    found.system["exposure_mismatch_share"] = float(off.sum()) / total
    found.coverages["exposure_mismatch_share"] = len(network.owed) / network.expected if network.expected else 0.0
    size = len(found.codes)
    told, differing = (
        sum(np.bincount(side, x, size + 1)[:size] for side in divmod(pairs, size + 1)) for x in (amount, off)
    )
    found.institutions["exposure_mismatch_own_share"] = np.divide(
        differing, told, out=np.full(size, np.nan), where=np.asarray(told) > 0
    )


def _pairs(network: Network, codes: tuple[str, ...]) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Return every pair of which both sides told, as lender · (n + 1) + borrower, with what each side says.

    Positions are those of `codes`; somebody who is not among them is position n.
    """
    place = {code: position for position, code in enumerate(codes)}
    size = len(codes)
    at, owed = network.reported_at, network.owed
    claims: dict[tuple[str, str], float] = {}
    for lender, told in network.claims.items():
        day = at[lender]
        claims.update(((lender, b), x) for b, x in told.items() if b in owed and at[b] == day)
    debts: dict[tuple[str, str], float] = {}
    for borrower, told in owed.items():
        day = at[borrower]
        debts.update(((a, borrower), x) for a, x in told.items() if a in network.claims and at[a] == day)
    both = list(dict.fromkeys((*claims, *debts)))
    number = [place.get(a, size) * (size + 1) + place.get(b, size) for a, b in both]
    claimed = [claims.get(pair, 0.0) for pair in both]
    admitted = [debts.get(pair, 0.0) for pair in both]
    return np.array(number, np.int64), np.array(claimed, np.float64), np.array(admitted, np.float64)
