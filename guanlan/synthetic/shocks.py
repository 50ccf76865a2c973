"""What stories do to the paths of a sector: arrays [days, institutions], neutral where nothing happens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Shocks:
    """Bends of the paths.

    deposits: factor on deposits (1 = none lost). strain: 0 to 1, how hard interbank lenders hold back;
    at 1 a bank loses 35 % of its interbank money and rolls most of the rest over night by night.
    unvalidated: added share of AI models without validation. bad_loans: factor on bad loans, of which
    reserves follow the root. solvency: factor on the solvency ratios.
    """

    deposits: Floats
    strain: Floats
    unvalidated: Floats
    bad_loans: Floats
    solvency: Floats

    @classmethod
    def none(cls, days: int, institutions: int) -> Shocks:
        """Return arrays in which nothing happens."""
        shape = (days, institutions)
        return cls(np.ones(shape), np.zeros(shape), np.zeros(shape), np.ones(shape), np.ones(shape))

    def take(self, days: NDArray[np.intp], institutions: NDArray[np.intp]) -> Shocks:
        """Return the shocks of some days and institutions."""
        at = np.ix_(days, institutions)
        return Shocks(self.deposits[at], self.strain[at], self.unvalidated[at], self.bad_loans[at], self.solvency[at])
