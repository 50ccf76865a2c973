"""What the interval analysis calls impossible never happens in the engine, on rules and filings made at random."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import yaml
from hypothesis import given, reject
from hypothesis import strategies as st

from rules.catalogue import Catalogue, parse_catalogues
from rules.compiler import Compiler
from rules.context import Context
from rules.engine import Engine
from rules.expressions import ExpressionError, parse
from rules.lint.arithmetic import ranged
from rules.lint.facts import Facts
from rules.lint.ranges import Range, Texts, above, below
from rules.operations import number, truth
from rules.pack import PackText, Program, compile_packs
from rules.plan import Node, walk
from rules.problems import PackError
from tests.rules.generated import CATALOGUE, GIVEN, SECTOR, batches, condition, filings, rough, same
from tests.rules.reference import Filing

BOUNDED = re.sub(r"(\{id: [abmfg], form: \w+, unit: ratio)", r"\1, range: [-1, 2]", CATALOGUE)
DATES = np.array([day * 86_400 for day in (60, 88, 90, 91, 120, 179, 180, 270, 450)], np.int64)


def bounded() -> Catalogue:
    """The generated worlds' catalogue, with the range that their values have."""
    return parse_catalogues([(BOUNDED, "bounded")])


def compiled(*expressions: str) -> tuple[Compiler, list[Node]]:
    compiler = Compiler(bounded())
    return compiler, [compiler.truth(parse(expression)) for expression in expressions]


TEXTS = st.one_of(
    condition(0),
    condition(1),
    condition(2),
    st.tuples(condition(1), condition(1)).map(lambda pair: f"({pair[0]}) and not ({pair[1]})"),
    st.tuples(st.one_of(same(1), rough(1)), st.sampled_from([-3, -0.3, 0, 1, 2, 4])).map(
        lambda pair: f"{pair[0]} > {pair[1]}"
    ),
    st.tuples(st.sampled_from(["count(a > 0)", "hhi(abs(a))", "group_sum(abs(f))", "peer_percentile(a)",
                               "share_of(a > 0, abs(b))", "weighted_mean(a, abs(b))", "group_mean(a)",
                               "gini(abs(b))", "peer_rank(a)", "peer_mean(b)",
                               "share(abs(a))"]), st.integers(-1, 3)).map(
        lambda pair: f"{pair[0]} > {pair[1]}"
    ),
)  # fmt: skip


@given(st.lists(TEXTS, min_size=1, max_size=2), filings(most=12))
def test_what_happens_was_possible(texts: list[str], filed: list[Filing]) -> None:
    """Every number is within its range, every outcome was possible, and so where the first condition is assumed."""
    catalogue = bounded()
    rules = [{"id": f"r{i}", "levels": {"watch": text}} for i, text in enumerate([*texts, "a > 0"])]
    try:
        program = compile_packs(
            [PackText(yaml.safe_dump({"pack": "p", "parameters": GIVEN, "rules": rules}, width=10_000), "p")], catalogue
        )
    except PackError as err:
        if all(problem.check == "too-far" for problem in err.problems):
            reject()
        raise
    engine = Engine(program, SECTOR)
    engine.apply(batches(engine, filed))
    rows = np.array([engine.row(i.code) for i in SECTOR], np.int32)
    context = Context(engine.world, np.repeat(rows, len(DATES)), np.tile(DATES, len(rows)))
    conditions = [level.condition for rule in program.rules for level in rule.levels]
    first = conditions[0]
    base = Facts(catalogue, program.settings)
    for node in {n.id: n for c in conditions for n in walk(c)}.values():
        check(node, base, context, np.ones(len(context), bool))
    for outcome in (True, False):
        assumed = base.assume_all([(first, outcome)])
        found = truth(first, context)
        there = found.yes if outcome else found.no
        assert assumed is not None or not there.any()
        if assumed is not None:
            for other in conditions:
                check(other, assumed, context, there)
                for node in reachable(other):
                    check(node, assumed, context, there)


WINDOWED = [
    "mean(g, '6 filings')", "median(g, '4 filings')", "min(g, '5 filings')", "max(g, '5 filings')", "ewma(g, 3)",
    "std(g, '2 filings')", "std(g, '5 filings')", "std(g, '9d')", "zscore(g, '2 filings')", "zscore(g, '7 filings')",
    "zscore(g, '5d')", "quantile(g, 0.3, '6 filings')", "cusum(g, 0.5, 0.25)", "cusum(-g, -2, 0)", "lag(g, 2)",
    "change(g)", "pct_change(g)", "streak(g > 0)", "abs(change(g))", "min(g, lag(g, 1))", "max(-g, 0.5)",
]  # fmt: skip


@cache
def windowed() -> Program:
    rules = [{"id": f"r{i}", "levels": {"watch": f"{text} > 0"}} for i, text in enumerate(WINDOWED)]
    return compile_packs([PackText(yaml.safe_dump({"pack": "p", "rules": rules}, width=10_000), "p")], bounded())


