"""The page on measures in the stream names every measure and every reason there is."""

from __future__ import annotations

import re
from pathlib import Path

from rules.catalogue import load_catalogue, parse_catalogues
from streams.stress import stress_packs

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "systemic.md").read_text(encoding="utf-8").partition("# In the stream")[2]


def named() -> set[str]:
    """Return what stands first in a row of a table."""
    cells = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


MODULES = (
    "cascades", "common_assets", "importance", "market", "measuring", "simulated", "stress", "third_parties",
    "two_sides", "values",
)  # fmt: skip


def test_every_measure_and_every_reason_stands_on_the_page() -> None:
    """And nothing else does; bounds, parts of the stress index and declared values are explained once for all."""
    catalogue = load_catalogue(["cn"])
    assert catalogue.stress is not None
    parts = {f"stress_{part.id}" for part in catalogue.stress.parts} | {value.id for value in catalogue.values}
    forms = [form for form in catalogue.forms if form.startswith("measures.")]
    measures = {name for form in forms for name in catalogue.reported(form)} - parts
    points = {name for name in measures if not name.endswith(("_low", "_high"))}
    code = "".join((ROOT / "streams" / f"{module}.py").read_text(encoding="utf-8") for module in MODULES)
    reasons = set(re.findall(r'"((?:too|no|nothing|nobody|history|cannot)_\w+)"', code))
    assert named() == points | reasons


def test_the_example_of_a_stress_index_is_one() -> None:
    """It compiles with the catalogue of China's indicators in place of that catalogue's own."""
    (example,) = re.findall(r"```yaml\n(stress:.*?)```", PAGE, re.DOTALL)
    here = ROOT / "rules" / "catalogue"
    text = (here / "cn.yaml").read_text(encoding="utf-8").partition("\nstress:")[0] + "\n" + example
    measures = (here / "measures.yaml").read_text(encoding="utf-8")
    catalogue = parse_catalogues([(text, "cn.yaml"), (measures, "measures.yaml")])
    assert catalogue.stress is not None
    assert stress_packs(catalogue)
    assert catalogue.stress.series == {"MARKET", "bond_spread"}
