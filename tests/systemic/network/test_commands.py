"""`guanlan systemic contagion | clearing | reconstruct` as an outsider runs them: formats, shocks, mistakes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from guanlan.commands.systemic_ import app
from rules.problems import GuanlanError, InputError

EDGES = "lender,borrower,amount\nA,B,10\nB,C,8\nC,A,5\n"
MATRIX = "code,A,B,C\nA,0,10,0\nB,0,0,8\nC,5,0,0\n"
BARE_MATRIX = "A,B,C\n0,10,0\n0,0,8\n5,0,0\n"
SHEET = "institution,buffer,weight,external_assets,external_liabilities\nA,20,3,50,40\nB,16,2,30,25\nC,10,1,20,10\n"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    texts = {"edges": EDGES, "matrix": MATRIX, "bare": BARE_MATRIX, "sheet": SHEET}
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    return {name: str(tmp_path / f"{name}.csv") for name in texts} | {"folder": str(tmp_path)}


def rows(*args: str) -> list[dict[str, str]]:
    result = CliRunner().invoke(app, list(args), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return list(csv.DictReader(io.StringIO(result.stdout)))


def contagion(files: dict[str, str], *args: str, network: str = "edges") -> list[dict[str, str]]:
    return rows("contagion", "--exposures", files[network], "--balance-sheets", files["sheet"], *args)


def test_each_institution_alone_is_the_default_and_a_line(files: dict[str, str]) -> None:
    """C fails: B loses half its buffer, A a quarter of its, C a further eighth of … which is capped.

    h = (0.25, 0.5, 1 + 5/10 · 0.25): stress added (0.25 · 3 + 0.5 · 2) / 6, losses 5 + 8 + 1.25.
    """
    found = {row["scenario"]: row for row in contagion(files)}
    assert list(found) == ["A", "B", "C"]
    c = {key: float(value) for key, value in found["C"].items() if key != "scenario"}
    assert c == pytest.approx(
        {
            "original_stress": 1 / 6,
            "additional_stress": (0.25 * 3 + 0.5 * 2) / 6,
            "original_losses": 10.0,
            "additional_losses": 5 + 8 + 1.25,
            "additional_defaults": 0,
        }
    )


@pytest.mark.parametrize("network", ["matrix", "bare"])
def test_a_square_matrix_is_the_same_network(files: dict[str, str], network: str) -> None:
    assert contagion(files, network=network) == contagion(files)


@pytest.mark.parametrize("method", ["debtrank", "debtrank-2012", "threshold", "furfine"])
def test_without_links_there_is_no_contagion_by_any_method(files: dict[str, str], method: str) -> None:
    Path(files["edges"]).write_text("lender,borrower,amount\n", encoding="utf-8")
    found = contagion(files, "--method", method, "--shock", "uniform=0.05")
    assert [(r["scenario"], float(r["additional_stress"]), r["additional_defaults"]) for r in found] == [
        ("uniform=0.05", 0.0, "0")
    ]


def test_recovery_and_several_shocks(files: dict[str, str]) -> None:
    found = contagion(files, "--shock", "C=1.0", "--shock", "A=0.5,B=0.5", "--recovery", "1")
    assert [r["scenario"] for r in found] == ["C=1.0", "A=0.5,B=0.5"]
    assert [float(r["additional_losses"]) for r in found] == [0.0, 0.0]


def test_a_shock_to_external_assets_is_taken_from_the_buffer(files: dict[str, str]) -> None:
    (found,) = contagion(files, "--shock", "A=0.1", "--shock-on", "external-assets")
    assert float(found["original_losses"]) == pytest.approx(5.0)


def test_clearing_without_a_shock_pays_in_full(files: dict[str, str]) -> None:
    found = rows("clearing", "--exposures", files["edges"], "--balance-sheets", files["sheet"])
    assert [(r["institution"], r["default"], float(r["payment"]), float(r["total_liabilities"])) for r in found] == [
        ("A", "0", 45.0, 45.0),
        ("B", "0", 35.0, 35.0),
        ("C", "0", 18.0, 18.0),
    ]


def test_clearing_by_hand_pari_passu_and_senior(files: dict[str, str]) -> None:
    """A loses all external assets: it has B's payment on 10; it owes 5 inside and 40 outside.

    B and C pay in full. A pays 10: of that 10 · 5/45 to C pari passu, nothing inside when outside is senior.
    """
    args = ["clearing", "--exposures", files["edges"], "--balance-sheets", files["sheet"], "--shock", "A=1.0"]
    pari, senior = rows(*args), rows(*args, "--external", "senior")
    assert [float(r["payment"]) for r in pari] == pytest.approx([10.0, 35.0, 18.0])
    assert [float(r["payment"]) for r in senior] == pytest.approx([10.0, 35.0, 18.0])
    costly = rows(*args, "--alpha", "0.5", "--beta", "0.5")
    assert float(costly[0]["payment"]) == pytest.approx(5.0)


def test_reconstructions_meet_their_margins(files: dict[str, str]) -> None:
    margins = Path(files["folder"]) / "margins.csv"
    margins.write_text("institution,assets,liabilities\nA,10,5\nB,8,10\nC,5,8\n", encoding="utf-8")
    for method in ("max-entropy", "min-density"):
        found = rows("reconstruct", "--margins", str(margins), "--method", method)
        lent = {name: sum(float(r["amount"]) for r in found if r["lender"] == name) for name in "ABC"}
        assert lent == pytest.approx({"A": 10, "B": 8, "C": 5})
        assert all(r["lender"] != r["borrower"] for r in found)


def test_json_lines(files: dict[str, str]) -> None:
    args = ["contagion", "--exposures", files["edges"], "--balance-sheets", files["sheet"], "--format", "jsonl"]
    lines = CliRunner().invoke(app, args, catch_exceptions=False).stdout.splitlines()
    assert [json.loads(line)["scenario"] for line in lines] == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("change", "args", "message"),
    [
        ({}, ["--shock", "D=1"], "no institution here"),
        ({}, ["--shock", "A=2"], "shares from 0 to 1"),
        ({"edges": "lender,borrower,amount\nA,A,1\n"}, [], r"edges.csv:2: 'A' lends to itself"),
        ({"edges": "lender,borrower,amount\nA,B,-1\n"}, [], r"edges.csv:2: the amount -1 is negative"),
        ({"edges": "lender,borrower,amount\nA,B,x\n"}, [], r"edges.csv:2: amount is 'x', expected a number"),
        ({"edges": "lender,borrower,amount\nA,Z,1\n"}, [], r"edges.csv:2: 'Z' has no balance sheet"),
        ({"edges": "a,b,c\n1,2,3\n"}, [], "expected an edge list"),
        ({"sheet": "institution,bufer\nA,1\nB,1\nC,1\n"}, [], "needs a column 'buffer'. did you mean 'bufer'"),
        ({"sheet": "code,buffer\nA,1\n"}, [], "needs a column 'institution'"),
        ({"sheet": "institution,buffer\nA,1\nA,1\n"}, [], r"sheet.csv:3: 'A' stands twice"),
        ({"sheet": "institution,buffer\nA,-1\nB,1\nC,1\n"}, [], "buffer has a value below 0"),
    ],
)
def test_mistakes_are_one_sentence(
    files: dict[str, str], change: dict[str, str], args: list[str], message: str
) -> None:
    for name, text in change.items():
        Path(files[name]).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        contagion(files, *args)
    assert "\n" not in str(caught.value)


def test_margins_alone_give_a_range(files: dict[str, str]) -> None:
    """A lends 9, B and C borrow 5 and 4 of it: only one network is possible, so the range is a point."""
    folder = Path(files["folder"])
    (folder / "margins.csv").write_text("institution,assets,liabilities\nC,0,4\nA,9,0\nB,0,5\n", encoding="utf-8")
    found = rows(
        "contagion", "--margins", str(folder / "margins.csv"), "--balance-sheets", files["sheet"], "--shock", "B=1"
    )
    assert float(found[0]["additional_losses"]) == pytest.approx(5.0)
    assert found[0]["additional_losses_low"] == found[0]["additional_losses_high"] == found[0]["additional_losses"]
    assert found[0]["additional_defaults"] == "0"


def test_margins_of_many_give_a_range_around_the_middle(files: dict[str, str]) -> None:
    folder = Path(files["folder"])
    (folder / "margins.csv").write_text("institution,assets,liabilities\nA,9,6\nB,4,5\nC,3,5\n", encoding="utf-8")
    found = rows("contagion", "--margins", str(folder / "margins.csv"), "--balance-sheets", files["sheet"])
    for row in found:
        low, middle, high = (float(row[f"additional_stress{end}"]) for end in ("_low", "", "_high"))
        assert low <= middle <= high
    assert any(float(row["additional_losses_low"]) < float(row["additional_losses_high"]) for row in found)


def test_exposures_or_margins_but_not_both(files: dict[str, str]) -> None:
    with pytest.raises(InputError, match="either --exposures"):
        rows("contagion", "--balance-sheets", files["sheet"])


def test_a_group_is_a_text_in_a_column_and_fails_together(files: dict[str, str]) -> None:
    """B and C lose half of 16 and 10; columns of text, with commas too, are no hindrance."""
    Path(files["sheet"]).write_text(
        'institution,buffer,name,region\nA,20,"Alpha, Inc",north\nB,16,Beta,south\nC,10,Gamma,south\n', encoding="utf-8"
    )
    (found,) = contagion(files, "--shock", "region:south=0.5")
    assert float(found["original_losses"]) == 13.0
    assert float(found["original_stress"]) == pytest.approx(1 / 3)
    with pytest.raises(InputError, match=r"nobody has 'sooth' in the column 'region'. did you mean 'south'"):
        contagion(files, "--shock", "region:sooth=0.5")
    with pytest.raises(InputError, match=r"no column of text 'buffer'"):
        contagion(files, "--shock", "buffer:20=0.5")


def test_an_asset_class_strikes_who_holds_it(files: dict[str, str]) -> None:
    """A holds 50 of property: a tenth of it is a quarter of its buffer; C holds 30, three tenths of its.

    Without property A and C have only what their debtors pay, B 30 and what C pays: b = 30 + 8/18 · 5/45 · 10/35 b.
    """
    holdings = Path(files["folder"]) / "holdings.csv"
    holdings.write_text("institution,property,bonds\nA,50,0\nC,30,10\n", encoding="utf-8")
    (found,) = contagion(files, "--shock", "asset:property=0.1", "--holdings", str(holdings))
    assert float(found["original_losses"]) == pytest.approx(8.0)
    assert float(found["original_stress"]) == pytest.approx((3 * 0.25 + 1 * 0.3) / 6)
    args = ["clearing", "--exposures", files["edges"], "--balance-sheets", files["sheet"]]
    after = rows(*args, "--shock", "asset:property=1", "--holdings", str(holdings))
    b = 30 / (1 - 8 / 18 * 5 / 45 * 10 / 35)
    assert [float(row["payment"]) for row in after] == pytest.approx([b * 10 / 35, b, b * 10 / 35 * 5 / 45])
    with pytest.raises(InputError, match="needs --holdings"):
        contagion(files, "--shock", "asset:property=0.1")


def test_clearing_of_totals_carries_its_range(files: dict[str, str]) -> None:
    """Who defaults hardly depends on the network; what is paid does."""
    folder = Path(files["folder"])
    (folder / "margins.csv").write_text("institution,assets,liabilities\nA,9,6\nB,4,5\nC,3,5\n", encoding="utf-8")
    args = ["clearing", "--margins", str(folder / "margins.csv"), "--balance-sheets", files["sheet"]]
    found = rows(*args, "--shock", "C=1.0", "--shock-on", "external-assets", "--reconstructions", "5")
    c = found[2]
    assert (c["institution"], c["default"]) == ("C", "1")
    assert float(c["payment_low"]) <= float(c["payment"]) <= float(c["payment_high"]) == pytest.approx(3.0)


def test_scenarios_of_totals_are_ranked_with_a_range(files: dict[str, str]) -> None:
    folder = Path(files["folder"])
    (folder / "margins.csv").write_text("institution,assets,liabilities\nA,9,6\nB,4,5\nC,3,5\n", encoding="utf-8")
    found = rows("contagion", "--margins", str(folder / "margins.csv"), "--balance-sheets", files["sheet"])
    assert sorted(float(row["rank"]) for row in found) == [1.0, 2.0, 3.0]
    assert all(float(row["rank_low"]) <= float(row["rank"]) <= float(row["rank_high"]) for row in found)


def test_a_wrong_amount_is_told_by_the_institution_s_name(files: dict[str, str]) -> None:
    margins = Path(files["folder"]) / "margins.csv"
    margins.write_text("institution,assets,liabilities\nAnchor,10,10\nBeacon,1,1\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"^'Anchor' lends 10 and borrows 10, more than the others"):
        rows("reconstruct", "--margins", str(margins))


def test_the_registry_is_printed(files: dict[str, str]) -> None:
    found = {row["measure"]: row for row in rows("measures")}
    assert (found["srisk"]["level"], found["srisk"]["unit"]) == ("institution", "currency")
    assert "Brownlees" in found["srisk"]["reference"]
    (one,) = rows("measures", "gini", "--language", "zh")
    assert one["title"] == "基尼系数"
    with pytest.raises(InputError, match="did you mean 'mes'"):
        rows("measures", "mess")


def test_concordance_of_two_files(files: dict[str, str]) -> None:
    """Ranks 1 2 3 and, with its sign turned, 1 3 2: totals 2, 5, 5, so W = 12 · 6 / (4 · 24) = 0.75."""
    folder = Path(files["folder"])
    (folder / "a.csv").write_text("institution,x\nA,1\nB,2\nC,3\nD,\n", encoding="utf-8")
    (folder / "b.csv").write_text("date,institution,y\n1,A,0\n2,A,9\n2,B,3\n2,C,5\n2,D,1\n", encoding="utf-8")
    (found,) = rows("concordance", f"{folder}/a.csv:x", f"{folder}/b.csv:-y")
    assert (found["measures"], found["institutions"]) == ("2", "3")
    assert float(found["w"]) == pytest.approx(0.75)
    assert float(found["chi_square"]) == pytest.approx(2 * 2 * 0.75)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (["a.csv:x"], "two measures or more"),
        (["a.csv:x", "a.csv"], "FILE.csv:COLUMN"),
        (["a.csv:x", "a.csv:z"], "has no column 'z'"),
        (["a.csv:x", "none.csv:x"], "can't be read"),
        (["a.csv:x", "a.csv:t"], "t is 'q', expected a number"),
        (["a.csv:x", "one.csv:x"], "1 institutions are known to all"),
    ],
)
def test_a_concordance_that_can_not_be_is_refused(files: dict[str, str], scores: list[str], message: str) -> None:
    folder = Path(files["folder"])
    (folder / "a.csv").write_text("institution,x,t\nA,1,q\nB,2,q\n", encoding="utf-8")
    (folder / "one.csv").write_text("institution,x\nA,1\n", encoding="utf-8")
    with pytest.raises(GuanlanError, match=message):
        rows("concordance", *(f"{folder}/{score}" for score in scores))
