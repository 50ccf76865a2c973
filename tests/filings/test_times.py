"""As-of dates are the dates that were written, ends of periods where the form has periods; local times are local."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guanlan.market_tables import parse_day
from rules.calendar import seconds
from rules.catalogue import parse_catalogues
from rules.periods import nearest_period_end, period_end
from streams.decode import Decoder
from streams.exposures import decode_exposures
from streams.mapping import TimeField, parse_mapping
from streams.quotes import decode_quotes
from streams.registry import read_seed
from streams.submit import filings_from, load_columns
from streams.table_times import date_reader, time_reader
from streams.wire import Reason, from_seconds

CATALOGUE = parse_catalogues(
    [
        (
            """
catalogue: test
country: CN
timezone: Asia/Shanghai
year_end: 03-31
forms:
  - {id: t.now, frequency: intraday, times: ['10:00'], deadline: 30min}
  - {id: t.day, frequency: daily}
  - {id: t.week, frequency: weekly}
  - {id: t.month, frequency: monthly}
  - {id: t.quarter, frequency: quarterly, deadline: 15bd}
  - {id: t.half, frequency: half-yearly}
  - {id: t.year, frequency: yearly}
indicators:
  - {id: now, title: {en: x}, form: t.now, unit: ratio}
  - {id: day, title: {en: x}, form: t.day, unit: ratio}
  - {id: week, title: {en: x}, form: t.week, unit: ratio}
  - {id: month, title: {en: x}, form: t.month, unit: ratio}
  - {id: quarter, title: {en: x}, form: t.quarter, unit: ratio}
  - {id: half, title: {en: x}, form: t.half, unit: ratio}
  - {id: year, title: {en: x}, form: t.year, unit: ratio}
