"""State of institutions as bytes: what the worker writes to its table, and reads back after a crash.

It comes in pieces, so that a filing does not cost writing an institution's history anew: the `core` of some
institutions (how their rules stand), and for each form and as-of date the values filed, once for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rules.edits import Leftover, bare, edited, translated
from rules.fold import Records
from rules.registry import Institution
from rules.store import NEVER, FormStore, Indices, Ints, Picker

if TYPE_CHECKING:
    from rules.engine import Engine

VERSION = 3


class _Array(msgspec.Struct, frozen=True, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


class _Newest(msgspec.Struct, frozen=True):
    """The indicators of a form of which only the newest value is kept."""

    indicators: tuple[str, ...]
    values: _Array


class _Core(msgspec.Struct, frozen=True):
    version: int
    codes: list[str]
    applied: _Array
    newest: dict[str, _Newest]
    rules: list[str]
    records: dict[str, _Array]
    judged: dict[str, _Array]
    due: dict[str, int]
    clock: int = int(NEVER)
    stale: list[tuple[int, int, int]] = []
    signatures: bytes = b""
    inhibitors: dict[str, list[str]] = {}
    lineage: dict[str, tuple[str, str]] = {}
    """Oldest name and status of the rules that have others than their id and live."""
    now: int = 0
    """The latest time that filings or ticks had told; 0 in states of versions that did not keep it."""


class _Dated(msgspec.Struct, frozen=True):
    """Filings of one form for one as-of date: codes, revision, offset [n]; values [indicators, n]."""

    form: str
    as_of: int
    codes: list[str]
    revision: _Array
    offset: _Array
    indicators: tuple[str, ...]
    values: _Array


class _Whole(msgspec.Struct, frozen=True):
    core: bytes
    dated: list[bytes]


_CORE = msgspec.msgpack.Decoder(_Core)
_DATED = msgspec.msgpack.Decoder(_Dated)
_WHOLE = msgspec.msgpack.Decoder(_Whole)


def _pack(array: NDArray[Any]) -> _Array:
    return _Array(array.dtype.str, array.shape, np.ascontiguousarray(array).tobytes())


def _view(array: _Array) -> NDArray[Any]:
    return np.frombuffer(array.data, array.dtype).reshape(array.shape)


def export(engine: Engine, rows: Sequence[int]) -> bytes:
    """Return everything known of the rows in one."""
    dated = [export_dated(engine, rows, form, as_of) for form, as_of in dates(engine, rows)]
    return msgspec.msgpack.encode(_Whole(export_core(engine, rows), dated))


def restore(engine: Engine, blob: bytes) -> list[str]:
    """Put back what `export` gave, replacing what the engine holds of these institutions; return their codes."""
    whole = _WHOLE.decode(blob)
    return restore_pieces(engine, whole.core, whole.dated)


def export_core(engine: Engine, rows: Sequence[int]) -> bytes:
    """Return fold, offsets and newest values of the rows. Institutions are named by code and rules by id."""
    index = np.asarray(rows, np.int32)
    pick = Picker(index)
    records = engine.fold.chain(index)
    place = np.full(int(index.max(initial=0)) + 1, -1, np.int32)
    place[index] = np.arange(len(index), dtype=np.int32)
    columns = {f.name: getattr(records, f.name) for f in fields(Records) if f.name != "previous"}
    columns["row"] = place[records.row]
    core = _Core(
        VERSION,
        [engine.institutions[row].code for row in rows],
        _pack(engine.applied[index]),
        {name: _Newest(store.last, _pack(pick(store.latest))) for name, store in engine.world.stores.items()},
        [rule.id for rule in engine.rules],
        {name: _pack(column) for name, column in columns.items()},
        {rule.id: _pack(group.judged[index]) for group in engine.groups for rule in group.rules[:1]},
        dict(engine._due),
        engine.world.clock,
        [(rule, int(place[row]), moment) for rule, row, moment in engine.staleness.told(index)],
        engine.edition.signatures,
        engine.edition.inhibitors,
        {r.id: (r.first_id, r.status) for r in engine.rules if r.renamed_from or r.status != "live"},
        engine.world.now,
    )
    return msgspec.msgpack.encode(core)


def dates(engine: Engine, rows: Sequence[int]) -> list[tuple[str, int]]:
    """Return the forms and as-of dates, in seconds, of the filings that are kept of any of the rows."""
    pick = Picker(np.asarray(rows, np.int32))
    found = []
    for name, store in engine.world.stores.items():
        found += [(name, at) for at in np.unique(pick(store.as_of)).tolist() if at != NEVER]
    return found


def export_dated(engine: Engine, rows: Sequence[int], form: str, as_of: int) -> bytes:
    """Return what the rows filed in a form for an as-of date."""
    store = engine.world.stores[form]
    index = np.asarray(rows, np.int32)
    there = Picker(index)(store.as_of) == as_of
    filed = there.any(axis=0)
    slots, index = there.argmax(axis=0)[filed], index[filed]
    if len(slots) and (slots == slots[0]).all():
        slot, pick = int(slots[0]), Picker(index)
        revision, offset = pick(store.revision[slot]), pick(store.offset[slot])
        values = pick(store.values[slot])
    else:
        revision, offset = store.revision[slots, index], store.offset[slots, index]
        values = store.values[slots, :, index].T
    codes = [engine.institutions[row].code for row in index.tolist()]
    dated = _Dated(form, as_of, codes, _pack(revision), _pack(offset), store.kept, _pack(values))
    return msgspec.msgpack.encode(dated)


def restore_pieces(engine: Engine, core: bytes, dated: Iterable[bytes]) -> list[str]:
    """Put exported pieces into a running engine, replacing what it holds of the core's institutions.

    A form whose depth or indicators the program reads otherwise now keeps what fits: the newest filings,
    the indicators that both know. Raises ValueError, or what msgspec raises, for bytes that are no such pieces.
    """
    state = _CORE.decode(core)
    if state.version != VERSION:
        raise ValueError(f"state of version {state.version}, expected {VERSION}")
    rows = np.array(
        [row if (row := engine.row(code)) >= 0 else engine.put_institution(Institution(code)) for code in state.codes],
        np.int32,
    )
    engine.drop(rows)
    engine.applied[rows] = _view(state.applied)
    by_form: dict[str, list[_Dated]] = {}
    for piece in map(_DATED.decode, dated):
        by_form.setdefault(piece.form, []).append(piece)
    for name, store in engine.world.stores.items():
        if name in by_form:
            _restore_form(store, by_form[name], state.codes, rows)
        if name in state.newest:
            _restore_newest(store, state.newest[name], rows)
    rule_of = _rules_now(engine, state)
    _restore_records(engine, state, np.array(rule_of, np.int32), rows)
    engine.mark_edited(edited(engine.rules, engine.edition, state.rules, state.signatures), rows)
    _leave_over(engine, state, rows)
    for group in engine.groups:
        known = [name for name in (group.rules[0].id, *group.rules[0].renamed_from) if name in state.judged]
        if known:
            group.judged[rows] = _view(state.judged[known[0]])
    for form_id, due in state.due.items():
        engine._due[form_id] = max(due, engine._due.get(form_id, due))
    engine.world.clock = max(engine.world.clock, state.clock)
    engine.world.now = max(engine.world.now, state.now, state.clock)
    # the next tick looks at all waivers and open alerts again: this state may be older than the clock
    engine.ended.clear()
    engine.staleness.restore(
        (rule_of[rule], int(rows[place]), moment) for rule, place, moment in state.stale if rule_of[rule] >= 0
    )
    return state.codes


def _restore_newest(store: FormStore, newest: _Newest, rows: Ints) -> None:
    values = _view(newest.values)
    if newest.indicators == store.last:
        store.latest[:, rows] = values
        return
    for indicator, plane in zip(newest.indicators, values, strict=True):
        if indicator in store.last_column:
            store.latest[store.last_column[indicator], rows] = plane
        elif indicator in store.column:
            store.values[0, store.column[indicator], rows] = plane


def _restore_form(store: FormStore, dated: list[_Dated], codes: list[str], rows: Ints) -> None:
    """Put each institution's filings into its slots, the newest into the first."""
    store.order[:, rows] = np.arange(store.depth, dtype=np.int16)[:, None]
    filled = np.zeros(int(rows.max(initial=-1)) + 1, np.intp)
    row_of: dict[str, int] = {}
    for piece in sorted(dated, key=lambda piece: -piece.as_of):
        if piece.codes == codes:
            index = rows.astype(np.intp)
        else:
            row_of = row_of or dict(zip(codes, rows.tolist(), strict=True))
            index = np.array([row_of.get(code, -1) for code in piece.codes], np.intp)
        slots = filled[index]
        fits = (index >= 0) & (slots < store.depth)
        filled[index[fits]] += 1
        if fits.all():
            _restore_dated(store, piece, slots, index, slice(None))
        elif fits.any():
            _restore_dated(store, piece, slots[fits], index[fits], fits)


