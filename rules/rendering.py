"""Plan nodes back to the language that authors write: what is rendered compiles to the same node again.

Only the dates of a rule's validity, which no expression has, are not of the language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from rules.calendar import format_instant
from rules.expressions import MAGNITUDES
from rules.plan import Node
from rules.spans import EVER
from rules.store import NEVER
from rules.transitions import SEVERITIES
from rules.windows import DAY

if TYPE_CHECKING:
    from rules.pack import Program

_SIGNS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "less": "<", "less_equal": "<=", "greater": ">",
    "greater_equal": ">=", "equal": "==", "unequal": "!=", "and": "and", "or": "or",
}  # fmt: skip
_BINDS = {
    "choice": 0, "or": 1, "and": 2, "not": 3, "less": 4, "less_equal": 4, "greater": 4, "greater_equal": 4, "equal": 4,
    "unequal": 4, "member": 4, "valid": 4, "add": 5, "subtract": 5, "multiply": 6, "divide": 6, "negate": 7,
}  # fmt: skip
"""How tightly operations bind, as the parser reads them; what is not here is a name or a call."""
_ATOM = 8
_LARGE = {"en": ("tn", "bn", "mn"), "zh": ("万亿", "亿", "万")}
_LARGEST = 1e18


@dataclass(frozen=True, slots=True)
class Renderer:
    """Renders nodes; `names` stand for nodes (by id), and `sets` for lists of types, wherever they occur.

    In Chinese (`zh`) large amounts are counted in 万, 亿 and 万亿.
    """

    names: Mapping[int, str] = field(default_factory=dict)
    sets: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    language: str = "en"

    def __call__(self, node: Node) -> str:
        """Return the node as an expression."""
        return self._at(node, 0)

    def definition(self, node: Node) -> str:
        """Return the expression that the node is made of, though it has a name itself."""
        return Renderer({k: v for k, v in self.names.items() if k != node.id}, self.sets, self.language)(node)

    def _at(self, node: Node, needed: int) -> str:
        """The node where operations must bind at least so tightly, in brackets where it does not."""
        text, binds = self._text(node)
        return f"({text})" if binds < needed else text

    def _text(self, node: Node) -> tuple[str, int]:
        if node.id in self.names:
            return self.names[node.id], _ATOM
        call = _idiom(node) or _call(node)
        if call is not None:
            return f"{call.name}({', '.join([*map(self, call.args), *call.rest])})", _ATOM
        leaf = self._leaf(node)
        if leaf is not None:
            return leaf, _ATOM
        binds = _BINDS[node.op]
        return self._operation(node, binds), binds

    def _leaf(self, node: Node) -> str | None:
        match node.op:
            case "constant":
                return self._number(float(node.params[0]), node.unit is not None)  # type: ignore[arg-type]
            case "column":
                return str(node.params[1])
            case "attribute" | "truth" | "parameter":
                return str(node.params[0])
            case "text":
                return _quoted(node.params[0])
        return None

    def _operation(self, node: Node, binds: int) -> str:
        match node.op:
            case "negate":
                return f"-{self._at(node.args[0], binds)}"
            case "not":
                return f"not {self._at(node.args[0], binds)}"
            case "choice":
                condition, then, otherwise = node.args
                return f"{self._at(then, 1)} if {self._at(condition, 1)} else {self._at(otherwise, 0)}"
            case "member":
                listed = f"({', '.join(map(_quoted, node.params))})"
                return f"{self._at(node.args[0], 5)} in {self.sets.get(tuple(map(str, node.params)), listed)}"
            case "valid":
                return _dates(*map(int, node.params))  # type: ignore[arg-type]
        left, right = node.args
        left_binds = 5 if binds == 4 else binds
        return f"{self._at(left, left_binds)} {_SIGNS[node.op]} {self._at(right, binds + 1)}"

    def _number(self, value: float, is_ratio: bool) -> str:
        exact = Decimal(repr(value))
        if is_ratio:
            return f"{_plain(exact * 100)}%"
        for suffix in _LARGE.get(self.language, _LARGE["en"]):
            if MAGNITUDES[suffix] <= value < _LARGEST and value >= 1e4:
                return f"{_plain(exact / Decimal(MAGNITUDES[suffix]))}{suffix}"
        return _plain(exact) if abs(value) < _LARGEST else repr(value)


def renderer(program: Program, language: str = "en") -> Renderer:
    """Return what renders a program's nodes as its authors write: by the names of derived indicators and sets."""
    names = {node.id: name for name, node in program.derived.items()}
    sets = {tuple(sorted(types)): name for name, types in program.catalogue.sets.items()}
    return Renderer(names, sets, language)


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f") if number else "0"


