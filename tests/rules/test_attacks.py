"""Packs written to break something: each is refused in a few plain lines, or harmless, and never a traceback."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.engine import Engine
from rules.expressions import ExpressionError, parse
from rules.pack import MAX_PACK, PackText, compile_packs
from rules.problems import PackError, Place, Problem
from tests.rules.worlds import batch, catalogue, institutions

MUCH = MAX_PACK - 1_000
"""As many characters as a pack may have and the rule around them."""


def watching(condition: str) -> str:
    return f"pack: p\nrules:\n  - id: r\n    levels:\n      watch: {condition}\n"


def saying(message: str) -> str:
    return f"{watching('x > 1')}    message: {message}\n"


def rules(*bodies: str) -> str:
    return "pack: p\nrules:\n" + "".join(f"- {{id: r{n}, {body}}}\n" for n, body in enumerate(bodies))


def laughs() -> str:
    """A billion laughs: nine lists of nine aliases of the list before."""
    names = "abcdefghij"
    lists = (f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in pairwise(names))
    return "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(lists)


REFUSED = {
    "ten megabytes": watching("'" + "x" * 10_000_000 + "'"),
    "an endless scalar": watching("'" + "x" * MUCH + "'"),
    "an endless sum": watching("x + " * (MUCH // 4) + "x > 1"),
    "endless digits": watching("9" * MUCH + " > x"),
    "nine thousand digits": watching("9" * 9_000 + " > x"),
    "an endless fraction of nothing": watching("x > 1e-400 and x > 1e400"),
    "a number for a key": "pack: p\nrules: []\nversion: 0x" + "f" * MUCH,
    "a number for a deadline": rules("levels: {watch: x > 1}, deadline: " + "9" * 5_000),
    "brackets": "pack: p\nrules: " + "[" * (MUCH // 2) + "]" * (MUCH // 2),
    "brackets left open": "pack: p\nrules: " + "[" * MUCH,
    "braces": "pack: p\nrules: " + "{a: " * (MUCH // 4),
    "dashes": "pack: p\nrules:\n" + "- " * (MUCH // 2),
    "questions": "? " * (MUCH // 2),
    "colons": "a: " * (MUCH // 3),
    "keys": "pack: p\nrules: []\n" + "".join(f"k{n}: 1\n" for n in range(MUCH // 10)),
    "one key again and again": "pack: p\n" * (MUCH // 8),
    "rules without end": rules(*["levels: {watch: x > 1}"] * 5_000),
    "rules without shape": "pack: p\nrules: [" + "x," * (MUCH // 2) + "]",
    "wrong rules": rules(*["levels: {watch: xx > 1}"] * 999),
    "laughs": laughs(),
    "a tag that calls": "pack: p\nrules: !!python/object/apply:os.system [id]",
    "a tag that makes a tuple": "pack: p\nrules: !!python/tuple [a]",
    "a tag that reads bytes": "pack: !!binary aGVsbG8=",
    "a message of parts": saying("'" + "{x}" * (MUCH // 3) + "'"),
    "a message of text": saying("'" + "a" * MUCH + "'"),
    "a format of nine billion digits": saying("'{x:9999999999f}'"),
    "a format with a billion decimals": saying("'{x:.999999999f}'"),
    "a format inside a format": saying("'{x:{y}}'"),
    "attributes of Python in a message": saying("'{x.__class__.__init__.__globals__}'"),
    "a long name": watching("a" * 9_000 + " > 1"),
    "a long dotted name": watching("a." * 4_000 + "a > 1"),
    "a long function": watching("a" * 9_000 + "(1) > 1"),
    "spaces": watching("'x" + " " * MUCH + "> 1'"),
    "empty lines": watching("|\n" + "\n" * MUCH + "        x > 1"),
    "for without end": watching("x > 1") + "    clear: x > 1" + " for" * (MUCH // 4),
    "quotes": watching("|\n        " + "'" * 8_000),
    "escapes": watching('"' + "\\x20" * (MUCH // 4) + 'zz > 1"'),
    "a long id": rules().replace("rules:", "rules: [{id: " + "r" * MUCH + ", levels: {watch: x > 1}}]"),
    "rules that wait in a row": rules(
        *(f"levels: {{watch: \"firing('r{n + 1}')\"}}" for n in range(900)), "levels: {watch: x > 1}"
    ),
    "a surrogate": watching("x > \ud800"),
    "a null character": watching("x > \0"),
    "writing from right to left": watching("x > \u202e1"),
    "a joiner of no width": watching("x\u200d > 1"),
    "a line break of Unicode": watching("x\u2028> 1"),
    "a squared digit": watching("x > 2²"),
    "a letter like another": watching("х > 1"),
    "windows in windows": watching("mean(" * 40 + "x" + ", '2 filings')" * 40 + " > 1"),
    "looking ever further back": watching("lag(" * 49 + "z" + ", 400)" * 49 + " > 1"),
    "brackets in an expression": watching("(" * 4_000 + "x" + ")" * 4_000 + " > 1"),
    "calls in calls": watching("abs(" * 3_000 + "x" + ")" * 3_000 + " > 1"),
    "not not": watching("not " * 390 + "x > 1"),
    "minus minus": watching("'" + "-" * 390 + "x > 1'"),
    "if else if else": watching("x > 1 if y > 1 else " * 60 + "x > 2"),
    "a tower of powers": watching("9**9**9**9 > x"),
    "an import": watching("__import__('os').system('id') > 1"),
    "a way to the builtins": watching("().__class__.__bases__[0].__subclasses__() > 1"),
    "a comprehension": watching("'[y for y in x] > 1'"),
    "a lambda": watching("'(lambda: 1)() > x'"),
    "a generator": watching("max(y for y in x) > 1"),
    "a walrus": watching("'(y := x) > 1'"),
    "an f-string": watching("f'{x}' == '1'"),
    "a star": watching("max(*x) > 1"),
    "an ellipsis": watching("x > ..."),
    "two lines of Python": watching('"x > 1\\n; import os"'),
    "a semicolon": watching("x > 1; y > 1"),
    "a comment that hides": watching('"x > # 1"'),
    "exec": watching("exec('x') > 1"),
    "open": watching("open('/etc/passwd') > 1"),
}
HARMLESS = {
    "the longest list": watching("x in (" + ", ".join(map(str, range(190))) + ")"),
    "the longest sum": watching(" + ".join(["x"] * 95) + " > 1"),
    "the longest or": watching(" or ".join(["x > 1"] * 95)),
    "the deepest not": watching("not " * 90 + "x > 1"),
    "the deepest call": watching("abs(" * 45 + "x" + ")" * 45 + " > 1"),
    "the longest look back": watching("mean(lag(x, 399), '400 filings') > 1"),
    "full-width digits": watching("x > １２"),
    "a mark of byte order": "\ufeff" + watching("x > 1"),
    "a condition that is always true": watching("x == x"),
    "division by what may be nothing": watching("1 / (x - x) > 1"),
    "infinity": watching("x * 1e308 * 1e308 - x * 1e308 * 1e308 > 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_plain_lines(name: str) -> None:
    with pytest.raises(PackError) as raised:
        compile_packs([PackText(REFUSED[name], "p.yaml")], catalogue())
    assert raised.value.problems
    assert all(len(str(problem)) < 700 and "\n" not in str(problem) for problem in raised.value.problems)


@pytest.mark.parametrize("name", HARMLESS)
def test_it_does_no_harm(name: str) -> None:
    engine = Engine(compile_packs([PackText(HARMLESS[name], "p.yaml")], catalogue()), institutions(3))
    filings = [(f"I{i}", 90 * n, (float(n), 1.0, 1.0)) for n in range(1, 4) for i in range(3)]
    assert engine.apply([batch(engine, "q", filings)]).refused == []


def problems(text: str) -> list[Problem]:
    """What is wrong with a pack; empty when nothing is."""
    try:
        compile_packs([PackText(text, "p.yaml")], catalogue())
    except PackError as err:
        return list(err.problems) or [Problem(Place("nowhere"), "none", "an error without problems")]
    return []


@given(st.text(max_size=200))
def test_any_text_is_a_pack_or_has_problems(text: str) -> None:
    assert all(problem.place.file == "p.yaml" for problem in problems(text))


NAMES = ["x", "y", "assets", "type", "BANKS", "lag", "mean", "firing", "overdue", "q"]
SIGNS = ["(", ")", ",", "<", ">", "==", "+", "-", "*", "/", "=", ".", "and", "or", "not", "in", "if", "else"]
LITERALS = ["'4 filings'", "'90d'", "1", "120%", "2亿"]
SOURCES = st.lists(st.sampled_from(NAMES + SIGNS + LITERALS), max_size=30).map(" ".join) | st.text(max_size=60)


@given(SOURCES)
def test_any_expression_is_a_rule_or_has_problems(source: str) -> None:
    quoted = source.replace("'", "''")
    assert all(problem.place.file == "p.yaml" for problem in problems(watching(f"'{quoted}'")))


@given(SOURCES)
def test_a_syntax_error_has_a_place_in_the_expression(source: str) -> None:
    assert 0 <= error_offset(source) <= len(source)


def error_offset(source: str) -> int:
    """Where the expression is wrong; 0 when it is not."""
    try:
        parse(source)
    except ExpressionError as err:
        return err.offset
    return 0
