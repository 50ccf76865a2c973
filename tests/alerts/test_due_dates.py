"""Provisional due dates: what readers see of them, and how the desk counts them again."""

from __future__ import annotations

import logging

import pytest

from alerts.desk import Desk
from alerts.due_dates import DueDates, as_told
from alerts.wording import annotations, message
from tests.alerts.samples import transition

PROVISIONAL = {"deadline": "5bd", "seen_at": "2026-02-13T02:00:00Z", "action": {"en": "Call", "zh": "约谈"}}
"""Friday 13 February 2026; the 14th was made up for the Spring Festival, 15 to 23 February (国办发明电〔2025〕7号)."""


def test_one_that_was_provisional_is_counted_again_and_said_to_have_moved(caplog: pytest.LogCaptureFixture) -> None:
    """The five days are the 14th and the 24th to the 27th."""
    moved = []
    told = transition("firing", due="2026-03-02", due_provisional=True, **PROVISIONAL)
    with caplog.at_level(logging.WARNING, logger="guanlan.desk"):
        event = DueDates("CN", "Asia/Shanghai", lambda: moved.append(1))(told)
    assert (event.due, event.due_provisional) == ("2026-02-27", False)
    assert len(moved) == 1
    assert "is due 2026-02-27, not 2026-03-02" in caplog.text


def test_one_that_was_certain_stays() -> None:
    told = transition("firing", due="2026-03-02", **PROVISIONAL)
    assert DueDates("CN", "Asia/Shanghai")(told) is told
    assert as_told(told) is told


def test_readers_are_told_in_both_languages_also_later() -> None:
    """An escalation without a date of its own keeps the one that was told, and that it is provisional."""
    desk = Desk()
    desk.fold(transition("firing", due="2027-02-26", due_provisional=True, **PROVISIONAL))
    notice = desk.fold(transition("escalated", as_of="2026-04-30", **PROVISIONAL))
    assert notice is not None
    words = message(notice, lambda subject: {}, "en")
    assert "by Friday 26 February 2027 (within 5 business days, provisional until working days are announced)" in words
    assert "请于2027年2月26日前（5个工作日内）完成（暂定，以正式公布的放假调休安排为准）" in words
    assert annotations(notice, lambda subject: {})["due_provisional"] == "true"
