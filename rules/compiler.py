"""Syntax tree to plan nodes: names resolved, units and kinds checked, derived indicators expanded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise

from rules.catalogue import Catalogue, Indicator
from rules.expressions import (
    Binary,
    Call,
    Choice,
    Compare,
    Expression,
    ExpressionError,
    Member,
    Name,
    Number,
    Text,
    Truth,
    Unary,
    parse,
)
from rules.plan import Graph, Kind, Node, Setting, walk
from rules.problems import Problem, nearest
from rules.registry import NUMBER_ATTRIBUTES, TEXT_ATTRIBUTES
from rules.source import Value
from rules.units import RATIO, fits, multiply, unit_of, words

_ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
_COMPARISON = {
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "==": "equal",
    "!=": "unequal",
}
MIN_COVERAGE = 0.8
MAX_REACH = 4001
MAX_DEPTH = 120
MAX_FORMULAS_DEEP = 20


class Compiler:
    """Compiles expressions against one catalogue into one graph, so that equal parts are shared.

    `rules` are the ids that `firing` may name; `settings` the parameters of the pack at hand,
    `min_coverage` the share of a group that values across institutions ask for in the rule at hand.
    """

    def __init__(self, catalogue: Catalogue, rules: Collection[str] = ()) -> None:
        self.catalogue = catalogue
        self.rules = rules
        self.settings: Mapping[str, Setting] = {}
        self.min_coverage = MIN_COVERAGE
        self.graph = Graph()
        self._derived: dict[str, Node] = {}
        self._reached: dict[int, int] = {}
        self._open: list[str] = []

    def truth(self, tree: Expression) -> Node:
        """Compile to a condition; raise ExpressionError when it is a number or a text."""
        node = self.any(tree)
        if node.kind != "truth":
            raise ExpressionError(tree.at, f"expected a condition, found a {node.kind}", "compare it with something")
        return node

    def number(self, tree: Expression) -> Node:
        """Compile to a number; raise ExpressionError when it is a condition or a text."""
        node = self.any(tree)
        if node.kind != "number":
            found = "a condition" if node.kind == "truth" else "a text"
            raise ExpressionError(tree.at, f"expected a number, found {found}")
        return node

    def any(self, tree: Expression) -> Node:
        """Compile to whatever kind the tree is."""
        node = self._any(tree)
        if node.depth > MAX_DEPTH:
            summary = f"over {MAX_DEPTH} operations inside each other, formulas of indicators included"
            raise ExpressionError(tree.at, summary, "report one of them as an indicator of its own", "too-deep")
        return node

    def _any(self, tree: Expression) -> Node:
        match tree:
            case Number(_, value, fraction):
                return self.graph.node("constant", params=(value,), unit=RATIO if fraction else None)
            case Truth(_, value):
                return self.graph.node("truth", params=(value,), kind="truth")
            case Text(_, value):
                return self.graph.node("text", params=(value,), kind="text")
            case Name():
                return self._name(tree)
            case Unary(_, "not", operand):
                return self.graph.node("not", (self.truth(operand),), kind="truth")
            case Unary(_, op, operand):
                node = self.number(operand)
                return node if op == "+" else self.graph.node("negate", (node,), unit=node.unit)
            case Binary(_, "and" | "or" as op, left, right):
                return self.graph.node(op, (self.truth(left), self.truth(right)), kind="truth")
            case Binary():
                return self._arithmetic(tree)
            case Compare():
                return self._comparison(tree)
            case Member():
                return self._member(tree)
            case Choice():
                return self._choice(tree)
            case Call():
                return self._call(tree)

    def indicator(self, ident: str) -> Node:
        """Return the node of a reported or derived indicator."""
        indicator = self.catalogue.indicators[ident]
        if not indicator.formula:
            return self.graph.node("column", params=(indicator.form, ident), unit=unit_of(indicator.unit))
        if ident not in self._derived:
            self._derived[ident] = self._expand(indicator)
        return self._derived[ident]

    def forms(self, node: Node) -> frozenset[str]:
        """Forms whose values the node reads."""
        return frozenset(str(n.params[0]) for n in walk(node) if n.op == "column")

    def slowest_form(self, node: Node, at: int) -> str:
        """Return the form whose filings history functions of this node count."""
        forms = self.forms(node)
        if not forms:
            raise ExpressionError(at, "a history function needs an indicator", "give it one as first argument")
        return max(
            sorted(forms),
            key=lambda f: self.catalogue.forms[f].validity_days - self.catalogue.forms[f].grace_days,
        )

    def same_unit(self, a: Node, b: Node, at: int, what: str) -> None:
        """Raise ExpressionError unless the two nodes' units fit."""
        if not fits(a.unit, b.unit):
            raise ExpressionError(at, f"{what} {words(a.unit)} and {words(b.unit)}", "check the units", "unit")

    def _expand(self, indicator: Indicator) -> Node:
        if indicator.id in self._open:
            cycle = " → ".join([*self._open[self._open.index(indicator.id) :], indicator.id])
            raise ExpressionError(0, f"the formula of {indicator.id!r} goes in a circle: {cycle}", check="cycle")
        if len(self._open) >= MAX_FORMULAS_DEEP:
            raise ExpressionError(0, f"over {MAX_FORMULAS_DEEP} formulas inside each other", check="too-deep")
        self._open.append(indicator.id)
        try:
            node = self.number(parse(indicator.formula))
        finally:
            self._open.pop()
        unit = unit_of(indicator.unit)
        if not fits(node.unit, unit):
            summary = f"the formula of {indicator.id!r} gives {words(node.unit)}, declared is {words(unit)}"
            raise ExpressionError(0, summary, check="unit")
        return node

    def _name(self, tree: Name) -> Node:
        ident = tree.id
        if ident in self.catalogue.indicators:
            return self._indicator_at(tree)
        attribute = ident.removeprefix("institution.")
        if attribute in TEXT_ATTRIBUTES:
            return self.graph.node("attribute", params=(attribute,), kind="text")
        if attribute in NUMBER_ATTRIBUTES:
            return self.graph.node("attribute", params=(attribute,))
        if ident in self.settings:
            return self.graph.node("parameter", params=(ident,), unit=unit_of(self.settings[ident].unit))
        if ident in self.catalogue.sets:
            raise ExpressionError(tree.at, f"{ident!r} is a set of types", f"write 'type in {ident}'")
        known = [*self.catalogue.indicators, *TEXT_ATTRIBUTES, *NUMBER_ATTRIBUTES, *self.settings]
        raise ExpressionError(tree.at, f"there is no indicator {ident!r}", nearest(ident, known), "unknown-name")

    def _indicator_at(self, tree: Name) -> Node:
        try:
            return self.indicator(tree.id)
        except ExpressionError as err:
            if err.check in ("cycle", "too-deep", "formula"):
                raise ExpressionError(tree.at, err.summary, err.fix, err.check) from None
            summary = f"the formula of {tree.id!r} is wrong: {err.summary}"
            raise ExpressionError(tree.at, summary, err.fix, "formula") from None

    def _arithmetic(self, tree: Binary) -> Node:
        left, right = self.number(tree.left), self.number(tree.right)
        if tree.op in "+-":
            self.same_unit(left, right, tree.at, "can't add" if tree.op == "+" else "can't subtract")
            unit = left.unit if left.unit is not None else right.unit
        else:
            unit = multiply(left.unit, right.unit, 1 if tree.op == "*" else -1)
        if tree.op == "/" and right.op == "constant" and right.params[0] == 0:
            raise ExpressionError(tree.at, "division by zero")
        return self.graph.node(_ARITHMETIC[tree.op], (left, right), unit=unit)

    def _comparison(self, tree: Compare) -> Node:
        nodes = [self._operand(operand, tree.operands) for operand in tree.operands]
        parts = []
        for index, (left, right) in enumerate(pairwise(nodes)):
            op, operand = tree.ops[index], tree.operands[index + 1]
            at = operand.at if index else tree.at
            if left.kind == right.kind == "truth":
                raise ExpressionError(at, "conditions can't be compared", "join them with and, or, not")
            if left.kind != right.kind:
                kinds = {"truth": "a condition", "text": "a text", "number": "a number"}
                raise ExpressionError(at, f"can't compare {kinds[left.kind]} with {kinds[right.kind]}")
            if left.kind == "text":
                parts.append(self._text_equality(left, right, op, operand.at))
                continue
            self.same_unit(left, right, at, "can't compare")
            parts.append(self.graph.node(_COMPARISON[op], (left, right), kind="truth"))
        whole = parts[0]
        for part in parts[1:]:
            whole = self.graph.node("and", (whole, part), kind="truth")
        return whole

    def _operand(self, operand: Expression, beside: tuple[Expression, ...]) -> Node:
        try:
            return self.any(operand)
        except ExpressionError as err:
            texts = any(isinstance(o, Name) and o.id.removeprefix("institution.") in TEXT_ATTRIBUTES for o in beside)
            if isinstance(operand, Name) and texts and err.check == "unknown-name":
                fix = f"put a text in quotes: '{operand.id}'"
                raise ExpressionError(err.offset, err.summary, fix, err.check) from None
            raise

    def _text_equality(self, left: Node, right: Node, op: str, at: int) -> Node:
        if op not in ("==", "!="):
            raise ExpressionError(at, f"texts can't be compared with {op!r}", "use == or !=")
        if left.op == "text":
            left, right = right, left
        if left.op != "attribute" or right.op != "text":
            raise ExpressionError(at, "compare an attribute with a text in quotes")
        node = self.graph.node("member", (left,), (str(right.params[0]),), "truth")
        return node if op == "==" else self.graph.node("not", (node,), kind="truth")

    def _member(self, tree: Member) -> Node:
        item = self.any(tree.item)
        if item.kind == "truth":
            raise ExpressionError(tree.at, "a condition can't be looked up in a list")
        if item.kind == "text":
            if item.op != "attribute":
                raise ExpressionError(tree.at, "only attributes, such as type, can be looked up in a list")
            names = tuple(sorted({name for option in tree.options for name in self._texts(option)}))
            node = self.graph.node("member", (item,), names, "truth")
        else:
            node = self._number_in(item, tree)
        return self.graph.node("not", (node,), kind="truth") if tree.negated else node

    def _number_in(self, item: Node, tree: Member) -> Node:
        found = []
        for option in tree.options:
            value = self.number(option)
            self.same_unit(item, value, option.at, "can't compare")
            found.append(self.graph.node("equal", (item, value), kind="truth"))
        while len(found) > 1:
            pairs = zip(found[::2], found[1::2], strict=False)
            odd = found[-1:] if len(found) % 2 else []
            found = [self.graph.node("or", pair, kind="truth") for pair in pairs] + odd
        return found[0]

    def _texts(self, option: Expression) -> tuple[str, ...]:
        if isinstance(option, Text):
            return (option.value,)
        if isinstance(option, Name):
            if option.id in self.catalogue.sets:
                return self.catalogue.sets[option.id]
            fix = nearest(option.id, self.catalogue.sets) or "put a single type in quotes"
            raise ExpressionError(option.at, f"there is no set {option.id!r}", fix, "unknown-name")
        raise ExpressionError(option.at, "expected a set name or a text in quotes")

    def _choice(self, tree: Choice) -> Node:
        condition = self.truth(tree.condition)
        then, otherwise = self.any(tree.then), self.any(tree.otherwise)
        if then.kind != otherwise.kind or then.kind == "text":
            raise ExpressionError(tree.at, "both sides of 'if … else' must be numbers, or both conditions")
        self.same_unit(then, otherwise, tree.at, "'if … else' can't mix")
        kind: Kind = then.kind
        unit = then.unit if then.unit is not None else otherwise.unit
        return self.graph.node("choice", (condition, then, otherwise), kind=kind, unit=unit)

    def _call(self, tree: Call) -> Node:
        from rules.functions import FUNCTIONS

        function = FUNCTIONS.get(tree.function)
        if function is None:
            fix = nearest(tree.function, FUNCTIONS) or f"there are: {', '.join(sorted(FUNCTIONS))}"
            raise ExpressionError(tree.at, f"there is no function {tree.function!r}", fix, "unknown-function")
        node = function.build(self, tree)
        if self._reach(node) > MAX_REACH:
            summary = f"{tree.function} looks at over {MAX_REACH} filings for one value"
            raise ExpressionError(tree.at, summary, "shorten the window, or the one inside it", "too-far")
        return node

    def _reach(self, node: Node) -> int:
        """How many filings the node looks at for one value: windows inside windows multiply."""
        found = self._reached.get(node.id)
        if found is None:
            found = max((self._reach(arg) for arg in node.args), default=1)
            if node.op == "streak" or node.op.startswith("window_"):
                form, filings, seconds = str(node.params[0]), int(node.params[1]), int(node.params[2])  # type: ignore[arg-type]
                found *= filings or self.catalogue.forms[form].filings_within(seconds)
            self._reached[node.id] = found
        return found


@contextmanager
def located(problems: list[Problem], value: Value, start: int = 0) -> Iterator[None]:
    """Turn an ExpressionError inside into a Problem at the right line and column of the file.

    The expression begins at character `start` of the value's text.
    """
    try:
        yield
    except ExpressionError as err:
        problems.append(Problem(value.at(start + err.offset), err.check, err.summary, err.fix))
