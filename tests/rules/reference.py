"""A second reading of the rule language: slow and obvious, to hold the engine against.

Plain Python: one institution, one rule, one date at a time; missing is None, and so is an unknown condition.
It shares the parser and the catalogue with the engine, and nothing that computes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any

import yaml

from rules.catalogue import FREQUENCY_DAYS, SYSTEM, Catalogue
from rules.expressions import (
    Binary,
    Call,
    Choice,
    Compare,
    Expression,
    Member,
    Name,
    Number,
    Text,
    Truth,
    Unary,
    parse,
)
from rules.registry import Institution

DAY = 86_400
YEAR = 365.25 * DAY
LEVELS = ("none", "watch", "warning", "critical")
Answer = float | bool | str | None


@dataclass(frozen=True)
class Filing:
    """One filing; `as_of` and `submitted` in seconds, `values` by indicator, None or absent for missing."""

    institution: str
    form: str
    as_of: int
    values: dict[str, float | None]
    revision: int = 0
    submitted: int = 0
    offset: int = -1

    def __repr__(self) -> str:
        told = " ".join(f"{k}={v}" for k, v in self.values.items())
        return f"<{self.offset}: {self.institution} {self.form} day {self.as_of / DAY:g} rev {self.revision} {told}>"


@dataclass(frozen=True)
class State:
    """How a rule stands: level of the open alert, its start, whether one is pending, what holds (None unknown).

    `silenced` names what suppresses the open alert, `overdue` the forms for want of which it is stale.
    """

    level: int = 0
    started: int | None = None
    pending: bool = False
    held: int | None = 0
    silenced: tuple[str, ...] = ()
    overdue: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """A change of state on the way through the dates."""

    rule: str
    subject: str
    as_of: int
    state: str
    severity: str
    previous: str
    started: int | None
    silenced: tuple[str, ...] = ()


@dataclass
class PlainRule:
    """A rule as its YAML says it."""

    id: str
    levels: dict[int, Expression]
    where: Expression | None
    clear: Expression | None
    hold: tuple[int, int]
    clear_hold: tuple[int, int]
    scope: str
    unless: Expression | None = None
    causes: dict[str, int] = field(default_factory=dict)
    valid: tuple[float, float] = (-math.inf, math.inf)
    least: float = 0.8
    own: list[str] = field(default_factory=list)
    forms: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Dated:
    """A parameter's row, or a waiver: what it says, for whom, and its first and last day (seconds, end excluded)."""

    value: float
    attribute: str
    key: str
    since: float
    until: float
    rule: str = ""

    def applies(self, institution: Institution, at: float) -> bool:
        """Whether it is for the institution and the date."""
        mine = not self.attribute or str(getattr(institution, self.attribute)) == self.key
        return mine and self.since <= at < self.until


