"""The sieve: which pairs of a stack's rules and of institutions need more than a glance.

Most pairs are quiet: no level holds, and nothing is remembered. A block costs one comparison of the weakest levels;
pairs that are not quiet, or unknown, are looked at together, whatever block they come from. Where numba is installed
and the values stand together in memory, one pass over them finds the same (`rules.compiled`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rules.context import Context
from rules.ladders import Ladders
from rules.laps import Laps
from rules.later import Later
from rules.operations import number
from rules.stacks import Stack, Stacked
from rules.store import Bools, Floats, Indices

BLOCK = 1 << 17
"""Numbers in a block."""
WORTH = 1 << 17
"""Pairs from which on the compiled sieve is asked for."""
LEAST = 256
"""Institutions in a row that it needs."""
WANTED = 4_000_000_000
"""Pairs that it could have sifted before it is loaded: it saves half a second a billion, and loading takes two."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where rules apply: `outside` not at all, `unsure` perhaps; None for nowhere."""

    outside: Bools | None
    unsure: Bools | None


@dataclass(frozen=True, slots=True)
class Sifted:
    """The pairs to fold, by member and position, with the number that their rule compares; and those unknown.

    The number is NaN where the outcome is unknown. Of unknown pairs only those are folded of which something is
    remembered.
    """

    member: Indices
    position: Indices
    values: Floats
    lost: tuple[Indices, Indices]


def sift(stack: Stack, ladders: Ladders, context: Context, scope: Scope, awake: Bools, laps: Laps) -> Sifted:
    """Return what of a stack is not quiet. awake: [m, n], pairs of which something is remembered."""
    found = None
    if awake.size >= WORTH:
        found = at_once(stack, ladders, context, scope, awake)
    if found is None:
        return by_blocks(stack, ladders, context, scope, awake, laps)
    laps.lap("rules" if stack.tape is not None and stack.tape.plain else "derive")
    return found


class _Kernel(Later):
    """The compiled sieve."""

    wanted = 0

    def get(self, pairs: int) -> Callable[..., tuple[int, int, int]] | None:
        """Return it, for so many pairs, if it is there. It is loaded once it has been wanted for many."""
        self.wanted += pairs
        if self.wanted >= WANTED:
            self.begin()
        return None if self.found is None else self.found.kernel


_KERNEL = _Kernel("rules.compiled")


def compiled() -> bool:
    """Load the compiled sieve and say whether there is one, which there is where numba is installed."""
    return _KERNEL.wait()


def by_blocks(stack: Stack, ladders: Ladders, context: Context, scope: Scope, awake: Bools, laps: Laps) -> Sifted:
    """Do what `sift` does with numpy, at any places."""
    busy = _busy(stack, ladders, context, scope, awake, laps)
    member, position = _places(busy)
    values = number(stack.number, Stacked(context, stack.leaves, (member, position)))
    gone = np.isnan(values)
    if scope.unsure is not None:
        gone |= scope.unsure[position]
    if scope.outside is not None:
        gone &= ~scope.outside[position]
    lost = np.flatnonzero(gone)
    unknown = member[lost], position[lost]
    if scope.unsure is not None:
        values = np.where(gone, np.nan, values)
    asleep = lost[~awake[unknown]]
    if len(asleep):
        keep = np.ones(len(member), np.bool_)
        keep[asleep] = False
        index = np.flatnonzero(keep)
        position, member, values = position[index], member[index], values[index]
    return Sifted(member, position, values, unknown)


def _busy(stack: Stack, ladders: Ladders, context: Context, scope: Scope, awake: Bools, laps: Laps) -> Bools:
    """Return which pairs, [m, n], are not known to be quiet."""
    ladder = ladders.of[stack.members.start]
    assert ladder is not None
    count, columns = stack.members.stop - stack.members.start, len(context)
    busy = np.empty((count, columns), np.bool_)
    # a column is there already; what is computed should not leave the cache before it is compared
    rows = count if stack.number.op == "column" else max(1, BLOCK // max(1, columns))
    for first in range(0, count, rows):
        part = slice(first, min(first + rows, count))
        values = number(stack.number, Stacked(context, stack.leaves.part(part)))
        laps.lap("derive")
        quiet = ladder.fails(values, ladders.weakest[stack.members][part], out=busy[part])
        if scope.outside is not None:
            quiet |= scope.outside
        if scope.unsure is not None:
            quiet &= ~scope.unsure
        np.greater_equal(awake[part], quiet, out=quiet)
        laps.lap("rules")
    return busy


def _places(busy: Bools) -> tuple[Indices, Indices]:
    """Return row and column of what is set, in order."""
    found = np.flatnonzero(busy)
    rows, columns = busy.shape
    edges = np.searchsorted(found, np.arange(rows + 1) * columns)
    row = np.repeat(np.arange(rows), np.diff(edges))
    return row, found - row * columns


def at_once(stack: Stack, ladders: Ladders, context: Context, scope: Scope, awake: Bools) -> Sifted | None:
    """Do what `sift` does in one pass; None where values do not stand together, or nothing compiled does it (yet)."""
    tape, rows, n = stack.tape, context.pick.rows, len(context)
    above = ladders.above[stack.members]
    if tape is None or rows is None or n < LEAST or not np.isfinite(above).all():
        return None
    slots = _slots(tape.form, tape.back, context)
    kernel = None if slots is None else _KERNEL.get(awake.size)
    if kernel is None:
        return None
    ladder = ladders.of[stack.members.start]
    assert ladder is not None
    given = (
        context.world.stores[tape.form].values,
        rows.start,
        tape.code,
        slots,
        *stack.tables,
        ladder.sign,
        above,
        awake,
        np.zeros(n, np.bool_) if scope.outside is None else scope.outside,
        np.zeros(n, np.bool_) if scope.unsure is None else scope.unsure,
    )
    room, begin, members = n + (awake.size >> 5), 0, len(awake)
    parts: list[tuple[Indices, Indices, Floats, Indices, Indices]] = []
    while begin < members:
        pairs, lost = np.empty((2, room), np.intp), np.empty((2, room), np.intp)
        values = np.empty(room)
        found, gone, begin = kernel(*given, begin, *pairs, values, *lost)
        parts.append((*pairs[:, :found], values[:found], *lost[:, :gone]))
    whole = parts[0] if len(parts) == 1 else tuple(np.concatenate(column) for column in zip(*parts, strict=True))
    member, position, numbers, *unknown = whole
    return Sifted(member, position, numbers, (unknown[0], unknown[1]))


def _slots(form: str, back: int, context: Context) -> Indices | None:
    """Return the slot in which everybody's filing stands, for each filing back; None where they stand apart."""
    if context.fresh(form) is not None:
        return None
    slots = []
    for ago in range(back + 1):
        filed = (context.back(form, ago)[0] if ago else context).filed(form)
        if len(filed.odd) or not filed.complete:
            return None
        slots.append(filed.common)
    return np.array(slots, np.intp)
