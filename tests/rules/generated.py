"""Hypothesis strategies: rules and filings of a small world, made to meet everything the language can say.

Values are eighths, so that arithmetic on them is exact and the engine and the reference must agree on every
comparison. What rounds (deviations, slopes, smoothing) is compared only with numbers that it can't hit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np
import yaml
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rules.catalogue import SYSTEM, Catalogue, parse_catalogues
from rules.engine import Engine, FormBatch
from rules.pack import PackText, Program, compile_packs
from rules.problems import PackError
from rules.registry import Institution
from tests.rules.reference import DAY, Filing, Reference

CATALOGUE = """
catalogue: generated
currency: CNY
size: b
sets: {BANKS: [bank, rural]}
forms:
  - {id: slow, frequency: quarterly, grace_days: 30, horizon: 60}
  - {id: mid, frequency: monthly, grace_days: 10, horizon: 60}
  - {id: fast, frequency: daily, grace_days: 3, horizon: 60}
indicators:
  - {id: a, form: slow, unit: ratio}
  - {id: b, form: slow, unit: ratio}
  - {id: m, form: mid, unit: ratio}
  - {id: f, form: fast, unit: ratio}
  - {id: g, form: fast, unit: ratio}
  - {id: quotient, formula: a / b, unit: ratio}
  - {id: gap, formula: a - m, unit: ratio}
  - {id: swing, formula: "gap - lag(f, 1)", unit: ratio}
"""
DATES = {
    "slow": [90 * k for k in range(1, 6)],
    "mid": [60, 90, 120, 150, 180, 270],
    "fast": [*range(88, 94), *range(178, 182)],
}
INSTITUTIONS = (
    Institution(
        "B1", {"en": "First"}, type="bank", region="north", peer_group="small", dsib_bucket=2, attributes={"city": "A"}
    ),
    Institution("R2", {"en": "Second"}, type="rural", region="south", peer_group="small", opened="1966-05-01"),
    Institution("N3", {"en": "Third"}, type="insurer", region="north", peer_group="large", attributes={"city": "A"}),
)
SECTOR = (*INSTITUTIONS, Institution(SYSTEM))
EIGHTHS = st.integers(-8, 16).map(lambda n: n / 8)
SOMETIMES = st.integers(-8, 20).map(lambda n: n / 8 if n <= 16 else None)
MISSES = st.sampled_from([0.01371, -0.2317, 0.5519, 1.0133])
WINDOWS = st.sampled_from(["'2 filings'", "'3 filings'", "'5 filings'", "'4d'", "'70d'", "'200d'"])
COMPARISONS = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
INEQUALITIES = st.sampled_from(["<", "<=", ">", ">="])
LEVELS = ("watch", "warning", "critical")


def catalogue(horizon: int = 60, deadlines: bool = False) -> Catalogue:
    """The catalogue above; the horizon is longer than any history that is generated unless told otherwise.

    With `deadlines` the forms `slow` and `fast` have one, in days and in business days; `mid` never has.
    """
    text = CATALOGUE.replace("horizon: 60", f"horizon: {horizon}")
    if deadlines:
        text = text.replace("quarterly,", "quarterly, deadline: 20d,").replace("daily,", "daily, deadline: 1bd,")
    return parse_catalogues([(text, "generated")])


def day(number: int) -> date:
    """The date so many days after 1 January 1970."""
    return date(1970, 1, 1) + timedelta(days=number)


PARAMETERS = st.sampled_from(["floor", "line"])
GIVEN = {
    "floor": {
        "unit": "ratio",
        "rows": [
            {"value": 0.5, "author": "A"},
            {"value": 0.25, "type": "bank", "author": "A", "to": day(119)},
            {"value": 0.75, "type": "bank", "author": "A", "from": day(120)},
        ],
    },
    "line": {"unit": "ratio", "rows": [{"value": 1, "peer_group": "small", "author": "A"}]},
}
"""The parameters of packs that don't say otherwise; `line` is missing for who is not small."""


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, object]:
    """Rows for all sorts of institutions; one for each until some day and another from the next one on."""
    found: dict[str, object] = {}
    for name in ("floor", "line"):
        keys = st.sampled_from(
            [(), ("type", "bank"), ("peer_group", "small"), ("dsib_bucket", 2), ("institution", "R2")]
        )
        rows = []
        for key in draw(st.lists(keys, min_size=1, max_size=4, unique=True)):
            whom: dict[str, object] = {"author": "A", **({key[0]: key[1]} if key else {})}
            edge = draw(EDGES)
            value, other = draw(EIGHTHS), draw(EIGHTHS)
            if draw(st.booleans()):
                rows.append({"value": value, "to": day(edge - 1), **whom})
            if draw(st.booleans()) or not rows:
                rows.append({"value": other, "from": day(edge), **whom})
        found[name] = {"unit": "ratio", "rows": rows}
    return found


