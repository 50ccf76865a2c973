"""Nulls among numbers of a JSON text, read as a number that nobody sends.

Numbers go from JSON to an array at the speed of C only if every value is one. So in a text with nulls each `null`
becomes `STAND_IN`, and where that number comes out the value is missing. It is drawn anew in every process, so
that no sender can know it; texts in which it may have replaced part of a string are the caller's to look at.
"""

from __future__ import annotations

import secrets

import numpy as np
import numpy.typing as npt

_FEW = 64

STAND_IN_TEXT = f"-1.{secrets.randbelow(9 * 10**14) + 10**14}7e-290"
STAND_IN = float(STAND_IN_TEXT)
_TEXT = STAND_IN_TEXT.encode()


def without_nulls(text: bytes) -> bytes:
    """Return the text with every `null` replaced by the stand-in; the very same object if there is none."""
    found = _places(text)
    if not found:
        return text
    if len(found) > _FEW:
        return text.replace(b"null", _TEXT)
    pieces, begin = [], 0
    for at in found:
        pieces.append(text[begin:at])
        begin = at + 4
    pieces.append(text[begin:])
    return _TEXT.join(pieces)


def _places(text: bytes) -> list[int]:
    if text.find(b"n") < 0:
        return []
    each = np.frombuffer(text, dtype=np.uint8)
    found = each[:-3] == ord("n")
    found &= each[1:-2] == ord("u")
    found &= each[2:-1] == ord("l")
    found &= each[3:] == ord("l")
    places: list[int] = np.flatnonzero(found).tolist()
    return places


def put_missing(values: npt.NDArray[np.float64]) -> None:
    """Replace the stand-in by NaN, in place."""
    values[values == STAND_IN] = np.nan
