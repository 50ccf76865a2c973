"""Tests beside a pack: tables as economists write them, run through the production engine.

    pack: bank-liquidity
    tests:
      - name: two filings below the minimum
        rule: bank.liquidity.lcr
        institution: {type: large_bank}
        table: |
          as_of        lcr   total_assets  | level
          2025-03-31   130%  300bn         | none
          2025-06-30   99%   300bn         | pending
          2025-09-30   98%   300bn         | critical

Left of the bar: what is filed. `as_of` is required; `institution`, `seen_at` and `revision` are understood;
every other column is an indicator. `-` leaves a value out. Right of the bar: `level` is none, pending, watch,
warning, critical or unknown, as the rule stands after that row; `-` asserts nothing. One row may file several
forms. A row's institution is the test's `institution`, or the code in its own column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from rules.calendar import format_instant, parse_instant
from rules.catalogue import Catalogue
from rules.engine import Engine, FormBatch
from rules.expressions import ExpressionError, Number, Unary, parse
from rules.keys import TEST, TESTS, names
from rules.pack import Program
from rules.plan import Rule
from rules.problems import Place, Problem, nearest
from rules.registry import Institution
from rules.source import Reader, SourceProblem, Value, parse_yaml
from rules.transitions import SEVERITIES

OUTCOMES = ("none", "pending", "watch", "warning", "critical", "unknown", "-")
META = ("as_of", "institution", "seen_at", "revision")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: what is filed, and what must be true after it."""

    place: Place
    institution: str
    as_of: int
    seen_at: int
    revision: int
    values: dict[str, float]
    expected: str


