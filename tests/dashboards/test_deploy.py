"""The files of `deploy/`: each is checked by the program that reads it, and agrees with the others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from alerts.desk import Desk
from alerts.wording import annotations, evidence, headline, paragraph
from guanlan.commands import desk_
from guanlan.settings import Settings
from tests.alerts.samples import episode, names
from tests.dashboards.asking import Asked

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ALERTMANAGER = DEPLOY / "alertmanager" / "alertmanager.yml"
RULES = DEPLOY / "prometheus" / "guanlan.rules.yml"


def run(program: str, *arguments: str | Path) -> str:
    """Run a checker; fail with what it says when it finds something."""
    path = shutil.which(program)
    assert path is not None, f"{program} comes with the Debian package of its server"
    ended = subprocess.run([path, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def read(path: str) -> Any:
    """Return a YAML file of `deploy/`."""
    return yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))


@pytest.mark.needs("prometheus")
def test_promtool_takes_the_configuration() -> None:
    """Configuration and rules are what Prometheus reads."""
    run("promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml")


@pytest.mark.needs("prometheus")
def test_rules_fire_when_they_should() -> None:
    """The cases beside the rules hold, and every rule has a case in which it fires."""
    cases = DEPLOY / "prometheus" / "guanlan.rules.test.yml"
    run("promtool", "test", "rules", cases)
    fired = {
        check["alertname"]
        for case in yaml.safe_load(cases.read_text(encoding="utf-8"))["tests"]
        for check in case["alert_rule_test"]
        if check.get("exp_alerts")
    }
    assert fired == {
        rule["alert"] for group in read("prometheus/guanlan.rules.yml")["groups"] for rule in group["rules"]
    }


@pytest.mark.xdist_group("sector")
@pytest.mark.needs("prometheus")
def test_rules_read_series_that_exist(asked: Asked) -> None:
    """Every series that a rule reads is exposed by the worker or the desk."""
    for name in sorted(set(re.findall(r"guanlan_\w+", RULES.read_text(encoding="utf-8")))):
        assert asked.instant(name), name


@pytest.mark.needs("alertmanager")
def test_amtool_takes_the_configuration() -> None:
    """Configuration and templates are what Alertmanager reads."""
    said = run("amtool", "check-config", ALERTMANAGER)
    assert "1 templates" in said


@pytest.mark.needs("alertmanager")
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=critical route=liquidity", "supervisors-urgent"),
        ("severity=warning route=capital", "supervisors"),
        ("severity=watch route=capital", "watch-list"),
        ("severity=warning route=reporting", "data-quality"),
        ("severity=critical route=reporting", "supervisors-urgent"),
        ("severity=critical route=operations", "operations"),
        ("severity=warning", "supervisors"),
    ],
)
def test_alerts_reach_their_receiver(labels: str, receiver: str) -> None:
    """Alertmanager's own router sends alerts of each kind where they belong."""
    said = run("amtool", "config", "routes", "test", "--config.file", ALERTMANAGER, *labels.split())
    assert said.strip() == receiver


def rendered(template: str, alerts: list[dict[str, object]], folder: Path) -> str:
    """Return what Alertmanager makes of the alerts with one of our templates."""
    data = folder / "data.json"
    data.write_text(json.dumps({"status": "firing", "alerts": alerts, "groupLabels": {}}), encoding="utf-8")
    return run(
        "amtool",
        "template",
        "render",
        f"--template.glob={DEPLOY}/alertmanager/*.tmpl",
        f'--template.text={{{{ template "{template}" . }}}}',
        f"--template.data={data}",
    )


@pytest.mark.needs("alertmanager")
def test_the_template_words_an_alert_in_both_languages(tmp_path: Path) -> None:
    """A mail made from the template has what people get by any other way: the headline and all lines, twice."""
    desk = Desk()
    (notice, *_) = [desk.fold(event) for event in episode()]
    assert notice is not None
    alert: dict[str, object] = {
        "status": "firing",
        "labels": {"subject": "CN001", "severity": "watch"},
        "annotations": annotations(notice, names, "https://desk.example.org"),
        "startsAt": "2026-04-01T08:00:00Z",
    }
    said = [line for line in rendered("guanlan.text", [alert], tmp_path).splitlines() if line.strip()]
    assert said == [
        headline(notice, names, "en"),
        *paragraph(notice, "en", "https://desk.example.org"),
        headline(notice, names, "zh"),
        *paragraph(notice, "zh", "https://desk.example.org"),
        "Evidence / 依据数据",
        *evidence(notice.alert.last.values),
    ]
    subject = f"{headline(notice, names, 'en')} {headline(notice, names, 'zh')}"
    assert rendered("guanlan.subject", [alert], tmp_path).strip() == subject
    assert rendered("guanlan.subject", [alert, alert], tmp_path).strip() == f"2 alerts: {subject}"


