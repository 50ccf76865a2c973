"""Scores of rules against known events, on transitions small enough to count by hand."""

from __future__ import annotations

import pytest

from rules.backtest import KnownEvent, episodes, score
from rules.calendar import parse_instant
from rules.transitions import Transition


def transition(
    alert: str, state: str, severity: str, seen: str, subject: str = "A", supersedes: str = ""
) -> Transition:
    return Transition(
        id=f"{alert}{state}{seen}",
        alert_id=alert,
        rule="r",
        subject=subject,
        state=state,  # type: ignore[arg-type]
        severity=severity,  # type: ignore[arg-type]
        previous="none",
        as_of=seen,
        started=seen,
        seen_at=f"{seen}T00:00:00Z",
        revision=0,
        cause="filed",
        supersedes=supersedes,
    )


def test_an_episode_runs_from_first_sight_at_the_severity_until_it_falls_below() -> None:
    """A watch is not yet a warning; an eased alert ends its episode; a second rise begins another."""
    found = episodes(
        [
            transition("1", "firing", "watch", "2022-01-01"),
            transition("1", "escalated", "warning", "2022-04-01"),
            transition("1", "eased", "watch", "2022-07-01"),
            transition("1", "escalated", "critical", "2022-10-01"),
        ]
    )
    day = parse_instant
    assert [(e.seen, e.until) for e in found] == [
        (day("2022-04-01"), day("2022-07-01")),
        (day("2022-10-01"), None),
    ]


def test_a_superseding_alert_continues_the_episode() -> None:
    found = episodes(
        [
            transition("1", "firing", "warning", "2022-01-01"),
            transition("2", "firing", "critical", "2022-04-01", supersedes="1"),
        ]
    )
    assert [(e.alert_id, e.seen, e.until) for e in found] == [("2", parse_instant("2022-01-01"), None)]


def test_pending_is_no_episode() -> None:
    assert episodes([transition("", "pending", "critical", "2022-01-01")]) == []


def test_lead_time_hits_misses_and_false_alarms() -> None:
    """A fails while its alert is open; B fails unseen; C's alert was for nothing: one false of two."""
    found = episodes(
        [
            transition("1", "firing", "warning", "2022-11-30", "A"),
            transition("3", "firing", "warning", "2022-03-01", "C"),
            transition("3", "resolved", "none", "2022-06-01", "C"),
        ]
    )
    events = [KnownEvent("A", parse_instant("2023-03-10")), KnownEvent("B", parse_instant("2023-03-12"))]
    (result,) = score(["r"], found, events)
    assert (result.hits, result.missed, result.leads, result.median_lead) == (1, ("B",), (100.0,), 100.0)
    assert result.false_share == pytest.approx(0.5)
    assert (result.episodes, result.institutions) == (2, 2)


def test_an_alert_that_ended_before_the_window_is_no_hit() -> None:
    found = episodes(
        [transition("1", "firing", "warning", "2019-01-01"), transition("1", "resolved", "none", "2019-06-01")]
    )
    (result,) = score(["r"], found, [KnownEvent("A", parse_instant("2023-03-10"))], window_days=365)
    assert (result.hits, result.false_share) == (0, 1.0)


def test_a_rule_without_episodes_has_no_false_alarm_share() -> None:
    (result,) = score(["r"], [], [KnownEvent("A", 0)])
    assert (result.false_share, result.missed) == (None, ("A",))
