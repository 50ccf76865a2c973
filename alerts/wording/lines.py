"""The standard lines of an alert, each in one language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from alerts.wording.dates import due
from alerts.wording.law import legal_basis
from alerts.wording.words import SEVERITY_WORDS, in_language
from rules.sentences import title_of
from rules.spelling import amount, day, last_day, number, points
from rules.transitions import Measured, Overdue, Reading, Transition

__all__ = ["action", "deadline", "evidence", "legal_basis", "measured", "moved", "overdue", "peers"]

_UNITS = {
    "bd": {"en": ("business day", "business days"), "zh": ("个工作日", "个工作日")},
    "d": {"en": ("day", "days"), "zh": ("天", "天")},
    "h": {"en": ("hour", "hours"), "zh": ("小时", "小时")},
}
_DEADLINE = re.compile(r"\s*(\d+)\s*(bd|d|h)\s*\Z")
_SIDES = {
    "below": {"en": "below", "zh": "低于"},
    "at_most": {"en": "at most", "zh": "不高于"},
    "above": {"en": "above", "zh": "高于"},
    "at_least": {"en": "at least", "zh": "不低于"},
    "equal": {"en": "equal to", "zh": "等于"},
    "unequal": {"en": "other than", "zh": "不等于"},
}
_PROVISIONAL = {
    "en": ", provisional until working days are announced",
    "zh": "（暂定，以正式公布的放假调休安排为准）",
}
_IDLE = re.compile(r"(\.\d*?)0+(?=%| pp|个百分点)")
_TRUTHS = ("overdue(", "firing(")


def evidence(values: Mapping[str, Reading], language: str = "en", zone: str = "") -> list[str]:
    """Return a line for each value that the rule read: name, value, and the filing that it came from."""
    width = max(map(len, values), default=0)
    return [
        f"{name.ljust(width)}  {_value(name, r, language)}{_origin(r, language, zone)}"
        for name, r in sorted(values.items())
    ]


def _value(name: str, reading: Reading, language: str) -> str:
    if name.startswith(_TRUTHS) and reading.value is not None:
        return {"en": ("no", "yes"), "zh": ("否", "是")}[language][bool(reading.value)]
    return number(reading.value, reading.unit, language)


def _origin(reading: Reading, language: str, zone: str) -> str:
    if reading.as_of is None:
        return ""
    date = reading.as_of if len(reading.as_of) == len("2026-07-21") else day(reading.as_of, zone, language)
    if language == "zh":
        return f"（{date}" + (f"，第{reading.revision}次修订" if reading.revision else "") + "）"
    return f"  ({date}" + (f", revision {reading.revision}" if reading.revision else "") + ")"


def overdue(forms: Sequence[Overdue], language: str, zone: str = "") -> list[str]:
    """Return a line for each form that did not come: what it is, by when it was due, what was filed last.

    >>> overdue([Overdue("cn.liquidity.d", "2026-03-05T16:00:00Z", "2026-03-04", {"en": "Liquidity"})], "en",
    ...     "Asia/Shanghai")
    ['Overdue: Liquidity (cn.liquidity.d), due by 5 March 2026, last filed for 4 March 2026']
    """
    lines = []
    for form in forms:
        title = in_language(form.title, language)
        ended = last_day(form.since, zone)
        limit, last = day(ended or form.since, "" if ended else zone, language), day(form.last, zone, language)
        if language == "zh":
            name = f"{title}（{form.form}）" if title else form.form
            lines.append(f"逾期未报：{name}，报送截止日：{limit}，最近报送：{last}")
        else:
            name = f"{title} ({form.form})" if title else form.form
            lines.append(f"Overdue: {name}, due by {limit}, last filed for {last}")
    return lines


def deadline(text: str, language: str) -> str:
    """Return a deadline in words; what is not understood comes back as it is.

    >>> deadline("5bd", "en"), deadline("5bd", "zh"), deadline("1d", "en")
    ('5 business days', '5个工作日', '1 day')
    """
    match = _DEADLINE.match(text)
    if match is None:
        return text
    count, unit = int(match.group(1)), match.group(2)
    word = _UNITS[unit]["zh" if language == "zh" else "en"][count != 1]
    return f"{count}{word}" if language == "zh" else f"{count} {word}"


def measured(found: Measured, severity: str, language: str) -> str:
    """Return the value that the level measures, and the level's limit where the value is beyond it.

    >>> lcr = Measured("lcr", 0.973, "ratio", "below", 1.0, title={"en": "LCR", "zh": "流动性覆盖率"})
    >>> measured(lcr, "critical", "en"), measured(lcr, "critical", "zh")
    ('LCR: 97.30% (critical: below 100%)', '流动性覆盖率：97.30%（严重级：低于100%）')
    """
    zh = language == "zh"
    colon = "：" if zh else ": "
    text = f"{title_of(found, language)}{colon}{number(found.value, found.unit, language)}"
    if severity == "none" or not _holds(found):
        return text
    level, side = SEVERITY_WORDS[severity][language], _SIDES[found.side][language]
    bound = _short(number(found.limit, found.unit, language))
    return f"{text}（{level}级：{side}{bound}）" if zh else f"{text} ({level}: {side} {bound})"


def _holds(found: Measured) -> bool:
    """Whether the value is beyond the limit: severity may last after that, or rest on another condition."""
    value, limit = found.value, found.limit
    if value is None or limit is None:
        return False
    return {
        "below": value < limit, "at_most": value <= limit, "above": value > limit, "at_least": value >= limit,
        "equal": value == limit, "unequal": value != limit,
    }[found.side]  # fmt: skip


def _short(text: str) -> str:
    """A number without idle zeros behind its point."""
    return re.sub(r"\.(?=%| pp|个百分点)", "", _IDLE.sub(r"\1", text))


def moved(found: Measured, language: str) -> str:
    """Return how the value moved since the last filing; empty where that is not known.

    >>> lcr = Measured("lcr", 0.973, "ratio", before=1.05)
    >>> moved(lcr, "en"), moved(lcr, "zh")
    ('Since the last filing: down 7.70 pp (was 105.00%)', '较上期：下降7.70个百分点（上期105.00%）')
    """
    if found.value is None or found.before is None:
        return ""
    zh = language == "zh"
    change = found.value - found.before
    size = _size(abs(change), found.unit, language)
    if not re.search("[1-9]", size):
        return "较上期：持平" if zh else "Since the last filing: unchanged"
    was = number(found.before, found.unit, language)
    if zh:
        return f"较上期：{'上升' if change > 0 else '下降'}{size}（上期{was}）"
    return f"Since the last filing: {'up' if change > 0 else 'down'} {size} (was {was})"


def _size(change: float, unit: str, language: str) -> str:
    if unit in ("ratio", "points"):
        return points(change, language)
    return amount(change, unit, language) if unit.isupper() else number(change, unit, language)


def peers(found: Measured, language: str) -> str:
    """Return where the value stands among its peers; empty where that is not known.

    >>> npl = Measured("npl", 0.061, "ratio", median=0.015, percentile=0.97, peers=14)
    >>> peers(npl, "en"), peers(npl, "zh")
    ('Peers: median 1.50%, at the 97th percentile of 14 institutions', '同类机构（14家）：中位数1.50%，位于第97百分位')
    """
    if not found.peers or found.median is None:
        return ""
    median = number(found.median, found.unit, language)
    rank = "" if found.percentile is None else _rank(round(found.percentile * 100), language)
    if language == "zh":
        return f"同类机构（{found.peers}家）：中位数{median}" + (f"，位于{rank}" if rank else "")
    return f"Peers: median {median}, " + (f"at the {rank} " if rank else "") + f"of {found.peers} institutions"


def _rank(percentile: int, language: str) -> str:
    if language == "zh":
        return f"第{percentile}百分位"
    teen = percentile % 100 in (11, 12, 13)
    ending = "th" if teen else {1: "st", 2: "nd", 3: "rd"}.get(percentile % 10, "th")
    return f"{percentile}{ending} percentile"


def action(event: Transition, language: str, passed: bool = False) -> str:
    """Return what to do and by when, as one sentence; empty where there is nothing to do.

    A day that had `passed`, or had when the transition was seen, is said to be past.
    """
    what = in_language(event.action, language)
    if not what:
        return ""
    within = deadline(event.deadline, language)
    until = due(event.due, event.zone, language) if event.due else ""
    past = bool(until) and (passed or event.due[:10] < event.seen_at[:10])
    if language == "zh":
        limit = (
            f"；请于{until}前（{within}内）完成{_PROVISIONAL['zh'] * event.due_provisional}"
            if until
            else f"；请在{within}内完成"
            if within
            else ""
        )
        return f"建议监管措施：{what}" + (f"；原定完成期限：{until}" if past else limit)
    limit = (
        f", by {until} (within {within}{_PROVISIONAL['en'] * event.due_provisional})"
        if until
        else f" (within {within})"
        if within
        else ""
    )
    return f"Action: {what}" + (f"; it was due by {until}" if past else limit)
