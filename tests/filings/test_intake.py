"""What is taken from a file is what stands there: nothing is guessed, dropped, read twice or published in part."""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guanlan.settings import Settings
from rules.catalogue import parse_catalogues
from rules.problems import InputError
from streams.decode import Decoder
from streams.encodings import Encoding, form_version
from streams.exposures import decode_exposures
from streams.intake import take_in
from streams.limits import LIMITS, Limits
from streams.mapping import parse_mapping
from streams.parts import Parts, key_of
from streams.quotes import decode_quotes
from streams.readers import read_table
from streams.skimming import COMPILED
from streams.submit import filings_from, load_columns
from streams.wire import Reason
from tests.filings.conftest import Run

CATALOGUE = parse_catalogues(
    [
        (
            """
catalogue: test
forms:
  - {id: t.month, frequency: monthly}
  - {id: t.quarter, frequency: quarterly}
indicators:
  - {id: assets, form: t.month, unit: currency}
  - {id: lcr, form: t.month, unit: ratio, range: [0, 20]}
  - {id: npl, form: t.quarter, unit: ratio, range: [0, 1]}
""",
            "test.yaml",
        )
    ]
)
HEAD = "mapping: m\nform: t.month\ninstitution: bank\nas_of: day\n"
COLUMNS = "columns: {assets: {from: Ativo, unit: thousands}, lcr: {from: LCR, unit: percent}}\n"


def taken(path: Path | list[Path], mapping: str = "", **options: Any) -> list[dict[str, Any]]:
    """Return the accepted filings as plain data; nothing may have been refused."""
    accepted, refused = judged(path, mapping, **options)
    assert refused == []
    return accepted


def judged(path: Path | list[Path], mapping: str = "", **options: Any) -> tuple[list[Any], list[tuple[int, str, str]]]:
    """Return the accepted filings as plain data, and row, reason and detail of the refused."""
    paths = path if isinstance(path, list) else [path]
    parsed = parse_mapping(mapping, "map.yaml") if mapping else None
    drafts = filings_from(paths, parsed, CATALOGUE, "" if mapping else "t.month", **options)
    with take_in(drafts, Decoder(CATALOGUE)) as found:
        records = [json.loads(frame.record) for frame in found.frames()]
        return records, [(r.row, str(r.reason), r.detail) for r in found.refused.all()]


def values(path: Path | list[Path], mapping: str = "", **options: Any) -> list[dict[str, float]]:
    """Return the values of the accepted filings."""
    return [filing["values"] for filing in taken(path, mapping, **options)]


