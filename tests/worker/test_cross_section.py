"""Records of the topic between the agents: what can't be taken goes aside, counted and logged, and is never lost."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.problems import InputError
from streams.cross_section import Slice, decode_slice
from tests.worker.memory import opened, system, take
from tests.worker.test_system_side import CODES, balances, record

GOOD = balances()[0].value or b""
PART = decode_slice(GOOD)


def changed(**fields: object) -> bytes:
    """Return the record's value with other fields."""
    return msgspec.msgpack.encode([fields.get(name, getattr(PART, name)) for name in PART.__struct_fields__])


BAD = {
    "nothing": (None, "wrong_shape"),
    "no MessagePack": (b"\xc1", "wrong_shape"),
    "bytes that end early": (GOOD[:-3], "wrong_shape"),
    "another kind of record": (msgspec.msgpack.encode({"form": "x"}), "wrong_shape"),
    "text that is no UTF-8": (GOOD.replace(b"CN001", b"CN\xff01"), "wrong_shape"),
    "a column that is too short": (changed(as_of=PART.as_of[:-8]), "wrong_shape"),
    "values of fewer indicators": (changed(values=PART.values[:-8]), "wrong_shape"),
    "a form that is in no catalogue": (changed(form="cn.gone.q"), "unknown_form"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_record_that_can_t_be_taken_goes_aside_alone(what: str, caplog: pytest.LogCaptureFixture) -> None:
    """With its bytes, a reason and where it stood; what came with it is taken."""
    value, reason = BAD[what]
    side = asyncio.run(opened(system()))
    bad = record("cross-section", value, 7)  # type: ignore[arg-type]
    with caplog.at_level(logging.ERROR):
        effects = take(side, [bad, *balances()])
    assert effects.rejected == {reason: 1}
    (post,) = [post for post in effects.posts if post.topic == "rejected"]
    headers = dict(post.headers)
    assert (post.value, headers["topic"], headers["offset"]) == (value, b"cross-section", b"7")
    assert side.book.levels(CODES[0])
    assert ("record 7 of cross-section" in caplog.text) == (reason == "wrong_shape")


def test_columns_of_institutions_that_nobody_knows_are_kept_aside() -> None:
    """Those that are known are taken."""
    side = asyncio.run(opened(system()))
    codes = ["NOBODY", *CODES[1:]]
    effects = take(side, [record("cross-section", changed(codes=codes), 7)])
    assert effects.rejected == {"unknown_institution": 1}
    assert b"NOBODY" in dict(effects.posts[0].headers)["detail"]
    assert side.book.levels(CODES[1])


@given(st.binary(max_size=200) | st.integers(0, len(GOOD)).map(lambda cut: GOOD[:cut] + GOOD[cut + 1 :]))
def test_any_bytes_are_a_slice_or_are_said_not_to_be(value: bytes) -> None:
    """Nothing else is raised, and what is a slice can be taken."""
    try:
        part = decode_slice(value)
    except InputError:
        return
    assert isinstance(part, Slice)
    n = len(part.codes)
    assert len(part.values) == 8 * n * len(part.indicators)
