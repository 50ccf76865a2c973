"""The expression language: text to syntax tree, with the offset of every part for error messages.

The syntax is Python's own for arithmetic, comparison chains, `and`/`or`/`not`, `in`, `a if c else b` and
calls, plus literals with a percent sign or a magnitude (`120%`, `50bp`, `200bn`, `2000亿`). A parser of
our own, because it accepts only that: there is no attribute access, subscript, power, comprehension or
lambda to be forbidden, and length and depth are bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice

from rules.problems import short

MAX_LENGTH = 10_000
MAX_DEPTH = 50
MAX_NAME = 100
MAX_TOKENS = 400
MAX_OPERATIONS_DEEP = 100

MAGNITUDES = {
    "%": 1e-2,
    "‰": 1e-3,
    "bp": 1e-4,
    "k": 1e3,
    "mn": 1e6,
    "bn": 1e9,
    "tn": 1e12,
    "万": 1e4,
    "亿": 1e8,
    "万亿": 1e12,
}
FRACTIONS = frozenset({"%", "‰", "bp"})
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
FULL_WIDTH = "\uff0c\u3002\uff08\uff09\uff1c\uff1e\uff1d\uff0b\uff0d\uff0f\uff05\uff1b\uff1a"
KEYWORDS = frozenset({"and", "or", "not", "in", "if", "else", "True", "False"})


class ExpressionError(Exception):
    """The expression can't be used; `offset` counts characters from its start."""

    def __init__(self, offset: int, summary: str, fix: str = "", check: str = "syntax") -> None:
        self.offset = offset
        self.summary = summary
        self.fix = fix
        self.check = check
        super().__init__(summary)


@dataclass(frozen=True, slots=True)
class Number:
    """A literal; `fraction` marks one written as percent, per mille or basis points."""

    at: int
    value: float
    fraction: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """A quoted text."""

    at: int
    value: str


@dataclass(frozen=True, slots=True)
class Truth:
    """True or False."""

    at: int
    value: bool


