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
from streams.skimming import COMPILED
from tests.parts import required

BATCH = 200
MOST = {Encoding.JSON: (18, 39), Encoding.ARRAY: (24, 25), Encoding.ARROW: (13, 15)}
"""Calls a filing of 200 and of 2,000 values, of Python and of C from Python: a sixth more than were counted."""


MOST_COMPILED = (12, 13)
"""The same of JSON by name where compiled code reads it."""


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
def test_calls_a_filing_are_few_and_do_not_grow_with_its_values(
    encoding: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten times the values take hardly more calls: names of long filings are probed, ranges checked in chunks."""
    monkeypatch.setattr(COMPILED, "found", None)
    for width, most in zip((200, 2_000), MOST[encoding], strict=True):
        assert calls(encoding, width) <= most


def test_compiled_code_takes_fewer_calls() -> None:
    """What is left for each filing is its head, however many values it has."""
    if not COMPILED.wait():
        (pytest.fail if required() else pytest.skip)("numba is not installed: pip install 'guanlan[fast]'")
    for width, most in zip((200, 2_000), MOST_COMPILED, strict=True):
        assert calls(Encoding.JSON, width) <= most
