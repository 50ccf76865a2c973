"""The compiled form of rules: nodes of a shared graph, as data. The engine runs it, `explain` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from rules.problems import NOWHERE, Place
from rules.units import Unit

Kind = Literal["number", "truth", "text"]
Side = Literal["below", "at_most", "above", "at_least", "equal", "unequal"]
Parameter = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation on columns.

    `op` names an operation of `rules.operations`; `args` are its operands, `params` its constants.
    `kind` is number (float64, NaN missing), truth (three-valued) or text. Nodes of equal content are one
    object, so the engine computes each once; `id` counts them. `depth` is the longest way down to a leaf.
    """

    id: int
    op: str
    args: tuple[Node, ...]
    params: tuple[Parameter, ...]
    kind: Kind
    unit: Unit | None = None
    depth: int = 1

    def __repr__(self) -> str:
        inner = [*(f"#{a.id}" for a in self.args), *map(repr, self.params)]
        return f"#{self.id} {self.op}({', '.join(inner)})"


@dataclass(slots=True)
class Graph:
    """Makes nodes, one for each content."""

    nodes: list[Node] = field(default_factory=list)
    _known: dict[tuple[object, ...], Node] = field(default_factory=dict)

    def node(
        self,
        op: str,
        args: tuple[Node, ...] = (),
        params: tuple[Parameter, ...] = (),
        kind: Kind = "number",
        unit: Unit | None = None,
    ) -> Node:
        """Return the node of this content, made at the first call."""
        key = (op, tuple(a.id for a in args), tuple((type(p), p) for p in params), kind, unit)
        found = self._known.get(key)
        if found is None:
            depth = 1 + max((a.depth for a in args), default=0)
            found = self._known[key] = Node(len(self.nodes), op, args, params, kind, unit, depth)
            self.nodes.append(found)
        return found


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and everything below it, each once."""
    seen: set[int] = set()
    stack = [node]
    while stack:
        current = stack.pop()
        if current.id not in seen:
            seen.add(current.id)
            yield current
            stack.extend(current.args)


@dataclass(frozen=True, slots=True)
class Span:
    """How long something must hold: so many filings, or so many seconds of event time."""

    filings: int = 1
    seconds: int = 0

    def __str__(self) -> str:
        if self.seconds:
            return f"{self.seconds / 86400:g}d"
        return f"{self.filings} filing" + ("s" if self.filings > 1 else "")


@dataclass(frozen=True, slots=True)
class Level:
    """One step of a ladder: its number (1 watch, 2 warning, 3 critical), condition and source text."""

    number: int
    condition: Node
    text: str


@dataclass(frozen=True, slots=True)
class Gauge:
    """The first comparison of a level's condition that measures something, of several the first with a name in words.

    `name` is the indicator's id, or the expression; `title` is in words, empty where nobody wrote any. `indicator`
    says whether the number is an indicator as it stands, which has a value at the last filing and among peers; of a
    derived one `before` is that value. `fixed` is the limit where it is the same for everybody and always. `median`
    and `percentile` are those of its peers, None where they are not to be had.
    """

    number: Node
    limit: Node
    side: Side
    name: str
    title: dict[str, str]
    unit: str
    indicator: bool
    fixed: float | None = None
    before: Node | None = None
    median: Node | None = None
    percentile: Node | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a message: literal text, or a node with a format, or a built-in name.

    A format that is `worded` is one of `rules.spelling`, and not of Python.
    """

    text: str = ""
    node: Node | None = None
    name: str = ""
    format: str = ""
    worded: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a parameter: its value for whom (`rung` and `key`), on what basis, and who set it.

    `rung` is one of RUNGS; `key` the attribute's value, empty for the default. Valid at as-of seconds from
    `since` until before `until`.
    """

    value: float
    rung: str
    key: str
    basis: dict[str, str | None]
    author: str
    since: int
    until: int
    place: Place = field(default=NOWHERE, compare=False, repr=False)

    @property
    def whom(self) -> str:
        """Name the row: default, or type=bank."""
        return f"{self.rung}={self.key}" if self.key else self.rung


RUNGS = ("default", "type", "peer_group", "dsib_bucket", "institution")
"""Whom a parameter's row is for, from the least to the most particular; the last one that applies wins."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A parameter: a number that rules use by name, whose value depends on the institution and the date."""

    name: str
    title: dict[str, str]
    unit: str
    rows: tuple[Row, ...]
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Waiver:
    """An exemption of one institution from one rule, at as-of seconds from `since` until before `until`."""

    rule: str
    institution: str
    reason: str
    document: str
    approver: str
    since: int
    until: int
    place: Place = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """A rule whose open alert, at `level` or above, suppresses the alert of another for the same subject."""

    rule: str
    level: int = 1


