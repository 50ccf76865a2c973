"""Whole messages: of one notice, of several about one institution, and a digest of many."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.desk import Notice
from alerts.wording import lines as standard
from alerts.wording.dates import as_of, due, since
from alerts.wording.headlines import gravity, headline, severity_before, subject_name
from alerts.wording.law import legal_line
from alerts.wording.words import LANGUAGES, SEVERITY_WORDS, Names, in_language
from rules.sentences import cause, is_back, sentence, value_of
from rules.transitions import Transition

_OVER = frozenset({"resolved"})
_SILENT = frozenset({"resolved", "suppressed"})


def paragraph(notice: Notice, language: str, desk_url: str = "") -> list[str]:
    """Return the lines of a message in one language below its headline.

    What it says, the value with level and limit, how it moved, where the peers are, of which date and why, since when
    it is open, what weighs, what is overdue, the legal line, what to do by when, and where the case is. Of an alert
    that is over neither limit, nor law, nor action; of a silenced one no action.
    """
    event, zh = notice.alert.last, language == "zh"
    over = notice.kind in _OVER
    found = [said(notice, language)]
    if event.measured is not None and event.measured.value is not None:
        if not over:
            found.append(standard.measured(event.measured, event.severity, language))
        elif event.message:  # a built-in sentence has the value already
            found.append(standard.measured(event.measured, "none", language))
        found += [standard.moved(event.measured, language), standard.peers(event.measured, language)]
    why = cause(event, language)
    found.append(f"{as_of(event, language)}；变动原因：{why}" if zh else f"{as_of(event, language)}; cause: {why}")
    found.append(_open(notice, language))
    found += [in_language(note, language) for note in event.notes]
    found += standard.overdue(event.overdue, language, event.zone)
    if not over:
        found.append(legal_line(event.basis, language))
    if notice.kind not in _SILENT:
        found.append(standard.action(event, language, notice.kind == "past_due"))
    url = link(notice, desk_url)
    if url:
        found.append(f"预警详情：{url}" if zh else f"Case: {url}")
    return [line for line in found if line]


def said(notice: Notice, language: str) -> str:
    """Return the sentence of a notice: what happened, in the rule's words or in built-in ones."""
    event = notice.alert.last
    before = notice.before.last if notice.before is not None and notice.before is not notice.alert else None
    if notice.kind == "resolved" and event.state != "resolved":
        return _retired(notice, language)
    text = sentence(event, language, before)
    lead = _lead(notice, before, language)
    if not lead:
        return text
    return f"{lead}。{text}" if language == "zh" else f"{lead}. {text}"


def _retired(notice: Notice, language: str) -> str:
    """The alert is over because its rule notifies nobody any more."""
    status = notice.alert.last.status
    level = SEVERITY_WORDS[severity_before(notice)][language]
    if language == "zh":
        words = {"shadow": "影子运行", "trial": "试运行"}.get(status, status)
        return f"预警解除（原级别：{level}）：规则转为{words}，不再通知"
    return f"Resolved (was {level}): the rule is on {status} now and notifies nobody"


def _lead(notice: Notice, before: Transition | None, language: str) -> str:
    """What a notice says beyond its transition: what delivery saw."""
    event, zh = notice.alert.last, language == "zh"
    level = SEVERITY_WORDS[event.severity][language]
    match notice.kind:
        case "worsened":
            was = before.measured.value if before is not None and before.measured is not None else None
            known = event.measured is not None and event.measured.value is not None
            more = value_of(event.measured, language, was) if known and event.measured is not None else ""
            if zh:
                return f"级别仍为{level}，情况明显恶化" + (f"：{more}" if more else "")
            return f"Still {level}, and much worse" + (f": {more}" if more else "")
        case "past_due":
            until = due(event.due, event.zone, language) if event.due else ""
            if zh:
                return "处置期限已过" + (f"（{until}）" if until else "") + "，预警仍未解除"
            return "The time to act has passed" + (f" ({until})" if until else "") + " and the alert is still open"
        case "unanswered":
            return "预警仍未解除，且尚无人响应" if zh else "The alert is open and nobody has answered it"
        case "flapping":
            if zh:
                return "预警反复触发与解除，后续变动合并通知"
            return "The alert opens and closes again and again; further changes are told less often"
        case "moved" if not is_back(event):
            return "级别不变，预警内容更正" if zh else "The severity stays, what is known was corrected"
    return ""


def _open(notice: Notice, language: str) -> str:
    event = notice.alert.last
    text = since(notice.alert.opened, event.seen_at, event.zone, language)
    if notice.kind not in _OVER:
        return text
    return (
        text.replace("预警起始：", "预警期间自").replace("已持续", "历时")
        if language == "zh"
        else (text.replace("Open since", "It had been open since"))
    )


