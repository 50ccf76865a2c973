"""Networks from margins: both margins met, nothing on the diagonal, by hand where there is one answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from systemic.network.reconstruction import fill_in, max_entropy, min_density, spread


def margins(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Margins of a random network, so that one exists; some institutions only lend, some only borrow."""
    rng = np.random.default_rng(seed)
    network = rng.pareto(1.0, (n, n)) * (rng.random((n, n)) < 0.5)
    np.fill_diagonal(network, 0)
    return network.sum(axis=1), network.sum(axis=0)


@given(st.integers(0, 2**32 - 1), st.integers(3, 12))
def test_maximum_entropy_meets_both_margins(seed: int, n: int) -> None:
    lent, owed = margins(seed, n)
    network = max_entropy(lent, owed)
    scale = max(lent.sum(), 1e-300)
    assert np.abs(network.sum(axis=1) - lent).max() <= 1e-8 * scale
    assert np.abs(network.sum(axis=0) - owed).max() <= 1e-8 * scale
    assert not np.diagonal(network).any()
    assert (network >= 0).all()


@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.integers(0, 5))
def test_minimum_density_meets_both_margins_with_few_links(seed: int, n: int, draw: int) -> None:
    lent, owed = margins(seed, n)
    network = min_density(lent, owed, draw)
    scale = max(lent.sum(), 1e-300)
    assert np.abs(network.sum(axis=1) - lent).max() <= 1e-6 * scale
    assert np.abs(network.sum(axis=0) - owed).max() <= 1e-6 * scale
    assert not np.diagonal(network).any()
    assert (network > 0).sum() <= 3 * n


def test_equal_margins_spread_evenly() -> None:
    """Four institutions that each lend and borrow 3: 1 to each other, by symmetry."""
    assert max_entropy([3] * 4, [3] * 4) == pytest.approx(np.ones((4, 4)) - np.eye(4))


def test_maximum_entropy_is_a_product_off_the_diagonal() -> None:
    """First-order condition: xᵢⱼ xₖₗ = xᵢₗ xₖⱼ for four different institutions."""
    x = max_entropy([4, 3, 2, 5], [3, 5, 4, 2])
    assert x[0, 2] * x[1, 3] == pytest.approx(x[0, 3] * x[1, 2])


def test_one_lender_and_a_star_have_one_answer() -> None:
    assert max_entropy([6, 0, 0], [0, 4, 2]).tolist() == [[0, 4, 2], [0, 0, 0], [0, 0, 0]]
    assert max_entropy([5, 2, 1], [3, 4, 1]).tolist() == [[0, 4, 1], [2, 0, 0], [1, 0, 0]]


def test_the_same_seed_draws_the_same_network() -> None:
    lent, owed = margins(1, 8)
    assert min_density(lent, owed, 7).tolist() == min_density(lent, owed, 7).tolist()


@pytest.mark.parametrize(
    ("lent", "owed", "message"),
    [
        ([1, 2], [1, 1], "must be equal"),
        ([9, 1], [9, 1], "no network with a zero diagonal"),
        ([-1, 2], [1, 0], "below 0"),
    ],
)
@pytest.mark.parametrize("method", [max_entropy, min_density])
def test_margins_that_no_network_has_are_refused(method, lent, owed, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        method(lent, owed)


def test_nobody_lends() -> None:
    assert max_entropy([0, 0], [0, 0]).tolist() == [[0, 0], [0, 0]]
    assert min_density([], []).shape == (0, 0)


def test_the_spread_holds_the_values_of_all_reconstructions() -> None:
    lent, owed = margins(3, 8)
    found = spread(lambda x: float((x > 0).sum()), lent, owed, seeds=range(5))
    assert found.values.size == 6
    assert found.low <= found.median <= found.high == found.values[0]


@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 0, 1]))
def test_what_is_filled_in_keeps_what_is_known_and_the_totals(seed: int, draw: int | None) -> None:
    """Known rows stay; unknown ones lend no more than their totals, all of it where the others' debts allow."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 9))
    truth = rng.lognormal(0, 1, (n, n)) * (rng.random((n, n)) < 0.6)
    np.fill_diagonal(truth, 0.0)
    known = rng.random(n) < 0.5
    lent, owed = truth.sum(axis=1), truth.sum(axis=0)
    found = fill_in(truth * known[:, None], known, lent, owed, draw).toarray()
    assert found[known] == pytest.approx(truth[known])
    assert np.diag(found).tolist() == [0.0] * n
    slack = 1e-6 * max(1.0, lent.sum())
    assert (found.sum(axis=1) <= lent + slack).all()
    assert (found.sum(axis=0) <= owed + slack).all()
    assert found.sum() == pytest.approx(truth.sum(), abs=1e-6 * max(1.0, truth.sum()))


def test_totals_that_do_not_match_are_taken_by_somebody_outside() -> None:
    """A lends 10 in all and nobody owes more than 4: the other 6 are outside, and so are debts nobody has lent."""
    found = fill_in(np.zeros((3, 3)), [False, True, True], [10, 0, 0], [3, 4, 0]).toarray()
    assert found == pytest.approx(np.array([[0, 4, 0], [0, 0, 0], [0, 0, 0]]), abs=1e-5)
    lonely = fill_in(np.zeros((2, 2)), [False, True], [10, 0], [10, 0], 0)
    assert lonely.nnz == 0