class Reference:
    """Judges packs over filings from scratch, whenever asked."""

    def __init__(self, packs: Iterable[str], catalogue: Catalogue, institutions: Iterable[Institution]) -> None:
        self.catalogue = catalogue
        self.institutions = {i.code: i for i in institutions}
        self.clock = -math.inf
        loaded = [yaml.safe_load(text) for text in packs]
        self.rules = {rule["id"]: _rule(rule) for pack in loaded for rule in pack["rules"]}
        self.parameters = {
            name: [_dated(row) for row in data["rows"]]
            for pack in loaded
            for name, data in pack.get("parameters", {}).items()
        }
        self.waivers = [_dated(waiver) for pack in loaded for waiver in pack.get("waivers", [])]
        for rule in (rule for pack in loaded for rule in pack["rules"]):
            for consequence in rule.get("inhibits", []):
                self.rules[consequence].causes[rule["id"]] = 1
        for rule in self.rules.values():
            rule.own = sorted(self._rule_forms(rule))
            rule.forms = sorted(self._all_forms(rule))

    def states(self, filings: Iterable[Filing], clock: float = -math.inf) -> dict[tuple[str, str], State]:
        """Return how every rule stands for every institution once these filings are known, in whatever order.

        `clock` is the time, which ends waivers, and by which forms are overdue.
        """
        self.clock = clock
        subjects = self._subjects(filings)
        found = {}
        for (rule, code), path in self._paths(subjects).items():
            if path:
                overdue = subjects[code].overdue(self.rules[rule]) if path[-1][1].level else ()
                found[rule, code] = replace(path[-1][1], overdue=overdue)
        return found

    def changes(self, filings: Iterable[Filing]) -> list[Change]:
        """Return what changes as the dates go by, for filings none of which is late or revised."""
        found: list[Change] = []
        for (rule, subject), path in self._paths(self._subjects(filings)).items():
            before = State()
            for at, after in path:
                change = _change(rule, subject, at, before, after)
                if change is not None:
                    found.append(change)
                before = after
        return found

    def value(self, source: str, institution: str, filings: Iterable[Filing], at: int) -> Answer:
        """Return an expression's value for an institution as of a date."""
        return self._subjects(filings)[institution].evaluate(parse(source), at)

    def _subjects(self, filings: Iterable[Filing]) -> dict[str, _Subject]:
        """Every institution with its history, and the system, to which every date of anybody belongs."""
        known = list(filings)
        sector: dict[str, _Subject] = {}
        for code, institution in self.institutions.items():
            if code != SYSTEM:
                sector[code] = _Subject(self, institution, _history(known, code), sector)
        if SYSTEM not in self.institutions:
            return sector
        dates = _history([Filing(SYSTEM, f.form, f.as_of, {}) for f in known], SYSTEM)
        return {**sector, SYSTEM: _Subject(self, self.institutions[SYSTEM], dates, sector)}

    def _paths(self, subjects: dict[str, _Subject]) -> dict[tuple[str, str], list[tuple[int, State]]]:
        return {
            (rule.id, code): subject.path(rule)
            for rule in self.rules.values()
            for code, subject in subjects.items()
            if (code == SYSTEM) == (rule.scope == "system")
        }

    def expand(self, tree: Expression) -> Iterator[Expression]:
        """Yield the tree's parts, and those of the formulas that it names."""
        yield tree
        if isinstance(tree, Name) and tree.id in self.catalogue.indicators:
            formula = self.catalogue.indicators[tree.id].formula
            if formula:
                yield from self.expand(parse(formula))
        for part in _parts(tree):
            yield from self.expand(part)

    def forms(self, tree: Expression) -> set[str]:
        """Forms of the indicators that the tree reads."""
        names = {part.id for part in self.expand(tree) if isinstance(part, Name)}
        reported = [self.catalogue.indicators[n] for n in names if n in self.catalogue.indicators]
        return {i.form for i in reported if i.form}

    def slowest(self, tree: Expression) -> str:
        """The form whose filings a history function of the tree counts."""
        frequency = {f: FREQUENCY_DAYS[self.catalogue.forms[f].frequency] for f in self.forms(tree)}
        return min(f for f in frequency if frequency[f] == max(frequency.values()))

    def _rule_forms(self, rule: PlainRule) -> set[str]:
        judged = [*rule.levels.values(), *([rule.clear] if rule.clear else [])]
        found = {form for tree in judged for form in self.forms(tree)}
        if not found and rule.where:
            found = self.forms(rule.where)
        asking = [*judged, *([rule.where] if rule.where else [])]
        for part in (p for tree in asking for p in self.expand(tree)):
            if isinstance(part, Call) and part.function == "firing":
                found |= self._rule_forms(self.rules[_text(part.args[0])])
        return found

    def _all_forms(self, rule: PlainRule) -> set[str]:
        """Its own forms and those of everything that suppresses it, or what it asks for."""
        found = self._rule_forms(rule)
        trees = [tree for tree in (*rule.levels.values(), rule.clear, rule.where, rule.unless) if tree]
        named = [p for tree in trees for p in self.expand(tree) if isinstance(p, Call) and p.function == "firing"]
        for other in {*rule.causes, *(_text(p.args[0]) for p in named)}:
            found |= self._all_forms(self.rules[other])
        return found | (self.forms(rule.unless) if rule.unless else set())


def _rule(data: dict[str, Any]) -> PlainRule:
    clear, clear_hold = None, (1, 0)
    if "clear" in data:
        condition, _, span = data["clear"].rpartition(" for ")
        clear = parse(condition or span)
        clear_hold = _span(span) if condition else (1, 0)
    return PlainRule(
        id=data["id"],
        levels={LEVELS.index(name): parse(text) for name, text in data["levels"].items()},
        where=parse(data["where"]) if "where" in data else None,
        clear=clear,
        hold=_span(data["for"]) if "for" in data else (1, 0),
        clear_hold=clear_hold,
        scope=data.get("scope", "institution"),
        unless=parse(data["unless"]) if "unless" in data else None,
        causes={cause["rule"]: LEVELS.index(cause["level"]) for cause in data.get("inhibited_by", [])},
        valid=_dates(data.get("valid", {})),
        least=float(data.get("min_coverage", "80%").rstrip("%")) / 100,
    )


