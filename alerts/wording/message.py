"""Whole messages: of one notice, of several about one institution, and a digest of many."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.desk import Notice
from alerts.wording.headlines import gravity, headline
from alerts.wording.lines import deadline, evidence, legal_basis, overdue
from alerts.wording.words import LANGUAGES, Names, in_language


def paragraph(notice: Notice, language: str) -> list[str]:
    """Return the lines of a message in one language below its headline: message, as-of, basis, action, deadline."""
    event = notice.alert.last
    zh = language == "zh"
    said = in_language(event.message, language)
    lines = [said] if said else []
    lines.append(f"数据日期 {event.as_of}" if zh else f"As of {event.as_of}")
    lines += [in_language(note, language) for note in event.notes]
    lines += overdue(event.overdue, language)
    basis = legal_basis(event.basis, language)
    if basis:
        lines.append(f"依据：{basis}" if zh else f"Basis: {basis}")
    action = in_language(event.action, language)
    if action and notice.kind != "resolved":
        within = deadline(event.deadline, language)
        by = "" if not event.due else f"，至{event.due}" if zh else f", by {event.due}"
        if event.due_provisional:
            by += "，暂定，以正式公布的放假调休安排为准" if zh else ", provisional until working days are announced"
        limit = "" if not within else f"（时限{within}{by}）" if zh else f" (within {within}{by})"
        lines.append(f"措施：{action}{limit}" if zh else f"Action: {action}{limit}")
    return lines


def message(notice: Notice, names: Names, first: str = "en", desk_url: str = "") -> str:
    """Return what stands below the headline in `first`: both languages, the evidence, and the ids."""
    first, second = languages(first)
    lines = [*paragraph(notice, first), "", headline(notice, names, second), *paragraph(notice, second)]
    parts = ["\n".join(lines)]
    event = notice.alert.last
    lines = evidence(event.values)
    if event.condition and notice.kind != "resolved":
        lines.insert(0, event.condition)
    if lines:
        parts.append("\n".join(["Evidence / 依据数据", *lines]))
    url = link(notice, desk_url)
    if url:
        parts.append(url)
    parts.append(_ids(notice))
    return "\n\n".join(parts)


def group_message(notices: Sequence[Notice], names: Names, first: str = "en", desk_url: str = "") -> tuple[str, str]:
    """Return title and body of one message for several notices about one institution, the gravest first.

    Raises ValueError for no notices.
    """
    ordered = sorted(notices, key=gravity, reverse=True)
    if not ordered:
        raise ValueError("a group has at least one notice")
    if len(ordered) == 1:
        return headline(ordered[0], names, first), message(ordered[0], names, first, desk_url)
    first, second = languages(first)
    parts = []
    for language in (first, second):
        for notice in ordered:
            parts.append("\n".join([headline(notice, names, language), *paragraph(notice, language)]))
    parts.append("\n".join(filter(None, (link(notice, desk_url) for notice in ordered))))
    parts.append("\n".join(map(_ids, ordered)))
    more = {"en": f"and {len(ordered) - 1} more", "zh": f"等{len(ordered)}项"}[first]
    return f"{headline(ordered[0], names, first)} {more}", "\n\n".join(filter(None, parts))


def digest(
    groups: Sequence[Sequence[Notice]], names: Names, first: str = "en", route: str = "", desk_url: str = ""
) -> tuple[str, str]:
    """Return title and body of one message for many groups: the title names the gravest, a line for each notice.

    `route` is whom the digest is for, empty for everybody. Raises ValueError for no notices.
    """
    ordered = sorted((notice for group in groups for notice in group), key=gravity, reverse=True)
    if not ordered:
        raise ValueError("a digest has at least one notice")
    first, second = languages(first)
    count, gravest = len(ordered), headline(ordered[0], names, first)
    of = f" ({route})" if route else ""
    title = {
        "en": f"{count} changes of alerts{of}; gravest: {gravest}",
        "zh": f"{count}项预警变动{of}；最严重：{gravest}",
    }[first]
    lines: list[str] = []
    for notice in ordered:
        lines.extend(headline(notice, names, language) for language in (first, second))
        lines.append(f"  {link(notice, desk_url) or _ids(notice)}")
    return title, "\n".join(lines)


def languages(first: str) -> tuple[str, str]:
    """Return both languages, `first` before the other."""
    one, other = sorted(LANGUAGES, key=lambda language: language != first)
    return one, other


def link(notice: Notice, desk_url: str) -> str:
    """Return the address of the case at the desk; empty without `desk_url`."""
    return f"{desk_url.rstrip('/')}/alerts/{notice.alert.case}" if desk_url else ""


def _ids(notice: Notice) -> str:
    return f"{notice.alert.last.rule} · alert {notice.alert.case} · event {notice.alert.last.id}"
