"""`docs/operators.md` tells what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from guanlan.commands import desk_
from guanlan.settings import Settings
from tests.dashboards.test_deploy import DEPLOY, read, run

PAGE = (Path(__file__).parents[2] / "docs" / "operators.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its head."""
    below = PAGE.split(f"\n## {heading}\n")[1]
    lines = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert lines is not None
    cells = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in lines.group().splitlines()]
    return [[cell.strip().strip("`") for cell in row] for row in cells[2:]]


def shown(default: object) -> str:
    """Return a default as the table writes it."""
    return ",".join(default) if isinstance(default, list) else str(default)


def test_every_setting_is_told_with_its_default() -> None:
    """The table has each setting once, with the default that the code has."""
    told = {name: default for name, default, _ in rows("Settings")}
    assert told == {f"GUANLAN_{name.upper()}": shown(field.default) for name, field in Settings.model_fields.items()}
    assert f"`GUANLAN_DESK_METRICS_PORT` (default {desk_.METRICS_PORT})" in PAGE


def test_every_rule_about_guanlan_has_a_remedy() -> None:
    """The table of Guanlan's own alerts and the rule file name the same ones."""
    rules = [rule["alert"] for group in read("prometheus/guanlan.rules.yml")["groups"] for rule in group["rules"]]
    assert [row[0] for row in rows("Watching Guanlan")] == rules


def test_the_receivers_are_those_of_the_configuration() -> None:
    """The table of receivers names those that Alertmanager has."""
    receivers = {receiver["name"] for receiver in read("alertmanager/alertmanager.yml")["receivers"]}
    assert {row[1] for row in rows("Alerts")} == receivers


def test_the_variables_of_the_stack_are_told() -> None:
    """Each variable that the compose file reads from its environment is on the page."""
    variables = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text(encoding="utf-8")))
    assert {name for name in variables if f"`{name}`" not in PAGE} == set()


def test_the_addresses_are_the_published_ports() -> None:
    """The addresses on the page are the ports that compose publishes."""
    ports = {port.split(":")[1] for s in read("compose.yaml")["services"].values() for port in s.get("ports", ())}
    assert set(re.findall(r"localhost:(\d+)(?= \|)", PAGE)) == ports


@pytest.mark.needs("alertmanager")
def test_the_example_of_a_receiver_is_valid(tmp_path: Path) -> None:
    """What the page tells to put into Alertmanager's configuration, Alertmanager takes."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert yaml.safe_load(example)["receivers"]
    (tmp_path / "alertmanager.yml").write_text(example, encoding="utf-8")
    template = (DEPLOY / "alertmanager" / "guanlan.tmpl").read_text(encoding="utf-8")
    (tmp_path / "guanlan.tmpl").write_text(template, encoding="utf-8")
    said = run("amtool", "check-config", tmp_path / "alertmanager.yml")
    assert "1 templates" in said
