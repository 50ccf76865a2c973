"""The columnar decoder: what it accepts, why it refuses, and that nothing gets past or stops it."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.catalogue import load_catalogue, parse_catalogues
from streams.columns import Decoded
from streams.decode import Decoder
from streams.exposures import decode_exposures
from streams.wire import Reason, to_seconds
from tests.examples import at_least

CATALOGUE = parse_catalogues(
    [
        (
            """
catalogue: test
currency: CNY
forms:
  - {id: t.liquidity.d, frequency: daily}
  - {id: t.capital.q, frequency: quarterly}
  - {id: t.empty.q, frequency: quarterly}
indicators:
  - {id: lcr, form: t.liquidity.d, unit: ratio, range: [0, 20]}
  - {id: total_deposits, form: t.liquidity.d, unit: currency, range: [0, null]}
  - {id: ratio.of-what?, form: t.liquidity.d, unit: ratio}
  - {id: cet1_ratio, form: t.capital.q, unit: ratio, range: [-1, 1]}
  - {id: half_lcr, unit: ratio, formula: lcr / 2}
""",
            "test.yaml",
        )
    ]
)
LIMIT = 100_000
DECODER = Decoder(CATALOGUE, max_bytes=LIMIT)


def filing(**changes: Any) -> dict[str, Any]:
    """Return a good filing with some fields changed; `...` removes one."""
    good = {
        "institution": "CN001",
        "form": "t.liquidity.d",
        "as_of": "2026-03-31",
        "submitted_at": "2026-04-01T08:00:00Z",
        "values": {"lcr": 1.32},
    }
    return {k: v for k, v in (good | changes).items() if v is not ...}


def wire(data: Any) -> bytes:
    """Return `data` as JSON; NaN and infinities become the tokens that JSON does not have."""
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")


def test_a_batch_becomes_columns_by_form() -> None:
    """Each form's filings stand in one set of columns, values in the form's order, NaN where nothing was told."""
    batch = [
        wire(filing(values={"total_deposits": 5, "lcr": None}, revision=2)),
        b"not json",
        wire(filing(form="t.capital.q", institution="CN002", values={"cet1_ratio": 0.12})),
        wire(filing(institution="CN003", values={"ratio.of-what?": -1.5, "lcr": 1}, meta={"by": "me"})),
        wire(filing(form="t.empty.q", values={})),
    ]
    decoded = DECODER.decode(batch)
    liquidity, capital = decoded.forms
    assert [c.form for c in decoded.forms] == ["t.liquidity.d", "t.capital.q"]
    assert liquidity.institutions == ["CN001", "CN003"]
    assert liquidity.index.tolist() == [0, 3]
    assert liquidity.revision.tolist() == [2, 0]
    assert liquidity.as_of.tolist() == [to_seconds("2026-03-31")] * 2
    assert liquidity.submitted_at.tolist() == [to_seconds("2026-04-01T08:00:00Z")] * 2
    np.testing.assert_array_equal(liquidity.values, [[np.nan, 1], [5, np.nan], [np.nan, -1.5]])
    np.testing.assert_array_equal(capital.values, [[0.12]])
    assert [(r.position, r.reason) for r in decoded.rejected] == [(1, Reason.NOT_JSON), (4, Reason.EMPTY)]
    dtypes = (liquidity.as_of.dtype, liquidity.revision.dtype, liquidity.index.dtype, liquidity.values.dtype)
    assert dtypes == (np.int64, np.int32, np.int64, np.float64)


REFUSED: list[tuple[str, bytes | None, Reason, str]] = [
    ("tombstone", None, Reason.WRONG_SHAPE, "no value"),
    ("empty", b"", Reason.NOT_JSON, "empty"),
    ("blank", b" \n", Reason.NOT_JSON, "empty"),
    ("not utf-8", b'{"institution": "\xff"}', Reason.NOT_JSON, "byte 17 is not UTF-8"),
    ("truncated", wire(filing())[:-1], Reason.NOT_JSON, "at character"),
    ("trailing", wire(filing()) + b" x", Reason.NOT_JSON, "extra data"),
    ("byte order mark", b"\xef\xbb\xbf{}", Reason.NOT_JSON, "BOM"),
    ("half a surrogate", wire(filing(institution="\ud800")), Reason.NOT_JSON, "not UTF-8"),
    (
        "half a surrogate, escaped",
        wire(filing(institution="A")).replace(b'"A"', b'"\\ud800"'),
        Reason.NOT_JSON,
        "surrog",
    ),
    ("a list", b"[]", Reason.WRONG_SHAPE, "is an object, not a list"),
    ("null", b"null", Reason.WRONG_SHAPE, "not null"),
    ("deep list", b"[" * 50_000, Reason.WRONG_SHAPE, "deeply"),
    ("deep before the form", b'{"values":' * 10_000, Reason.WRONG_SHAPE, "deeply"),
    (
        "deep meta",
        wire(filing(meta={"a": 0})).replace(b"0}}", b"[" * 9999 + b"]" * 9999 + b"}}"),
        Reason.WRONG_SHAPE,
        "deeply",
    ),
    ("too large", b" " * (LIMIT + 1), Reason.TOO_LARGE, "100,001 bytes; the limit is 100,000"),
    ("no value", wire(filing(values={})), Reason.EMPTY, "no value at all"),
    ("nulls alone", wire(filing(values={"lcr": None, "total_deposits": None})), Reason.EMPTY, "no value at all"),
    ("no values", wire(filing(values=...)), Reason.WRONG_SHAPE, "has no 'values'"),
    ("extra field", wire(filing(valeus={})), Reason.WRONG_SHAPE, "did you mean 'values'"),
    ("values a list", wire(filing(values=[1])), Reason.WRONG_SHAPE, "'values' must be an object"),
    ("meta a list", wire(filing(meta=[])), Reason.WRONG_SHAPE, "'meta' must be an object"),
    ("code a number", wire(filing(institution=7)), Reason.WRONG_SHAPE, "1 to 64 characters, not a number"),
    ("code empty", wire(filing(institution="")), Reason.WRONG_SHAPE, "one of 0 characters"),
    ("code long", wire(filing(institution="x" * 65)), Reason.WRONG_SHAPE, "one of 65 characters"),
    ("revision negative", wire(filing(revision=-1)), Reason.WRONG_SHAPE, "'revision' must be"),
    ("revision huge", wire(filing(revision=2**31)), Reason.WRONG_SHAPE, "'revision' must be"),
    ("revision true", wire(filing(revision=True)), Reason.WRONG_SHAPE, "'revision' must be"),
    ("revision a float", wire(filing(revision=1.0)), Reason.WRONG_SHAPE, "'revision' must be"),
    ("date wrong", wire(filing(as_of="31/03/2026")), Reason.WRONG_SHAPE, "'as_of' is '31/03/2026'"),
    ("no such day", wire(filing(as_of="2026-02-30")), Reason.WRONG_SHAPE, "no such day"),
    ("date a number", wire(filing(submitted_at=1)), Reason.WRONG_SHAPE, "'submitted_at' must be a text"),
    ("future", wire(filing(as_of="2026-04-03")), Reason.AS_OF_IN_FUTURE, "'as_of' is 2026-04-03"),
    ("form unknown", wire(filing(form="t.liquidity.w")), Reason.UNKNOWN_FORM, "did you mean 't.liquidity.d'"),
    ("form null", wire(filing(form=None)), Reason.WRONG_SHAPE, "'form' must be a text, not null"),
    ("indicator unknown", wire(filing(values={"lrc": 1})), Reason.UNKNOWN_INDICATOR, "did you mean 'lcr'"),
    (
        "indicator elsewhere",
        wire(filing(values={"cet1_ratio": 1})),
        Reason.UNKNOWN_INDICATOR,
        "belongs to form t.capital.q",
    ),
    ("indicator derived", wire(filing(values={"half_lcr": 1})), Reason.UNKNOWN_INDICATOR, "derived"),
    (
        "value a text",
        wire(filing(values={"lcr": "1.3"})),
        Reason.WRONG_SHAPE,
        "lcr must be a number or null, not a text",
    ),
    ("value true", wire(filing(values={"lcr": True})), Reason.WRONG_SHAPE, "not true or false"),
    ("value an object", wire(filing(values={"lcr": {}})), Reason.WRONG_SHAPE, "not an object"),
    ("NaN", wire(filing(values={"lcr": float("nan")})), Reason.NOT_FINITE, "values.lcr is not a finite number"),
    ("Infinity", wire(filing(values={"lcr": float("inf")})), Reason.NOT_FINITE, "values.lcr"),
    ("-Infinity", wire(filing(values={"lcr": float("-inf")})), Reason.NOT_FINITE, "values.lcr"),
    ("1e999", wire(filing()).replace(b"1.32", b"1e999"), Reason.NOT_FINITE, "values.lcr"),
    ("400 digits", wire(filing()).replace(b"1.32", b"9" * 400), Reason.NOT_FINITE, "values.lcr"),
    ("5,000 digits", wire(filing()).replace(b"1.32", b"9" * 5000), Reason.NOT_FINITE, "values.lcr"),
    ("NaN in meta", wire(filing(meta={"a": [float("nan")]})), Reason.NOT_FINITE, "meta.a[0]"),
    (
        "too high",
        wire(filing(values={"lcr": 132})),
        Reason.OUT_OF_RANGE,
        "lcr is 132, outside [0, 20]; ratios are fractions, 132 % is 1.32",
    ),
    (
        "too low",
        wire(filing(values={"total_deposits": -1})),
        Reason.OUT_OF_RANGE,
        "total_deposits is -1, outside [0, ∞]",
    ),
    ("form twice", wire(filing())[:-1] + b', "form": "t.capital.q"}', Reason.WRONG_SHAPE, "'form' stands twice"),
]


@pytest.mark.parametrize(("record", "reason", "words"), [pytest.param(*r[1:], id=r[0]) for r in REFUSED])
def test_each_fault_has_its_reason(record: bytes | None, reason: Reason, words: str) -> None:
    """A bad record is refused with the code of its fault and a sentence that names it."""
    (refused,) = DECODER.decode([record]).rejected
    assert (refused.reason, words in refused.detail) == (reason, True), refused
    assert "\n" not in refused.detail
    assert len(refused.detail) < 400


def test_bad_records_do_not_touch_their_neighbours() -> None:
    """In one batch with every fault there is, the good filings come out as if they were alone."""
    good = wire(filing())
    batch: list[bytes | None] = []
    for _, record, _, _ in REFUSED:
        batch += [record, good]
    decoded = DECODER.decode(batch)
    assert [r.position for r in decoded.rejected] == list(range(0, len(batch), 2))
    assert [r.reason for r in decoded.rejected] == [reason for _, _, reason, _ in REFUSED]
    (columns,) = decoded.forms
    assert columns.index.tolist() == list(range(1, len(batch), 2))
    np.testing.assert_array_equal(columns.values[0], 1.32)


def test_columns_stay_right_over_many_blocks() -> None:
    """A batch much larger than one block keeps each value with its filing, with nulls and without."""
    n = 40_000
    batch = [
        wire(filing(institution=f"B{i}", values={"lcr": i % 20, "total_deposits": None if i % 7 == 0 else i}))
        for i in range(n)
    ]
    (columns,) = DECODER.decode(batch).forms
    order = np.arange(n)
    np.testing.assert_array_equal(columns.values[0], order % 20)
    np.testing.assert_array_equal(columns.values[1], np.where(order % 7 == 0, np.nan, order))
    assert columns.institutions[-1] == f"B{n - 1}"


def test_a_catalogue_without_forms_refuses_by_form() -> None:
    """With no form in the catalogue every filing is of an unknown form, and nothing breaks."""
    decoder = Decoder(parse_catalogues([("catalogue: none", "none.yaml")]))
    assert [r.reason for r in decoder.decode([wire(filing()), b"{}"]).rejected] == [
        Reason.UNKNOWN_FORM,
        Reason.WRONG_SHAPE,
    ]


def test_nobody_files_measures() -> None:
    """What the system agent computes can't be forged by a filing, though the catalogue has it as a form."""
    decoder = Decoder(load_catalogue(["cn"]))
    forged = filing(form="measures.institution", values={"debtrank_impact": 0.0})
    sneaked = filing(form="cn.liquidity.d", values={"debtrank_impact": 0.0})
    assert [(r.reason, r.detail) for r in decoder.decode([wire(forged), wire(sneaked)]).rejected] == [
        (Reason.UNKNOWN_FORM, "there is no form 'measures.institution' to file"),
        (Reason.UNKNOWN_INDICATOR, "debtrank_impact is a measure, not filed"),
    ]


