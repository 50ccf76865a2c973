"""`guanlan desk` as a process, between real Kafka, the real Alertmanager and a web hook."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from alerts.events import encode
from rules.registry import Institution
from rules.transitions import Transition
from streams.clients import open_producer
from streams.registry import publish_institutions
from streams.topics import create_topics, topic_table
from tests.alerts.samples import episode, transition
from tests.alerts.web import Inbox
from tests.parts import Broker
from tests.programs import Program

SILENT = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"

pytestmark = pytest.mark.needs("kafka", "alertmanager")


class Place:
    """Topics of one test on the broker, and desks that read them."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._folder = folder
        self._started = 0
        self._policy = folder / "desk.yaml"
        self._policy.write_text("gather: 0s\nsettle: 1s\n", encoding="utf-8")
        create_topics(bootstrap, topic_table(prefix, partitions=3))
        names = {"en": "Bank of Jiangnan", "zh": "江南银行"}
        publish_institutions(bootstrap, f"{prefix}institutions", [Institution("CN001", names)])

    def publish(self, *events: Transition) -> None:
        """Put events on the topic, as a worker does."""
        producer = open_producer(self._bootstrap)
        for event in events:
            key, value, headers = encode(event)
            producer.send(f"{self._prefix}alerts", key=key, value=value, headers=headers)
        producer.flush()
        producer.close()

    def partitions(self, desk: int) -> int:
        """Return how many partitions the n-th desk said last that it has."""
        said = re.findall(r"(\d+) partitions of alerts", (self._folder / f"desk-{desk}.log").read_text())
        return int(said[-1]) if said else 0

    @contextmanager
    def desk(self, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """Start `guanlan desk`; end it at the end if it still runs."""
        self._started += 1
        log = self._folder / f"desk-{self._started}.log"
        environment = {
            **os.environ,
            "GUANLAN_BOOTSTRAP": self._bootstrap,
            "GUANLAN_TOPIC_PREFIX": self._prefix,
            "GUANLAN_METRICS_HOST": "127.0.0.1",
            "GUANLAN_DESK_METRICS_PORT": "0",
            "GUANLAN_DESK_POLICY": str(self._policy),
            **settings,
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "guanlan.cli", "desk"], env=environment, stdout=out, stderr=out
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)
            print(log.read_text())


@pytest.fixture
def place(kafka: Broker, topic_prefix: str, tmp_path: Path) -> Place:
    """Topics of this test alone."""
    return Place(kafka.bootstrap, topic_prefix, tmp_path)


def shown(program: Program) -> set[tuple[str, str]]:
    """Return subject and severity of what Alertmanager holds for open."""
    found: list[dict[str, Any]] = httpx.get(f"{program.url}/api/v2/alerts").raise_for_status().json()
    tellings = [alert["labels"] for alert in found if alert["labels"].get("replaced") != "yes"]
    return {(told["subject"], told["severity"]) for told in tellings}


def until(wanted: object, ask: Callable[[], object], seconds: float = 90.0) -> None:
    """Ask until the answer is as wanted; fail with the last answer when it never is."""
    give_up = time.monotonic() + seconds
    answer = ask()
    while answer != wanted and time.monotonic() < give_up:
        time.sleep(0.1)
        answer = ask()
    assert answer == wanted


