"""Scenario files: YAML and the tables it names, read into what the scenario engine takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guanlan.decimals import plain_number
from guanlan.network_tables import read_network, read_sheet
from rules.problems import InputError, Place, Problem, nearest
from rules.source import Reader, SourceProblem, Value, parse_yaml
from systemic.arrays import Vector
from systemic.network.providers import outages
from systemic.whatif import Model, Sector, Shock, sector

KEYS = (
    "scenario",
    "network",
    "balance_sheets",
    "holdings",
    "dependence",
    "groups",
    "shocks",
    "severity",
    "grid",
    "model",
    "rules",
)
OUTCOMES = ("ratio", "equity", "assets", "loss_share")
ALL_OTHERS = "external_assets"
KINDS = ("institutions", "equity", "asset_classes", "funding", "providers")
MAX_CELLS = 400


@dataclass(frozen=True, slots=True)
class RuleRequest:
    """Which packs judge the end: what each indicator is there, and who the institutions are."""

    packs: tuple[str, ...]
    catalogue: tuple[str, ...]
    indicators: Mapping[str, str]
    institutions: Path | None


@dataclass(frozen=True, slots=True)
class Grid:
    """Two kinds of shock, each at several severities, the others at 1; `shocks[i][j]` is of rows[i], columns[j]."""

    kinds: tuple[str, str]
    rows: tuple[float, ...]
    columns: tuple[float, ...]
    shocks: tuple[tuple[Shock, ...], ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario ready to run: the sector before, the shock at severity 1, severities, and how all answer."""

    title: str
    names: tuple[str, ...]
    classes: tuple[str, ...]
    before: Sector
    shock: Shock
    severities: tuple[float, ...]
    model: Model
    rules: RuleRequest | None
    grid: Grid | None = None


def read_scenario(path: Path, packs: Sequence[str] = ()) -> Scenario:
    """Read a scenario and the files it names, relative to it; InputError lists every problem with its line.

    `packs` (names, or paths relative to the working directory) judge in place of the scenario's own.
    """
    try:
        root = parse_yaml(path.read_text(encoding="utf-8"), str(path))
    except SourceProblem as err:
        raise InputError(str(err)) from None
    except OSError as err:
        raise InputError(f"{path} can't be read: {err.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8") from None
    problems: list[Problem] = []
    reader = _Scenario(root, problems, path.parent, tuple(packs))
    found = reader.read(path.stem)
    if problems:
        raise InputError("\n".join(map(str, problems)))
    return found


