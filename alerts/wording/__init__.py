"""What people read about an alert, in English and Chinese."""

from alerts.wording.headlines import change, gravity, headline, severity_after, subject_name
from alerts.wording.lines import deadline, evidence, legal_basis, overdue
from alerts.wording.message import digest, group_message, link, message, paragraph
from alerts.wording.numbers import number
from alerts.wording.structured import annotations, structured
from alerts.wording.words import KIND_WORDS, LANGUAGES, SEVERITY_WORDS, Names, in_language

__all__ = [
    "KIND_WORDS",
    "LANGUAGES",
    "SEVERITY_WORDS",
    "Names",
    "annotations",
    "change",
    "deadline",
    "digest",
    "evidence",
    "gravity",
    "group_message",
    "headline",
    "in_language",
    "legal_basis",
    "link",
    "message",
    "number",
    "overdue",
    "paragraph",
    "severity_after",
    "structured",
    "subject_name",
]
