"""Numbers out of JSON by name, compiled by numba: a batch's texts become rows of doubles, without the interpreter.

What is read here is a subset of JSON: an object of known names, in order, to numbers or nulls. Everything else is
left to msgspec, which also says what is wrong. `streams.by_name` uses it. Needs the extra `fast`.

Numbers are read exactly, as Python's `float` reads them, by the method of D. Lemire, "Number parsing at a gigabyte
per second", Software: Practice and Experience 51 (2021), with the checks of the `fast_float` library; what that
leaves open is not read here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

LOWEST, HIGHEST = -300, 280
"""Powers of ten of the last digit that are read here: results near the ends of double precision are not."""
DIGITS = 19
NONE = -1

_TEXT = types.Array(types.uint8, 1, "C", readonly=True)
_NUL, _TAB, _LINE, _RETURN, _SPACE = (ord(c) for c in "\0\t\n\r ")
_QUOTE, _COLON, _COMMA, _OPEN, _CLOSE = (ord(c) for c in '":,{}')
_MINUS, _PLUS, _POINT, _ZERO, _E = (ord(c) for c in "-+.0e")
_VALUES, _FORM, _NULL = (np.uint64(int.from_bytes(word, "little")) for word in (b'"values"', b'"form":', b"null"))
_SEVEN, _FOUR = np.uint64((1 << 56) - 1), np.uint64((1 << 32) - 1)
_ZEROS, _ABOVE, _TOPS = (np.uint64(0x0101010101010101 * byte) for byte in (0x30, 0x46, 0x80))
_PAIRS = np.uint64(0x000000FF000000FF)


def _powers() -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return the upper and lower 64 of the first 128 bits of 5^q, q from LOWEST to HIGHEST, as fast_float has them."""
    found = []
    for q in range(LOWEST, HIGHEST + 1):
        power = 5 ** abs(q)
        bits = power.bit_length() if power & (power - 1) else power.bit_length() - 1  # 2^bits >= power
        if q >= 0:
            value = power << 128 >> power.bit_length()
        elif q >= -27:
            value = (1 << (bits + 127)) // power + 1
        else:
            value = (1 << (2 * bits + 128)) // power + 1
            value >>= max(0, value.bit_length() - 128)
        found.append(value)
    mask = (1 << 64) - 1
    return np.array([v >> 64 for v in found], np.uint64), np.array([v & mask for v in found], np.uint64)


_POWERS = HIGHEST - LOWEST + 1
_TABLE = np.concatenate([*_powers(), (10.0 ** np.arange(23)).view(np.uint64), 10 ** np.arange(9, dtype=np.uint64)])
"""Powers of five, upper and lower halves; powers of ten as doubles, then as numbers. Read at addresses, as the text is:
numba counts references to an array wherever it is handed on."""
_LOWER, _TENS, _SHIFTS = 8 * _POWERS, 8 * 2 * _POWERS, 8 * (2 * _POWERS + 23)


@intrinsic
def _byte(typing: Any, at: Any) -> Any:
    """The byte at an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        return builder.zext(builder.load(place), ir.IntType(64))

    return types.intp(types.intp), generate


@intrinsic
def _word(typing: Any, at: Any) -> Any:
    """The eight bytes from an address on, the first one lowest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(builder.inttoptr(args[0], ir.IntType(64).as_pointer()), align=1)

    return types.uint64(types.intp), generate