@pytest.mark.needs("alertmanager")
def test_the_template_words_an_alert_of_operations(tmp_path: Path) -> None:
    """Those of Prometheus have summaries alone."""
    alert: dict[str, object] = {
        "status": "firing",
        "labels": {"alertname": "GuanlanDeskDown", "severity": "critical"},
        "annotations": {"summary_en": "The desk is down", "summary_zh": "预警通知服务不可用"},
        "startsAt": "2026-04-01T08:00:00Z",
    }
    said = [line for line in rendered("guanlan.text", [alert], tmp_path).splitlines() if line.strip()]
    assert said == ["[firing critical] GuanlanDeskDown", "The desk is down", "预警通知服务不可用"]
    subject = rendered("guanlan.subject", [alert], tmp_path).strip()
    assert subject == "[firing] The desk is down 预警通知服务不可用"


def test_compose_meets_the_specification() -> None:
    """The file holds to the published schema of the Compose Specification."""
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text(encoding="utf-8"))
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(read("compose.yaml"))) == []


def test_compose_sets_settings_that_exist() -> None:
    """Every GUANLAN_ variable of Guanlan's own services is a setting, and the packs come with Guanlan."""
    settings = {f"GUANLAN_{name.upper()}" for name in Settings.model_fields}
    services = read("compose.yaml")["services"]
    own = [service for service in services.values() if service["image"] == "guanlan:local"]
    assert len(own) == 3
    assert {name for service in own for name in service["environment"]} <= settings
    (packs,) = {re.sub(r"\$\{\w+:-(.*)\}", r"\1", service["environment"]["GUANLAN_PACKS"]) for service in own}
    assert [pack for pack in packs.split(",") if not (ROOT / "rules" / "packs" / f"{pack}.yaml").is_file()] == []


def test_compose_runs_commands_that_exist() -> None:
    """The services run commands of `guanlan`, and depend on services that are there."""
    from guanlan.cli import COMMANDS

    services = read("compose.yaml")["services"]
    commands = {service["command"][0] for service in services.values() if service["image"] == "guanlan:local"}
    assert commands == {"topics", "worker", "desk"} <= set(COMMANDS)
    assert {other for service in services.values() for other in service.get("depends_on", ())} <= services.keys()


def test_compose_mounts_files_that_exist() -> None:
    """What is mounted from here is here; what is named is declared."""
    compose = read("compose.yaml")
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in compose["volumes"], volume


def test_nothing_but_loopback_is_published() -> None:
    """Ports of the stack are reachable from this machine only; opening them is an operator's decision."""
    ports = [port for service in read("compose.yaml")["services"].values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_are_pinned() -> None:
    """No image floats."""
    images = {service["image"] for service in read("compose.yaml")["services"].values()}
    assert all(re.search(r":v?\d+\.\d+\.\d+$", image) for image in images - {"guanlan:local"})


def test_prometheus_scrapes_the_ports_that_are_served() -> None:
    """Targets are compose's services at the ports that worker and desk serve by default."""
    jobs = {job["job_name"]: job for job in read("prometheus/prometheus.yml")["scrape_configs"]}
    worker = jobs["guanlan-worker"]["dns_sd_configs"][0]
    (desk,) = jobs["guanlan-desk"]["static_configs"][0]["targets"]
    services = read("compose.yaml")["services"]
    assert {worker["names"][0], desk.split(":")[0]} <= services.keys()
    assert worker["port"] == Settings.model_fields["metrics_port"].default
    assert desk == f"desk:{desk_.METRICS_PORT}"
    assert set(re.findall(r'job="([\w-]+)"', RULES.read_text(encoding="utf-8"))) == jobs.keys()


def test_the_image_has_every_package() -> None:
    """The Dockerfile copies what the wheel is made of, its ignore file lets it through, and it all exists."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    dockerfile = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE)
        for source in line.split()[:-1]
    }
    let_through = set(re.findall(r"^!(.*)$", (DEPLOY / "Dockerfile.dockerignore").read_text(), re.MULTILINE))
    assert packages <= copied == let_through
    assert all((ROOT / source).exists() for source in copied)
