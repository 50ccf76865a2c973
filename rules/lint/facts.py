"""What must be so wherever a condition holds: an abstract interpretation of plan nodes.

`Facts` know a range for every number, a set for every text and an outcome for some conditions, at one institution
and date. To assume a condition gives facts that know more, or none where the condition can't come out so. What is
said to be impossible is impossible for every value within the catalogue's ranges, in the engine's own arithmetic;
what is possible may still never happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rules.catalogue import Catalogue
from rules.lint.ranges import ANYTHING, NOTHING, Range, Texts, above, below
from rules.plan import Node, Setting
from rules.thresholds import RELATIONS, leaves, relation

Known = Range | Texts | bool
MOST_STEPS = 20_000


class _Budget:
    """Steps left for one question; without any left, everything is possible."""

    def __init__(self) -> None:
        self.left = MOST_STEPS

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


class Facts:
    """What is known at one institution and date."""

    def __init__(
        self,
        catalogue: Catalogue,
        settings: Mapping[str, Setting] | None = None,
        known: dict[int, Known] | None = None,
        base: Facts | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.settings = settings or {}
        self.known = known or {}
        self.base = base or self
        self.budget: _Budget = base.budget if base is not None else _Budget()
        self._ranges: dict[int, Range] = {}

    def range(self, node: Node) -> Range:
        """Return the range of a number."""
        found = self._ranges.get(node.id)
        if found is None:
            from rules.lint.arithmetic import RANGES

            compute = RANGES.get(node.op)
            found = compute(node, self) if compute is not None and self.budget.spend() else ANYTHING
            known = self.known.get(node.id)
            if isinstance(known, Range):
                found = found.meet(known)
            self._ranges[node.id] = found
        return found

    def texts(self, node: Node) -> Texts:
        """Return the texts that an attribute can be."""
        known = self.known.get(node.id)
        return known if isinstance(known, Texts) else Texts()

    def can(self, node: Node, outcome: bool) -> bool:
        """Whether a condition can be known to hold (True), or known not to (False)."""
        return self.assume(node, outcome) is not None

    def can_be_unknown(self, node: Node) -> bool:
        """Whether a condition may come out unknown."""
        if isinstance(self.known.get(node.id), bool):
            return False
        if not self.budget.spend():
            return True
        if node.op in RELATIONS:
            return any(self.range(arg).missing for arg in node.args)
        if node.op in ("and", "or", "not", "choice"):
            return any(self.can_be_unknown(arg) for arg in node.args)
        return node.op not in ("truth", "member", "missing", "firing", "overdue", "valid")

    def assume(self, node: Node, outcome: bool) -> Facts | None:
        """Return what is known where the condition comes out so, None where it can't."""
        known = self.known.get(node.id)
        if isinstance(known, bool):
            return self if known is outcome else None
        decide = _DECIDED.get(node.op)
        if decide is None or not self.budget.spend():
            return self._with(node, outcome)
        found = decide(self, node, outcome)
        return found._with(node, outcome) if found is not None else None

    def assume_all(self, conditions: Sequence[tuple[Node, bool]]) -> Facts | None:
        """Assume several; twice, so that the first learns from the last."""
        facts: Facts | None = self
        for again in (False, True):
            for node, outcome in conditions:
                for leaf, wanted in leaves(node, outcome):
                    if facts is None:
                        return None
                    decide = _DECIDED.get(leaf.op) if again else None
                    facts = decide(facts, leaf, wanted) if decide is not None else facts.assume(leaf, wanted)
        return facts

    def narrow(self, node: Node, found: Range) -> Facts | None:
        """Return what is known where the number is within the range."""
        met = self.range(node).meet(found)
        if met.empty and not met.missing:
            return None
        facts = self._with(node, met)
        if node.op == "negate":
            return facts.narrow(node.args[0], Range(-met.high, -met.low, met.missing))
        if node.op == "absolute" and met.high >= 0:
            return facts.narrow(node.args[0], Range(-met.high, met.high, met.missing))
        return facts

    def join(self, other: Facts) -> Facts:
        """Return what both know."""
        both: dict[int, Known] = {}
        for ident, mine in self.known.items():
            joined = _joined(mine, other.known.get(ident))
            if joined is not None:
                both[ident] = joined
        return Facts(self.catalogue, self.settings, both, self.base)

    def _with(self, node: Node, value: Known) -> Facts:
        return Facts(self.catalogue, self.settings, {**self.known, node.id: value}, self.base)