@dataclass(frozen=True, slots=True)
class Case:
    """One test: a rule, the institutions it speaks of, and rows in the order in which they are filed."""

    name: str
    place: Place
    rule: str
    institutions: tuple[Institution, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What came out at a row: the row, the outcome found, and whether it was the one expected."""

    row: Row
    found: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Result:
    """A case that ran."""

    case: Case
    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """Whether every row came out as expected."""
        return all(step.ok for step in self.steps)

    def timeline(self) -> str:
        """Return the rows as text, with what was expected and what came where they differ."""
        names = list(dict.fromkeys(name for s in self.steps for name in s.row.values))
        lines = ["  ".join(["date      ", *(f"{n:>14}" for n in names), "level"])]
        for s in self.steps:
            values = (f"{s.row.values[n]:>14.6g}" if n in s.row.values else f"{'-':>14}" for n in names)
            verdict = s.found if s.ok else f"{s.found}   ← expected {s.row.expected} (line {s.row.place.line})"
            lines.append("  ".join([format_instant(s.row.as_of), *values, verdict]))
        return "\n".join(lines)


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
    institutions = [_institution(v, r, i) for i, v in enumerate(_listed(r))] or [Institution("A")]
    rows = _rows(r, program.catalogue, {i.code for i in institutions}, institutions[0].code)
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


def _rows(r: Reader, catalogue: Catalogue, codes: set[str], first: str) -> list[Row]:
    text, place = r.text("table"), r.place("table")
    lines = [(place.line + 1 + i, line) for i, line in enumerate(text.splitlines()) if line.strip()]
    if not lines:
        return []
    head_line, head = lines[0]
    left, bar, right = head.partition("|")
    columns = left.split()
    here = Place(place.file, head_line, 1)
    if not bar or right.split() != ["level"] or "as_of" not in columns:
        r.problem(here, "table", "a table starts with 'as_of … | level'")
        return []
    known = [*META, *(i for i, x in catalogue.indicators.items() if not x.formula)]
    for column in columns:
        if column not in known:
            r.problem(here, "unknown-name", f"there is no reported indicator {column!r}", nearest(column, known))
            return []
    found = []
    for number, line in lines[1:]:
        row = _row(r, Place(place.file, number, 1), line, columns, codes, first)
        if row is not None:
            found.append(row)
    return found


def _row(r: Reader, place: Place, line: str, columns: list[str], codes: set[str], first: str) -> Row | None:
    left, _, right = line.partition("|")
    cells, expected = left.split(), right.strip() or "-"
    if len(cells) != len(columns):
        r.problem(
            place, "table", f"the row has {len(cells)} values, the table {len(columns)} columns", "'-' leaves out"
        )
        return None
    if expected.partition(":")[0] not in OUTCOMES:
        r.problem(place, "table", f"{expected!r} is no level", f"one of {', '.join(OUTCOMES)}")
        return None
    meta = {c: cell for c, cell in zip(columns, cells, strict=True) if c in META and cell != "-"}
    values = {}
    try:
        as_of = parse_instant(meta["as_of"])
        seen_at = parse_instant(meta.get("seen_at", meta["as_of"]))
        revision = int(meta.get("revision", "0"))
        for column, cell in zip(columns, cells, strict=True):
            if column not in META and cell != "-":
                values[column] = _number(cell)
    except (ValueError, KeyError, ExpressionError) as err:
        r.problem(place, "table", f"a value can't be read: {err}", "dates as 2025-03-31, numbers as 130% or 300bn")
        return None
    code = meta.get("institution", first)
    if code not in codes:
        r.problem(place, "table", f"the institution {code!r} is not in the test", nearest(code, codes))
        return None
    return Row(place, code, as_of, seen_at, revision, values, expected)


def _number(cell: str) -> float:
    tree = parse(cell)
    sign = 1.0
    if isinstance(tree, Unary):
        sign, tree = (-1.0 if tree.op == "-" else 1.0), tree.operand
    if not isinstance(tree, Number):
        raise ValueError(f"{cell!r} is no number")
    return sign * tree.value


def run_case(case: Case, program: Program) -> Result:
    """File the rows one by one into a fresh engine and compare the rule's outcome after each."""
    engine = Engine(program, case.institutions)
    rule = program.rule(case.rule)
    steps = []
    for row in case.rows:
        engine.apply(_filings(engine, row, program.catalogue))
        found = _outcome(engine, rule, row)
        ok = row.expected in ("-", found) or row.expected.partition(":")[0] == found
        steps.append(Step(row, found, ok))
    return Result(case, tuple(steps))


def _filings(engine: Engine, row: Row, catalogue: Catalogue) -> list[FormBatch]:
    forms = dict.fromkeys(catalogue.indicators[name].form for name in row.values)
    one = np.ones(1, np.int64)
    return [
        FormBatch(
            form=form,
            rows=engine.rows([row.institution]),
            as_of=one * row.as_of,
            submitted_at=one * row.seen_at,
            revision=np.array([row.revision], np.int32),
            offset=-one,
            sequence=one * number,
            values=np.array([[row.values.get(name, np.nan)] for name in catalogue.reported(form)]),
        )
        for number, form in enumerate(forms)
    ]


def _outcome(engine: Engine, rule: Rule, row: Row) -> str:
    for active in engine.active():
        if active.rule == rule.id and active.subject == row.institution:
            return "pending" if active.state == "pending" else active.severity
    return "unknown" if engine.held(rule.id, row.institution) < 0 else SEVERITIES[0]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which levels of a rule some test has reached."""

    rule: str
    reached: tuple[str, ...]
    missed: tuple[str, ...]


def coverage(program: Program, results: Sequence[Result]) -> list[Coverage]:
    """Return for each rule the levels that some step of some test showed, and those that none did."""
    seen: dict[str, set[str]] = {}
    for result in results:
        seen.setdefault(result.case.rule, set()).update(step.found for step in result.steps)
    out = []
    for rule in program.rules:
        levels = ["none", *(SEVERITIES[level.number] for level in rule.levels)]
        reached = [x for x in levels if x in seen.get(rule.id, set())]
        out.append(Coverage(rule.id, tuple(reached), tuple(x for x in levels if x not in reached)))
    return out