@intrinsic
def _leading_zeros(typing: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


@intrinsic
def _trailing_zeros(typing: Any, number: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.intp(types.uint64), generate


@intrinsic
def _product(typing: Any, one: Any, other: Any) -> Any:
    """The upper and the lower 64 bits of a product."""
    result = types.UniTuple(types.uint64, 2)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide, word = ir.IntType(128), ir.IntType(64)
        whole = builder.mul(*(builder.zext(arg, wide) for arg in args))
        upper = builder.trunc(builder.lshr(whole, ir.Constant(wide, 64)), word)
        return context.make_tuple(builder, result, [upper, builder.trunc(whole, word)])

    return result(types.uint64, types.uint64), generate


@intrinsic
def _as_double(typing: Any, bits: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.uint64), generate


@njit(inline="always")
def _exactly(digits, power, table):
    """digits × 10^power rounded to the nearest double, digits > 0; NaN where that is not certain."""
    one = np.uint64(1)
    shift = _leading_zeros(digits)
    number, place = digits << shift, table + 8 * (power - LOWEST)
    high, low = _product(number, _word(place))
    if high & np.uint64(0x1FF) == np.uint64(0x1FF):
        more, _ = _product(number, _word(place + _LOWER))
        low += more
        if more > low:
            high += one
    if low == ~np.uint64(0) and not -27 <= power <= 55:
        return np.nan
    top = high >> np.uint64(63)
    mantissa = high >> (top + np.uint64(9))
    exponent = (((152170 + 65536) * power) >> 16) + 63 + np.int64(top) - np.int64(shift) + 1023
    if exponent <= 0 or exponent >= 0x7FF - 1:
        return np.nan
    if low <= one and -4 <= power <= 23 and mantissa & np.uint64(3) == one and mantissa << (top + np.uint64(9)) == high:
        mantissa &= ~one
    mantissa += mantissa & one
    mantissa >>= one
    if mantissa >= one << np.uint64(53):
        mantissa = one << np.uint64(52)
        exponent += 1
    mantissa &= ~(one << np.uint64(52))
    return _as_double(mantissa | np.uint64(exponent) << np.uint64(52))


@njit(inline="always")
def _spaces(at):
    """The next place with no white space."""
    while _byte(at) <= _SPACE:
        if _byte(at) not in (_SPACE, _TAB, _LINE, _RETURN):
            break
        at += 1
    return at


@njit(inline="always")
def _stands(at, begin, end):
    """Whether the bytes from `begin` to `end` are those from `at` on."""
    while end - begin >= 8:
        if _word(at) != _word(begin):
            return False
        at += 8
        begin += 8
    mask = (np.uint64(1) << np.uint64(8 * (end - begin))) - np.uint64(1)
    return (_word(at) ^ _word(begin)) & mask == np.uint64(0)


@njit(inline="always")
def _digits(at, before, table):
    """The digits from a place on, behind those `before`, as a number; and the place behind them."""
    while True:
        word = _word(at)
        other = ((word + _ABOVE) | (word - _ZEROS)) & _TOPS  # a top bit is set first where the first other byte is
        count = _trailing_zeros(other) >> 3
        if count == 0:
            return before, at
        word = (word - _ZEROS) << np.uint64(64 - 8 * count)
        word = word * np.uint64(10) + (word >> np.uint64(8))
        high = (word & _PAIRS) * np.uint64(0x000F424000000064)
        low = (word >> np.uint64(16) & _PAIRS) * np.uint64(0x0000271000000001)
        before = before * _word(table + _SHIFTS + 8 * count) + ((high + low) >> np.uint64(32))
        at += count
        if count < 8:
            return before, at


@njit(inline="always")
def _number(at, table):
    """The number at a place of the text, and the place behind it: NONE where there is none that is read here."""
    negative = _byte(at) == _MINUS
    if negative:
        at += 1
    first = at
    digits, at = _digits(at, np.uint64(0), table)
    count, power = at - first, 0
    if count == 0 or (count > 1 and _byte(first) == _ZERO):
        return np.nan, NONE
    if _byte(at) == _POINT:
        begin = at + 1
        digits, at = _digits(begin, digits, table)
        power = begin - at
        if power == 0:
            return np.nan, NONE
        count -= power
    if count > DIGITS:
        leading = first  # zeros before the first other digit are none
        while _byte(leading) == _ZERO or _byte(leading) == _POINT:
            count -= _byte(leading) == _ZERO
            leading += 1
        if count > DIGITS:
            return np.nan, NONE
    if _byte(at) | 0x20 == _E:
        at += 1
        below = _byte(at) == _MINUS
        if below or _byte(at) == _PLUS:
            at += 1
        begin = at
        told, at = _digits(at, np.uint64(0), table)
        if at == begin or at > begin + 5:
            return np.nan, NONE
        power += -np.intp(told) if below else np.intp(told)
    if digits < np.uint64(1) << np.uint64(53) and -22 <= power <= 22:
        value = np.float64(digits)
        if power < 0:
            value /= _as_double(_word(table + _TENS - 8 * power))
        elif power > 0:
            value *= _as_double(_word(table + _TENS + 8 * power))
    elif digits == np.uint64(0):
        value = 0.0
    elif power < LOWEST or power > HIGHEST:
        return np.nan, NONE
    else:
        value = _exactly(digits, power, table)
        if np.isnan(value):
            return np.nan, NONE
    return -value if negative else value, at


@njit(
    [types.intp[:](_TEXT, types.intp[:], _TEXT, types.intp[:])],
    nogil=True,
    cache=True,
)
def which(text, starts, words, ends):
    """Return by text, NUL behind each, which of the words its `form` is: NONE where that is not found.

    text, words: as in `skim`.
    """
    found = np.full(len(starts), NONE, np.intp)
    base, first = np.intp(text.ctypes.data), np.intp(words.ctypes.data)
    for r in range(len(starts)):
        at = base + starts[r]
        while _byte(at) != _NUL:
            if _word(at) & _SEVEN == _FORM:
                at = _spaces(at + 7)
                begin = first
                for j in range(len(ends)):
                    if _stands(at, begin, first + ends[j]):
                        found[r] = j
                    begin = first + ends[j]
                break
            at += 1
    return found


@njit(
    [
        types.void(
            _TEXT, types.intp[:], _TEXT, types.intp[:], types.Array(types.float64, 2, "C"), types.intp[:],
            types.Array(types.intp, 2, "C"), types.uint64[:],
        )
    ],
    nogil=True,
    cache=True,
)  # fmt: skip
def _skim(text, starts, names, ends, out, rows, places, tables):
    table = np.intp(tables.ctypes.data)
    width, base, first = len(ends), np.intp(text.ctypes.data), np.intp(names.ctypes.data)
    for r in range(len(starts)):
        at, places[r, 0] = base + starts[r], NONE
        while _byte(at) != _NUL and not (_word(at) == _VALUES and _byte(at + 8) == _COLON):
            at += 1
        if _byte(at) == _NUL:
            continue
        at = _spaces(at + 9)
        begin, row, name, named = at, rows[r], 0, first
        if _byte(at) != _OPEN:
            continue
        at = _spaces(at + 1)
        closed = _byte(at) == _CLOSE
        while not closed:
            while name < width and not _stands(at, named, first + ends[name]):
                out[row, name] = np.nan
                named = first + ends[name]
                name += 1
            if name == width:
                break
            at = _spaces(at + first + ends[name] - named)
            if _byte(at) != _COLON:
                break
            at = _spaces(at + 1)
            if _word(at) & _FOUR == _NULL:
                value, at = np.nan, at + 4
            else:
                value, at = _number(at, table)
                if at == NONE:
                    break
            out[row, name] = value
            named = first + ends[name]
            name += 1
            at = _spaces(at)
            if _byte(at) == _COMMA:
                at = _spaces(at + 1)
                if _byte(at) != _QUOTE:
                    break
            elif _byte(at) == _CLOSE:
                closed = True
            else:
                break
        if closed:
            out[row, name:] = np.nan
            places[r, 0], places[r, 1] = begin - base, at + 1 - base


def skim(
    text: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.intp],
    names: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.intp],
    out: npt.NDArray[np.float64],
    rows: npt.NDArray[np.intp],
) -> npt.NDArray[np.intp]:
    """Read the object `values` of texts into rows of `out`, NaN for a null or a name that is left out.

    text: texts one behind the other, `starts` their first places; behind each stands a NUL, and behind the last as many
    as the longest name has bytes, and 24. Name j stands in `names`, with its quotes, before ends[j]; behind the last
    are eight bytes more.
    Returns the place of each object's first byte and that behind its last; NONE first where it is not read here. The
    interpreter is free meanwhile.
    """
    places = np.empty((len(starts), 2), np.intp)
    _skim(text, starts, names, ends, out, rows, places, _TABLE)
    return places
