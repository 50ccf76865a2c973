"""The stress index of the sector: the history of its indicators, and what they make of a date.

The catalogue says what it is made of (`rules.stress`). Values of the system are read from the engine at the dates
that filings touch; series come from the tape. `measure_stress` is pure, so the worker runs it in a thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from rules.catalogue import MEASURES, SYSTEM, Catalogue
from rules.context import Context
from rules.engine import Engine, FormBatch
from rules.operations import number
from rules.pack import PackText, compile_packs
from rules.plan import Node, Rule
from rules.problems import CatalogueError, PackError, Problem
from rules.stress import FORM, PACK, Stress, StressIndicator, rules_of
from streams.measured import Measured
from streams.tape import DAY, KEPT, RECENT, Line
from systemic.stress.ciss import Composite, composite
from systemic.stress.waterfall import CORRELATION, composite_parts

DATES = 8
MONTH = 20
TWO_YEARS = 500
MIN_COVERAGE = 0.8
INDEX = "stress_index"
WHOLE = (INDEX, "stress_correlation")

Floats = NDArray[np.float64]
Series = tuple[NDArray[np.int64], Floats]


def stress_packs(catalogue: Catalogue) -> list[PackText]:
    """Return the pack whose rules read the values of the stress index; none where the catalogue has no such values.

    Raises CatalogueError, at the indicator's place, for a value that does not compile.
    """
    text = rules_of(catalogue.stress) if catalogue.stress else ""
    if not text:
        return []
    pack = [PackText(text, PACK, True)]
    try:
        rules = compile_packs(pack, replace(catalogue, stress=None)).rules
    except PackError as err:
        raise CatalogueError([_at_home(problem, catalogue.stress, text) for problem in err.problems]) from None
    own = {rule.id for rule in rules if not rule.across and not all(f.startswith(f"{MEASURES}.") for f in rule.forms)}
    if own and catalogue.stress:
        fix = "take it over all of them, as group_mean(x) or weighted_mean(x, w)"
        raise CatalogueError(
            [
                Problem(i.place, "scope", f"the stress indicator {name!r} is a number of one institution", fix)
                for _, name, i in catalogue.stress.indicators
                if f"{PACK}.{name}" in own
            ]
        )
    return pack


def _at_home(problem: Problem, stress: Stress | None, text: str) -> Problem:
    """Return the problem of a generated rule at the indicator that it was made of."""
    assert stress is not None
    place = problem.place
    above = text.splitlines()[: place.line or 0]
    names = [line.removeprefix(f"  - id: {PACK}.") for line in above if line.startswith("  - id: ")]
    found = next((i.place for _, name, i in stress.indicators if names and name == names[-1]), place)
    return replace(problem, place=found)


def pieces(batch: FormBatch, dates: int = DATES) -> Iterator[FormBatch]:
    """Cut a batch, in its order, so that none of the pieces has filings of more than so many dates."""
    if len(np.unique(batch.as_of)) <= dates:
        yield batch
        return
    start, seen = 0, set[int]()
    for position, date in enumerate(batch.as_of.tolist()):
        if date not in seen and len(seen) == dates:
            yield batch.take(np.arange(start, position))
            start, seen = position, set()
        seen.add(date)
    yield batch.take(np.arange(start, len(batch.as_of)))


class StressState(msgspec.Struct):
    """What is kept: by indicator the value of the system at each date, and the dates that are due."""

    history: dict[str, dict[int, float]] = {}
    due: dict[int, int] = {}
    version: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Watched:
    """Indicators as they were known up to a date: names `part.indicator`, in the order of the columns."""

    dates: Mapping[int, int]
    stress: Stress
    names: tuple[str, ...]
    groups: tuple[int, ...]
    series: tuple[Series, ...]
    valid: tuple[int, ...]


class StressBook:
    """Keeps the indicators' history, and says which dates are due."""

    def __init__(self, catalogue: Catalogue, rules: Iterable[Rule]) -> None:
        self.stress = catalogue.stress
        self.state = StressState()
        self._catalogue = catalogue
        named = {rule.id: rule for rule in rules}
        wanted = [] if catalogue.stress is None else list(catalogue.stress.indicators)
        found = {name: named.get(f"{PACK}.{name}") for _, name, _ in wanted}
        self._nodes: dict[str, Node] = {n: rule.levels[0].condition.args[0] for n, rule in found.items() if rule}
        self._forms = {n: rule.forms for n, rule in found.items() if rule}
        self.forms = frozenset[str]().union(*self._forms.values())

    def read(self, engine: Engine, form: str, dates: Iterable[int], at: int) -> bool:
        """Read what filings of a form at these dates, submitted by `at`, make of the system; say whether it moved."""
        row = engine.row(SYSTEM)
        touched = sorted(set(dates))
        moved: list[int] = []
        for name, node in self._nodes.items():
            if form not in self._forms[name] or row < 0:
                continue
            held = self.state.history.setdefault(name, {})
            context = Context(engine.world, np.full(len(touched), row, np.int32), np.array(touched, np.int64))
            for date, value in zip(touched, number(node, context).tolist(), strict=True):
                if not np.isnan(value) and held.get(date) != value:
                    held[date] = value
                    moved.append(date)
            while len(held) > KEPT:
                del held[min(held)]
        if moved:
            self.state.seen = max(self.state.seen, at)
            self.mark(min(moved))
        return bool(moved)

    def dates(self) -> list[int]:
        """Return the newest dates at which an indicator of filings is known, oldest first."""
        return sorted({date for held in self.state.history.values() for date in list(held)[-4 * DATES :]})[-DATES:]

    def mark(self, since: int, dates: Iterable[int] = ()) -> None:
        """Indicators changed from `since` on; `dates` are days that the tape has too."""
        if self.stress is None:
            return
        self.state.version += 1
        newest = sorted({*self.dates(), *dates})[-DATES:]
        self.state.due.update((date, self.state.version) for date in newest if date >= since)

    def done(self, dates: Mapping[int, int]) -> None:
        """The index of these dates was filed, each from its version."""
        for date, version in dates.items():
            if self.state.due.get(date) == version:
                del self.state.due[date]

    def watched(self, lines: Mapping[str, Line]) -> Watched:
        """Return what is known for the dates that are due."""
        assert self.stress is not None
        names: list[str] = []
        groups: list[int] = []
        series: list[Series] = []
        valid: list[int] = []
        for group, name, indicator in self.stress.indicators:
            if indicator.value:
                held = sorted(self.state.history.get(name, {}).items())
                days, values = np.array([d for d, _ in held], np.int64), np.array([v for _, v in held])
                forms = [self._catalogue.forms[form] for form in self._forms.get(name, ())]
                valid.append(int(min((form.validity_days for form in forms), default=0) * DAY))
            else:
                days, values = shaped(lines.get(indicator.series, Line()), indicator)
                valid.append(RECENT)
            names.append(name)
            groups.append(group)
            series.append((days, values if indicator.high else -values))
        return Watched(dict(self.state.due), self.stress, tuple(names), tuple(groups), tuple(series), tuple(valid))


