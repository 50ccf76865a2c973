"""Reading test files: tables with dates down, what is filed across, and behind the bar what must come of it.

Left of the bar `as_of` is required; `institution`, `seen_at` and `revision` are understood; every other column is an
indicator, and `-` leaves a value out. One row may file several forms. Rows stand in the order in which they arrive. A
row without any value files nothing: it lets the clock go on to its `seen_at` (else its `as_of`) and asks how things
stand at the date, which must be one that has been filed.

Behind the bar: `level` is none, pending, watch, warning, critical, unknown or `unknown: reason`, as the rule stands
for the row's institution after that row; stale or `stale: form` of an open alert whose data ran out. Behind another
bar is `suppressed_by`: nobody, or what silences the open alert, which is unless, waiver, and ids of rules, with
commas between. `-` asserts nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from rules.calendar import format_instant, parse_instant
from rules.catalogue import SYSTEM
from rules.expressions import ExpressionError, Number, Unary, parse
from rules.judge import REASONS
from rules.keys import TEST, TESTS, names
from rules.pack import Program
from rules.periods import as_of_seconds
from rules.plan import Rule
from rules.problems import Place, Problem, nearest
from rules.registry import Institution
from rules.source import Reader, SourceProblem, Value, parse_yaml

OUTCOMES = ("none", "pending", "watch", "warning", "critical", "unknown", "stale")
META = ("as_of", "institution", "seen_at", "revision")
LEVEL = "level"
UNKNOWN = "unknown"
REFUSED = ("rejected", "out of range")
"""What makes a worker refuse a filing, and can't be why a rule is unknown."""
STALE = "stale"
SUPPRESSED = "suppressed_by"
NOBODY = "nobody"
ASKED = (LEVEL, SUPPRESSED)
"""What may stand behind the bar."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what is filed, and what must be true after it.

    `written` are the values' cells as they stand in the table; `expected` what is asserted, by column.
    """

    place: Place
    institution: str
    as_of: int
    seen_at: int
    revision: int
    values: dict[str, float]
    written: dict[str, str]
    expected: dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """One test: a rule, the institutions it speaks of, and rows in the order in which they are filed."""

    name: str
    place: Place
    rule: str
    institutions: tuple[Institution, ...]
    rows: tuple[Row, ...]


@dataclass(slots=True)
class _Table:
    """A table as it is read: its columns, who may file, the rule, and what has been filed so far."""

    reader: Reader
    program: Program
    rule: Rule | None
    codes: tuple[str, ...]
    columns: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    clock: int = -(2**62)
    dates: dict[str, set[int]] = field(default_factory=dict)

    def problem(self, place: Place, summary: str, fix: str = "", check: str = "table") -> None:
        self.reader.problem(place, check, summary, fix)


def read_tests(text: str, file: str, program: Program) -> tuple[list[Case], list[Problem]]:
    """Read a test file; return its cases, and every problem found in it."""
    problems: list[Problem] = []
    try:
        root = parse_yaml(text, file)
    except SourceProblem as err:
        return [], [err.problem]
    top = Reader(root, problems, "a test file")
    top.only(names(TESTS))
    cases = [_case(value, program, problems) for value in top.items("tests")]
    return [case for case in cases if case is not None], problems


def _case(value: Value, program: Program, problems: list[Problem]) -> Case | None:
    before = len(problems)
    r = Reader(value, problems, "a test")
    r.only(names(TEST))
    name, rule = r.text("name"), r.text("rule")
    known = [x.id for x in program.rules]
    if rule and rule not in known:
        r.problem(r.place("rule"), "unknown-rule", f"there is no rule {rule!r}", nearest(rule, known))
    tested = next((x for x in program.rules if x.id == rule), None)
    institutions = [_institution(v, r, i) for i, v in enumerate(_listed(r))] or [Institution("A")]
    rows = _rows(_Table(r, program, tested, tuple(i.code for i in institutions)))
    if len(problems) > before:
        return None
    return Case(name, value.place, rule, tuple(institutions), tuple(rows))


def _listed(r: Reader) -> list[Value]:
    return [r.data["institution"]] if "institution" in r.data else list(r.items("institutions"))


