"""DebtRank kept up to date: after every change it equals a full computation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from systemic.arrays import Matrix, Vector
from systemic.network.debtrank import Impacts, impact_vulnerability
from systemic.network.resolvent import RANK
from systemic.network.running import RunningImpacts
from tests.systemic.network.worlds import World, sectors


def agree(found: Impacts, expected: Impacts) -> None:
    for name in ("impact", "losses", "defaults", "vulnerability"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-9), name


def calm_sector(size: int, radius: float, seed: int) -> tuple[Matrix, Vector]:
    """Return a network whose spectral radius is `radius`, with buffers uneven enough for defaults to spread."""
    generator = np.random.default_rng(seed)
    exposures = (generator.random((size, size)) < 0.2) * generator.lognormal(0, 1, (size, size))
    np.fill_diagonal(exposures, 0.0)
    buffer = exposures.sum(axis=1) * generator.lognormal(0, 1, size) + 0.01
    return exposures, buffer * abs(np.linalg.eigvals(exposures / buffer[:, None])).max() / radius


@pytest.mark.parametrize("radius", [0.3, 0.9])
def test_many_changes_in_a_row(radius: float) -> None:
    """Three times as many as are kept as factors, with new buffers, empty rows and recovery."""
    exposures, buffer = calm_sector(40, radius, 3)
    weight = exposures.sum(axis=0) + 1.0
    running = RunningImpacts(exposures, buffer, weight, recovery=0.2)
    generator = np.random.default_rng(4)
    for change in range(3 * RANK):
        i = int(generator.integers(40))
        exposures[i] = exposures[i] * generator.lognormal(0, 0.3, 40) if change % 7 else 0.0
        buffer[i] *= generator.uniform(0.9, 1.2)
        found = running.replace(i, exposures[i] if change % 2 else sparse.csr_array(exposures[[i]]), buffer[i])
        agree(found, impact_vulnerability(exposures, buffer, weight, recovery=0.2))
    assert running.incremental
    assert np.array_equal(running.exposures.toarray(), exposures)


def test_a_change_that_makes_the_sector_unstable_and_back() -> None:
    """Where small shocks grow the inverse says nothing: full computations, until the sector is calm again."""
    exposures = np.array([[0, 0.5], [0.5, 0]])
    running = RunningImpacts(exposures, [1, 1])
    assert running.incremental
    wild = running.replace(0, [0, 5.0])
    assert not running.incremental
    agree(wild, impact_vulnerability([[0, 5.0], [0.5, 0]], [1, 1]))
    calm = running.replace(0, [0, 0.5])
    assert running.incremental
    agree(calm, impact_vulnerability(exposures, [1, 1]))


def test_a_lender_without_buffer_is_computed_in_full() -> None:
    running = RunningImpacts([[0, 1], [0, 0]], [2, 1])
    found = running.replace(0, [0, 1], buffer=0.0)
    assert not running.incremental
    assert found.defaults.tolist() == [0.0, 1.0]


@given(sectors(least=2), st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_any_sector_any_change(world: World, seed: int) -> None:
    generator = np.random.default_rng(seed)
    exposures = world.exposures.copy()
    running = RunningImpacts(exposures, world.buffer)
    agree(running.impacts(), impact_vulnerability(exposures, world.buffer))
    for _ in range(3):
        i = int(generator.integers(world.size))
        exposures[i] = generator.lognormal(0, 1, world.size) * (generator.random(world.size) < 0.5)
        exposures[i, i] = 0.0
        agree(running.replace(i, exposures[i]), impact_vulnerability(exposures, world.buffer))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((5, [0, 1]), "no institution 5"),
        ((0, [0, 1, 2]), "exposures must be 2 amounts"),
        ((0, [1, 0]), "lent to oneself"),
        ((0, [0, -1]), "negative"),
        ((0, [0, np.nan]), "missing"),
        ((0, [0, 1], -1.0), "buffer has a value below 0"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(arguments: tuple[object, ...], words: str) -> None:
    running = RunningImpacts([[0, 1], [0, 0]], [2, 1])
    before = running.impacts()
    with pytest.raises(ValueError, match=words):
        running.replace(*arguments)  # type: ignore[arg-type]
    agree(running.impacts(), before)


def test_nobody() -> None:
    assert RunningImpacts(np.zeros((0, 0)), []).impacts().impact.shape == (0,)
