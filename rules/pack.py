"""Rule packs: from YAML to a compiled program, with every problem found at its line and column."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from rules.aggregates import is_aggregate
from rules.catalogue import FREQUENCY_DAYS, Catalogue
from rules.compiler import Compiler, located
from rules.composites import composed
from rules.expressions import ExpressionError, parse
from rules.keys import LADDER, PACK, RULE, SCOPES, STATUSES, names
from rules.messages import compile_template
from rules.plan import Level, Node, Piece, Rule, Span, walk
from rules.problems import CatalogueError, ConfigError, PackError, Place, Problem, nearest, short
from rules.source import Reader, SourceProblem, Value, parse_yaml
from rules.windows import DAY, parse_span

PACKS = Path(__file__).parent / "packs"
PACK_KEYS = names(PACK)
RULE_KEYS = names(RULE)
DEFAULT_KEYS = names(key for key in RULE if key.default)
WINDOWED = ("lag", "streak")
MAX_HISTORY = 4_100
MAX_PACK = 300_000
MAX_RULES = 1_000
MAX_VALUES = 40_000
_ID = re.compile(r"[^\W\d_][\w.-]{0,99}")
_DEADLINE = re.compile(r"\s*([0-9]{1,4})\s*(bd|d|h)\s*")
_HOLD = re.compile(r"\sfor\s+((?:(?!\sfor\s).)*)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PackText:
    """A pack as it was read: its text, and the file name that messages show."""

    text: str
    file: str


@dataclass(frozen=True, slots=True)
class Program:
    """Compiled packs: everything the engine needs, as frozen data.

    `derived` are the catalogue's derived indicators; `history` says how many filings of a form the rules
    look back, the current one included; `reads` which reported indicators of a form they read.
    """

    catalogue: Catalogue
    rules: tuple[Rule, ...]
    derived: Mapping[str, Node]
    history: Mapping[str, int]
    reads: Mapping[str, tuple[str, ...]]

    def at(self, placement: Literal["watch", "system"]) -> Program:
        """Return the part of the program that runs in the watch agents, or in the system agent."""
        return _program(self.catalogue, [r for r in self.rules if r.placement == placement], self.derived)

    def rule(self, ident: str) -> Rule:
        """Return the rule of this id; raise ConfigError with the nearest id if there is none."""
        for rule in self.rules:
            if rule.id == ident:
                return rule
        fix = nearest(ident, [r.id for r in self.rules]) or "see the packs that are loaded"
        raise ConfigError(f"there is no rule {ident!r}: {fix}")


def available() -> list[str]:
    """Names of the packs that come with Guanlan."""
    return sorted(p.stem for p in PACKS.glob("*.yaml") if not p.name.endswith(".test.yaml"))


def load_packs(names: Iterable[str | Path]) -> list[PackText]:
    """Read packs by name (those that come with Guanlan) or by path; raise ConfigError for one not there."""
    packs = []
    for name in names:
        path = Path(name) if str(name).endswith((".yaml", ".yml")) else PACKS / f"{name}.yaml"
        if not path.is_file():
            fix = nearest(str(name), available()) or f"give a path to a .yaml file, or one of: {', '.join(available())}"
            raise ConfigError(f"there is no rule pack {str(name)!r}: {fix}")
        try:
            packs.append(PackText(path.read_text(encoding="utf-8"), str(name)))
        except UnicodeDecodeError:
            raise PackError([Problem(Place(str(path)), "yaml", "the file is not UTF-8 text")]) from None
    return packs


def compile_packs(packs: Sequence[PackText], catalogue: Catalogue) -> Program:
    """Compile packs against a catalogue; raise PackError with every problem found."""
    problems: list[Problem] = []
    roots: list[Value] = []
    for pack in packs:
        if len(pack.text) > MAX_PACK:
            summary = f"the pack has over {MAX_PACK:,} characters"
            problems.append(Problem(Place(pack.file), "too-large", summary, "split it"))
            continue
        try:
            roots.append(parse_yaml(pack.text, pack.file, MAX_VALUES))
        except SourceProblem as err:
            problems.append(err.problem)
    compiler = Compiler(catalogue, [ident for root in roots for ident in _ids(root)])
    derived = _derived(compiler)
    rules: list[Rule] = []
    seen: dict[str, Place] = {}
    for root in roots:
        for rule, place in _pack(root, compiler, derived, problems):
            if rule.id in seen:
                problems.append(Problem(place, "twice", f"the rule {rule.id!r} stands at {seen[rule.id]} already"))
            seen[rule.id] = place
            rules.append(rule)
    if not problems:
        rules = composed(rules, seen, problems)
    if problems:
        # what is wrong in the defaults was found once for every rule
        raise PackError(sorted(dict.fromkeys(problems), key=lambda p: p.place))
    return _program(catalogue, rules, derived)


def _ids(root: Value) -> list[str]:
    """Ids of the rules of a pack, before anything is checked."""
    rules = root.data.get("rules") if isinstance(root.data, dict) else None
    entries = rules.data if rules is not None and isinstance(rules.data, list) else []
    return [e.data["id"].text() for e in entries if isinstance(e.data, dict) and "id" in e.data]


def _derived(compiler: Compiler) -> dict[str, Node]:
    problems: list[Problem] = []
    nodes: dict[str, Node] = {}
    for indicator in compiler.catalogue.indicators.values():
        if indicator.formula:
            assert indicator.formula_value is not None
            with located(problems, indicator.formula_value):
                nodes[indicator.id] = compiler.indicator(indicator.id)
                if any(is_aggregate(n) for n in walk(nodes[indicator.id])):
                    raise ExpressionError(0, "a formula can't look at other institutions", "do it in the rule")
    if problems:
        raise CatalogueError(problems)
    return nodes


def _pack(
    root: Value, compiler: Compiler, derived: Mapping[str, Node], problems: list[Problem]
) -> list[tuple[Rule, Place]]:
    top = Reader(root, problems, "a pack")
    if not isinstance(root.data, dict):
        return []
    top.only(PACK_KEYS)
    name, version = top.text("pack"), top.text("version", "")
    for wanted in top.strings("catalogue"):
        if wanted not in compiler.catalogue.names:
            fix = f"load it with --catalogue {wanted}"
            top.problem(top.place("catalogue"), "catalogue", f"the pack needs the catalogue {short(wanted)}", fix)
    defaults = {key: value for key, value in top.mapping("defaults").items() if key in DEFAULT_KEYS}
    if "defaults" in top.data and isinstance(top.data["defaults"].data, dict):
        Reader(top.data["defaults"], problems, "defaults").only(DEFAULT_KEYS)
    if "rules" not in top.data:
        top.problem(root.place, "required", "a pack needs 'rules'")
    elif not top.data["rules"].data:
        top.problem(top.value.key_places["rules"], "required", "the pack has no rules")
    elif len(list(top.items("rules"))) > MAX_RULES:
        top.problem(top.place("rules"), "too-large", f"the pack has over {MAX_RULES:,} rules", "split it")
        return []
    found = []
    for value in top.items("rules"):
        if isinstance(value.data, dict):
            value = replace(value, data={**defaults, **value.data})
        rule = _rule(value, name, version, compiler, derived, problems)
        if rule is not None:
            found.append((rule, value.place))
    return found


def _rule(
    value: Value,
    pack: str,
    version: str,
    compiler: Compiler,
    derived: Mapping[str, Node],
    problems: list[Problem],
) -> Rule | None:
    before = len(problems)
    r = Reader(value, problems, "a rule")
    if not isinstance(value.data, dict):
        return None
    r.only(RULE_KEYS)
    ident = r.text("id")
    r.what = f"the rule {short(ident)}"
    if "id" in r.data and not _ID.fullmatch(ident):
        fix = "up to 100 letters, digits, '.', '-' and '_', a letter first"
        r.problem(r.place("id"), "id", f"{short(ident)} is no id for a rule", fix)
    where = _condition(r, "where", compiler)
    levels = _levels(r, compiler)
    clear, clear_hold = _clear(r, compiler)
    hold = _span(r, "for")
    message = {language: _message(r, language, compiler) for language in r.words("message")}
    scope = r.choice("scope", SCOPES, "institution")
    status = r.choice("status", STATUSES, "live")
    if r.text("deadline", "") and parse_deadline(r.text("deadline", "")) is None:
        r.problem(r.place("deadline"), "shape", "'deadline' must be like 5bd, 10d or 24h")
    if len(problems) > before:
        return None
    nodes = [n for n in (where, clear, *(level.condition for level in levels)) if n is not None]
    _check_history(r, [*nodes, *(p.node for pieces in message.values() for p in pieces if p.node)], compiler.catalogue)
    below = {n.id: n for node in nodes for n in walk(node)}.values()
    triggers = frozenset(str(n.params[0]) for n in below if n.op == "column")
    judged = [n for n in (clear, *(level.condition for level in levels)) if n is not None]
    forms = frozenset(str(n.params[0]) for node in judged for n in walk(node) if n.op == "column") or triggers
    clocks = frozenset(str(n.params[0]) for n in below if n.op == "overdue")
    asks = frozenset(str(n.params[0]) for n in below if n.op == "firing")
    if not triggers and not clocks and not asks:
        summary = f"{r.what} reads no indicator"
        r.problem(value.place, "reads-nothing", summary, "nothing would ever judge it")
    if len(problems) > before:
        return None
    across = tuple(n for n in below if is_aggregate(n))
    system = scope == "system" or bool(across) or any(f.startswith("measures.") for f in triggers)
    plain = json.dumps(value.plain(), sort_keys=True, ensure_ascii=False)
    return Rule(
        id=ident,
        pack=pack,
        pack_version=version,
        hash=hashlib.blake2b(plain.encode(), digest_size=8).hexdigest(),
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
        derives=tuple(sorted(name for name, node in derived.items() if any(node is n for n in below))),
        forms=forms,
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
    )


def _check_history(r: Reader, nodes: Sequence[Node], catalogue: Catalogue) -> None:
    memo: dict[int, dict[str, int]] = {}
    for form, filings in ((f, n) for node in nodes for f, n in _depth(node, catalogue, memo).items()):
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


def _program(catalogue: Catalogue, rules: Sequence[Rule], derived: Mapping[str, Node]) -> Program:
    nodes = [n for rule in rules for n in rule_nodes(rule)] + list(derived.values())
    history: dict[str, int] = {}
    reads: dict[str, set[str]] = {}
    memo: dict[int, dict[str, int]] = {}
    for node in nodes:
        for form, depth in _depth(node, catalogue, memo).items():
            history[form] = max(history.get(form, 1), depth)
        for below in walk(node):
            if below.op == "column":
                reads.setdefault(str(below.params[0]), set()).add(str(below.params[1]))
    ordered = {f: tuple(i for i in catalogue.reported(f) if i in names) for f, names in reads.items()}
    return Program(catalogue, tuple(rules), dict(derived), history, ordered)


def rule_nodes(rule: Rule) -> list[Node]:
    """Every node a rule evaluates, its messages' included."""
    nodes = [n for n in (rule.where, rule.clear, *(level.condition for level in rule.levels)) if n is not None]
    nodes += [p.node for pieces in rule.message.values() for p in pieces if p.node is not None]
    return nodes