def _institution(value: Value, r: Reader, number: int) -> Institution:
    plain = value.plain()
    if not isinstance(plain, dict):
        r.problem(value.place, "shape", "an institution must be a mapping such as {code: A, type: large_bank}")
        return Institution("A")
    plain.setdefault("code", chr(ord("A") + number))
    try:
        return msgspec.convert(plain, Institution)
    except msgspec.ValidationError as err:
        r.problem(value.place, "shape", f"the institution is not right: {err}")
        return Institution("A")


def _rows(table: _Table) -> list[Row]:
    r = table.reader
    value = r.data.get("table")
    text, place = r.text("table"), r.place("table")
    first = place.line + (
        1 if value is not None and value.written is not None and value.written.style in ("|", ">") else 0
    )
    lines = [(first + i, line) for i, line in enumerate(text.splitlines()) if line.strip()]
    if not lines or not _head(table, Place(place.file, lines[0][0], 1), lines[0][1]):
        return []
    found = [_row(table, Place(place.file, number, 1), line) for number, line in lines[1:]]
    return [row for row in found if row is not None]


def _head(table: _Table, here: Place, line: str) -> bool:
    left, *right = line.split("|")
    table.columns, table.asked = left.split(), [cell.strip() for cell in right]
    if not table.asked or "as_of" not in table.columns:
        table.problem(here, "a table starts with 'as_of … | level'")
        return False
    for column in table.asked:
        if column not in ASKED:
            table.problem(
                here, f"a table can't assert {column!r}", nearest(column, ASKED) or f"known: {', '.join(ASKED)}"
            )
            return False
    known = [*META, *(i for i, x in table.program.catalogue.indicators.items() if not x.formula)]
    for column in table.columns:
        if column not in known:
            summary = f"there is no reported indicator {column!r}"
            table.problem(here, summary, nearest(column, known), "unknown-name")
            return False
    for column in [*table.columns, *table.asked]:
        if [*table.columns, *table.asked].count(column) > 1:
            table.problem(here, f"the column {column!r} stands twice")
            return False
    return True


def _row(table: _Table, place: Place, line: str) -> Row | None:
    left, *right = line.split("|")
    cells, asked = left.split(), [cell.strip() or "-" for cell in right]
    if len(cells) != len(table.columns):
        summary = f"the row has {len(cells)} values, the table {len(table.columns)} columns"
        table.problem(place, summary, "'-' leaves out")
        return None
    if len(asked) > len(table.asked):
        table.problem(place, f"the row asserts {len(asked)} things, the table's head has {len(table.asked)}")
        return None
    expected = {column: cell for column, cell in zip(table.asked, asked, strict=False) if cell != "-"}
    if not _understood(table, place, expected):
        return None
    meta = {c: cell for c, cell in zip(table.columns, cells, strict=True) if c in META and cell != "-"}
    written = {c: cell for c, cell in zip(table.columns, cells, strict=True) if c not in META and cell != "-"}
    try:
        as_of = _as_of(table, place, meta["as_of"], written)
        if as_of is None:
            return None
        zone = table.program.catalogue.timezone
        seen_at = parse_instant(meta["seen_at"], zone) if "seen_at" in meta else max(table.clock, as_of)
        revision = int(meta.get("revision", "0"))
        values = {column: _number(cell) for column, cell in written.items()}
    except (ValueError, KeyError, ExpressionError) as err:
        table.problem(place, f"a value can't be read: {err}", "dates as 2025-03-31, numbers as 130% or 300bn")
        return None
    if _refused(table, place, values):
        return None
    if seen_at < table.clock:
        summary = f"the row was seen at {format_instant(seen_at)}, the one above at {format_instant(table.clock)}"
        table.problem(place, summary, "rows stand in the order in which they arrive")
        return None
    code = meta.get("institution", table.codes[0])
    if code not in table.codes:
        table.problem(place, f"the institution {code!r} is not in the test", nearest(code, table.codes))
        return None
    table.clock = seen_at
    if values:
        table.dates.setdefault(code, set()).add(as_of)
    elif not _has_date(table, place, code, as_of):
        return None
    return Row(place, code, as_of, seen_at, revision, values, written, expected)


