"""The catalogue: every indicator and form, defined once, in the YAML files beside this module."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rules.assets import AssetClass, read_asset_class
from rules.problems import NOWHERE, CatalogueError, ConfigError, Place, Problem, nearest, short
from rules.source import Reader, SourceProblem, Value, parse_yaml
from rules.stress import FORM as STRESS_FORM
from rules.stress import Stress, read_stress
from rules.values import FORM as VALUES_FORM
from rules.values import SystemValue, read_value

HERE = Path(__file__).parent
MEASURES = "measures"
SYSTEM = "SYSTEM"

FREQUENCY_DAYS = {
    "intraday": 1 / 24,
    "daily": 1.0,
    "weekly": 7.0,
    "monthly": 31.0,
    "quarterly": 92.0,
    "half-yearly": 184.0,
    "yearly": 366.0,
}
MAX_HORIZON = 400
DEADLINE = re.compile(r"\s*(\d{1,3})\s*(bd|d|h|min)\s*")
TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
UNITS = ("ratio", "currency", "count", "days", "hours", "minutes", "score", "years")
DIRECTIONS = ("higher", "lower", "none")


@dataclass(frozen=True, slots=True)
class Form:
    """What an institution files: a set of indicators for one as-of date.

    `deadline` is when it is due after the as-of date ("15bd" business days, "20d" days, "6h" hours, "30min");
    an intraday form is due that long after each of `times`, seconds of business days in the time zone `zone`;
    `grace_days` is how much longer than one period a value stays valid; `horizon` is how many as-of
    dates back a late or revised filing still changes the state of rules.
    """

    id: str
    title: dict[str, str] = field(hash=False)
    frequency: str
    deadline: str = ""
    grace_days: float = 0.0
    horizon: int = 8
    types: tuple[str, ...] = ()
    indicators: tuple[str, ...] = ()
    times: tuple[int, ...] = ()
    zone: str = "UTC"

    @property
    def validity_days(self) -> float:
        """Days after its as-of date for which a value of this form counts as known."""
        return FREQUENCY_DAYS[self.frequency] + self.grace_days

    def filings_within(self, seconds: int) -> int:
        """How many filings a window of so many seconds counts at most: those of the form's frequency, and one."""
        return math.ceil(seconds / 86_400 / FREQUENCY_DAYS[self.frequency]) + 1


@dataclass(frozen=True, slots=True)
class Indicator:
    """A number that institutions report, or that `formula` derives from others.

    `unit`: ratio (a fraction), currency (the catalogue's base unit), count, days, hours, minutes, years,
    score. `direction` says which way is better. `low` and `high` bound what is accepted at all.
    """

    id: str
    title: dict[str, str]
    unit: str
    form: str = ""
    direction: str = "none"
    low: float = float("-inf")
    high: float = float("inf")
    series: bool = True
    formula: str = ""
    formula_value: Value | None = None
    basis: dict[str, str | None] = field(default_factory=dict)
    currency: str = ""
    place: Place = NOWHERE

    @property
    def series_name(self) -> str:
        """Name of the Prometheus series: guanlan_<indicator>_<unit>; a count has no unit suffix."""
        suffix = {"currency": self.currency.lower() or "currency", "count": ""}.get(self.unit, self.unit)
        stem = self.id.replace(".", "_").replace("-", "_")
        if not suffix or stem.endswith("_" + suffix):
            return f"guanlan_{stem}"
        return f"guanlan_{stem}_{suffix}"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Forms and indicators by id, and named sets of institution types (`BANKS`).

    `country` (ISO 3166 code) chooses the holiday calendar of deadlines. `size` is the reported indicator that says
    how large an institution is: coverage of groups is counted by it. `timezone` (IANA name) is that of times of
    day, and of the days on which deadlines of alerts end. `stress` says what the stress index is
    made of; None where no catalogue tells. `asset_classes` are what fire sales are of, `values` are measures of the
    system that expressions declare.
    """

    names: tuple[str, ...]
    forms: dict[str, Form]
    indicators: dict[str, Indicator]
    sets: dict[str, tuple[str, ...]]
    currency: str = ""
    country: str = ""
    size: str = ""
    timezone: str = "UTC"
    stress: Stress | None = None
    asset_classes: tuple[AssetClass, ...] = ()
    values: tuple[SystemValue, ...] = ()

    def reported(self, form: str) -> tuple[str, ...]:
        """Indicators that are filed with `form`, in the form's order."""
        return self.forms[form].indicators


