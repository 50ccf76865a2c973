"""The texts of a rule where something changed: which of them a state has, with its parts filled in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from rules.context import World
from rules.explain_words import LEVELS
from rules.gauges import unit_of
from rules.judge import (
    EASED,
    ESCALATED,
    FIRING,
    LAPSED,
    PENDING,
    RELEASED,
    RESOLVED,
    STALE,
    SUPPRESSED,
    WORSENED,
    Said,
)
from rules.plan import Node, Piece, Rule
from rules.registry import Institution
from rules.seen import Seen, Value, instant
from rules.spelling import MISSING, day, worded
from rules.store import NEVER, Indices
from rules.texts import Template
from rules.transitions import State

STATES: dict[int, State] = {
    PENDING: "pending",
    FIRING: "firing",
    ESCALATED: "escalated",
    EASED: "eased",
    RESOLVED: "resolved",
    LAPSED: "resolved",
    SUPPRESSED: "suppressed",
    RELEASED: "released",
    STALE: "stale",
    WORSENED: "worsened",
}
_FIRING_ALONE = {0}
_HOLDS = frozenset({PENDING, FIRING, ESCALATED, EASED, WORSENED})
"""Kinds of events that the text of a firing fits as well: a level holds, by values that are known."""


class Saying:
    """Makes the texts of one rule's transitions."""

    def __init__(self, rule: Rule, number: int, world: World) -> None:
        self._rule = rule
        self._number = number
        self._world = world
        self._texts = [rule.message, {}, *(rule.texts[state] for state in rule.texts)]
        own = {state: 2 + place for place, state in enumerate(rule.texts)}
        self._which = {kind: own.get(state, 0 if kind in _HOLDS else 1) for kind, state in STATES.items()}

    def __call__(
        self, seen: Seen, at: Indices, said: Sequence[Said], subjects: Sequence[Institution]
    ) -> list[dict[str, str]]:
        """Return the text of each event's state by language, empty where the rule has none for it."""
        wanted = {self._which[one.event.kind] for one in said}
        if wanted == _FIRING_ALONE:
            return self._fill(self._rule.message, seen, at, said, subjects)
        which = [self._which[one.event.kind] for one in said]
        filled = {number: self._fill(self._texts[number], seen, at, said, subjects) for number in wanted}
        return [filled[number][i] for i, number in enumerate(which)]

    def _fill(
        self, text: Template, seen: Seen, at: Indices, said: Sequence[Said], subjects: Sequence[Institution]
    ) -> list[dict[str, str]]:
        out: list[dict[str, str]] = [{} for _ in said]
        for language, pieces in text.items():
            parts = [self._part(piece, seen, at, said, subjects, language) for piece in pieces]
            filled = map("".join, zip(*parts, strict=True)) if parts else repeat("")
            for words, whole in zip(out, filled, strict=False):
                words[language] = whole
        return out

    def _part(
        self,
        piece: Piece,
        seen: Seen,
        at: Indices,
        said: Sequence[Said],
        subjects: Sequence[Institution],
        language: str,
    ) -> list[str]:
        if piece.node is not None:
            return self._shown(piece, piece.node, seen.node(self._number, piece.node, at), language)
        levels = LEVELS.get(language, LEVELS["en"])
        match piece.name:
            case "":
                return [piece.text] * len(at)
            case "institution.name":
                return [institution.name.get(language) or institution.title(language) for institution in subjects]
            case "subject":
                return [institution.code for institution in subjects]
            case "level":
                return [levels[one.event.level] for one in said]
            case "previous":
                return [levels[one.event.previous] for one in said]
            case "as_of":
                return [self._day(one.event.date, language) for one in said]
            case "started":
                return [self._day(one.event.alert, language) for one in said]
            case "revision":
                return [str(revision) for revision in seen.revisions(self._rule.triggers, at)]
            case "rule.title":
                return [self._rule.title.get(language, self._rule.id)] * len(at)
        raise KeyError(piece.name)

    def _day(self, moment: int, language: str) -> str:
        zone = self._world.catalogue.timezone
        return MISSING.get(language, MISSING["en"]) if moment == NEVER else day(instant(moment), zone, language)

    def _shown(self, piece: Piece, node: Node, values: Sequence[Value], language: str) -> list[str]:
        """Return a node's values as a message shows them."""
        missing = MISSING.get(language, MISSING["en"])
        if node.kind == "truth":
            yes, no = ("是", "否") if language == "zh" else ("yes", "no")
            return [missing if value is None else yes if value else no for value in values]
        if node.kind == "text":
            texts = {code: text for text, code in self._world.codes.items()}
            return ["" if value is None else texts.get(int(value), "") for value in values]
        spec = piece.format or ",.6g"
        if piece.worded:
            unit = unit_of(node, self._world.catalogue)
            return [worded(value, spec, unit, language) for value in values]
        return [missing if value is None else format(value, spec) for value in values]
