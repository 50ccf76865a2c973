"""The topic `filings.questions`: filings that are held because their units are in question, and what became of them.

A record's key is the institution. Its header `question` says everything, as JSON; the value of one that asks is the
filing's original bytes, with its `content-type`, so that it can be sent again; the others have no value. The same
record may stand there twice after a crash: readers go by `id` and `state`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from rules.calendar import format_instant
from rules.catalogue import Catalogue
from rules.evidence import format_seen
from rules.questions import Question, State
from rules.registry import Institution
from rules.scale import Finding, span
from streams.clients import Record as Kept
from streams.encodings import Encoding, encoding_of
from streams.fetching import Record
from streams.outbox import Post
from streams.wire import Confirms, Reason, kept_headers

HEADER = "question"
SHOWN = 3
"""Indicators that a sentence names."""
_UNITS = {"ratio": ("ratios", "比率"), "currency": ("amounts", "金额"), "count": ("counts", "数量")}


class Odd(msgspec.Struct, frozen=True, omit_defaults=True):
    """A value in question: what is plausible of it (null for no bound), and the value before where it is known."""

    indicator: str
    value: float
    plausible: tuple[float | None, float | None]
    before: float | None = None


class Part(msgspec.Struct, frozen=True):
    """The values of one unit that are in question: divided by `factor`, they are in place."""

    unit: str
    factor: float
    columns: list[Odd]


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question and what became of it. Times are instants; `at` is when the state was reached.

    `by` and `reason` are those of the person who confirmed it.
    """

    id: str
    state: State
    institution: str
    form: str
    as_of: str
    revision: int
    since: str
    expires: str
    at: str
    parts: list[Part]
    message: dict[str, str]
    by: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Open:
    """A question without an answer: what is told of it, and the filing's bytes and headers as they came."""

    told: Told
    record: bytes
    headers: list[tuple[str, bytes]]


def told_of(
    question: Question, catalogue: Catalogue, institution: Institution | None = None, answer: Confirms | None = None
) -> Told:
    """Return what the topic says of a question."""
    held = question.held
    as_of = format_instant(held.as_of)
    confirmed = answer if question.state == "confirmed" else None
    return Told(
        id=f"{question.institution}/{held.form}/{as_of}/{held.revision}/{held.offset}",
        state=question.state,
        institution=question.institution,
        form=held.form,
        as_of=as_of,
        revision=held.revision,
        since=format_seen(held.submitted_at),
        expires=format_seen(held.expires),
        at=format_seen(question.at),
        parts=[_part(finding) for finding in held.findings],
        message=_sentence(question, catalogue, institution),
        by="" if confirmed is None else confirmed.by,
        reason="" if confirmed is None else confirmed.reason,
    )


def post(topic: str, told: Told, record: Record | None) -> Post:
    """Return the record that tells it: with the filing that is asked about, or without one."""
    headers = [(HEADER, msgspec.json.encode(told)), ("reason", str(Reason.SCALE).encode())]
    if record is not None:
        headers += kept_headers(record.headers)
    value = None if record is None else record.value
    return Post(topic, told.institution.encode(), value, headers, bulky=record is not None)


def open_questions(records: Iterable[Kept]) -> list[Open]:
    """Return the questions of the topic that nobody has answered yet, by when they expire."""
    found: dict[str, Open] = {}
    for record in records:
        headers: Mapping[str, bytes] = dict(record.headers)
        try:
            told = msgspec.json.decode(headers.get(HEADER, b""), type=Told)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue
        if told.state == "asked" and record.value is not None:
            found[told.id] = Open(told, record.value, kept_headers(record.headers))
        else:
            found.pop(told.id, None)
    return sorted(found.values(), key=lambda one: (one.told.expires, one.told.id))


def with_confirms(record: bytes, headers: Iterable[tuple[str, bytes]], confirms: Confirms) -> bytes:
    """Return the very same filing with the answer in it, in its own encoding."""
    if encoding_of(list(headers)) is Encoding.ARROW:
        from streams.arrow import unpack, write

        filing = unpack(record)
        return write({**filing.head, "confirms": msgspec.json.encode(confirms)}, filing.values.to_pylist())
    told = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
    told["confirms"] = msgspec.Raw(msgspec.json.encode(confirms))
    return msgspec.json.encode(told)


def how_far(factor: float) -> tuple[str, str]:
    """Return by how much values are off, in English and Chinese.

    >>> how_far(0.01)
    ('100 times too small', '偏小约100倍')
    """
    if factor >= 1.0:
        return f"{factor:,.0f} times too large", f"偏大约{factor:,.0f}倍"
    return f"{1 / factor:,.0f} times too small", f"偏小约{1 / factor:,.0f}倍"


def _sentence(question: Question, catalogue: Catalogue, institution: Institution | None) -> dict[str, str]:
    held, code = question.held, question.institution
    form = catalogue.forms.get(held.form)
    title = form.title.get("zh", held.form) if form is not None else held.form
    as_of = format_instant(held.as_of)
    english, chinese = [], []
    for finding in held.findings:
        units, off = _UNITS[finding.unit], how_far(finding.factor)
        english.append(f"its {units[0]} seem about {off[0]} ({_examples(finding, 'plausible', 'before', ', ')})")
        chinese.append(f"{units[1]}疑似{off[1]}（{_examples(finding, '合理区间', '上期', '，')}）")
    who = institution or Institution(code)
    return {
        "en": f"{who.title('en')}, {held.form} as of {as_of}: {'; '.join(english)}. Are the units right?",
        "zh": f"{who.title('zh')}报送的{title}（{as_of}）{'；'.join(chinese)}，请核实计量单位",
    }


def _examples(finding: Finding, plausible: str, before: str, comma: str) -> str:
    told = []
    columns = zip(finding.indicators, finding.values, finding.likely, finding.before, strict=True)
    for name, value, likely, last in list(columns)[:SHOWN]:
        place = f"{plausible} {span(*likely)}" if last is None else f"{before} {last:g}"
        told.append(f"{name} {value:g}, {place}" if comma == ", " else f"{name} {value:g}，{place}")
    more = len(finding.indicators) - SHOWN
    return comma.join(told) + (f" +{more}" if more > 0 else "")


def _part(finding: Finding) -> Part:
    columns = zip(finding.indicators, finding.values, finding.likely, finding.before, strict=True)
    return Part(
        finding.unit,
        finding.factor,
        [Odd(name, value, (_bound(likely[0]), _bound(likely[1])), before) for name, value, likely, before in columns],
    )


def _bound(value: float) -> float | None:
    return None if value in (float("-inf"), float("inf")) else value
