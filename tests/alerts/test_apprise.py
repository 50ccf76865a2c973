"""Messages to people: groups, digests, hours, what a target refuses; through a local HTTP server."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from alerts.desk import Notice
from alerts.policy import Target, read_policy
from alerts.sinks import SinkDown
from alerts.sinks.apprise import AppriseSink
from alerts.sinks.people import PeopleSink, resend
from alerts.sinks.storms import Digesting
from alerts.sinks.webhook import WebhookSink
from alerts.telling import Telling
from rules.problems import ConfigError
from rules.transitions import Transition
from tests.alerts.samples import episode, names, transition
from tests.alerts.web import Inbox

QUERY = "?overflow=split"


class Clock:
    """A time of day that is turned by hand."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def sink_to(inbox: Inbox, clock: Clock | None = None, apprise: bool = False, **target: object) -> PeopleSink:
    """Return a sink that posts to the inbox, as a webhook or through Apprise."""
    url = f"json://{inbox.address}/hook"
    one = Target("desk", f"{url}{QUERY}" if apprise else url, **target)  # type: ignore[arg-type]
    sink = (AppriseSink if apprise else WebhookSink)(one, names, clock or Clock(), gather=0.0, tries=3)
    sink.setup()
    return sink


def give(sink: PeopleSink, events: Iterable[Transition], first: bool = False) -> list[Notice]:
    """Add the notices of the events, and return them."""
    telling = Telling()
    found = [n for offset, event in enumerate(events) for n in telling.fold(event, 1_000_000.0, offset)]
    if first:
        found = [Notice("firing", n.alert, steps=n.steps, first=True) for n in telling.standing()]
    for notice in found:
        sink.add(notice)
    return found


@pytest.mark.parametrize("apprise", [False, True])
def test_an_episode_is_four_messages(apprise: bool) -> None:
    """Told one after another, each is a message with its type; a webhook has each as data beside the text."""
    with Inbox() as inbox:
        sink, telling = sink_to(inbox, apprise=apprise), Telling()
        for event in episode():
            for notice in telling.fold(event, 1_000_000.0, 0):
                sink.add(notice)
            assert sink.flush() == 1
        assert [post["type"] for post in inbox.posts] == ["info", "failure", "info", "success"]
        assert all("Bank of Jiangnan" in post["title"] for post in inbox.posts)
        if not apprise:
            assert [post["alerts"][0]["kind"] for post in inbox.posts] == ["firing", "escalated", "eased", "resolved"]


def test_corrections_and_repeats_page_nobody() -> None:
    """What is merely moved or said again is not sent."""
    with Inbox() as inbox:
        sink = sink_to(inbox)
        (first,) = give(Nobody(), [transition()])
        sink.add(Notice("moved", first.alert, first.alert))
        sink.add(Notice("repeated", first.alert, first.alert))
        sink.flush()
        assert inbox.tries == 0


class Nobody(WebhookSink):
    """A sink that is only given notices to make them."""

    def __init__(self) -> None:
        super().__init__(Target("nobody", "json://nobody"), names, Clock())


def test_one_filing_with_eight_findings_is_one_message() -> None:
    """An institution and a family of rules are one message."""
    with Inbox() as inbox:
        sink = sink_to(inbox)
        give(sink, [transition(rule=f"bank.liquidity.r{n}") for n in range(8)])
        sink.flush()
        (post,) = inbox.posts
        assert len(post["alerts"]) == 8


def test_a_storm_is_a_digest_that_names_the_gravest_and_the_next_waits() -> None:
    """More groups than the policy allows are one message; what is urgent then waits for a minute, the rest for all."""
    with Inbox() as inbox:
        clock = Clock()
        sink = sink_to(inbox, clock, digest=Digesting(3, 600.0))
        give(sink, [transition(subject=f"CN{n:03}", severity="critical" if n == 4 else "watch") for n in range(1, 9)])
        sink.flush()
        (post,) = inbox.posts
        assert "CN004" in post["title"]
        assert len(post["alerts"]) == 8
        give(sink, [transition(subject=f"CN{n:03}") for n in range(10, 20)])
        for later, told in ((300.0, 1), (600.0, 2)):
            clock.now = 1_000_000.0 + later
            sink.flush()
            assert len(inbox.posts) == told
        give(sink, [transition(subject=f"CN{n:03}", severity="critical") for n in range(20, 30)])
        clock.now += 61.0
        sink.flush()
        assert len(inbox.posts) == 3


