"""What was measured where something changed: the number of the level in force, its limit, and what it is beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules.judge import Said
from rules.plan import Gauge, Node, Rule
from rules.provenance import enough_peers
from rules.seen import Seen, Value
from rules.store import Indices
from rules.transitions import Measured


class Measuring:
    """Makes what transitions of one rule say of the number that its levels measure.

    `columns` are the form and the indicator of what it wants of the newest filing and of the one before.
    """

    def __init__(self, rule: Rule, number: int) -> None:
        self._number = number
        self._gauges = rule.gauges
        numbers = [gauge.number for gauge in rule.gauges.values() if gauge.number.op == "column"]
        self.columns = list({(str(node.params[0]), str(node.params[1])): None for node in numbers})
        together: dict[Node, set[int]] = {}
        for level, gauge in rule.gauges.items():
            together.setdefault(gauge.number, set()).add(level)
        self._together = [_Together.of(levels, rule.gauges) for levels in together.values()]

    def __call__(self, seen: Seen, at: Indices, said: Sequence[Said]) -> list[Measured | None]:
        """Return what the level in force measures for each event, or where none is, the level that was."""
        number, gauges = self._number, self._gauges
        out: list[Measured | None] = [None] * len(said)
        nothing: Sequence[Value] = out[:]  # type: ignore[assignment]
        for one in self._together:
            values, before = seen.node(number, one.number, at), nothing
            if one.column is not None:
                before = seen.earlier(number, *one.column)
            elif one.before is not None:
                before = seen.node(number, one.before, at)
            medians, percentiles, peers = nothing, nothing, nothing
            if one.median is not None and one.percentile is not None:
                medians, percentiles, peers = self._peers(seen, one.median, one.percentile, at)
            limits = {level: seen.node(number, gauges[level].limit, at) for level in one.moving} if one.moving else {}
            for i, event in enumerate(said):
                level = event.event.level or event.event.previous
                if level in one.levels:
                    mine = gauges[level]
                    limit = limits[level][i] if level in limits else mine.fixed
                    out[i] = Measured(
                        mine.name, values[i], mine.unit, mine.side, limit, before[i], mine.title,
                        medians[i], percentiles[i], int(peers[i] or 0),
                    )  # fmt: skip
        return out

    def _peers(self, seen: Seen, median: Node, percentile: Node, at: Indices) -> tuple[Sequence[Value], ...]:
        """Median and percentile among enough peers, and how many these are; 0 where they are too few."""
        peers = enough_peers(median, seen.context, at)
        middle, rank = (
            [value if enough else None for value, enough in zip(seen.node(self._number, n, at), peers, strict=True)]
            for n in (median, percentile)
        )
        return middle, rank, peers


@dataclass(frozen=True, slots=True)
class _Together:
    """Levels that measure the same number: `column` is where it is filed, `moving` are levels whose limit varies."""

    levels: frozenset[int]
    moving: tuple[int, ...]
    number: Node
    column: tuple[str, str] | None
    before: Node | None
    median: Node | None
    percentile: Node | None

    @classmethod
    def of(cls, levels: set[int], gauges: Mapping[int, Gauge]) -> _Together:
        """Return what the gauges of these levels have in common."""
        first = gauges[min(levels)]
        node = first.number
        column = (str(node.params[0]), str(node.params[1])) if node.op == "column" else None
        moving = tuple(level for level in sorted(levels) if gauges[level].fixed is None)
        return cls(frozenset(levels), moving, node, column, first.before, first.median, first.percentile)