def _restore_dated(
    store: FormStore, piece: _Dated, slots: Indices, index: Indices, fits: slice | NDArray[np.bool_]
) -> None:
    pick = Picker(index.astype(np.int32))
    store.touch(slots)
    where: tuple[Indices | int, Indices | slice] = (slots, index)
    if pick.rows is not None and (slots == slots[0]).all():
        where = (int(slots[0]), pick.rows)
    store.as_of[where] = piece.as_of
    store.revision[where] = _view(piece.revision)[fits]
    store.offset[where] = _view(piece.offset)[fits]
    values = _view(piece.values)[:, fits]
    slot, here = where
    if piece.indicators == store.kept:
        store.values[slot, :, here] = values if isinstance(here, slice) else values.T
        return
    store.values[slot, :, here] = np.nan
    newest = slots == 0
    for indicator, plane in zip(piece.indicators, values, strict=True):
        if indicator in store.column:
            store.values[slot, store.column[indicator], here] = plane
        elif indicator in store.last_column and newest.any():
            store.latest[store.last_column[indicator], index[newest]] = plane[newest]


def _rules_now(engine: Engine, state: _Core) -> list[int]:
    """The engine's number of each rule that the state names, by old names too; -1 where it is gone."""
    number = {name: i for i, rule in enumerate(engine.rules) for name in (*rule.renamed_from, rule.id)}
    return [number.get(ident, -1) for ident in state.rules]