EDGES = st.sampled_from([89, 90, 91, 120, 150, 179, 181, 270])


@st.composite
def waivers(draw: st.DrawFn, rule_ids: Sequence[str]) -> list[dict[str, object]]:
    """Waivers of some rules for some institutions, at most one for each."""
    pairs = st.tuples(st.sampled_from(list(rule_ids)), st.sampled_from(["B1", "R2"]))
    found = []
    for rule, institution in draw(st.lists(pairs, max_size=2, unique=True)):
        first, last = sorted(draw(st.tuples(EDGES, EDGES)))
        words = {"reason": "r", "document": "d", "approver": "p"}
        found.append({"rule": rule, "institution": institution, "from": day(first), "to": day(last), **words})
    return found


Texts = SearchStrategy[str]


def _made(template: str, *parts: SearchStrategy[Any]) -> Texts:
    return st.tuples(*parts).map(lambda chosen: template.format(*chosen))


@cache
def exact(depth: int) -> Texts:
    """Numbers in eighths, each reading an indicator."""
    leaf = st.sampled_from(["a", "b", "m", "f", "g", "gap", "swing"])
    if not depth:
        return leaf
    x = exact(depth - 1)
    n = st.integers(1, 3)
    return st.one_of(
        leaf,
        leaf,
        _made("({} {} {})", x, st.sampled_from("+-"), st.one_of(x, EIGHTHS, PARAMETERS)),
        _made("-{}", x),
        _made("abs({})", x),
        _made("lag({}, {})", x, n),
        _made("change({}, {})", x, n),
        _made("{}({}, {})", st.sampled_from(["min", "max"]), x, st.one_of(x, EIGHTHS, WINDOWS)),
        _made("median({}, {})", x, WINDOWS),
        _made("cusum({}, {}, {})", x, st.one_of(x, EIGHTHS), EIGHTHS),
        _made("({} if {} else {})", x, condition(depth - 1), x),
        _made("streak({})", condition(depth - 1)),
    )


@cache
def same(depth: int) -> Texts:
    """Numbers that both sides round alike."""
    x = exact(depth)
    return st.one_of(
        st.just("quotient"),
        _made("({} {} {})", x, st.sampled_from("*/"), x),
        _made("mean({}, {})", x, WINDOWS),
        _made("pct_change({})", x),
    )


@cache
def rough(depth: int) -> Texts:
    """Numbers that may differ in the last digit."""
    x = st.one_of(exact(depth), same(depth))
    return st.one_of(
        _made("std({}, {})", x, WINDOWS),
        _made("zscore({}, {})", x, WINDOWS),
        _made("slope({}, {})", x, WINDOWS),
        _made("mean({}, {})", same(depth), WINDOWS),
        _made("quantile({}, {}, {})", x, st.sampled_from([0, 0.25, 0.7, 1]), WINDOWS),
        _made("ewma({}, {})", x, st.integers(1, 3)),
        _made("forecast({}, '{}d')", x, st.integers(1, 400)),
        _made("lag(std({}, {}), 1)", exact(depth), WINDOWS),
    )


