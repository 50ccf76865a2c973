"""Made-up networks for the network tests."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
import numpy as np

from systemic.arrays import Matrix, Vector

SIMULATED = Path(__file__).parent / "simulated_banks"


@dataclass(frozen=True)
class World:
    """A small sector: who has lent what to whom, buffers, assets and debts outside."""

    exposures: Matrix
    buffer: Vector
    external_assets: Vector
    external_liabilities: Vector

    @property
    def size(self) -> int:
        return self.buffer.size


@st.composite
def sectors(draw: st.DrawFn, most: int = 8, least: int = 1) -> World:
    """Draw sectors with isolated members, empty buffers, closed groups, round amounts and ties."""
    size = draw(st.integers(least, most))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    density = draw(st.sampled_from([0.1, 0.4, 0.9]))
    exposures = (generator.random((size, size)) < density) * generator.lognormal(0, 1, (size, size))
    if draw(st.booleans()):
        exposures = np.round(exposures)
    np.fill_diagonal(exposures, 0.0)
    buffer = generator.lognormal(0, 1, size) * draw(st.sampled_from([0.3, 1.0, 5.0]))
    buffer[generator.random(size) < 0.15] = 0.0
    assets = generator.lognormal(0, 1, size) * (generator.random(size) < draw(st.sampled_from([0.4, 1.0])))
    debts = generator.lognormal(0, 1, size) * (generator.random(size) < draw(st.sampled_from([0.0, 0.6, 1.0])))
    return World(exposures, buffer, assets, debts)


def simulated_banks() -> tuple[list[str], Matrix, Vector, Vector]:
    """Return codes, exposures, buffers and weights of `simulated_banks/`; see its README."""
    with (SIMULATED / "institutions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    codes = [row["institution"] for row in rows]
    exposures = np.zeros((len(codes), len(codes)))
    with (SIMULATED / "exposures.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            exposures[codes.index(row["lender"]), codes.index(row["borrower"])] = float(row["amount"])
    buffer = np.array([float(row["buffer"]) for row in rows])
    weight = np.array([float(row["weight"]) for row in rows])
    return codes, exposures, buffer, weight
