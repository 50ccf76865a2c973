"""The FDIC's quarterly financials, which tests may use where they stand beside the project."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "fdic"
FINANCIALS = FOLDER / "financials.csv"
INSTITUTIONS = FOLDER / "institutions.csv"
SILICON_VALLEY_BANK = "24735"

needs_fdic = pytest.mark.skipif(not FINANCIALS.exists(), reason="the FDIC's data do not stand beside the project")
