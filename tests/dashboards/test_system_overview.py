"""The dashboard *System overview*: current, bilingual, and every query answered by a real Prometheus."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from deploy.grafana.build import FOLDER, rendered
from tests.dashboards.asking import SCRAPE, Asked
from tests.dashboards.sector import EACH, TYPES, Sector
from tests.programs import start_prometheus

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
BANKS = 3 * EACH


def board() -> dict[str, Any]:
    """Return the dashboard as it is provisioned."""
    text = (FOLDER / "system-overview.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def panels() -> list[dict[str, Any]]:
    """Return every panel that shows data."""
    return [panel for panel in board()["panels"] if panel["type"] != "row"]


def targets() -> list[Any]:
    """Return (panel title, target) as test parameters named by them."""
    return [
        pytest.param(panel["title"], target, id=f"{panel['title']} {target['refId']}")
        for panel in panels()
        for target in panel["targets"]
    ]


@pytest.mark.xdist_group("sector")
@pytest.mark.needs("prometheus")
@pytest.mark.parametrize(("title", "target"), targets())
def test_every_query_is_answered(asked: Asked, title: str, target: dict[str, Any]) -> None:
    """The query, as the panel asks it, gives series whose newest values are numbers."""
    if target.get("instant"):
        newest = [series["value"][1] for series in asked.instant(target["expr"])]
    else:
        newest = [series["values"][-1][1] for series in asked.over_time(target["expr"])]
    assert newest, f"{title}: nothing for {target['expr']}"
    assert all(value not in ("NaN", "+Inf", "-Inf") for value in newest), newest


def query(title: str, number: int = 0) -> str:
    """Return a query of the panel whose English title begins so."""
    (panel,) = [panel for panel in panels() if panel["title"].startswith(title)]
    return str(panel["targets"][number]["expr"])


def value(vector: list[dict[str, Any]]) -> float:
    """Return the only number of a vector."""
    (series,) = vector
    return float(series["value"][1])


@pytest.mark.xdist_group("sector")
@pytest.mark.needs("prometheus")
def test_answers_are_the_sectors(asked: Asked, sector: Sector) -> None:
    """Counts, bands, quantiles and ranks are those of the values behind the exposition."""
    everyone = len(sector.institutions)
    assert value(asked.instant(query("Institutions reporting"))) == everyone
    assert value(asked.instant(query("Institutions reporting", 1))) == everyone
    assert [value(asked.instant(query("Alerts firing ·", n))) for n in range(3)] == [2, 3, 5]
    assert value(asked.instant(query("Banks behind that day"))) == 3
    assert value(asked.instant(query("Records behind ·"))) == 42
    lcr = sector.known("lcr")
    bands = [value(asked.instant(query("LCR: number of banks", n))) for n in range(5)]
    assert sum(bands) == len(lcr) == BANKS
    assert bands[0] == sum(number < 1 for number in lcr.values())
    lowest = asked.instant(query("LCR: the ten lowest"))
    assert {series["metric"]["institution"] for series in lowest} == set(sorted(lcr, key=lambda k: lcr[k])[:10])
    assert all(series["metric"]["name"].startswith("Institution") for series in lowest)
    assert all(series["metric"]["name_zh"].startswith("机构") for series in lowest)
    assert {s["metric"]["type"] for s in asked.instant(query("Capital adequacy ratio: median"))} == set(TYPES[:3])
    assert {s["metric"]["type"] for s in asked.instant(query("Core solvency ratio: median"))} == set(TYPES[3:])
    p99 = value(asked.instant(query("Submission to alert, 99%")))
    assert 0.1 < p99 <= 0.25
    assert value(asked.instant(query("Targets that take notices"))) == 1


@pytest.mark.needs("prometheus")
def test_two_workers_count_an_institution_once(tmp_path: Path) -> None:
    """Every worker exposes the registry; the dashboard does not count it twice, and names still join."""
    with Sector() as one, Sector() as other:
        program = start_prometheus(tmp_path, SCRAPE % (f'{one.worker}", "{other.worker}', one.desk), {})
        try:
            found = Asked(program.url)
            found.wait(f"count(guanlan_institution_info) == {2 * len(one.institutions)}")
            assert value(found.instant(query("Institutions reporting", 1))) == len(one.institutions)
            assert found.instant(query("NPL ratio: the ten highest"))
        finally:
            program.stop()


def test_the_json_is_current() -> None:
    """What is provisioned is what the code builds; `python -m deploy.grafana.build` writes it."""
    assert rendered() == {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}


def test_titles_are_in_both_languages() -> None:
    """Every row, panel and variable is titled in English and Chinese."""
    found = board()
    titles = [panel["title"] for panel in found["panels"]] + [v["label"] for v in found["templating"]["list"]]
    assert all(re.fullmatch(r"[^·]*[A-Za-z][^·]* · .*[\u4e00-\u9fff].*", title) for title in [*titles, found["title"]])


def test_panels_fill_the_grid_without_overlap() -> None:
    """No two panels share a cell, none leaves the grid, and ids are unique."""
    cells: set[tuple[int, int]] = set()
    for panel in board()["panels"]:
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not own & cells, panel["title"]
        cells |= own
    ids = [panel["id"] for panel in board()["panels"]]
    assert len(set(ids)) == len(ids)


def test_units_are_grafanas() -> None:
    """A unit that Grafana does not know would be shown as a suffix."""
    known = {unit for name, unit in vars(units).items() if isinstance(unit, str) and not name.startswith("_")}
    used = {panel["fieldConfig"]["defaults"]["unit"] for panel in panels()}
    assert {unit for unit in used - known if not unit.startswith("currency:")} == set()


def test_grafanas_own_types_read_it() -> None:
    """The official types of Grafana's dashboard schema read the JSON and give it back unchanged."""
    found = board()
    again = json.loads(json.dumps(models.Dashboard.from_json(found).to_json(), default=lambda o: o.to_json()))
    assert again == found


def test_provisioning_names_what_there_is() -> None:
    """The provider reads the folder that compose mounts, and the data source is a Prometheus."""
    provider = yaml.safe_load((GRAFANA / "provisioning/dashboards/guanlan.yaml").read_text(encoding="utf-8"))
    source = yaml.safe_load((GRAFANA / "provisioning/datasources/guanlan.yaml").read_text(encoding="utf-8"))
    compose = yaml.safe_load((GRAFANA.parent / "compose.yaml").read_text(encoding="utf-8"))
    mounts = dict(
        volume.split(":")[:2] for volume in compose["services"]["grafana"]["volumes"] if volume.startswith("./")
    )
    assert provider["providers"][0]["options"]["path"] == mounts["./grafana/dashboards"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    assert source["datasources"][0]["type"] == "prometheus"
