"""What checks look at: rules as they were compiled and as they were written, and what is given of their world."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from rules.catalogue import Catalogue
from rules.engine import FormBatch
from rules.keys import RULE, names
from rules.lint.facts import Facts
from rules.pack import PackText, Program
from rules.plan import Node, Rule
from rules.problems import Place
from rules.registry import Institution
from rules.source import Value, parse_yaml
from rules.transitions import SEVERITIES

_DEFAULTS = names(key for key in RULE if key.default)


@dataclass(frozen=True, slots=True)
class History:
    """What has been filed: institutions, and batches whose rows are positions in that list."""

    institutions: tuple[Institution, ...]
    filings: tuple[FormBatch, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule: the key it stands under (`where`, `watch`, `clear` …), its node, its place."""

    key: str
    node: Node
    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """A rule as it was compiled, and as it was written: the pack's defaults stand in `value` too."""

    rule: Rule
    value: Value

    @property
    def place(self) -> Place:
        """Where the rule starts."""
        return self.value.place

    def find(self, *keys: str) -> Value | None:
        """Return what is written under the keys, or None."""
        found: Value | None = self.value
        for key in keys:
            found = found.data.get(key) if found is not None and isinstance(found.data, dict) else None
        return found

    def at(self, *keys: str) -> Place:
        """Return the place of what is written under the keys, or of the rule when nothing is."""
        found = self.find(*keys)
        return found.place if found is not None else self.place

    def levels(self) -> list[Condition]:
        """Return the ladder, lowest level first."""
        found = []
        for level in self.rule.levels:
            name = SEVERITIES[level.number]
            found.append(Condition(name, level.condition, self.at("levels", name), level.text))
        return found

    def conditions(self) -> list[Condition]:
        """Return every condition: `where`, the ladder, `clear`, `unless`."""
        found = self.levels()
        for key, node in (("where", self.rule.where), ("clear", self.rule.clear), ("unless", self.rule.unless)):
            value = self.find(key)
            if node is not None and value is not None:
                found.insert(0 if key == "where" else len(found), Condition(key, node, value.place, value.text()))
        return found


@dataclass(frozen=True, slots=True)
class Subject:
    """Packs that compiled together: `rules` are all that are not retired. `today` decides what is about to lapse."""

    program: Program
    rules: tuple[Written, ...]
    today: date
    history: History | None = None

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue the packs were compiled against."""
        return self.program.catalogue

    def facts(self, rule: Rule) -> Facts | None:
        """Return what is known wherever the rule applies; None when that is nowhere."""
        facts = self.anywhere()
        return facts if rule.where is None else facts.assume_all([(rule.where, True)])

    def anywhere(self) -> Facts:
        """Return what is known of every institution: the ranges of the catalogue and of parameters."""
        return Facts(self.catalogue, self.program.settings)


def written(program: Program, packs: Sequence[PackText]) -> tuple[Written, ...]:
    """Join the program's rules, without those retired, with the texts they were compiled from."""
    by_id = {ident: value for pack in packs for ident, value in _values(pack)}
    return tuple(Written(rule, by_id[rule.id]) for rule in program.rules if rule.status != "retired")


def _values(pack: PackText) -> Iterator[tuple[str, Value]]:
    root = parse_yaml(pack.text, pack.file).data
    assert isinstance(root, dict)
    defaults = root["defaults"].data if "defaults" in root else {}
    assert isinstance(defaults, dict)
    listed = root["rules"].data
    assert isinstance(listed, list)
    for value in listed:
        given = {key: default for key, default in defaults.items() if key in _DEFAULTS}
        yield value.data["id"].text(), replace(value, data={**given, **value.data})