def current(*events: Transition) -> list[Transition]:
    """Return the events as if they were seen now."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [msgspec.structs.replace(event, seen_at=stamp) for event in events]


def test_the_way_out(place: Place, alertmanager: Callable[[str], Program]) -> None:
    """Open alerts, news, an outage of one target, a crash of the desk: each target ends with the whole truth.

    The alerts of CN001 live through all of it; those of CN002 were over before the desk first started.
    """
    first, second, third, last = current(*episode("CN001"))
    place.publish(first, *current(*episode("CN002")))
    program = alertmanager(SILENT)
    with ExitStack() as stack:
        inbox = stack.enter_context(Inbox())
        settings = {"GUANLAN_ALERTMANAGER_URL": program.url, "GUANLAN_NOTIFY": f"json://{inbox.address}"}
        desk = stack.enter_context(place.desk(**settings))
        until({("CN001", "watch")}, lambda: shown(program))
        inbox.wait(lambda i: len(i.posts) == 1)
        assert inbox.posts[0]["title"] == "[new: watch] Liquidity coverage ratio: Bank of Jiangnan (CN001)"

        program.kill()
        place.publish(second)
        inbox.wait(lambda i: len(i.posts) == 2)
        program.restart()
        until({("CN001", "watch"), ("CN001", "critical")}, lambda: shown(program))

        inbox.status = 503
        place.publish(third)
        inbox.wait(lambda i: i.tries > 2)
        desk.send_signal(signal.SIGKILL)
        desk.wait()
        inbox.status = 200
        place.publish(last, *current(transition(subject="CN003")))
        stack.enter_context(place.desk(**settings))
        until({("CN003", "watch")}, lambda: shown(program))
        inbox.wait(lambda i: sum(len(post["alerts"]) for post in i.posts) >= 5)
        kinds = [alert["kind"] for post in inbox.posts for alert in post["alerts"]]
        assert sorted(kinds[2:]) == ["eased", "firing", "resolved"]


def test_two_desks_share_and_one_takes_over(place: Place) -> None:
    """Two desks divide the partitions; when one leaves, the other goes on, and nothing is lost."""
    subjects = [f"CN{n:03}" for n in range(100, 112)]
    with ExitStack() as stack:
        inbox = stack.enter_context(Inbox())
        settings = {"GUANLAN_NOTIFY": f"json://{inbox.address}"}
        desks = [stack.enter_context(place.desk(**settings)) for _ in range(2)]
        until([1, 2], lambda: sorted(place.partitions(number) for number in (1, 2)))
        for subject in subjects:
            place.publish(*current(transition(subject=subject)))
        inbox.wait(lambda i: told(i, "firing") >= set(subjects))
        desks[0].terminate()
        assert desks[0].wait(60) == 0
        until(3, lambda: place.partitions(2))
        for subject in subjects:
            place.publish(*current(transition("escalated", subject, as_of="2026-04-01")))
        inbox.wait(lambda i: told(i, "escalated") >= set(subjects))


def told(inbox: Inbox, kind: str) -> set[str]:
    """Return the subjects of notices of a kind that came."""
    return {alert["subject"] for post in inbox.posts for alert in post["alerts"] if alert["kind"] == kind}


def test_a_broker_that_does_not_answer(tmp_path: Path) -> None:
    """Exit code 3 and one sentence, no traceback."""
    environment = {**os.environ, "GUANLAN_NOTIFY": "json://127.0.0.1:1", "GUANLAN_BOOTSTRAP": "127.0.0.1:1"}
    ended = subprocess.run(
        [sys.executable, "-m", "guanlan.cli", "desk", "--metrics-port", "0"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 3
    assert "no Kafka broker answers at 127.0.0.1:1" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "there is nobody to notify: set GUANLAN_ALERTMANAGER_URL or GUANLAN_NOTIFY"),
        ({"GUANLAN_NOTIFY": "nonsense://token@x"}, "Apprise does not understand the URL that begins with 'nonsense'"),
        ({"GUANLAN_ALERTMANAGER_URL": "localhost"}, "must be like http://host:9093"),
    ],
)
def test_wrong_settings_are_exit_code_2(settings: dict[str, str], said: str, tmp_path: Path) -> None:
    """What is wrong is said before anything starts, with the setting's name."""
    ended = subprocess.run(
        [sys.executable, "-m", "guanlan.cli", "desk", "--metrics-port", "0"],
        env={**os.environ, **settings},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert said in ended.stderr.replace("\n", " ")