def write(tmp_path: Path, text: str, name: str = "f.csv") -> Path:
    """Return a file with this text."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def column(tmp_path: Path, *cells: str, delimiter: str = ";") -> Path:
    """Return a table with these cells in one column of numbers."""
    quoted = (f'"{cell}"' if delimiter in cell else cell for cell in cells)
    rows = "".join(f"B{i}{delimiter}2024-03-31{delimiter}{cell}\n" for i, cell in enumerate(quoted))
    return write(tmp_path, f"bank{delimiter}day{delimiter}assets\n{rows}")


PLAIN = HEAD + "columns: {assets: assets}\n"


# --- decimal marks


def test_a_column_that_fits_both_decimal_marks_is_refused(tmp_path: Path) -> None:
    """Column, example, both readings and the cure are named; with the mark said, each cell is what it means."""
    path = write(tmp_path, "bank;day;Ativo;LCR\nB1;2024-03-31;345,678;0,950\nB2;2024-03-31;1.999,125;132\n")
    with pytest.raises(
        InputError, match=r"column 'Ativo', row 2: '345,678' is 345678 with a decimal point and 345.678"
    ):
        judged(path, HEAD + COLUMNS)
    assert values(path, HEAD + COLUMNS + 'decimal: ","\n') == [
        {"assets": 345_678.0, "lcr": 0.0095},
        {"assets": 1_999_125.0, "lcr": 1.32},
    ]


@pytest.mark.parametrize(
    ("cells", "delimiter", "expected"),
    [
        (["1.234", "2.5"], ";", [1.234, 2.5]),
        (["1,234", "1,234.5"], ";", [1234.0, 1234.5]),
        (["345,678", "1,234,567"], ";", [345678.0, 1234567.0]),
        (["0.950", "1.234"], ";", [0.95, 1.234]),
        (["1.234", "1.345"], ",", [1.234, 1.345]),
        (["12", "1e3", "-7"], ";", [12.0, 1000.0, -7.0]),
    ],
)
def test_one_cell_that_fits_one_reading_decides_its_column(
    cells: list[str], delimiter: str, expected: list[float], tmp_path: Path
) -> None:
    """It may stand anywhere; and where commas part the cells, a point is the decimal mark."""
    for order in (1, -1):
        found = values(column(tmp_path, *cells[::order], delimiter=delimiter), PLAIN)
        assert [told["assets"] for told in found] == expected[::order]


@pytest.mark.parametrize(
    ("cells", "delimiter"),
    [
        (["1.234", "2.001"], ";"),
        (["1.234"], "\t"),
        (["345,678"], ","),
        (["345,678", "0,5"], ";"),
        (["0,950"], ";"),
        (["12,5", "0.5", "1,234"], ";"),
        (["1.234.567"], ";"),
        (["1"] * 3000 + ["1,234"], ";"),
    ],
)
def test_no_column_is_guessed(cells: list[str], delimiter: str, tmp_path: Path) -> None:
    """Without a cell that decides, or with two that decide differently, the file is refused, however late it shows."""
    with pytest.raises(InputError, match="say which is the decimal mark"):
        judged(column(tmp_path, *cells, delimiter=delimiter), PLAIN)


@pytest.mark.parametrize("name", ["f.jsonl", "f.parquet", "f.xlsx"])
def test_texts_are_numbers_by_the_same_rule_in_every_format(name: str, tmp_path: Path) -> None:
    """A number that is a text is weighed wherever it stands; a real number is not."""
    for cell, fine in (("1,234", False), ("1.5", True), (1.234, True)):
        path = tmp_path / name
        table(path, [{"bank": "B1", "day": "2024-03-31", "assets": cell}])
        if fine:
            assert values(path, PLAIN) == [{"assets": float(cell)}]
        else:
            with pytest.raises(InputError, match=r"'1,234' is 1234 with a decimal point and 1\.234"):
                judged(path, PLAIN)


@pytest.mark.parametrize(
    ("marks", "cell", "expected"),
    [
        ('decimal: ","', "1.234,5", 1234.5),
        ('decimal: ","', "0,950", 0.95),
        ('decimal: "."', "1,234", 1234.0),
        ('decimal: ","\ngrouping: space', "1 234 567,5", 1234567.5),
        ('decimal: ","\ngrouping: space', "1\u202f234,5", 1234.5),
        ('decimal: "."\ngrouping: "\'"', "1'234.5", 1234.5),
        ('decimal: "."\ngrouping: indian', "12,34,567.5", 1234567.5),
        ('decimal: ","', "0.950", None),
        ('decimal: ","', "12.34.567", None),
        ('decimal: "."', "0,950", None),
        ('decimal: "."', "12,34,567", None),
        ('decimal: "."', "1,23", None),
        ('decimal: "."', "1,2345", None),
        ('decimal: "."\ngrouping: none', "1,234", None),
        ('decimal: ","\ngrouping: space', "1.234", None),
        ('decimal: "."', "1_000", None),
    ],
)
def test_named_marks_are_taken_at_their_word(marks: str, cell: str, expected: float | None, tmp_path: Path) -> None:
    """Groups are of three digits and do not start with 0; what does not fit the marks is no number."""
    accepted, refused = judged(column(tmp_path, cell), PLAIN + marks + "\n")
    if expected is None:
        assert [(row, reason) for row, reason, _ in refused] == [(2, "wrong_shape")]
    else:
        assert [filing["values"]["assets"] for filing in accepted] == [expected]


def test_the_command_line_says_the_mark_and_the_sheet(
    tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files with our names have no mapping: --decimal and --sheet stand in for it."""
    path = write(tmp_path, "institution;as_of;lcr\nCN001;2024-03-28;1,320\n")
    asked = ["submit", path, "--dry-run", "--form", "cn.liquidity.d", "--catalogue", "cn"]
    assert guanlan(*asked) == 2
    assert "or --decimal" in capsys.readouterr().err
    assert guanlan(*asked, "--decimal", ",") == 0
    assert guanlan(*asked, "--decimal", "x") == 2


