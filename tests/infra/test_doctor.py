"""`guanlan doctor` finds what is wrong, says how to mend it, and ends with an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from guanlan.doctor import Finding, check_alertmanager, check_data_dir, check_kafka, check_metrics_port, check_packs
from guanlan.settings import Settings, load_settings
from rules.registry import Institution
from streams.daemon import free_port
from streams.registry import publish_institutions
from streams.topics import INSTITUTIONS, create_topics, topic_table
from tests.parts import Broker
from tests.programs import Program


def _states(findings: list[Finding]) -> dict[str, str]:
    return {finding.name: finding.state for finding in findings}


def _doctor(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guanlan.cli", "doctor", *arguments]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GUANLAN_", "KAFKA_"))}
    return subprocess.run(
        command,
        cwd=folder,
        env=env | environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_a_broker_without_topics_and_then_with_all(kafka: Broker, topic_prefix: str) -> None:
    """Missing topics and an empty registry are wrong, each with the command that mends it; once mended, all is ok."""
    settings = load_settings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, partitions=2)
    before = list(check_kafka(settings))
    assert _states(before) == {"Kafka": "ok", "topics": "wrong", "registry": "wrong"}
    assert [f.fix for f in before[1:]] == ["guanlan topics create", "guanlan institutions load FILE"]

    create_topics(kafka.bootstrap, topic_table(topic_prefix, 2, 1))
    publish_institutions(kafka.bootstrap, topic_prefix + INSTITUTIONS, [Institution(code="CN001")])
    assert _states(list(check_kafka(settings))) == {"Kafka": "ok", "topics": "ok", "registry": "ok"}


def test_another_number_of_partitions_is_wrong(kafka: Broker, topic_prefix: str) -> None:
    """Topics with another number of partitions than the settings say are named, with both numbers."""
    create_topics(kafka.bootstrap, topic_table(topic_prefix, 2, 1))
    settings = load_settings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, partitions=4)
    topics = next(f for f in check_kafka(settings) if f.name == "topics")
    assert topics.state == "wrong"
    assert f"{topic_prefix}filings: partitions is 2, should be 4" in topics.detail


def test_alertmanager_answers_or_not(alertmanager: Callable[..., Program]) -> None:
    """A running Alertmanager is ok, an address where nothing answers is wrong, none set is only absent."""
    program = alertmanager("route: {receiver: none}\nreceivers: [{name: none}]\n")
    nobody = f"http://127.0.0.1:{free_port()}"
    both = load_settings(alertmanager_url=f"{program.url},{nobody}")
    assert [f.state for f in check_alertmanager(both)] == ["ok", "wrong"]
    assert [f.state for f in check_alertmanager(load_settings(alertmanager_url=""))] == ["absent"]


def test_a_metrics_port_of_another_program_is_wrong(alertmanager: Callable[..., Program]) -> None:
    """A port that something else serves is wrong, a free one is ok."""
    taken = int(alertmanager("route: {receiver: none}\nreceivers: [{name: none}]\n").url.rsplit(":", 1)[1])
    assert [f.state for f in check_metrics_port(load_settings(metrics_port=taken))] == ["wrong"]
    assert [f.state for f in check_metrics_port(load_settings(metrics_port=free_port()))] == ["ok"]


@pytest.mark.parametrize(("packs", "state"), [("bank-prudential", "ok"), ("bank-prudental", "wrong"), ("", "absent")])
def test_packs_compile_or_not(packs: str, state: str) -> None:
    """Packs that compile are ok, one that is not there is wrong, none set is only absent."""
    assert [f.state for f in check_packs(load_settings(packs=packs))] == [state]


def test_a_data_dir_below_a_file_is_wrong(tmp_path: Path) -> None:
    """A folder that can't come to be is wrong; one that can is ok."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert [f.state for f in check_data_dir(Settings(data_dir=tmp_path / "file" / "state"))] == ["wrong"]
    assert [f.state for f in check_data_dir(Settings(data_dir=tmp_path / "new" / "state"))] == ["ok"]


def test_the_command_ends_with_1_where_no_broker_answers(tmp_path: Path) -> None:
    """Without a broker the command exits with 1 and says so, for people and for scripts."""
    nobody = f"127.0.0.1:{free_port()}"
    told = _doctor(tmp_path, "--bootstrap", nobody)
    assert (told.returncode, told.stderr) == (1, "")
    assert f"no broker answers at {nobody}" in told.stdout
    assert "→ start Kafka" in told.stdout

    answer = _doctor(tmp_path, "--json", "--bootstrap", nobody)
    findings = {f["name"]: f for f in json.loads(answer.stdout)["findings"]}
    assert answer.returncode == 1
    assert json.loads(answer.stdout)["ok"] is False
    assert findings["Kafka"]["state"] == "wrong"
    assert findings["packages"]["state"] == "ok"


def test_the_command_ends_with_0_where_all_is_well(kafka: Broker, topic_prefix: str, tmp_path: Path) -> None:
    """With broker, topics and registry in order the command exits with 0."""
    create_topics(kafka.bootstrap, topic_table(topic_prefix, 2, 1))
    publish_institutions(kafka.bootstrap, topic_prefix + INSTITUTIONS, [Institution(code="CN001")])
    environment = {
        "GUANLAN_BOOTSTRAP": kafka.bootstrap,
        "GUANLAN_TOPIC_PREFIX": topic_prefix,
        "GUANLAN_PARTITIONS": "2",
        "GUANLAN_METRICS_PORT": "0",
    }
    told = _doctor(tmp_path, **environment)
    assert (told.returncode, told.stderr) == (0, "")
    assert "nothing that is needed to run is wrong" in told.stdout


def test_a_wrong_setting_is_a_finding(tmp_path: Path) -> None:
    """A setting that can't be read is reported as one finding and not as a traceback."""
    told = _doctor(tmp_path, "--json", GUANLAN_PARTITIONS="many")
    settings = next(f for f in json.loads(told.stdout)["findings"] if f["name"] == "settings")
    assert told.returncode == 1
    assert "partitions" in settings["detail"]
