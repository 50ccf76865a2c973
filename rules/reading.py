"""One rule from YAML: keys read, expressions compiled, and what the engine must know of them gathered."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules.aggregates import is_aggregate
from rules.catalogue import Catalogue
from rules.compiler import MIN_COVERAGE, Compiler, located
from rules.expressions import parse
from rules.history import depth
from rules.keys import LADDER, RULE, SCOPES, STATUSES, names
from rules.lineage import read_related, read_retirement, read_validity
from rules.messages import compile_template
from rules.parameters import number_of
from rules.plan import Level, Node, Piece, Rule, Span, Validity, walk
from rules.problems import Problem, short
from rules.reserved import taken
from rules.source import Reader, Value
from rules.suppression import Wanted, read_inhibitors
from rules.terms import terms_of
from rules.windows import parse_span

MAX_HISTORY = 4_100
_ID = re.compile(r"[^\W\d_][\w.-]{0,99}")
_DEADLINE = re.compile(r"\s*([0-9]{1,4})\s*(bd|d|h)\s*")
_HOLD = re.compile(r"\sfor\s+((?:(?!\sfor\s).)*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """The pack that a rule stands in, and what its expressions are compiled with.

    `generated` says that the system made it, whose rules alone may have reserved names.
    """

    pack: str
    version: str
    compiler: Compiler
    derived: Mapping[str, Node]
    problems: list[Problem]
    generated: bool = False


def read_rule(value: Value, source: Source) -> tuple[Rule, list[Wanted]] | None:
    """Return the rule and the inhibitions that it declares; None, and the problems added, when it is wrong."""
    problems, compiler = source.problems, source.compiler
    before = len(problems)
    r = Reader(value, problems, "a rule")
    if not isinstance(value.data, dict):
        return None
    r.only(names(RULE))
    ident = r.text("id")
    r.what = f"the rule {short(ident)}"
    if "id" in r.data:
        _check_id(r, "id", ident, source)
    compiler.min_coverage = _min_coverage(r)
    where = _condition(r, "where", compiler)
    levels = _levels(r, compiler)
    clear, clear_hold = _clear(r, compiler)
    hold = _span(r, "for")
    unless = _condition(r, "unless", compiler)
    message = {language: _message(r, language, compiler) for language in r.words("message")}
    scope = r.choice("scope", SCOPES, "institution")
    status = r.choice("status", STATUSES, "live")
    valid, retired = read_validity(r), read_retirement(r, status)
    renamed_from, replaces = read_related(r)
    for old in renamed_from:
        _check_id(r, "related", old, source)
    wanted = read_inhibitors(r, ident)
    if r.text("deadline", "") and parse_deadline(r.text("deadline", "")) is None:
        r.problem(r.place("deadline"), "shape", "'deadline' must be like 5bd, 10d or 24h")
    if len(problems) > before:
        return None
    where = _within(valid, where, compiler)
    judged = [n for n in (clear, *(level.condition for level in levels)) if n is not None]
    nodes = [n for n in (where, unless, *judged) if n is not None]
    spoken = [p.node for pieces in message.values() for p in pieces if p.node]
    _check_history(r, [*nodes, *spoken], compiler.catalogue)
    leveling = _below([n for n in (where, *judged) if n is not None])
    below = _below(nodes)
    triggers = _forms(below)
    own = _forms(_below(judged)) or _forms(leveling)
    clocks = frozenset(str(n.params[0]) for n in leveling if n.op == "overdue")
    asks = frozenset(str(n.params[0]) for n in leveling if n.op == "firing")
    if not _forms(leveling) and not clocks and not asks:
        summary = f"{r.what} reads no indicator"
        r.problem(value.place, "reads-nothing", summary, "nothing would ever judge it")
    if unless is not None and any(n.op == "overdue" for n in walk(unless)):
        summary = "'unless' can't read deadlines, which pass at other times than filings come"
        r.problem(r.place("unless"), "inhibition", summary, "inhibit the rule by one on the deadline")
    if len(problems) > before:
        return None
    across = tuple(n for n in below if is_aggregate(n))
    system = scope == "system" or bool(across) or any(f.startswith("measures.") for f in triggers)
    settings = tuple(sorted({str(n.params[0]) for n in _below([*nodes, *spoken]) if n.op == "parameter"}))
    rule = Rule(
        id=ident,
        pack=source.pack,
        pack_version=source.version,
        hash=_hash(value, [compiler.settings[name] for name in settings]),
        title=r.words("title"),
        basis={k: None if v.data is None else v.text() for k, v in r.mapping("basis").items()},
        scope=scope,
        status=status,
        where=where,
        levels=levels,
        hold=hold,
        clear=clear,
        clear_hold=clear_hold,
        reads=tuple(sorted({str(n.params[1]) for n in below if n.op == "column"})),
        derives=tuple(sorted(name for name, node in source.derived.items() if any(node is n for n in below))),
        forms=own if clocks or unless is None else own | _forms(_below([unless])),
        triggers=triggers,
        clocks=clocks,
        across=across,
        asks=asks,
        rank=0,
        placement="system" if system else "watch",
        message=message,
        action=r.words("action"),
        deadline=r.text("deadline", ""),
        route=r.text("route", ""),
        tags=tuple(r.strings("tags")),
        own=own,
        settings=settings,
        unless=unless,
        heeds=frozenset(str(n.params[0]) for n in walk(unless) if n.op == "firing") if unless else frozenset(),
        valid=valid,
        retired=retired,
        renamed_from=renamed_from,
        replaces=replaces,
        plan=tuple(r.strings("plan")),
        terms=terms_of(nodes),
    )
    return rule, wanted


def _min_coverage(r: Reader) -> float:
    before = len(r.problems)
    share = number_of(r, "min_coverage", "ratio") if r.text("min_coverage", "") else MIN_COVERAGE
    if len(r.problems) == before and not 0 < share <= 1:
        r.problem(r.place("min_coverage"), "coverage", "'min_coverage' must be over 0% and at most 100%")
    return share


def _below(nodes: Sequence[Node]) -> list[Node]:
    return list({n.id: n for node in nodes for n in walk(node)}.values())


def _forms(nodes: Sequence[Node]) -> frozenset[str]:
    return frozenset(str(n.params[0]) for n in nodes if n.op == "column")


def _hash(value: Value, settings: Sequence[object]) -> str:
    plain = json.dumps(value.plain(), sort_keys=True, ensure_ascii=False) + "".join(map(repr, settings))
    return hashlib.blake2b(plain.encode(), digest_size=8).hexdigest()


def _check_id(r: Reader, key: str, ident: str, source: Source) -> None:
    if not _ID.fullmatch(ident):
        fix = "up to 100 letters, digits, '.', '-' and '_', a letter first"
        r.problem(r.place(key), key, f"{short(ident)} is no id for a rule", fix)
    elif not source.generated and (word := taken(ident)):
        summary = f"{short(ident)} can't be a rule's id: the system names its own rules '{word}.…'"
        r.problem(r.place(key), "reserved", summary, "begin with another word")


def _within(valid: Validity | None, where: Node | None, compiler: Compiler) -> Node | None:
    """The rule's `where`, at dates at which it is valid."""
    if valid is None:
        return where
    inside = compiler.graph.node("valid", params=(valid.since, valid.until), kind="truth")
    return inside if where is None else compiler.graph.node("and", (inside, where), kind="truth")