def shaped(line: Line, indicator: StressIndicator) -> Series:
    """Return a market series as an indicator reads it: its level, change, volatility or drawdown.

    Volatility: standard deviation of the last 20 log changes. Drawdown: fall from the highest of 500 days.
    """
    days, levels = np.array(line.days, np.int64), np.array(line.values, np.float64)
    if indicator.shape == "level":
        return days, levels
    if indicator.shape == "change":
        return days[1:], np.diff(levels)
    if indicator.shape == "drawdown":
        highest = np.array([levels[max(0, t + 1 - TWO_YEARS) : t + 1].max() for t in range(len(levels))])
        return days, 1 - levels / highest
    with np.errstate(invalid="ignore", divide="ignore"):
        moves = np.diff(np.log(np.where(levels > 0, levels, np.nan)))
    if len(moves) < MONTH:
        return days[:0], levels[:0]
    turned = np.lib.stride_tricks.sliding_window_view(moves, MONTH)
    return days[MONTH:], np.asarray(turned.std(axis=1, ddof=1))


def shaped_level(line: Line, axis: NDArray[np.int64]) -> Floats:
    """Return a market series' level at each day of an axis: the newest of the ten days up to it, NaN without one."""
    return _held(axis, (np.array(line.days, np.int64), np.array(line.values, np.float64)), RECENT)