def _dates(data: dict[str, Any]) -> tuple[float, float]:
    """The first second of `from`, and the first after `to`; dates as YAML reads them."""
    first, last = (data.get(key) for key in ("from", "to"))
    epoch = date(1970, 1, 1)
    since = (first - epoch).days * DAY if first else -math.inf
    return since, ((last - epoch).days + 1) * DAY if last else math.inf


def _dated(data: dict[str, Any]) -> Dated:
    """A row of a parameter, or a waiver, which is for one institution."""
    for key, attribute in ATTRIBUTES.items():
        if key in data:
            return Dated(data.get("value", 0.0), attribute, str(data[key]), *_dates(data), data.get("rule", ""))
    return Dated(data["value"], "", "", *_dates(data))


ATTRIBUTES = {"institution": "code", "dsib_bucket": "dsib_bucket", "peer_group": "peer_group", "type": "type"}
"""Whom a row can be for, the most particular first."""


def _span(text: str) -> tuple[int, int]:
    """Filings and seconds of '2 filings' or '30d'."""
    if text.endswith("d"):
        return 0, int(text[:-1]) * DAY
    return int(text.split(maxsplit=1)[0]), 0


def _day_number(year: int, month: int, day: int) -> int:
    return (date(year, month, day) - date(1970, 1, 1)).days


YEARS = range(1970, 1975)
PERIODS = {
    "quarterly": [_day_number(year, *end) for year in YEARS for end in ((3, 31), (6, 30), (9, 30), (12, 31))],
    "daily": [day for day in range(365 * len(YEARS)) if (day + 3) % 7 < 5],
}
"""Days since 1 January 1970, a Thursday, on which periods end."""


def _last_day(end: int, deadline: str) -> int:
    """The last day in time for a period that ends on a day, without public holidays."""
    if deadline.endswith("bd"):
        after = [day for day in PERIODS["daily"] if day > end]
        return after[int(deadline[:-2]) - 1]
    return end + int(deadline[:-1])


def _history(filings: Iterable[Filing], institution: str) -> dict[str, dict[int, Filing]]:
    """By form and as-of date, the filing of the highest revision."""
    found: dict[str, dict[int, Filing]] = {}
    for filing in filings:
        if filing.institution == institution:
            dates = found.setdefault(filing.form, {})
            if filing.as_of not in dates or filing.revision > dates[filing.as_of].revision:
                dates[filing.as_of] = filing
    return found


def _parts(tree: Expression) -> list[Expression]:
    match tree:
        case Call(_, _, args, _):
            return list(args)
        case Unary(_, _, operand):
            return [operand]
        case Binary(_, _, left, right):
            return [left, right]
        case Compare(_, operands, _):
            return list(operands)
        case Member(_, item, options, _):
            return [item, *options]
        case Choice(_, then, condition, otherwise):
            return [then, condition, otherwise]
    return []


def _text(tree: Expression) -> str:
    assert isinstance(tree, (Text, Name))
    return tree.value if isinstance(tree, Text) else tree.id


