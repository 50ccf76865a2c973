"""The sieve compiled by numba: the values of a stack cross memory once.

What it computes is said by `rules.sieve`, in numpy; the two agree to the bit, but for the sign of a zero. Needs the
extra `fast`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from rules.sieve import LEAST
from rules.tapes import (
    ADD,
    COLUMN,
    CONSTANT,
    DEPTH,
    DIVIDE,
    LESSER,
    LOWEST,
    MEAN,
    MULTIPLY,
    NEGATE,
    SUBTRACT,
)

LANES = 64
CHUNK = LEAST
_WORD = ir.IntType(64)


def _load(context: Any, builder: Any, kind: Any, args: Any, number: Any, align: int) -> Any:
    """Load the lanes that begin at an element of a column: the first two arguments."""
    lanes = ir.VectorType(number, LANES)
    array = context.make_array(kind)(context, builder, args[0])
    where = cgutils.get_item_pointer(context, builder, kind, array, [args[1]])
    return builder.load(builder.bitcast(where, lanes.as_pointer()), align=align)


@intrinsic
def _not_below(typing: Any, column: Any, first: Any, sign: Any, bound: Any) -> Any:
    """64 bits, set where the column times `sign` exceeds the bound, or NaN is."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = _load(context, builder, signature.args[0], args, ir.DoubleType(), 8)
        blank = ir.Constant(values.type, ir.Undefined)
        everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        ones = (builder.insert_element(blank, one, ir.Constant(ir.IntType(32), 0)) for one in args[2:])
        signs, bounds = (builder.shuffle_vector(one, blank, everywhere) for one in ones)
        return builder.bitcast(builder.fcmp_unordered(">", builder.fmul(values, signs), bounds), _WORD)

    return types.uint64(column, types.intp, types.float64, types.float64), generate


@intrinsic
def _set(typing: Any, flags: Any, first: Any) -> Any:
    """64 bits, set where the flags are."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        found = _load(context, builder, signature.args[0], args, ir.IntType(8), 1)
        return builder.bitcast(builder.icmp_unsigned("!=", found, ir.Constant(found.type, [0] * LANES)), _WORD)

    return types.uint64(flags, types.intp), generate


@intrinsic
def _lowest_bit(typing: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.intp(types.uint64), generate


@njit(inline="always")
def _window(op, filings, stack, base, known, total, low, high):
    """Combine the chunks from `base` on into that one. Gaps are left out; half of the filings must have a value."""
    known[:], total[:], low[:], high[:] = 0.0, -0.0, np.inf, -np.inf
    for ago in range(filings):
        chunk = stack[base + ago]
        for j in range(CHUNK):
            x = chunk[j]
            gone = np.isnan(x)
            known[j] += 0.0 if gone else 1.0
            total[j] += 0.0 if gone else x
            # without an addition LLVM would store only where there is something new, and not vectorise
            low[j] = (x if x < low[j] else low[j]) + 0.0
            high[j] = (x if x > high[j] else high[j]) + 0.0
    out = stack[base]
    if op == MEAN:
        for j in range(CHUNK):
            found = total[j] / known[j]
            found = low[j] if found < low[j] else found
            out[j] = high[j] if found > high[j] else found
    elif op == LOWEST:
        for j in range(CHUNK):
            out[j] = low[j]
    else:
        for j in range(CHUNK):
            out[j] = high[j]
    least = max(1.0, filings / 2)
    for j in range(CHUNK):
        out[j] = out[j] if (known[j] >= least) & (np.abs(out[j]) < np.inf) else np.nan


@njit(inline="always")
def _known(x):
    return 0.0 if np.isnan(x) else 1.0


@njit(inline="always")
def _or(x, other):
    return other if np.isnan(x) else x


@njit(inline="always")
def _mean_of_four(stack, base):
    """Do what `_window` does for the mean that rules ask for most, a year of quarters, without sums in memory."""
    first, second, third, fourth = stack[base], stack[base + 1], stack[base + 2], stack[base + 3]
    for j in range(CHUNK):
        a, b, c, d = first[j], second[j], third[j], fourth[j]
        known = _known(a) + _known(b) + _known(c) + _known(d)
        found = (_or(a, 0.0) + _or(b, 0.0) + _or(c, 0.0) + _or(d, 0.0)) / known
        low = min(_or(a, np.inf), _or(b, np.inf), _or(c, np.inf), _or(d, np.inf))
        high = max(_or(a, -np.inf), _or(b, -np.inf), _or(c, -np.inf), _or(d, -np.inf))
        found = low if found < low else found
        found = high if found > high else found
        first[j] = found if (known >= 2.0) & (np.abs(found) < np.inf) else np.nan


@njit(inline="always")
def _run(code, values, slots, columns, constants, member, first, stack, known, total, low, high):
    """Compute a chunk of one member's number; it is the lowest of the stack then."""
    top = 0
    for k in range(len(code)):
        op, a = code[k, 0], code[k, 1]
        if op == COLUMN:
            out, column = stack[top], values[slots[code[k, 2]], columns[a, member]]
            for j in range(CHUNK):
                out[j] = column[first + j]
            top += 1
        elif op == CONSTANT:
            stack[top, :] = constants[a, member]
            top += 1
        elif op >= MEAN:
            top -= a - 1
            if op == MEAN and a == 4:
                _mean_of_four(stack, top - 1)
                continue
            _window(op, a, stack, top - 1, known, total, low, high)
        elif op >= NEGATE:
            out = stack[top - 1]
            if op == NEGATE:
                for j in range(CHUNK):
                    out[j] = -out[j]
            else:
                for j in range(CHUNK):
                    out[j] = np.abs(out[j])
        else:
            top -= 1
            out, other = stack[top - 1], stack[top]
            if op == ADD:
                for j in range(CHUNK):
                    out[j] += other[j]
            elif op == SUBTRACT:
                for j in range(CHUNK):
                    out[j] -= other[j]
            elif op == MULTIPLY:
                for j in range(CHUNK):
                    out[j] *= other[j]
            elif op == DIVIDE:
                for j in range(CHUNK):
                    found = out[j] / other[j]
                    out[j] = found if np.abs(found) < np.inf else np.nan
            elif op == LESSER:
                for j in range(CHUNK):
                    out[j] = out[j] if (out[j] < other[j]) | np.isnan(out[j]) else other[j]
            else:
                for j in range(CHUNK):
                    out[j] = out[j] if (out[j] > other[j]) | np.isnan(out[j]) else other[j]