@given(st.lists(st.sampled_from([-1.0, 2.0, 2.0, -1.0, 0.5, None]), min_size=1, max_size=30))
def test_extremes_stay_within_their_ranges(values: list[float | None]) -> None:
    """Histories that jump between the ends of the range, where deviations and sums are largest."""
    program = windowed()
    engine = Engine(replace(program, rules=()), SECTOR[:1])  # the history alone
    filed = [Filing(SECTOR[0].code, "fast", n * 86_400, {"g": value}) for n, value in enumerate(values)]
    engine.apply(batches(engine, filed))
    at = np.arange(len(values) + 5, dtype=np.int64) * 86_400
    context = Context(engine.world, np.zeros(len(at), np.int32), at)
    facts = Facts(program.catalogue)
    for rule in program.rules:
        check(rule.levels[0].condition.args[0], facts, context, np.ones(len(at), bool))
        check(rule.levels[0].condition, facts, context, np.ones(len(at), bool))


def reachable(node: Node) -> list[Node]:
    """What is evaluated at the same institution and date as the node itself."""
    found, stack = [], [node]
    while stack:
        part = stack.pop()
        found.append(part)
        if part.op in ("and", "or", "not", "less", "less_equal", "greater", "greater_equal", "equal", "unequal",
                       "add", "subtract", "multiply", "divide", "negate", "absolute", "missing"):  # fmt: skip
            stack.extend(part.args)
    return found


def check(node: Node, facts: Facts, context: Context, there: np.ndarray) -> None:
    """The node's column in the context, where it counts, is what the facts allow."""
    if node.kind == "number":
        allowed = facts.range(node)
        wrong = [v for v in number(node, context)[there].tolist() if not allowed.holds(v)]
        assert wrong == [], (node, allowed)
    elif node.kind == "truth":
        found = truth(node, context)
        assert facts.can(node, True) or not found.yes[there].any(), node
        assert facts.can(node, False) or not found.no[there].any(), node
        assert facts.can_be_unknown(node) or found.unknown is None or not found.unknown[there].any(), node


NEVER = [
    "a > 3", "a < -1", "a + b > 4", "a > 1 and a < 1", "a > 1 and not (a > 1)", "abs(a) < 0", "a > 0.5 and -a > -0.5",
    "streak(a > 0) > 12", "zscore(a, '3 filings') > 2", "std(a, '3 filings') > 3.5", "mean(a, '4 filings') > 2",
    "type in BANKS and type == 'insurer'", "missing(a) and a > 0", "a < b and b < 0 and a > 0", "a < a",
    "(a > 1 or a < 0) and a == 0.5", "a == 1 and a != 1", "(1 if a > 0 else 0) > 1", "min(a, 0.5) > 0.5",
    "peer_percentile(a) > 1", "count(a > 0) < 0", "lag(a, 1) > 2", "a - a > 0", "cusum(a, 2, 0) > 0", "a / 0.5 > 4",
]  # fmt: skip


@pytest.mark.parametrize("text", NEVER)
def test_what_can_never_hold_is_seen(text: str) -> None:
    """The range is [-1, 2] for a and b."""
    compiler, (node,) = compiled(text)
    assert Facts(compiler.catalogue).assume_all([(node, True)]) is None


@pytest.mark.parametrize(
    "text", ["a < 3", "a < 1 or a >= 1", "not (a > 5)", "a * a <= 4", "a in (1, 2) or a not in (1, 2)"]
)
def test_what_always_holds_is_seen(text: str) -> None:
    compiler, (node,) = compiled(text)
    assert Facts(compiler.catalogue).assume_all([(node, False)]) is None


@pytest.mark.parametrize("text", ["a > 1", "a > 1 and lag(a, 1) < 0", "a > 1 and b < 0", "a / b > 100", "a < b"])
def test_what_is_possible_stays_possible(text: str) -> None:
    compiler, (node,) = compiled(text)
    facts = Facts(compiler.catalogue)
    assert facts.can(node, True)
    assert facts.can(node, False)


def test_a_huge_condition_ends_in_not_knowing() -> None:
    """Conditions inside each other ask for more steps than there are; then everything is possible."""
    text = "a > 0"
    for n in range(40):
        text = f"(1 if {text} else 0) > 0.{n:02}"
    compiler = Compiler(bounded())
    try:
        node = compiler.truth(parse(text))
    except ExpressionError:
        pytest.fail("the text is within the language's bounds")
    facts = Facts(compiler.catalogue)
    assert facts.can(node, True)


@given(st.lists(st.sampled_from("pqr")), st.lists(st.sampled_from("pqr")), st.sampled_from("pqrs"))
def test_sets_of_texts_meet_and_join(some: list[str], others: list[str], text: str) -> None:
    """Texts are sets, also where they are all but some."""

    def has(texts: Texts, name: str) -> bool:
        return (name in texts.named) is not texts.others

    a, b = Texts().only(frozenset(some)), Texts().without(frozenset(others))
    assert has(a, text) is (text in some)
    assert has(b, text) is (text not in others)
    assert has(a.join(b), text) is (has(a, text) or has(b, text))
    assert has(b.only(frozenset(some)), text) is (has(a, text) and has(b, text))
    assert has(a.without(frozenset(others)), text) is (has(a, text) and has(b, text))


def test_strict_bounds_are_exact() -> None:
    assert below(1.0) < 1.0 < above(1.0)
    assert not Range(above(1.0), 2.0).holds(1.0)
    assert Range(1.0, below(1.0)).empty


def test_a_second_range_of_an_operation_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        ranged("add")(lambda node, facts: Range())
