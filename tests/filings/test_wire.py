"""Wire formats: times, encoding, headers, and the published schemas."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.schemas import as_text, schemas
from streams.wire import (
    DAY,
    Exposure,
    ExposureReport,
    Filing,
    OrderedFiling,
    Reason,
    Rejection,
    encode,
    from_seconds,
    read_rejection,
    rejection_headers,
    to_seconds,
)

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
FILING = Filing("CN001", "cn.liquidity.d", "2026-03-31", "2026-04-01T08:00:00Z", {"lcr": 1.32, "nsfr": None})
ORDERED = OrderedFiling("CN001", "f", "0badc0de", "2026-03-31", "2026-04-01", [1.32, None], 1, {"by": "me"})
REPORT = ExposureReport("CN001", "2026-03-31", "2026-04-01", [Exposure("CN002", 1.0e9, "interbank_loan")])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01", 0),
        ("1969-12-31", -DAY),
        ("2026-03-31", 1774915200),
        ("2026-03-31T10:15:00Z", 1774915200 + 36900),
        ("2026-03-31T10:15:00+08:00", 1774915200 + 36900 - 8 * 3600),
        ("2026-03-31T10:15:00.999999999Z", 1774915200 + 36900),
        ("1969-12-31T23:59:59.5Z", -1),
    ],
)
def test_a_time_is_read_in_utc(text: str, seconds: int) -> None:
    """A date means 00:00 UTC, an offset is honoured, and fractions are dropped towards the past."""
    assert to_seconds(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20260331",
        "2026-3-31",
        "2026-02-30",
        "2026-W01-1",
        "2026-03-31T10:15:00",
        "2026-03-31 10:15:00Z",
        "2026-03-31T24:00:00Z",
        "2026-03-31T10:15:00+25:00",
        "2026-03-31\n",
        "٢٠٢٦-٠٣-٣١",
        "0001-01-01",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    """Only the two documented forms are times: nothing is guessed."""
    with pytest.raises(ValueError, match=r"it must be|year|no such"):
        to_seconds(text)


@given(st.integers(to_seconds("1900-01-01"), to_seconds("2199-12-31")))
def test_times_survive_the_round_trip(seconds: int) -> None:
    """Writing a time and reading it gives the same second; whole days are written as dates."""
    text = from_seconds(seconds)
    assert to_seconds(text) == seconds
    assert (len(text) == 10) == (seconds % DAY == 0)


def test_the_published_schemas_are_current() -> None:
    """docs/schemas holds what the structs say; `python -m streams.schemas docs/schemas` writes it anew."""
    found = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*.json")}
    for name, schema in schemas().items():
        assert found[name] == as_text(schema)


@pytest.mark.parametrize(
    ("name", "record"), [("filing.json", FILING), ("filing-array.json", ORDERED), ("exposure.json", REPORT)]
)
def test_what_we_encode_fits_the_schema(name: str, record: Filing | OrderedFiling | ExposureReport) -> None:
    """A record written by us validates against its schema, and one with an unknown field does not."""
    data = json.loads(encode(record))
    jsonschema.validate(data, schemas()[name])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "surprise": 1}, schemas()[name])
    assert msgspec.json.decode(encode(record), type=type(record)) == record


def test_rejection_headers_hold_any_text() -> None:
    """Headers carry the reason and the place the record came from, even for text that is no valid Unicode."""
    rejection = Rejection(Reason.OUT_OF_RANGE, "资本充足率 \ud800")
    told = read_rejection(rejection_headers(rejection, "filings", 3, 42, "2026-04-01T08:00:00Z"))
    assert told == {
        "reason": "out_of_range",
        "detail": "资本充足率 \\ud800",
        "topic": "filings",
        "partition": "3",
        "offset": "42",
        "rejected_at": "2026-04-01T08:00:00Z",
    }