def test_a_key_must_be_the_institution() -> None:
    """A filing under another institution's key, or none, is refused; without keys it is not looked at."""
    record = wire(filing())
    decoded = DECODER.decode([record] * 3, keys=[b"CN001", b"CN002", None])
    assert [r.position for r in decoded.rejected] == [1, 2]
    assert decoded.rejected[0].detail == "the record has the key 'CN002'; it must be the institution, 'CN001'"


def test_an_encoding_that_is_not_known_is_refused_by_name() -> None:
    """The content type in the headers decides; JSON needs none, and what nobody reads is refused."""
    record = wire(filing())
    headers = [(), [("content-type", b"application/json")], [("content-type", b"text/csv")], [("traceparent", b"x")]]
    decoded = DECODER.decode([record] * 4, headers=headers)
    assert [(r.position, r.reason) for r in decoded.rejected] == [(2, Reason.UNKNOWN_ENCODING)]
    assert "'text/csv'" in decoded.rejected[0].detail


def test_classify_says_nothing_of_a_good_filing() -> None:
    """`classify` gives None for a good filing and the rejection otherwise."""
    assert DECODER.classify(wire(filing())) is None
    rejection = DECODER.classify(wire(filing(form="zzz")))
    assert rejection is not None
    assert rejection.reason == Reason.UNKNOWN_FORM


