"""What an edit of rules means for alerts that are open: state that older rules left, read by the rules as they are.

An edited rule keeps its alerts. Its history at hand is folded again, with the rules that look at it, and only what
comes out otherwise is told, with the cause `rule-changed`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rules.calendar import parse_instant
from rules.judge import LAPSED, RESOLVED, Event, Group, Said
from rules.muting import FIRST_INHIBITOR, UNLESS, WAIVED, can_be_muted
from rules.plan import Inhibitor, Piece, Rule, Span
from rules.store import Ints

SIGNED = 6
GONE = 1 << 30
"""The bit of a mask for what silenced an alert under the rules as they were, and can't any more."""


@dataclass(frozen=True, slots=True)
class Edition:
    """The rules as a state was made by them.

    signatures: SIGNED bytes a rule, in the rules' order, which change with its text, its inhibitors and its waivers.
    inhibitors: which rules inhibit each that any does, in the order of their bits.
    """

    signatures: bytes
    inhibitors: dict[str, list[str]]

    @classmethod
    def of(cls, rules: Sequence[Rule]) -> Edition:
        """Return the edition of these rules."""
        inhibitors = {rule.id: [cause.rule for cause in rule.inhibited_by] for rule in rules if rule.inhibited_by}
        return cls(b"".join(map(_signature, rules)), inhibitors)


def _signature(rule: Rule) -> bytes:
    causes = [(cause.rule, cause.level) for cause in rule.inhibited_by]
    waivers = [(w.institution, w.since, w.until) for w in rule.waivers]
    return hashlib.blake2b(f"{rule.hash} {causes} {waivers}".encode(), digest_size=SIGNED).digest()


def edited(rules: Sequence[Rule], edition: Edition, ids: Sequence[str], signatures: bytes) -> frozenset[int]:
    """Return the numbers of rules that are new or have other signatures than before, and of those that look at them.

    edition: that of the rules. ids, signatures: the rules as they were; without signatures, as in states of old,
    nothing counts as edited.
    """
    if not signatures or (signatures == edition.signatures and list(ids) == [rule.id for rule in rules]):
        return frozenset()
    before = {name: signatures[SIGNED * n : SIGNED * (n + 1)] for n, name in enumerate(ids)}
    changed = set()
    for n, rule in enumerate(rules):
        known = next((before[name] for name in (rule.id, *reversed(rule.renamed_from)) if name in before), b"")
        if known != edition.signatures[SIGNED * n : SIGNED * (n + 1)]:
            changed.add(rule.id)
    while more := {rule.id for rule in rules if (rule.asks | rule.heeds) & changed} - changed:
        changed |= more
    return frozenset(number for number, rule in enumerate(rules) if rule.id in changed)


def translated(masks: Ints, rule: Rule, before: Sequence[str]) -> Ints:
    """Return masks in which the bits of inhibitors `before` stand where the rule has them now."""
    now = {cause.rule: 1 << bit for bit, cause in enumerate(rule.inhibited_by, start=FIRST_INHIBITOR)}
    places = {1 << bit: now.get(name, GONE) for bit, name in enumerate(before, start=FIRST_INHIBITOR)}
    places[UNLESS] = UNLESS if rule.unless is not None else GONE
    places[WAIVED] = WAIVED if rule.waivers else GONE
    found = np.zeros_like(masks)
    for old, new in places.items():
        found |= np.where(masks & old, new, 0).astype(np.int32)
    return found


def part(group: Group, numbers: Collection[int]) -> Group | None:
    """Return the group with only the rules of these numbers; None where it has none."""
    chosen = [i for i, number in enumerate(group.index.tolist()) if number in numbers]
    if not chosen:
        return None
    rules = tuple(group.rules[i] for i in chosen)
    mutable = tuple(i for i, rule in enumerate(rules) if can_be_muted(rule))
    return replace(group, rules=rules, index=group.index[chosen], mutable=mutable, stacks=())


@dataclass(frozen=True, slots=True)
class Leftover:
    """An alert that was open when its rule was retired, or deleted from its pack: `rule` then is a bare one.

    row: the engine's row of the institution. level, started, muted: of the alert; 0 and NEVER of one that was pending.
    date: the last that was judged.
    """

    rule: Rule
    row: int
    level: int
    started: int
    muted: int
    date: int


DELETED = {"en": "The rule is in no pack any more", "zh": "规则已从规则包中删除"}


def bare(ident: str, first: str, status: str, inhibitors: Sequence[str]) -> Rule:
    """Return a rule that was deleted, as far as state tells: its id, its oldest name, what silenced its alerts."""
    nothing: frozenset[str] = frozenset()
    return Rule(
        id=ident, pack="", pack_version="", hash="", title={}, basis={}, scope="institution", status=status,
        where=None, levels=(), hold=Span(), clear=None, clear_hold=Span(), reads=(), derives=(),
        forms=nothing, triggers=nothing, clocks=nothing, across=(), asks=nothing, rank=0, placement="watch",
        message={}, texts={"resolved": {language: (Piece(text),) for language, text in DELETED.items()}},
        action={}, deadline="", route="", tags=(),
        inhibited_by=tuple(map(Inhibitor, inhibitors)),
        renamed_from=(first,) if first != ident else (),
    )  # fmt: skip


def endings(left: Sequence[Leftover], now: int) -> tuple[list[Rule], list[Said]]:
    """Return what ends these alerts, with the rules it counts by.

    That of a retired rule ends as of the day of retirement; that of a deleted one at the date judged last.
    """
    rules = list({one.rule.id: one.rule for one in left}.values())
    place = {rule.id: number for number, rule in enumerate(rules)}
    said = []
    for one in left:
        ended = one.rule.retired
        at = max(one.started, one.date if ended is None else parse_instant(ended.on))
        kind = RESOLVED if one.level else LAPSED
        event = Event(place[one.rule.id], one.row, at, kind, 0, one.level, one.started, muted=one.muted)
        said.append(
            Said(event, "rule-changed", now, "deleted") if ended is None else Said(event, "retired", now, "retired")
        )
    return rules, said
