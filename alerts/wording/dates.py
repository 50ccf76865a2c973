"""Dates of alerts as people write them: local days, never an instant of UTC."""

from __future__ import annotations

from rules.calendar import parse_instant
from rules.spelling import day, last_day
from rules.transitions import Transition


def as_of(event: Transition, language: str) -> str:
    """Return the line that says of which date a transition speaks; of a deadline that passed, its last day."""
    ended = last_day(event.as_of, event.zone) if len(event.as_of) > len("2026-07-21") else ""
    if ended:
        return f"报送截止日：{day(ended, '', 'zh')}" if language == "zh" else f"Filing was due by {day(ended)}"
    moment = day(event.as_of, event.zone, language)
    return f"数据日期：{moment}" if language == "zh" else f"As of {moment}"


def due(moment: str, zone: str, language: str) -> str:
    """Return the last day to act, or the moment, as people write it; in English with its day of the week."""
    return day(moment, zone, language, language != "zh")


def since(moment: str, now: str, zone: str, language: str) -> str:
    """Return since when an alert is open, and for how many days.

    >>> since("2026-03-01T08:00:00Z", "2026-03-05T08:00:00Z", "Asia/Shanghai", "en")
    'Open since 1 March 2026 (4 days)'
    """
    first = day(moment[:10] if not zone else moment, zone, language).partition(",")[0]
    first = first.partition("日")[0] + "日" if language == "zh" and "日" in first else first
    count = days_between(moment, now)
    if language == "zh":
        return f"预警起始：{first}" + (f"（已持续{count}天）" if count else "")
    return f"Open since {first}" + (f" ({count} day{'s' if count != 1 else ''})" if count else "")


def days_between(first: str, last: str) -> int:
    """Return the whole days from one moment to another; 0 where they are no dates or the other is earlier."""
    try:
        return max(0, (parse_instant(last) - parse_instant(first)) // 86_400)
    except ValueError:
        return 0