def render(node: Node, names: Mapping[int, str] | None = None) -> str:
    """Return a node as an expression; derived indicators are written out unless `names` has theirs."""
    return Renderer(names or {})(node)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call: the function's name, its arguments, and what follows them as text."""

    name: str
    args: tuple[Node, ...]
    rest: tuple[str, ...] = ()


def _quoted(text: object) -> str:
    return f"'{text}'"


def _window(filings: object, seconds: object) -> str:
    if filings:
        return f"'{filings} filings'"
    for unit, size in (("d", DAY), ("h", 3600)):
        if int(seconds) % size == 0:  # type: ignore[call-overload]
            return f"'{int(seconds) // size}{unit}'"  # type: ignore[call-overload]
    return f"'{int(seconds) // 60}min'"  # type: ignore[call-overload]


def _call(node: Node) -> _Call | None:
    """The function call that makes the node, None where it is an operator or a leaf."""
    make = _CALLS.get(node.op)
    if make is not None:
        return make(node)
    if node.op.startswith("window_"):
        return _Call(node.op.removeprefix("window_"), node.args, (_window(node.params[1], node.params[2]),))
    if node.op in _BINDS or node.op in ("constant", "column", "attribute", "truth", "parameter", "text"):
        return None
    default = "peer_group" if node.op.startswith("peer_") else ""
    by = str(node.params[0]) if node.params else default
    return _Call(node.op, node.args, () if by == default else (f"by={by}",))


def _several(node: Node) -> tuple[Node, ...]:
    """The values that min or max of several, made of pairs from the left, are of."""
    first, last = node.args
    return (*_several(first), last) if first.op == node.op else (first, last)


def _cusum(node: Node) -> _Call:
    less_target, slack = node.args[0].args
    return _Call("cusum", (*less_target.args, slack))


def _firing(node: Node) -> _Call:
    rule, level = str(node.params[0]), int(node.params[1])  # type: ignore[arg-type]
    return _Call("firing", (), (_quoted(rule), *([SEVERITIES[level]] if level > 1 else [])))


_CALLS: dict[str, Callable[[Node], _Call]] = {
    "absolute": lambda node: _Call("abs", node.args),
    "pair_min": lambda node: _Call("min", _several(node)),
    "pair_max": lambda node: _Call("max", _several(node)),
    "lag": lambda node: _Call("lag", node.args, (str(node.params[1]),)),
    "streak": lambda node: _Call("streak", node.args),
    "age": lambda node: _Call("age", node.args),
    "missing": lambda node: _Call("missing", node.args),
    "overdue": lambda node: _Call("overdue", (), (_quoted(node.params[0]),)),
    "firing": _firing,
    "window_quantile": lambda node: _Call(
        "quantile", node.args, (_plain(Decimal(repr(node.params[3]))), _window(node.params[1], node.params[2]))
    ),
    "window_ewma": lambda node: _Call("ewma", node.args, (str(node.params[3]),)),
    "window_forecast": lambda node: _Call("forecast", node.args, (_window(0, node.params[3]),)),
    "window_cusum": _cusum,
}


def _idiom(node: Node) -> _Call | None:
    """The function that authors write for a shape the compiler makes: change, pct_change, exists, crossed."""
    if node.op == "not" and node.args[0].op == "missing":
        return _Call("exists", node.args[0].args)
    if node.op == "subtract" and node.args[1].op == "lag" and node.args[1].args[0] is node.args[0]:
        n = node.args[1].params[1]
        return _Call("change", (node.args[0],), () if n == 1 else (str(n),))
    if node.op == "divide" and node.args[1].op == "absolute":
        difference, size = node.args[0], node.args[1].args[0]
        change = _idiom(difference)
        if change is not None and change.name == "change" and difference.args[1] is size:
            return _Call("pct_change", change.args, change.rest)
    return _crossed(node)


def _crossed(node: Node) -> _Call | None:
    if node.op != "or" or any(side.op != "and" or side.args[1].op != "not" for side in node.args):
        return None
    up, down = node.args
    above, before = up.args[0], up.args[1].args[0]
    turned = down.args[0] is before and down.args[1].args[0] is above
    if not turned or above.op != "greater_equal" or before.op != "greater_equal":
        return None
    earlier = before.args[0]
    if earlier.op == "lag" and earlier.params[1] == 1 and earlier.args[0] is above.args[0]:
        return _Call("crossed", above.args)
    return None


def _dates(since: int, until: int) -> str:
    first = [f"as_of >= {format_instant(since)}"] if since != NEVER else []
    last = [f"as_of < {format_instant(until)}"] if until != EVER else []
    return " and ".join(first + last)