def test_a_delimiter_is_named_or_certain(tmp_path: Path) -> None:
    """A header that two marks may part is refused; the mapping's word counts."""
    path = write(tmp_path, "bank,a;day,assets;b\nB1,x;2024-03-31,5;y\n")
    with pytest.raises(InputError, match="a comma or a semicolon parts the columns; name the 'delimiter'"):
        judged(path, PLAIN)
    path = write(tmp_path, "bank|day|assets,USD|x,y\nB1|2024-03-31|5|1\n")
    assert values(path, HEAD + 'columns: {assets: "assets,USD"}\ndelimiter: "|"\n') == [{"assets": 5.0}]


# --- what sheets know of their cells


def table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows in the format of the file's name."""
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        book = openpyxl.Workbook()
        book.active.append(list(rows[0]))
        for row in rows:
            book.active.append(list(row.values()))
        book.save(path)


def sheet(path: Path, cells: list[list[Any]], change: Callable[[Any, Any], None] = lambda book, page: None) -> Path:
    """Write a workbook of one sheet, changed by a function."""
    book = openpyxl.Workbook()
    for row in cells:
        book.active.append(row)
    change(book, book.active)
    book.save(path)
    return path


ROWS = [["bank", "day", "Ativo", "LCR"], ["B1", "2024-03-31", 5, 1.32], ["B2", "2024-03-31", 6, 1.1]]
UNITS = "columns: {{assets: {{from: Ativo{a}}}, lcr: {{from: LCR{b}}}}}\n"


def formatted(cell: str, number_format: str) -> Callable[[Any, Any], None]:
    """Return a change that formats a cell."""

    def change(book: Any, page: Any) -> None:
        page[cell].number_format = number_format

    return change


@pytest.mark.parametrize(
    ("cell", "number_format", "a", "b", "words"),
    [
        ("D2", "0.00%", "", ", unit: percent", r"row 2: the column 'LCR' holds 1.32, which its format shows as 132 %"),
        ("D2", "0%", "", ", unit: bp", "shows as 132 %"),
        ("D3", "0.0%", "", ", scale: 0.01", "row 3: the column 'LCR' holds 1.1"),
        ("C2", "#,##0,", ", unit: thousands", "", "shows as 0.005"),
        ("C2", '0.0,,"M"', ", unit: millions", "", "shows as 5e-06"),
        ("D2", "0.00%", "", "", "row 2 is shown as a percentage and row 3 is not"),
    ],
)
def test_a_unit_that_contradicts_the_cells_format_is_refused(
    cell: str, number_format: str, a: str, b: str, words: str, tmp_path: Path
) -> None:
    """A cell shown as 132 % holds 1.32 and needs no unit; neither does one shown in thousands."""
    path = sheet(tmp_path / "f.xlsx", ROWS, formatted(cell, number_format))
    with pytest.raises(InputError, match=words):
        judged(path, HEAD + UNITS.format(a=a, b=b))


def test_percent_formats_are_fractions(tmp_path: Path) -> None:
    """A percent-formatted column without a unit is taken as it is; a percent sign in quotes is decoration."""

    def change(book: Any, page: Any) -> None:
        for cell in ("D2", "D3"):
            page[cell].number_format = "0.00%"
        page["C2"].number_format = '0" %"'

    path = sheet(tmp_path / "f.xlsx", ROWS, change)
    assert values(path, HEAD + UNITS.format(a=", unit: thousands", b="")) == [
        {"assets": 5000.0, "lcr": 1.32},
        {"assets": 6000.0, "lcr": 1.1},
    ]


def hide_first(book: Any, page: Any) -> None:
    """Hide the first of two sheets."""
    page.sheet_state = "hidden"
    other = book.create_sheet("final")
    for row in [*ROWS[:2], ["B2", "2024-03-31", 6, 9.9]]:
        other.append(row)


def hide_row(book: Any, page: Any) -> None:
    """Hide a row."""
    page.row_dimensions[3].hidden = True


def hide_column(book: Any, page: Any) -> None:
    """Hide a column."""
    page.column_dimensions["D"].hidden = True


def merge_cells(book: Any, page: Any) -> None:
    """Merge a value over two rows."""
    page.merge_cells("A2:A3")


def formula(book: Any, page: Any) -> None:
    """Put a formula where a number should be; nobody calculates it."""
    page["D3"] = "=1+1"