def message(notice: Notice, names: Names, first: str = "en", desk_url: str = "") -> str:
    """Return what stands below the headline in `first`: both languages, the evidence, and the ids."""
    first, second = languages(first)
    lines = [
        *paragraph(notice, first, desk_url),
        "",
        headline(notice, names, second),
        *paragraph(notice, second, desk_url),
    ]
    parts = ["\n".join(lines), _evidence(notice, first), _ids(notice)]
    return "\n\n".join(filter(None, parts))


def group_message(notices: Sequence[Notice], names: Names, first: str = "en", desk_url: str = "") -> tuple[str, str]:
    """Return title and body of one message for several notices about one institution, the gravest first.

    Raises ValueError for no notices.
    """
    ordered = sorted(notices, key=gravity, reverse=True)
    if not ordered:
        raise ValueError("a group has at least one notice")
    if len(ordered) == 1:
        return headline(ordered[0], names, first), message(ordered[0], names, first, desk_url)
    one, other = languages(first)
    parts = [_group_head(ordered, names, other)]
    for language in (one, other):
        if language == other:
            parts.append("――――")
        for number, notice in enumerate(ordered, start=1):
            head = f"{number}. {headline(notice, names, language)}"
            parts.append("\n".join([head, *paragraph(notice, language, desk_url)]))
    parts += [_evidence(notice, one, of=f"{notice.alert.last.rule} · ") for notice in ordered]
    parts.append("\n".join(map(_ids, ordered)))
    return _group_head(ordered, names, one), "\n\n".join(filter(None, parts))


def _group_head(ordered: Sequence[Notice], names: Names, language: str) -> str:
    """The institution, how many findings, and the gravest."""
    gravest = ordered[0]
    who = subject_name(gravest.alert.last, names, language)
    what = headline(gravest, names, language)
    if language == "zh":
        return f"{who}：{len(ordered)}项预警变动，最严重：{what.removesuffix('：' + who)}"
    return f"{who}: {len(ordered)} changes of alerts, the gravest {what.removesuffix(': ' + who)}"


def digest(
    groups: Sequence[Sequence[Notice]], names: Names, first: str = "en", route: str = "", desk_url: str = ""
) -> tuple[str, str]:
    """Return title and body of one message for many groups: the title names the gravest.

    A line for each notice, the gravest first, in both languages, then its link or its ids. `route` is whom the digest
    is for, empty for everybody. Raises ValueError for no notices.
    """
    ordered = sorted((notice for group in groups for notice in group), key=gravity, reverse=True)
    if not ordered:
        raise ValueError("a digest has at least one notice")
    one, other = languages(first)
    count, gravest = len(ordered), headline(ordered[0], names, one)
    subjects = len({notice.alert.last.subject for notice in ordered})
    title = {
        "en": f"{count} changes of alerts at {subjects} subject{'s' if subjects != 1 else ''}"
        + (f", {route}" if route else "")
        + f"; the gravest: {gravest}",
        "zh": (f"【{route}】" if route else "") + f"{subjects}家机构{count}项预警变动；最严重：{gravest}",
    }[one]
    lines: list[str] = []
    for notice in ordered:
        lines += [headline(notice, names, one), headline(notice, names, other)]
        lines.append(f"  {_brief(notice, one)}")
        lines.append(f"  {link(notice, desk_url) or _ids(notice)}")
    return title, "\n".join(lines)


def _brief(notice: Notice, language: str) -> str:
    """The first sentence of a notice, for a list."""
    return said(notice, language) or in_language(notice.alert.last.title, language, notice.alert.last.rule)


def languages(first: str) -> tuple[str, str]:
    """Return both languages, `first` before the other."""
    one, other = sorted(LANGUAGES, key=lambda language: language != first)
    return one, other


def link(notice: Notice, desk_url: str) -> str:
    """Return the address of the case at the desk; empty without `desk_url`."""
    return f"{desk_url.rstrip('/')}/alerts/{notice.alert.case}" if desk_url else ""


def _evidence(notice: Notice, language: str, of: str = "") -> str:
    """What the rule read, and the condition that holds."""
    event = notice.alert.last
    lines = standard.evidence(event.values, language, event.zone)
    if event.condition and notice.kind not in _OVER:
        lines.insert(0, event.condition)
    head = "依据数据 / Evidence" if language == "zh" else "Evidence / 依据数据"
    return "\n".join([f"{of}{head}", *lines]) if lines else ""


def _ids(notice: Notice) -> str:
    return f"{notice.alert.last.rule} · alert {notice.alert.case} · event {notice.alert.last.id}"
