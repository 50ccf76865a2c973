"""What must be true of every measure there is; the registry is asked which there are.

A new measure needs nothing here unless it reads a new input (then `DRAWS` says what such an input looks like), or has
a reason to be an exception (then the table of exceptions gives it).
"""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from systemic.registry import Input, Measure, declare, load_inputs, load_measures, measure

MEASURES = load_measures()
INPUTS = load_inputs()
SIZES = {"institution": 5, "time": 260, "asset": 3, "provider": 4, "indicator": 14, "state": 3}

Draw = Callable[[np.random.Generator, tuple[int, ...]], Any]


def network(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Everyone has lent to the next and to some others, so no share is of nothing."""
    links = (generator.random(shape) < 0.4) | np.roll(np.eye(shape[0], dtype=bool), 1, axis=1)
    amounts = links * generator.lognormal(0, 1, shape)
    np.fill_diagonal(amounts, 0.0)
    return amounts


def shares(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return generator.random(shape) / 2


def hollow_shares(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    drawn = shares(generator, shape)
    np.fill_diagonal(drawn, 0.0)
    return drawn


def amounts(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return generator.lognormal(1, 1, shape)


def returns(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    common = generator.standard_t(5, (shape[0],) + (1,) * (len(shape) - 1))
    return 0.01 * (common + generator.standard_t(5, shape))


def path(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return 100 * np.exp(np.cumsum(0.01 * generator.standard_normal(shape), axis=0))


def flags(generator: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return (generator.random(shape) < 0.5).astype(float)


DRAWS: dict[str, Draw] = {
    "asset_shock": lambda g, shape: -g.random(shape) / 10,
    "breach": flags,
    "buffer": amounts,
    "credit_ratio": lambda g, shape: path(g, shape) / 100,
    "debt": amounts,
    "debt_path": lambda g, shape: np.tile(g.lognormal(5, 0.3, shape[1:]), (shape[0], 1)),
    "dependence": shares,
    "equity_path": path,
    "equity_value": amounts,
    "exposures": network,
    "external_assets": amounts,
    "external_liabilities": amounts,
    "holdings": amounts,
    "indicators": amounts,
    "market_return": returns,
    "nth_party": hollow_shares,
    "price_impact": lambda g, shape: g.random(shape) / 1000,
    "returns": returns,
    "services": amounts,
    "states": lambda g, shape: g.standard_normal(shape),
    "stress_indicators": path,
    "total_assets": amounts,
    "values": amounts,
    "weight": amounts,
}

OPTIONS: dict[str, dict[str, Any]] = {"lrmes_garch": {"paths": 1_000}, "lrmes_simulated": {"paths": 4_000}}
"""Options that make a simulation quick: what must be true is so of few paths too."""

PER_CURRENCY = {"price_impact"}
"""Inputs whose unit is one over currency."""

NOT_PERMUTED: dict[str, str] = {}
"""Measures that depend on the order of institutions, with the reason."""

PARTS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "fire_sale_vulnerability": ("fire_sale_systemicness", np.sum),
    "system_srisk": ("srisk", lambda each: np.maximum(each, 0).sum()),
    "clearing_defaults": ("clearing_payment_ratio", lambda each: (each < 1).sum()),
}
"""System measures that are made up of a measure of institutions: what the parts are put together by."""

DAYS = "days with a missing value are left out of the sample"

COUNTED_WITHOUT: dict[str, str] = {
    "absorption_ratio": DAYS,
    "breadth_of_breach": "an institution that did not report is left out; `breadth` gives bounds and coverage",
    "credit_gap": "the trend runs through a missing quarter; a missing last quarter is NaN",
    "delta_covar": DAYS,
    "distance_to_default": DAYS,
    "dsib_score": "the method counts a missing indicator as zero",
    "delta_covar_states": DAYS,
    "granger_degree": DAYS,
    "gsib_score": "the method counts a missing indicator as zero",
    "lrmes": DAYS,
    "lrmes_garch": DAYS,
    "lrmes_simulated": DAYS,
    "market_beta": DAYS,
    "pcas": DAYS,
    "spillover_index": DAYS,
    "spillover_net": DAYS,
    "srisk": DAYS,
    "stress_index": "a missing indicator leaves its weight to the others; its coverage is bounded below",
    "system_srisk": "an institution without inputs counts as zero",
    "turbulence": DAYS,
}
"""Measures that a missing value in one place leaves a number of the rest, with what the missing one counts as."""

every_measure = pytest.mark.parametrize("name", list(MEASURES))
pytestmark = pytest.mark.filterwarnings("error")


def axes(spec: Input, sizes: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(sizes[axis] for axis in spec.axes)


def arguments(found: Measure, seed: int = 1, sizes: Mapping[str, int] = SIZES) -> dict[str, Any]:
    generator = np.random.default_rng(seed)
    drawn = {n: DRAWS[n](generator, axes(INPUTS[n], sizes)) for n in (*found.inputs, *found.optional)}
    return drawn | OPTIONS.get(found.name, {})


@cache
def usual(name: str) -> Any:
    """Return the measure of the usual draw."""
    return MEASURES[name](**arguments(MEASURES[name]))


def same(found: Measure, actual: Any, expected: Any, tolerance: float = 1e-9) -> None:
    assert np.asarray(actual) == pytest.approx(np.asarray(expected), rel=tolerance, abs=1e-12, nan_ok=True), found.name


def checked_shape(found: Measure, value: Any, size: int) -> None:
    expected = (size,) if found.level == "institution" else ()
    assert np.shape(value) == expected
    assert np.asarray(value).dtype == np.float64


def refused_or_number(found: Measure, given: Mapping[str, Any], size: int) -> Any:
    """Return the checked value, or None when it was refused in a sentence."""
    try:
        value = found(**given)
    except ValueError as err:
        sentence = str(err)
    else:
        checked_shape(found, value, size)
        assert not np.isinf(value).any()
        return np.asarray(value)
    assert " " in sentence, f"{found.name} says only {sentence!r}"
    assert "operand" not in sentence, f"{found.name} lets numpy speak: {sentence}"
    assert "reduction operation" not in sentence, f"{found.name} lets numpy speak: {sentence}"
    return None


@every_measure
def test_it_describes_itself(name: str) -> None:
    """Both titles, one first sentence, a reference with a year, every argument either an input or an option."""
    found = MEASURES[name]
    assert all(found.title[language].strip() for language in ("en", "zh"))
    assert found.summary.endswith((".", ":"))
    assert any(character.isdigit() for character in found.reference)
    assert found.complexity
    parameters = inspect.signature(found.function).parameters
    assert set(found.inputs) | set(found.optional) <= set(parameters)
    required = {n for n, p in parameters.items() if p.default is p.empty and p.kind is not p.VAR_KEYWORD}
    assert required <= set(found.inputs), "an argument without default is an input"


@every_measure
def test_it_gives_numbers_of_its_shape(name: str) -> None:
    value = usual(name)
    checked_shape(MEASURES[name], value, SIZES["institution"])
    assert np.isfinite(value).all()


@every_measure
def test_optional_inputs_are_optional(name: str) -> None:
    found = MEASURES[name]
    given = arguments(found)
    value = found(**{n: v for n, v in given.items() if n not in found.optional})
    checked_shape(found, value, SIZES["institution"])


@every_measure
def test_it_leaves_its_inputs_alone_and_repeats_itself(name: str) -> None:
    found = MEASURES[name]
    given = arguments(found)
    before = {n: v.copy() for n, v in given.items() if n in INPUTS}
    value = found(**given)
    for n, kept in before.items():
        assert np.array_equal(given[n], kept)
    same(found, value, usual(name), 0.0)


@every_measure
@pytest.mark.parametrize("seed", [1, 2])
def test_permuting_institutions_permutes_results(name: str, seed: int) -> None:
    found = MEASURES[name]
    if name in NOT_PERMUTED:
        pytest.skip(NOT_PERMUTED[name])
    given = arguments(found, seed)
    order = np.random.default_rng(seed).permutation(SIZES["institution"])
    moved = {}
    for n, value in given.items():
        for axis, meaning in enumerate(INPUTS[n].axes if n in INPUTS else ()):
            value = np.take(value, order, axis=axis) if meaning == "institution" else value
        moved[n] = value
    expected = found(**given)
    same(found, found(**moved), expected[order] if found.level == "institution" else expected, 1e-6)


@every_measure
@pytest.mark.parametrize("rate", [1e8, 0.137])
def test_a_change_of_currency_changes_amounts_only(name: str, rate: float) -> None:
    found = MEASURES[name]
    given = arguments(found)
    changed = {}
    for n, value in given.items():
        power = 1 if n in INPUTS and INPUTS[n].unit == "currency" else -1 if n in PER_CURRENCY else 0
        changed[n] = value * rate**power if power else value
    factor = rate if found.unit == "currency" else 1.0
    same(found, found(**changed), np.asarray(usual(name)) * factor, 1e-6)


@every_measure
def test_a_missing_value_is_refused_in_a_sentence_or_stays_missing(name: str) -> None:
    """Never a number of the rest in silence: what a missing value counts as stands in a table here."""
    found = MEASURES[name]
    expected = np.asarray(usual(name))
    other = False
    for blank in (*found.inputs, *found.optional):
        given = arguments(found)
        given[blank].flat[1 % given[blank].size] = np.nan
        value = refused_or_number(found, given, SIZES["institution"])
        if value is not None:
            kept = value == expected if found.level == "institution" else False
            other = other or not (np.isnan(value) | kept).all()
    assert other == (name in COUNTED_WITHOUT)


@every_measure
@pytest.mark.parametrize("institutions", [0, 1])
def test_nobody_and_one(name: str, institutions: int) -> None:
    """An empty sector and a single institution give numbers of the right shape, or a sentence that says why not."""
    found = MEASURES[name]
    given = arguments(found, sizes=SIZES | {"institution": institutions})
    refused_or_number(found, given, institutions)


@pytest.mark.parametrize("name", [n for n, m in MEASURES.items() if "exposures" in m.inputs])
def test_sparse_is_dense(name: str) -> None:
    found = MEASURES[name]
    given = arguments(found)
    expected = found(**given)
    for form in (sparse.csr_array, sparse.coo_array, sparse.csc_matrix):
        same(found, found(**given | {"exposures": form(given["exposures"])}), expected, 1e-12)


@pytest.mark.parametrize("whole", PARTS)
def test_parts_make_up_the_whole(whole: str) -> None:
    part, together = PARTS[whole]
    given = arguments(MEASURES[whole])
    assert together(MEASURES[part](**given)) == pytest.approx(MEASURES[whole](**given))


def test_the_registry_refuses_a_second_of_the_same_name() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register("hhi", inputs=("values",))
    with pytest.raises(ValueError, match="declared twice"):
        declare("buffer", ("institution",), "currency", "again")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"title": {"en": "Only English"}}, "title in zh"),
        ({"reference": ""}, "reference and a docstring"),
        ({"inputs": ("nonsense",)}, "which nothing declares"),
        ({"level": "planet"}, "has the level"),
        ({"unit": "bushels"}, "has the unit"),
        ({"sign": "up"}, "has the sign"),
    ],
)
def test_the_registry_asks_for_what_a_reader_needs(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        register("a_name_of_the_test", **change)
    assert "a_name_of_the_test" not in load_measures()


def register(name: str, **change: Any) -> None:
    entry: dict[str, Any] = {
        "title": {"en": "A measure", "zh": "一个指标"},
        "level": "system",
        "unit": "ratio",
        "sign": "neither",
        "reference": "Nobody (2020)",
        "complexity": "O(n)",
        "inputs": ("values",),
    }

    @measure(name, **entry | change)
    def measured(values: Any) -> float:
        """Return nothing."""
        return float(len(values))


def test_each_module_can_be_imported_alone() -> None:
    """An input is declared where a module that reads it gets it, whatever was imported before."""
    modules = sorted({found.function.__module__ for found in MEASURES.values()})
    code = (
        "import sys, importlib\n"
        f"for name in {modules!r}:\n"
        "    for loaded in [m for m in sys.modules if m.split('.')[0] == 'systemic']:\n"
        "        del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_every_input_can_be_drawn() -> None:
    assert set(DRAWS) == set(INPUTS)
