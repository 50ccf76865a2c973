"""YAML whose every value knows its line and column, read by a small vocabulary that collects problems."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from rules.problems import Place, Problem, nearest, short
from rules.scalars import index_of

MAX_CHARACTERS = 4_000_000
MAX_VALUES = 400_000
MAX_UNKNOWN = 20
MAX_DEPTH = 40
MAX_WHOLE = 10**18

_NOT_PRINTABLE = yaml.reader.Reader.NON_PRINTABLE
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Written:
    """A scalar as it stands in the file: its text after YAML's unfolding, and before it, quotes included."""

    text: str
    raw: str
    style: str


@dataclass(frozen=True, slots=True)
class Value:
    """A YAML value: str, int, float, bool, None, a list of Values, or a dict of key to Value."""

    data: object
    place: Place
    key_places: dict[str, Place] = field(default_factory=dict)
    written: Written | None = None

    def plain(self) -> object:
        """Return the value as ordinary Python data, places dropped."""
        if isinstance(self.data, dict):
            return {k: v.plain() for k, v in self.data.items()}
        if isinstance(self.data, list):
            return [v.plain() for v in self.data]
        return self.data

    def text(self) -> str:
        """Return a scalar as it was written: 2026.10 stays that, where a number would lose its last digit."""
        return self.written.text if self.written is not None else str(self.data)

    def at(self, offset: int) -> Place:
        """Return the place of one character of a scalar's text, behind quotes, escapes and folded lines."""
        if self.written is None:
            return self.place
        written = self.written
        before = written.raw[: index_of(written.raw, written.style, written.text, offset)]
        lines = before.count("\n")
        column = len(before) - before.rfind("\n") if lines else self.place.column + len(before)
        return Place(self.place.file, self.place.line + lines, column)


