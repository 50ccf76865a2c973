"""Numbers, differences, amounts and dates as people write them, in English and Chinese."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

MISSING = {"en": "n/a", "zh": "缺失"}
WORDED = re.compile(r"([+^>]?)(?:\.([0-9]{1,2}))?(pp|amount|%|f)")
"""Formats beyond Python's: a sign (+), the direction (^) or the side (>) in words, digits, and the unit in words."""

_CURRENCIES = {
    "CNY": "元", "USD": "美元", "EUR": "欧元", "HKD": "港元", "JPY": "日元", "GBP": "英镑", "currency": "",
}  # fmt: skip
_UNITS = {
    "days": {"en": ("day", "days"), "zh": "天"},
    "hours": {"en": ("hour", "hours"), "zh": "小时"},
    "minutes": {"en": ("minute", "minutes"), "zh": "分钟"},
    "years": {"en": ("year", "years"), "zh": "年"},
}
_BARE = frozenset({"", "count", "score"})
_SCALES = {
    "en": ((1e12, "tn"), (1e9, "bn"), (1e6, "m")),
    "zh": ((1e12, "万亿"), (1e8, "亿"), (1e4, "万")),
}
_MOVES = {"en": ("up", "down", "unchanged", "change unknown"), "zh": ("上升", "下降", "持平", "变动情况缺失")}
_SIDES = {"en": ("above", "below"), "zh": ("高", "低")}
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MIDNIGHT = "T00:00:00"


def is_worded(spec: str) -> bool:
    """Whether a format is one of this module's own, and not of Python's.

    >>> is_worded("^.1pp"), is_worded("amount"), is_worded("+.1%")
    (True, True, False)
    """
    found = WORDED.fullmatch(spec)
    return found is not None and (found[1] in ("^", ">") or found[3] in ("pp", "amount"))


def worded(value: float | None, spec: str, unit: str, language: str) -> str:
    """Return a number by a format of this module.

    pp      a difference of fractions, in percentage points
    amount  an amount of money, in millions, billions or 亿
    ^       whether it rose or fell, in words, before its size
    >       its size, and in words whether it is above or below

    >>> worded(-0.33, "^.1pp", "ratio", "en"), worded(-0.33, "^.1pp", "ratio", "zh")
    ('down 33.0 pp', '下降33.0个百分点')
    >>> worded(0.008, ">.2pp", "ratio", "en"), worded(0.008, ">.2pp", "ratio", "zh")
    ('0.80 pp above', '高0.80个百分点')
    """
    tongue = "zh" if language == "zh" else "en"
    found = WORDED.fullmatch(spec)
    assert found is not None, spec
    mode, digits, kind = found[1], int(found[2] or 1), found[3]
    if value is None or math.isnan(value):
        return _MOVES[tongue][3] if mode == "^" else MISSING[tongue]
    size = abs(value) if mode in ("^", ">") else value
    plus = "+" if mode == "+" else ""
    if kind == "amount":
        text = f"{plus}{amount(size, unit, tongue)}" if value >= 0 else amount(size, unit, tongue)
    elif kind == "pp":
        text = points(size, tongue, digits, plus)
    else:
        text = format(size, f"{plus}.{digits}{kind}")
    if mode == "^":
        up, down, unchanged, _ = _MOVES[tongue]
        if not re.search("[1-9]", text):
            return unchanged
        word = up if value > 0 else down
        return f"{word}{text}" if tongue == "zh" else f"{word} {text}"
    if mode == ">":
        word = _SIDES[tongue][value < 0]
        return f"{word}{text}" if tongue == "zh" else f"{text} {word}"
    return text


def points(value: float, language: str, digits: int = 2, sign: str = "") -> str:
    """Return a difference of two fractions in percentage points.

    >>> points(-0.077, "en"), points(-0.077, "zh", 1)
    ('-7.70 pp', '-7.7个百分点')
    """
    return f"{value * 100:{sign}.{digits}f}" + ("个百分点" if language == "zh" else " pp")