def measure_stress(watched: Watched) -> list[Measured]:
    """Compute the index of every date that is due, each with its parts and what moved it since the date before.

    Rows are the dates at which any indicator is known; between its dates an indicator holds as long as it is
    valid. Ranks are recursive, so what is filed for a date is what was known then, revisions aside.
    """
    axis = _axis(watched.series, max(watched.dates))
    table = np.column_stack([_held(axis, s, v) for s, v in zip(watched.series, watched.valid, strict=True)])
    weights = [part.weight for part in watched.stress.parts]
    found: list[Measured] = []
    made: Composite | None = None
    if len(axis) >= watched.stress.history:
        made = composite(
            table, watched.groups, weights, initial=watched.stress.history, decay=watched.stress.decay,
            min_coverage=MIN_COVERAGE,
        )  # fmt: skip
    for date, version in sorted(watched.dates.items()):
        row = int(np.searchsorted(axis, date, side="right")) - 1
        coverage = _coverage(table[row], watched, weights) if row >= 0 else 0.0
        one = Measured(date, version, coverage, {"stress_coverage": coverage}, forms=("", FORM))
        if made is None or row < watched.stress.history - 1:
            detail = f"the indicators have {row + 1} dates; {watched.stress.history} are needed"
            one.lack(_all(watched), "history_too_short", detail)
        elif not np.isfinite(made.index[row]):
            missing = [n for n, value in zip(watched.names, table[row], strict=True) if np.isnan(value)]
            detail = f"{coverage:.0%} of the weight is known; {MIN_COVERAGE:.0%} are needed; missing: "
            one.lack(_all(watched), "too_few_indicators", detail + ", ".join(missing))
        else:
            _tell(one, made, row, watched, axis)
        found.append(one)
    return found


def _all(watched: Watched) -> tuple[str, ...]:
    return (*WHOLE, *(f"stress_{part.id}" for part in watched.stress.parts))


def _axis(series: Sequence[Series], until: int) -> NDArray[np.int64]:
    days = np.unique(np.concatenate([days for days, _ in series])) if series else np.zeros(0, np.int64)
    return days[days <= until][-KEPT:]


def _held(axis: NDArray[np.int64], series: Series, valid: int) -> Floats:
    """Return the newest value at each date of the axis, NaN where there is none or it is too old."""
    days, values = series
    if not len(days):
        return np.full(len(axis), np.nan)
    at = np.searchsorted(days, axis, side="right") - 1
    known = (at >= 0) & (axis - days[np.maximum(at, 0)] <= valid)
    return np.where(known, values[np.maximum(at, 0)], np.nan)


def _coverage(row: Floats, watched: Watched, weights: Sequence[float]) -> float:
    there = {group for group, value in zip(watched.groups, row, strict=True) if not np.isnan(value)}
    return sum(weights[group] for group in there) / sum(weights)


def _tell(one: Measured, made: Composite, row: int, watched: Watched, axis: NDArray[np.int64]) -> None:
    one.system[INDEX] = float(made.index[row])
    one.system["stress_correlation"] = min(0.0, float(made.correlation[row]))
    summed = made.subindex_contributions()[row]
    for part, value, known in zip(watched.stress.parts, summed, made.subindices[row], strict=True):
        if np.isfinite(known):
            one.system[f"stress_{part.id}"] = float(value)
        else:
            one.lack((f"stress_{part.id}",), "too_few_indicators", "none of its indicators is known")
    one.parts[INDEX] = composite_parts(made, row, watched.names)
    if row and np.isfinite(made.index[row - 1]):
        before = composite_parts(made, row - 1, watched.names)
        one.moves[INDEX] = {name: (before[name], now) for name, now in one.parts[INDEX].items()}
    assert CORRELATION in one.parts[INDEX]
