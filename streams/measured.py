"""What measuring yields: values, coverage, bounds, parts, and why a measure has no value.

A measure that can't be computed is not left out silently: `Measured.lacking` says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

INSTITUTION_FORM, MARKET_FORM = "measures.institution", "measures.market"
CASCADE_FORM, SIMULATED_FORM = "measures.cascade", "measures.simulated"
SYSTEM_FORM, STRESS_FORM = "measures.system", "measures.stress"
MARKET_SYSTEM_FORM, CASCADE_SYSTEM_FORM, VALUES_FORM = (
    "measures.market_system",
    "measures.cascade_system",
    "measures.values",
)
SYSTEM_FORMS = (SYSTEM_FORM, MARKET_SYSTEM_FORM, STRESS_FORM, CASCADE_SYSTEM_FORM, VALUES_FORM)
LISTED = 200
OTHERS = "others"
"""Whom a measure is the sum of beside those it names."""

MIN_COVERAGE = 0.8

Floats = NDArray[np.float64]


class Lack(msgspec.Struct, frozen=True, array_like=True):
    """Why a measure could not be computed: a code for programs and one sentence for people."""

    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Measured:
    """Measures of one date: for the system by name, and for institutions by name as columns beside `codes`.

    `coverage` is the share of institutions whose reports the network is made of, `coverages` the same for
    measures that are made of something else, `lacking` why a measure has no value. Beside `x`, `x_low` and
    `x_high` are how sure it is; `intervals` says what they are, by measure or under "" for all. `forms` are the
    catalogue's forms of institutions and of the system. `parts` are what a measure of the system is the sum of,
    `moves` their values on the date before and now, `cases` the single cases (a provider, an asset class) that it
    is made of without being their sum.
    """

    as_of: int
    version: int
    coverage: float
    system: dict[str, float] = field(default_factory=dict)
    codes: tuple[str, ...] = ()
    institutions: dict[str, Floats] = field(default_factory=dict)
    coverages: dict[str, float] = field(default_factory=dict)
    lacking: dict[str, Lack] = field(default_factory=dict)
    forms: tuple[str, str] = (INSTITUTION_FORM, SYSTEM_FORM)
    parts: dict[str, dict[str, float]] = field(default_factory=dict)
    moves: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    cases: dict[str, dict[str, float]] = field(default_factory=dict)
    intervals: dict[str, str] = field(default_factory=dict)

    def covered(self, name: str) -> float:
        """Return the coverage that a measure was computed at."""
        return self.coverages.get(name, self.coverage)

    def interval_of(self, name: str) -> str:
        """Return what the bounds of a measure are, in words."""
        return self.intervals.get(name, self.intervals.get("", ""))

    def lack(self, names: Iterable[str], reason: str, detail: str) -> None:
        """Note why these measures have no value."""
        self.lacking.update(dict.fromkeys(names, Lack(reason, detail)))

    def column(self, name: str, codes: Sequence[str], values: Floats) -> None:
        """File a measure of these institutions, all of them among `codes` of this; it is missing for others."""
        place = {code: position for position, code in enumerate(self.codes)}
        found = np.full(len(self.codes), np.nan)
        found[[place[code] for code in codes]] = values
        self.institutions[name] = found