@dataclass
class _Subject:
    """One institution with its history; evaluates expressions at dates and folds rules over them."""

    reference: Reference
    institution: Institution
    history: dict[str, dict[int, Filing]]
    sector: dict[str, _Subject]
    paths: dict[str, list[tuple[int, State]]] = field(default_factory=dict)
    least: float = 0.8

    def newest(self, form: str, at: float) -> list[int]:
        """As-of dates of the form's filings at or before `at`, newest first."""
        return sorted((date for date in self.history.get(form, {}) if date <= at), reverse=True)

    def counted(self, tree: Expression, at: float) -> list[int]:
        """Dates of the filings that a history function of the tree counts; none where the newest is too old."""
        form = self.reference.slowest(tree)
        dates = self.newest(form, at)
        return dates if dates and at - dates[0] <= self.validity(form) else []

    def validity(self, form: str) -> float:
        """Seconds for which a filing of the form is known."""
        frequency = self.reference.catalogue.forms[form].frequency
        return (FREQUENCY_DAYS[frequency] + self.reference.catalogue.forms[form].grace_days) * DAY

    def overdue(self, rule: PlainRule) -> tuple[str, ...]:
        """Forms that the rule's levels read, whose next filing did not come in time."""
        return tuple(form for form in rule.own if self.newest(form, math.inf) and self._ended(form))

    def _ended(self, form: str) -> bool:
        newest, described = self.newest(form, math.inf)[0], self.reference.catalogue.forms[form]
        if not described.deadline:
            # the whole day on which its values are known for the last time is in time
            return self.reference.clock >= (int((newest + self.validity(form)) // DAY) + 1) * DAY
        missed = [end for end in PERIODS[described.frequency] if end * DAY > newest]
        return self.reference.clock >= (_last_day(missed[0], described.deadline) + 1) * DAY

    def path(self, rule: PlainRule) -> list[tuple[int, State]]:
        """The rule's state after each date at which it is judged."""
        if rule.id not in self.paths:
            before, self.least = self.least, rule.least
            dates = sorted({date for form in rule.forms for date in self.history.get(form, {})})
            self.paths[rule.id] = list(self._fold(rule, dates))
            self.least = before
        return self.paths[rule.id]

    def _fold(self, rule: PlainRule, dates: Sequence[int]) -> Iterator[tuple[int, State]]:
        state = State()
        holding: dict[int, list[int]] = {1: [], 2: [], 3: []}
        clearing: list[int] = []
        for at in dates:
            if any(at in self.history.get(form, {}) for form in rule.own):
                state = self._step(rule, at, state, holding, clearing)
            silenced = self.silenced(rule, at) if state.level else ()
            state = replace(state, silenced=silenced)
            yield at, state

    def _step(
        self, rule: PlainRule, at: int, before: State, holding: dict[int, list[int]], clearing: list[int]
    ) -> State:
        level, started = before.level, before.started
        held, clears = self.judge(rule, at)
        for number, since in holding.items():
            if held is not None and held >= number:
                since.append(at)
            else:
                since.clear()
        if clears:
            clearing.append(at)
        else:
            clearing.clear()
        reached = max((n for n, since in holding.items() if _long_enough(since, rule.hold)), default=0)
        free_to_fall = rule.clear is None or _long_enough(clearing, rule.clear_hold)
        if reached > level:
            started = at if level == 0 else started
            level = reached
        elif held is not None and held < level and free_to_fall:
            level = held
            started = started if level else None
        if not level and not holding[1]:
            clearing.clear()
        return State(level, started, level == 0 and bool(holding[1]), held)

    def silenced(self, rule: PlainRule, at: float) -> tuple[str, ...]:
        """What suppresses the rule's alert at the date."""
        found = []
        if rule.unless is not None and self.evaluate(rule.unless, at) is True:
            found.append("unless")
        waivers = [w for w in self.reference.waivers if w.rule == rule.id and w.until > self.reference.clock]
        if any(waiver.applies(self.institution, at) for waiver in waivers):
            found.append("waiver")
        for cause, level in rule.causes.items():
            past = [state for date, state in self.path(self.reference.rules[cause]) if date <= at]
            if past and past[-1].level >= level:
                found.append(cause)
        return tuple(sorted(found))

    def judge(self, rule: PlainRule, date: int) -> tuple[int | None, bool]:
        """The highest level that holds (0 none, None unknown), and whether the rule clears."""
        inside = rule.valid[0] <= date < rule.valid[1]
        scope = False if not inside else True if rule.where is None else self.evaluate(rule.where, date)
        if scope is None:
            return None, False
        if scope is False:
            return 0, True
        outcomes = {number: self.evaluate(tree, date) for number, tree in rule.levels.items()}
        held: int | None = max((n for n, outcome in outcomes.items() if outcome is True), default=0)
        if held == 0 and None in outcomes.values():
            held = None
        clears = held is not None and rule.clear is not None and self.evaluate(rule.clear, date) is True
        return held, clears

    def evaluate(self, tree: Expression, at: float) -> Answer:
        """Value of the tree as of `at`: None where missing or unknown."""
        match tree:
            case Number(_, value, _):
                return value
            case Truth(_, truth):
                return truth
            case Text(_, text):
                return text
            case Name(_, name):
                return self._name(name, at)
            case Unary(_, "not", operand):
                truth_value = self.evaluate(operand, at)
                return None if truth_value is None else not truth_value
            case Unary(_, op, operand):
                x = self.number(operand, at)
                return None if x is None else -x if op == "-" else x
            case Binary(_, "and", left, right):
                sides = (self.evaluate(left, at), self.evaluate(right, at))
                return False if False in sides else None if None in sides else True
            case Binary(_, "or", left, right):
                sides = (self.evaluate(left, at), self.evaluate(right, at))
                return True if True in sides else None if None in sides else False
            case Binary(_, op, left, right):
                return _arithmetic(op, self.number(left, at), self.number(right, at))
            case Compare(_, operands, ops):
                values = [self.evaluate(operand, at) for operand in operands]
                pairs = [_compare(a, op, b) for a, op, b in zip(values, ops, values[1:], strict=False)]
                return False if False in pairs else None if None in pairs else True
            case Member():
                return self._member(tree, at)
            case Choice(_, then, condition, otherwise):
                chosen = self.evaluate(condition, at)
                return None if chosen is None else self.evaluate(then if chosen else otherwise, at)
            case Call():
                if tree.function in AGGREGATES:
                    return self.aggregate(tree, at)
                return FUNCTIONS[tree.function](self, tree.args, at)

    def number(self, tree: Expression, at: float) -> float | None:
        """Value of a tree that is a number."""
        found = self.evaluate(tree, at)
        assert found is None or (isinstance(found, float) and not math.isnan(found))
        return found

    def _name(self, name: str, at: float) -> Answer:
        indicator = self.reference.catalogue.indicators.get(name)
        if name in self.reference.parameters:
            return self._parameter(name, at)
        if indicator is None:
            attribute = getattr(self.institution, name.removeprefix("institution."))
            return attribute if isinstance(attribute, str) else float(attribute)
        if indicator.formula:
            return self.evaluate(parse(indicator.formula), at)
        dates = self.newest(indicator.form, at)
        if not dates or at - dates[0] > self.validity(indicator.form):
            return None
        return self.history[indicator.form][dates[0]].values.get(name)

    def _parameter(self, name: str, at: float) -> float | None:
        rows = [row for row in self.reference.parameters[name] if row.applies(self.institution, at)]
        for attribute in (*ATTRIBUTES.values(), ""):
            found = [row.value for row in rows if row.attribute == attribute]
            if found:
                assert len(found) == 1
                return float(found[0])
        return None

    def _member(self, tree: Member, at: float) -> bool | None:
        item = self.evaluate(tree.item, at)
        options: list[Answer] = []
        for option in tree.options:
            if isinstance(option, Name) and option.id in self.reference.catalogue.sets:
                options += self.reference.catalogue.sets[option.id]
            else:
                options.append(self.evaluate(option, at))
        equal = [_compare(item, "==", option) for option in options]
        found = True if True in equal else None if None in equal else False
        return None if found is None else found is not tree.negated

    def aggregate(self, tree: Call, at: float) -> float | None:
        """A value over institutions: of all, or of those that share an attribute with this one."""
        by = "peer_group" if tree.function.startswith("peer_") else ""
        by = _text(tree.options[0][1]) if tree.options else by
        forms = sorted({form for arg in tree.args for form in self.reference.forms(arg)})
        expected = {code for code, s in self.sector.items() if any(s.reports(form, at) for form in forms)}
        filed = {code for code in expected if all(self.has_filed(code, form, at) for form in forms)}
        group = [c for c, s in self.sector.items() if s.group(by, at) == self.group(by, at)]
        wanted = [code for code in group if code in expected]
        sizes = self.sizes(wanted, at)
        there = sum(sizes[code] for code in wanted if code in filed)
        if not wanted or there < (self.least - 1e-12) * sum(sizes.values()):
            return None
        values = []
        for code in group:
            found = [self.sector[code].evaluate(arg, at) if code in filed else None for arg in tree.args]
            if None not in found:
                values.append((code, [float(x) for x in found if x is not None]))
        return AGGREGATES[tree.function]([v for _, v in values], dict(values).get(self.institution.code))

    def group(self, by: str, at: float) -> str:
        """What this institution has in common with those it is grouped with."""
        if not by:
            return ""
        opened, year = self.institution.opened[:4], 1970 + int(at // (365 * DAY))
        if by == "peer_group" and opened and year - 5 < int(opened) <= year:
            return f"class of {opened}"
        return self.institution.attribute(by)

    def sizes(self, codes: Sequence[str], at: float) -> dict[str, float]:
        """How large each institution is: as it said last, else as the others are on average, else one."""
        size = self.reference.catalogue.size
        form = self.reference.catalogue.indicators[size].form
        known = {}
        for code in codes:
            dates = self.sector[code].newest(form, at)
            value = self.sector[code].history[form][dates[0]].values.get(size) if dates else None
            if value is not None and value > 0:
                known[code] = value
        average = sum(known.values()) / len(known) if known else 1.0
        return {code: known.get(code, average) for code in codes}

    def reports(self, form: str, at: float) -> bool:
        """Whether it has filed the form within two periods and the grace."""
        frequency = FREQUENCY_DAYS[self.reference.catalogue.forms[form].frequency]
        dates = self.newest(form, at)
        return bool(dates) and at - dates[0] <= self.validity(form) + int(frequency * DAY)

    def has_filed(self, code: str, form: str, at: float) -> bool:
        """Whether an institution's filing counts: one of this very date where anybody has one, else a valid one."""
        newest = {c: s.newest(form, at)[0] for c, s in self.sector.items() if s.reports(form, at)}
        if code not in newest:
            return True
        exact = any(s.newest(form, at)[:1] == [at] for s in self.sector.values())
        return newest[code] == at if exact else at - newest[code] <= self.validity(form)

    def window(self, tree: Expression, span: Expression, at: float) -> list[tuple[int, float | None]] | None:
        """(date, value) of the window's filings, newest first; None where it holds too little to speak."""
        filings, seconds = _span(_text(span))
        dates = self.counted(tree, at)
        if seconds:
            dates = [date for date in dates if date > at - seconds]
        elif len(dates) < filings:
            return None
        else:
            dates = dates[:filings]
        found = [(date, self.number(tree, date)) for date in dates]
        known = len(_known(found))
        return found if known >= 1 and 2 * known >= filings else None

    def earlier(self, tree: Expression, n: int, at: float) -> float | None:
        """The tree's value n filings before."""
        dates = self.counted(tree, at)
        return self.number(tree, dates[n]) if len(dates) > n else None


def _long_enough(since: list[int], hold: tuple[int, int]) -> bool:
    filings, seconds = hold
    return bool(since) and len(since) >= filings and since[-1] - since[0] >= seconds


def _change(rule: str, subject: str, at: int, before: State, after: State) -> Change | None:
    severity, previous, started, silenced = after.level, before.level, after.started, after.silenced
    if before.level == after.level == 0:
        if before.pending == after.pending:
            return None
        state = "pending" if after.pending else "resolved"
        severity = (after.held or 0) if after.pending else 0
    elif before.level == after.level:
        if before.silenced == after.silenced:
            return None
        state = "suppressed" if after.silenced else "released"
    elif before.level == 0:
        state = "firing"
    elif after.level == 0:
        state, started, silenced = "resolved", before.started, before.silenced
    else:
        state = "escalated" if after.level > before.level else "eased"
    return Change(rule, subject, at, state, LEVELS[severity], LEVELS[previous], started, silenced)


def _arithmetic(op: str, a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return None
    if op == "/":
        return a / b if b else None
    return a + b if op == "+" else a - b if op == "-" else a * b


def _compare(a: Answer, op: str, b: Answer) -> bool | None:
    if a is None or b is None:
        return None
    if op in ("==", "!="):
        return (a == b) is (op == "==")
    assert isinstance(a, float)
    assert isinstance(b, float)
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op]


def _known(window: Sequence[tuple[int, float | None]]) -> list[float]:
    return [value for _, value in window if value is not None]


Args = tuple[Expression, ...]
FUNCTIONS: dict[str, Callable[[_Subject, Args, float], Answer]] = {}


def _function(name: str) -> Callable[[Callable[[_Subject, Args, float], Answer]], None]:
    def register(compute: Callable[[_Subject, Args, float], Answer]) -> None:
        FUNCTIONS[name] = compute

    return register


def _count(args: Args, index: int) -> int:
    if len(args) <= index:
        return 1
    number = args[index]
    assert isinstance(number, Number)
    return int(number.value)


@_function("lag")
def _lag(s: _Subject, args: Args, at: float) -> Answer:
    return s.earlier(args[0], _count(args, 1), at)


@_function("change")
def _change_of(s: _Subject, args: Args, at: float) -> Answer:
    return _arithmetic("-", s.number(args[0], at), s.earlier(args[0], _count(args, 1), at))


@_function("pct_change")
def _pct_change(s: _Subject, args: Args, at: float) -> Answer:
    then = s.earlier(args[0], _count(args, 1), at)
    change = _arithmetic("-", s.number(args[0], at), then)
    return _arithmetic("/", change, None if then is None else abs(then))


def _statistic(name: str, least: int, compute: Callable[[list[float]], float]) -> None:
    @_function(name)
    def run(s: _Subject, args: Args, at: float) -> Answer:
        window = s.window(args[0], args[1], at)
        if window is None or len(_known(window)) < least:
            return None
        return compute(_known(window))


def _mean(values: list[float]) -> float:
    return float(sum(map(Fraction, values)) / len(values))


def _std(values: list[float]) -> float:
    return math.sqrt(statistics.variance(map(Fraction, values)))


_statistic("mean", 1, _mean)
_statistic("median", 1, statistics.median)
_statistic("std", 2, _std)


def _extreme(name: str, choose: Callable[[Iterable[float]], float]) -> None:
    @_function(name)
    def run(s: _Subject, args: Args, at: float) -> Answer:
        if len(args) == 2 and isinstance(args[1], Text):
            window = s.window(args[0], args[1], at)
            return None if window is None else choose(_known(window))
        values = [s.number(arg, at) for arg in args]
        return None if None in values else choose(v for v in values if v is not None)


_extreme("min", min)
_extreme("max", max)


@_function("zscore")
def _zscore(s: _Subject, args: Args, at: float) -> Answer:
    window = s.window(args[0], args[1], at)
    if window is None or window[0][1] is None or len(_known(window)) < 2:
        return None
    return _arithmetic("/", window[0][1] - _mean(_known(window)), _std(_known(window)))


@_function("slope")
def _slope(s: _Subject, args: Args, at: float) -> Answer:
    window = s.window(args[0], args[1], at)
    if window is None or len(_known(window)) < 3:
        return None
    points = [(Fraction(date) / Fraction(YEAR), Fraction(value)) for date, value in window if value is not None]
    middle_x, middle_y = (sum(axis) / len(points) for axis in zip(*points, strict=True))
    rise = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return float(rise / sum((x - middle_x) ** 2 for x, _ in points))


@_function("quantile")
def _quantile(s: _Subject, args: Args, at: float) -> Answer:
    window = s.window(args[0], args[2], at)
    assert isinstance(args[1], Number)
    if window is None:
        return None
    ordered = sorted(_known(window))
    place = args[1].value * (len(ordered) - 1)
    low = min(int(place), len(ordered) - 1)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@_function("ewma")
def _ewma(s: _Subject, args: Args, at: float) -> Answer:
    span = _count(args, 1)
    dates = s.counted(args[0], at)[: 3 * span]
    values = [s.number(args[0], date) for date in dates]
    recent = [v for v in values[:span] if v is not None]
    if len(dates) < span or 2 * len(recent) < span:
        return None
    weights = [(1 - 2 / (span + 1)) ** age for age in range(len(values))]
    kept = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    return _arithmetic("/", sum(v * w for v, w in kept), sum((w for _, w in kept), 0.0))


@_function("cusum")
def _cusum(s: _Subject, args: Args, at: float) -> Answer:
    dates = s.counted(args[0], at)[:24]
    total: float | None = None
    gathered = 0.0
    for day in reversed(dates):
        x, target, slack = (s.number(arg, day) for arg in args)
        total = _arithmetic("-", _arithmetic("-", x, target), slack)
        gathered = max(0.0, gathered + (total or 0.0))
    return None if total is None else gathered


@_function("forecast")
def _forecast(s: _Subject, args: Args, at: float) -> Answer:
    _, ahead = _span(_text(args[1]))
    dates = s.counted(args[0], at)[:8]
    points = [(date, s.number(args[0], date)) for date in dates]
    known = [(date, value) for date, value in points if value is not None]
    if len(known) < 4 or points[0][1] is None:
        return None
    slopes = [(v - w) / (d - e) for i, (d, v) in enumerate(known) for e, w in known[i + 1 :]]
    return points[0][1] + statistics.median(slopes) * ahead


@_function("abs")
def _abs(s: _Subject, args: Args, at: float) -> Answer:
    x = s.number(args[0], at)
    return None if x is None else abs(x)


@_function("streak")
def _streak(s: _Subject, args: Args, at: float) -> Answer:
    dates = s.counted(args[0], at)[:12]
    held = [s.evaluate(args[0], date) for date in dates]
    if not held or held[0] is None:
        return None
    count = 0
    while count < len(dates) and held[count] is True:
        count += 1
    return float(count)


@_function("crossed")
def _crossed(s: _Subject, args: Args, at: float) -> Answer:
    level = s.number(args[1], at)
    above = _compare(s.number(args[0], at), ">=", level)
    was_above = _compare(s.earlier(args[0], 1, at), ">=", level)
    return None if above is None or was_above is None else above is not was_above


@_function("missing")
def _missing(s: _Subject, args: Args, at: float) -> Answer:
    return s.number(args[0], at) is None


@_function("exists")
def _exists(s: _Subject, args: Args, at: float) -> Answer:
    return s.number(args[0], at) is not None


@_function("age")
def _age(s: _Subject, args: Args, at: float) -> Answer:
    newest = [s.newest(form, at)[:1] for form in s.reference.forms(args[0])]
    return (at - min(dates[0] for dates in newest)) / DAY if all(newest) else None


@_function("firing")
def _firing(s: _Subject, args: Args, at: float) -> Answer:
    wanted = LEVELS.index(_text(args[1])) if len(args) > 1 else 1
    past = [state for date, state in s.path(s.reference.rules[_text(args[0])]) if date <= at]
    return bool(past) and past[-1].level >= wanted


Members = list[list[float]]
AGGREGATES: dict[str, Callable[[Members, list[float] | None], float | None]] = {}
"""From the arguments' values of every member that has them all, and the asking institution's own (None: missing)."""


def _aggregate(name: str) -> Callable[[Callable[[Members, list[float] | None], float | None]], None]:
    def register(compute: Callable[[Members, list[float] | None], float | None]) -> None:
        AGGREGATES[name] = compute

    return register


def _firsts(members: Members) -> list[float]:
    return [values[0] for values in members]


@_aggregate("group_sum")
def _group_sum(members: Members, own: list[float] | None) -> float | None:
    return sum(_firsts(members)) if members else None


@_aggregate("group_mean")
def _group_mean(members: Members, own: list[float] | None) -> float | None:
    return sum(_firsts(members)) / len(members) if members else None


@_aggregate("weighted_mean")
def _weighted_mean(members: Members, own: list[float] | None) -> float | None:
    return _arithmetic("/", sum(x * w for x, w in members), sum((w for _, w in members), 0.0))


@_aggregate("hhi")
def _hhi(members: Members, own: list[float] | None) -> float | None:
    total = sum(_firsts(members))
    return sum((x / total) ** 2 for x in _firsts(members)) if total > 0 else None


@_aggregate("gini")
def _gini(members: Members, own: list[float] | None) -> float | None:
    values = _firsts(members)
    apart = sum(abs(x - y) for x in values for y in values)
    return apart / (2 * len(values) * sum(values)) if sum(values) > 0 else None


@_aggregate("count")
def _count_of(members: Members, own: list[float] | None) -> float | None:
    return sum(_firsts(members), 0.0)


@_aggregate("share_of")
def _share_of(members: Members, own: list[float] | None) -> float | None:
    total = sum(weight for _, weight in members)
    return sum(weight for holds, weight in members if holds) / total if total > 0 else None


@_aggregate("share")
def _share(members: Members, own: list[float] | None) -> float | None:
    total = sum(_firsts(members))
    return own[0] / total if own and total > 0 else None


@_aggregate("peer_median")
def _peer_median(members: Members, own: list[float] | None) -> float | None:
    return statistics.median(_firsts(members)) if members else None


@_aggregate("peer_mean")
def _peer_mean(members: Members, own: list[float] | None) -> float | None:
    """Of three peers the middle one, of two or one their mean; the generated sectors have no more."""
    values = sorted(_firsts(members))
    assert len(values) <= 3
    if not values:
        return None
    inner = (
        values if len(set(values)) == 1 else [v for v in values if values.count(v) > 1 or v == values[len(values) // 2]]
    )
    return _mean(inner if len(values) == 3 else values)


@_aggregate("peer_percentile")
def _peer_percentile(members: Members, own: list[float] | None) -> float | None:
    if own is None:
        return None
    below = sum(x < own[0] for x in _firsts(members))
    equal = sum(x == own[0] for x in _firsts(members))
    return (below + 0.5 * equal) / len(members)


@_aggregate("peer_rank")
def _peer_rank(members: Members, own: list[float] | None) -> float | None:
    return None if own is None else 1.0 + sum(x > own[0] for x in _firsts(members))


@_aggregate("peer_zscore")
def _peer_zscore(members: Members, own: list[float] | None) -> float | None:
    if own is None:
        return None
    centre = statistics.median(_firsts(members))
    spread = 1.4826 * statistics.median(abs(x - centre) for x in _firsts(members))
    return _arithmetic("/", own[0] - centre, spread)