def available() -> list[str]:
    """Names of the catalogues that come with Guanlan."""
    return sorted(path.stem for path in HERE.glob("*.yaml"))


def load_catalogue(names: Sequence[str | Path]) -> Catalogue:
    """Load and join catalogues by name or path; the measures' own catalogue is always among them.

    Raises ConfigError for a name that does not exist, CatalogueError with every problem found otherwise.
    """
    texts: list[tuple[str, str]] = []
    for name in dict.fromkeys([*map(str, names), MEASURES]):
        path = Path(name) if str(name).endswith((".yaml", ".yml")) else HERE / f"{name}.yaml"
        if not path.is_file():
            fix = nearest(str(name), available()) or f"there are: {', '.join(available())}"
            raise ConfigError(f"there is no catalogue {str(name)!r}: {fix}")
        texts.append((path.read_text(encoding="utf-8"), str(name) if path.parent == HERE else str(path)))
    return parse_catalogues(texts)


def parse_catalogues(texts: Iterable[tuple[str, str]]) -> Catalogue:
    """Join catalogues given as (text, file name); raise CatalogueError with every problem found."""
    problems: list[Problem] = []
    joined = Catalogue((), {}, {}, {})
    for text, file in texts:
        try:
            root = parse_yaml(text, file)
        except SourceProblem as err:
            problems.append(err.problem)
            continue
        joined = _join(joined, _read(root, problems), problems, file)
    if problems:
        raise CatalogueError(problems)
    return _with_values(_with_stress(joined))


def _with_stress(catalogue: Catalogue) -> Catalogue:
    """Add what each part contributes to the stress index as an indicator, `stress_<part>`, so that rules name it."""
    if catalogue.stress is None or STRESS_FORM not in catalogue.forms:
        return catalogue
    added = {
        f"stress_{part.id}": Indicator(
            f"stress_{part.id}", part.title, "ratio", STRESS_FORM, "lower", 0.0, 1.0, place=part.place
        )
        for part in catalogue.stress.parts
    }
    taken = [added[name] for name in sorted(added.keys() & catalogue.indicators.keys())]
    if taken:
        raise CatalogueError(
            [Problem(i.place, "twice", f"the indicator {i.id!r} of a stress part is defined already") for i in taken]
        )
    form = catalogue.forms[STRESS_FORM]
    form = replace(form, indicators=(*form.indicators, *added))
    forms, indicators = catalogue.forms | {STRESS_FORM: form}, catalogue.indicators | added
    return replace(catalogue, forms=forms, indicators=indicators)


def _with_values(catalogue: Catalogue) -> Catalogue:
    """Add each declared value of the system as an indicator, so that rules name it."""
    if not catalogue.values or VALUES_FORM not in catalogue.forms:
        return catalogue
    added = {
        v.id: Indicator(v.id, v.title, v.unit, VALUES_FORM, v.direction, currency=catalogue.currency, place=v.place)
        for v in catalogue.values
    }
    problems = [
        Problem(i.place, "twice", f"the value {i.id!r} has the name of an indicator that is defined already")
        for i in (added[name] for name in sorted(added.keys() & catalogue.indicators.keys()))
    ]
    names = [v.id for v in catalogue.values]
    problems += [
        Problem(v.place, "twice", f"the value {v.id!r} stands twice") for v in catalogue.values if names.count(v.id) > 1
    ]
    if problems:
        raise CatalogueError(problems)
    form = catalogue.forms[VALUES_FORM]
    form = replace(form, indicators=(*form.indicators, *added))
    return replace(catalogue, forms=catalogue.forms | {VALUES_FORM: form}, indicators=catalogue.indicators | added)


