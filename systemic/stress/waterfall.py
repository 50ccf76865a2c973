"""A waterfall: what moved a composite from one date to another, in parts that add up to the move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from systemic.stress.ciss import Composite

CORRELATION = "correlation"


@dataclass(frozen=True, slots=True)
class Step:
    """One bar: the part's name, its value before and after, and the level the bar starts and ends at."""

    part: str
    before: float
    after: float
    start: float
    end: float

    @property
    def change(self) -> float:
        """What the part added to the whole."""
        return self.after - self.before


def waterfall(before: Mapping[str, float], after: Mapping[str, float]) -> tuple[Step, ...]:
    """Return the steps from Σ before to Σ after, the largest move first, ties by name.

    Both map the parts of a whole to their values in the unit of the whole. A part that is on one side only
    counts as zero on the other: that it came or went moved the whole by all of it. The changes sum to the
    change of the whole. ValueError when a value is missing (NaN): a bar of unknown height can't be drawn.

    >>> [(s.part, s.change) for s in waterfall({"a": 1.0, "b": 2.0}, {"a": 1.5, "b": 1.0})]
    [('b', -1.0), ('a', 0.5)]
    """
    parts = sorted({*before, *after})
    pairs = {part: (before.get(part, 0.0), after.get(part, 0.0)) for part in parts}
    unknown = [part for part, values in pairs.items() if not np.isfinite(values).all()]
    if unknown:
        raise ValueError(f"the value of {', '.join(unknown)} is missing on one of the dates")
    level = sum(before.values())
    steps = []
    for part in sorted(parts, key=lambda p: (-abs(pairs[p][1] - pairs[p][0]), p)):
        was, now = pairs[part]
        steps.append(Step(part, was, now, level, level + (now - was)))
        level = steps[-1].end
    return tuple(steps)


def composite_parts(composite: Composite, row: int, names: Sequence[str]) -> dict[str, float]:
    """Return the parts of a composite at `row` by indicator name, and the part that is correlation."""
    if len(names) != composite.contributions.shape[1]:
        raise ValueError(f"{composite.contributions.shape[1]} indicators need as many names, not {len(names)}")
    parts = dict(zip(names, map(float, composite.contributions[row]), strict=True))
    return parts | {CORRELATION: float(composite.correlation[row])}
