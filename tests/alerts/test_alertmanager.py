"""The sink for Alertmanager, against the real program with the shipped configuration, its durations cut to seconds."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from alerts.desk import Notice
from alerts.sinks import SinkDown
from alerts.sinks.alertmanager import SETTLE_SECONDS, AlertmanagerSink
from alerts.sinks.storms import Digesting
from alerts.telling import Again, Telling
from rules.problems import ConfigError
from rules.transitions import Transition
from tests.alerts.samples import episode, names, transition
from tests.alerts.web import Inbox
from tests.programs import Program

SHIPPED = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"
DURATIONS = {"5s": "300ms", "10s": "400ms", "15s": "700ms", "30s": "1s"}
SETTLE = 1.6
SILENT = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
ODD = {"peer-group": "a", "类型": "b", "type": "c", "severity": "forged"}

Start = Callable[[str], Program]


def shipped(address: str) -> str:
    """Return the shipped configuration with short durations, every receiver a webhook that hears of ends."""
    config = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    del config["templates"]
    for route in [config["route"], *config["route"]["routes"]]:
        route.update(
            {
                key: DURATIONS.get(route[key], route[key])
                for key in route
                if key.startswith("group_") and key != "group_by"
            }
        )
    for receiver in config["receivers"]:
        if receiver["name"] != "nobody":
            receiver["webhook_configs"] = [{"url": f"http://{address}/", "send_resolved": True}]
    return yaml.safe_dump(config)


class Desk:
    """A desk without Kafka: events in, a real Alertmanager out, in real time."""

    def __init__(
        self, program: Program, again: Again | None = None, above: int = 10_000, settle: float = SETTLE
    ) -> None:
        self.telling = Telling(again, partition=0)
        self.sink = AlertmanagerSink(
            program.url, time.time, names=names, digesting=Digesting(above, 600.0), settle=settle, gather=0.0, look=0.1
        )
        self.sink.setup()
        self.offset = 0

    def tell(self, *events: Transition) -> None:
        """Give events to the sink."""
        for event in events:
            for notice in self.telling.fold(event, time.time(), self.offset):
                self.sink.add(notice)
            self.offset += 1

    def repeat(self) -> None:
        """Give every open alert again, as the desk does each minute and when it starts."""
        for notice in self.telling.standing():
            self.sink.add(notice)
        self.sink.assigned([0])

    def run(self, seconds: float) -> None:
        """Flush for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.sink.flush()
            time.sleep(0.05)


class Heard:
    """What receivers were told, from the webhook's posts."""

    def __init__(self, inbox: Inbox) -> None:
        self.posts: list[dict[str, Any]] = list(inbox.posts)

    def messages(self, status: str) -> Counter[tuple[str, str]]:
        """Count messages by receiver and alert in which the alert is news: told so, and not in the message before."""
        found: Counter[tuple[str, str]] = Counter()
        last: dict[tuple[str, str], set[str]] = {}
        for post in self.posts:
            key = (post["receiver"], post["groupKey"])
            steps = {a["labels"]["step"] for a in post["alerts"] if a["status"] == status}
            alerts = {a["labels"]["step"]: a["labels"]["alert_id"] for a in post["alerts"]}
            found.update((post["receiver"], alerts[step]) for step in steps - last.get(key, set()))
            last[key] = steps
        return found


def active(program: Program) -> list[dict[str, Any]]:
    """Return the alerts that Alertmanager holds for open, without its marks."""
    found = httpx.get(f"{program.url}/api/v2/alerts").raise_for_status().json()
    return [alert for alert in found if alert["labels"].get("replaced") != "yes"]


def test_two_hundred_alerts_change_at_random_moments(alertmanager: Start) -> None:
    """Escalated, eased and resolved around flushes: each receiver hears each once, and "resolved" at the end only."""
    draw = random.Random(20260331)
    with Inbox() as inbox:
        program = alertmanager(shipped(inbox.address))
        desk = Desk(program)
        cases = [episode(f"CN{n:03}") for n in range(200)]
        ids = {events[0].alert_id for events in cases}
        expected: Counter[tuple[str, str]] = Counter()
        for turn, receiver in enumerate(("watch-list", "supervisors-urgent", "watch-list")):
            moments = sorted((draw.random() * 2.0, n) for n in range(200))
            start = time.monotonic()
            for moment, n in moments:
                desk.run(start + moment - time.monotonic())
                desk.tell(cases[n][turn])
            desk.run(2 * SETTLE + 0.4)
            expected.update((receiver, alert) for alert in ids)
            assert Heard(inbox).messages("firing") == expected
            assert not Heard(inbox).messages("resolved")
        for _, n in sorted((draw.random(), n) for n in range(200)):
            desk.tell(cases[n][3])
            desk.run(0.005)
        desk.run(2 * SETTLE + 0.4)
        assert Heard(inbox).messages("firing") == expected
        told = {(receiver, alert): 1 for alert in ids for receiver in ("watch-list", "supervisors-urgent")}
        assert Heard(inbox).messages("resolved") == told
        assert not desk.sink.waiting()
        assert active(program) == []


