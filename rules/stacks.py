"""Stacks: rules of one shape, judged as one matrix of rules × institutions instead of rule by rule.

Two rules have one shape when they differ only in the indicators and the constants that they name: `lcr < 100%` and
`nsfr < 95%`. The first of them is the template. Its expressions are evaluated once, in a context in which an
indicator is a row for each rule, [m, n], and a constant a column, [m, 1]; or, for a few pairs of rule and
institution, each a number for each pair, [p].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rules.context import Context
from rules.ladders import ladder_of
from rules.plan import Node, Rule, walk
from rules.store import Bools, Filed, Floats, FormStore, Indices
from rules.tapes import Tape, tape_of

OPERATIONS = frozenset(
    [
        "column", "constant", "truth", "attribute", "add", "subtract", "multiply", "divide", "pair_min", "pair_max",
        "negate", "absolute", "less", "less_equal", "greater", "greater_equal", "equal", "unequal", "and", "or", "not",
        "choice", "missing", "lag", "window_mean", "window_median", "window_min", "window_max", "window_std",
        "window_zscore", "age", "member", "text",
    ]
)  # fmt: skip
"""What can be computed for many rules at once."""
LEAST = 2
Columns = slice | Indices


@dataclass(frozen=True, slots=True)
class Leaves:
    """What stands in the place of the template's leaves, by the leaf's id: m store columns, or m constants."""

    columns: Mapping[int, Columns]
    constants: Mapping[int, Floats]

    def part(self, members: slice) -> Leaves:
        """Return the leaves of some members."""
        return Leaves(
            {leaf: _part(columns, members) for leaf, columns in self.columns.items()},
            {leaf: numbers[members] for leaf, numbers in self.constants.items()},
        )


def _part(columns: Columns, members: slice) -> Columns:
    if isinstance(columns, slice):
        return slice(columns.start + members.start, columns.start + members.stop)
    return columns[members]


@dataclass(slots=True)
class Stack:
    """Rules of one shape: `members` are their places in their group.

    `indicators` names, by the template's column node, the form and an indicator for each member. The members compare
    the template's `number`; `tape` computes it, its leaves in `tables`: leaf × member, columns of the store, constants.
    """

    template: Rule
    number: Node
    members: slice
    indicators: dict[int, tuple[str, tuple[str, ...]]]
    constants: dict[int, Floats]
    leaves: Leaves = field(init=False)
    tape: Tape | None = field(init=False)
    tables: tuple[Indices, Floats] = field(init=False)

    def reads(self, form: str) -> Iterator[str]:
        """Yield the form's indicators that the stack reads, leaf by leaf."""
        for of, names in self.indicators.values():
            yield from names if of == form else ()

    def bind(self, stores: Mapping[str, FormStore]) -> None:
        """Look up where the indicators stand."""
        found: dict[int, Columns] = {}
        for leaf, (form, names) in self.indicators.items():
            column = stores[form].column
            columns = np.array([column[name] for name in names], np.intp)
            together = bool((np.diff(columns) == 1).all())
            found[leaf] = slice(int(columns[0]), int(columns[-1]) + 1) if together else columns
        self.leaves = Leaves(found, self.constants)
        self.tape = tape_of(self.number)
        if self.tape is not None:
            count, last = self.members.stop - self.members.start, len(stores[self.tape.form].kept)
            places = [np.arange(last)[found[leaf]] for leaf in self.tape.columns]
            constants = [self.constants[leaf] for leaf in self.tape.constants]
            self.tables = np.array(places).reshape(-1, count), np.array(constants).reshape(-1, count)


def stacked(rules: Sequence[Rule]) -> tuple[list[int], list[Stack]]:
    """Return an order of the rules in which stacks stand together, before all other rules, and the stacks."""
    shapes: dict[object, list[int]] = {}
    leaves: list[list[Node]] = []
    for number, rule in enumerate(rules):
        shape, found = _shape(rule)
        leaves.append(found)
        shapes.setdefault(number if shape is None else shape, []).append(number)
    order: list[int] = []
    stacks = []
    for numbers in shapes.values():
        if len(numbers) >= LEAST:
            stacks.append(_stack(rules, leaves, numbers, len(order)))
            order += numbers
    return order + [n for numbers in shapes.values() if len(numbers) < LEAST for n in numbers], stacks


def _stack(rules: Sequence[Rule], leaves: Sequence[list[Node]], numbers: list[int], first: int) -> Stack:
    columns: dict[int, tuple[str, tuple[str, ...]]] = {}
    constants: dict[int, Floats] = {}
    for place, leaf in enumerate(leaves[numbers[0]]):
        params = [leaves[number][place].params for number in numbers]
        if leaf.op == "column":
            columns[leaf.id] = (str(leaf.params[0]), tuple(str(p[1]) for p in params))
        else:
            constants[leaf.id] = np.array([p[0] for p in params], np.float64)
    template = rules[numbers[0]]
    ladder = ladder_of(template)
    assert ladder is not None
    return Stack(template, ladder.number, slice(first, first + len(numbers)), columns, constants)