class _Scenario:
    """Reads one file; what is wrong goes to `problems` and a harmless default comes back."""

    def __init__(self, root: Value, problems: list[Problem], folder: Path, packs: tuple[str, ...]) -> None:
        self.problems = problems
        self.packs = packs
        self.top = Reader(root, problems, "a scenario")
        self.folder = folder

    def read(self, name: str) -> Scenario:
        self.top.only(KEYS)
        network, sheet = self.top.text("network"), self.top.text("balance_sheets")
        if not network or not sheet:
            raise InputError("\n".join(map(str, self.problems)))
        banks = read_sheet(self.folder / sheet)
        _, exposures = read_network(self.folder / network, banks.institutions)
        size = len(banks.institutions)
        holdings, classes = self._holdings(banks.institutions)
        if holdings is None:
            holdings, classes = banks.column(ALL_OTHERS)[:, None], (ALL_OTHERS,)
        cash = banks.column("cash", 0.0)
        debts = banks.column("external_liabilities")
        assets = cash + holdings.sum(axis=1) + np.asarray(exposures.sum(axis=1))
        weighted = banks.columns.get("risk_weighted_assets")
        with np.errstate(divide="ignore", invalid="ignore"):
            risk = np.ones(size) if weighted is None else np.where(assets > 0.0, weighted / assets, 1.0)
        try:
            before = sector(exposures, holdings, debts, cash, risk)
        except ValueError as err:
            raise InputError(str(err)) from None
        model, outage_cost = self._model(classes)
        parts = self._shocks(banks.institutions, classes, before, outage_cost)
        title = self.top.text("scenario", name)
        return Scenario(
            title,
            banks.institutions,
            classes,
            before,
            _shock(parts),
            self._severities(),
            model,
            self._rules(),
            self._grid(parts),
        )

    def _holdings(self, names: Sequence[str]) -> tuple[np.ndarray | None, tuple[str, ...]]:
        file = self.top.text("holdings", "")
        if not file:
            return None, ()
        table = read_sheet(self.folder / file, numbers=True)
        where = [_place(names, code, file) for code in table.institutions]
        held = np.zeros((len(names), len(table.columns)))
        for column, values in enumerate(table.columns.values()):
            held[where, column] = values
        return held, tuple(table.columns)

    def _model(self, classes: Sequence[str]) -> tuple[Model, float]:
        r = self._section("model")
        r.only(("minimum_ratio", "recall", "price_impact", "external", "alpha", "beta", "distress", "outage_cost"))
        impact = np.zeros(len(classes))
        if "price_impact" in r.data and not isinstance(r.data["price_impact"].data, dict):
            impact[:] = self._share(r.data["price_impact"])
        else:
            impact = self._by_name(r, "price_impact", classes, {}, "asset class")
        external = r.choice("external", ("pari-passu", "senior"), "pari-passu")
        model = Model(
            self._option(r, "minimum_ratio", 0.0),
            self._option(r, "recall", 0.0),
            impact,
            "senior" if external == "senior" else "pari-passu",
            self._option(r, "alpha", 1.0),
            self._option(r, "beta", 1.0),
            self._option(r, "distress", 0.0),
        )
        return model, self._option(r, "outage_cost", 0.0)

    def _shocks(
        self, names: Sequence[str], classes: Sequence[str], before: Sector, outage_cost: float
    ) -> dict[str, Vector]:
        """Each kind of shock at severity 1; `equity` and `providers` as shares of total assets."""
        r = self._section("shocks")
        r.only(KINDS)
        if not r.data:
            self.top.problem(self.top.place("shocks"), "required", "a scenario needs 'shocks', at least one")
        groups = self._groups(names)
        written_off = self._by_name(r, "equity", names, groups, "institution") * np.maximum(before.equity, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            written_off = np.where(before.assets > 0.0, written_off / before.assets, 0.0)
        return {
            "institutions": self._by_name(r, "institutions", names, groups, "institution"),
            "equity": written_off,
            "asset_classes": self._by_name(r, "asset_classes", classes, {}, "asset class", low=-1.0, high=0.0),
            "funding": self._by_name(r, "funding", names, groups, "institution"),
            "providers": self._outage(r, names, outage_cost),
        }

    def _outage(self, r: Reader, names: Sequence[str], cost: float) -> Vector:
        out = np.zeros(len(names))
        if "providers" not in r.data:
            return out
        file = self.top.text("dependence", "")
        if not file:
            self.top.problem(r.place("providers"), "required", "shocks to providers need the table 'dependence'")
            return out
        if cost == 0.0:
            fix = "give model: outage_cost, the share of assets lost when all services stop"
            self.top.problem(r.place("providers"), "required", "an outage costs nothing without a cost", fix)
        table = read_sheet(self.folder / file, numbers=True)
        providers = tuple(table.columns)
        size = self._by_name(r, "providers", providers, {}, "provider")
        dependence = np.zeros((len(names), len(providers)))
        dependence[[_place(names, code, file) for code in table.institutions]] = np.column_stack(
            list(table.columns.values())
        )
        try:
            stopped = outages(dependence).stopped
        except ValueError as err:
            raise InputError(f"{file}: {err}") from None
        return np.asarray(np.minimum(stopped @ size, 1.0) * cost)

    def _groups(self, names: Sequence[str]) -> dict[str, list[int]]:
        groups = {"all": list(range(len(names)))}
        for group, value in self.top.mapping("groups").items():
            members = [str(v.data) for v in value.data] if isinstance(value.data, list) else []
            if not members:
                self.top.problem(value.place, "shape", f"the group {group!r} must be a list of institutions")
            groups[group] = [_place(names, code, f"group {group!r}") for code in members]
        return groups

    def _by_name(
        self,
        r: Reader,
        key: str,
        names: Sequence[str],
        groups: Mapping[str, list[int]],
        what: str,
        low: float = 0.0,
        high: float = 1.0,
    ) -> Vector:
        out = np.zeros(len(names))
        for name, value in r.mapping(key).items():
            if name in names:
                out[names.index(name)] = self._share(value, low, high)
            elif name in groups:
                out[groups[name]] = self._share(value, low, high)
            else:
                fix = nearest(name, [*names, *groups]) or f"known: {', '.join([*groups, *names][:8])}"
                r.problem(value.place, "unknown", f"there is no {what} {name!r}", fix)
        return out

    def _share(self, value: Value, low: float = 0.0, high: float = 1.0) -> float:
        number = _share(value.data)
        if number is None or not low <= number <= high:
            bounds = f"from {low:.0%} to {high:.0%}"
            self.problems.append(
                Problem(
                    value.place, "shape", f"{value.data!r} must be a share {bounds}, like {high / 10 or low / 10:g}"
                )
            )
            return 0.0
        return number

    def _option(self, r: Reader, key: str, default: float) -> float:
        return self._share(r.data[key]) if key in r.data else default

    def _severities(self) -> tuple[float, ...]:
        if "severity" not in self.top.data:
            return (1.0,)
        given = self.top.data["severity"]
        values = given.data if isinstance(given.data, list) else [given]
        found = [_share(v.data) for v in values]
        if not found or any(v is None or v <= 0.0 for v in found):
            self.top.problem(given.place, "shape", "'severity' must be numbers above 0, like [0.5, 1, 1.5]")
            return (1.0,)
        return tuple(sorted({float(v) for v in found if v is not None}))

    def _grid(self, parts: Mapping[str, Vector]) -> Grid | None:
        if "grid" not in self.top.data:
            return None
        axes: list[tuple[str, tuple[float, ...]]] = []
        r = self._section("grid")
        r.only(KINDS)
        place = self.top.place("grid")
        for kind in (k for k in r.data if k in KINDS):
            found = [_share(value.data) for value in r.items(kind)]
            if not found or any(v is None or v < 0.0 for v in found):
                r.problem(r.place(kind), "shape", f"{kind!r} must be severities from 0, like [0, 0.5, 1]")
            elif not parts[kind].any():
                r.problem(r.place(kind), "required", f"'shocks' has no {kind!r} to vary")
            axes.append((kind, tuple(sorted({float(v) for v in found if v is not None}))))
        if len(axes) != 2:
            fix = "like {asset_classes: [0, 1], funding: [0, 1]}"
            r.problem(place, "shape", "'grid' needs two kinds of shock", fix)
            return None
        (first, rows), (second, columns) = axes
        if len(rows) * len(columns) > MAX_CELLS:
            r.problem(place, "shape", f"'grid' has {len(rows) * len(columns)} cells, at most {MAX_CELLS}")
            return None
        cells = tuple(tuple(_shock(parts, {first: a, second: b}) for b in columns) for a in rows)
        return Grid((first, second), rows, columns, cells)

    def _rules(self) -> RuleRequest | None:
        if "rules" not in self.top.data and not self.packs:
            return None
        r = self._section("rules")
        r.only(("packs", "catalogue", "indicators", "institutions"))
        indicators: dict[str, str] = {}
        for name, value in r.mapping("indicators").items():
            if str(value.data) not in OUTCOMES:
                fix = f"one of: {', '.join(OUTCOMES)}"
                r.problem(value.place, "choice", f"a scenario does not give {value.data!r}", fix)
            indicators[name] = str(value.data)
        own = tuple(str(self.folder / p) if p.endswith((".yaml", ".yml")) else p for p in r.strings("packs"))
        packs = self.packs or own
        if not indicators or not packs:
            fix = "say what each indicator is after the shock, like {cet1_ratio: ratio}"
            r.problem(r.value.place, "required", "'rules' needs 'packs' and 'indicators'", fix)
        file = r.text("institutions", "")
        return RuleRequest(packs, tuple(r.strings("catalogue")), indicators, self.folder / file if file else None)

    def _section(self, key: str) -> Reader:
        empty = Value({}, Place(self.top.value.place.file))
        return Reader(self.top.data.get(key, empty), self.problems, f"{key!r}")


def _shock(parts: Mapping[str, Vector], severity: Mapping[str, float] | None = None) -> Shock:
    """Put the kinds together, each times its severity (1 when not given)."""
    part = {kind: value * (severity or {}).get(kind, 1.0) for kind, value in parts.items()}
    plain = Shock(
        part["institutions"], part["asset_classes"], part["funding"], np.asarray(part["equity"] + part["providers"])
    )
    return plain.scaled(1.0)


def _share(data: object) -> float | None:
    if isinstance(data, str) and data.endswith("%"):
        try:
            return plain_number(data[:-1]) / 100.0
        except ValueError:
            return None
    if isinstance(data, bool) or not isinstance(data, (int, float)):
        return None
    return float(data)


def _place(names: Sequence[str], code: str, file: str) -> int:
    if code not in names:
        raise InputError(f"{file}: {code!r} has no balance sheet. {nearest(code, names)}".strip())
    return list(names).index(code)