def _join(a: Catalogue, b: Catalogue, problems: list[Problem], file: str) -> Catalogue:
    for kind, left, right in (("form", a.forms, b.forms), ("indicator", a.indicators, b.indicators)):
        problems.extend(
            Problem(Place(file), "twice", f"the {kind} {key!r} is defined in another catalogue too")
            for key in left.keys() & right.keys()
        )
    for key in a.sets.keys() & b.sets.keys():
        if a.sets[key] != b.sets[key]:
            problems.append(Problem(Place(file), "twice", f"the set {key!r} is defined otherwise in another catalogue"))
    if a.stress and b.stress:
        problems.append(Problem(Place(file), "twice", "another catalogue says what the stress index is made of too"))
    return Catalogue(
        names=a.names + b.names,
        forms=a.forms | b.forms,
        indicators=a.indicators | b.indicators,
        sets=a.sets | b.sets,
        currency=a.currency or b.currency,
        country=a.country or b.country,
        size=a.size or b.size,
        timezone=a.timezone if a.timezone != "UTC" else b.timezone,
        stress=a.stress or b.stress,
        asset_classes=a.asset_classes + b.asset_classes,
        values=a.values + b.values,
    )


def _read(root: Value, problems: list[Problem]) -> Catalogue:
    top = Reader(root, problems, "a catalogue")
    known = (
        "catalogue",
        "title",
        "currency",
        "country",
        "timezone",
        "size",
        "sets",
        "forms",
        "indicators",
        "stress",
        "asset_classes",
        "values",
    )
    top.only(known)
    name = top.text("catalogue")
    currency = top.text("currency", "")
    sets = {}
    for key, value in top.mapping("sets").items():
        if isinstance(value.data, list):
            sets[key] = tuple(v.text() for v in value.data)
        else:
            top.problem(value.place, "shape", f"the set {key!r} must be a list of institution types")
    zone = _timezone(top)
    forms: dict[str, Form] = {}
    for value in top.items("forms"):
        form = replace(_form(value, problems), zone=zone)
        if form.id.partition(".")[0] == MEASURES != name:
            summary = f"the form {short(form.id)} can't be filed: the system files '{MEASURES}.…' itself"
            top.problem(value.place, "reserved", summary, "begin with another word")
        if form.id in forms:
            top.problem(value.place, "twice", f"the form {form.id!r} stands twice")
        forms[form.id] = form
    indicators: dict[str, Indicator] = {}
    for value in top.items("indicators"):
        indicator = _indicator(value, problems, forms, currency)
        if indicator.id in indicators:
            top.problem(value.place, "twice", f"the indicator {indicator.id!r} stands twice")
        indicators[indicator.id] = indicator
    for form in list(forms.values()):
        members = tuple(i.id for i in indicators.values() if i.form == form.id)
        forms[form.id] = replace(form, indicators=members)
    classes = tuple(read_asset_class(value, problems) for value in top.items("asset_classes"))
    for held in classes:
        if held.indicator not in indicators or not indicators[held.indicator].form:
            summary = f"there is no reported indicator {held.indicator!r}"
            top.problem(held.place, "unknown-name", summary, nearest(held.indicator, indicators))
    size = top.text("size", "")
    if size and (size not in indicators or not indicators[size].form):
        reported = [i.id for i in indicators.values() if i.form]
        top.problem(
            top.place("size"), "unknown-name", f"there is no reported indicator {size!r}", nearest(size, reported)
        )
        size = ""
    stress = read_stress(top.data["stress"], problems) if "stress" in top.data else None
    values = tuple(read_value(value, problems, UNITS, DIRECTIONS) for value in top.items("values"))
    return Catalogue(
        (name,), forms, indicators, sets, currency, top.text("country", ""), size, zone, stress, classes, values
    )


