"""Parameters: numbers that rules use by name, whose value depends on the institution and the as-of date.

Read from a pack here; `rules.settings` looks them up. The most particular row that applies wins: default, type,
peer group, D-SIB bucket, institution. Within one of these only one row may be valid at a date.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rules.catalogue import UNITS, Catalogue
from rules.compiler import located
from rules.expressions import KEYWORDS, MAX_NAME, Expression, ExpressionError, Number, Unary, parse
from rules.keys import PARAMETER, ROW, names
from rules.plan import RUNGS, Row, Setting
from rules.problems import Place, Problem, short
from rules.registry import NUMBER_ATTRIBUTES, TEXT_ATTRIBUTES
from rules.source import Reader, Value
from rules.spans import dates

MAX_ROWS = 2_000
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


def read_settings(top: Reader, catalogue: Catalogue) -> dict[str, Setting]:
    """Read a pack's `parameters`; what is wrong goes to the reader's problems."""
    found: dict[str, Setting] = {}
    for name, value in top.mapping("parameters").items():
        place = top.data["parameters"].key_places[name]
        if taken := _taken(name, catalogue):
            top.problem(place, "parameter", f"{short(name)} can't name a parameter: {taken}", "choose another name")
            continue
        found[name] = _setting(name, place, value, top.problems)
    return found


def _taken(name: str, catalogue: Catalogue) -> str:
    """Why the name can't be a parameter's, or an empty text."""
    if not _NAME.fullmatch(name) or name in KEYWORDS or len(name) > MAX_NAME:
        return "it is no name"
    if name in catalogue.indicators:
        return "it is an indicator of the catalogue"
    if name.removeprefix("institution.") in (*TEXT_ATTRIBUTES, *NUMBER_ATTRIBUTES):
        return "it is an attribute of institutions"
    return "it is a set of types" if name in catalogue.sets else ""


def _setting(name: str, place: Place, value: Value, problems: list[Problem]) -> Setting:
    """Return the parameter; one without rows, and problems, when it is wrong."""
    before = len(problems)
    r = Reader(value, problems, f"the parameter {name!r}")
    if isinstance(value.data, dict):
        r.only(names(PARAMETER))
    unit = r.choice("unit", UNITS) if "unit" in r.data else r.text("unit") or UNITS[0]
    values = list(r.items("rows"))
    if r.data and not values:
        r.problem(r.place("rows"), "required", f"{r.what} needs 'rows'", "at least one, as {value: 100%, author: …}")
    if len(values) > MAX_ROWS:
        r.problem(r.place("rows"), "too-large", f"{r.what} has over {MAX_ROWS:,} rows", "use a peer group")
        values = []
    rows = [row for row in (_row(v, name, unit, problems) for v in values) if row is not None]
    if len(problems) == before:
        _overlaps(r, rows)
    return Setting(name, r.words("title"), unit, tuple(rows), place)


def _row(value: Value, name: str, unit: str, problems: list[Problem]) -> Row | None:
    before = len(problems)
    r = Reader(value, problems, f"a row of {name!r}")
    if not isinstance(value.data, dict):
        return None
    r.only(names(ROW))
    rungs = [rung for rung in RUNGS[1:] if rung in r.data]
    if len(rungs) > 1:
        fix = "make a row for each"
        r.problem(r.place(rungs[1]), "parameter", f"{r.what} is for one of {', '.join(RUNGS[1:])}, not two", fix)
    rung = rungs[0] if rungs else RUNGS[0]
    key = r.text(rung) if rungs else ""
    if rung == "dsib_bucket" and not re.fullmatch(r"\d{1,2}", key):
        r.problem(r.place(rung), "shape", f"'dsib_bucket' must be a whole number, not {short(key)}")
    author = r.text("author")
    since, until = dates(r)
    number = number_of(r, "value", unit)
    if len(problems) > before:
        return None
    return Row(
        number, rung, str(int(key)) if rung == "dsib_bucket" else key, basis(r), author, since, until, value.place
    )


def basis(r: Reader) -> dict[str, str | None]:
    """Return a legal basis: document, number, article …; a plain text is the document."""
    found = r.data.get("basis")
    if found is not None and not isinstance(found.data, (dict, list)):
        return {"document": None if found.data is None else found.text()}
    return {k: None if v.data is None else v.text() for k, v in r.mapping("basis").items()}


def number_of(r: Reader, key: str, unit: str) -> float:
    """Return a number written as in expressions (120%, 200bn); what is none, or of another unit, is a problem."""
    text = r.text(key)
    if not text:
        return 0.0
    with located(r.problems, r.data[key]):
        tree: Expression = parse(text)
        sign = 1.0
        while isinstance(tree, Unary) and tree.op in "+-":
            sign, tree = (-sign if tree.op == "-" else sign), tree.operand
        if not isinstance(tree, Number):
            raise ExpressionError(0, f"{key!r} must be a number, not {short(text)}", "as in 120%, 50bp or 200bn")
        if tree.fraction and unit != "ratio":
            raise ExpressionError(0, f"{text} is a ratio, the parameter's unit is {unit}", "check the unit", "unit")
        return sign * tree.value
    return 0.0


def _overlaps(r: Reader, rows: Sequence[Row]) -> None:
    """Report rows for the same that are valid at one date, at the later of the two."""
    kept: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        same = kept.setdefault((row.rung, row.key), [])
        for other in same:
            if row.since < other.until and other.since < row.until:
                summary = f"{r.what} has two rows for {row.whom} valid at one date; the other stands at {other.place}"
                r.problem(row.place, "parameter", summary, "end one with 'to' before the other's 'from'")
                break
        same.append(row)


def join_settings(found: Mapping[str, Setting], known: dict[str, Setting], problems: list[Problem]) -> None:
    """Add a pack's parameters to those of other packs; one of another definition is a problem."""
    for name, setting in found.items():
        other = known.setdefault(name, setting)
        if other != setting:
            summary = f"the parameter {name!r} is defined otherwise at {other.place}"
            problems.append(Problem(setting.place, "twice", summary, "give one of them another name"))
