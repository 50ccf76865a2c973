"""The one registry of measures: what each number is called, means, reads, assumes and costs.

A measure is a function of named inputs. The names come from one vocabulary, in which each input has axes
and a unit, so that a single suite of checks can permute institutions, change the currency or blank a value
for every measure there is, and a screen can say what a number needs before it can be computed.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal, TypeVar

Level = Literal["institution", "system"]
Unit = Literal["ratio", "currency", "count", "score", "days", "basis points"]
Sign = Literal["higher is riskier", "lower is riskier", "neither"]
Axis = Literal["institution", "time", "asset", "provider", "indicator", "state"]

LEVELS: tuple[Level, ...] = ("institution", "system")
UNITS: tuple[Unit, ...] = ("ratio", "currency", "count", "score", "days", "basis points")
SIGNS: tuple[Sign, ...] = ("higher is riskier", "lower is riskier", "neither")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Input:
    """A named input of measures: the meaning of each axis, the unit of its values, and what it is.

    `axes` names the array's dimensions in order; an empty tuple is a single number.
    """

    name: str
    axes: tuple[Axis, ...]
    unit: Unit
    what: str


@dataclass(frozen=True, slots=True)
class Measure:
    """A registered measure: its function and everything a reader must know before trusting the number.

    `level` institution: the function returns one number for each institution (float64[n]); system: one
    number. `inputs` and `optional` name its arguments in the vocabulary of inputs; all other arguments of
    the function are options with defaults. `complexity` says what it costs in n institutions, m exposures
    and t dates. `live` says where the worker's stream has it; empty: as a measure of the same name.
    """

    name: str
    title: Mapping[str, str]
    level: Level
    unit: Unit
    sign: Sign
    reference: str
    assumptions: tuple[str, ...]
    complexity: str
    inputs: tuple[str, ...]
    optional: tuple[str, ...]
    function: Callable[..., Any]
    live: str = ""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the measure."""
        return self.function(*args, **kwargs)

    @property
    def summary(self) -> str:
        """First sentence of the function's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


_inputs: dict[str, Input] = {}
_measures: dict[str, Measure] = {}


def declare(name: str, axes: tuple[Axis, ...], unit: Unit, what: str) -> Input:
    """Add an input to the vocabulary; raise ValueError when the name is taken."""
    if name in _inputs:
        raise ValueError(f"the input {name!r} is declared twice; one name has one meaning")
    _inputs[name] = Input(name, axes, unit, what)
    return _inputs[name]


def measure(
    name: str,
    *,
    title: Mapping[str, str],
    level: Level,
    unit: Unit,
    sign: Sign,
    reference: str,
    complexity: str,
    inputs: tuple[str, ...],
    optional: tuple[str, ...] = (),
    assumptions: tuple[str, ...] = (),
    live: str = "",
) -> Callable[[F], F]:
    """Register the decorated function as the measure `name` and return it unchanged.

    Raises ValueError when the name is taken, when a title in English or Chinese, a reference or a docstring
    is missing, or when an input is not in the vocabulary.
    """

    def register(function: F) -> F:
        if name in _measures:
            raise ValueError(f"the measure {name!r} is registered twice; the first is {_origin(name)}")
        missing = {"en", "zh"} - set(title)
        if missing:
            raise ValueError(f"the measure {name!r} needs a title in {' and '.join(sorted(missing))}")
        if not reference or not (function.__doc__ or "").strip():
            raise ValueError(f"the measure {name!r} needs a reference and a docstring")
        for word, allowed, what in ((level, LEVELS, "level"), (unit, UNITS, "unit"), (sign, SIGNS, "sign")):
            if word not in allowed:
                raise ValueError(f"the measure {name!r} has the {what} {word!r}; it is one of {', '.join(allowed)}")
        unknown = [i for i in (*inputs, *optional) if i not in _inputs]
        if unknown:
            raise ValueError(f"the measure {name!r} reads {', '.join(unknown)}, which nothing declares")
        _measures[name] = Measure(
            name, MappingProxyType(dict(title)), level, unit, sign, reference, assumptions, complexity,
            inputs, optional, function, live,
        )  # fmt: skip
        return function

    return register


def _origin(name: str) -> str:
    function = _measures[name].function
    return f"{function.__module__}.{function.__qualname__}"


def load_measures() -> Mapping[str, Measure]:
    """Import every module of this package and return all measures by name, sorted."""
    package = import_module("systemic")
    for found in pkgutil.walk_packages(package.__path__, prefix="systemic."):
        import_module(found.name)
    return MappingProxyType(dict(sorted(_measures.items())))


def load_inputs() -> Mapping[str, Input]:
    """Return the vocabulary of inputs by name, sorted, after importing every module of this package."""
    load_measures()
    return MappingProxyType(dict(sorted(_inputs.items())))


declare("exposures", ("institution", "institution"), "currency", "[i, j] is what i has lent to j; dense or sparse")
declare("buffer", ("institution",), "currency", "the equity that absorbs an institution's losses")
declare("weight", ("institution",), "currency", "economic weight; scaled to sum 1; total assets by custom")
declare("external_assets", ("institution",), "currency", "assets that are not claims on other institutions")
declare("external_liabilities", ("institution",), "currency", "debts to creditors outside the network")
declare("total_assets", ("institution",), "currency", "all assets")
declare("values", ("institution",), "currency", "an amount of each institution, not below zero")
declare("returns", ("time", "institution"), "ratio", "one-period returns of the institutions, oldest first")
declare("market_return", ("time",), "ratio", "one-period returns of the market, same dates as `returns`")
