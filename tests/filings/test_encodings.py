"""One corpus in three encodings: JSON by name, form-ordered array, Arrow. What is said decides, not how."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guanlan.synthetic import wide_filings
from rules.catalogue import parse_catalogues
from streams.arrow import write
from streams.columns import Decoded
from streams.decode import Decoder
from streams.encode import encode_filing, recode
from streams.encodings import Encoding, encoding_of, form_version
from streams.wire import LATEST_REVISION, Filing, Reason
from tests.examples import at_least
from tests.filings.test_decode import CATALOGUE, LIMIT, filing, wire

FORM = "t.liquidity.d"
NAMES = CATALOGUE.reported(FORM)
VERSION = form_version(FORM, NAMES)
ORDERED = (Encoding.ARRAY, Encoding.ARROW)
DECODER = Decoder(CATALOGUE, max_bytes=LIMIT)


def row(data: dict[str, Any]) -> list[Any]:
    """Return a filing's values in the order of the form."""
    return [data["values"].get(name) for name in NAMES]


def by_name(data: dict[str, Any]) -> bytes:
    """Return a filing as JSON by name, whatever is wrong with it."""
    return wire(data)


def as_array(data: dict[str, Any]) -> bytes:
    """Return a filing as form-ordered array, whatever is wrong with it."""
    return wire({"version": VERSION, **data, **({"values": row(data)} if "values" in data else {})})


def as_arrow(data: dict[str, Any]) -> bytes:
    """Return a filing as Arrow stream, whatever is wrong with it."""
    told = {"version": VERSION, **data}
    values = row(told) if "values" in told else None
    told.pop("values", None)
    texts = {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in told.items()}
    if values is None:
        return stream(texts, {})
    return stream(texts, {"values": pa.array([None if v is None else float(v) for v in values], pa.float64())})