class SourceProblem(Exception):
    """The text is not the YAML we accept; carries one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def parse_yaml(text: str, file: str, most: int = MAX_VALUES) -> Value:
    """Parse one YAML document of at most `most` keys and values, 40 deep.

    Raises SourceProblem for bad syntax, aliases, tags, characters that can't be seen, or undue size or depth.
    Aliases and tags are refused because a rule pack needs neither and both have been used for attacks.
    """
    if len(text) > MAX_CHARACTERS:
        summary = f"the file has over {MAX_CHARACTERS:,} characters"
        raise SourceProblem(Problem(Place(file), "yaml", summary, "split it"))
    text = text.removeprefix("\ufeff")
    if odd := _NOT_PRINTABLE.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        place = Place(file, line, odd.start() - text.rfind("\n", 0, odd.start()))
        raise SourceProblem(Problem(place, "yaml", f"the character U+{ord(odd.group()):04X} can't stand in a file"))
    try:
        depth = 0
        for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
            place = _place(file, event.start_mark)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if count > most:
                raise SourceProblem(Problem(place, "yaml", f"over {most:,} keys and values", "split it"))
            if depth > MAX_DEPTH:
                raise SourceProblem(Problem(place, "yaml", f"nested more than {MAX_DEPTH} deep"))
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                raise SourceProblem(Problem(place, "yaml", "anchors and aliases are not used here", "write it out"))
            if tag := getattr(event, "tag", None):
                raise SourceProblem(Problem(place, "yaml", f"the tag {tag} is not used here", "remove it"))
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        raise SourceProblem(Problem(_place(file, mark), "yaml", f"not valid YAML: {err.problem}")) from None
    except (yaml.YAMLError, ValueError) as err:
        raise SourceProblem(Problem(Place(file), "yaml", f"not valid YAML: {str(err).splitlines()[0]}")) from None
    if node is None:
        raise SourceProblem(Problem(Place(file), "yaml", "the file is empty"))
    return _convert(node, file, text)


def _place(file: str, mark: Any) -> Place:
    return Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)


def _convert(node: yaml.Node, file: str, text: str) -> Value:
    place = _place(file, node.start_mark)
    if isinstance(node, yaml.MappingNode):
        out: dict[str, Value] = {}
        places: dict[str, Place] = {}
        for key_node, value_node in node.value:
            at = _place(file, key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                raise SourceProblem(Problem(at, "yaml", "a key must be a plain word"))
            if key_node.value in out:
                raise SourceProblem(Problem(at, "yaml", f"{short(key_node.value)} stands twice in this mapping"))
            out[key_node.value] = _convert(value_node, file, text)
            places[key_node.value] = at
        return Value(out, place, places)
    if isinstance(node, yaml.SequenceNode):
        return Value([_convert(child, file, text) for child in node.value], place)
    assert isinstance(node, yaml.ScalarNode)
    raw = text[node.start_mark.index : node.end_mark.index]
    return Value(_scalar(node), place, written=Written(node.value, raw, node.style or ""))


def _scalar(node: yaml.ScalarNode) -> object:
    text = str(node.value)
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    if kind == "int":
        try:
            whole = int(text.replace("_", ""), 0)
        except ValueError:
            return text
        return whole if abs(whole) <= MAX_WHOLE else text
    if kind == "float":
        try:
            return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            return text
    return text


class Reader:
    """Reads one mapping key by key; what is wrong goes to `problems` and a harmless default comes back."""

    def __init__(self, value: Value, problems: list[Problem], what: str) -> None:
        self.value = value
        self.problems = problems
        self.what = what
        self.data: dict[str, Value] = {}
        if isinstance(value.data, dict):
            self.data = value.data
        else:
            self.problem(value.place, "shape", f"{what} must be a mapping of keys to values")

    def problem(self, place: Place, check: str, summary: str, fix: str = "") -> None:
        """Record a finding."""
        self.problems.append(Problem(place, check, summary, fix))

    def place(self, key: str) -> Place:
        """Return the place of the key's value, or of the mapping when the key is absent."""
        found = self.data.get(key)
        return found.place if found is not None else self.value.place

    def only(self, known: Iterable[str]) -> None:
        """Report every key that is not known, with the nearest that is."""
        names = list(known)
        for key in [key for key in self.data if key not in names][:MAX_UNKNOWN]:
            fix = nearest(key, names) or f"known: {', '.join(names)}"
            if self.data[key].data is None and not key.isidentifier():
                fix = "a comma inside {…} starts a new key: put the text in quotes"
            self.problem(self.value.key_places[key], "unknown-key", f"{self.what} has no key {short(key)}", fix)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text; required when `default` is None. Numbers and flags are taken as they are written."""
        found = self.data.get(key)
        if found is None or found.data is None:
            if default is None:
                self.problem(self.value.place, "required", f"{self.what} needs {key!r}")
            return default or ""
        if isinstance(found.data, (dict, list)):
            self.problem(found.place, "shape", f"{key!r} must be a text")
            return default or ""
        return found.text()

    def choice(self, key: str, options: Iterable[str], default: str | None = None) -> str:
        """Return one of `options`."""
        value = self.text(key, default)
        names = list(options)
        if value not in names and key in self.data:
            fix = nearest(value, names) or f"one of: {', '.join(names)}"
            self.problem(self.place(key), "choice", f"{key!r} can't be {short(value)}", fix)
            return default or names[0]
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number."""
        found = self.data.get(key)
        if found is None:
            if default is None:
                self.problem(self.value.place, "required", f"{self.what} needs {key!r}")
            return default or 0.0
        if isinstance(found.data, bool) or not isinstance(found.data, (int, float)) or not math.isfinite(found.data):
            self.problem(found.place, "shape", f"{key!r} must be a number, not {short(found.data)}")
            return default or 0.0
        return float(found.data)

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        found = self.data.get(key)
        if found is None:
            return default
        if not isinstance(found.data, bool):
            self.problem(found.place, "shape", f"{key!r} must be true or false")
            return default
        return found.data

    def words(self, key: str) -> dict[str, str]:
        """Return a text in several languages: {en: …, zh: …}; a plain text counts as English."""
        found = self.data.get(key)
        if found is None:
            return {}
        if isinstance(found.data, str):
            return {"en": found.data}
        if isinstance(found.data, dict) and all(isinstance(v.data, (str, int, float)) for v in found.data.values()):
            return {k: v.text() for k, v in found.data.items()}
        self.problem(found.place, "shape", f"{key!r} must be a text, or texts by language {{en: …, zh: …}}")
        return {}

    def strings(self, key: str) -> list[str]:
        """Return a list of texts; a single text counts as a list of one."""
        found = self.data.get(key)
        if found is None or found.data is None:
            return []
        if isinstance(found.data, list):
            if any(isinstance(v.data, (dict, list)) for v in found.data):
                self.problem(found.place, "shape", f"{key!r} must be a list of texts")
                return []
            return [v.text() for v in found.data]
        if isinstance(found.data, dict):
            self.problem(found.place, "shape", f"{key!r} must be a list of texts")
            return []
        return [found.text()]

    def items(self, key: str) -> Iterator[Value]:
        """Yield the values of a list."""
        found = self.data.get(key)
        if found is None or found.data is None:
            return
        if not isinstance(found.data, list):
            self.problem(found.place, "shape", f"{key!r} must be a list")
            return
        yield from found.data

    def mapping(self, key: str) -> dict[str, Value]:
        """Return a mapping's values by key."""
        found = self.data.get(key)
        if found is None or found.data is None:
            return {}
        if not isinstance(found.data, dict):
            self.problem(found.place, "shape", f"{key!r} must be a mapping")
            return {}
        return found.data
