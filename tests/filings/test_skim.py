"""Compiled code reads JSON by name as msgspec and Python's `float` do, or leaves a record to them."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import parse_catalogues
from streams import skimming
from streams.columns import FormPlan, Sorting
from streams.decode import Decoder
from streams.skimming import COMPILED, Skimming
from tests.examples import at_least
from tests.filings.test_decode import CATALOGUE, DECODER, _accepted, filing, records, wire
from tests.parts import required

PLAN = FormPlan(CATALOGUE, CATALOGUE.forms["t.capital.q"])
GOOD = wire(filing(form="t.capital.q", values={"cet1_ratio": 0.5}))


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    if not COMPILED.wait():
        (pytest.fail if required() else pytest.skip)("numba is not installed: pip install 'guanlan[fast]'")
    monkeypatch.setattr(skimming, "LEAST", 1)


def read(*numbers: str) -> list[float | None]:
    """Return what is read where these stand for a value: None where a record is left to others."""
    texts = [GOOD.replace(b"0.5", number.encode()) for number in numbers]
    batch = Sorting(len(texts), None)
    found = dict.fromkeys(range(len(texts)))
    for plan, skimmed in Skimming([PLAN]).read(range(len(texts)), texts, batch):
        found |= {index: batch.values(plan)[index, 0] for index, _ in skimmed}
    return list(found.values())


def same(one: float, other: float) -> bool:
    """Whether two doubles are the same, a zero's sign included."""
    return struct.pack("d", one) == struct.pack("d", other)


doubles = st.floats(allow_nan=False, allow_infinity=False).map(repr)
decimals = st.builds(
    lambda digits, point, power: f"{str(digits)[:point] or 0}.{str(digits)[point:] or 0}e{power}",
    st.integers(0, 10**21),
    st.integers(0, 20),
    st.integers(-340, 320),
).map(lambda text: text.lstrip("0") if text.lstrip("0")[0] != "." else "0" + text.lstrip("0"))
halves = st.builds(  # between two doubles: rounding to even decides, or the digit after the last that is looked at
    lambda mantissa, power, more: str((2 * mantissa + 1) * 2**power + more),
    st.integers(2**52, 2**53 - 1),
    st.integers(0, 9),
    st.sampled_from([-1, 0, 1]),
)
integers = st.integers(-(10**19), 10**19).map(str)


@given(st.lists(st.one_of(doubles, decimals, halves, integers), min_size=1, max_size=40))
@at_least(400)
def test_a_number_is_the_very_double_that_float_reads(numbers: list[str]) -> None:
    """Of any length and exponent, halfway cases included; or it is not read here."""
    for text, found in zip(numbers, read(*numbers), strict=True):
        assert found is None or same(found, float(text)), text


def test_usual_numbers_are_read_here() -> None:
    """What a filing has: not one of these is left to others."""
    usual = ["0", "-0", "1", "-1.5", "0.1", "1e22", "123456789012345678", "1.7976931348623157e+250", "2.5E-3"]
    usual += [repr(math.sin(n) * 10.0**power) for n in range(1, 50) for power in (-20, -3, 0, 9, 14)]
    found = read(*usual)
    assert [one is not None and same(one, float(text)) for text, one in zip(usual, found, strict=True)] == [True] * 254
    assert [np.isnan(one) for one in read("null")] == [True]


@pytest.mark.parametrize(
    "number",
    ["", "01", "-", "+1", ".5", "1.", "1.e5", "1e", "1e+", "--1", "0x1", "1_0", "NaN", "Infinity", "nul", "true", '"1"',
     "1 2", "1,", "[1]", "{}", "1e999", "12345678901234567890123", "1\0", "\0"],
)  # fmt: skip
def test_what_is_no_number_or_an_odd_one_is_left_to_others(number: str) -> None:
    """Nothing that is not JSON is taken for it."""
    assert read(number) == [None]


def both(batch: list[bytes | None]) -> tuple[object, object]:
    """Return what decoding gives with compiled code and without."""
    given_ = DECODER.decode(batch)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(COMPILED, "found", None)
        plain = DECODER.decode(batch)
    return (_accepted(given_), given_.rejected), (_accepted(plain), plain.rejected)


spaced = st.builds(
    lambda record, space: record.replace(b": ", b":" + space).replace(b", ", space + b"," + space),
    records.filter(bool),
    st.sampled_from([b"", b"  ", b"\n\t", b"\r\n", b"\x0b", b"\0"]),
)


@given(st.lists(st.one_of(records, spaced), min_size=1, max_size=12))
@at_least(600)
def test_both_ways_accept_the_same_and_refuse_the_same(batch: list[bytes | None]) -> None:
    """With the same values and the same words, whatever arrives."""
    compiled, plain = both(batch)
    assert compiled == plain


@pytest.mark.parametrize(
    "record",
    [
        b'{"meta":{"form":"t.capital.q","values":{"lcr":9}},"institution":"CN001","form":"t.liquidity.d",'
        b'"as_of":"2026-03-31","submitted_at":"2026-04-01T08:00:00Z","values":{"lcr":1}}',
        wire(filing())[:-1] + b',"values":{"lcr":2}}',
        wire(filing()).replace(b'"form"', b'"form":"t.capital.q","form"'),
        wire(filing()).replace(b'{"lcr": 1.32}', b'{"lcr":1,"lcr":2}'),
        wire(filing()).replace(b'"lcr"', b'"lc\\u0072"'),
        wire(filing()) + b"x",
        wire(filing(meta={'"values":': {}, "a": '"values":{"lcr":1}'})),
        wire(filing(values={"ratio.of-what?": 1, "lcr": 2})),
    ],
)
def test_a_record_that_only_looks_right_is_read_as_ever(record: bytes) -> None:
    """Nested and repeated keys, escapes, another order: what counts is what msgspec makes of the whole."""
    compiled, plain = both([record] * 3)
    assert compiled == plain


def test_names_of_any_length_and_alphabet_are_told_apart() -> None:
    """Names that begin alike, are longer than a word, or are not ASCII, and names that are left out."""
    names = ["a", "aa", "资本充足率", "abcdefg", "abcdefgh", "abcdefghi", "x" * 70, "x" * 71]
    indicators = "".join(f"  - {{id: {name}, form: f, unit: ratio}}\n" for name in names)
    catalogue = parse_catalogues(
        [(f"catalogue: t\nforms: [{{id: f, frequency: daily}}]\nindicators:\n{indicators}", "t")]
    )
    kept = [{name: i / 8 for i, name in enumerate(names) if not mask >> i & 1} for mask in range(255)]
    (columns,) = Decoder(catalogue).decode([wire(filing(form="f", values=told)) for told in kept]).forms
    expected = [[told.get(name, np.nan) for name in names] for told in kept]
    np.testing.assert_array_equal(columns.values.T, expected)


AS_OF = ["2026-03-31", "2026-03-31T00:00:00+08:00", "2026-04-01", "2026-03-31T12:00:00Z", "2026-03-31T00:00:00.5Z"]


@pytest.mark.parametrize("form", ["t.capital.q", "t.liquidity.d"])
@pytest.mark.parametrize("as_of", AS_OF)
def test_as_of_dates_are_read_alike(form: str, as_of: str) -> None:
    """A quarter's end, midnight of another offset, and what each form refuses."""
    values = {"cet1_ratio": 0.5} if form == "t.capital.q" else {"lcr": 0.5}
    compiled, plain = both([wire(filing(form=form, as_of=as_of, values=values))] * 3)
    assert compiled == plain