def _joined(mine: Known, theirs: Known | None) -> Known | None:
    if isinstance(mine, Range) and isinstance(theirs, Range):
        return mine.join(theirs)
    if isinstance(mine, Texts) and isinstance(theirs, Texts):
        return mine.join(theirs)
    return mine if isinstance(mine, bool) and mine is theirs else None


def _either(found: Sequence[Facts | None]) -> Facts | None:
    possible = [facts for facts in found if facts is not None]
    if not possible:
        return None
    joined = possible[0]
    for facts in possible[1:]:
        joined = joined.join(facts)
    return joined


def _both_sides(facts: Facts, node: Node, outcome: bool) -> Facts | None:
    if outcome == (node.op == "and"):
        for leaf, wanted in leaves(node, outcome):
            found = facts.assume(leaf, wanted)
            if found is None:
                return None
            facts = found
        return facts
    return _either([facts.assume(arg, outcome) for arg in node.args])


def _not(facts: Facts, node: Node, outcome: bool) -> Facts | None:
    return facts.assume(node.args[0], not outcome)


def _choice(facts: Facts, node: Node, outcome: bool) -> Facts | None:
    condition, then, otherwise = node.args
    yes, no = facts.assume(condition, True), facts.assume(condition, False)
    return _either([yes and yes.assume(then, outcome), no and no.assume(otherwise, outcome)])


def _constant(facts: Facts, node: Node, outcome: bool) -> Facts | None:
    return facts if bool(node.params[0]) is outcome else None


def _member(facts: Facts, node: Node, outcome: bool) -> Facts | None:
    names = frozenset(map(str, node.params))
    texts = facts.texts(node.args[0])
    texts = texts.only(names) if outcome else texts.without(names)
    return None if texts.empty else facts._with(node.args[0], texts)


def _missing(facts: Facts, node: Node, outcome: bool) -> Facts | None:
    found = facts.range(node.args[0])
    if outcome:
        return facts.narrow(node.args[0], NOTHING) if found.missing else None
    return None if found.empty else facts.narrow(node.args[0], found.known())


_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
_REFLEXIVE = ("<=", ">=", "==")


def _compare(facts: Facts, node: Node, outcome: bool) -> Facts | None:
    left, right = node.args
    sign = relation(node, outcome)
    if left is right and sign not in _REFLEXIVE:
        return None
    a, b = facts.range(left), facts.range(right)
    if a.empty or b.empty:
        return None
    left_within, right_within = _within(a, sign, b), _within(b, _MIRRORED[sign], a)
    found = facts.narrow(left, left_within)
    return found.narrow(right, right_within) if found is not None else None


def _within(a: Range, sign: str, b: Range) -> Range:
    """What is left of a where it stands so to some value of b."""
    if sign == "<":
        return Range(a.low, min(a.high, below(b.high)), False)
    if sign == "<=":
        return Range(a.low, min(a.high, b.high), False)
    if sign == ">":
        return Range(max(a.low, above(b.low)), a.high, False)
    if sign == ">=":
        return Range(max(a.low, b.low), a.high, False)
    if sign == "==":
        return Range(max(a.low, b.low), min(a.high, b.high), False)
    low, high = a.low, a.high
    if b.point is not None:
        low = above(low) if low == b.point else low
        high = below(high) if high == b.point else high
    return Range(low, high, False)


_DECIDED: dict[str, Callable[[Facts, Node, bool], Facts | None]] = {
    "and": _both_sides,
    "or": _both_sides,
    "not": _not,
    "choice": _choice,
    "truth": _constant,
    "member": _member,
    "missing": _missing,
    **dict.fromkeys(RELATIONS, _compare),
}