numbers = st.one_of(st.floats(), st.integers(-(10**400), 10**400), st.sampled_from([1.3, 0, None, True, "1"]))
names = st.sampled_from(
    [
        "institution",
        "form",
        "as_of",
        "submitted_at",
        "values",
        "revision",
        "meta",
        "lcr",
        "total_deposits",
        "cet1_ratio",
    ]
)
leaves = st.one_of(
    numbers,
    st.text(max_size=8),
    st.sampled_from(["t.liquidity.d", "t.capital.q", "2026-03-31", "2026-04-01T08:00:00Z", "CN001", "\ud800"]),
)
trees = st.recursive(
    leaves,
    lambda children: st.one_of(
        st.lists(children, max_size=3), st.dictionaries(st.one_of(names, st.text(max_size=3)), children, max_size=4)
    ),
    max_leaves=12,
)
nearly = st.builds(
    lambda changes: filing(**changes),
    st.dictionaries(names, st.one_of(st.just(...), trees), max_size=2),
)
values = st.dictionaries(st.sampled_from(["lcr", "total_deposits", "ratio.of-what?"]), numbers, max_size=3)
nearly_good = st.builds(lambda v: filing(values=v), values)
good = st.builds(
    lambda lcr, day: filing(values={"lcr": lcr}, as_of=f"2026-03-{day:02}"),
    st.floats(0, 20) | st.none(),
    st.integers(1, 31),
)
documents = st.one_of(trees, nearly, nearly_good, good).map(wire)
torn = st.builds(lambda record, cut: record[:cut], documents, st.integers(0, 200))
spoiled = st.builds(
    lambda record, at, byte: record[: at % len(record)] + byte + record[at % len(record) + 1 :],
    documents.filter(len),
    st.integers(0, 500),
    st.binary(min_size=1, max_size=1),
)
records = st.one_of(st.none(), st.binary(max_size=60), documents, torn, spoiled)