def _depth(node: Node, catalogue: Catalogue, memo: dict[int, dict[str, int]]) -> dict[str, int]:
    """Filings of each form that the node looks back, the current one included."""
    if node.id in memo:
        return memo[node.id]
    need: dict[str, int] = {}
    if node.op == "column":
        need[str(node.params[0])] = 1
    for arg in node.args:
        for form, depth in _depth(arg, catalogue, memo).items():
            need[form] = max(need.get(form, 0), depth)
    if node.op in WINDOWED or node.op.startswith("window_"):
        days = FREQUENCY_DAYS[catalogue.forms[str(node.params[0])].frequency]
        filings = int(node.params[1])  # type: ignore[arg-type]
        seconds = int(node.params[2]) if len(node.params) > 2 else 0  # type: ignore[arg-type]
        back_days = seconds / DAY or filings * days
        for form in need:
            period = FREQUENCY_DAYS[catalogue.forms[form].frequency]
            need[form] += max(1, int(-(-back_days // period))) + (1 if seconds else 0)
    memo[node.id] = need
    return need


def wanted_catalogues(packs: Sequence[PackText]) -> list[str]:
    """Names of the catalogues that packs ask for, in order of first mention; bad YAML is left to `compile_packs`."""
    found: list[str] = []
    for pack in packs:
        try:
            root = parse_yaml(pack.text, pack.file)
        except SourceProblem:
            continue
        if isinstance(root.data, dict) and "catalogue" in root.data:
            found += Reader(root, [], "a pack").strings("catalogue")
    return list(dict.fromkeys(found))