def _timezone(top: Reader) -> str:
    zone = top.text("timezone", "UTC")
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        top.problem(top.place("timezone"), "shape", f"there is no time zone {short(zone)}", "as in Asia/Shanghai")
        return "UTC"
    return zone


def _times(r: Reader) -> tuple[int, ...]:
    found = []
    for text in r.strings("times"):
        match = TIME.fullmatch(text)
        if match is None:
            r.problem(r.place("times"), "shape", f"'times' can't be {short(text)}", "times of day in quotes: '09:30'")
        else:
            found.append(int(match.group(1)) * 3600 + int(match.group(2)) * 60)
    return tuple(sorted(set(found)))


def _form(value: Value, problems: list[Problem]) -> Form:
    r = Reader(value, problems, "a form")
    r.only(("id", "title", "frequency", "deadline", "grace_days", "horizon", "types", "times"))
    horizon = r.number("horizon", 8)
    if horizon not in range(1, MAX_HORIZON + 1):
        r.problem(r.place("horizon"), "shape", f"'horizon' must be a whole number of dates, 1 to {MAX_HORIZON}")
        horizon = 8
    if r.number("grace_days", 0.0) < 0:
        r.problem(r.place("grace_days"), "shape", "'grace_days' can't be negative")
    deadline = r.text("deadline", "")
    if deadline and not DEADLINE.fullmatch(deadline):
        r.problem(
            r.place("deadline"), "shape", f"'deadline' can't be {short(deadline)}", "as in 15bd, 20d, 6h or 30min"
        )
    times, frequency = _times(r), r.choice("frequency", FREQUENCY_DAYS, "quarterly")
    if times and frequency != "intraday":
        r.problem(r.place("times"), "shape", "only intraday forms have 'times'")
    if frequency == "intraday" and deadline.rstrip().endswith("d"):
        r.problem(r.place("deadline"), "shape", "an intraday form is due after hours or minutes", "as in 30min")
    return Form(
        id=r.text("id"),
        title=r.words("title"),
        frequency=frequency,
        deadline=deadline,
        grace_days=r.number("grace_days", 0.0),
        horizon=int(horizon),
        types=tuple(r.strings("types")),
        times=times,
    )


def _indicator(value: Value, problems: list[Problem], forms: dict[str, Form], currency: str) -> Indicator:
    r = Reader(value, problems, "an indicator")
    r.only(("id", "title", "form", "unit", "direction", "range", "series", "formula", "basis", "note"))
    ident = r.text("id")
    form = r.text("form", "")
    formula = r.text("formula", "")
    if bool(form) == bool(formula):
        r.problem(value.place, "form", f"the indicator {ident!r} needs either a form or a formula")
    if form and form not in forms:
        r.problem(r.place("form"), "unknown-form", f"there is no form {form!r}", nearest(form, forms))
    low, high = _range(r)
    basis = {k: None if v.data is None else v.text() for k, v in r.mapping("basis").items()}
    return Indicator(
        id=ident,
        title=r.words("title"),
        unit=r.choice("unit", UNITS, "ratio"),
        form=form,
        direction=r.choice("direction", DIRECTIONS, "none"),
        low=low,
        high=high,
        series=r.flag("series", True),
        formula=formula,
        formula_value=r.data.get("formula"),
        basis=basis,
        currency=currency,
        place=value.place,
    )


def _range(r: Reader) -> tuple[float, float]:
    if "range" not in r.data:
        return float("-inf"), float("inf")
    bounds = [v.data for v in r.items("range")]
    if len(bounds) != 2 or not all(b is None or (isinstance(b, (int, float)) and not math.isnan(b)) for b in bounds):
        r.problem(r.place("range"), "shape", "'range' must be [lowest, highest]; null for no bound")
        return float("-inf"), float("inf")
    low = float("-inf") if bounds[0] is None else float(bounds[0])  # type: ignore[arg-type]
    high = float("inf") if bounds[1] is None else float(bounds[1])  # type: ignore[arg-type]
    if low > high:
        r.problem(r.place("range"), "shape", "'range' has its lowest above its highest")
    return low, high