def _as_of(table: _Table, place: Place, text: str, written: Iterable[str]) -> int | None:
    """The as-of in seconds, for the forms that the row files; None where a worker would refuse a filing of one."""
    catalogue = table.program.catalogue
    forms = dict.fromkeys(catalogue.indicators[column].form for column in written)
    at = parse_instant(text, catalogue.timezone)
    for form in (catalogue.forms[name] for name in forms):
        try:
            at = as_of_seconds(form, text if form.frequency != "intraday" else format_instant(at))
        except ValueError as err:
            table.problem(place, f"'as_of' is {text}: {err}", "a worker refuses such a filing", "as-of")
            return None
    return at


def _refused(table: _Table, place: Place, values: dict[str, float]) -> bool:
    """Whether a worker would refuse the filing for a value: then the rule would never see it."""
    for column, value in values.items():
        indicator = table.program.catalogue.indicators[column]
        if not indicator.low <= value <= indicator.high:
            summary = f"{column} is {value:g}, outside [{indicator.low:g}, {indicator.high:g}]: the filing is refused"
            ratio = indicator.unit == "ratio" and indicator.low <= value / 100 <= indicator.high
            fix = f"write {value:g}%" if ratio else "'-' leaves it out; the range stands in the catalogue"
            table.problem(place, summary, fix, "out-of-range")
            return True
    return False


def _understood(table: _Table, place: Place, expected: dict[str, str]) -> bool:
    level, colon, reason = expected.get(LEVEL, "none").partition(":")
    if level not in OUTCOMES or (colon and level not in (UNKNOWN, STALE)):
        table.problem(place, f"{expected[LEVEL]!r} is no level", f"one of {', '.join(OUTCOMES)}, -")
        return False
    forms = table.program.catalogue.forms
    if colon and level == UNKNOWN and reason.strip() not in REASONS:
        fix = nearest(reason.strip(), REASONS) or f"one of: {', '.join(REASONS)}"
        if reason.strip() in REFUSED:
            fix = "a filing that is refused never reaches a rule, which says 'not filed' or, in time, 'too old'"
        table.problem(place, f"nothing is unknown because of {reason.strip()!r}", fix)
        return False
    if colon and level == STALE and reason.strip() not in forms:
        table.problem(place, f"there is no form {reason.strip()!r}", nearest(reason.strip(), forms), "unknown-form")
        return False
    silent = [name for name in names_in(expected.get(SUPPRESSED, NOBODY)) if name != NOBODY]
    known = ["unless", "waiver", *(rule.id for rule in table.program.rules)]
    for name in silent:
        if name not in known:
            table.problem(place, f"nothing called {name!r} can suppress an alert", nearest(name, known))
            return False
    return True


def names_in(cell: str) -> list[str]:
    """Return the names in a cell that has commas between them.

    >>> names_in("unless, waiver")
    ['unless', 'waiver']
    """
    return [name.strip() for name in cell.split(",")]


def _has_date(table: _Table, place: Place, code: str, as_of: int) -> bool:
    """Whether there is anything to ask at the date: a test of what was never filed would always pass."""
    rule = table.rule
    if rule is None or rule.clocks:
        return True
    shared = rule.scope == "system" or bool(rule.across) or code == SYSTEM
    dates = set().union(*table.dates.values()) if shared else table.dates.get(code, set())
    if as_of in dates:
        return True
    filed = ", ".join(map(format_instant, sorted(dates)[-3:])) or "nothing"
    whose = "so far" if shared else f"by {code} so far"
    table.problem(place, f"nothing was filed for {format_instant(as_of)}", f"filed {whose}: {filed}")
    return False


def _number(cell: str) -> float:
    tree = parse(cell)
    sign = 1.0
    if isinstance(tree, Unary):
        sign, tree = (-1.0 if tree.op == "-" else 1.0), tree.operand
    if not isinstance(tree, Number):
        raise ValueError(f"{cell!r} is no number")
    return sign * tree.value
