"""The sink for Apprise, through its JSON target and a local HTTP server."""

from __future__ import annotations

import pytest

from alerts.desk import Desk, Notice
from alerts.sinks import SinkDown
from alerts.sinks.apprise import DIGEST_ABOVE, AppriseSink
from alerts.wording import headline, message
from rules.problems import ConfigError
from tests.alerts.samples import episode, names, transition
from tests.alerts.web import Inbox


def sink_to(inbox: Inbox) -> AppriseSink:
    """Return a sink that posts to the inbox."""
    sink = AppriseSink(f"json://{inbox.address}/hook", names)
    sink.setup()
    return sink


def episode_notices() -> list[Notice]:
    """Return the notices of one episode."""
    desk = Desk()
    return [notice for event in episode() if (notice := desk.fold(event)) is not None]


def storm(count: int) -> list[Notice]:
    """Return so many new alerts of as many subjects."""
    desk = Desk()
    events = [transition(subject=f"CN{n:03}") for n in range(count)]
    return [notice for event in events if (notice := desk.fold(event)) is not None]


def test_an_episode_is_four_messages() -> None:
    """Title, whole body and type of each message arrive as they were worded."""
    with Inbox() as inbox:
        sink = sink_to(inbox)
        told = episode_notices()
        for notice in told:
            sink.add(notice)
        assert sink.flush() == 0
        assert [post["title"] for post in inbox.posts] == [headline(n, names, "en") for n in told]
        assert [post["message"].strip() for post in inbox.posts] == [message(n, names) for n in told]
        assert [post["type"] for post in inbox.posts] == ["info", "failure", "info", "success"]


def test_corrections_and_repeats_page_nobody() -> None:
    """What is merely moved or said again is not sent."""
    first, *_ = episode_notices()
    with Inbox() as inbox:
        sink = sink_to(inbox)
        sink.add(Notice("moved", first.alert, first.alert))
        sink.add(Notice("repeated", first.alert, first.alert))
        sink.flush()
        assert inbox.tries == 0


def test_what_was_sent_is_not_sent_again_when_the_next_fails() -> None:
    """A failure in the middle keeps the rest, in order, and only the rest."""
    with Inbox() as inbox:
        sink = sink_to(inbox)
        first, second, *others = episode_notices()
        sink.add(first)
        sink.flush()
        for notice in (second, *others):
            sink.add(notice)
        inbox.status = 500
        for _ in range(2):
            with pytest.raises(SinkDown, match="did not take the message"):
                sink.flush()
        inbox.status = 200
        sink.flush()
        assert [post["type"] for post in inbox.posts] == ["info", "failure", "info", "success"]


def test_a_storm_is_one_message() -> None:
    """More than ten at once go as one digest that names every event; ten go each alone."""
    with Inbox() as inbox:
        sink = sink_to(inbox)
        many = storm(DIGEST_ABOVE + 1)
        for notice in many:
            sink.add(notice)
        sink.flush()
        (post,) = inbox.posts
        assert post["title"] == "11 changes of alerts / 11项预警变动"
        assert all(notice.alert.last.id in post["message"] for notice in many)
        for notice in storm(DIGEST_ABOVE):
            sink.add(notice)
        sink.flush()
        assert len(inbox.posts) == 1 + DIGEST_ABOVE


def test_a_url_that_apprise_does_not_know_is_said_without_its_secret() -> None:
    """The error names the scheme, not the token."""
    with pytest.raises(ConfigError, match="nonsense") as caught:
        AppriseSink("nonsense://user:hunter2@host", names).setup()
    assert "hunter2" not in str(caught.value)


def test_the_name_gives_nothing_away_and_stays() -> None:
    """Names of groups, logs and series come from the URL's hash."""
    sink = AppriseSink("json://user:hunter2@host", names)
    assert sink.name == AppriseSink("json://user:hunter2@host", names).name
    assert sink.name != AppriseSink("json://user:other@host", names).name
    assert "hunter2" not in sink.name


@pytest.mark.parametrize(("url", "mode"), [("json://host", "split"), ("json://host?overflow=truncate", "truncate")])
def test_long_messages_are_split_unless_said_otherwise(url: str, mode: str) -> None:
    """A target with short messages gets a long one in parts."""
    sink = AppriseSink(url, names)
    sink.setup()
    assert sink._server is not None
    assert sink._server.overflow_mode.value == mode
