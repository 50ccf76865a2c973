"""Quotes and exposure totals are accepted or refused whole, with a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.exposures import decode_exposures
from streams.quotes import decode_quotes, judge_quote
from streams.tape import OWN_SERIES
from streams.wire import Quote, Reason

GOOD = {"series": "CN001", "as_of": "2026-03-31", "submitted_at": "2026-03-31T08:00:00Z", "value": 5.0}
REPORT = {"institution": "CN001", "as_of": "2026-03-31", "submitted_at": "2026-04-01"}


def wire(body: dict[str, Any], **changes: Any) -> bytes:
    """Return a record with some fields changed; None takes a field away."""
    return json.dumps({k: v for k, v in (body | changes).items() if v is not None}).encode()


@pytest.mark.parametrize(
    ("record", "reason", "words"),
    [
        (None, Reason.WRONG_SHAPE, "no value"),
        (b"{", Reason.NOT_JSON, "character"),
        (wire(GOOD, value=None), Reason.WRONG_SHAPE, "the quote has no 'value'"),
        (wire(GOOD, series=None), Reason.WRONG_SHAPE, "has no 'series'"),
        (wire(GOOD, series=""), Reason.WRONG_SHAPE, "1 to 64 characters"),
        (wire(GOOD, value="5"), Reason.WRONG_SHAPE, "'value' must be a number, not a text"),
        (wire(GOOD, value=float("nan")), Reason.NOT_FINITE, "value"),
        (wire(GOOD, market_cap=0), Reason.OUT_OF_RANGE, "'market_cap' is 0"),
        (wire(GOOD, market_cup=1), Reason.WRONG_SHAPE, "market_cap"),
        (wire(GOOD, as_of="31.3.2026"), Reason.WRONG_SHAPE, "as_of"),
        (wire(GOOD, as_of="2026-05-31"), Reason.AS_OF_IN_FUTURE, "2026-05-31"),
        (wire(GOOD, revision=-1), Reason.WRONG_SHAPE, "revision"),
    ],
)
def test_bad_quotes_are_refused_with_a_reason(record: bytes | None, reason: Reason, words: str) -> None:
    """A bad quote is refused with one sentence; the good one beside it is kept."""
    accepted, rejected = decode_quotes([record, wire(GOOD)])
    assert [(r.position, r.reason) for r in rejected] == [(0, reason)]
    assert words in rejected[0].detail
    assert accepted[0][1].value == 5.0


@given(st.lists(st.binary(max_size=60) | st.none(), max_size=6))
def test_whatever_arrives_is_accepted_or_refused(batch: list[bytes | None]) -> None:
    accepted, rejected = decode_quotes(batch)
    assert sorted([p for p, _ in accepted] + [r.position for r in rejected]) == list(range(len(batch)))


@pytest.mark.parametrize(
    ("series", "value", "reason"),
    [
        ("CN001", 5.0, None),
        ("MARKET", 3000.0, None),
        ("CREDIT_TO_GDP", 1.5, None),
        ("spread", -0.01, None),
        ("CN001", -5.0, Reason.OUT_OF_RANGE),
        ("MARKET", 0.0, Reason.OUT_OF_RANGE),
        ("CN01", 5.0, Reason.UNKNOWN_SERIES),
    ],
)
def test_prices_are_above_zero_and_series_known(series: str, value: float, reason: Reason | None) -> None:
    found = judge_quote(Quote(series, "2026-03-31", "2026-03-31", value), {*OWN_SERIES, "spread"}, {"CN001"})
    assert (found.reason if found else None) == reason


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (wire(REPORT), "no 'exposures', nor 'totals'"),
        (wire(REPORT, totals=5), "'totals' must be an object"),
        (wire(REPORT, totals={"lent": 1.0}), "no 'borrowed'"),
        (wire(REPORT, totals={"lent": -1.0, "borrowed": 1.0}), "totals.lent is -1"),
        (wire(REPORT, totals={"lent": "1", "borrowed": 1.0}), "totals.lent must be a number"),
    ],
)
def test_bad_totals_are_refused_with_a_reason(body: bytes, words: str) -> None:
    _, rejected = decode_exposures([body])
    assert words in rejected[0].detail


def test_totals_stand_in_place_of_exposures() -> None:
    accepted, rejected = decode_exposures([wire(REPORT, totals={"lent": 1.0, "borrowed": 2.0})])
    assert rejected == []
    assert accepted[0][1].exposures is None
