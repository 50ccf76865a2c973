"""The section `asset_classes` of a catalogue: what institutions hold, and how far prices fall in the fire-sale shock.

```yaml
asset_classes:
  - {indicator: corporate_bonds, shock: -0.10, price_impact: 0.05}
```
"""

from __future__ import annotations

from dataclasses import dataclass

from rules.problems import NOWHERE, Place, Problem
from rules.source import Reader, Value


@dataclass(frozen=True, slots=True)
class AssetClass:
    """An asset class: the indicator that says how much of it is held, its return in the shock, and its price impact.

    `shock` is a return, -0.1 a fall by a tenth. `price_impact` is the fall of the price if all that is held were sold.
    """

    indicator: str
    shock: float
    price_impact: float
    place: Place = NOWHERE


def read_asset_class(value: Value, problems: list[Problem]) -> AssetClass:
    """Read one class, adding what is wrong to `problems`."""
    r = Reader(value, problems, "an asset class")
    r.only(("indicator", "shock", "price_impact"))
    shock, impact = r.number("shock"), r.number("price_impact")
    if not -1 <= shock <= 0:
        r.problem(r.place("shock"), "shape", f"'shock' must lie between -1 and 0, not at {shock:g}")
    if not 0 <= impact <= 1:
        r.problem(r.place("price_impact"), "shape", f"'price_impact' must lie between 0 and 1, not at {impact:g}")
    return AssetClass(r.text("indicator"), shock, impact, value.place)
