"""The legal line of an alert: the document and its articles as they are cited, and whether the level is the law's."""

from __future__ import annotations

from collections.abc import Mapping

from rules.spelling import day
from rules.standing import standing

_DIGITS = "零一二三四五六七八九"


def articles(text: str, language: str) -> str:
    """Return articles as they are cited; several stand with commas between them.

    >>> articles("16, 17, 22", "zh"), articles("37", "en"), articles("16, 17, 22", "en")
    ('第十六条、第十七条、第二十二条', 'art. 37', 'arts. 16, 17 and 22')
    >>> articles("324.403(b)", "en")
    '§ 324.403(b)'
    """
    parts = [part.strip() for part in text.replace("，", ",").replace("、", ",").split(",") if part.strip()]
    if not all(part.isdigit() for part in parts):
        return "§ " + ", ".join(parts)
    if language == "zh":
        return "、".join(f"第{numeral(int(part))}条" for part in parts)
    head = "art. " if len(parts) == 1 else "arts. "
    return head + (", ".join(parts[:-1]) + " and " if len(parts) > 1 else "") + parts[-1]


def numeral(n: int) -> str:
    """Return a number below 10,000 in Chinese numerals.

    >>> [numeral(n) for n in (9, 10, 16, 20, 37, 100, 105, 110, 224)]
    ['九', '十', '十六', '二十', '三十七', '一百', '一百零五', '一百一十', '二百二十四']
    """
    if not 0 <= n < 10_000:
        return str(n)
    out, gap = "", False
    for size, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = n // size % 10
        if digit:
            out += ("零" if gap and out else "") + _DIGITS[digit] + name
            gap = False
        else:
            gap = True
    return (out[1:] if 10 <= n < 20 else out) or "零"


def legal_basis(basis: Mapping[str, str | None], language: str) -> str:
    """Return the legal basis as it is cited; empty where the rule names none.

    >>> legal_basis({"document": "商业银行流动性风险管理办法", "number": "2018年第3号", "article": "37"}, "en")
    '商业银行流动性风险管理办法 (2018年第3号), art. 37'
    """
    document, number, article = (basis.get(k) or "" for k in ("document", "number", "article"))
    if not document:
        return ""
    if language == "zh":
        return f"《{document}》" + (f"（{number}）" if number else "") + (articles(article, "zh") if article else "")
    return document + (f" ({number})" if number else "") + (f", {articles(article, 'en')}" if article else "")


def legal_line(basis: Mapping[str, str | None], language: str) -> str:
    """Return what the level stands on: the law's own line, a proposal, or just the document; empty for nothing.

    >>> legal_line({"document": "办法", "article": "8", "evidence": "proposal", "verified_on": None}, "zh")
    '级别依据：监管建议值，非法定标准；相关规定：《办法》第八条（条文待核对）'
    """
    zh = language == "zh"
    cited = legal_basis(basis, language)
    kind = basis.get("standing") or standing(basis.get("evidence"))
    if cited:
        checked = basis.get("verified_on")
        if checked:
            cited += f"（已于{day(checked, '', 'zh')}核对原文）" if zh else f" (text compared on {day(checked)})"
        else:
            cited += "（条文待核对）" if zh else " (text not yet verified)"
    if kind == "law" and cited:
        return f"监管依据：{cited}" if zh else f"Basis: the law's own line, {cited}"
    if kind == "proposal":
        said = "级别依据：监管建议值，非法定标准" if zh else "Basis: a supervisory proposal, not a line of the law"
        related = "；相关规定：" if zh else "; related: "
        return said + (related + cited if cited else "")
    return (f"监管依据：{cited}" if zh else f"Basis: {cited}") if cited else ""
