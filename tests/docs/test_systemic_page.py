"""The page on measures in the stream names every measure and every reason there is."""

from __future__ import annotations

import re
from pathlib import Path

from rules.catalogue import load_catalogue

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "systemic.md").read_text(encoding="utf-8").partition("# In the stream")[2]


def named() -> set[str]:
    """Return what stands first in a row of a table."""
    cells = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_measure_and_every_reason_stands_on_the_page() -> None:
    """And nothing else does."""
    catalogue = load_catalogue(["cn"])
    measures = {*catalogue.reported("measures.system"), *catalogue.reported("measures.institution")}
    code = (ROOT / "streams" / "measured.py").read_text(encoding="utf-8")
    reasons = set(re.findall(r'"((?:too|no|nothing)_\w+)"', code))
    assert named() == measures | reasons
