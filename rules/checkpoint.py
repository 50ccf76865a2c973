"""State of institutions as bytes: what the worker writes to its table, and reads back after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rules.fold import Records
from rules.registry import Institution
from rules.store import NEVER, FormStore, Ints, Picker

if TYPE_CHECKING:
    from rules.engine import Engine

VERSION = 1


class _Array(msgspec.Struct, frozen=True, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class _Form(msgspec.Struct, frozen=True):
    kept: tuple[str, ...]
    last: tuple[str, ...]
    as_of: _Array
    revision: _Array
    offset: _Array
    order: _Array
    values: _Array
    latest: _Array


class _State(msgspec.Struct, frozen=True):
    version: int
    codes: list[str]
    applied: _Array
    forms: dict[str, _Form]
    rules: list[str]
    records: dict[str, _Array]
    judged: dict[str, _Array]
    due: dict[str, int]
    clock: int = int(NEVER)
    stale: list[tuple[int, int, int]] = []


_DECODER = msgspec.msgpack.Decoder(_State)


def _pack(array: NDArray[Any]) -> _Array:
    return _Array(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())


def _unpack(array: _Array) -> NDArray[Any]:
    return np.frombuffer(array.data, array.dtype).reshape(array.shape).copy()


def export(engine: Engine, rows: Sequence[int]) -> bytes:
    """Return history, fold and offsets of the rows. Institutions are named by code and rules by id."""
    index = np.asarray(rows, np.int32)
    pick = Picker(index)
    records = engine.fold.chain(index)
    place = np.full(int(index.max(initial=0)) + 1, -1, np.int32)
    place[index] = np.arange(len(index), dtype=np.int32)
    columns = {f.name: getattr(records, f.name) for f in fields(Records) if f.name != "previous"}
    columns["row"] = place[records.row]
    state = _State(
        VERSION,
        [engine.institutions[row].code for row in rows],
        _pack(engine.applied[index]),
        {name: _form(store, pick) for name, store in engine.world.stores.items() if _filed(store, pick)},
        [rule.id for rule in engine.rules],
        {name: _pack(column) for name, column in columns.items()},
        {rule.id: _pack(group.judged[index]) for group in engine.groups for rule in group.rules[:1]},
        dict(engine._due),
        engine.world.clock,
        [(rule, int(place[row]), moment) for rule, row, moment in engine.staleness.told(index)],
    )
    return msgspec.msgpack.encode(state)


def _filed(store: FormStore, pick: Picker) -> bool:
    return bool((pick(store.as_of) != NEVER).any())


def _form(store: FormStore, pick: Picker) -> _Form:
    """Copy the slots in which any of the rows has a filing; `order` counts among those."""
    as_of = pick(store.as_of)
    used = np.flatnonzero((as_of != NEVER).any(axis=1))
    as_of = as_of[used]
    return _Form(
        store.kept,
        store.last,
        _pack(as_of),
        _pack(pick(store.revision)[used]),
        _pack(pick(store.offset)[used]),
        _pack(np.argsort(-as_of, axis=0, kind="stable").astype(np.int16)),
        _pack(pick(store.values)[:, used]),
        _pack(pick(store.latest)),
    )


def restore(engine: Engine, blob: bytes) -> list[str]:
    """Put exported state into a running engine, replacing what it holds of these institutions.

    A form whose depth or indicators the program reads otherwise now keeps what fits: the newest filings,
    the indicators that both know.
    """
    state = _DECODER.decode(blob)
    rows = np.array(
        [row if (row := engine.row(code)) >= 0 else engine.put_institution(Institution(code)) for code in state.codes],
        np.int32,
    )
    engine.drop(rows)
    engine.applied[rows] = _unpack(state.applied)
    for name, form in state.forms.items():
        if name in engine.world.stores:
            _restore_form(engine.world.stores[name], form, rows)
    rule_of = _rules_now(engine, state)
    _restore_records(engine, state, np.array(rule_of, np.int32), rows)
    for group in engine.groups:
        known = [name for name in (group.rules[0].id, *group.rules[0].renamed_from) if name in state.judged]
        if known:
            group.judged[rows] = _unpack(state.judged[known[0]])
    for form_id, due in state.due.items():
        engine._due[form_id] = max(due, engine._due.get(form_id, due))
    engine.world.clock = max(engine.world.clock, state.clock)
    # the next tick looks at all waivers and open alerts again: this state may be older than the clock
    engine.ended.clear()
    engine.staleness.restore(
        (rule_of[rule], int(rows[place]), moment) for rule, place, moment in state.stale if rule_of[rule] >= 0
    )
    return state.codes


def _restore_form(store: FormStore, form: _Form, rows: Ints) -> None:
    order = _unpack(form.order).astype(np.intp)
    depth = min(store.depth, len(order))
    slots = order[:depth]
    columns = np.arange(order.shape[1])
    where = Picker(rows).rows or rows
    store.order[:, where] = np.arange(store.depth, dtype=np.int16)[:, None]
    for name in ("as_of", "revision", "offset"):
        getattr(store, name)[:depth, where] = _unpack(getattr(form, name))[slots, columns]
    values, latest = _unpack(form.values)[:, slots, columns], _unpack(form.latest)
    if (form.kept, form.last) == (store.kept, store.last):
        store.values[:, :depth, where], store.latest[:, where] = values, latest
        return
    for indicator, planes in zip(form.kept, values, strict=True):
        if indicator in store.column:
            store.values[store.column[indicator]][:depth, where] = planes
        elif indicator in store.last_column:
            store.latest[store.last_column[indicator], where] = planes[0]
    for indicator, plane in zip(form.last, latest, strict=True):
        if indicator in store.last_column:
            store.latest[store.last_column[indicator], where] = plane
        elif indicator in store.column:
            store.values[store.column[indicator], 0, where] = plane


def _rules_now(engine: Engine, state: _State) -> list[int]:
    """The engine's number of each rule that the state names, by old names too; -1 where it is gone."""
    number = {name: i for i, rule in enumerate(engine.rules) for name in (*rule.renamed_from, rule.id)}
    return [number.get(ident, -1) for ident in state.rules]


def _restore_records(engine: Engine, state: _State, rule_of: Ints, rows: Ints) -> None:
    columns = {name: _unpack(array) for name, array in state.records.items()}
    rule = rule_of[columns["rule"]]
    count = len(rule)
    if not count:
        return
    blank = {"muted": np.zeros(count, np.int32)}
    records = Records(**{**blank, **columns, "previous": np.full(count, -1, np.int32)})
    records.rule, records.row = rule, rows[columns["row"]]
    engine.fold.restore(records.take(rule >= 0))
