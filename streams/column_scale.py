"""Whole columns of files in another unit: seen before anything is sent or judged, and asked about.

A column is an indicator of a form over all filings of the files. It is in question when its values are outside what
is plausible, and the same factor brings all or nearly all of them back (`rules.scale`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rules.calendar import format_instant
from rules.catalogue import Catalogue
from rules.problems import InputError, nearest
from rules.scale import FACTORS, MOST, Scale, span
from streams.columns import Columns
from streams.questions import how_far
from streams.wire import Confirms

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """A column in question: its form and indicator, by what factor it is off, how many of its values, and some."""

    form: str
    indicator: str
    factor: float
    off: int
    values: int
    plausible: tuple[float, float]
    examples: tuple[tuple[str, str, float], ...]

    def __str__(self) -> str:
        shown = ", ".join(f"{code} {as_of}: {value:g}" for code, as_of, value in self.examples)
        return (
            f"{self.indicator} of {self.form} seems about {how_far(self.factor)[0]} in {self.off:,} of"
            f" {self.values:,} values ({shown}; plausible {span(*self.plausible)})"
        )


@dataclass(slots=True)
class _Form:
    scale: Scale
    values: npt.NDArray[np.int64]
    off: dict[float, npt.NDArray[np.int64]] = field(default_factory=dict)
    examples: dict[tuple[float, int], list[tuple[str, str, float]]] = field(default_factory=dict)


class ColumnScale:
    """Takes accepted filings batch by batch and remembers counts and a few examples, whatever their number."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._forms: dict[str, _Form] = {}

    def take(self, columns: Columns) -> None:
        """Look at filings of one form."""
        form = self._forms.get(columns.form)
        if form is None:
            scale = Scale(self._catalogue, columns.form)
            form = self._forms[columns.form] = _Form(scale, np.zeros(len(scale.names), np.int64))
        values = columns.values
        form.values += np.count_nonzero(~np.isnan(values) & (values != 0.0), axis=1)
        low, high = form.scale.low[:, None], form.scale.high[:, None]
        if columns.odd is not None and not columns.odd.any():
            return
        outside = (values < low) | (values > high)
        for kind in form.scale.kinds:
            if not outside[kind.places].any():
                continue
            mine, odd = values[kind.places], outside[kind.places]
            for factor in FACTORS[kind.unit]:
                with np.errstate(over="ignore", under="ignore"):
                    right = mine / factor
                off = odd & (right >= kind.low) & (right <= kind.high)
                if off.any():
                    counts = form.off.setdefault(factor, np.zeros(len(form.values), np.int64))
                    counts[kind.places] += off.sum(axis=1)
                    self._remember(form, columns, factor, kind.places, off)

    def _remember(
        self, form: _Form, columns: Columns, factor: float, places: npt.NDArray[np.intp], off: npt.NDArray[np.bool_]
    ) -> None:
        for row in np.flatnonzero(off.any(axis=1)).tolist():
            place = int(places[row])
            held = form.examples.setdefault((factor, place), [])
            for at in np.flatnonzero(off[row])[: EXAMPLES - len(held)].tolist():
                as_of = format_instant(int(columns.as_of[at]))
                held.append((columns.institutions[at], as_of, float(columns.values[place, at])))

    def asked(self) -> list[Asked]:
        """Return the columns in question, by form and in its order; of several factors the first that fits."""
        found = []
        for name, form in self._forms.items():
            for place, indicator in enumerate(form.scale.names):
                for factor, counts in form.off.items():
                    off, values = int(counts[place]), int(form.values[place])
                    if off and off >= MOST * values:
                        plausible = float(form.scale.low[place]), float(form.scale.high[place])
                        examples = tuple(form.examples[factor, place])
                        found.append(Asked(name, indicator, factor, off, values, plausible, examples))
                        break
        return found


def check_columns(
    asked: Sequence[Asked], accepted: Collection[str], by: str, known: Iterable[str], command: str = "submit"
) -> Confirms | None:
    """Return who answers for columns in question, None where there are none.

    accepted: indicators whose scale is right; by: the name of the person who says so; known: all indicators.
    Raises InputError with the question where nobody answers, and for an answer without a name or to no indicator.
    """
    names = list(known)
    for name in accepted:
        if name not in names:
            raise InputError(f"--accept-scale: there is no indicator {name!r}; {nearest(name, names)}".rstrip("; "))
    if accepted and not by.strip():
        raise InputError("--accept-scale needs --by NAME: the person who answers for the units")
    open_ = [one for one in asked if one.indicator not in accepted]
    if open_:
        lines = "\n".join(f"  {one}" for one in open_)
        cure = " ".join(f"--accept-scale {one.indicator}" for one in open_)
        raise InputError(
            f"the units of {len(open_)} column{'s' if len(open_) > 1 else ''} are in question:\n{lines}\n"
            f"correct the file or the mapping's units; if they are right: guanlan {command} … {cure} --by NAME"
        )
    if not asked:
        return None
    told = ", ".join(sorted({one.indicator for one in asked}))
    return Confirms(by.strip()[:64], f"scale accepted with guanlan {command}: {told}"[:500])
