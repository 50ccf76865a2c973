"""Funding contagion: who fails takes back what it has lent, and its borrowers sell assets to pay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from systemic.arrays import Indices, Mask, Vector
from systemic.checks import as_network, as_vector
from systemic.registry import measure

BATCH = 256
ESPINOSA = (
    "Espinosa-Vega, Solé (2010), Cross-Border Financial Surveillance: A Network Perspective, IMF Working Paper 10/105"
)


@dataclass(frozen=True, slots=True)
class FundingCascade:
    """End of a cascade: `round` of each institution's default (0 the shock, -1 none), and losses in currency.

    `credit`: claims on the defaulted that are lost; `funding`: losses on assets sold to replace funding.
    """

    round: Indices
    credit: Vector
    funding: Vector

    @property
    def defaulted(self) -> Mask:
        """Who is in default at the end."""
        return self.round >= 0

    @property
    def additional_defaults(self) -> int:
        """Defaults beside those of the shock."""
        return int((self.round > 0).sum())


def funding_cascade(
    exposures: Any,
    buffer: ArrayLike,
    defaults: ArrayLike,
    loss_given_default: float = 1.0,
    not_replaced: float = 0.35,
    sale_loss: float = 1.0,
) -> FundingCascade:
    """Return the cascade of credit and funding losses after some institutions default.

    `exposures` [i, j] is what i has lent to j, `buffer` the equity (n), `defaults` bool[n] those that fail at
    first. When j fails, its lender i loses loss_given_default · exposures[i, j]; its borrower k loses
    sale_loss · not_replaced · exposures[j, k]: the share of its funding that it can't replace, times the loss
    on assets sold (1 is a fire sale at half price: twice the amount is sold). Who loses at least its buffer
    fails in the next round. At most n rounds of O(m). Defaults of parameters as in Espinosa-Vega & Solé
    (2010), section III.
    """
    claims = as_network(exposures)
    n = claims.shape[0]
    capital = as_vector("buffer", buffer, n)
    for name, value in (("loss_given_default", loss_given_default), ("not_replaced", not_replaced)):
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} must be between 0 and 1, not {value}")
    if sale_loss < 0:
        raise ValueError(f"sale_loss must not be below 0, not {sale_loss}")
    failed = np.asarray(defaults, dtype=np.bool_)
    if failed.shape != (n,):
        raise ValueError(f"defaults must say yes or no for each of {n} institutions")
    when = np.where(failed, 0, -1).astype(np.int64)
    credit, funding = np.zeros(n), np.zeros(n)
    fresh = failed.astype(np.float64)
    for number in range(1, n + 1):
        credit += loss_given_default * (claims @ fresh)
        funding += sale_loss * not_replaced * (claims.T @ fresh)
        loss = credit + funding
        falls = (when < 0) & (loss > 0) & (loss >= capital * (1 - 1e-12))
        if not falls.any():
            break
        when[falls] = number
        fresh = falls.astype(np.float64)
    return FundingCascade(when, credit, funding)


@measure(
    "funding_defaults",
    title={"en": "Defaults by credit and funding contagion of one failure", "zh": "信用与融资传染引发的违约数"},
    level="institution",
    unit="count",
    sign="higher is riskier",
    reference=ESPINOSA,
    assumptions=("35 % of lost funding is not replaced", "assets are sold at half price", "no bail-out"),
    complexity="O(n · rounds · m)",
    inputs=("exposures", "buffer"),
)
def funding_defaults(exposures: Any, buffer: ArrayLike) -> Vector:
    """How many others default when each institution alone fails, by lost claims and withdrawn funding."""
    return single_failures(exposures, buffer)


def single_failures(
    exposures: Any,
    buffer: ArrayLike,
    loss_given_default: float = 1.0,
    not_replaced: float = 0.35,
    sale_loss: float = 1.0,
) -> Vector:
    """Return how many others default after each institution's own failure: `funding_cascade` n times (float64[n]).

    A round only follows those that fell in the round before, for many failures at once, so the work is the sum of
    the links of all that fall: seconds for thousands of institutions. Arguments as in `funding_cascade`.
    """
    claims = as_network(exposures)
    n = claims.shape[0]
    capital = as_vector("buffer", buffer, n) * (1 - 1e-12)
    losses = (loss_given_default * claims + sale_loss * not_replaced * claims.T).tocsr()
    found = np.zeros(n)
    for start in range(0, n, BATCH):
        width = min(BATCH, n - start)
        lost = np.zeros((n, width))
        failed = np.zeros((n, width), np.bool_)
        rows, columns = np.arange(start, start + width), np.arange(width)
        while rows.size:
            failed[rows, columns] = True
            fresh = sparse.csr_array((np.ones(rows.size), (rows, columns)), shape=(n, width))
            reached = (losses @ fresh).tocoo()
            rows, columns = reached.row, reached.col
            lost[rows, columns] += reached.data
            total = lost[rows, columns]
            falls = ~failed[rows, columns] & (total > 0) & (total >= capital[rows])
            rows, columns = rows[falls], columns[falls]
        found[start : start + width] = failed.sum(axis=0) - 1
    return found
