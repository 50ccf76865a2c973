"""The sink for Alertmanager, against the real program."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest

from alerts.desk import Desk, Notice
from alerts.sinks import SinkDown
from alerts.sinks.alertmanager import AlertmanagerSink, annotations, labels, postings
from rules.problems import ConfigError
from rules.transitions import Overdue, Transition
from tests.alerts.samples import episode, transition
from tests.alerts.web import Inbox
from tests.programs import Program

CONFIG = """
route: {receiver: inbox, group_by: [alertname, subject], group_wait: 100ms, group_interval: 1s}
receivers:
  - name: inbox
    webhook_configs: [{url: "http://%s/", send_resolved: true}]
"""
SILENT = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"

Start = Callable[[str], Program]


def recent(events: list[Transition]) -> list[Transition]:
    """Return the events as if they had been seen in the last minutes, a minute apart."""
    first = time.time() - 60 * len(events)
    stamps = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(first + 60 * i)) for i in range(len(events))]
    return [msgspec.structs.replace(event, seen_at=stamp) for event, stamp in zip(events, stamps, strict=True)]


def notices(events: list[Transition]) -> Iterator[Notice]:
    """Yield the notices of the events."""
    desk = Desk()
    for event in events:
        notice = desk.fold(event)
        if notice is not None:
            yield notice


def active(program: Program) -> list[dict[str, Any]]:
    """Return the alerts that Alertmanager holds for open."""
    return list(httpx.get(f"{program.url}/api/v2/alerts").raise_for_status().json())


def test_an_episode_in_the_real_program(alertmanager: Start) -> None:
    """Firing, escalated, eased, resolved: after each Alertmanager shows exactly the alert of that severity."""
    with Inbox() as inbox:
        program = alertmanager(CONFIG % inbox.address)
        sink = AlertmanagerSink(program.url, time.time)
        sink.setup()
        shown = []
        for notice in notices(recent(episode())):
            sink.add(notice)
            assert sink.flush() == 0
            shown.append([(a["labels"]["severity"], a["labels"]["alertname"]) for a in active(program)])
            severity = notice.alert.last.severity
            inbox.wait(lambda i, s=severity: s == "none" or s in severities(i, "firing"))  # type: ignore[misc]
        rule = "bank.liquidity.lcr"
        assert shown == [[("watch", rule)], [("critical", rule)], [("watch", rule)], []]
        inbox.wait(lambda i: {"watch", "critical"} <= severities(i, "resolved"))


def severities(inbox: Inbox, status: str) -> set[str]:
    """Return the severities of alerts that Alertmanager notified as `status`."""
    return {a["labels"]["severity"] for post in inbox.posts for a in post["alerts"] if a["status"] == status}


def test_labels_and_annotations_arrive(alertmanager: Start) -> None:
    """What routes, groups and explains is there, in both languages, through the program's own API."""
    program = alertmanager(SILENT)
    sink = AlertmanagerSink(program.url, time.time)
    (event,) = recent([transition()])
    for notice in notices([event]):
        sink.add(notice)
    sink.flush()
    (alert,) = active(program)
    assert alert["labels"] == {
        "alertname": "bank.liquidity.lcr",
        "subject": "CN001",
        "severity": "watch",
        "pack": "bank-prudential",
        "route": "liquidity",
        "scope": "institution",
        "alert_id": event.alert_id,
        "type": "city_bank",
        "region": "Jiangsu",
        "peer_group": "city-large",
    }
    told = alert["annotations"]
    assert told["message_en"] == "Bank of Jiangnan: LCR 97.3%, minimum 100%"
    assert told["message_zh"] == "江南银行流动性覆盖率97.3%,监管要求100%"
    assert told["basis_en"].startswith("商业银行流动性风险管理办法 (")
    assert told["basis_zh"].endswith("第三十七条")
    assert (told["action_en"], told["deadline_en"]) == ("Ask for a funding plan", "5 business days")
    assert (told["action_zh"], told["deadline_zh"]) == ("报送融资计划", "5个工作日")
    assert "lcr             97.30%  (2026-03-31)" in told["evidence"]
    assert told["event_id"] == event.id
    assert alert["startsAt"][:19] == event.seen_at[:19]
    assert alert["status"]["state"] == "active"


def test_repeats_keep_an_alert_open_and_single(alertmanager: Start) -> None:
    """Sending an open alert again moves its end ahead and makes no second alert."""
    program = alertmanager(SILENT)
    minute = [time.time()]
    sink = AlertmanagerSink(program.url, lambda: minute[0])
    (notice,) = notices(recent([transition()]))
    ends = []
    for later in (0.0, 60.0, 120.0):
        minute[0] += later
        sink.add(notice)
        sink.add(Notice("repeated", notice.alert, notice.alert))
        sink.flush()
        (alert,) = active(program)
        ends.append(alert["endsAt"])
    assert ends == sorted(set(ends))


