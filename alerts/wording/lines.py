"""The lines below a headline, each in one language: evidence, legal basis, forms that are overdue, deadlines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from alerts.wording.numbers import number
from alerts.wording.words import in_language
from rules.transitions import Overdue, Reading

_UNITS = {
    "bd": {"en": ("business day", "business days"), "zh": ("个工作日", "个工作日")},
    "d": {"en": ("day", "days"), "zh": ("天", "天")},
    "h": {"en": ("hour", "hours"), "zh": ("小时", "小时")},
}
_DEADLINE = re.compile(r"\s*(\d+)\s*(bd|d|h)\s*\Z")


def evidence(values: Mapping[str, Reading]) -> list[str]:
    """Return a line for each value that the rule read: name, value, and the filing that it came from."""
    width = max(map(len, values), default=0)
    return [f"{name.ljust(width)}  {number(r.value, r.unit)}{_origin(r)}" for name, r in sorted(values.items())]


def _origin(reading: Reading) -> str:
    if reading.as_of is None:
        return ""
    revision = f", revision {reading.revision}" if reading.revision else ""
    return f"  ({reading.as_of}{revision})"


def legal_basis(basis: Mapping[str, str | None], language: str) -> str:
    """Return the legal basis as it is cited; empty where the rule names none.

    >>> legal_basis({"document": "商业银行流动性风险管理办法", "number": "2018年第3号", "article": "37"}, "en")
    '商业银行流动性风险管理办法 (2018年第3号), art. 37'
    """
    document, number_, article = (basis.get(k) or "" for k in ("document", "number", "article"))
    if not document:
        return ""
    if language == "zh":
        return f"《{document}》" + (f"（{number_}）" if number_ else "") + (f"第{article}条" if article else "")
    return document + (f" ({number_})" if number_ else "") + (f", art. {article}" if article else "")


def overdue(forms: Sequence[Overdue], language: str) -> list[str]:
    """Return a line for each form that did not come: what it is, since when it is overdue, what was filed last.

    >>> overdue([Overdue("cn.liquidity.d", "2026-03-06", "2026-03-04", {"en": "Liquidity"})], "en")
    ['Overdue since 2026-03-06: Liquidity (cn.liquidity.d), last filed for 2026-03-04']
    """
    lines = []
    for form in forms:
        title = in_language(form.title, language)
        name = f"{title} ({form.form})" if title else form.form
        lines.append(
            f"报表逾期（自{form.since}）：{name}，最近报送日期{form.last}"
            if language == "zh"
            else f"Overdue since {form.since}: {name}, last filed for {form.last}"
        )
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