@dataclass(frozen=True, slots=True)
class Validity:
    """As-of seconds at which a rule is judged: from `since` until before `until`."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Retirement:
    """When a rule was retired (ISO date) and why."""

    on: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule.

    `forms` are those its levels and `clear` read: their as-of dates are the dates at which the rule is
    judged. `triggers` are all forms it reads, `where` included: a filing of one judges anew what it changes.
    `reads` are the reported indicators it reads, `derives` the derived ones it names.
    `clocks` are forms whose deadlines it watches; such a rule is judged when one passes or is met.
    `across` are the values over several institutions that it uses; a rule with any is judged for all of them
    whenever one files.
    `asks` are the rules whose alerts it asks for with `firing`; `rank` is 0 without, else above theirs.
    `own` are the forms at whose dates its level moves: all of `forms`, but for those that only its suppression
    reads. `unless`, `inhibited_by` and `waivers` suppress its alert; `heeds` are the rules that these look at.
    `settings` are the parameters it uses. `where` includes `valid`. `terms` are parts of its conditions that no
    single filing shows, such as what looks back: an alert carries their values.
    `texts` are messages by state, for states other than firing. `actions` and `evidence`, by number of the level, are
    there where levels differ in them; `action` is that of the highest level then. `gauges` say what levels measure.
    """

    id: str
    pack: str
    pack_version: str
    hash: str
    title: dict[str, str]
    basis: dict[str, str | None]
    scope: str
    status: str
    where: Node | None
    levels: tuple[Level, ...]
    hold: Span
    clear: Node | None
    clear_hold: Span
    reads: tuple[str, ...]
    derives: tuple[str, ...]
    forms: frozenset[str]
    triggers: frozenset[str]
    clocks: frozenset[str]
    across: tuple[Node, ...]
    asks: frozenset[str]
    rank: int
    placement: Literal["watch", "system"]
    message: dict[str, tuple[Piece, ...]]
    action: dict[str, str]
    deadline: str
    route: str
    tags: tuple[str, ...]
    own: frozenset[str] = frozenset()
    settings: tuple[str, ...] = ()
    unless: Node | None = None
    inhibited_by: tuple[Inhibitor, ...] = ()
    heeds: frozenset[str] = frozenset()
    waivers: tuple[Waiver, ...] = ()
    valid: Validity | None = None
    retired: Retirement | None = None
    renamed_from: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    terms: tuple[Node, ...] = ()
    texts: dict[str, dict[str, tuple[Piece, ...]]] = field(default_factory=dict)
    actions: dict[int, dict[str, str]] = field(default_factory=dict)
    evidence: dict[int, str] = field(default_factory=dict)
    gauges: dict[int, Gauge] = field(default_factory=dict)

    @property
    def first_id(self) -> str:
        """The oldest name: alerts are counted by it, so that renaming a rule keeps them."""
        return self.renamed_from[0] if self.renamed_from else self.id

    def action_at(self, level: int) -> dict[str, str]:
        """What to do at a level: its own action, or that of the next lower one that has any."""
        if not self.actions:
            return self.action
        return next((self.actions[n] for n in range(level, 0, -1) if n in self.actions), {})
