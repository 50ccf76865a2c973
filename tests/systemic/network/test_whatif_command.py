"""`guanlan systemic whatif` as an economist runs it: a scenario file in, rows and a page out, mistakes explained."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from guanlan.commands.systemic_ import app
from guanlan.whatif_files import read_scenario
from guanlan.whatif_words import CHINESE
from rules.problems import InputError

EXAMPLE = Path(__file__).parent / "scenario"
MANUAL = Path(__file__).parents[3] / "docs" / "systemic.md"


def whatif(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["whatif", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example that a test may spoil."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "scenario"))


def spoiled(folder: Path, old: str, new: str, file: str = "property.yaml") -> Path:
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    return folder / "property.yaml"


def test_a_row_for_each_severity_and_institution() -> None:
    rows = list(csv.DictReader(io.StringIO(whatif(EXAMPLE / "property.yaml", "--format", "csv"))))
    assert [(r["severity"], r["institution"]) for r in rows[:4]] == [
        ("0.5", name) for name in ("Anchor", "Beacon", "Cape", "Delta")
    ]
    assert len(rows) == 12
    for row in rows:
        lost = sum(float(row[f"{channel}_loss"]) for channel in ("direct", "credit", "fire_sale"))
        assert float(row["equity_before"]) - lost == pytest.approx(float(row["equity_after"]))
        assert (row["default"] == "1") == bool(row["default_round"])


def test_the_shock_itself_by_hand() -> None:
    """Severity 1: a tenth of property, and ½ % of assets for each service stopped by the cloud.

    Anchor: 8 + 0.005 · 0.5 · 185 = 8.4625; Beacon: 10 + 0.005 · 1 · 185 = 10.925; Cape: 3; Delta: 2.1025.
    """
    lines = [json.loads(line) for line in whatif(EXAMPLE / "property.yaml", "--format", "jsonl").splitlines()]
    assert [line["severity"] for line in lines if "severity" in line] == [0.5, 1.0, 1.5]
    assert lines[1]["rounds"][0]["direct"] == pytest.approx(8.4625 + 10.925 + 3 + 2.1025)
    assert sum(r["credit"] for r in lines[1]["rounds"]) == pytest.approx(lines[1]["losses"]["credit"])
    assert lines[1]["defaults"] == ["Anchor", "Beacon", "Cape", "Delta"]
    assert lines[0]["defaults"] == []


def test_a_shock_may_be_a_share_of_equity(folder: Path) -> None:
    """Anchor's equity is 15: half of it is 7.5, at half severity 3.75, with no other shock."""
    path = spoiled(folder, "{property: -10%}", "{}")
    spoiled(folder, "funding: {small: 5%}\n  providers: {cloud: 100%}", "equity: {Anchor: 50%}")
    spoiled(folder, "grid:\n  asset_classes: [0, 0.25, 0.5, 0.75, 1]\n  providers: [0, 1, 2]\n", "")
    lines = [json.loads(line) for line in whatif(path, "--format", "jsonl").splitlines()]
    assert [line["rounds"][0]["direct"] for line in lines if "rounds" in line] == pytest.approx([3.75, 7.5, 11.25])


def test_rules_that_would_fire_and_did_not_before() -> None:
    """The leverage rule's lowest level is 1 point above 4 %: at half severity Beacon and Cape reach it."""
    lines = [json.loads(line) for line in whatif(EXAMPLE / "property.yaml", "--format", "jsonl").splitlines()]
    fired = {(f["institution"], f["rule"]) for f in lines[0]["rules"]}
    assert fired == {("Beacon", "bank.capital.leverage"), ("Cape", "bank.capital.leverage")}
    assert {f["severity"] for f in lines[1]["rules"]} == {"critical"}


def test_a_grid_runs_every_pair_of_severities() -> None:
    """Where both severities are 1 stands the main run; at 0 property only the outage and its sales remain."""
    lines = [json.loads(line) for line in whatif(EXAMPLE / "property.yaml", "--format", "jsonl").splitlines()]
    cells = {tuple(line["grid"].values()): line for line in lines if "grid" in line}
    assert list(cells) == [(a, b) for a in (0, 0.25, 0.5, 0.75, 1) for b in (0, 1, 2)]
    assert cells[1, 1]["losses"] == pytest.approx(lines[1]["losses"])
    assert cells[0, 0]["losses"]["direct"] == 0.0
    assert cells[0, 2]["losses"]["direct"] == pytest.approx(2 * (0.4625 + 0.925 + 0.1025))
    assert "equity lost and defaults, by severity of asset_classes (down)" in whatif(EXAMPLE / "property.yaml")


PACK = """pack: thin
version: "1"
title: {en: Thin, zh: 薄}
rules:
  - id: thin.leverage
    title: {en: Thin leverage, zh: 杠杆率偏低}
    levels: {watch: leverage_ratio < 6%}
    message: {en: "{institution.code} {leverage_ratio:.1%}", zh: "{institution.code}{leverage_ratio:.1%}"}
"""


def test_a_pack_of_ones_own_judges_in_place_of_the_scenarios(tmp_path: Path) -> None:
    """The pack has one rule, at 6 %, which nobody broke before: it fires for those, and only those, below it now."""
    (tmp_path / "thin.yaml").write_text(PACK, encoding="utf-8")
    text = whatif(EXAMPLE / "property.yaml", "--format", "jsonl", "--pack", tmp_path / "thin.yaml")
    fired = json.loads(text.splitlines()[0])
    ratios = {name: found["ratio"] for name, found in fired["institutions"].items()}
    below = [name for name, ratio in ratios.items() if ratio < 0.06]
    assert below
    assert fired["rules"] == [
        {"rule": "thin.leverage", "institution": name, "state": "firing", "severity": "watch"} for name in below
    ]