_SIGNATURE = types.UniTuple(types.int64, 3)(
    types.float64[:, :, ::1],
    types.int64,
    types.int64[:, ::1],
    types.int64[::1],
    types.int64[:, ::1],
    types.float64[:, ::1],
    types.float64,
    types.float64[::1],
    types.boolean[:, :],
    types.boolean[::1],
    types.boolean[::1],
    types.int64,
    types.int64[::1],
    types.int64[::1],
    types.float64[::1],
    types.int64[::1],
    types.int64[::1],
)


def sift(
    values, start, code, slots, columns, constants, sign, bounds, awake, outside, unsure, begin,
    member, position, number, lost_member, lost_position,
):  # fmt: skip
    """Write what is not quiet into the last five arrays; return how many pairs to fold there are, and unknown ones.

    values: [depth, kept, rows] of a store; the n rows from `start` on are judged, at least CHUNK. slots: the slot of
    each filing back. columns: [leaf, m] of the store. constants: [leaf, m]. What is not above bounds [m], times `sign`,
    is quiet. awake: [m, n]. outside, unsure: [n]. Members are sifted from `begin` on, as long as the
    arrays have room for n more; the third number returned says where to go on.
    """
    members, n = awake.shape
    plain = len(code) == 1
    stack = np.empty((1 if plain else DEPTH, CHUNK))
    known, total, low, high = np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK), np.empty(CHUNK)
    size = n if plain else CHUNK
    found = lost = 0
    for i in range(begin, members):
        if found + n > len(member) or lost + n > len(lost_member):
            return found, lost, i
        bound, remembered = bounds[i], awake[i]
        for chunk in range(0, n, size):
            first = min(chunk, n - size)  # the last one has something of the one before in it
            if plain:
                column, shift = values[slots[code[0, 2]], columns[0, i]], start
            else:
                _run(code, values, slots, columns, constants, i, start + first, stack, known, total, low, high)
                column, shift = stack[0], -first
            for block in range(chunk, first + size, LANES):
                at = min(block, first + size - LANES)
                bits = _not_below(column, shift + at, sign, bound) & ~_set(outside, at)
                bits |= _set(unsure, at) | _set(remembered, at)
                bits &= ~np.uint64(0) << np.uint64(block - at)
                while bits != np.uint64(0):
                    j = at + _lowest_bit(bits)
                    bits &= bits - np.uint64(1)
                    x = column[shift + j]
                    if (np.isnan(x) | unsure[j]) & (not outside[j]):
                        lost_member[lost] = i
                        lost_position[lost] = j
                        lost += 1
                        if not remembered[j]:
                            continue
                        x = np.nan
                    member[found] = i
                    position[found] = j
                    number[found] = x
                    found += 1
    return found, lost, members


_HOW = {"nogil": True, "error_model": "numpy"}
try:
    kernel = njit([_SIGNATURE], cache=True, **_HOW)(sift)
except RuntimeError:  # there is no folder to keep it in
    kernel = njit([_SIGNATURE], **_HOW)(sift)
