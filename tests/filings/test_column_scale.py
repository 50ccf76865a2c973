"""Whole columns of files in another unit are asked about before anything is sent or judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from rules.catalogue import load_catalogue
from rules.problems import InputError
from streams.column_scale import ColumnScale, check_columns
from streams.decode import Decoder
from streams.encodings import Encoding
from streams.questions import with_confirms
from streams.wire import Confirms, Filing, encode

Run = Callable[..., int]


def filing(code: str, day: int, **values: float) -> bytes:
    """A daily liquidity filing of March 2026 as JSON by name."""
    return encode(Filing(code, "cn.liquidity.d", f"2026-03-{day:02}", "2026-04-01", dict(values)))


def looked_at(*records: bytes) -> ColumnScale:
    """Filings as they are judged, in two batches."""
    catalogue = load_catalogue(["cn"])
    decoder, scale = Decoder(catalogue), ColumnScale(catalogue)
    for part in (records[::2], records[1::2]):
        decoded = decoder.decode(part)
        assert decoded.rejected == []
        for columns in decoded.forms:
            scale.take(columns)
    return scale


def test_a_column_in_another_unit_is_named_with_factor_examples_and_what_is_plausible() -> None:
    scale = looked_at(*(filing(f"B{i}", 31, lcr=0.012 + i / 1000, liquidity_ratio=0.6) for i in range(6)))
    (asked,) = scale.asked()
    assert (asked.indicator, asked.factor, asked.off, asked.values, len(asked.examples)) == ("lcr", 0.01, 6, 6, 3)
    with pytest.raises(InputError) as caught:
        check_columns(scale.asked(), [], "", ["lcr"])
    said = str(caught.value)
    assert "lcr of cn.liquidity.d seems about 100 times too small in 6 of 6 values (B0 2026-03-31: 0.012, " in said
    assert "plausible 0.2 … 50)" in said
    assert "--accept-scale lcr --by NAME" in said


def test_a_collapse_of_one_bank_in_a_column_that_stands_is_not_asked_about() -> None:
    scale = looked_at(filing("B9", 31, lcr=0.02), *(filing(f"B{i}", 31, lcr=1.1 + i / 10) for i in range(6)))
    assert scale.asked() == []
    assert check_columns([], [], "", ["lcr"]) is None


def test_an_answer_has_a_name_and_speaks_of_an_indicator_there_is() -> None:
    asked = looked_at(filing("B0", 31, lcr=0.0132)).asked()
    with pytest.raises(InputError, match="--accept-scale needs --by NAME"):
        check_columns(asked, ["lcr"], " ", ["lcr"])
    with pytest.raises(InputError, match="there is no indicator 'lcrr'; did you mean 'lcr'"):
        check_columns(asked, ["lcrr"], "Li Na", ["lcr"])
    assert check_columns(asked, ["lcr"], "Li Na", ["lcr"]) == Confirms(
        "Li Na", "scale accepted with guanlan submit: lcr"
    )


def test_percent_typed_as_fraction_in_a_spreadsheet_is_asked_about(
    tmp_path: Path, guanlan: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cells that hold 1.32 and a mapping that reads percent would send LCR 1.32 %."""
    book = openpyxl.Workbook()
    book.active.append(["bank", "date", "LCR"])
    book.active.append(["CN001", "2024-03-31", 1.32])
    book.save(tmp_path / "f.xlsx")
    mapping = tmp_path / "m.yaml"
    mapping.write_text(
        "mapping: m\nform: cn.liquidity.d\ninstitution: bank\nas_of: date\n"
        "columns:\n  lcr: {from: LCR, unit: percent}\n",
        encoding="utf-8",
    )
    arguments = ("submit", "--dry-run", "--catalogue", "cn", tmp_path / "f.xlsx", "--mapping", mapping)
    assert guanlan(*arguments) == 2
    assert "lcr of cn.liquidity.d seems about 100 times too small" in capsys.readouterr().err
    assert guanlan(*arguments, "--accept-scale", "lcr", "--by", "Li Na") == 0
    assert capsys.readouterr().out == "1 acceptable, 0 rejected\n"


@pytest.mark.parametrize("encoding", list(Encoding))
def test_the_very_same_filing_with_an_answer_says_so_in_every_encoding(encoding: Encoding) -> None:
    """Its values are those that were asked about, and the answer is by its position; in a batch of many too."""
    from streams.encode import recode

    catalogue = load_catalogue(["cn"])
    answer = Confirms("Li Na", "run-off, counted twice")
    indicators = catalogue.reported("cn.liquidity.d")
    plain = [recode(filing(f"B{i}", 31, lcr=0.0132 + i), indicators, encoding) for i in range(12)]
    records = [*plain[:5], with_confirms(plain[5], encoding.headers, answer), *plain[6:]]
    decoder = Decoder(catalogue)
    told, before = (decoder.decode(r, headers=[encoding.headers] * 12) for r in (records, plain))
    assert told.rejected == before.rejected == []
    assert (told.confirms, before.confirms) == ({5: answer}, {})
    place = indicators.index("lcr")
    assert told.forms[0].values[place].tolist() == before.forms[0].values[place].tolist()


@pytest.mark.parametrize(
    ("confirms", "word"),
    [
        ('"Li Na"', "'confirms' must be an object of 'by' and 'reason', not a text"),
        ('{"by": "Li Na"}', "the 'confirms' has no 'reason'"),
        ('{"by": "", "reason": "x"}', "confirms.by must be a text of 1 to 64 characters"),
    ],
)
def test_an_answer_without_a_name_or_a_reason_is_refused(confirms: str, word: str) -> None:
    record = filing("B0", 31, lcr=1.2)[:-1] + b',"confirms":' + confirms.encode() + b"}"
    refused = Decoder(load_catalogue(["cn"])).classify(record)
    assert refused is not None
    assert (refused.reason, word in refused.detail) == ("wrong_shape", True)