@pytest.mark.parametrize(
    ("change", "words", "cured"),
    [
        (hide_first, r"the first sheet, 'Sheet', is hidden; name the 'sheet'.* there are: Sheet, final", True),
        (hide_row, "row 3 is hidden", True),
        (hide_column, "the column 'LCR' is hidden", True),
        (merge_cells, "the cells A2:A3 are merged", False),
        (formula, "the formula in D3 was never calculated", False),
    ],
)
def test_what_nobody_sees_in_a_sheet_is_not_taken(
    change: Callable[[Any, Any], None], words: str, cured: bool, tmp_path: Path
) -> None:
    """Hidden things are refused unless the mapping names the sheet; merged and uncalculated cells have no value."""
    path = sheet(tmp_path / "f.xlsx", ROWS, change)
    mapping = HEAD + UNITS.format(a="", b="")
    with pytest.raises(InputError, match=words):
        judged(path, mapping)
    if cured:
        assert values(path, mapping + "sheet: Sheet\n")[1] == {"assets": 6.0, "lcr": 1.1}
    else:
        with pytest.raises(InputError, match=words):
            judged(path, mapping + "sheet: Sheet\n")


def test_a_formula_that_no_column_reads_hurts_nobody(tmp_path: Path) -> None:
    """Only values that are used must be there."""
    path = sheet(tmp_path / "f.xlsx", ROWS, formula)
    assert values(path, PLAIN.replace("assets: assets", "assets: Ativo")) == [{"assets": 5.0}, {"assets": 6.0}]


# --- named, but not found


LONG = HEAD + "layout: long\nindicator: item\nvalue: amount\ncolumns: {assets: A01, lcr: LCR (%)}\n"


@pytest.mark.parametrize("name", ["f.csv", "f.jsonl", "f.parquet", "f.xlsx"])
def test_what_a_mapping_names_must_be_there_in_every_format(name: str, tmp_path: Path) -> None:
    """A column, and a name of a long table that stands in no row, are an error with the nearest name."""
    rows = [{"bank": "B1", "day": "2024-03-31", "item": item, "amount": 5} for item in ("A01", "LCR(%)")]
    path = tmp_path / name
    if name == "f.csv":
        write(tmp_path, "bank,day,item,amount\n" + "".join(",".join(map(str, r.values())) + "\n" for r in rows))
    else:
        table(path, rows)
    with pytest.raises(InputError, match=r"no row is about 'LCR \(%\)'; did you mean 'LCR\(%\)'"):
        judged(path, LONG)
    assert values(path, LONG.replace("lcr: LCR (%)", "lcr: {from: LCR (%), optional: true}")) == [{"assets": 5.0}]
    with pytest.raises(InputError, match="has no column 'amuont'; did you mean 'amount'"):
        judged(path, LONG.replace("value: amount", "value: amuont"))


def test_a_text_that_a_mapping_has_no_value_for_is_refused(tmp_path: Path) -> None:
    """A foreign code is not taken for one of ours."""
    path = write(tmp_path, "bank,day,assets\nICBC,2024-03-31,1\nICBX,2024-03-31,2\n")
    mapping = PLAIN.replace("institution: bank", "institution: {column: bank, values: {ICBC: CN001}}")
    accepted, refused = judged(path, mapping)
    assert [filing["institution"] for filing in accepted] == ["CN001"]
    assert refused == [
        (3, "unknown_institution", "the column 'bank' is 'ICBX', not one of the mapping; did you mean 'ICBC'?")
    ]


def test_each_line_of_json_says_by_its_own_keys_what_it_is(tmp_path: Path) -> None:
    """No line decides for the others: revision, form and submission time count wherever they stand."""
    lines = [
        {"institution": "A", "as_of": "2024-03-31", "lcr": 1.3},
        {"institution": "A", "as_of": "2024-03-31", "lcr": 1.2, "revision": 1, "submitted_at": "2024-05-01"},
        {"institution": "A", "as_of": "2024-03-31", "npl": 0.1, "form": "t.quarter"},
        {
            "institution": "B",
            "as_of": "2024-03-31",
            "form": "t.month",
            "submitted_at": "2024-04-02",
            "values": {"lcr": 1},
        },
        {"institution": "C", "as_of": "2024-03-31", "indicator": "lcr", "value": 0.5},
    ]
    path = write(tmp_path, "\n".join(map(json.dumps, lines)), "f.jsonl")
    found = {(f["institution"], f["form"], f.get("revision", 0)): f for f in taken(path)}
    assert found["A", "t.month", 1]["submitted_at"] == "2024-05-01"
    assert found["A", "t.quarter", 0]["values"] == {"npl": 0.1}
    assert found["C", "t.month", 0]["values"] == {"lcr": 0.5}
    assert len(found) == 5


