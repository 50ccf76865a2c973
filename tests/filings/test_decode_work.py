"""How much Python decoding takes, counted: so that a value never costs a call, and an Arrow filing hardly one."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from guanlan.synthetic import wide_filings
from rules.catalogue import parse_catalogues
from streams.decode import Decoder
from streams.encodings import Encoding

BATCH = 200
MOST = {Encoding.JSON: (18, 39), Encoding.ARRAY: (24, 25), Encoding.ARROW: (13, 15)}
"""Calls a filing of 200 and of 2,000 values, of Python and of C from Python: a sixth more than were counted."""


def calls(encoding: Encoding, width: int) -> float:
    """Return calls a filing of so many values, layouts and times known."""
    wide = wide_filings(institutions=BATCH, indicators=width, filings=BATCH)
    records = list(wide.records(encoding))
    decoder = Decoder(parse_catalogues([(wide.catalogue, "wide")]))
    arguments = ([r.value for r in records], [r.key.encode() for r in records], [encoding.headers] * BATCH)
    decoder.decode(*arguments)
    count = 0

    def counting(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counting)
    try:
        decoded = decoder.decode(*arguments)
    finally:
        sys.setprofile(None)
    assert len(decoded.forms[0]) == BATCH
    return count / BATCH


@pytest.mark.parametrize("encoding", Encoding)
def test_calls_a_filing_are_few_and_do_not_grow_with_its_values(encoding: Encoding) -> None:
    """Ten times the values take hardly more calls: names of long filings are probed, ranges checked in chunks."""
    for width, most in zip((200, 2_000), MOST[encoding], strict=True):
        assert calls(encoding, width) <= most
