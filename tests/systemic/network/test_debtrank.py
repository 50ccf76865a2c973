"""Linear DebtRank: closed forms, a plain iteration, and the ways a network can be odd."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from systemic.arrays import Matrix, Vector
from systemic.network.contagion import prepare
from systemic.network.debtrank import LinearDebtRank, impact_vulnerability, linear_debtrank, one_by_one
from tests.systemic.network.worlds import World, sectors


def ring(size: int, share: float) -> Matrix:
    """Each has lent `share` of its buffer of 1 to the next."""
    return share * np.roll(np.eye(size), 1, axis=1)


def test_a_ring_by_hand() -> None:
    """Buffers 1, each lends ½ to the next, A fails: C (lender to A) ½, B ¼, and ⅛ comes back to A.

    Additional stress counts A no further than 1: (½ + ¼) / 3. Additional losses count all: ½ + ¼ + ⅛.
    """
    end = linear_debtrank(ring(3, 0.5), np.ones(3), [1.0, 0.0, 0.0])
    assert end.h == pytest.approx([1.125, 0.25, 0.5], abs=1e-15)
    assert end.additional_stress == pytest.approx(0.25, abs=1e-15)
    assert end.additional_losses == pytest.approx(0.875, abs=1e-15)
    assert end.additional_defaults == 0


def test_all_fail_by_hand() -> None:
    """The example network of R's NetworkRiskMeasures (help page risk_matrix): everything A touches fails.

    Λ = exposures / buffer = [[0, ½, 0], [2, 0, 0.6], [1.5, 1, 0]]; with all at 1, h = (1 + ½, 2.6, 2.5).
    """
    end = linear_debtrank([[0, 1, 0], [10, 0, 3], [3, 2, 0]], [2, 5, 2], [1.0, 0.0, 0.0], [10, 100, 30])
    assert end.h == pytest.approx([1.5, 2.6, 2.5])
    assert end.additional_stress == pytest.approx(130 / 140)
    assert end.additional_losses == pytest.approx(0.5 * 2 + 2.6 * 5 + 2.5 * 2)
    assert end.additional_defaults == 2


@pytest.mark.parametrize("share", [0.5, 0.99, 0.9999, 1.0 - 1e-7])
def test_a_shock_to_all_in_a_ring_is_a_geometric_series(share: float) -> None:
    """h = s + share · h, so h = s / (1 − share): exact where plain iteration would need 1 / (1 − share) sweeps."""
    shock = 0.25 * (1.0 - share)
    end = linear_debtrank(ring(50, share), np.ones(50), np.full(50, shock))
    assert end.h == pytest.approx(np.full(50, shock / (1.0 - share)), rel=1e-8 if share > 0.9999 else 1e-11)


def test_a_complete_network_with_a_weak_half() -> None:
    """Ten banks lend 1 to each other; five have a buffer of 10, five of 20; all lose 4 % of it at first.

    Strong and weak alike: hᵢ = 0.04 + (Σⱼ hⱼ − hᵢ) / bᵢ. With S the sum: hᵢ (1 + 1/bᵢ) = 0.04 + S / bᵢ, so
    weak 11 h = 0.4 + S, strong 21 h = 0.8 + S, S = 5 (0.4 + S) / 11 + 5 (0.8 + S) / 21.
    """
    buffer = np.repeat([10.0, 20.0], 5)
    total = (2 / 11 + 4 / 21) / (1 - 5 / 11 - 5 / 21)
    end = linear_debtrank(np.ones((10, 10)) - np.eye(10), buffer, np.full(10, 0.04))
    assert end.h == pytest.approx(np.repeat([(0.4 + total) / 11, (0.8 + total) / 21], 5), abs=1e-14)


def test_what_no_stress_reaches_stays_calm() -> None:
    """C and D have lent each other three times their buffers; A's default does not concern them.

    (1, 1) solves their own equation too, but nothing starts it: the solution is the least one.
    """
    exposures = np.zeros((4, 4))
    exposures[1, 0] = 1.0
    exposures[2, 3] = exposures[3, 2] = 3.0
    end = linear_debtrank(exposures, [1, 2, 1, 1], [1.0, 0, 0, 0])
    assert end.h.tolist() == [1.0, 0.5, 0.0, 0.0]


def test_the_smallest_stress_fells_an_unstable_ring() -> None:
    """With Λ = 2 around a ring any stress doubles until all fail."""
    end = linear_debtrank(ring(4, 2.0), np.ones(4), [1e-9, 0, 0, 0])
    assert end.stress.tolist() == [1.0] * 4


def test_an_institution_without_buffer_fails_at_any_loss_and_only_then() -> None:
    """B, without buffer, has lent 4 to A, which loses a tenth: B loses 0.4, fails, and C loses all its 3 on B."""
    exposures = np.zeros((4, 4))
    exposures[1, 0], exposures[2, 1] = 4.0, 3.0
    end = linear_debtrank(exposures, [5, 0, 6, 0], [0.1, 0, 0, 0])
    assert end.h == pytest.approx([0.1, 1.0, 0.5, 0.0])
    assert end.losses == pytest.approx([0.5, 0.4, 3.0, 0.0])
    assert end.additional_defaults == 1


def test_recovery_spares_its_share() -> None:
    half = linear_debtrank(ring(3, 1.0), np.ones(3), [1.0, 0, 0], recovery=0.5)
    assert half.h == pytest.approx(linear_debtrank(ring(3, 0.5), np.ones(3), [1.0, 0, 0]).h)


def test_shock_beyond_the_buffer_counts_in_losses_alone() -> None:
    end = linear_debtrank(ring(2, 0.5), np.ones(2), [3.0, 0.0])
    assert end.h == pytest.approx([3.25, 0.5])
    assert (end.original_stress, end.original_losses) == (0.5, 3.0)


def test_impact_and_vulnerability_by_hand() -> None:
    """The ring of three: each default puts ½ and ¼ on the others, and each suffers (½ + ¼) / 2 on average."""
    found = impact_vulnerability(ring(3, 0.5), np.ones(3), [1.0, 1.0, 2.0])
    assert found.impact == pytest.approx([(0.25 + 2 * 0.5) / 4, (0.5 + 2 * 0.25) / 4, (0.25 + 0.5) / 4])
    assert found.vulnerability == pytest.approx([0.375] * 3)
    assert found.losses == pytest.approx([0.875] * 3)
    assert found.defaults.tolist() == [0.0] * 3


def test_nobody_and_one() -> None:
    empty = linear_debtrank(np.zeros((0, 0)), [], [])
    assert empty.h.shape == (0,)
    assert empty.additional_stress == 0.0
    alone = impact_vulnerability([[0.0]], [3.0])
    assert (alone.impact.tolist(), alone.vulnerability.tolist()) == ([0.0], [0.0])


@pytest.mark.parametrize(
    ("exposures", "buffer", "shock", "words"),
    [
        ([[0, 1]], [1], [1], "square"),
        ([[0, np.nan], [0, 0]], [1, 1], [1, 0], "missing"),
        ([[0, -1], [0, 0]], [1, 1], [1, 0], "negative"),
        ([[1, 0], [0, 0]], [1, 1], [1, 0], "lent to itself"),
        ([[0, 1], [0, 0]], [1, np.nan], [1, 0], "buffer has a missing"),
        ([[0, 1], [0, 0]], [1, -1], [1, 0], "buffer has a value below 0"),
        ([[0, 1], [0, 0]], [1], [1, 0], "buffer must be 2 numbers"),
        ([[0, 1], [0, 0]], [1, 1], [1, 0, 0], "one row for each of 2"),
        ([[0, 1], [0, 0]], [1, 1], [-1, 0], "below zero"),
    ],
)
def test_what_is_wrong_is_said(exposures: object, buffer: list[float], shock: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        linear_debtrank(exposures, buffer, shock)


def iterated(world: World, shocks: Matrix) -> Matrix:
    """Plain iteration from the shock until nothing changes: what each passes on."""
    passed = np.minimum(shocks, 1.0)
    bare = world.buffer == 0.0
    for _ in range(20_000):
        inflow = world.exposures @ passed
        with np.errstate(divide="ignore", invalid="ignore"):
            grown = np.minimum(1.0, shocks + inflow / world.buffer[:, None])
        grown[bare] = np.where(inflow[bare] > 0.0, 1.0, passed[bare])
        if np.abs(grown - passed).max(initial=0.0) < 1e-16:
            break
        passed = np.maximum(grown, passed)
    return passed


@given(sectors(), st.integers(0, 2**32 - 1))
def test_policy_iteration_is_the_limit_of_plain_iteration(world: World, seed: int) -> None:
    """With one shock (no inverse) and with many (one inverse for all), the limit is the same to 1e-9."""
    generator = np.random.default_rng(seed)
    shocks = np.column_stack((np.eye(world.size), generator.random((world.size, 3)) * 0.4))
    network = prepare(world.exposures, world.buffer, None, 0.0)
    expected = iterated(world, shocks)
    assert LinearDebtRank(network, scenarios=1).solve(shocks) == pytest.approx(expected, abs=1e-9)
    assert LinearDebtRank(network, scenarios=10**9).solve(shocks) == pytest.approx(expected, abs=1e-9)


def fixed_point_error(world: World, passed: Vector, shock: Vector) -> float:
    network = prepare(world.exposures, world.buffer, None, 0.0)
    free = ~network.bare
    return float(np.abs(np.minimum(1.0, shock + network.flow @ passed) - passed)[free].max(initial=0.0))


@given(sectors(), st.floats(0.0, 1.0))
def test_the_end_state_is_a_fixed_point(world: World, size: float) -> None:
    shock = np.full(world.size, size)
    end = linear_debtrank(world.exposures, world.buffer, shock)
    assert fixed_point_error(world, end.stress, shock) <= 1e-13


@given(sectors())
def test_sparse_is_dense_and_all_at_once_is_one_by_one(world: World) -> None:
    alone = np.eye(world.size)
    together = linear_debtrank(world.exposures, world.buffer, alone)
    for form in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
        again = linear_debtrank(form(world.exposures), world.buffer, alone)
        assert np.array_equal(again.h, together.h)
    for j in range(world.size):
        one = linear_debtrank(world.exposures, world.buffer, alone[:, j])
        assert one.h == pytest.approx(together.h[:, j], abs=1e-12)


@pytest.mark.parametrize("radius", [0.9, 0.999, 1.2])
def test_many_shocks_on_a_larger_network(radius: float) -> None:
    """300 institutions with uneven buffers: all single defaults at once agree with each solved alone."""
    generator = np.random.default_rng(5)
    exposures = sparse.random_array((300, 300), density=0.05, rng=generator, format="csr")
    exposures.setdiag(0.0)
    buffer = np.asarray(exposures.sum(axis=1)) * generator.lognormal(0, 0.7, 300) + 0.01
    flow = sparse.diags_array(1 / buffer) @ exposures
    buffer *= abs(np.linalg.eigvals(flow.toarray())).max() / radius
    found = impact_vulnerability(exposures, buffer)
    for j in range(0, 300, 37):
        alone = linear_debtrank(exposures, buffer, np.eye(300)[j])
        assert alone.additional_stress == pytest.approx(found.impact[j], abs=1e-12)
        assert alone.additional_losses == pytest.approx(found.losses[j], abs=1e-10)


def held_from_above(flow: Matrix, shock: Vector) -> Vector:
    """The same least solution for one scenario, by dense systems: all at 1, release those below 1, repeat."""
    capped = np.ones(shock.size, dtype=bool)
    while True:
        free = np.flatnonzero(~capped)
        x = np.ones(shock.size)
        system = np.eye(free.size) - flow[np.ix_(free, free)]
        x[free] = np.linalg.solve(system, shock[free] + flow[np.ix_(free, np.flatnonzero(capped))].sum(axis=1))
        still = capped & (shock + flow @ x >= 1.0)
        if np.array_equal(still, capped):
            return x
        capped = still


def sector_of_radius(radius: float, size: int = 90) -> tuple[sparse.csr_array, Vector]:
    generator = np.random.default_rng(7)
    exposures = sparse.random_array((size, size), density=0.15, rng=generator, format="csr")
    exposures.setdiag(0.0)
    exposures.eliminate_zeros()
    buffer = np.asarray(exposures.sum(axis=1)) * generator.lognormal(0, 0.7, size) + 0.01
    found = abs(np.linalg.eigvals(exposures.toarray() / buffer[:, None])).max()
    return exposures, buffer * found / radius


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("radius", [0.5, 0.97, 1 - 1e-4, 1 - 1e-9, 1 - 1e-15, 1.0, 1 + 1e-12, 1 + 1e-6, 1.2, 4.0])
def test_all_failures_at_once_are_each_alone_whatever_the_radius(radius: float) -> None:
    """To 1e-12, below, at and above the radius at which small shocks stop dying out; on both ways to all of them."""
    exposures, buffer = sector_of_radius(radius)
    size = buffer.size
    flow = exposures.toarray() / buffer[:, None]
    network = prepare(exposures, buffer, None, 0.0)
    alone = [held_from_above(flow, np.eye(size)[j]) for j in range(size)]
    vulnerable = (np.sum(alone, axis=0) - 1.0) / (size - 1)
    for found in (impact_vulnerability(exposures, buffer), one_by_one(network)):
        assert found.impact == pytest.approx([(x.sum() - 1) / size for x in alone], abs=1e-12)
        assert found.losses == pytest.approx([(exposures @ x).sum() for x in alone], rel=1e-12)
        assert found.defaults.tolist() == [float((x > 1 - 1e-12).sum() - 1) for x in alone]
        assert found.vulnerability == pytest.approx(vulnerable, abs=1e-12)


def test_an_exposure_as_large_as_the_buffer_is_a_default() -> None:
    """A lends B exactly its buffer; C lends A a third of its: one default, at h = 1 to rounding."""
    exposures = np.array([[0, 0.3, 0], [0, 0, 0], [0.1, 0, 0]])
    assert impact_vulnerability(exposures, [0.3, 1.0, 0.3]).defaults.tolist() == [0.0, 1.0, 0.0]


@given(sectors())
def test_both_ways_to_all_failures_agree(world: World) -> None:
    fast = impact_vulnerability(world.exposures, world.buffer)
    slow = one_by_one(prepare(world.exposures, world.buffer, None, 0.0))
    for name in ("impact", "losses", "defaults", "vulnerability"):
        assert getattr(fast, name) == pytest.approx(getattr(slow, name), rel=1e-11, abs=1e-11)