def _shape(rule: Rule) -> tuple[object, list[Node]]:
    """Return what rules of one stack have in common, None for no stack, and the leaves in which they may differ.

    The ladder's own bounds are not among the leaves: ladders look after them.
    """
    leaves: dict[int, Node] = {}
    if (ladder := ladder_of(rule)) is None or not any(n.op == "column" for n in _below(ladder.number)):
        return None, []
    tops = [ladder.number, *([rule.clear] if rule.clear is not None else [])]
    if any(node.op not in OPERATIONS for top in tops for node in _below(top)):
        return None, []
    where = -1 if rule.where is None else rule.where.id
    shape = [_structure(top, leaves) for top in tops]
    if rule.where is not None and not leaves.keys().isdisjoint(n.id for n in walk(rule.where)):
        return None, []  # there the leaf stands for itself
    return (rule.scope, where, rule.levels[0].condition.op, bool(rule.across), *shape), list(leaves.values())


def _below(node: Node) -> Iterator[Node]:
    yield node
    for arg in node.args:
        yield from _below(arg)


def _structure(node: Node, leaves: dict[int, Node]) -> object:
    if node.op == "column" or (node.op == "constant" and node.kind == "number"):
        leaves.setdefault(node.id, node)
        place = list(leaves).index(node.id)
        return (node.op, place, node.params[0] if node.op == "column" else "")
    return (node.op, node.kind, node.params, *(_structure(arg, leaves) for arg in node.args))


class Stacked(Context):
    """A context over another one, in which the template's leaves are those of a stack's members.

    With `pairs`, two arrays [p], it has a row for each pair of a member and a place in the other context.
    """

    __slots__ = ("_children", "_leaves", "_member", "_place", "_under")

    def __init__(self, under: Context, leaves: Leaves, pairs: tuple[Indices, Indices] | None = None) -> None:
        if pairs is None:
            super().__init__(under.world, under.rows, under.at, under.pick)
        else:
            super().__init__(under.world, under.rows[pairs[1]], under.at[pairs[1]])
        self._under = under
        self._leaves = leaves
        self._member: Indices | None = None if pairs is None else pairs[0]
        self._place: Indices | None = None if pairs is None else pairs[1]
        self._children: dict[int, Stacked] = {}

    def filed(self, form: str) -> Filed:
        """Where each row's newest filing at or before `at` stands."""
        found = self._under.filed(form)
        if self._place is None:
            return found
        if form not in self._filed:
            self._filed[form] = found.take(self._place, self.pick)
        return self._filed[form]

    def fresh(self, form: str) -> Bools | None:
        """Where the newest filing is not older than the form's validity; None for everywhere."""
        found = self._under.fresh(form)
        return found if found is None or self._place is None else found[self._place]

    def unaged(self, node: Node) -> Floats:
        """Values of a column node in the newest filing, however old it is: [m, n] or [p]."""
        if node.id not in self._leaves.columns:
            found = self._under.unaged(node)
            return found if self._place is None else found[self._place]
        form = str(node.params[0])
        store, filed = self.world.stores[form], self.filed(form)
        columns = self._leaves.columns[node.id]
        if self._member is None:
            return store.read_many(filed, columns)
        if isinstance(columns, slice):
            return store.read_each(filed, columns.start + self._member)
        return store.read_each(filed, columns[self._member])

    def constant(self, node: Node) -> Floats:
        """The constant of a node, [m, 1] or [p]."""
        if node.id not in self._leaves.constants:
            return super().constant(node)
        found = self._leaves.constants[node.id]
        return found[:, None] if self._member is None else found[self._member]

    def window(self, form: str, filings: int, seconds: int) -> tuple[list[Context], list[Bools] | None]:
        """The last filings of the form, and for which rows each counts."""
        contexts, masks = self._under.window(form, filings, seconds)
        if masks is not None and self._place is not None:
            masks = [mask[self._place] for mask in masks]
        return [self._over(context) for context in contexts], masks

    def _shift(self, form: str, back: int) -> tuple[Context, Bools]:
        earlier, there = self._under._shift(form, back)
        return self._over(earlier), there if self._place is None else there[self._place]

    def _over(self, under: Context) -> Stacked:
        found = self._children.get(id(under))
        if found is None:
            pairs = None if self._member is None or self._place is None else (self._member, self._place)
            found = self._children[id(under)] = Stacked(under, self._leaves, pairs)
        return found