@cache
def condition(depth: int) -> Texts:
    """Conditions, each reading an indicator."""
    below = max(0, depth - 1)
    x = exact(below)
    simple = st.one_of(
        _made("{} {} {}", x, COMPARISONS, EIGHTHS),
        _made("{} {} {}", x, COMPARISONS, PARAMETERS),
        _made("{} {} {}", x, COMPARISONS, x),
        _made("{} < {} <= {}", EIGHTHS, x, EIGHTHS),
        _made("{} {} {}", same(below), INEQUALITIES, st.one_of(x, EIGHTHS)),
        _made("{} {} {}", rough(below), INEQUALITIES, MISSES),
        _made("{}({})", st.sampled_from(["missing", "exists"]), x),
        _made("crossed({}, {})", x, EIGHTHS),
        _made("age({}) > {}", x, st.integers(0, 100)),
        _made("{} {}in ({}, {})", x, st.sampled_from(["", "not "]), EIGHTHS, EIGHTHS),
    )
    if not depth:
        return simple
    c = condition(depth - 1)
    return st.one_of(
        simple,
        simple,
        _made("({} {} {})", c, st.sampled_from(["and", "or"]), st.one_of(c, ATTRIBUTES)),
        _made("not ({})", c),
        _made("({} if {} else {})", c, c, c),
    )


ATTRIBUTES = st.sampled_from(
    [
        "type in BANKS",
        "type not in BANKS",
        "region == 'north'",
        "type in ('bank', 'insurer')",
        "dsib_bucket > 1",
        "True",
    ]
)
SPANS = st.sampled_from(["1 filing", "2 filings", "3 filings", "5d", "40d", "100d"])


@st.composite
def rules(draw: st.DrawFn, most: int = 3, least: int = 1) -> list[dict[str, object]]:
    """`least` to `most` rules as their YAML would say them; later ones may ask for earlier ones."""
    found: list[dict[str, object]] = []
    for number in range(draw(st.integers(least, most))):
        names = draw(st.lists(st.sampled_from(LEVELS), min_size=1, max_size=3, unique=True))
        anything = st.one_of(condition(0), condition(1), condition(2))
        if number:
            asking = _made("firing('r{}'{})", st.integers(0, number - 1), st.sampled_from(["", ", watch", ", warning"]))
            anything = st.one_of(anything, anything, asking, _made("{} and {}", asking, condition(1)))
        rule: dict[str, object] = {"id": f"r{number}", "levels": {name: draw(anything) for name in names}}
        if draw(st.booleans()):
            rule["for"] = draw(SPANS)
        if draw(st.booleans()):
            rule["clear"] = draw(condition(1)) + draw(st.one_of(st.just(""), SPANS.map(" for {}".format)))
        if draw(st.booleans()):
            rule["where"] = draw(st.one_of(ATTRIBUTES, condition(1)))
        found.append({**rule, **draw(silencing(number))})
    return found


@st.composite
def silencing(draw: st.DrawFn, number: int) -> dict[str, object]:
    """What may silence the alerts of the rule of this number, or those that it silences, which come after it."""
    found: dict[str, object] = {}
    if draw(st.integers(0, 3)) == 0:
        asking = _made("firing('r{}')", st.integers(0, number - 1)) if number else condition(0)
        found["unless"] = draw(st.one_of(condition(0), condition(1), asking))
    if number and draw(st.booleans()):
        causes = draw(st.lists(st.integers(0, number - 1), min_size=1, unique=True))
        found["inhibited_by"] = [{"rule": f"r{n}", "level": draw(st.sampled_from(LEVELS))} for n in causes]
    if draw(st.integers(0, 5)) == 0:
        first, last = sorted(draw(st.tuples(EDGES, EDGES)))
        found["valid"] = draw(st.sampled_from([{"from": day(first)}, {"from": day(first), "to": day(last)}]))
    return found


