"""The desk's fold: what is open and what is told depends on the events, not on how often they come."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.desk import Alert, Desk, Notice
from rules.transitions import Transition
from tests.alerts.samples import episode, transition

SUBJECTS = ("CN001", "CN002", "CN003")
RULES = ("bank.liquidity.lcr", "bank.capital.cet1")


def told(events: Iterable[Transition]) -> tuple[dict[str, Alert], list[Notice]]:
    """Fold the events; return what is open, and the notices."""
    desk = Desk()
    notices = [notice for event in events if (notice := desk.fold(event)) is not None]
    return dict(desk.open), notices


@st.composite
def histories(draw: st.DrawFn) -> list[list[Transition]]:
    """One list of events for each subject and rule, in order: whole episodes, the last perhaps cut short."""
    found = []
    for subject in SUBJECTS:
        for rule in RULES:
            months = draw(st.integers(0, 3))
            events = [event for month in range(1, months + 1) for event in episode(subject, rule, month)]
            found.append(events[: draw(st.integers(0, len(events)))])
    return found


@st.composite
def arrivals(draw: st.DrawFn, of: list[list[Transition]]) -> list[Transition]:
    """Shuffle the lists together, each in its order, with stretches that come again."""
    left = [list(events) for events in of if events]
    merged: list[Transition] = []
    while left:
        events = draw(st.sampled_from(left))
        merged.append(events.pop(0))
        left = [events for events in left if events]
        if draw(st.integers(0, 3)) == 0:
            start = draw(st.integers(0, len(merged) - 1))
            merged.extend(merged[start : start + draw(st.integers(1, 5))])
    return merged


@given(st.data())
def test_shuffled_duplicates_give_the_same_open_set(data: st.DataObject) -> None:
    """Repeats, and any order between subjects, change neither what is open nor how often anyone is told."""
    history = data.draw(histories())
    plain = [event for events in history for event in events]
    shuffled = data.draw(arrivals(history))
    open_plain, notices_plain = told(plain)
    open_shuffled, notices_shuffled = told(shuffled)
    assert open_shuffled == open_plain
    assert sorted(n.alert.last.id for n in notices_shuffled) == sorted(n.alert.last.id for n in notices_plain)


@given(st.data())
def test_a_restart_tells_exactly_the_rest(data: st.DataObject) -> None:
    """A desk that reads the first n events silently then says what one that never stopped would say after n."""
    events = data.draw(arrivals(data.draw(histories())))
    cut = data.draw(st.integers(0, len(events)))
    _, before = told(events[:cut])
    _, everything = told(events)
    again = Desk()
    for event in events[:cut]:
        again.fold(event)
    rest = [notice for event in events[cut:] if (notice := again.fold(event)) is not None]
    assert before + rest == everything


def test_an_episode_is_told_in_four_notices() -> None:
    """Firing, escalated, eased and resolved; before is what was told last."""
    still_open, notices = told(episode())
    assert [n.kind for n in notices] == ["firing", "escalated", "eased", "resolved"]
    assert [n.before.last.severity if n.before else None for n in notices] == [None, "watch", "critical", "watch"]
    assert still_open == {}


def test_until_when_to_act_stays_until_another_time_is_told() -> None:
    """What eases or goes stale is still to be acted on by the day that was told; a worse level gives a new one."""
    desk, due = Desk(), {"deadline": "5bd"}
    events = [
        transition("firing", due="2026-04-09", **due),
        transition("escalated", as_of="2026-04-30", due="2026-05-12", **due),
        transition("eased", as_of="2026-05-31", **due),
        transition("stale", as_of="2026-07-16", **due),
        transition("resolved", as_of="2026-07-31", **due),
    ]
    notices = [notice for event in events if (notice := desk.fold(event))]
    assert [n.alert.last.due for n in notices] == ["2026-04-09", "2026-05-12", "2026-05-12", "2026-05-12", ""]


def test_pending_is_nothing_to_the_desk() -> None:
    """A pending and its lapse carry no alert id: nothing opens and nobody is told."""
    lapse = transition("resolved", alert_id="", started="")
    assert told([transition("pending"), lapse]) == ({}, [])


@pytest.mark.parametrize("status", ["shadow", "trial"])
def test_quiet_rules_notify_nobody(status: str) -> None:
    """Shadow and trial rules open nothing and tell nobody."""
    assert told(msgspec.structs.replace(event, status=status) for event in episode()) == ({}, [])


def test_a_rule_that_becomes_quiet_withdraws_its_alert() -> None:
    """Who was told of an alert is told that it is over when its rule goes back to trial."""
    first, second, *_ = episode()
    still_open, notices = told([first, msgspec.structs.replace(second, status="trial")])
    assert [n.kind for n in notices] == ["firing", "resolved"]
    assert still_open == {}


def test_a_rule_that_becomes_live_is_told_as_new() -> None:
    """Nobody heard of the alert while its rule was on trial, so its next change is news as a whole."""
    first, second, *_ = episode()
    _, notices = told([msgspec.structs.replace(first, status="trial"), second])
    assert [(n.kind, n.before) for n in notices] == [("firing", None)]


def test_a_moved_start_stays_one_case() -> None:
    """An alert that supersedes another takes over its case and when it opened, without a new page."""
    first = transition(started="2026-03-31", seen_at="2026-04-01T08:00:00Z")
    moved = transition(
        started="2026-03-30",
        as_of="2026-03-30",
        seen_at="2026-04-02T08:00:00Z",
        supersedes=first.alert_id,
        cause="late",
    )
    still_open, notices = told([first, moved])
    assert [n.kind for n in notices] == ["firing", "moved"]
    assert still_open == {moved.alert_id: Alert(first.alert_id, "2026-04-01T08:00:00Z", moved)}


def test_the_chain_is_followed_beyond_its_end() -> None:
    """An alert keeps its case when it was resolved and is opened again by a revision."""
    first = transition(started="2026-03-31")
    moved = transition(started="2026-03-30", as_of="2026-03-30", supersedes=first.alert_id)
    again_moved = transition(started="2026-03-29", as_of="2026-03-29", supersedes=moved.alert_id)
    closed = transition("resolved", started="2026-03-29", as_of="2026-04-02")
    reopened = transition(started="2026-03-29", as_of="2026-04-02", revision=2)
    still_open, notices = told([first, moved, again_moved, closed, reopened])
    assert [n.kind for n in notices] == ["firing", "moved", "moved", "resolved", "firing"]
    assert still_open[reopened.alert_id].case == first.alert_id


def test_a_resolved_nobody_heard_of_is_not_told() -> None:
    """An end without a beginning, as at the cut of a retention, is no news."""
    assert told([episode()[-1]]) == ({}, [])
