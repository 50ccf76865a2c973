"""The section `stress` of a catalogue: sub-indices and their indicators, from which the stress index is made.

```yaml
stress:
  decay: 0.985
  history: 60
  parts:
    - id: funding
      title: {en: Funding, zh: 融资}
      weight: 1
      indicators:
        - {id: overnight, value: "weighted_mean(overnight_funding_spread, interbank_liabilities)"}
        - {id: liquidity, value: "weighted_mean(lcr, total_deposits)", stress: low}
        - {id: index_volatility, series: MARKET, as: volatility}
```

An indicator is a value of the whole system in the rule language, or a series of the topic `market.quotes`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rules.problems import NOWHERE, Place, Problem
from rules.source import Reader, Value
from rules.values import silent_rules

FORM = "measures.stress"
PACK = "stress"
SHAPES = ("level", "change", "volatility", "drawdown")
FEWEST, MOST = 20, 2_000


@dataclass(frozen=True, slots=True)
class StressIndicator:
    """One raw indicator: an expression `value`, or a `series` in a `shape`; `high` says that a high one is stress."""

    id: str
    value: str = ""
    series: str = ""
    shape: str = "level"
    high: bool = True
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class StressPart:
    """A sub-index: its weight among the others, and its indicators, which count alike."""

    id: str
    title: dict[str, str] = field(hash=False)
    weight: float
    indicators: tuple[StressIndicator, ...]
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Stress:
    """How the stress index is made: the parts, the decay of correlations by date, and the dates it needs at least."""

    parts: tuple[StressPart, ...] = ()
    decay: float = 0.985
    history: int = 60

    @property
    def series(self) -> frozenset[str]:
        """Series of the topic `market.quotes` that indicators are made of."""
        return frozenset(i.series for part in self.parts for i in part.indicators if i.series)

    @property
    def indicators(self) -> Iterator[tuple[int, str, StressIndicator]]:
        """Every indicator with the number of its part and its full name, `part.indicator`."""
        for number, part in enumerate(self.parts):
            for indicator in part.indicators:
                yield number, f"{part.id}.{indicator.id}", indicator


def read_stress(value: Value, problems: list[Problem]) -> Stress:
    """Read the section, adding what is wrong to `problems`."""
    r = Reader(value, problems, "'stress'")
    r.only(("decay", "history", "parts"))
    decay, history = float(r.number("decay", 0.985)), r.number("history", 60)
    if not 0 < decay < 1:
        r.problem(r.place("decay"), "shape", f"'decay' must lie between 0 and 1, not at {decay:g}")
    if history not in range(FEWEST, MOST + 1):
        r.problem(r.place("history"), "shape", f"'history' must be a whole number of dates, {FEWEST} to {MOST:,}")
        history = 60
    parts = tuple(_part(entry, problems) for entry in r.items("parts"))
    names = [f"{p.id}.{i.id}" for p in parts for i in p.indicators] + [p.id for p in parts]
    for name in sorted({n for n in names if names.count(n) > 1}):
        r.problem(value.place, "twice", f"the stress indicator or part {name!r} stands twice")
    if not parts:
        r.problem(value.place, "required", "'stress' needs 'parts', at least one")
    return Stress(parts, decay, int(history))


def _part(value: Value, problems: list[Problem]) -> StressPart:
    r = Reader(value, problems, "a part of the stress index")
    r.only(("id", "title", "weight", "indicators"))
    weight = float(r.number("weight", 1.0))
    if not weight > 0:
        r.problem(r.place("weight"), "shape", f"'weight' must be above 0, not {weight:g}")
    indicators = tuple(_indicator(entry, problems) for entry in r.items("indicators"))
    if not indicators:
        r.problem(value.place, "required", "a part of the stress index needs 'indicators', at least one")
    return StressPart(r.text("id"), r.words("title"), weight, indicators, value.place)


def _indicator(value: Value, problems: list[Problem]) -> StressIndicator:
    r = Reader(value, problems, "an indicator of the stress index")
    r.only(("id", "value", "series", "as", "stress"))
    expression, series = r.text("value", ""), r.text("series", "")
    if bool(expression) == bool(series):
        r.problem(
            value.place, "required", f"the stress indicator {r.text('id', '')!r} needs either a value or a series"
        )
    if expression and "as" in r.data:
        r.problem(r.place("as"), "shape", "'as' says how a series is read; a value says it by itself")
    return StressIndicator(
        r.text("id"),
        expression,
        series,
        r.choice("as", SHAPES, "level"),
        r.choice("stress", ("high", "low"), "high") == "high",
        value.place,
    )


def rules_of(stress: Stress) -> str:
    """Return, as the text of a pack, rules that never fire and read every value: so the engine keeps their history."""
    values = [(name, indicator.value) for _, name, indicator in stress.indicators if indicator.value]
    return silent_rules(PACK, "{en: Indicators of the stress index, zh: 压力指数指标}", values)