def test_a_new_target_hears_of_what_is_open_in_one_message() -> None:
    """However few there are."""
    with Inbox() as inbox:
        sink = sink_to(inbox)
        give(sink, [transition(subject="CN001"), transition(subject="CN002")], first=True)
        sink.flush()
        assert [len(post["alerts"]) for post in inbox.posts] == [2]


@pytest.mark.parametrize("apprise", [False, True])
def test_a_message_that_is_refused_does_not_hold_up_the_others(apprise: bool) -> None:
    """After three tries it is a dead letter with all that is needed to send it again."""
    with Inbox() as inbox:
        inbox.refuse = "CN012"
        sink = sink_to(inbox, apprise=apprise, digest=Digesting(100, 600.0))
        give(sink, [transition(subject="CN012", rule=f"bank.{n}.x") for n in range(2)] + [transition(subject="CN013")])
        for n in range(12):
            give(sink, [transition(subject=f"CN{20 + n:03}", rule="bank.other.x")])
            try:
                sink.flush()
            except SinkDown:
                continue
        letters = sink.dead()
        assert [letter.events for letter in letters] == [
            [transition(subject="CN012", rule=f"bank.{n}.x").id] for n in range(2)
        ]
        assert letters[0].tries == 3
        assert sink.waiting() == []
        assert len(inbox.posts) == 13
        inbox.refuse = ""
        resend(sink, letters[0])
        assert inbox.posts[-1]["title"] == letters[0].title


def test_one_bad_notice_of_a_group_or_a_digest_goes_alone() -> None:
    """The others of its group are told; only the culprit is put aside."""
    with Inbox() as inbox:
        inbox.refuse = "bank.liquidity.r2"
        sink = sink_to(inbox, digest=Digesting(1, 600.0))
        give(sink, [transition(rule=f"bank.liquidity.r{n}") for n in range(4)] + [transition(subject="CN002")])
        for _ in range(20):
            try:
                sink.flush()
            except SinkDown:
                continue
        (letter,) = sink.dead()
        assert letter.events == [transition(rule="bank.liquidity.r2").id]
        assert sink.waiting() == []


@pytest.mark.parametrize("apprise", [False, True])
def test_a_target_that_is_down_is_not_a_refusal(apprise: bool) -> None:
    """When nothing is taken, nothing is given up, however often it is tried."""
    with Inbox() as inbox:
        inbox.status = 503
        sink = sink_to(inbox, apprise=apprise)
        give(sink, [transition(subject=f"CN{n:03}") for n in range(2)])
        for _ in range(10):
            with pytest.raises(SinkDown):
                sink.flush()
        assert sink.dead() == []
        inbox.status = 200
        assert sink.flush() == 2
        assert [post["alerts"][0]["subject"] for post in inbox.posts if "alerts" in post] in ([], ["CN000", "CN001"])


def test_filters_and_hours() -> None:
    """A target hears of what it asked for, to the end of each alert, in its hours; what is critical at any hour."""
    policy = read_policy(
        """
targets:
  - {name: a, url: "https://h/x", severity: critical, regions: [Jiangsu],
     hours: {days: mon-fri, from: "08:30", until: "18:00", but: critical}}
""",
        "desk.yaml",
    )
    (target,) = policy.targets
    told = give(Nobody(), episode())
    telling = Telling()
    kinds = [n.kind for event in episode() for n in telling.fold(event, 1.0, 0) if target.wants(n)]
    assert kinds == ["escalated", "eased", "resolved"]
    other = give(Nobody(), [transition(severity="critical", labels={"region": "Anhui"})])
    assert not target.wants(other[0])
    assert len(told) == 4
    zone = ZoneInfo("Asia/Shanghai")
    monday, sunday = (datetime(2026, 3, day, 12, 0, tzinfo=zone).timestamp() for day in (30, 29))
    assert target.open_at(monday, "watch")
    assert not target.open_at(sunday, "warning")
    assert target.open_at(sunday, "critical")


def test_a_url_that_apprise_does_not_know_is_said_without_its_secret() -> None:
    """The error names the scheme, not the token."""
    with pytest.raises(ConfigError, match="nonsense") as caught:
        AppriseSink(Target("x", "nonsense://user:hunter2@host"), names, Clock()).setup()
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Target("x", "nonsense://user:hunter2@host"))