def _restore_records(engine: Engine, state: _Core, rule_of: Ints, rows: Ints) -> None:
    columns = {name: _view(array).copy() for name, array in state.records.items()}
    rule = rule_of[columns["rule"]]
    count = len(rule)
    if not count:
        return
    blank = {"muted": np.zeros(count, np.int32)}
    records = Records(**{**blank, **columns, "previous": np.full(count, -1, np.int32)})
    records.rule, records.row = rule, rows[columns["row"]]
    if state.signatures and state.signatures != engine.edition.signatures:
        for number in np.unique(rule[(rule >= 0) & (records.muted != 0)]).tolist():
            mine, before = np.flatnonzero(rule == number), state.rules[rule_of.tolist().index(number)]
            masks = translated(records.muted[mine], engine.rules[number], state.inhibitors.get(before, ()))
            records.muted[mine] = masks
    engine.fold.restore(records.take(rule >= 0))


def _leave_over(engine: Engine, state: _Core, rows: Ints) -> None:
    """Hand over what was open or pending when its rule was retired or deleted: the next tick ends it."""
    ended = [rule for rule in engine.program.rules if rule.status == "retired"]
    gone = {name: rule for rule in ended for name in (*rule.renamed_from, rule.id)}
    known = {name for rule in engine.rules for name in (*rule.renamed_from, rule.id)} | engine.program.elsewhere
    for name in set(state.rules) - known - gone.keys():
        first, status = state.lineage.get(name, (name, "live"))
        gone[name] = bare(name, first, status, state.inhibitors.get(name, ()))
    if gone.keys().isdisjoint(state.rules):
        return
    columns = {name: _view(array) for name, array in state.records.items()}
    for number, name in enumerate(state.rules):
        if name not in gone:
            continue
        mine = np.flatnonzero(columns["rule"] == number)
        _, newest = np.unique(columns["row"][mine], return_index=True)  # newest first within a pair
        last = mine[newest]
        standing = (columns["level"][last] > 0) | (columns["run"][0, last] > 0)
        for i in last[standing].tolist():
            row, level, started, date = (int(columns[key][i]) for key in ("row", "level", "started", "date"))
            silenced = int(columns["muted"][i]) if "muted" in columns and gone[name].retired is None else 0
            engine.mark_left_over(Leftover(gone[name], int(rows[row]), level, started, silenced, date))
