"""What a value can be at most: ranges of numbers, sets of texts, and how they meet and join.

All bounds are closed and floats, so that `below` and `above` make a strict bound exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

INFINITE = math.inf


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; `missing` says whether the value may be missing.

    With low above high no value is ever known.
    """

    low: float = -INFINITE
    high: float = INFINITE
    missing: bool = True

    @property
    def empty(self) -> bool:
        """Whether the value is never known."""
        return not self.low <= self.high

    @property
    def point(self) -> float | None:
        """The one number that it can be, or None."""
        return self.low if self.low == self.high else None

    def holds(self, value: float) -> bool:
        """Whether the value, NaN for missing, can be one of these."""
        return self.missing if math.isnan(value) else self.low <= value <= self.high

    def meet(self, other: Range) -> Range:
        """What is in both."""
        return Range(max(self.low, other.low), min(self.high, other.high), self.missing and other.missing)

    def join(self, other: Range) -> Range:
        """A range that has both."""
        missing = self.missing or other.missing
        if self.empty or other.empty:
            return replace(other if self.empty else self, missing=missing)
        return Range(min(self.low, other.low), max(self.high, other.high), missing)

    def known(self) -> Range:
        """The same, known not to be missing."""
        return replace(self, missing=False)


ANYTHING = Range()
NOTHING = Range(INFINITE, -INFINITE)
"""Always missing."""


def hull(bounds: list[float], missing: bool = True) -> Range:
    """The range of all bounds; those that are no number make it missing where it is met."""
    numbers = [b for b in bounds if not math.isnan(b)]
    if not numbers:
        return NOTHING
    return Range(min(numbers), max(numbers), missing or len(numbers) < len(bounds))


def below(value: float) -> float:
    """The next smaller float."""
    return math.nextafter(value, -INFINITE)


def above(value: float) -> float:
    """The next larger float."""
    return math.nextafter(value, INFINITE)


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts that an attribute can be: those named, or with `others` all but those named."""

    named: frozenset[str] = frozenset()
    others: bool = True

    @property
    def empty(self) -> bool:
        """Whether there is none."""
        return not self.named and not self.others

    def only(self, names: frozenset[str]) -> Texts:
        """Those that are among the names."""
        return Texts(names - self.named if self.others else names & self.named, False)

    def without(self, names: frozenset[str]) -> Texts:
        """Those that are not among the names."""
        return Texts(self.named | names, True) if self.others else Texts(self.named - names, False)

    def join(self, other: Texts) -> Texts:
        """What is in either."""
        if self.others and other.others:
            return Texts(self.named & other.named, True)
        if self.others or other.others:
            wide, narrow = (self, other) if self.others else (other, self)
            return Texts(wide.named - narrow.named, True)
        return Texts(self.named | other.named, False)