def amount(value: float, currency: str, language: str) -> str:
    """Return an amount of money in four figures, scaled as the language does it.

    >>> amount(300e9, "CNY", "en"), amount(300e9, "CNY", "zh"), amount(12340.0, "CNY", "en")
    ('300bn CNY', '3,000亿元', '12,340 CNY')
    >>> amount(999_960_000.0, "CNY", "en")
    '1bn CNY'
    """
    scales = _SCALES["zh" if language == "zh" else "en"]
    rounded = abs(float(f"{value:.4g}"))
    size, suffix = next(((s, t) for s, t in scales if rounded >= s), (1.0, ""))
    text = _figures(float(f"{value:.4g}") / size if suffix else value)
    if language == "zh":
        return f"{text}{suffix}{_CURRENCIES.get(currency, currency)}"
    return f"{text}{suffix} {currency}".rstrip() if currency != "currency" else f"{text}{suffix}"


def number(value: float | None, unit: str, language: str = "en") -> str:
    """Return a number with its unit: a fraction in percent, a difference in points, an amount in billions or 亿.

    >>> number(0.9731, "ratio"), number(1.234e12, "CNY"), number(3.0, "count"), number(1.0, "days")
    ('97.31%', '1.234tn CNY', '3', '1 day')
    >>> number(1.234e12, "CNY", "zh"), number(3.0, "days", "zh"), number(None, "ratio", "zh")
    ('1.234万亿元', '3天', '缺失')
    """
    if value is None or math.isnan(value):
        return "缺失" if language == "zh" else "missing"
    if unit == "ratio":
        return f"{value:.2%}"
    if unit == "points":
        return points(value, language)
    if unit in _BARE:
        return _figures(value)
    known = _UNITS.get(unit)
    if known is not None:
        text = _figures(value)
        return f"{text}{known['zh']}" if language == "zh" else f"{text} {known['en'][text not in ('1', '-1')]}"
    if unit in _CURRENCIES or unit.isupper():
        return amount(value, unit, language)
    text = _figures(value)
    return f"{text} {unit.removesuffix('s') if text in ('1', '-1') else unit}"


def _figures(value: float, figures: int = 6) -> str:
    """A number in so many figures or all before its point, without exponent and idle zeros."""
    if not math.isfinite(value):
        return str(value)
    text = f"{Decimal(f'{value:.{figures}g}' if abs(value) < 10.0**figures else f'{value:.0f}'):,f}"
    return "0" if text == "-0" else text


@lru_cache(maxsize=65_536)
def day(moment: str, zone: str = "", language: str = "en", weekday: bool = False) -> str:
    """Return an ISO date, or an instant in the time zone, as people write it; an instant at midnight as its day.

    What is no date comes back as it is. An instant without zone is of UTC; so is an empty time zone.

    >>> day("2026-07-21", "Asia/Shanghai", "zh"), day("2026-12-03", weekday=True)
    ('2026年7月21日', 'Thursday 3 December 2026')
    >>> day("2026-07-21T08:30:00Z", "Asia/Shanghai"), day("2026-07-21T16:00:00Z", "Asia/Shanghai", "zh")
    ('21 July 2026, 16:30', '2026年7月22日')
    """
    try:
        if len(moment) == len("2026-07-21"):
            found, time = date.fromisoformat(moment), ""
        else:
            local = _local(moment, zone)
            found, time = local.date(), "" if (local.hour, local.minute) == (0, 0) else f"{local:%H:%M}"
    except ValueError:
        return moment
    if language == "zh":
        named = f"（星期{'一二三四五六日'[found.weekday()]}）" if weekday else ""
        return f"{found.year}年{found.month}月{found.day}日{named}{time}"
    named = f"{_WEEKDAYS[found.weekday()]} " if weekday else ""
    return f"{named}{found.day} {_MONTHS[found.month - 1]} {found.year}" + (f", {time}" if time else "")


def last_day(moment: str, zone: str = "") -> str:
    """Return the ISO date of the day that ends at an instant, where one ends there; else empty.

    A deadline passes with the first second after its day.

    >>> last_day("2026-07-21T16:00:00Z", "Asia/Shanghai"), last_day("2026-07-21T02:00:00Z", "Asia/Shanghai")
    ('2026-07-21', '')
    """
    try:
        if len(moment) == len("2026-07-21"):
            return (date.fromisoformat(moment) - timedelta(days=1)).isoformat() if not zone or zone == "UTC" else ""
        local = _local(moment, zone)
    except ValueError:
        return ""
    return (local.date() - timedelta(days=1)).isoformat() if f"T{local:%H:%M:%S}" == _MIDNIGHT else ""


def _local(moment: str, zone: str) -> datetime:
    found = datetime.fromisoformat(moment)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(ZoneInfo(zone or "UTC"))