def test_one_filing_with_eight_findings_is_one_message_and_a_storm_is_a_digest(alertmanager: Start) -> None:
    """An institution and a family of rules are one message; beyond the policy's number, one message a receiver."""
    with Inbox() as inbox:
        program = alertmanager(shipped(inbox.address))
        desk = Desk(program, above=3)
        desk.tell(*(transition(rule=f"bank.liquidity.r{n}") for n in range(8)))
        desk.run(1.2)
        assert [(post["receiver"], len(post["alerts"])) for post in inbox.posts] == [("watch-list", 8)]
        desk.tell(*(transition(subject=f"CN{n:03}", severity=("watch", "critical")[n % 2]) for n in range(100, 160)))
        desk.run(1.2)
        assert sorted((post["receiver"], len(post["alerts"])) for post in inbox.posts[1:]) == [
            ("supervisors-urgent", 30),
            ("watch-list", 30),
        ]
        digests = desk.sink.digests(0)
        again = Desk(program, above=3)
        again.sink.restore(0, digests)
        again.telling, again.offset = desk.telling, desk.offset
        program.kill()
        program.restart()
        again.repeat()
        again.run(1.5)
        assert len(active(program)) == 68
        groups = {alert["labels"]["group"] for alert in active(program)}
        assert len(groups) == 2, "after a restart of both, what was in a digest is in it still"


def test_an_old_first_event_does_not_defeat_the_wait_for_a_group(alertmanager: Start) -> None:
    """Filings of twenty minutes ago that come one after another are one message all the same."""
    with Inbox() as inbox:
        program = alertmanager(shipped(inbox.address).replace("400ms", "1500ms"))
        desk = Desk(program, settle=3.0)
        for n in range(4):
            desk.tell(transition(rule=f"bank.liquidity.r{n}", seen_at="2026-03-31T22:40:05Z"))
            desk.run(0.2)
        desk.run(1.5)
        assert [len(post["alerts"]) for post in inbox.posts] == [4]


def test_a_desk_that_is_away_resolves_nothing_and_finds_what_ended_meanwhile(alertmanager: Start) -> None:
    """Open alerts end a year ahead. What the topic no longer has is ended when the desk is back."""
    with Inbox() as inbox:
        program = alertmanager(shipped(inbox.address))
        desk = Desk(program)
        desk.tell(transition(subject="CN001"), transition(subject="CN002"))
        desk.run(1.0)
        assert all(
            int(alert["endsAt"][:4]) > time.gmtime(time.time() + 360 * 86_400).tm_year - 1 for alert in active(program)
        )
        back = Desk(program)
        for event in (transition(subject="CN001"), *episode("CN002")):
            back.telling.fold(event, time.time(), back.offset)
        back.repeat()
        back.run(1.6)
        assert [post["alerts"][0]["labels"]["subject"] for post in inbox.posts if post["status"] == "resolved"] == [
            "CN002"
        ]
        assert [alert["labels"]["subject"] for alert in active(program)] == ["CN001"]


def test_an_end_that_was_lost_in_a_kill_is_sent_again(alertmanager: Start) -> None:
    """Killed after it took the end and before it told it: the next process gets it, and tells it once."""
    with Inbox() as inbox:
        program = alertmanager(shipped(inbox.address))
        desk = Desk(program)
        desk.tell(transition(subject="CN001"), transition(subject="CN002"))
        desk.run(SETTLE + 0.3)
        program.stop()  # in order, so that it writes down whom it told
        program.restart()
        desk.run(0.2)
        desk.tell(transition("resolved", "CN001", as_of="2026-04-30"))
        desk.sink.flush()
        assert {alert["labels"]["subject"] for alert in active(program)} == {"CN002"}
        assert desk.sink.waiting(), "not sure yet, so the offset must not pass it"
        program.kill()
        assert not [post for post in inbox.posts if post["status"] == "resolved"]
        program.restart()
        desk.run(2 * SETTLE + 0.5)
        ended = [post["alerts"][0]["labels"]["subject"] for post in inbox.posts if post["status"] == "resolved"]
        assert ended == ["CN001"]
        assert {alert["labels"]["subject"] for alert in active(program)} == {"CN002"}


