"""What an engine shows of one moment: newest values and how alerts stand, copied so that it may go on meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rules.context import Context
from rules.engine import Engine
from rules.muting import reasons
from rules.operations import number
from rules.plan import Node, walk
from rules.store import NEVER, Filed, Floats, Ints, Longs, Picker
from rules.transitions import SEVERITIES


@dataclass(frozen=True, slots=True)
class Newest:
    """Newest known values of an indicator, [n]: NaN where there is none. as_of: seconds of the filing they are of."""

    values: Floats
    as_of: Longs


def newest(engine: Engine, indicators: Iterable[str]) -> tuple[Ints, dict[str, Newest]]:
    """Return the rows [n] of the engine's institutions, and of each indicator its newest values there.

    They are copies. Indicators of a form are read together, so that this is quick enough to be done between batches.
    """
    wanted = list(indicators)
    rows = np.flatnonzero(engine.registered).astype(np.int32)
    pick = Picker(rows)
    derived = {name: node for name in wanted if (node := engine.program.derived.get(name)) is not None}
    found: dict[str, Newest] = {}
    by_form: dict[str, list[str]] = {}
    for name in wanted:
        if name not in derived:
            by_form.setdefault(engine.program.catalogue.indicators[name].form, []).append(name)
    for form, names in by_form.items():
        found |= _reported(engine, form, names, pick)
    return rows, found | _derived(engine, derived, rows, pick)


def _reported(engine: Engine, form: str, names: list[str], pick: Picker) -> dict[str, Newest]:
    store = engine.world.stores[form]
    filed: Filed = store.filed(pick)
    as_of = filed.as_of.copy()
    values = np.full((len(names), len(as_of)), np.nan)
    kept = [(i, store.column[name]) for i, name in enumerate(names) if name in store.column]
    if kept:
        here, there = (np.array(places, np.intp) for places in zip(*kept, strict=True))
        values[here] = store.read_many(filed, there)
    for i, name in enumerate(names):
        if name not in store.column and name in store.last_column:
            values[i] = pick(store.latest[store.last_column[name]])
    return {name: Newest(values[i], as_of) for i, name in enumerate(names)}


def _derived(engine: Engine, nodes: dict[str, Node], rows: Ints, pick: Picker) -> dict[str, Newest]:
    """Evaluate formulas at the newest filing of any form they read; those of the same forms share what they read."""
    contexts: dict[tuple[str, ...], Context] = {}
    found: dict[str, Newest] = {}
    for name, node in nodes.items():
        forms = tuple(sorted({str(n.params[0]) for n in walk(node) if n.op == "column"}))
        if forms not in contexts:
            at = np.max([engine.world.stores[form].filed(pick).as_of for form in forms], axis=0)
            contexts[forms] = Context(engine.world, rows, at, pick)
        context = contexts[forms]
        values = np.where(context.at != NEVER, number(node, context), np.nan)
        found[name] = Newest(values, context.at)
    return found


def alerts(engine: Engine) -> Counter[tuple[str, str, str]]:
    """Count by rule, severity and state what is pending or open; shadow rules are left out.

    An alert that something silences has the state `suppressed`, waived ones too; one whose data ran out `stale`.
    """
    records = engine.fold.open()
    severity = np.where(records.pending, np.maximum(0, records.held), records.level)
    stale = np.zeros(len(records), np.bool_)
    if told := {(rule, row) for rule, row, _ in engine.staleness.told(np.unique(records.row))}:
        pairs = zip(records.rule.tolist(), records.row.tolist(), strict=True)
        stale = np.fromiter((pair in told for pair in pairs), np.bool_, len(records))
    alike = np.stack([records.rule, severity, records.pending, stale, records.muted]).astype(np.int64)
    kinds, counts = np.unique(alike, axis=1, return_counts=True)
    found: Counter[tuple[str, str, str]] = Counter()
    for (which, level, pending, ran_out, muted), count in zip(kinds.T.tolist(), counts.tolist(), strict=True):
        rule = engine.rules[which]
        if rule.status != "shadow":
            state = "pending" if pending else "firing"
            state = "suppressed" if reasons(rule, muted) else "stale" if ran_out else state
            found[rule.id, SEVERITIES[level], state] += count
    return found