def test_a_pack_needs_to_know_what_the_ratio_is(folder: Path) -> None:
    text = (folder / "property.yaml").read_text(encoding="utf-8")
    (folder / "property.yaml").write_text(text[: text.index("rules:")], encoding="utf-8")
    with pytest.raises(InputError, match=r"'rules' needs 'packs' and 'indicators'.*cet1_ratio: ratio"):
        read_scenario(folder / "property.yaml", ["bank-prudential"])


def test_the_table_names_who_falls() -> None:
    text = whatif(EXAMPLE / "property.yaml")
    assert "Property prices fall: 4 institutions" in text
    assert "in default at severity 1.5: Anchor, Beacon, Cape, Delta" in text


class Page(HTMLParser):
    """Counts the tags of a page and keeps its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_draws_network_waterfall_and_heat_map(tmp_path: Path) -> None:
    whatif(EXAMPLE / "property.yaml", "--out", tmp_path / "report.html")
    page = Page()
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    page.feed(source)
    assert (page.tags["svg"], page.tags["circle"], page.tags["line"], page.tags["rect"]) == (2, 4, 5, 6)
    assert "Rules that would fire" in page.text
    assert "fire sale" in page.text
    assert 'class="heat dark"' in source
    assert "http" not in source.replace("http-equiv", ""), "the page needs nothing from elsewhere"


def test_the_waterfall_fits_its_frame(tmp_path: Path) -> None:
    """Equity before, four channels, equity after: each bar and its name inside the 640 wide box."""
    whatif(EXAMPLE / "property.yaml", "--out", tmp_path / "report.html")
    drawn = (tmp_path / "report.html").read_text(encoding="utf-8").split("</svg>")[0]
    bars = [(float(x), float(w)) for x, w in re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawn)]
    assert len(bars) == 6
    assert all(x >= 0 and x + w <= 640 for x, w in bars)
    assert "equity after" in drawn


def test_the_page_in_chinese_has_no_english_phrase_left(tmp_path: Path) -> None:
    whatif(EXAMPLE / "property.yaml", "--out", tmp_path / "report.html", "--language", "zh")
    page = Page()
    page.feed((tmp_path / "report.html").read_text(encoding="utf-8").split("</style>")[1])
    assert "情景推演" in page.text
    for phrase in CHINESE:
        if " " in phrase and "{" not in phrase:
            assert phrase not in page.text


def test_without_holdings_assets_outside_are_one_class(folder: Path) -> None:
    (folder / "banks.csv").write_text(
        "institution,external_liabilities,external_assets\nAnchor,160,150\nBeacon,138,150\nCape,47,70\nDelta,66,65\n"
    )
    path = spoiled(folder, "holdings: holdings.csv\n", "")
    spoiled(folder, "{property: -10%}", "{external_assets: -5%}")
    spoiled(folder, "{property: 10%, bonds: 1%}", "10%")
    found = read_scenario(path)
    assert found.classes == ("external_assets",)
    assert found.model.price_impact.tolist() == [0.1]
    assert found.shock.returns.tolist() == [-0.05]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("property: -10%", "porperty: -10%", "property.yaml:9:.*no asset class 'porperty'.*did you mean 'property'"),
        ("property: -10%", "property: 10%", "from -100% to 0%"),
        ("small: 5%", "tiny: 5%", "no institution 'tiny'"),
        ("cloud: 100%", "clod: 100%", "did you mean 'cloud'"),
        ("outage_cost: 0.5%", "alpha: 1", "outage costs nothing"),
        ("recall: 50%", "recoil: 50%", "'model' has no key 'recoil'"),
        ("network: network.csv", "network: nowhere.csv", "nowhere.csv can't be read"),
        ("severity: [0.5, 1, 1.5]", "severity: [0]", "numbers above 0"),
        ("providers: [0, 1, 2]", "provider: [0, 1, 2]", "did you mean 'providers'"),
        ("providers: [0, 1, 2]", "institutions: [0, 1]", "'shocks' has no 'institutions' to vary"),
        ("providers: [0, 1, 2]", "providers: [-1]", "severities from 0"),
        ("  providers: [0, 1, 2]\n", "", "needs two kinds of shock"),
        ("leverage_ratio: ratio", "leverage_ratio: profit", "does not give 'profit'"),
        ("leverage_ratio: ratio", "leverage: ratio", "no indicator 'leverage'"),
        ("[Cape, Delta]", "[Cape, Dleta]", "did you mean 'Delta'"),
        ("shocks:", "shoks:", "a scenario has no key 'shoks'"),
        ("scenario: Property prices fall", "scenario: [", "not valid YAML"),
    ],
)
def test_mistakes_are_said_with_place_and_cure(folder: Path, old: str, new: str, words: str) -> None:
    path = spoiled(folder, old, new)
    with pytest.raises(InputError, match=words):
        CliRunner().invoke(app, ["whatif", str(path)], catch_exceptions=False)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't be read"):
        read_scenario(tmp_path / "none.yaml")


def test_the_manual_shows_this_scenario() -> None:
    shown = MANUAL.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    assert yaml.safe_load(shown) == yaml.safe_load((EXAMPLE / "property.yaml").read_text(encoding="utf-8"))