""",
            "test.yaml",
        )
    ]
)
DECODER = Decoder(CATALOGUE)


def record(form: str, as_of: str, submitted_at: str = "2027-01-01T00:00:00Z") -> bytes:
    values = {form.removeprefix("t."): 1}
    return json.dumps(
        {"institution": "A", "form": form, "as_of": as_of, "submitted_at": submitted_at, "values": values}
    ).encode()


def as_of(form: str, text: str) -> str:
    """What the as-of becomes, or why it is refused, one filing at a time and in a batch that compiled code may read."""
    alone = DECODER.decode([record(form, text)])
    together = DECODER.decode([record(form, text)] * 9)
    assert len(together.rejected) == 9 * len(alone.rejected)
    if alone.rejected:
        assert {(r.reason, r.detail) for r in together.rejected} == {
            (alone.rejected[0].reason, alone.rejected[0].detail)
        }
        assert alone.rejected[0].reason is Reason.WRONG_SHAPE
        return alone.rejected[0].detail
    assert together.forms[0].as_of.tolist() == alone.forms[0].as_of.tolist() * 9
    return from_seconds(alone.forms[0].as_of[0])


@pytest.mark.parametrize("offset", ["Z", "+08:00", "-05:00", "+14:00"])
@pytest.mark.parametrize("form", ["t.day", "t.month", "t.quarter", "t.half", "t.year"])
def test_midnight_of_any_offset_is_its_written_date(form: str, offset: str) -> None:
    assert as_of(form, f"2026-03-31T00:00:00{offset}") == "2026-03-31" == as_of(form, "2026-03-31")


def test_another_instant_is_refused_and_an_intraday_one_is_not() -> None:
    assert as_of("t.day", "2026-03-31T12:00:00Z") == (
        "'as_of' is '2026-03-31T12:00:00Z': form t.day is daily: it must be a date, as 2026-03-31,"
        " without a time of day"
    )
    assert as_of("t.now", "2026-03-31T10:00:00+08:00") == "2026-03-31T02:00:00Z"
    assert as_of("t.now", "2026-03-31T00:00:00+08:00") == "2026-03-30T16:00:00Z"


@pytest.mark.parametrize(
    ("form", "day", "nearest"),
    [
        ("t.month", "2026-04-01", "2026-03-31"),
        ("t.month", "2026-02-27", "2026-02-28"),
        ("t.quarter", "2026-04-01", "2026-03-31"),
        ("t.quarter", "2026-03-15", "2026-03-31"),
        ("t.quarter", "2026-02-28", "2026-03-31"),
        ("t.half", "2026-06-30", "2026-03-31"),
        ("t.half", "2026-07-01", "2026-09-30"),
        ("t.year", "2025-12-31", "2026-03-31"),
    ],
)
def test_what_is_no_period_end_is_refused_with_the_nearest(form: str, day: str, nearest: str) -> None:
    """The year of this catalogue ends in March, so its halves end in September and March."""
    assert as_of(form, day).endswith(f"no period ends then; the nearest end: {nearest}")


def test_days_and_weeks_have_any_date() -> None:
    """No catalogue says on which weekday a week ends."""
    assert as_of("t.day", "2026-03-28") == "2026-03-28"
    assert as_of("t.week", "2026-04-01") == "2026-04-01"


@given(
    st.dates(datetime(1950, 1, 1).date(), datetime(2150, 1, 1).date()),
    st.sampled_from([1, 3, 6, 12]),
    st.integers(1, 12),
)
def test_the_nearest_period_end_is_one_and_none_is_nearer(day: Any, months: int, year_end: int) -> None:
    found = nearest_period_end(day, months, year_end)
    assert period_end(found, months, year_end) == found
    apart = abs((found - day).days)
    around = (day + timedelta(days=n) for n in range(1 - apart, apart))
    assert all(period_end(other, months, year_end) != other for other in around)


def test_a_year_end_that_is_no_months_end_is_told() -> None:
    from rules.problems import CatalogueError

    with pytest.raises(CatalogueError, match="'year_end' can't be '03-30'"):
        parse_catalogues([("catalogue: c\nyear_end: 03-30\nforms: []\nindicators: []\n", "c.yaml")])


def test_a_table_of_quotes_has_the_dates_that_are_written() -> None:
    """As pandas writes the midnights of New York; a time of day is no date."""
    assert parse_day("2008-09-15 00:00:00-04:00").isoformat() == "2008-09-15"
    with pytest.raises(ValueError, match="neither a date nor a quarter"):
        parse_day("2008-09-15 16:00:00-04:00")


def test_quotes_and_exposures_have_days() -> None:
    """They say how things stand on a day, whatever offset its midnight was written with."""
    quote = {"series": "MARKET", "submitted_at": "2026-04-01", "value": 1}
    report = {"institution": "A", "submitted_at": "2026-04-01", "exposures": []}
    for decode, body in ((decode_quotes, quote), (decode_exposures, report)):
        told = [{**body, "as_of": day} for day in ("2026-03-31T00:00:00+08:00", "2026-03-31T10:00:00Z")]
        good, bad = decode([json.dumps(one).encode() for one in told])  # type: ignore[operator]
        assert [position for position, _ in good] == [0]
        assert [(r.position, r.reason) for r in bad] == [(1, Reason.WRONG_SHAPE)]


def test_a_date_of_submission_is_the_days_beginning_in_the_catalogues_zone() -> None:
    """An instant needs its offset on the wire."""
    columns = DECODER.decode([record("t.day", "2026-03-31", "2026-04-01")]).forms[0]
    assert from_seconds(columns.submitted_at[0]) == "2026-03-31T16:00:00Z"
    refused = DECODER.decode([record("t.day", "2026-03-31", "2026-04-01T10:00:00")]).rejected
    assert [r.reason for r in refused] == [Reason.WRONG_SHAPE]


MAPPING = parse_mapping(
    """