def filings(
    most: int = 30, institutions: int = 2, revisions: int = 2, dates: Mapping[str, Sequence[int]] = DATES
) -> SearchStrategy[list[Filing]]:
    """Filings, no two of one form, date and revision, in an order that is the order of arrival."""
    reported = {form: catalogue().reported(form) for form in DATES}

    @st.composite
    def one(draw: st.DrawFn) -> Filing:
        form = draw(st.sampled_from(list(dates)))
        values = {name: draw(SOMETIMES) for name in reported[form]}
        return Filing(
            institution=INSTITUTIONS[draw(st.integers(0, institutions - 1))].code,
            form=form,
            as_of=draw(st.sampled_from(dates[form])) * DAY,
            values=values,
            revision=draw(st.sampled_from([0, *range(revisions + 1)])),
        )

    @st.composite
    def several(draw: st.DrawFn) -> list[Filing]:
        count = draw(st.sampled_from([n for n in (1, 4, 8, 14, 20, 30) if n <= most]))
        found = {(f.institution, f.form, f.as_of, f.revision): f for f in (draw(one()) for _ in range(count))}
        return [_arriving(f, position) for position, f in enumerate(found.values())]

    return several()


def _arriving(filing: Filing, position: int) -> Filing:
    return Filing(
        filing.institution,
        filing.form,
        filing.as_of,
        filing.values,
        filing.revision,
        submitted=(1000 + position) * DAY,
        offset=position,
    )


def in_order(found: Sequence[Filing]) -> list[Filing]:
    """The filings on time: first revisions only, each institution's dates strictly rising."""
    kept: dict[tuple[str, int], Filing] = {}
    for filing in found:
        kept.setdefault((filing.institution, filing.as_of), filing)
    rising = sorted(kept.values(), key=lambda f: f.as_of)
    return [_arriving(Filing(f.institution, f.form, f.as_of, f.values), position) for position, f in enumerate(rising)]


BY = st.sampled_from(
    ["", "", ", by=region", ", by=type", ", by=peer_group", ", by=dsib_bucket", ", by=attributes.city"]
)


def across() -> Texts:
    """Conditions on values over institutions."""
    plain = st.sampled_from(["a", "b", "m"])
    x, c = st.one_of(plain, plain, exact(1)), st.one_of(_made("{} > {}", plain, EIGHTHS), condition(0))
    alike = st.one_of(
        _made("{}({}{})", st.sampled_from(["group_sum", "group_mean", "peer_median", "peer_mean"]), x, BY),
        _made("{}({}{})", st.sampled_from(["share", "peer_percentile", "peer_rank"]), x, BY),
        _made("weighted_mean({}, {}{})", x, x, BY),
        _made("count({}{})", c, BY),
        _made("share_of({}, abs({}){})", c, x, BY),
        _made("lag(group_mean({}), 1)", x),
    )
    rounded = _made("{}({}{})", st.sampled_from(["hhi", "gini", "peer_zscore"]), x, BY)
    return st.one_of(
        _made("{} {} {}", alike, INEQUALITIES, EIGHTHS),
        _made("{} {} {}", alike, INEQUALITIES, EIGHTHS),
        _made("{} {} {}", rounded, INEQUALITIES, MISSES),
        _made("({} {} {} {} {})", alike, INEQUALITIES, EIGHTHS, st.sampled_from(["and", "or"]), c),
    )


