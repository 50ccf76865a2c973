"""Rule packs: from YAML to a compiled program, with every problem found at its line and column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rules.aggregates import is_aggregate
from rules.catalogue import Catalogue
from rules.compiler import Compiler, located
from rules.composites import composed
from rules.expressions import ExpressionError
from rules.history import depth, rule_nodes
from rules.keys import PACK, RULE, names
from rules.lineage import check_ids
from rules.parameters import join_settings, read_settings
from rules.plan import Node, Rule, Setting, Waiver, walk
from rules.problems import CatalogueError, ConfigError, PackError, Place, Problem, nearest, short
from rules.reading import Source, read_rule
from rules.source import Reader, SourceProblem, Value, parse_yaml
from rules.suppression import Wanted, inhibited, read_waivers, waived

PACKS = Path(__file__).parent / "packs"
PACK_KEYS = names(PACK)
DEFAULT_KEYS = names(key for key in RULE if key.default)
MAX_PACK = 300_000
MAX_RULES = 1_000
MAX_VALUES = 40_000

__all__ = [
    "PACKS", "PackText", "Program", "available", "compile_packs", "load_packs", "rule_nodes", "wanted_catalogues",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class PackText:
    """A pack as it was read: its text, and the file name that messages show.

    `generated` packs are made from the catalogue, by the system itself: only their rules may have its names.
    """

    text: str
    file: str
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """Compiled packs: everything the engine needs, as frozen data.

    `derived` are the catalogue's derived indicators; `history` says how many filings of a form the rules
    look back, the current one included; `reads` which reported indicators of a form they read; `settings` are
    the packs' parameters by name. `elsewhere` names rules that are judged, but not by this part of the program.
    """

    catalogue: Catalogue
    rules: tuple[Rule, ...]
    derived: Mapping[str, Node]
    history: Mapping[str, int]
    reads: Mapping[str, tuple[str, ...]]
    settings: Mapping[str, Setting] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()

    def at(self, placement: Literal["watch", "system"]) -> Program:
        """Return the part of the program that runs in the watch agents, or in the system agent."""
        chosen = [r for r in self.rules if r.placement == placement]
        others = frozenset(name for r in self.rules if r.placement != placement for name in (*r.renamed_from, r.id))
        return replace(_program(self.catalogue, chosen, self.derived, self.settings), elsewhere=others)

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
    roots: list[tuple[Value, bool]] = []
    for pack in packs:
        if len(pack.text) > MAX_PACK:
            summary = f"the pack has over {MAX_PACK:,} characters"
            problems.append(Problem(Place(pack.file), "too-large", summary, "split it"))
            continue
        try:
            roots.append((parse_yaml(pack.text, pack.file, MAX_VALUES), pack.generated))
        except SourceProblem as err:
            problems.append(err.problem)
    # what is generated is nobody's to name: no rule asks for it or silences it, and no waiver is of it
    compiler = Compiler(catalogue, [ident for root, generated in roots if not generated for ident in _ids(root)])
    gathered = _Gathered(problems, _derived(compiler))
    for root, generated in roots:
        _pack(root, compiler, gathered, generated)
    rules, silent = gathered.rules, gathered.generated
    if not problems:
        check_ids([*rules, *silent], gathered.places, problems)
        rules = waived(inhibited(rules, gathered.wanted, problems), gathered.waivers, problems)
    if not problems:
        rules = composed(rules, gathered.places, problems)
    if problems:
        # what is wrong in the defaults was found once for every rule
        raise PackError(sorted(dict.fromkeys(problems), key=lambda p: p.place))
    return _program(catalogue, [*rules, *silent], gathered.derived, gathered.settings)


@dataclass(slots=True)
class _Gathered:
    """What packs say, one after another, and what is wrong with it."""

    problems: list[Problem]
    derived: Mapping[str, Node]
    rules: list[Rule] = field(default_factory=list)
    generated: list[Rule] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    settings: dict[str, Setting] = field(default_factory=dict)
    wanted: list[Wanted] = field(default_factory=list)
    waivers: list[Waiver] = field(default_factory=list)


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


def _pack(root: Value, compiler: Compiler, gathered: _Gathered, generated: bool) -> None:
    problems = gathered.problems
    top = Reader(root, problems, "a pack")
    if not isinstance(root.data, dict):
        return
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
        return
    compiler.settings = read_settings(top, compiler.catalogue)
    join_settings(compiler.settings, gathered.settings, problems)
    gathered.waivers += read_waivers(top)
    source = Source(name, version, compiler, gathered.derived, problems, generated)
    for value in top.items("rules"):
        if isinstance(value.data, dict):
            value = replace(value, data={**defaults, **value.data})
        read = read_rule(value, source)
        if read is not None:
            rule, inhibitions = read
            gathered.wanted += inhibitions
            if rule.id in gathered.places:
                summary = f"the rule {rule.id!r} stands at {gathered.places[rule.id]} already"
                problems.append(Problem(value.place, "twice", summary))
            gathered.places[rule.id] = value.place
            (gathered.generated if generated else gathered.rules).append(rule)


def _program(
    catalogue: Catalogue, rules: Sequence[Rule], derived: Mapping[str, Node], settings: Mapping[str, Setting]
) -> Program:
    nodes = [n for rule in rules for n in rule_nodes(rule)] + list(derived.values())
    history: dict[str, int] = {}
    reads: dict[str, set[str]] = {}
    memo: dict[int, dict[str, int]] = {}
    for node in nodes:
        for form, filings in depth(node, catalogue, memo).items():
            history[form] = max(history.get(form, 1), filings)
        for below in walk(node):
            if below.op == "column":
                reads.setdefault(str(below.params[0]), set()).add(str(below.params[1]))
    if catalogue.size and any(rule.across for rule in rules):
        reads.setdefault(catalogue.indicators[catalogue.size].form, set()).add(catalogue.size)
    ordered = {f: tuple(i for i in catalogue.reported(f) if i in names) for f, names in reads.items()}
    return Program(catalogue, tuple(rules), dict(derived), history, ordered, dict(settings))


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
