"""Shapley value: what each institution contributes to a measure of the system, on average over all orders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import factorial

import numpy as np

from systemic.arrays import Mask, Vector

EXACT_LIMIT = 16

Game = Callable[[Mask], float]


@dataclass(frozen=True, slots=True)
class Attribution:
    """Contributions of n players, float64[n], which sum to the whole; `error` their standard errors (0 if exact)."""

    values: Vector
    error: Vector
    whole: float


def shapley(game: Game, n: int, permutations: int = 2_000, seed: int = 0) -> Attribution:
    """Attribute `game` to its n players (Shapley 1953; Tarashev, Tsatsaronis & Borio 2016 for systemic risk).

    `game` takes a coalition (bool[n]) and returns its value; the empty coalition's value is taken off. Up to
    16 players all 2ⁿ coalitions are valued, and the parts sum to the whole exactly; beyond, `permutations`
    random orders are walked (Castro et al. 2009), the parts of each sum to the whole, and `error` says how
    sure each is. O(2ⁿ) or O(permutations · n) values of the game.
    """
    if n < 0:
        raise ValueError("the number of players is negative")
    if n == 0:
        return Attribution(np.zeros(0), np.zeros(0), 0.0)
    return _exact(game, n) if n <= EXACT_LIMIT else _sampled(game, n, permutations, seed)


def _exact(game: Game, n: int) -> Attribution:
    coalitions = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
    value = np.array([game(coalition) for coalition in coalitions])
    sizes = coalitions.sum(axis=1)
    weight = np.array([factorial(s) * factorial(n - s - 1) / factorial(n) for s in range(n)])
    parts = np.empty(n)
    for player in range(n):
        without = np.flatnonzero(~coalitions[:, player])
        gain = value[without | (1 << player)] - value[without]
        parts[player] = gain @ weight[sizes[without]]
    return Attribution(parts, np.zeros(n), float(value[-1] - value[0]))


def _sampled(game: Game, n: int, permutations: int, seed: int) -> Attribution:
    if permutations < 2:
        raise ValueError("at least two permutations are needed to say how sure the values are")
    rng = np.random.default_rng(seed)
    gains = np.empty((permutations, n))
    empty = game(np.zeros(n, np.bool_))
    for walk in range(permutations):
        coalition = np.zeros(n, np.bool_)
        before = empty
        for player in rng.permutation(n):
            coalition[player] = True
            after = game(coalition.copy())
            gains[walk, player] = after - before
            before = after
    error = gains.std(axis=0, ddof=1) / np.sqrt(permutations)
    return Attribution(gains.mean(axis=0), error, game(np.ones(n, np.bool_)) - empty)