def stream(metadata: dict[Any, Any], columns: dict[str, Any], batches: int = 1, **options: Any) -> bytes:
    """Return an Arrow stream of these columns."""
    schema = pa.schema([(name, column.type) for name, column in columns.items()], metadata=metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for _ in range(batches):
            writer.write_batch(pa.record_batch(list(columns.values()), schema=schema))
    return bytes(sink.getvalue().to_pybytes())


WRITERS: dict[Encoding, Callable[[dict[str, Any]], bytes]] = {
    Encoding.JSON: by_name,
    Encoding.ARRAY: as_array,
    Encoding.ARROW: as_arrow,
}


def accepted(decoded: Decoded) -> dict[int, tuple[Any, ...]]:
    """Return what was accepted, by position."""
    return {
        int(c.index[i]): (
            c.form,
            c.institutions[i],
            int(c.as_of[i]),
            int(c.submitted_at[i]),
            int(c.revision[i]),
            *["missing" if np.isnan(v) else v for v in c.values[:, i].tolist()],
        )
        for c in decoded.forms
        for i in range(len(c))
    }


def judge(decoder: Decoder, encoding: Encoding, batch: list[bytes | None]) -> Decoded:
    """Decode a batch of one encoding."""
    return decoder.decode(batch, headers=[encoding.headers] * len(batch))


CORPUS: list[tuple[str, dict[str, Any], Reason | None]] = [
    ("good", {}, None),
    ("good, everything", {"revision": 3, "meta": {"by": ["me", 1, None]}, "values": dict.fromkeys(NAMES, 1)}, None),
    ("good, other names", {"institution": "中国银行", "as_of": "2026-03-31T00:00:00+08:00"}, None),
    ("all missing", {"values": {}}, Reason.EMPTY),
    ("good, large", {"values": {"total_deposits": 2**64 + 1, "ratio.of-what?": -1.7e308}}, None),
    ("good, small", {"values": {"lcr": 5e-324, "ratio.of-what?": -0.0}}, None),
    ("null in the name", {"institution": "null"}, None),
    ("null in meta", {"meta": {"null": None, "values": [1, 2, 3]}}, None),
    ("no institution", {"institution": ...}, Reason.WRONG_SHAPE),
    ("no form", {"form": ...}, Reason.WRONG_SHAPE),
    ("no values", {"values": ...}, Reason.WRONG_SHAPE),
    ("no submission", {"submitted_at": ...}, Reason.WRONG_SHAPE),
    ("extra field", {"valeu": "1"}, Reason.WRONG_SHAPE),
    ("code empty", {"institution": ""}, Reason.WRONG_SHAPE),
    ("code long", {"institution": "x" * 65}, Reason.WRONG_SHAPE),
    ("revision negative", {"revision": -1}, Reason.WRONG_SHAPE),
    ("revision huge", {"revision": LATEST_REVISION + 1}, Reason.WRONG_SHAPE),
    ("revision true", {"revision": True}, Reason.WRONG_SHAPE),
    ("revision a float", {"revision": 1.0}, Reason.WRONG_SHAPE),
    ("revision a text", {"revision": "one"}, Reason.WRONG_SHAPE),
    ("date wrong", {"as_of": "31/03/2026"}, Reason.WRONG_SHAPE),
    ("no such day", {"as_of": "2026-02-30"}, Reason.WRONG_SHAPE),
    ("midnight in Shanghai", {"as_of": "2026-03-31T00:00:00+08:00"}, None),
    ("midnight in New York", {"as_of": "2026-03-31T00:00:00-04:00"}, None),
    ("midnight UTC", {"as_of": "2026-03-31T00:00:00Z"}, None),
    ("an instant", {"as_of": "2026-03-31T12:00:00Z"}, Reason.WRONG_SHAPE),
    ("a moment after midnight", {"as_of": "2026-03-31T00:00:00.5Z"}, Reason.WRONG_SHAPE),
    ("local time", {"submitted_at": "2026-04-01T08:00:00"}, Reason.WRONG_SHAPE),
    ("meta a list", {"meta": [1]}, Reason.WRONG_SHAPE),
    ("meta not finite", {"meta": {"a": float("nan")}}, Reason.NOT_FINITE),
    ("meta deep", {"meta": json.loads('{"a":' * 800 + "{}" + "}" * 800)}, None),
    ("future", {"as_of": "2026-06-30"}, Reason.AS_OF_IN_FUTURE),
    ("form unknown", {"form": "t.liquidity.w"}, Reason.UNKNOWN_FORM),
    ("form of others", {"form": "measures.system"}, Reason.UNKNOWN_FORM),
    ("NaN", {"values": {"lcr": float("nan")}}, Reason.NOT_FINITE),
    ("NaN beside nulls", {"values": {"ratio.of-what?": float("nan")}}, Reason.NOT_FINITE),
    ("infinite", {"values": {"total_deposits": float("inf")}}, Reason.NOT_FINITE),
    ("infinite where nothing is bounded", {"values": {"ratio.of-what?": float("-inf")}}, Reason.NOT_FINITE),
    ("too high", {"values": {"lcr": 132}}, Reason.OUT_OF_RANGE),
    ("too low", {"values": {"total_deposits": -1}}, Reason.OUT_OF_RANGE),
    ("too long", {"meta": {"a": "x" * LIMIT}}, Reason.TOO_LARGE),
]


@pytest.mark.parametrize("encoding", Encoding)
def test_the_corpus_has_one_fate_in_every_encoding(encoding: Encoding) -> None:
    """Alone and together, at first sight and at the second, each filing has its fate; the good agree with JSON."""
    whole = [filing(**changes) for _, changes, _ in CORPUS]
    expected = {i: reason for i, (_, _, reason) in enumerate(CORPUS) if reason is not None}
    batch = [WRITERS[encoding](data) for data in whole]
    reference = accepted(DECODER.decode([by_name(data) for data in whole]))
    decoder = Decoder(CATALOGUE, max_bytes=LIMIT)
    for _ in range(2):
        decoded = judge(decoder, encoding, batch)
        assert {r.position: r.reason for r in decoded.rejected} == expected
        assert accepted(decoded) == reference
    for position, record in enumerate(batch):
        alone = judge(Decoder(CATALOGUE, max_bytes=LIMIT), encoding, [record])
        assert [r.reason for r in alone.rejected] == [r for i, r in expected.items() if i == position]
        assert accepted(alone).get(0) == reference.get(position)


numbers = st.one_of(st.none(), st.floats(), st.floats(0, 20), st.integers(-5, 10**20))
texts = st.one_of(st.sampled_from(["CN001", "CN0002", "银行", "null"]), st.text(max_size=70))
days = st.one_of(
    st.sampled_from(
        ["2026-03-31", "2026-03-30", "2026-04-01T08:00:00Z", "2026-03-31T00:00:00+08:00", "2026-02-30", ""]
    ),
    texts,
)
told = st.fixed_dictionaries(
    {"values": st.dictionaries(st.sampled_from(NAMES), numbers)},
    optional={
        "institution": texts,
        "as_of": days,
        "submitted_at": days,
        "revision": st.integers(-1, 2**32),
        "meta": st.dictionaries(st.text(max_size=3), st.one_of(st.none(), st.integers(), st.text(max_size=3))),
        "form": st.sampled_from([FORM, "t.liquidity.w"]),
    },
).filter(lambda changes: all("\x00" not in v for v in changes.values() if isinstance(v, str)))


@given(st.lists(told, max_size=6))
@at_least(150)
def test_every_encoding_says_the_same(changes: list[dict[str, Any]]) -> None:
    """Whatever a filing says, three encodings give one result; also when Arrow's layouts are known."""
    whole = [filing(**c) for c in changes]
    results = [judge(DECODER, encoding, [write_(data) for data in whole]) for encoding, write_ in WRITERS.items()]
    results.append(judge(DECODER, Encoding.ARROW, [as_arrow(data) for data in whole]))
    assert all(accepted(result) == accepted(results[0]) for result in results)
    reasons = [[r[:2] for r in result.rejected] for result in results]
    assert all(found == reasons[0] for found in reasons)


@given(st.lists(told, max_size=6))
@at_least(100)
def test_what_is_recoded_says_what_it_said(changes: list[dict[str, Any]]) -> None:
    """`guanlan submit --encoding` changes nothing of a good filing: not its head, not its numbers."""
    records = [by_name(filing(**c)) for c in changes]
    reference = accepted(DECODER.decode(records))
    for encoding in ORDERED:
        batch = [recode(records[i], NAMES, encoding) if i in reference else None for i in range(len(records))]
        assert accepted(judge(DECODER, encoding, batch)) == reference
    assert all(recode(record, NAMES, Encoding.JSON) is record for record in records)


def test_encodings_mix_in_one_batch() -> None:
    """Each record is read by its own header; columns come in the order of arrival, keys are compared in all."""
    told = [filing(institution=f"B{i % 7}", values={"lcr": i / 10, "total_deposits": i or None}) for i in range(90)]
    kinds = [list(Encoding)[i % 3] for i in range(90)]
    batch = [WRITERS[kind](data) for kind, data in zip(kinds, told, strict=True)]
    keys = [b"B1" if i == 40 else data["institution"].encode() for i, data in enumerate(told)]
    decoded = DECODER.decode(batch, keys, [kind.headers for kind in kinds])
    (columns,) = decoded.forms
    assert [(r.position, r.reason) for r in decoded.rejected] == [(40, Reason.WRONG_SHAPE)]
    order = [i for i in range(90) if i != 40]
    assert columns.index.tolist() == order
    assert columns.institutions == [told[i]["institution"] for i in order]
    np.testing.assert_array_equal(columns.values[0], np.array(order) / 10)
    np.testing.assert_array_equal(columns.values[1], [i or np.nan for i in order])


def test_a_filing_for_another_version_is_refused_by_both_names() -> None:
    """The order of values belongs to a version: written for another, they are not read at all."""
    for encoding in ORDERED:
        record = WRITERS[encoding](filing(version="0badc0de"))
        (refused,) = judge(DECODER, encoding, [record]).rejected
        assert refused.reason == Reason.WRONG_VERSION
        assert "'0badc0de'" in refused.detail
        assert f"'{VERSION}'" in refused.detail


def test_the_version_follows_the_order_of_the_form() -> None:
    """A catalogue that adds, drops or moves an indicator has another version; filings of the old one are refused."""
    lines = [f"  - {{id: x{i}, form: f, unit: ratio}}" for i in range(3)]
    head = ["catalogue: c", "forms: [{id: f, frequency: daily}]", "indicators:"]
    versions = set()
    for order in ((0, 1, 2), (1, 0, 2), (0, 1)):
        catalogue = parse_catalogues([("\n".join([*head, *(lines[i] for i in order)]), "c.yaml")])
        versions.add(form_version("f", catalogue.reported("f")))
    assert len(versions) == 3


ARRAYS: list[tuple[str, bytes, Reason, str]] = [
    ("too few", as_array(filing()).replace(b"[1.32, ", b"["), Reason.WRONG_SHAPE, "has 2 entries"),
    ("too many", as_array(filing()).replace(b"[1.32, ", b"[1, 1.32, "), Reason.WRONG_SHAPE, "form t.liquidity.d has 3"),
    ("an object", wire(filing(version=VERSION)), Reason.WRONG_SHAPE, "must be a list of numbers, not an object"),
    ("a text in it", as_array(filing(values={"lcr": "1"})), Reason.WRONG_SHAPE, "lcr must be a number or null"),
    ("true in it", as_array(filing(values={"lcr": True})), Reason.WRONG_SHAPE, "not true or false"),
    ("nested", as_array(filing(values={"lcr": [1, 2, 3]})), Reason.WRONG_SHAPE, "lcr must be a number or null"),
    ("nested whole", as_array(filing()).replace(b"[", b"[[").replace(b"]", b"]]"), Reason.WRONG_SHAPE, "has 1 entries"),
    ("no version", by_name(filing(values=[1, 2, 3])), Reason.WRONG_SHAPE, "has no 'version'"),
    ("version a number", as_array(filing(version=1)), Reason.WRONG_SHAPE, "'version' must be a text"),
    ("a comma too many", as_array(filing()).replace(b"]", b",]"), Reason.NOT_JSON, "at character"),
    ("nul", as_array(filing()).replace(b"null]", b"nul]"), Reason.NOT_JSON, "at character"),
    ("1e999", as_array(filing()).replace(b"1.32", b"1e999"), Reason.NOT_FINITE, "values[0] is not a finite number"),
    ("values in meta", wire(filing(version=VERSION, values=7, meta={"values": [1, 2, 3]})), Reason.WRONG_SHAPE, "list"),
    ("Arrow", as_arrow(filing()), Reason.NOT_JSON, "UTF-8"),
]
ONE = {"values": pa.array([1.0, None, None], pa.float64())}
HEAD = {k: v for k, v in filing(version=VERSION).items() if k != "values"}
ARROWS: list[tuple[str, bytes, Reason, str]] = [
    ("JSON", as_array(filing()), Reason.NOT_ARROW, "no Arrow stream"),
    ("empty", b"", Reason.NOT_ARROW, "ends before"),
    ("torn", stream(HEAD, ONE)[:-40], Reason.NOT_ARROW, "no Arrow stream"),
    ("a tail", stream(HEAD, ONE) + b"tail", Reason.WRONG_SHAPE, "behind the end"),
    ("two batches", stream(HEAD, ONE, batches=2), Reason.WRONG_SHAPE, "more than one record batch"),
    ("no batch", stream(HEAD, ONE, batches=0), Reason.NOT_ARROW, "ends before its record batch"),
    ("no column", stream(HEAD, {}), Reason.WRONG_SHAPE, "columns (none)"),
    ("two columns", stream(HEAD, {**ONE, "more": ONE["values"]}), Reason.WRONG_SHAPE, "more: double"),
    ("another name", stream(HEAD, {"value": ONE["values"]}), Reason.WRONG_SHAPE, "value: double"),
    ("float32", stream(HEAD, {"values": pa.array([1.0], pa.float32())}), Reason.WRONG_SHAPE, "values: float"),
    ("texts", stream(HEAD, {"values": pa.array(["1"])}), Reason.WRONG_SHAPE, "values: string"),
    ("too few", stream(HEAD, {"values": ONE["values"][:2]}), Reason.WRONG_SHAPE, "has 2 entries"),
    ("compressed", stream(HEAD, {"values": pa.array([1.0] * 3)}, compression="zstd"), Reason.WRONG_SHAPE, "compressed"),
    ("no metadata", stream({}, ONE), Reason.WRONG_SHAPE, "has no 'institution'"),
    ("metadata not UTF-8", stream({**HEAD, "institution": b"\xff"}, ONE), Reason.NOT_ARROW, "no Arrow stream"),
    ("values twice", stream({**HEAD, "values": "1"}, ONE), Reason.WRONG_SHAPE, "can't stand in the metadata"),
    ("revision 01", stream({**HEAD, "revision": "01"}, ONE), Reason.WRONG_SHAPE, "'revision' must be a whole number"),
    ("meta no JSON", stream({**HEAD, "meta": "{"}, ONE), Reason.NOT_JSON, "at character"),
]


@pytest.mark.parametrize(
    ("encoding", "record", "reason", "words"),
    [pytest.param(Encoding.ARRAY, *r[1:], id=f"array: {r[0]}") for r in ARRAYS]
    + [pytest.param(Encoding.ARROW, *r[1:], id=f"arrow: {r[0]}") for r in ARROWS],
)
def test_faults_of_an_encoding_have_their_reasons(
    encoding: Encoding, record: bytes, reason: Reason, words: str
) -> None:
    """What only one encoding can get wrong is refused with a code and a sentence, beside good filings."""
    good = WRITERS[encoding](filing())
    decoded = judge(DECODER, encoding, [good, record, good])
    assert [(r.position, r.reason, words in r.detail) for r in decoded.rejected] == [(1, reason, True)], decoded
    assert list(accepted(decoded)) == [0, 2]


@given(st.data())
@at_least(150)
def test_spoiled_streams_are_read_as_pyarrow_reads_them(data: st.DataObject) -> None:
    """A stream with some bytes changed has the same fate whether its layout was known or not, in any company."""
    base = [as_arrow(filing(institution=code, values=values)) for code in ("CN001", "CN02") for values in SOME]
    batch = []
    for _ in range(data.draw(st.integers(1, 4))):
        record = bytearray(data.draw(st.sampled_from(base)))
        for _ in range(data.draw(st.integers(0, 2))):
            at = data.draw(st.integers(0, len(record) - 1))
            record[at] = data.draw(st.one_of(st.integers(0, 255), st.just(record[at] ^ 1)))
        batch.append(bytes(record[: data.draw(st.sampled_from([None, -8, 16]))]))
    together = judge(KNOWING, Encoding.ARROW, [*base, *batch, *base])
    refused = {r.position: r.reason for r in together.rejected}
    assert Reason.INTERNAL not in refused.values()
    for position, record in enumerate(batch, len(base)):
        alone = judge(Decoder(CATALOGUE, max_bytes=LIMIT), Encoding.ARROW, [record])
        assert accepted(alone).get(0) == accepted(together).get(position)
        assert [r.reason for r in alone.rejected] == ([refused[position]] if position in refused else [])


SOME: list[dict[str, float | None]] = [{"lcr": 1.5, "total_deposits": 2.0, "ratio.of-what?": 3.0}, {"lcr": 1.5}, {}]
KNOWING = Decoder(CATALOGUE, max_bytes=LIMIT)


scalars = st.one_of(numbers, st.booleans(), st.text(max_size=3), st.sampled_from([VERSION, FORM, "CN001"]))
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
arrays = st.builds(
    lambda values, changes: wire({**filing(version=VERSION, values=values), **changes}),
    st.one_of(st.lists(numbers, min_size=3, max_size=3), st.lists(trees, max_size=4), trees),
    st.dictionaries(st.sampled_from(["institution", "form", "version", "revision", "meta", "more"]), trees, max_size=1),
)
spoiled = st.builds(
    lambda record, at, some: record[: at % len(record)] + some + record[at % len(record) + len(some) :],
    arrays,
    st.integers(0, 500),
    st.one_of(st.sampled_from([b"[", b"]", b",", b"null", b'"', b" "]), st.binary(max_size=2)),
)


@given(st.lists(st.one_of(st.none(), st.binary(max_size=60), arrays, spoiled), max_size=6))
@at_least(150)
def test_arrays_are_read_the_same_with_simdjson_and_without(batch: list[bytes | None]) -> None:
    """Where there is no simdjson the same records are accepted, with the same values, and refused alike."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.by_form.Parser", None)
        plain = judge(Decoder(CATALOGUE, max_bytes=LIMIT), Encoding.ARRAY, batch)
    fast = judge(DECODER, Encoding.ARRAY, batch)
    assert accepted(plain) == accepted(fast)
    assert plain.rejected == fast.rejected
    assert all(r.reason != Reason.INTERNAL for r in fast.rejected)
    assert sorted([*accepted(fast), *(r.position for r in fast.rejected)]) == list(range(len(batch)))


columns = st.one_of(
    st.lists(numbers.filter(lambda n: not isinstance(n, int)), max_size=4).map(lambda v: pa.array(v, pa.float64())),
    st.lists(st.integers(0, 9) | st.none(), max_size=4).map(lambda v: pa.array(v, pa.int64())),
    st.lists(st.text(max_size=3), max_size=4).map(pa.array),
    st.integers(0, 10**6).map(pa.nulls),
    st.lists(st.text(max_size=3), min_size=1, max_size=4).map(lambda v: pa.array(v).dictionary_encode()),
    st.lists(st.lists(st.floats()), max_size=3).map(lambda v: pa.array(v, pa.list_(pa.float64()))),
)
streams = st.builds(
    lambda metadata, column, name, batches, options: stream(
        {k: v for k, v in {**HEAD, **metadata}.items() if v is not None}, {name: column}, batches, **options
    ),
    st.dictionaries(st.sampled_from([*HEAD, "revision", "meta", "more", "pandas"]), st.none() | st.text(), max_size=2),
    columns,
    st.sampled_from(["values", "values", "other"]),
    st.sampled_from([1, 1, 1, 0, 2]),
    st.sampled_from([{}, {}, {"compression": "lz4"}, {"metadata_version": pa.ipc.MetadataVersion.V4}]),
)


@given(st.lists(st.one_of(st.none(), st.binary(max_size=99), streams), max_size=5))
@at_least(200)
def test_any_stream_is_accepted_or_refused(batch: list[bytes | None]) -> None:
    """Arrow streams of any kind are accounted for once, without a failure of ours."""
    decoded = judge(DECODER, Encoding.ARROW, batch)
    assert sorted([*accepted(decoded), *(r.position for r in decoded.rejected)]) == list(range(len(batch)))
    assert all(r.reason != Reason.INTERNAL for r in decoded.rejected), decoded.rejected


def test_wide_filings_agree_over_many_records() -> None:
    """Filings of 200 values, some missing, give the same columns in all encodings, first and second time."""
    wide = wide_filings(institutions=12, indicators=200, filings=60)
    records = list(wide.records())
    decoder = Decoder(parse_catalogues([(wide.catalogue, "wide")]))
    reference = decoder.decode([r.value for r in records]).forms[0]
    keys = [r.key.encode() for r in records]
    for encoding in ORDERED:
        batch = [recode(r.value, wide.indicators, encoding) for r in records]
        for _ in range(2):
            decoded = decoder.decode(batch, keys, [encoding.headers] * len(batch))
            (columns,) = decoded.forms
            assert decoded.rejected == []
            assert columns.institutions == reference.institutions
            np.testing.assert_array_equal(columns.values, reference.values)


def test_pandas_and_plain_pyarrow_read_what_we_write_and_we_read_theirs() -> None:
    """An Arrow filing is a table to others; one written by pandas, with pandas' own metadata, is a filing to us."""
    told = Filing("CN001", FORM, "2026-03-31", "2026-04-01", {"lcr": 1.5, "total_deposits": None}, 2)
    record = encode_filing(told, NAMES, Encoding.ARROW)
    table = pa.ipc.open_stream(record).read_all()
    assert {k.decode(): v.decode() for k, v in table.schema.metadata.items()} == {
        "institution": "CN001",
        "form": FORM,
        "version": VERSION,
        "as_of": "2026-03-31",
        "submitted_at": "2026-04-01",
        "revision": "2",
    }
    frame = table.to_pandas()
    np.testing.assert_array_equal(frame["values"], [1.5, np.nan, np.nan])
    theirs = pa.Table.from_pandas(frame, preserve_index=False)
    theirs = theirs.replace_schema_metadata({**theirs.schema.metadata, **table.schema.metadata})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, theirs.schema) as writer:
        writer.write_table(theirs)
    again = judge(DECODER, Encoding.ARROW, [sink.getvalue().to_pybytes(), record] * 3)
    assert len(set(accepted(again).values())) == 1
    assert again.rejected == []
    assert b"pandas" in theirs.schema.metadata


