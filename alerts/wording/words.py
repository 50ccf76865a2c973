"""The vocabulary: severities and kinds of notices, in English and Chinese."""

from __future__ import annotations

from collections.abc import Callable, Mapping

LANGUAGES = ("en", "zh")

Names = Callable[[str], Mapping[str, str]]
"""Names by language of a subject; an empty mapping where they are not known."""

SEVERITY_WORDS = {
    "none": {"en": "none", "zh": "无"},
    "watch": {"en": "watch", "zh": "关注"},
    "warning": {"en": "warning", "zh": "预警"},
    "critical": {"en": "critical", "zh": "严重"},
}
KIND_WORDS = {
    "firing": {"en": "new", "zh": "新增"},
    "escalated": {"en": "escalated", "zh": "升级"},
    "eased": {"en": "eased", "zh": "缓和"},
    "resolved": {"en": "resolved", "zh": "解除"},
    "suppressed": {"en": "suppressed", "zh": "抑制"},
    "stale": {"en": "stale", "zh": "数据中断"},
    "moved": {"en": "corrected", "zh": "更正"},
    "repeated": {"en": "still open", "zh": "持续"},
    "released": {"en": "released", "zh": "恢复"},
    "worsened": {"en": "much worse", "zh": "恶化"},
    "past_due": {"en": "past due", "zh": "处置逾期"},
    "unanswered": {"en": "unanswered", "zh": "无人处理"},
    "flapping": {"en": "flapping", "zh": "反复触发"},
}


def in_language(words: Mapping[str, str], language: str, default: str = "") -> str:
    """Return the words in `language`, else in English, else in any language, else `default`.

    >>> in_language({"zh": "流动性"}, "en")
    '流动性'
    """
    return words.get(language) or words.get("en") or next(iter(words.values()), default)
