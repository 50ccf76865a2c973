"""Check `nobody-files`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rules.catalogue import OWN_FORMS
from rules.lint.registry import Finding, check
from rules.lint.subject import Subject, Written
from rules.plan import walk


@check("nobody-files")
def nobody_files(subject: Subject) -> Iterator[Finding]:
    """A rule reads what nobody files: its institutions' types are not among those that report the form, no type is,
    or (with history) no filing has a value.
    """
    for rule in subject.rules:
        yield from _by_type(rule, subject)
        if subject.history is not None:
            yield from _by_history(rule, subject)


def _by_type(rule: Written, subject: Subject) -> Iterator[Finding]:
    facts = subject.facts(rule.rule)
    names_types = any(form.types for form in subject.catalogue.forms.values())
    if facts is None or rule.rule.scope == "system" or rule.rule.across:
        return
    for form_id in sorted(rule.rule.triggers | rule.rule.clocks):
        form = subject.catalogue.forms[form_id]
        if form_id.startswith(OWN_FORMS):
            continue
        if not form.types and names_types:
            summary = f"the catalogue names no type of institution that files {form_id!r}"
            yield Finding(rule.place, summary, "name them under the form's 'types'")
        if form.types and not _can_be(rule, subject, form.types):
            summary = f"{form_id!r} is not filed by any institution that the rule is for"
            fix = f"it is filed by {', '.join(form.types)}"
            yield Finding(rule.at("where"), summary, fix)


def _can_be(rule: Written, subject: Subject, types: tuple[str, ...]) -> bool:
    """Whether an institution of one of the types can be among those that the rule applies to."""
    if rule.rule.where is None:
        return True
    facts = subject.facts(rule.rule)
    attribute = next((n for n in walk(rule.rule.where) if n.op == "attribute" and n.params == ("type",)), None)
    return facts is not None and (attribute is None or not facts.texts(attribute).only(frozenset(types)).empty)


def _by_history(rule: Written, subject: Subject) -> Iterator[Finding]:
    assert subject.history is not None
    filed = {batch.form: batch for batch in subject.history.filings if len(batch.rows)}
    for name in rule.rule.reads:
        form = subject.catalogue.indicators[name].form
        if form.startswith(OWN_FORMS):
            continue
        place = rule.at("levels")
        if form not in filed:
            yield Finding(place, f"{name!r} is never filed: the history has no filing of {form!r}")
            continue
        column = filed[form].values[subject.catalogue.reported(form).index(name)]
        if np.isnan(column).all():
            yield Finding(place, f"{name!r} is blank in every filing of {form!r} that the history has")