def test_what_is_refused_holds_up_nothing(alertmanager: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program refuses a label's name outside its letters; the others of the same batch get through."""
    monkeypatch.setattr("alerts.sinks.alertmanager._LABEL", re.compile(""))
    program = alertmanager(SILENT)
    sink = AlertmanagerSink(program.url, time.time)
    bad = transition(subject="CN002", labels={"peer-group": "city"})
    for notice in notices(recent([transition(subject="CN001"), bad, transition(subject="CN003")])):
        sink.add(notice)
    assert sink.flush() == 1
    assert {a["labels"]["subject"] for a in active(program)} == {"CN001", "CN003"}


def test_down_then_up_loses_nothing(alertmanager: Start) -> None:
    """While the program is gone the batch stays; when it is back everything is there."""
    program = alertmanager(SILENT)
    sink = AlertmanagerSink(program.url, time.time)
    events = recent([transition(subject=f"CN{n:03}") for n in range(20)])
    program.kill()
    for notice in notices(events):
        sink.add(notice)
    for _ in range(2):
        with pytest.raises(SinkDown, match="can't be reached"):
            sink.flush()
    program.restart()
    assert sink.flush() == 0
    assert {a["labels"]["subject"] for a in active(program)} == {f"CN{n:03}" for n in range(20)}


@pytest.mark.parametrize("status", [404, 429, 500, 503])
def test_an_answer_that_may_pass_is_tried_again(status: int) -> None:
    """A proxy's or an overloaded program's answer keeps the batch for the next flush."""
    with Inbox() as inbox:
        inbox.status = status
        sink = AlertmanagerSink(f"http://{inbox.address}", time.time)
        for notice in notices(episode()):
            sink.add(notice)
        with pytest.raises(SinkDown, match=str(status)):
            sink.flush()
        inbox.status = 200
        sink.flush()
        assert len(inbox.posts) == 1


def test_one_bad_notice_is_found_among_many() -> None:
    """When a request is refused, each notice goes alone: only the culprit is dropped."""

    def answer(request: httpx.Request) -> httpx.Response:
        bad = b"CN007" in request.content
        return httpx.Response(400 if bad else 200, text="bad label" if bad else "")

    client = httpx.Client(transport=httpx.MockTransport(answer))
    sink = AlertmanagerSink("http://alertmanager", time.time, client=client)
    for notice in notices([transition(subject=f"CN{n:03}") for n in range(10)]):
        sink.add(notice)
    assert sink.flush() == 1
    assert sink.flush() == 0


def test_ends_are_never_before_starts() -> None:
    """Filings dated ahead of the clock, as in a play, still make alerts that Alertmanager takes."""
    now = 1_000_000_000.0
    for notice in notices(episode()):
        for posting in postings(notice, now):
            assert str(posting["startsAt"]) <= str(posting["endsAt"])
            assert str(posting["startsAt"]) <= "2001-09-09T01:46:40.000+00:00"


def test_a_corrected_start_keeps_the_labels() -> None:
    """A chain of `supersedes` is one alert to Alertmanager."""
    first = transition(started="2026-03-31")
    moved = transition(started="2026-03-30", as_of="2026-03-30", supersedes=first.alert_id)
    before, after = notices([first, moved])
    assert labels(before.alert) == labels(after.alert)
    assert len(postings(after, time.time())) == 1


def test_an_alert_whose_data_ran_out_stays_open_under_its_labels() -> None:
    """Stale is no end: the same alert is posted again, with the overdue form in its annotations."""
    late = Overdue("cn.liquidity.d", "2026-04-02", "2026-03-31", {"en": "Liquidity"})
    before, stale = notices([transition(), transition("stale", as_of="2026-04-02", overdue=[late])])
    now = time.time()
    (posting,) = postings(stale, now)
    assert labels(stale.alert) == labels(before.alert)
    assert str(posting["endsAt"]) > str(postings(before, now - 60)[0]["endsAt"])
    assert annotations(stale.alert)["overdue_en"].endswith("due by 1 April 2026, last filed for 31 March 2026")


def test_labels_that_prometheus_can_not_have_are_left_out() -> None:
    """A label's name outside Prometheus's letters would make the whole request be refused."""
    (notice,) = notices([transition(labels={"peer-group": "a", "类型": "b", "type": "c", "severity": "forged"})])
    found = labels(notice.alert)
    assert found["type"] == "c"
    assert found["severity"] == "watch"
    assert not {"peer-group", "类型"} & found.keys()


@pytest.mark.parametrize("url", ["localhost:9093", "ftp://host", "http://"])
def test_a_bad_address_is_said_at_once(url: str) -> None:
    """The address is checked before anything is read."""
    with pytest.raises(ConfigError, match="GUANLAN_ALERTMANAGER_URL"):
        AlertmanagerSink(url, time.time).setup()