def _accepted(decoded: Decoded) -> dict[int, tuple[Any, ...]]:
    return {
        int(c.index[i]): (
            c.form,
            c.institutions[i],
            int(c.as_of[i]),
            int(c.submitted_at[i]),
            int(c.revision[i]),
            c.values[:, i].tobytes(),
        )
        for c in decoded.forms
        for i in range(len(c))
    }


@given(st.lists(records, max_size=8))
@at_least(400)
def test_whatever_arrives_is_accepted_or_refused_and_alone_as_in_a_batch(batch: list[bytes | None]) -> None:
    """Each index is accepted or refused, never both, never neither, and its neighbours make no difference."""
    together = DECODER.decode(batch)
    accepted = _accepted(together)
    refused = {r.position: r[1:] for r in together.rejected}
    assert sorted([*accepted, *refused]) == list(range(len(batch)))
    assert all(reason != Reason.INTERNAL for reason, _ in refused.values())
    for columns in together.forms:
        assert not np.isinf(columns.values).any()
    for index, record in enumerate(batch):
        alone = DECODER.decode([record])
        assert _accepted(alone).get(0) == accepted.get(index)
        assert [r[1:] for r in alone.rejected] == ([refused[index]] if index in refused else [])


@given(st.lists(records, max_size=8), st.booleans())
@at_least(400)
def test_all_ways_of_reading_agree(batch: list[bytes | None], shuffled: bool) -> None:
    """Short and long, in order and shuffled: the same records are accepted, with the same values, and refused."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.by_name._LONG_BYTES", -1)
        patch.setattr("streams.by_name.ByName._out_of_order", lambda reader, record: shuffled)
        as_long = DECODER.decode(batch)
    as_short = DECODER.decode(batch)
    assert _accepted(as_long) == _accepted(as_short)
    assert [r[:2] for r in as_long.rejected] == [r[:2] for r in as_short.rejected]


@given(st.randoms(use_true_random=False), st.integers(0, 3))
@settings(max_examples=20)
def test_the_order_of_names_makes_no_difference(random: Random, strangers: int) -> None:
    """A long filing gives the same columns in any order of its names, and an unknown name is found in any."""
    names = [f"n{i}" for i in range(900)]
    indicators = "".join(f"  - {{id: {name}, form: long, unit: ratio}}\n" for name in names)
    text = f"catalogue: long\nforms:\n  - {{id: long, frequency: daily}}\nindicators:\n{indicators}"
    decoder = Decoder(parse_catalogues([(text, "long.yaml")]))
    told = {name: None if i % 50 == 0 else i / 7 for i, name in enumerate(names)}
    shuffled = list({**told, **{f"stranger{i}": 1.0 for i in range(strangers)}}.items())
    random.shuffle(shuffled)
    decoded = decoder.decode([wire(filing(form="long", values=v)) for v in (told, dict(shuffled))])
    assert len(wire(shuffled)) > 10_000
    if strangers:
        assert [(r.position, r.reason) for r in decoded.rejected] == [(1, Reason.UNKNOWN_INDICATOR)]
    else:
        values = decoded.forms[0].values
        np.testing.assert_array_equal(values[:, 0], values[:, 1])


@given(st.dictionaries(st.sampled_from(["lcr", "total_deposits", "ratio.of-what?"]), st.floats(0, 20) | st.none()))
def test_numbers_arrive_exactly(told: dict[str, float | None]) -> None:
    """A value is the very double that was written; one that was null or left out is NaN."""
    decoded = DECODER.decode([wire(filing(values=told))])
    if all(value is None for value in told.values()):
        assert [r.reason for r in decoded.rejected] == [Reason.EMPTY]
        return
    (columns,) = decoded.forms
    found = dict(zip(CATALOGUE.reported("t.liquidity.d"), columns.values[:, 0].tolist(), strict=True))
    for name, value in found.items():
        expected = told.get(name)
        assert np.isnan(value) if expected is None else value == expected


def exposures(**changes: Any) -> dict[str, Any]:
    """Return a good exposure report with some fields changed."""
    good = {
        "institution": "CN001",
        "as_of": "2026-03-31",
        "submitted_at": "2026-04-01",
        "exposures": [{"counterparty": "CN002", "amount": 1e9, "instrument": "interbank_loan"}],
    }
    return {k: v for k, v in (good | changes).items() if v is not ...}


@pytest.mark.parametrize(
    ("record", "reason", "words"),
    [
        (None, Reason.WRONG_SHAPE, "no value"),
        (b"{", Reason.NOT_JSON, "at character"),
        (wire(exposures(exposures=...)), Reason.WRONG_SHAPE, "has no 'exposures'"),
        (wire(exposures(exposures={})), Reason.WRONG_SHAPE, "must be a list"),
        (wire(exposures(exposures=[1])), Reason.WRONG_SHAPE, "exposures[0] must be an object"),
        (wire(exposures(exposures=[{"counterparty": "A"}])), Reason.WRONG_SHAPE, "has no 'amount'"),
        (
            wire(exposures(exposures=[{"counterparty": "A", "amount": 1, "amuont": 1}])),
            Reason.WRONG_SHAPE,
            "did you mean 'amount'",
        ),
        (wire(exposures(exposures=[{"counterparty": "A", "amount": -1}])), Reason.OUT_OF_RANGE, "negative"),
        (wire(exposures(exposures=[{"counterparty": "A", "amount": "1"}])), Reason.WRONG_SHAPE, "a number"),
        (wire(exposures(exposures=[{"counterparty": "A", "amount": float("nan")}])), Reason.NOT_FINITE, "amount"),
        (wire(exposures(exposures=[{"counterparty": "CN001", "amount": 1}])), Reason.WRONG_SHAPE, "itself"),
        (wire(exposures(borrowings=[{"counterparty": "CN001", "amount": 1}])), Reason.WRONG_SHAPE, "borrowings[0]"),
        (wire(exposures(borrowings={})), Reason.WRONG_SHAPE, "'borrowings' must be a list"),
        (wire(exposures(services=[{"provider": "P"}])), Reason.WRONG_SHAPE, "services[0] has no 'share'"),
        (wire(exposures(services=[{"provider": "P", "share": 40}])), Reason.OUT_OF_RANGE, "services[0].share is 40"),
        (
            wire(exposures(services=[{"provider": "P", "share": 0.4, "substitutable": 2}])),
            Reason.OUT_OF_RANGE,
            "services[0].substitutable is 2",
        ),
        (
            wire(exposures(services=[{"provider": "P", "share": 0.4, "relies_on": [{"provider": "Q"}]}])),
            Reason.WRONG_SHAPE,
            "services[0].relies_on[0] has no 'share'",
        ),
        (
            wire(exposures(services=[{"provider": "P", "share": 0.4, "relies_on": {}}])),
            Reason.WRONG_SHAPE,
            "services[0].relies_on must be a list",
        ),
        (wire(exposures(as_of="2027-03-31")), Reason.AS_OF_IN_FUTURE, "2027"),
    ],
)
def test_exposure_reports_are_refused_with_a_reason(record: bytes | None, reason: Reason, words: str) -> None:
    """A bad exposure report is refused like a bad filing; the good one beside it is kept."""
    accepted, rejected = decode_exposures([record, wire(exposures())])
    assert [position for position, _ in accepted] == [1]
    assert accepted[0][1].exposures[0].amount == 1e9
    assert [(r.position, r.reason, words in r.detail) for r in rejected] == [(0, reason, True)]


@given(st.lists(records, max_size=5))
@settings(deadline=None)
def test_exposures_are_accepted_or_refused_whatever_arrives(batch: list[bytes | None]) -> None:
    """Random records never raise, and each is accounted for once."""
    accepted, rejected = decode_exposures(batch)
    assert sorted([p for p, _ in accepted] + [r.position for r in rejected]) == list(range(len(batch)))