# --- filings and keys that stand twice


def wire(**changes: Any) -> dict[str, Any]:
    """Return a filing as it travels."""
    good = {"institution": "A", "form": "t.month", "as_of": "2024-03-31", "submitted_at": "2024-04-01"}
    return good | {"values": {"assets": 1.0, "lcr": 1.5}} | changes


TWINS = [
    ('"institution": "A"', '"institution": "A", "institution": "B"'),
    ('"institution": "A"', '"institution"  : "A", "institution": "A"'),
    ('"as_of": "2024-03-31"', '"as_of": "2024-03-31", "as_of"\n:"2024-03-31"'),
    ('"lcr": 1.5', '"lcr": 1.5, "lcr": 0.5'),
    ('"lcr": 1.5', '"lcr": null, "lcr": 0.5'),
    ('"lcr": 1.5', '"lcr": 0.5, "\\u006ccr": 1.5'),
    ('"assets": 1.0', '"assets" : 1.0, "assets": 1.0'),
    ('"values": {', '"values": {"lcr": 1}, "values": {'),
    ('"form": "t.month"', '"form": "t.month", "form": "t.month"'),
    ('"form": "t.month"', '"form": "t.month", "revision": 0, "revision": 1'),
    ('"form": "t.month"', '"form": "t.month", "meta": {"by": {"x": 1, "x": 2}}'),
    ('"form": "t.month"', '"form": "t.month", "meta": {"a\\"": 1}, "meta": {}'),
]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("old", "new"), TWINS)
def test_a_key_that_stands_twice_is_refused_by_every_way_of_reading(
    old: str, new: str, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compiled or not, by name or in order, with any white space: no reader takes the last of two."""
    if not compiled:
        monkeypatch.setattr(COMPILED, "found", None)
    elif not COMPILED.wait():
        pytest.skip("numba is not installed")
    good = json.dumps(wire())
    bad = good.replace(old, new)
    assert bad != good
    decoded = Decoder(CATALOGUE).decode([good.encode(), bad.encode()] * 6)
    assert decoded.forms[0].index.tolist() == [0, 2, 4, 6, 8, 10]
    assert {(r.reason, "stands twice" in r.detail) for r in decoded.rejected} == {(Reason.WRONG_SHAPE, True)}
    version = form_version("t.month", CATALOGUE.reported("t.month"))
    array = json.dumps(wire(version=version, values=[1.0, 1.5]))
    twin = array.replace(old, new)
    if twin != array:
        decoded = Decoder(CATALOGUE).decode([array.encode(), twin.encode()], headers=[Encoding.ARRAY.headers] * 2)
        assert decoded.forms[0].index.tolist() == [0]
        assert [r.reason for r in decoded.rejected] == [Reason.WRONG_SHAPE]


@pytest.mark.parametrize(
    "changes",
    [
        {"revision": 0},
        {"meta": None},
        {"meta": {"a": ['"', '":', {"b": None}]}},
        {"values": {"lcr": None, "assets": 2}},
        {"values": {"assets": 2}, "revision": 3, "meta": {}},
        {"institution": '"A":'},
    ],
)
def test_whatever_looks_like_a_key_twice_and_is_none_is_taken(changes: dict[str, Any]) -> None:
    """Quotes and colons in texts, nulls and white space are no second key."""
    for indent in (None, 1):
        told = json.dumps(wire(**changes), indent=indent).replace('": ', '" : ').encode()
        decoded = Decoder(CATALOGUE).decode([told] * 9)
        assert decoded.rejected == []


def test_twins_in_long_filings_are_found_in_any_order() -> None:
    """Filings that are read by way of a dictionary are no exception."""
    names = [f"i{n:04}" for n in range(1200)]
    text = "".join(f"  - {{id: {name}, form: f, unit: ratio}}\n" for name in names)
    catalogue = parse_catalogues([(f"catalogue: t\nforms: [{{id: f, frequency: daily}}]\nindicators:\n{text}", "t")])
    told = json.dumps(wire(form="f", values=dict.fromkeys(reversed(names), 0.5)))
    bad = told.replace('"i0100": 0.5', '"i0100": 0.5, "i0100" : 0.5')
    decoded = Decoder(catalogue).decode([told.encode(), bad.encode()])
    assert decoded.forms[0].index.tolist() == [0]
    assert [r.detail for r in decoded.rejected] == ["'i0100' stands twice in one object"]


def test_twins_in_quotes_and_exposures_are_refused() -> None:
    """The other records of the wire are read with the same care."""
    quote = b'{"series":"A","as_of":"2024-03-28","submitted_at":"2024-03-28","value":1,"value":2}'
    report = (
        b'{"institution":"A","as_of":"2024-03-31","submitted_at":"2024-04-01",'
        b'"exposures":[{"counterparty":"B","amount":1,"amount":2}]}'
    )
    for refused in (decode_quotes([quote])[1], decode_exposures([report])[1]):
        assert [(r.reason, "stands twice" in r.detail) for r in refused] == [(Reason.WRONG_SHAPE, True)]


def test_twins_are_not_healed_on_the_way(tmp_path: Path) -> None:
    """A line that gets its submission time here keeps both keys, and is refused."""
    line = '{"institution":"A","institution":"B","form":"t.month","as_of":"2024-03-31","values":{"lcr":1}}'
    flat = '{"institution":"A","as_of":"2024-03-31","lcr":1,"lcr":2}'
    _, refused = judged(write(tmp_path, f"{line}\n{flat}\n", "f.jsonl"))
    assert refused == [
        (1, "wrong_shape", "'institution' stands twice in one object"),
        (2, "wrong_shape", "'lcr' stands twice in one object"),
    ]


def test_filings_that_contradict_each_other_are_refused_with_both_places(tmp_path: Path) -> None:
    """In one file or two; the same filing again is counted, and is no error."""
    one = write(tmp_path, "bank,day,assets,LCR\nA,2024-03-31,1,\nB,2024-03-31,5,\nB,2024-03-31,5.0,\n", "one.csv")
    two = write(tmp_path, "bank,day,assets,LCR\nA,2024-03-31,,1.5\n", "two.csv")
    mapping = HEAD + "columns: {assets: assets, lcr: LCR}\n"
    accepted, refused = judged([one, two], mapping)
    assert {filing["institution"] for filing in accepted} == {"B"}
    what = "revision 0 of t.month of A as of 2024-03-31 stands in"
    assert [(row, reason, detail.split(" with")[0]) for row, reason, detail in refused] == [
        (2, "duplicate", f"{what} {two} row 2"),
        (2, "duplicate", f"{what} {one} row 2"),
    ]
    drafts = filings_from([one], parse_mapping(mapping, "m"), CATALOGUE)
    with take_in(drafts, Decoder(CATALOGUE)) as found:
        assert (found.repeats, found.accepted) == (1, 3)
    columns, wrong = load_columns([one, two], parse_mapping(mapping, "m"), CATALOGUE)
    assert ([c.institutions for c in columns], len(wrong)) == ([["B", "B"]], 2)


def test_parts_are_merged_where_the_mapping_says_so(tmp_path: Path) -> None:
    """Columns and values may be parted over files; the filing is as late as its last part; contradictions are named."""
    one = write(tmp_path, "bank,day,sent,assets\nA,2024-03-31,2024-04-01,1\nB,2024-03-31,2024-04-01,5\n", "one.csv")
    two = write(tmp_path, "bank,day,sent,LCR,assets\nA,2024-03-31,2024-04-09,1.5,1\nB,2024-03-31,,1,6\n", "two.csv")
    mapping = HEAD + "submitted_at: sent\nmerge: true\ncolumns: {assets: assets, lcr: LCR}\n"
    accepted, refused = judged([one, two], mapping)
    assert [(f["submitted_at"], f["values"]) for f in accepted] == [("2024-04-09", {"assets": 1.0, "lcr": 1.5})]
    assert refused == [(3, "wrong_shape", f"assets stands twice for B at 2024-03-31 ({one} row 3 and {two} row 3)")]


def test_rows_of_a_long_table_agree_about_their_filing(tmp_path: Path) -> None:
    """Parts that came a month apart are no filing, and revision 0 is the revision that is left out."""
    head = "institution,as_of,indicator,value,revision,submitted_at\n"
    path = write(tmp_path, head + "A,2024-03-31,assets,1,0,2024-04-01\nA,2024-03-31,lcr,2,,2024-04-01\n")
    assert values(path) == [{"assets": 1.0, "lcr": 2.0}]
    path = write(tmp_path, head + "A,2024-03-31,assets,1,0,2024-04-01\nA,2024-03-31,lcr,2,,2024-05-01\n")
    ((row, reason, detail),) = judged(path)[1]
    assert (row, reason) == (2, "wrong_shape")
    assert f"2024-04-01 in {path} row 2 and 2024-05-01 in {path} row 3" in detail


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("xyz"), st.none() | st.integers(0, 2)), max_size=30),
    st.booleans(),
)
def test_parts_on_disk_are_the_parts_in_memory(told: list[tuple[str, str, int | None]], merge: bool) -> None:
    """However few values are held in memory, the same filings come out, in the same order."""
    outcomes = []
    for held in (1, 4, 1000):
        parts = Parts(merge, held)
        for row, (institution, name, value) in enumerate(told):
            head = {"institution": institution, "as_of": "2024-03-31"}
            parts.add(key_of(head), "f", row, head, {name: value})
        outcomes.append(list(parts.all()))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_an_empty_filing_is_no_filing(tmp_path: Path) -> None:
    """In any format and on the wire it is refused as `empty`, also where one table feeds several forms."""
    path = write(tmp_path, "institution,as_of,assets,lcr\nA,2024-03-31,,\n")
    assert [reason for _, reason, _ in judged(path)[1]] == ["empty"]
    line = json.dumps({"institution": "A", "form": "t.month", "as_of": "2024-03-31", "submitted_at": "2024-04-01"})
    assert [r for _, r, _ in judged(write(tmp_path, line, "f.jsonl"))[1]] == ["empty"]
    form = "  - {form: t.%s, institution: bank, as_of: day, columns: {%s: %s}}\n"
    several = "mapping: m\nforms:\n" + form % ("month", "lcr", "LCR") + form % ("quarter", "npl", "NPL")
    path = write(tmp_path, "bank,day,LCR,NPL\nA,2024-03-31,,\nB,2024-03-31,1,\n")
    accepted, refused = judged(path, several)
    assert (len(accepted), [(row, reason) for row, reason, _ in refused]) == (1, [(2, "empty")])


# --- to the end, within limits, in one sentence


def test_nothing_is_taken_of_a_file_that_ends_badly(tmp_path: Path) -> None:
    """A broken checksum, a stray quote, a cut file: the sentence comes before the first filing does."""
    rows = "institution,as_of,assets\n" + "".join(f"A{i},2024-03-31,{i}\n" for i in range(5000))
    packed = bytearray(gzip.compress(rows.encode(), mtime=0))
    packed[-6] ^= 1
    (tmp_path / "f.csv.gz").write_bytes(packed)
    (tmp_path / "cut.csv.gz").write_bytes(packed[:-400])
    write(tmp_path, rows + '"A"9,2024-03-31,1\n')
    for name, words in (("f.csv.gz", "CRC"), ("cut.csv.gz", "can't be read"), ("f.csv", "line 5002: can't be read")):
        drafts = filings_from([tmp_path / name], None, CATALOGUE, "t.month")
        with pytest.raises(InputError, match=words), take_in(drafts, Decoder(CATALOGUE)):
            pytest.fail("it was taken")


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    """A named pipe can't be opened twice, and a Parquet file in one can't be read from any place."""
    parquet = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([{"institution": "A", "as_of": "2024-03-31", "assets": 7}]), parquet)
    for name, content in (("f.csv", b"institution,as_of,assets\nA,2024-03-31,7\n"), ("f.parquet", parquet.getvalue())):
        pipe = tmp_path / name
        os.mkfifo(pipe)
        writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
        writer.start()
        assert values(pipe) == [{"assets": 7.0}]
        writer.join(5)


def small(**limits: int) -> Limits:
    """Return limits that a test can reach."""
    defaults = {name: getattr(LIMITS, name) for name in LIMITS.__dataclass_fields__}
    return Limits(**(defaults | limits))


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"unpacked_bytes": 900}, "more than 900 bytes unpacked"),
        ({"line_bytes": 20}, "more than 20 bytes in line 1"),
        ({"rows": 50}, "more than 50 rows"),
        ({"cells": 50}, "more than 50 cells"),
        ({"columns": 2}, "more than 2 columns"),
        ({"cell_characters": 9}, "a cell has more than 9 characters"),
    ],
)
def test_limits_are_sentences(limits: dict[str, int], words: str, tmp_path: Path) -> None:
    """What is beyond a limit is refused before it fills the memory."""
    rows = "institution,as_of,assets\n" + "".join(f"A{i},2024-03-31,{i}\n" for i in range(100))
    path = tmp_path / "f.csv.gz"
    path.write_bytes(gzip.compress(rows.encode()))
    with pytest.raises(InputError, match=words) as caught:
        judged(path, limits=small(**limits))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "limits", "words"),
    [
        ("f.xlsx", {"part_bytes": 50}, "more than 50 bytes in docProps/"),
        ("f.xlsx", {"columns": 2}, "more than 2 c"),
        ("f.parquet", {"rows": 1}, "more than 1 rows"),
        ("f.parquet", {"cell_characters": 5}, "more than 5 characters in a cell of the column 'as_of'"),
        ("f.jsonl", {"columns": 2}, "more than 2 columns"),
    ],
)
def test_limits_hold_in_every_format(name: str, limits: dict[str, int], words: str, tmp_path: Path) -> None:
    """A bomb is refused by what it declares, or while it unpacks."""
    path = tmp_path / name
    table(path, [{"institution": "A", "as_of": "2024-03-31", "assets": n} for n in (1, 2)])
    with pytest.raises(InputError, match=words):
        list(read_table(path, limits=small(**limits)).rows)


def test_the_settings_limits_are_the_readers() -> None:
    """What an operator does not set is what the readers have."""
    told = Settings()
    found = (told.max_file_bytes, told.max_file_rows, told.max_file_cells, told.max_file_columns)
    assert found == (LIMITS.unpacked_bytes, LIMITS.rows, LIMITS.cells, LIMITS.columns)


def test_a_gap_of_rows_and_a_row_of_columns_cost_nothing(tmp_path: Path) -> None:
    """A row numbered two milliards is the next row, and fifty thousand columns are read at once."""
    path = sheet(tmp_path / "f.xlsx", [["institution", "as_of", "assets"], ["A", "2024-03-31", 1]])
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "gap.xlsx", "w") as new:
        for part in old.namelist():
            new.writestr(part, old.read(part).replace(b'r="2"', b'r="2147483647"'))
    assert values(tmp_path / "gap.xlsx") == [{"assets": 1.0}]
    names = ",".join(f"c{i}" for i in range(50_000))
    wide = write(tmp_path, f"bank,day,assets,{names}\nA,2024-03-31,1,{','.join('1' * 50_000)}\n")
    assert values(wide, PLAIN) == [{"assets": 1.0}]


def test_endless_text_of_a_workbook_is_not_read(tmp_path: Path) -> None:
    """Two megabytes of one text, packed to two thousand bytes, are no cell."""
    path = sheet(tmp_path / "f.xlsx", ROWS)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "long.xlsx", "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, old.read(part).replace(b">B1<", b">" + b"x" * 2_000_000 + b"<"))
    with pytest.raises(InputError, match=r"long\.xlsx: has more than 1,048,576 bytes between two tags of xl/"):
        judged(tmp_path / "long.xlsx", HEAD + UNITS.format(a="", b=""))


def test_entities_of_a_workbook_are_not_read(tmp_path: Path) -> None:
    """A workbook that declares entities is one sentence."""
    path = sheet(tmp_path / "f.xlsx", ROWS)
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><worksheet'
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "lol.xlsx", "w") as new:
        for part in old.namelist():
            content = old.read(part)
            new.writestr(part, bomb + content.partition(b"<worksheet")[2] if "sheet1.xml" in part else content)
    with pytest.raises(InputError, match="declares entities"):
        judged(tmp_path / "lol.xlsx")


@cache
def whole(name: str) -> bytes:
    """Return the bytes of a good file, the same in every example: workbooks hold the time of day."""
    if name == "f.csv.gz":
        return gzip.compress(b"institution,as_of,assets\nA,2024-03-31,7\n", mtime=0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        table(path, [{"institution": "A", "as_of": "2024-03-31", "assets": n, "lcr": 1.5} for n in range(3)])
        return path.read_bytes()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), name=st.sampled_from(["f.xlsx", "f.parquet", "f.csv.gz", "f.jsonl"]))
def test_a_broken_file_is_one_sentence(data: st.DataObject, name: str, tmp_path: Path) -> None:
    """Whatever bytes are lost or turned: filings, or InputError on one line that names the file."""
    path = tmp_path / name
    content = bytearray(whole(name))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    said = ""
    try:
        judged(path)
    except InputError as err:
        said = str(err)
    assert "\n" not in said
    assert not said or name.partition(".")[0] in said