def test_numbers_under_nulls_are_not_looked_at() -> None:
    """A null is missing whatever its bytes are: numpy's NaN under a mask is one of pandas' ways to write it."""
    masked = pa.array(np.array([1.5, np.nan, np.inf]), mask=np.array([False, True, True]))
    record = write({**HEAD}, masked)
    decoded = judge(DECODER, Encoding.ARROW, [record, stream(HEAD, {"values": masked}), record])
    assert [values[5:] for values in accepted(decoded).values()] == [(1.5, "missing", "missing")] * 3


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], Encoding.JSON),
        ([("traceparent", b"1")], Encoding.JSON),
        ([("content-type", b"application/json; charset=utf-8")], Encoding.JSON),
        ([("Content-Type", b"Application/vnd.apache.arrow.stream")], Encoding.ARROW),
        ([("content-type", b"text/csv"), ("content-type", b"application/vnd.guanlan.array+json")], Encoding.ARRAY),
        ([("content-type", b"")], None),
        ([("content-type", b"application/vnd.apache.arrow.file")], None),
    ],
)
def test_the_header_tells_the_encoding(headers: list[tuple[str, bytes]], expected: Encoding | None) -> None:
    """In any case, with parameters, the last of several; none means JSON by name, another is not guessed."""
    assert encoding_of(headers) == expected
