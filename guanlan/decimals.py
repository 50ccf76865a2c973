"""Numbers in files and options, as people write them: no underscores, no infinities, nothing that overflows."""

from __future__ import annotations

import re

NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
LARGEST = 1e30
"""No amount of money comes near; sums and products of thousands of such numbers stay finite."""


def plain_number(text: str) -> float:
    """Return the number that a text is; ValueError, a clause that says why, for anything else.

    >>> plain_number(" 1.5e3 ")
    1500.0
    >>> plain_number("1_000")
    Traceback (most recent call last):
    ValueError: is '1_000', expected a number
    """
    if NUMBER.fullmatch(text.strip()) is None:
        raise ValueError(f"is {text.strip()!r}, expected a number")
    value = float(text)
    if abs(value) > LARGEST:
        raise ValueError(f"is {text.strip()}, beyond {LARGEST:g}, which no amount is")
    return value
