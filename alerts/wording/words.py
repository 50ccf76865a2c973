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
    "firing": {"en": "new", "zh": "新增预警"},
    "escalated": {"en": "escalated", "zh": "预警升级"},
    "eased": {"en": "eased", "zh": "预警降级"},
    "resolved": {"en": "resolved", "zh": "预警解除"},
    "suppressed": {"en": "notifications paused", "zh": "暂停通知"},
    "released": {"en": "notifications resumed", "zh": "恢复通知"},
    "stale": {"en": "data overdue", "zh": "数据逾期未更新"},
    "moved": {"en": "corrected", "zh": "预警更正"},
    "back": {"en": "data filed again", "zh": "数据已补报"},
    "repeated": {"en": "still open", "zh": "当前预警"},
    "worsened": {"en": "much worse", "zh": "明显恶化"},
    "past_due": {"en": "action overdue", "zh": "处置逾期"},
    "unanswered": {"en": "unanswered", "zh": "尚未响应"},
    "flapping": {"en": "flapping", "zh": "反复触发"},
}
"""Kinds of notices, as the desk and delivery name them."""


def in_language(words: Mapping[str, str], language: str, default: str = "") -> str:
    """Return the words in `language`, else in English, else in any language, else `default`.

    >>> in_language({"zh": "流动性"}, "en")
    '流动性'
    """
    return words.get(language) or words.get("en") or next(iter(words.values()), default)
