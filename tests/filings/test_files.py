"""From files to filings: every format gives the same filings, and every fault of a file has its sentence."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.catalogue import parse_catalogues
from rules.problems import InputError
from streams.cells import read_number
from streams.mapping import TimeField, own_format, parse_mapping
from streams.submit import Draft, at, filings_from, in_batches, load_columns
from streams.table_times import delayed, time_reader
from streams.wire import from_seconds

CATALOGUE = parse_catalogues(
    [
        (
            """
catalogue: test
country: CN
forms:
  - {id: t.month, frequency: monthly, deadline: 10d}
  - {id: t.quarter, frequency: quarterly, deadline: 15bd}
  - {id: t.day, frequency: daily}
indicators:
  - {id: assets, form: t.month, unit: currency}
  - {id: lcr, form: t.month, unit: ratio, range: [0, 20]}
  - {id: npl, form: t.quarter, unit: ratio, range: [0, 1]}
  - {id: hours, form: t.day, unit: hours}
""",
            "test.yaml",
        )
    ]
)
HEADER = ["institution", "as_of", "submitted_at", "revision", "assets", "lcr"]
ROWS: list[list[Any]] = [
    ["CN001", "2026-01-31", "2026-02-10T08:00:00Z", 0, 1234.5, 1.25],
    ["CN002", "2026-01-31", "2026-02-09T08:00:00Z", 0, None, 0.75],
    ["CN001", "2026-01-31", "2026-02-12T08:00:00Z", 1, 1300.0, None],
]


def write_csv(path: Path) -> None:
    """Write the rows as a wide table."""
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows([HEADER, *ROWS])


def write_semicolons(path: Path) -> None:
    """Write the rows as a wide table with semicolons, as some spreadsheets do."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows([HEADER, *ROWS])


def write_gzip(path: Path) -> None:
    """Write the rows as a compressed wide table."""
    with gzip.open(path, "wt", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *ROWS])


def write_long(path: Path) -> None:
    """Write one value a row, the filings' rows not standing together."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*HEADER[:4], "indicator", "value"])
        for column in (4, 5):
            writer.writerows([*row[:4], HEADER[column], row[column]] for row in ROWS)


def write_wire(path: Path) -> None:
    """Write filings as they travel, with blank lines between."""
    lines = [
        json.dumps(
            {"form": "t.month", **dict(zip(HEADER[:4], r, strict=False)), "values": {"assets": r[4], "lcr": r[5]}}
        )
        for r in ROWS
    ]
    path.write_text("\n\n".join(lines), encoding="utf-8")


def write_flat(path: Path) -> None:
    """Write flat JSON records."""
    path.write_text("\n".join(json.dumps(dict(zip(HEADER, row, strict=True))) for row in ROWS), encoding="utf-8")


def write_parquet(path: Path) -> None:
    """Write a typed table: real dates, real times, integers and doubles."""
    columns = dict(zip(HEADER, map(list, zip(*ROWS, strict=True)), strict=True))
    columns["as_of"] = [date.fromisoformat(d) for d in columns["as_of"]]
    columns["submitted_at"] = [datetime.fromisoformat(d) for d in columns["submitted_at"]]
    pq.write_table(pa.table(columns), path)


def write_workbook(path: Path) -> None:
    """Write a workbook whose table starts below an empty row, dates as dates."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append([None])
    sheet.append(HEADER)
    for row in ROWS:
        submitted = datetime.fromisoformat(row[2]).replace(tzinfo=None)
        sheet.append([row[0], date.fromisoformat(row[1]), submitted, *row[3:]])
    book.create_sheet("notes").append(["nothing"])
    book.save(path)


