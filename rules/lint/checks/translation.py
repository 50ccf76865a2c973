"""Check `untranslated`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rules.keys import LADDER
from rules.lint.registry import Finding, check
from rules.lint.subject import Subject

LANGUAGES = {"en": "English", "zh": "Chinese"}


@check("untranslated")
def untranslated(subject: Subject) -> Iterator[Finding]:
    """Title, message or action lack English or Chinese; without any message nobody reads what happened."""
    for rule in subject.rules:
        texts: dict[str, Mapping[str, object]] = {
            "title": rule.rule.title,
            "message": rule.rule.message,
            **({"action": rule.rule.action} if not rule.rule.actions else {}),
        }
        for key, by_language in texts.items():
            missing = [name for language, name in LANGUAGES.items() if not by_language.get(language)]
            if missing and (by_language or key != "action"):
                summary = f"the {key} of {rule.rule.id!r} is missing in {' and '.join(missing)}"
                yield Finding(rule.at(key), summary, f"write '{key}: {{en: …, zh: …}}'")
        parts: dict[tuple[str, str], Mapping[str, object]] = {
            **{("texts", state): text for state, text in rule.rule.texts.items()},
            **{("action", LADDER[level - 1]): words for level, words in rule.rule.actions.items()},
        }
        for (key, part), by_language in parts.items():
            missing = [name for language, name in LANGUAGES.items() if not by_language.get(language)]
            if missing:
                summary = f"the {key} for {part!r} of {rule.rule.id!r} is missing in {' and '.join(missing)}"
                yield Finding(rule.at(key), summary, f"write '{part}: {{en: …, zh: …}}'")
