"""Shapley value: what each institution contributes to a measure of the system, on average over all orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
from scipy import sparse

from systemic.arrays import Indices, Mask, Vector
from systemic.registry import Axis, load_inputs, load_measures

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


def attribute(
    name: str, inputs: Mapping[str, Any], permutations: int = 2_000, seed: int = 0, **options: Any
) -> Attribution:
    """Attribute the registered measure `name` of the system to its institutions: Shapley value of its sub-sectors.

    The value of a coalition is the measure of a sector of its members alone, cut out of `inputs` (by name, as the
    measure takes them), and 0 where the measure is not known of it; `options` go to the measure. Tarashev,
    Tsatsaronis & Borio (2016), Risk attribution using the Shapley value, Review of Finance 20(3). KeyError for an
    unknown measure; ValueError for one that is not of the system, or when no input has institutions.

    >>> attribute("hhi", {"values": np.array([1.0, 1.0])}).values.tolist()
    [0.25, 0.25]
    """
    found, vocabulary = load_measures()[name], load_inputs()
    if found.level != "system":
        raise ValueError(f"{name} is a measure of each institution; a measure of the system can be attributed")
    places = {key: vocabulary[key].axes for key in inputs if key in vocabulary}
    sizes = {
        np.shape(inputs[key])[axis]
        for key, axes in places.items()
        for axis, meaning in enumerate(axes)
        if meaning == "institution"
    }
    if len(sizes) != 1:
        raise ValueError(f"the inputs speak of {sorted(sizes) or 'no'} institutions; one number of them is needed")

    def game(members: Mask) -> float:
        chosen = np.flatnonzero(members)
        cut = {key: _cut(value, places.get(key, ()), chosen) for key, value in inputs.items()}
        value = float(found(**cut, **options)) if chosen.size else 0.0
        return value if np.isfinite(value) else 0.0

    return shapley(game, sizes.pop(), permutations, seed)


def _cut(value: Any, axes: tuple[Axis, ...], members: Indices) -> Any:
    """Return the members' part of an input, along each axis of institutions; dense where it was sparse."""
    part: Any = value
    part = part.toarray() if sparse.issparse(value) else np.asarray(value)
    for axis, meaning in enumerate(axes):
        part = np.take(part, members, axis=axis) if meaning == "institution" else part
    return part


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
