"""Nulls among numbers of a JSON text, read as a number that nobody sends.

Numbers go from JSON to an array at the speed of C only if every value is one. So in a text with nulls each `null`
becomes `STAND_IN`, and where that number comes out the value is missing. It is drawn anew in every process, so
that no sender can know it; texts in which it may have replaced part of a string are the caller's to look at.
"""

from __future__ import annotations

import re
import secrets

import numpy as np
import numpy.typing as npt

STAND_IN_TEXT = f"-{secrets.randbelow(9 * 10**14) + 10**14}7e-300"
STAND_IN = float(STAND_IN_TEXT)
_TEXT = STAND_IN_TEXT.encode()
_split = re.compile(rb"null").split


def without_nulls(text: bytes) -> bytes:
    """Return the text with every `null` replaced by the stand-in; the very same object if there is none."""
    pieces = _split(text)
    return text if len(pieces) == 1 else _TEXT.join(pieces)


def put_missing(values: npt.NDArray[np.float64]) -> None:
    """Replace the stand-in by NaN, in place."""
    values[values == STAND_IN] = np.nan
