"""`python -m deploy.parts.licences`: licences of what is installed here, held against deploy/locks/licences.yaml."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

import yaml
from license_expression import ExpressionError, get_spdx_licensing

LIST = Path(__file__).parents[1] / "locks" / "licences.yaml"
OURS = "guanlan"
TROVE = "License :: OSI Approved :: "
_spdx = get_spdx_licensing()


@dataclass(frozen=True, slots=True)
class Allowed:
    """The list: SPDX names, what older classifiers mean, and packages whose licence a person looked up."""

    names: frozenset[str]
    classifiers: dict[str, str]
    packages: dict[str, str]

    @classmethod
    def read(cls, path: Path = LIST) -> Allowed:
        """Read the list from its file."""
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        packages = {name: entry["licence"] for name, entry in told["packages"].items()}
        return cls(frozenset(told["allowed"]), told["classifiers"], packages)


@dataclass(frozen=True, slots=True)
class Found:
    """One package: the licence that it names, and what is wrong with it, empty where nothing is."""

    name: str
    version: str
    licence: str
    wrong: str = ""


def check(package: Distribution, allowed: Allowed) -> Found:
    """Return the licence of one package and whether it is allowed.

    One of several licences that it offers is enough; of several that hold together each must be allowed.
    """
    name, version = package.metadata["Name"], package.version
    if name in allowed.packages:
        return Found(name, version, allowed.packages[name])
    licence = _named(package, allowed)
    if not licence:
        return Found(name, version, "?", "names no licence; look it up and enter it under packages:")
    try:
        expression = _spdx.parse(licence, validate=True)
    except ExpressionError as err:
        return Found(name, version, licence, f"is no SPDX expression ({err}); enter it under packages:")
    some = {key: _spdx.TRUE if key in allowed.names else _spdx.FALSE for key in _keys(expression)}
    if expression.subs({symbol: some[symbol.render()] for symbol in expression.symbols}).simplify() == _spdx.TRUE:
        return Found(name, version, licence)
    refused = ", ".join(sorted(key for key, known in some.items() if known == _spdx.FALSE))
    return Found(name, version, licence, f"{refused} is not on the list")


def check_all(packages: Iterable[Distribution], allowed: Allowed) -> list[Found]:
    """Return every package but Guanlan itself, by name."""
    found = {f.name: f for p in packages if p.metadata["Name"] != OURS for f in [check(p, allowed)]}
    return sorted(found.values(), key=lambda f: f.name.lower())


def _keys(expression: object) -> set[str]:
    return {symbol.render() for symbol in expression.symbols}  # type: ignore[attr-defined]


def _named(package: Distribution, allowed: Allowed) -> str:
    told = package.metadata
    if expression := told.get("License-Expression"):
        return str(expression)
    classifiers = [c.removeprefix(TROVE) for c in told.get_all("Classifier", []) if c.startswith("License :: ")]
    if known := sorted({allowed.classifiers[c] for c in classifiers if c in allowed.classifiers}):
        return " AND ".join(known)
    short = (told.get("License") or "").strip()
    return short if short and "\n" not in short else ""


def main() -> int:
    """Print a line for each package; return 1 where one is not allowed."""
    found = check_all(distributions(), Allowed.read())
    for one in found:
        print(f"{one.name:32} {one.version:18} {one.licence}")
    wrong = [one for one in found if one.wrong]
    for one in wrong:
        print(f"licences: {one.name} {one.version}: {one.wrong}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
