"""Rules in words, from their compiled plan: what a rule reads, where it runs and why, what has to hold, who is exempt.

There is no second description of a rule: what the engine runs is what is printed here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rules.calendar import DAY, format_instant
from rules.context import Context
from rules.engine import Engine
from rules.explain_words import FREQUENCIES, LEVELS, SPANS, UNITS, WORDS
from rules.history import depth, rule_nodes
from rules.muting import waiver_at
from rules.operations import truth
from rules.pack import Program
from rules.peers import FEW_PEERS, NEW_YEARS
from rules.plan import Node, Row, Rule, Setting, Span, Waiver, walk
from rules.registry import Institution
from rules.rendering import Renderer, renderer
from rules.spans import EVER
from rules.store import NEVER

__all__ = ["Whom", "explain", "length", "value_of"]

NAMED = 2
"""How many of the rules that share a node are named."""


@dataclass(frozen=True, slots=True)
class Whom:
    """The institution for which parameters and waivers are looked up, and the as-of second at which."""

    institution: Institution
    at: int


def explain(rule: Rule, program: Program, language: str = "en", whom: Whom | None = None) -> list[str]:
    """Return the lines that explain a rule; language is en or zh."""
    return list(_Explanation(rule, program, language).lines(whom))


def length(span: Span, language: str) -> str:
    """Return how long a span is, in words: 2 filings, 36 hours."""
    many, one, days, hours = SPANS[language]
    if span.seconds % DAY:
        return hours.format(n=f"{span.seconds / 3600:g}")
    if span.seconds:
        return days.format(n=span.seconds // DAY)
    return one if span.filings == 1 else many.format(n=span.filings)


class _Explanation:
    """One rule in one language."""

    def __init__(self, rule: Rule, program: Program, language: str) -> None:
        self.rule, self.program, self.language = rule, program, language
        self.words = WORDS[language]
        self.render: Renderer = renderer(program, language)

    def say(self, key: str, **values: object) -> str:
        return self.words[key].format(**values)

    def lines(self, whom: Whom | None) -> Iterator[str]:
        yield from self._head()
        sections: list[tuple[str, Iterator[str]]] = [
            ("whom", self._whom()),
            ("when", self._when()),
            ("reads", self._reads()),
            ("runs", self._runs()),
            ("across", self._across()),
            ("parameters", self._parameters()),
            ("suppressed", self._suppression()),
            ("related", self._related()),
        ]
        for heading, body in sections:
            yield from self._section(self.words[heading], body)
        yield from self._plan()
        if whom is not None:
            name = whom.institution.title(self.language)
            yield from self._section(self.say("institution", name=name, day=format_instant(whom.at)), self._for(whom))

    def _section(self, heading: str, body: Iterator[str]) -> Iterator[str]:
        lines = list(body)
        if lines:
            yield ""
            yield heading
            yield from (f"  {line}" for line in lines)

    def _head(self) -> Iterator[str]:
        rule = self.rule
        yield f"{rule.id} · {rule.title.get(self.language, '')}"
        about = [self.say("pack", pack=rule.pack, version=rule.pack_version, status=self.words[rule.status])]
        if rule.route:
            about.append(self.say("route", route=rule.route))
        if rule.deadline:
            about.append(self.say("deadline", deadline=rule.deadline))
        yield ("；" if self.language == "zh" else "; ").join(about)
        if rule.retired is not None:
            yield self.say("retired_since", on=rule.retired.on, reason=rule.retired.reason)
        if rule.valid is not None:
            yield self._span(rule.valid.since, rule.valid.until)
        if rule.basis:
            yield f"{self.words['basis']}: {self._basis(rule.basis)}"
        for key, listed in (("tags", rule.tags), ("plan_statements", rule.plan)):
            if listed:
                yield f"{self.words[key]}: {', '.join(listed)}"

    def _basis(self, basis: dict[str, str | None]) -> str:
        parts = [basis.get("document") or self.words["no_document"]]
        parts += [str(value) for key, value in basis.items() if value and key not in ("document", "verified_on")]
        if basis.get("document"):
            parts.append(str(basis.get("verified_on") or self.words["unverified"]))
        return " · ".join(parts)

    def _whom(self) -> Iterator[str]:
        if self.rule.scope == "system":
            yield self.words["the_system"]
        if self.rule.where is not None:
            yield self.render(self.rule.where)
        elif self.rule.scope != "system":
            yield self.words["everyone"]

    def _when(self) -> Iterator[str]:
        rule = self.rule
        names = LEVELS[self.language]
        yield from _columns([[names[x.number], self.render(x.condition)] for x in reversed(rule.levels)])
        if rule.hold != Span():
            yield self.say("hold", span=length(rule.hold, self.language))
        if rule.clear is None:
            yield self.words["falls"]
        elif rule.clear_hold == Span():
            yield self.say("clear_now", condition=self.render(rule.clear))
        else:
            yield self.say("clear", condition=self.render(rule.clear), span=length(rule.clear_hold, self.language))

    def _reads(self) -> Iterator[str]:
        catalogue = self.program.catalogue
        table = []
        for name in self.rule.reads:
            indicator = catalogue.indicators[name]
            unit = UNITS[self.language].get(indicator.unit, indicator.unit)
            table.append([name, indicator.title.get(self.language, ""), unit, self._form(indicator.form)])
        yield from _columns(table)
        for name in self.rule.derives:
            yield self.say("derived", name=name, formula=self.render.definition(self.program.derived[name]))
        memo: dict[int, dict[str, int]] = {}
        own: dict[str, int] = {}
        for node in rule_nodes(self.rule):
            for form, filings in depth(node, catalogue, memo).items():
                own[form] = max(own.get(form, 1), filings)
        for form, filings in sorted(own.items()):
            if filings > 1:
                kept = self.program.history.get(form, 1) + catalogue.forms[form].horizon
                yield self.say("history", form=form, own=filings, kept=kept)

    def _form(self, ident: str) -> str:
        frequency = self.program.catalogue.forms[ident].frequency
        return f"{ident} ({FREQUENCIES[self.language].get(frequency, frequency)})"

    def _titles(self, forms: Sequence[str]) -> str:
        titles = [self.program.catalogue.forms[form].title.get(self.language, form) for form in forms]
        return ("、" if self.language == "zh" else "; ").join(titles)

    def _runs(self) -> Iterator[str]:
        rule = self.rule
        yield self.words[self._placement()]
        if rule.clocks:
            yield self.say("clock", forms=self._titles(sorted(rule.clocks)))
        else:
            yield self.say("judged", forms=self._titles(sorted(rule.forms)))
        if others := sorted(rule.triggers - rule.forms):
            yield self.say("touched", forms=self._titles(others))
        if waits := sorted(rule.asks | rule.heeds):
            yield self.say("after", rules=", ".join(waits))

    def _placement(self) -> str:
        rule = self.rule
        if rule.placement == "watch":
            return "watch"
        if rule.scope == "system":
            return "system_scope"
        if rule.across:
            return "system_across"
        return "system_measures" if any(form.startswith("measures.") for form in rule.triggers) else "system_asks"

    def _across(self) -> Iterator[str]:
        for node in self.rule.across:
            forms = sorted({str(n.params[0]) for n in walk(node) if n.op == "column"})
            share, of = f"{node.params[1]:.0%}", "of_assets" if self.program.catalogue.size else "of_count"
            told = self.say("coverage", share=share, of=self.say(of), forms=self._titles(forms))
            yield f"{self.render(node)}: {told}"
        if any(node.op.startswith("peer_") for node in self.rule.across):
            yield self.say("peers", years=NEW_YEARS, few=FEW_PEERS)

    def _parameters(self) -> Iterator[str]:
        for name in self.rule.settings:
            setting = self.program.settings[name]
            unit = UNITS[self.language].get(setting.unit, setting.unit)
            yield f"{name} · {setting.title.get(self.language, '')} ({unit})"
            yield from (f"  {line}" for line in _columns([self._row(setting, row) for row in setting.rows]))

    def _row(self, setting: Setting, row: Row) -> list[str]:
        author = self.say("by", author=row.author)
        basis = self._basis(row.basis) if row.basis else ""
        return [value_of(setting, row), self._rung(row), self._span(row.since, row.until), author, basis]

    def _rung(self, row: Row) -> str:
        return f"{row.rung}={row.key}" if row.key else self.words["default"]

    def _span(self, since: int, until: int) -> str:
        first, last = (
            format_instant(since) if since != NEVER else "",
            format_instant(until - DAY) if until != EVER else "",
        )
        key = "span" if first and last else "from" if first else "until" if last else "always"
        return self.say(key, since=first, until=last)

    def _suppression(self) -> Iterator[str]:
        rule, names = self.rule, LEVELS[self.language]
        if rule.unless is not None:
            yield self.say("unless", condition=self.render(rule.unless))
        for inhibitor in rule.inhibited_by:
            yield self.say("inhibited", rule=inhibitor.rule, level=names[inhibitor.level])
        for other in self.program.rules:
            for inhibitor in other.inhibited_by:
                if inhibitor.rule == rule.id:
                    yield self.say("inhibits", rule=other.id, level=names[inhibitor.level])
        yield from map(self._waived, rule.waivers)

    def _waived(self, waiver: Waiver) -> str:
        span = self._span(waiver.since, waiver.until)
        texts = {key: getattr(waiver, key) for key in ("institution", "reason", "document", "approver")}
        return self.say("waived", span=span, **texts)

    def _related(self) -> Iterator[str]:
        for asked in sorted(self.rule.asks):
            yield self.say("asks", rule=asked)
        if self.rule.renamed_from:
            yield self.say("renamed", names=", ".join(self.rule.renamed_from))
        if self.rule.replaces:
            yield self.say("replaces", names=", ".join(self.rule.replaces))

    def _plan(self) -> Iterator[str]:
        marks = self._marks()
        order = list(dict.fromkeys(node for root in self._roots() for node in _below(root)))
        number = {node.id: i for i, node in enumerate(order, start=1)}
        others = [(other.id, {n.id for root in _conditions(other) for n in walk(root)}) for other in self.program.rules]
        table, shared = [], 0
        for node in order:
            users = [ident for ident, nodes in others if ident != self.rule.id and node.id in nodes]
            shared += bool(users)
            uses = [self.say("shared", rules=self._few(users))] if users and node.args else []
            table.append(
                [f"#{number[node.id]}", self._operation(node, number), "; ".join(marks.get(node.id, []) + uses)]
            )
        yield ""
        yield self.say("nodes", count=len(order), shared=shared)
        yield from (f"  {line}" for line in _columns(table))

    def _operation(self, node: Node, number: dict[int, int]) -> str:
        args = [f"#{number[arg.id]}" for arg in node.args]
        if node.op in ("constant", "valid"):
            return f"{node.op} {self.render(node)}"
        if not args:
            return " ".join([node.op, *map(str, node.params)])
        params = [str(param) for param in node.params if param != ""]
        if node.op == "member" and tuple(params) in self.render.sets:
            params = [self.render.sets[tuple(params)]]
        return f"{node.op}({', '.join([*args, *params])})"

    def _few(self, rules: Sequence[str]) -> str:
        named = ", ".join(rules[:NAMED])
        rest = len(rules) - NAMED
        return self.say("more", rules=named, count=rest) if rest > 0 else named

    def _roots(self) -> list[Node]:
        return _conditions(self.rule)

    def _marks(self) -> dict[int, list[str]]:
        """What the nodes at the top are for."""
        found: dict[int, list[str]] = {}
        rule = self.rule
        for level in rule.levels:
            found.setdefault(level.condition.id, []).append(f"→ {LEVELS[self.language][level.number]}")
        for key, node in (("where", rule.where), ("clear", rule.clear), ("unless", rule.unless)):
            if node is not None:
                found.setdefault(node.id, []).append(f"→ {key}")
        return found

    def _for(self, whom: Whom) -> Iterator[str]:
        one = whom.institution
        known = [("type", one.type), ("region", one.region), ("peer_group", one.peer_group)]
        attributes = [f"{key} {value}" for key, value in known if value]
        attributes += [f"dsib_bucket {one.dsib_bucket}"] if one.dsib_bucket else []
        yield self.say("attributes", attributes=", ".join(attributes)) if attributes else self.words["no_attributes"]
        engine = Engine(self.program, [one])
        rows, at = engine.rows([one.code]), np.array([whom.at], np.int64)
        if self.rule.where is not None and attributes:
            applies = truth(self.rule.where, Context(engine.world, rows, at))
            yield self.words["applies" if applies.yes[0] else "applies_not" if applies.no[0] else "applies_if"]
        for name in self.rule.settings:
            setting = self.program.settings[name]
            chosen = int(engine.world.settings[name].index(engine.world, rows, at)[0])
            if chosen < 0:
                yield self.say("wins_none", name=name)
            else:
                row = setting.rows[chosen]
                yield self.say("wins", name=name, value=value_of(setting, row), whom=self._rung(row))
        if (waiver := waiver_at(self.rule, one.code, whom.at)) is not None:
            yield self._waived(waiver)


def _conditions(rule: Rule) -> list[Node]:
    found = [rule.where, *(level.condition for level in rule.levels), rule.clear, rule.unless]
    return [node for node in found if node is not None]


def _below(node: Node) -> list[Node]:
    """The node and what it needs, operands first, each once."""
    done: dict[int, Node] = {}
    stack = [(node, False)]
    while stack:
        current, ready = stack.pop()
        if ready:
            done.setdefault(current.id, current)
        elif current.id not in done:
            stack.append((current, True))
            stack.extend((arg, False) for arg in reversed(current.args))
    return list(done.values())


def value_of(setting: Setting, row: Row) -> str:
    """A row's value as packs write it."""
    return f"{row.value * 100:.6g}%" if setting.unit == "ratio" else f"{row.value:,.6g}"


def _columns(table: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of a table whose columns stand under each other in a terminal."""
    if not table:
        return
    widths = [max(_width(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        yield "  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip()


def _width(text: str) -> int:
    """Columns that a text takes in a terminal: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
