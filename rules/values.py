"""The section `values` of a catalogue: values of the whole system that are measures of their own.

```yaml
values:
  - id: assets_hhi
    title: {en: Concentration of total assets, zh: 资产集中度}
    unit: ratio
    direction: lower
    value: hhi(total_assets)
```

A value is an expression of the rule language over all institutions. Rules name it as any indicator.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from rules.problems import NOWHERE, Place, Problem
from rules.source import Reader, Value

FORM = "measures.values"
PACK = "values"


@dataclass(frozen=True, slots=True)
class SystemValue:
    """A declared value: its id, titles, unit, which way is better, and its expression."""

    id: str
    title: dict[str, str] = field(hash=False)
    unit: str
    direction: str
    value: str
    place: Place = NOWHERE


def read_value(value: Value, problems: list[Problem], units: Iterable[str], directions: Iterable[str]) -> SystemValue:
    """Read one value, adding what is wrong to `problems`."""
    r = Reader(value, problems, "a value of the system")
    r.only(("id", "title", "unit", "direction", "value"))
    unit, direction = r.choice("unit", units, "ratio"), r.choice("direction", directions, "none")
    return SystemValue(r.text("id"), r.words("title"), unit, direction, r.text("value"), value.place)


def silent_rules(pack: str, title: str, values: Iterable[tuple[str, str]]) -> str:
    """Return, as the text of a pack, rules that never fire and read each (name, expression): the engine keeps history.

    A value that does not differ from itself has no level; one that can't be known is counted as unknown. Empty where
    there are no values.
    """
    lines = [f"pack: {pack}", 'version: "1"', f"title: {title}", "rules:"]
    for name, expression in values:
        condition = f"({expression}) != ({expression})".replace("'", "''")
        lines += [
            f"  - id: {pack}.{name}",
            f"    title: {{en: Value {name}, zh: 系统值{name}}}",
            "    scope: system",
            "    status: shadow",
            f"    levels: {{watch: '{condition}'}}",
            f"    message: {{en: {name}}}",
        ]
    return "\n".join(lines) + "\n" if len(lines) > 4 else ""