@dataclass(frozen=True, slots=True)
class Name:
    """An indicator, attribute or set; may be dotted."""

    at: int
    id: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function call."""

    at: int
    function: str
    args: tuple[Expression, ...]
    options: tuple[tuple[str, Expression], ...] = ()


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x`, `+x` or `not x`."""

    at: int
    op: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary:
    """Arithmetic `+ - * /`, or `and` / `or`."""

    at: int
    op: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Compare:
    """A chain of comparisons: `a < b <= c` holds when each neighbouring pair does."""

    at: int
    operands: tuple[Expression, ...]
    ops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """`x in SET` or `x in (a, b)`."""

    at: int
    item: Expression
    options: tuple[Expression, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """`then if condition else otherwise`."""

    at: int
    then: Expression
    condition: Expression
    otherwise: Expression


Expression = Number | Text | Truth | Name | Call | Unary | Binary | Compare | Member | Choice

_NUMBER = r"(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?"
_TOKEN = re.compile(
    rf"""(?P<space>[ \t\r\n]+|\#[^\n]*)
    |(?P<number>{_NUMBER})(?P<suffix>万亿|[%‰万亿]|[A-Za-z]+)?
    |(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
    |(?P<text>'[^'\n]*'|"[^"\n]*")
    |(?P<op><=|>=|==|!=|\*\*|//|[-+*/<>(),=])""",
    re.VERBOSE,
)

_LISTS = "use lag(x, 1) for history and (a, b) for lists"
_INSTEAD = {
    "[": _LISTS,
    "]": _LISTS,
    "%": "write 120% without a space",
    "&": "write and",
    "|": "write or",
    "!": "write not, or != for unequal",
}
"""What to write instead of a sign that other languages have."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int
    value: float = 0.0
    fraction: bool = False


def _tokens(source: str) -> Iterator[_Token]:
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise ExpressionError(at, *_unexpected(source, at))
        kind = match.lastgroup
        if kind in ("suffix", "number"):
            yield _number(match)
        elif kind != "space":
            text = match.group()
            if kind == "name" and text in KEYWORDS:
                kind = "op"
            if kind == "name" and len(text) > MAX_NAME:
                raise ExpressionError(at, f"the name is over {MAX_NAME} characters long")
            yield _Token(str(kind), text, at)
        at = match.end()
    yield _Token("end", "", len(source.rstrip()))


def _number(match: re.Match[str]) -> _Token:
    digits, suffix = match.group("number"), match.group("suffix") or ""
    if suffix and suffix not in MAGNITUDES:
        known = ", ".join(MAGNITUDES)
        raise ExpressionError(match.start("suffix"), f"{short(suffix)} is no magnitude", f"known: {known}")
    plain = digits.replace("_", "")
    value = float(plain)
    if suffix and math.isfinite(value):
        # in decimal, so that 120% is 1.2 and 1.15亿 is 115000000, to the last digit
        value = float(Decimal(plain) * Decimal(repr(MAGNITUDES[suffix])))
    if not math.isfinite(value):
        raise ExpressionError(match.start(), "the number is too large")
    return _Token("number", match.group(), match.start(), value, suffix in FRACTIONS)


def _unexpected(source: str, at: int) -> tuple[str, str]:
    char = source[at]
    if char in "'\"":
        return "the quote is not closed", f"end the text with {char}"
    if char in _INSTEAD:
        return f"{char!r} is not used in rules", _INSTEAD[char]
    if char == ".":
        return "'.' stands alone", "names may be dotted without spaces, as in institution.name"
    if char in FULL_WIDTH:  # typed with a Chinese keyboard
        return f"{char!r} is a full-width character", "type it in half width"
    return f"{char!r} is not used in rules", ""


class _Parser:
    """Precedence climbing over the token list; one instance an expression."""

    def __init__(self, source: str) -> None:
        self.tokens = list(islice(_tokens(source), MAX_TOKENS + 1))
        if len(self.tokens) > MAX_TOKENS:
            raise ExpressionError(
                self.tokens[-1].at,
                f"the expression has over {MAX_TOKENS} parts",
                "split it into derived indicators",
            )
        self.index = 0
        self.depth = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.index]

    def take(self, *texts: str) -> _Token | None:
        token = self.token
        if token.kind == "op" and token.text in texts:
            self.index += 1
            return token
        return None

    def expect(self, text: str, why: str) -> _Token:
        found = self.take(text)
        if found is None:
            raise ExpressionError(self.token.at, f"expected {text!r} {why}, found {self.described()}")
        return found

    def described(self) -> str:
        return "the end" if self.token.kind == "end" else short(self.token.text)

    def whole(self) -> Expression:
        tree = self.choice()
        if self.token.kind != "end":
            fix = "compare with ==" if self.token.text == "=" else ""
            raise ExpressionError(self.token.at, f"expected an operator, found {self.described()}", fix)
        return tree

    def choice(self) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(self.token.at, f"nested more than {MAX_DEPTH} deep", "split it into indicators")
        then = self.either()
        token = self.take("if")
        if token:
            condition = self.either()
            self.expect("else", "after 'a if condition'")
            then = Choice(token.at, then, condition, self.choice())
        self.depth -= 1
        return then

    def either(self) -> Expression:
        left = self.both()
        while token := self.take("or"):
            left = Binary(token.at, "or", left, self.both())
        return left

    def both(self) -> Expression:
        left = self.inverse()
        while token := self.take("and"):
            left = Binary(token.at, "and", left, self.inverse())
        return left

    def inverse(self) -> Expression:
        inversions = []
        while token := self.take("not"):
            inversions.append(token.at)
        tree = self.comparison()
        for at in reversed(inversions):
            tree = Unary(at, "not", tree)
        return tree

    def comparison(self) -> Expression:
        first = self.sum()
        at = self.token.at
        negated = self.token.text == "not" and self.tokens[self.index + 1].text == "in"
        if negated:
            self.index += 1
        if self.take("in"):
            return Member(at, first, self.options(), negated)
        operands, ops = [first], []
        while token := self.take(*COMPARISONS):
            ops.append(token.text)
            operands.append(self.sum())
        return Compare(at, tuple(operands), tuple(ops)) if ops else first

    def options(self) -> tuple[Expression, ...]:
        if not self.take("("):
            return (self.atom(),)
        items = [self.signed()]
        while self.take(","):
            if self.token.text == ")":
                break
            items.append(self.signed())
        self.expect(")", "to close the list")
        return tuple(items)

    def sum(self) -> Expression:
        left = self.product()
        while token := self.take("+", "-"):
            left = Binary(token.at, token.text, left, self.product())
        return left

    def product(self) -> Expression:
        left = self.signed()
        while token := self.take("*", "/"):
            left = Binary(token.at, token.text, left, self.signed())
        if token := self.take("**", "//"):
            raise ExpressionError(token.at, f"there is no operator {token.text!r}", "use * and /")
        return left

    def signed(self) -> Expression:
        signs = []
        while token := self.take("-", "+"):
            signs.append(token)
        tree = self.atom()
        for token in reversed(signs):
            tree = Unary(token.at, token.text, tree)
        return tree

    def atom(self) -> Expression:
        token = self.token
        self.index += 1
        if token.kind == "number":
            return Number(token.at, token.value, token.fraction)
        if token.kind == "text":
            return Text(token.at, token.text[1:-1])
        if token.kind == "op" and token.text in ("True", "False"):
            return Truth(token.at, token.text == "True")
        if token.kind == "name":
            return self.call(token) if self.take("(") else Name(token.at, token.text)
        if token.text == "(":
            tree = self.choice()
            self.expect(")", "to close the bracket")
            return tree
        self.index -= 1
        raise ExpressionError(token.at, f"expected a value, found {self.described()}")

    def call(self, name: _Token) -> Call:
        args: list[Expression] = []
        options: list[tuple[str, Expression]] = []
        while not self.take(")"):
            if args or options:
                self.expect(",", f"or ')' in the call of {name.text}")
            follows = self.tokens[min(self.index + 1, len(self.tokens) - 1)]
            if self.token.kind == "name" and follows.text == "=":
                key = self.token.text
                self.index += 2
                options.append((key, self.choice()))
            elif options:
                raise ExpressionError(self.token.at, "an unnamed argument can't follow a named one")
            else:
                args.append(self.choice())
        return Call(name.at, name.text, tuple(args), tuple(options))


def parts(tree: Expression) -> tuple[Expression, ...]:
    """Return what the tree is directly made of, in the order of writing; literals and names have no parts."""
    match tree:
        case Call(_, _, args, options):
            return (*args, *(value for _, value in options))
        case Unary(_, _, operand):
            return (operand,)
        case Binary(_, _, left, right):
            return (left, right)
        case Compare(_, operands, _):
            return operands
        case Member(_, item, listed, _):
            return (item, *listed)
        case Choice(_, then, condition, otherwise):
            return (then, condition, otherwise)
    return ()


def _bounded(tree: Expression) -> Expression:
    """Return the tree unless it is deeper than those who walk it can go."""
    stack = [(tree, 1)]
    while stack:
        part, depth = stack.pop()
        if depth > MAX_OPERATIONS_DEEP:
            summary = f"over {MAX_OPERATIONS_DEEP} operations inside each other"
            raise ExpressionError(part.at, summary, "split it into derived indicators")
        stack.extend((below, depth + 1) for below in parts(part))
    return tree


def parse(source: str) -> Expression:
    """Parse an expression; raise ExpressionError with the offset of what is wrong.

    >>> parse("lcr < 120%")
    Compare(at=4, operands=(Name(at=0, id='lcr'), Number(at=6, value=1.2, fraction=True)), ops=('<',))
    """
    if len(source) > MAX_LENGTH:
        raise ExpressionError(0, f"the expression is over {MAX_LENGTH} characters long")
    if not source.strip():
        raise ExpressionError(0, "the expression is empty")
    return _bounded(_Parser(source).whole())