mapping: m
form: t.quarter
institution: who
as_of: when
submitted_at: {column: filed, format: "%Y/%m/%d %H:%M"}
columns: {quarter: x}
""",
    "m.yaml",
)


def test_a_file_with_local_times_is_on_time(tmp_path: Path) -> None:
    """Filed on 23 April at 20:00 in Shanghai, on the day it was due."""
    path = tmp_path / "f.csv"
    path.write_text("who,when,filed,x\nA,2024-03-31,2024/4/23 20:00,1\n", encoding="utf-8")
    columns, refused = load_columns([path], MAPPING, CATALOGUE)
    assert not refused
    assert from_seconds(columns[0].submitted_at[0]) == "2024-04-23T12:00:00Z"


LOCAL = datetime(2026, 4, 1, 8, 30)


def test_parquet_and_workbooks_have_local_times_too(tmp_path: Path) -> None:
    """A timestamp without zone is local; one with a zone is its instant. Midnight of both is the date written."""
    rows = {
        "institution": "A",
        "form": "t.quarter",
        "as_of": datetime(2026, 3, 31),
        "submitted_at": LOCAL,
        "quarter": 1.0,
    }
    zoned = {
        **rows,
        "as_of": datetime(2026, 3, 31, tzinfo=timezone(timedelta(hours=8))),
        "submitted_at": LOCAL.replace(tzinfo=UTC),
    }
    for name, row in (("naive", rows), ("zoned", zoned)):
        schema = pa.schema(
            [
                ("institution", pa.string()),
                ("form", pa.string()),
                ("as_of", pa.timestamp("us", tz="+08:00" if name == "zoned" else None)),
                ("submitted_at", pa.timestamp("us", tz="UTC" if name == "zoned" else None)),
                ("quarter", pa.float64()),
            ]
        )
        pq.write_table(pa.Table.from_pylist([row], schema), tmp_path / f"{name}.parquet")
    book = openpyxl.Workbook()
    book.active.append(list(rows))  # type: ignore[union-attr]
    book.active.append(list(rows.values()))  # type: ignore[union-attr]
    book.save(tmp_path / "book.xlsx")
    told = [
        json.loads(draft.record or b"")
        for name in ("naive.parquet", "zoned.parquet", "book.xlsx")
        for draft in filings_from([tmp_path / name], None, CATALOGUE)
    ]
    assert [one["as_of"] for one in told] == ["2026-03-31"] * 3
    assert [one["submitted_at"] for one in told] == [
        "2026-04-01T00:30:00Z",
        "2026-04-01T08:30:00Z",
        "2026-04-01T00:30:00Z",
    ]


def test_a_workbooks_dates_reach_the_registry(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["code", "opened"])  # type: ignore[union-attr]
    book.active.append(["A", datetime(2023, 10, 10)])  # type: ignore[union-attr]
    book.save(tmp_path / "seed.xlsx")
    assert [i.opened for i in read_seed([tmp_path / "seed.xlsx"])] == ["2023-10-10"]


@pytest.mark.parametrize(
    ("cell", "field", "expected"),
    [
        ("2024-04-01T00:00:00+08:00", TimeField("c", end_of="month"), "2024-04-30"),
        ("2024-04-01T00:00:00+08:00", TimeField("c", end_of="quarter"), "2024-06-30"),
        ("2024-04-01", TimeField("c", end_of="year"), "2025-03-31"),
        ("2024-04-01 00:00:00", TimeField("c"), "2024-04-01"),
        (datetime(2024, 4, 15, 9), TimeField("c", end_of="month"), "2024-04-30"),
        ("2024-03-31T16:00:00Z", TimeField("c", end_of="month"), "2024-03-31T16:00:00+00:00"),
        (datetime(2024, 4, 1, 9), TimeField("c"), "2024-04-01T01:00:00Z"),
        ("1 April", TimeField("c"), "1 April"),
    ],
)
def test_dates_of_cells(cell: Any, field: TimeField, expected: str) -> None:
    """`end_of` speaks of the date that is written; what is no midnight and no date stays, to be refused."""
    assert date_reader(field, "Asia/Shanghai", 3)(cell) == expected


def test_one_instant_in_two_offsets_is_two_dates() -> None:
    read = date_reader(TimeField("c"))
    east = datetime(2024, 4, 1, tzinfo=timezone(timedelta(hours=8)))
    west = datetime(2024, 3, 31, tzinfo=timezone(timedelta(hours=-16)))
    assert east == west
    assert [read(east), read(west)] == ["2024-04-01", "2024-03-31"]


@pytest.mark.parametrize("text", ["2024-11-03 01:30:00", "2024-03-10 02:30:00"])
def test_a_local_time_that_there_is_twice_or_never_is_not_guessed(text: str) -> None:
    """New York put its clocks back on 3 November and on on 10 March 2024."""
    assert time_reader(TimeField("c"), "America/New_York")(text) == text.replace(" ", "T")
    assert time_reader(TimeField("c"), "America/New_York")("2024-11-03 12:00") == "2024-11-03T17:00:00Z"


def test_the_quarter_before_stays_missing_when_its_morrow_is_filed() -> None:
    """A 1 April on a quarterly form is no filing: it does not stand for the return of 31 March."""
    decoded = DECODER.decode([record("t.quarter", "2026-04-01"), record("t.quarter", "2026-03-31")])
    assert [columns.as_of.tolist() for columns in decoded.forms] == [[seconds(datetime(2026, 3, 31).date())]]