FORMATS: dict[str, Callable[[Path], None]] = {
    "wide.csv": write_csv,
    "wide.tsv": write_csv,
    "semicolons.csv": write_semicolons,
    "wide.csv.gz": write_gzip,
    "long.csv": write_long,
    "wire.jsonl": write_wire,
    "flat.ndjson": write_flat,
    "typed.parquet": write_parquet,
    "book.xlsx": write_workbook,
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_filings(name: str, tmp_path: Path) -> None:
    """The same rows make the same columns whatever file they stand in, in order of submission."""
    FORMATS[name](tmp_path / name)
    (columns,), refused = load_columns([tmp_path / name], None, CATALOGUE, form="t.month")
    assert refused == []
    assert columns.institutions == ["CN002", "CN001", "CN001"]
    assert columns.index.tolist() == [0, 1, 2]
    assert columns.revision.tolist() == [0, 0, 1]
    assert {from_seconds(t) for t in columns.as_of} == {"2026-01-31"}
    assert [from_seconds(t) for t in columns.submitted_at] == [
        "2026-02-09T08:00:00Z",
        "2026-02-10T08:00:00Z",
        "2026-02-12T08:00:00Z",
    ]
    np.testing.assert_array_equal(columns.values, [[np.nan, 1234.5, 1300.0], [0.75, 1.25, np.nan]])


def drafts(path: Path, mapping: str = "", form: str = "") -> list[Draft]:
    """Return the drafts of a file, by a mapping given as text."""
    parsed = parse_mapping(mapping, "map.yaml") if mapping else None
    return list(filings_from([path], parsed, CATALOGUE, form))


def table(tmp_path: Path, text: str, name: str = "t.csv") -> Path:
    """Return a file with this text."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def told(path: Path, mapping: str = "", form: str = "") -> list[Any]:
    """Return the filings of a file as plain data."""
    return [json.loads(d.record or b"null") for d in drafts(path, mapping, form)]


FOREIGN = """
mapping: foreign
missing: [n/a, "-"]
form: t.month
institution: {column: bank, prefix: CN}
as_of: {column: month, format: "%Y/%m", end_of: month}
submitted_at: {column: sent, format: "%d.%m.%Y %H:%M", delay: 2h}
revision: rev
columns:
  assets: {from: 资产, unit: 万}
  lcr: {from: LCR, unit: percent, optional: true}
"""


def test_a_foreign_table_needs_only_a_mapping(tmp_path: Path) -> None:
    """Columns are renamed, dates parsed, units converted, and texts that mean missing are missing."""
    path = table(
        tmp_path,
        "bank,month,sent,rev,资产,LCR,remark\n"
        '7,2026/01,10.02.2026 09:30,,"1,234.56",15.26,fine\n'
        "8,2026/02,11.03.2026 10:00,2,n/a,-,\n",
    )
    assert told(path, FOREIGN) == [
        {
            "institution": "CN7",
            "form": "t.month",
            "as_of": "2026-01-31",
            "submitted_at": "2026-02-10T11:30:00Z",
            "values": {"assets": 12345600.0, "lcr": 0.1526},
        },
        {
            "institution": "CN8",
            "form": "t.month",
            "as_of": "2026-02-28",
            "revision": 2,
            "submitted_at": "2026-03-11T12:00:00Z",
            "values": {},
        },
    ]


def test_an_optional_column_may_be_absent(tmp_path: Path) -> None:
    """A column marked optional is missing everywhere when the table has none; the others must be there."""
    path = table(tmp_path, "bank,month,sent,rev,资产\n7,2026/01,10.02.2026 09:30,,1\n")
    assert told(path, FOREIGN)[0]["values"] == {"assets": 10000.0}
    path = table(tmp_path, "bank,month,sent,rev,资产额,LCR\n7,2026/01,10.02.2026 09:30,,1,2\n")
    with pytest.raises(InputError, match=r"t\.csv: has no column '资产'; did you mean '资产额'\?"):
        drafts(path, FOREIGN)


LONG = """
mapping: long
form: t.month
layout: long
institution: bank
as_of: date
submitted_at: {delay: 10d}
indicator: item
value: amount
columns:
  assets: {from: A01, unit: millions}
  lcr: {from: L07, unit: percent}
"""


def test_a_long_table_takes_the_items_it_knows(tmp_path: Path) -> None:
    """Items become indicators wherever their rows stand; items that the mapping does not name are left out."""
    path = table(
        tmp_path,
        "bank,date,item,amount\nB1,2026-01-31,A01,5\nB2,2026-01-31,A01,6\nB1,2026-01-31,L07,120\nB1,2026-01-31,X99,1\n",
    )
    assert told(path, LONG) == [
        {
            "institution": "B1",
            "form": "t.month",
            "as_of": "2026-01-31",
            "submitted_at": "2026-02-10",
            "values": {"assets": 5e6, "lcr": 1.2},
        },
        {
            "institution": "B2",
            "form": "t.month",
            "as_of": "2026-01-31",
            "submitted_at": "2026-02-10",
            "values": {"assets": 6e6},
        },
    ]


def test_a_value_told_twice_is_refused(tmp_path: Path) -> None:
    """A long table that gives an item twice does not choose: the filing is refused with both rows named."""
    path = table(tmp_path, "bank,date,item,amount\nB1,2026-01-31,A01,5\nB2,2026-01-31,A01,6\nB1,2026-01-31,A01,7\n")
    columns, refused = load_columns(
        [path], parse_mapping(LONG.replace("percent}", "percent, optional: true}"), "m"), CATALOGUE
    )
    assert [c.institutions for c in columns] == [["B2"]]
    assert [(r.row, r.reason, r.detail) for r in refused] == [
        (2, "wrong_shape", "assets stands twice for B1 at 2026-01-31 (rows 2 and 4)")
    ]


SEVERAL = """
mapping: several
forms:
  - form: t.month
    institution: bank
    as_of: date
    columns: {assets: assets}
  - form: t.quarter
    institution: bank
    as_of: date
    columns: {npl: {from: npl, unit: percent}}
"""


def test_one_table_may_feed_several_forms(tmp_path: Path) -> None:
    """Each form takes its own columns of a row; a row without any value for a form makes no filing of it."""
    path = table(tmp_path, "bank,date,assets,npl\nB1,2026-02-28,5,\nB1,2026-03-31,6,1.5\n")
    columns, refused = load_columns([path], parse_mapping(SEVERAL, "m"), CATALOGUE)
    assert refused == []
    months, quarters = columns
    assert months.index.tolist() == [0, 1]
    assert quarters.index.tolist() == [2]
    np.testing.assert_array_equal(quarters.values, [[0.015]])


def test_a_submission_time_that_is_not_told_is_the_due_day(tmp_path: Path) -> None:
    """Without a submission time a filing is on time, by the form's own deadline and the country's calendar."""
    path = table(tmp_path, "form,institution,as_of\nt.month,B,2026-01-31\nt.quarter,B,2026-03-31\nt.day,B,2026-01-31\n")
    assert [f["submitted_at"] for f in told(path)] == [
        "2026-02-10T00:00:00Z",
        "2026-04-22T00:00:00Z",
        "2026-01-31",
    ]
    frozen = filings_from([path], None, CATALOGUE, clock=at(datetime(2026, 5, 1, 12, tzinfo=UTC)))
    assert {json.loads(d.record or b"")["submitted_at"] for d in frozen} == {"2026-05-01T12:00:00Z"}
    wire = table(tmp_path, '{"institution":"B","form":"t.month","as_of":"2026-01-31","values":{}}', "t.jsonl")
    assert told(wire)[0]["submitted_at"] == "2026-02-10T00:00:00Z"


def test_a_bad_cell_is_refused_by_name_and_its_row_is_told(tmp_path: Path) -> None:
    """Nothing in a table is guessed or silently taken for missing; the good rows go on."""
    path = table(
        tmp_path,
        "institution,as_of,assets,lcr\n"
        "B1,2026-01-31,1,1\n"
        "B2,2026-01-31,abc,1\n"
        "B3,2026-01-31,NaN,1\n"
        "B4,2026-01-31,1,-inf\n"
        "B5,31.01.2026,1,1\n"
        ",2026-01-31,1,1\n"
        "B7,2026-01-31,1,115\n"
        "B8,2026-01-31,1\n"
        "B9,2026-01-31,1e400,1\n"
        "\n"
        "B10,2026-01-31,,\n",
    )
    (columns,), refused = load_columns([path], None, CATALOGUE, form="t.month")
    assert columns.institutions == ["B1"]
    assert [(r.row, str(r.reason)) for r in refused] == [
        (3, "wrong_shape"),
        (4, "not_finite"),
        (5, "not_finite"),
        (6, "wrong_shape"),
        (7, "wrong_shape"),
        (8, "out_of_range"),
        (9, "wrong_shape"),
        (10, "not_finite"),
        (12, "empty"),
    ]
    details = [r.detail for r in refused]
    assert details[0] == "assets must be a number or null, not a text"
    assert details[6] == "the row has 3 cells, the header 4"
    assert details[5].endswith("115 % is 1.15")


def test_a_bad_line_of_json_is_refused_alone(tmp_path: Path) -> None:
    """In JSON Lines each line stands for itself: bytes that are no filing are kept as they are."""
    good = '{"institution":"B","form":"t.month","as_of":"2026-01-31","submitted_at":"2026-02-01","values":{"lcr":1}}'
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"\n".join([good.encode(), b"{oops", b'{"institution": "\xff"}', good.encode()]))
    (columns,), refused = load_columns([path], None, CATALOGUE)
    assert len(columns) == 2
    assert [(r.row, str(r.reason), r.position) for r in refused] == [(2, "not_json", 1), (3, "not_json", 2)]
    assert [d.record for d in drafts(path)][1] == b"{oops"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.txt", b"", r"can't tell the format"),
        ("t.csv", b"", r"is empty"),
        ("t.csv", b"institution,as_of\n\xff\xfe,2\n", r"byte 18 is not utf-8; name the 'encoding'"),
        ("t.csv", b"institution,institution\n1,2\n", r"'institution' stands twice"),
        ("t.csv", b'institution,as_of\n"1,2\n', r"can't be read: unexpected end of data"),
        ("t.csv.gz", b"not gzip", r"can't be read: Not a gzipped file"),
        ("t.parquet", b"not parquet", r"can't be read: "),
        ("t.xlsx", b"not a workbook", r"is not an XLSX workbook"),
    ],
)
def test_an_unreadable_file_is_one_sentence(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    """A file that can't be read ends in InputError with one line that names it."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        load_columns([path], None, CATALOGUE, form="t.month")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_stops_before_anything(tmp_path: Path) -> None:
    """All files are looked for before the first is read, and a near name is offered."""
    there = table(tmp_path, "institution,as_of\nB,2026-01-31\n", "filings.csv")
    with pytest.raises(InputError, match=r"fillings\.csv'; did you mean 'filings\.csv'\?"):
        next(filings_from([there, tmp_path / "fillings.csv"], None, CATALOGUE, "t.month"))


def test_an_encoding_and_a_sheet_can_be_named(tmp_path: Path) -> None:
    """Mappings name the encoding of a text file and the sheet of a workbook."""
    head = "form: t.month\ninstitution: 机构\nas_of: 日期\ncolumns: {assets: {from: 资产, unit: 亿}}\n"
    path = tmp_path / "t.csv"
    path.write_bytes("机构,日期,资产\n甲,2026-01-31,2\n".encode("gb18030"))
    assert told(path, f"mapping: m\nencoding: gb18030\n{head}")[0]["values"] == {"assets": 2e8}
    book = openpyxl.Workbook()
    sheet = book.create_sheet("数据")
    sheet.append(["机构", "日期", "资产"])
    sheet.append([1, datetime(2026, 1, 31), 3])
    book.save(tmp_path / "t.xlsx")
    assert told(tmp_path / "t.xlsx", f"mapping: m\nsheet: 数据\n{head}")[0]["institution"] == "1"
    with pytest.raises(InputError, match="has no sheet 'data'; there are: Sheet, 数据"):
        drafts(tmp_path / "t.xlsx", f"mapping: m\nsheet: data\n{head}")


def test_a_table_must_name_its_form(tmp_path: Path) -> None:
    """Without a column, an option or a mapping, nobody knows which form a table is; an unknown one is refused."""
    path = table(tmp_path, "institution,as_of\nB,2026-01-31\n")
    with pytest.raises(InputError, match="no column 'form'"):
        drafts(path)
    with pytest.raises(InputError, match=r"no form 't\.moth' in the catalogue; did you mean 't\.month'"):
        drafts(path, form="t.moth")


def test_batches_are_bounded_and_keep_positions() -> None:
    """Drafts are cut by count, and each batch knows where it starts."""
    many = [Draft("f", i, b"x") for i in range(4_500)]
    batches = list(in_batches(many))
    assert [(b.start, len(b.drafts)) for b in batches] == [(0, 2000), (2000, 2000), (4000, 500)]
    assert list(in_batches([])) == []


@pytest.mark.parametrize(
    ("cell", "shift", "expected"),
    [
        ("15.26", -2, 0.1526),
        (14.03, -2, 0.1403),
        ("1,234.5", 3, 1234500.0),
        ("1e3", -2, 10.0),
        (Decimal("0.07"), -4, 0.000007),
        (7, 0, 7.0),
        ("0x10", 0, "0x10"),
        ("1_000", 0, "1_000"),
        ("1,23", 0, "1,23"),
        (True, 0, True),
    ],
)
def test_numbers_are_read_exactly(cell: Any, shift: int, expected: Any) -> None:
    """The decimal point moves in the text, so the double is the nearest there is; what is no number stays."""
    assert read_number(cell, shift) == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**12), max_value=10**12))