@st.composite
def sectors(draw: st.DrawFn) -> World:
    """Worlds of rules that look across institutions, of single ones and of the system."""
    found: list[dict[str, object]] = []
    for number in range(draw(st.integers(1, 2))):
        names = draw(st.lists(st.sampled_from(LEVELS), min_size=1, max_size=2, unique=True))
        rule: dict[str, object] = {
            "id": f"r{number}",
            "scope": draw(st.sampled_from(["institution", "system"])),
            "levels": {name: draw(across()) for name in names},
        }
        if draw(st.booleans()):
            rule["for"] = draw(SPANS)
        if draw(st.booleans()):
            rule["clear"] = draw(across())
        if draw(st.booleans()):
            rule["min_coverage"] = draw(st.sampled_from(["40%", "67%", "100%"]))
        if draw(st.integers(0, 4)) == 0:
            rule["unless"] = draw(across())
        found.append(rule)
    if len(found) > 1 and found[0]["scope"] == found[1]["scope"] and draw(st.booleans()):
        found[0]["inhibits"] = ["r1"]
    if draw(st.booleans()):
        found.append({"id": "asking", "scope": found[0]["scope"], "levels": {"watch": "firing('r0')"}})
    return world(found, given=draw(parameters()))


@dataclass(frozen=True)
class World:
    """Generated rules, compiled for the engine and read by the reference."""

    text: str
    program: Program
    reference: Reference

    def engine(self) -> Engine:
        """A fresh engine that knows the institutions, and the system."""
        return Engine(self.program, SECTOR)

    def __repr__(self) -> str:
        return f"World of\n{self.text}"


def world(
    rule_list: Sequence[dict[str, object]],
    horizon: int = 60,
    given: dict[str, object] | None = None,
    waived: Sequence[dict[str, object]] = (),
    deadlines: bool = False,
) -> World:
    """Compile rules given as data; windows inside windows may look too far, and then it is another example."""
    pack = {"pack": "generated", "version": "1", "parameters": given or GIVEN, "rules": list(rule_list)}
    text = yaml.safe_dump({**pack, "waivers": list(waived)}, sort_keys=False, width=10_000)
    known = catalogue(horizon, deadlines)
    try:
        program = compile_packs([PackText(text, "generated.yaml")], known)
    except PackError as err:
        if all(problem.check == "too-far" for problem in err.problems):
            reject()
        raise
    return World(text, program, Reference([text], known, SECTOR))


def worlds(most: int = 3) -> SearchStrategy[World]:
    """Worlds of one to `most` rules, with parameters and waivers."""

    @st.composite
    def one(draw: st.DrawFn) -> World:
        made = draw(rules(most))
        waived = draw(waivers([str(rule["id"]) for rule in made]))
        return world(made, given=draw(parameters()), waived=waived, deadlines=draw(st.booleans()))

    return one()


def tight_worlds() -> SearchStrategy[World]:
    """Worlds that keep no more dates than rules look back over."""
    return rules().map(lambda made: world(made, horizon=1))


def batches(engine: Engine, found: Sequence[Filing]) -> list[FormBatch]:
    """The filings as columns, one batch a form, their order in `sequence`."""
    made = []
    for form in DATES:
        chosen = [(n, f) for n, f in enumerate(found) if f.form == form]
        if chosen:
            made.append(_batch(engine, form, chosen))
    return made


def _batch(engine: Engine, form: str, chosen: Sequence[tuple[int, Filing]]) -> FormBatch:
    reported = engine.program.catalogue.reported(form)
    values = [[np.nan if (v := f.values.get(name)) is None else v for _, f in chosen] for name in reported]
    return FormBatch(
        form=form,
        rows=engine.rows([f.institution for _, f in chosen]),
        as_of=np.array([f.as_of for _, f in chosen], np.int64),
        submitted_at=np.array([f.submitted for _, f in chosen], np.int64),
        revision=np.array([f.revision for _, f in chosen], np.int32),
        offset=np.array([f.offset for _, f in chosen], np.int64),
        sequence=np.array([n for n, _ in chosen], np.int64),
        values=np.array(values, np.float64).reshape(len(reported), len(chosen)),
    )