def test_silenced_and_released(alertmanager: Start) -> None:
    """A suppressed alert is no end; a release is told once; its end then reaches who was told."""
    with Inbox() as inbox:
        program = alertmanager(shipped(inbox.address))
        desk = Desk(program)
        first = transition(severity="critical")
        desk.tell(first)
        desk.run(SETTLE)
        desk.tell(transition("suppressed", severity="critical", as_of="2026-04-01", suppressed_by=["waiver"]))
        desk.run(SETTLE)
        (alert,) = active(program)
        assert alert["status"]["state"] == "suppressed"
        desk.tell(transition("released", severity="critical", as_of="2026-04-02"))
        desk.run(2 * SETTLE + 2.0)
        receiver = ("supervisors-urgent", first.alert_id)
        assert Heard(inbox).messages("firing") == {receiver: 2}
        assert not Heard(inbox).messages("resolved")
        desk.tell(transition("resolved", as_of="2026-04-03"))
        desk.run(2 * SETTLE)
        assert Heard(inbox).messages("resolved") == {receiver: 1}


def test_labels_and_annotations_arrive(alertmanager: Start) -> None:
    """What routes, groups and explains is there, in both languages, through the program's own API."""
    program = alertmanager(SILENT)
    desk = Desk(program)
    event = transition(labels={**transition().labels, **ODD})
    desk.tell(event)
    desk.sink.flush()
    (alert,) = active(program)
    assert alert["labels"] == {
        "alertname": "bank.liquidity.lcr",
        "subject": "CN001",
        "family": "bank.liquidity",
        "group": "CN001 bank.liquidity",
        "severity": "watch",
        "pack": "bank-prudential",
        "route": "liquidity",
        "scope": "institution",
        "alert_id": event.alert_id,
        "step": event.id,
        "type": "c",
        "region": "Jiangsu",
        "peer_group": "city-large",
    }
    told = alert["annotations"]
    assert "江南银行" in told["headline_zh"]
    assert "Bank of Jiangnan" in told["headline_en"]
    assert (told["event_id"], told["partition"], told["opened"]) == (event.id, "0", event.seen_at)


def test_what_is_refused_is_a_dead_letter_and_holds_up_nothing() -> None:
    """When a request is refused each case goes alone: only the culprit is put aside, and named."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json={} if request.url.path.endswith("status") else [])
        bad = b"CN007" in request.content
        return httpx.Response(400 if bad else 200, text="bad label" if bad else "")

    client = httpx.Client(transport=httpx.MockTransport(answer))
    sink = AlertmanagerSink("http://alertmanager", time.time, client=client, gather=0.0)
    for notice in notices([transition(subject=f"CN{n:03}") for n in range(10)]):
        sink.add(notice)
    sink.flush()
    (letter,) = sink.dead()
    assert letter.reason == "400 bad label"
    assert letter.events == [transition(subject="CN007").id]
    assert sink.waiting() == []
    assert sink.dead() == []


def notices(events: Iterable[Transition]) -> Iterator[Notice]:
    """Yield the notices of the events."""
    telling = Telling(partition=0)
    for offset, event in enumerate(events):
        yield from telling.fold(event, time.time(), offset)


def test_down_then_up_loses_nothing(alertmanager: Start) -> None:
    """While the program is gone everything waits; when it is back everything is there."""
    program = alertmanager(SILENT)
    desk = Desk(program)
    program.kill()
    desk.tell(*(transition(subject=f"CN{n:03}") for n in range(20)))
    for _ in range(2):
        with pytest.raises(SinkDown, match="can't be reached"):
            desk.sink.flush()
    program.restart()
    desk.sink.flush()
    assert {a["labels"]["subject"] for a in active(program)} == {f"CN{n:03}" for n in range(20)}


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_an_answer_that_may_pass_is_tried_again(status: int) -> None:
    """A proxy's or an overloaded program's answer keeps what was added for the next flush."""
    sink = AlertmanagerSink(
        "http://alertmanager",
        time.time,
        client=httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(status))),
        gather=0.0,
    )
    for notice in notices([transition()]):
        sink.add(notice)
    with pytest.raises(SinkDown, match=str(status)):
        sink.flush()
    assert len(sink.waiting()) == 1


def test_the_shipped_configuration_settles_in_time() -> None:
    """No route of the desk's alerts takes longer to be flushed than a case's next change waits."""
    config = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    standard = config["route"]
    for route in [standard, *(r for r in standard["routes"] if r["receiver"] != "operations")]:
        waits = [route.get(key, standard[key]) for key in ("group_wait", "group_interval")]
        assert sum(int(re.fullmatch(r"(\d+)s", wait).group(1)) for wait in waits) < SETTLE_SECONDS  # type: ignore[union-attr]
        assert route.get("group_by", standard["group_by"]) == ["group"]


@pytest.mark.parametrize("url", ["localhost:9093", "ftp://host", "http://"])
def test_a_bad_address_is_said_at_once(url: str) -> None:
    """The address is checked before anything is read."""
    with pytest.raises(ConfigError, match="GUANLAN_ALERTMANAGER_URL"):
        AlertmanagerSink(url, time.time).setup()