def test_a_moved_point_gives_the_nearest_double(number: Decimal) -> None:
    """Percent and thousands lose nothing: the result is the double nearest to the exact decimal."""
    for shift in (-4, -2, 3, 8):
        assert read_number(str(number), shift) == float(number.scaleb(shift))


@pytest.mark.parametrize(
    ("time", "delay", "expected"),
    [
        ("2026-03-31", "30d", "2026-04-30"),
        ("2026-03-31", "1bd", "2026-04-01"),
        ("2026-09-30", "3bd", "2026-10-10"),
        ("2026-03-31", "6h", "2026-03-31T06:00:00Z"),
        ("2026-03-31T20:00:00Z", "1d", "2026-04-01T20:00:00Z"),
        ("nonsense", "30d", "nonsense"),
    ],
)
def test_delays_count_days_hours_and_business_days(time: str, delay: str, expected: str) -> None:
    """Business days are those of the catalogue's country: after National Day week the third is Saturday the 10th, a
    make-up working day by the State Council's notice for 2026."""
    assert delayed(time, delay, "CN") == expected


@pytest.mark.parametrize(
    ("cell", "field", "expected"),
    [
        ("2026Q1", TimeField("c"), "2026Q1"),
        ("202602", TimeField("c", "%Y%m", "quarter"), "2026-03-31"),
        (202602, TimeField("c", "%Y%m", "year"), "2026-12-31"),
        (20260331.0, TimeField("c", "%Y%m%d"), "2026-03-31"),
        (datetime(2026, 3, 31, 8, 30), TimeField("c"), "2026-03-31T08:30:00Z"),
        ("2026-03-31T08:30:00+08:00", TimeField("c"), "2026-03-31T00:30:00Z"),
        ({"a": 1}, TimeField("c"), "{'a': 1}"),
    ],
)
def test_times_are_read_from_texts_numbers_and_dates(cell: Any, field: TimeField, expected: str) -> None:
    """Cells hold dates in many shapes; one that fits none comes back as its text, for the decoder to refuse."""
    assert time_reader(field)(cell) == expected


cells = st.one_of(
    st.text(max_size=6).filter(lambda t: "\r" not in t and "\n" not in t),
    st.floats().map(str),
    st.sampled_from(["", " ", "1", "2026-01-31", "NaN", "CN001", "t.month", "0"]),
)


@given(st.lists(st.lists(cells, min_size=6, max_size=6), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_is_accounted_for_row_by_row(tmp_path: Path, rows: list[list[str]]) -> None:
    """Whatever stands in the cells, each row that is not blank is accepted or refused once, and nothing is raised."""
    path = tmp_path / "random.csv"
    with path.open("w", newline="", encoding="utf-8", errors="replace") as file:
        csv.writer(file).writerows([["form", *HEADER[:3], "assets", "lcr"], *rows])
    columns, refused = load_columns([path], None, CATALOGUE)
    filled = sum(any(cell.strip() for cell in row) for row in rows)
    assert sum(map(len, columns)) + len(refused) == filled


def test_own_format_reads_our_names() -> None:
    """A table with our column names needs no mapping, wide or long."""
    assert own_format(columns=["form", "institution", "as_of"]).forms[0].layout == "wide"
    assert own_format("t.month", ["institution", "as_of", "indicator", "value"]).forms[0].layout == "long"