def _check_history(r: Reader, nodes: Sequence[Node], catalogue: Catalogue) -> None:
    memo: dict[int, dict[str, int]] = {}
    for form, filings in ((f, n) for node in nodes for f, n in depth(node, catalogue, memo).items()):
        if filings > MAX_HISTORY:
            summary = f"{r.what} looks back over {filings} filings of {form!r}, at most {MAX_HISTORY} are kept"
            r.problem(r.value.place, "too-far", summary, "look back less far")
            return


def _condition(r: Reader, key: str, compiler: Compiler) -> Node | None:
    text = r.text(key, "")
    if not text:
        return None
    with located(r.problems, r.data[key]):
        return compiler.truth(parse(text))
    return None


def _levels(r: Reader, compiler: Compiler) -> tuple[Level, ...]:
    levels: list[Level] = []
    found = r.data.get("levels")
    if found is None:
        r.problem(r.value.place, "required", f"{r.what} needs 'levels'", "one or more of watch, warning, critical")
        return ()
    ladder = Reader(found, r.problems, "levels")
    ladder.only(LADDER)
    for number, name in enumerate(LADDER, start=1):
        condition = _condition(ladder, name, compiler) if name in ladder.data else None
        if condition is not None:
            levels.append(Level(number, condition, ladder.text(name)))
        elif name in ladder.data and ladder.data[name].data in (None, ""):
            ladder.problem(ladder.place(name), "required", f"the level {name!r} is empty")
    if isinstance(found.data, dict) and not found.data:
        ladder.problem(found.place, "required", "'levels' is empty", "one or more of watch, warning, critical")
    return tuple(levels)


def _span(r: Reader, key: str) -> Span:
    text = r.text(key, "")
    if not text:
        return Span()
    span = parse_span(text)
    if span is None:
        r.problem(r.place(key), "shape", f"{key!r} can't be {short(text)}", "write it as '2 filings' or '30d'")
        return Span()
    return span


def _clear(r: Reader, compiler: Compiler) -> tuple[Node | None, Span]:
    text = r.text("clear", "")
    if not text:
        return None, Span()
    found = _HOLD.search(text)
    span = parse_span(found.group(1)) if found else Span()
    if found and span is None:
        place, rest = r.data["clear"].at(found.start(1)), found.group(1).strip()
        r.problem(place, "shape", f"'clear' can't hold for {short(rest)}", "write it as 'x > 1 for 2 filings'")
        return None, Span()
    with located(r.problems, r.data["clear"]):
        return compiler.truth(parse(text[: found.start()] if found else text)), span or Span()
    return None, Span()


def _message(r: Reader, language: str, compiler: Compiler) -> tuple[Piece, ...]:
    found = r.data["message"]
    value = found if isinstance(found.data, str) else found.data[language]  # type: ignore[index]
    with located(r.problems, value):
        return compile_template(compiler, value.text())
    return ()


def parse_deadline(text: str) -> tuple[int, str] | None:
    """Return (number, unit) of a deadline such as 5bd, 10d or 24h, or None.

    >>> parse_deadline("5bd")
    (5, 'bd')
    """
    found = _DEADLINE.fullmatch(text)
    return (int(found.group(1)), found.group(2)) if found else None
