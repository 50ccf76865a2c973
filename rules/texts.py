"""What a rule's author writes for people: messages by state, what to do, and on what basis."""

from __future__ import annotations

from dataclasses import dataclass

from rules.compiler import Compiler, located
from rules.keys import LADDER, TEXTS, names
from rules.messages import compile_template
from rules.plan import Node, Piece
from rules.source import Reader
from rules.standing import read_basis

Template = dict[str, tuple[Piece, ...]]
"""A text by language, in pieces."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The words of one rule, as `rules.plan.Rule` has them."""

    message: Template
    texts: dict[str, Template]
    action: dict[str, str]
    actions: dict[int, dict[str, str]]
    basis: dict[str, str | None]
    evidence: dict[int, str]

    @property
    def nodes(self) -> list[Node]:
        """What the texts show."""
        texts = (self.message, *self.texts.values())
        return [p.node for text in texts for pieces in text.values() for p in pieces if p.node is not None]


def read_texts(r: Reader, compiler: Compiler) -> Texts:
    """Read the words of a rule; what is wrong goes to the reader's problems."""
    message, texts = _message(r, "message", compiler), _texts(r, compiler)
    return Texts(message, texts, *_actions(r), *read_basis(r))


def _message(r: Reader, key: str, compiler: Compiler) -> dict[str, tuple[Piece, ...]]:
    """The templates of a text, by language."""
    found: dict[str, tuple[Piece, ...]] = {}
    for language in r.words(key):
        value = r.data[key]
        value = value if isinstance(value.data, str) else value.data[language]  # type: ignore[index]
        found[language] = ()
        with located(r.problems, value):
            found[language] = compile_template(compiler, value.text())
    return found


def _texts(r: Reader, compiler: Compiler) -> dict[str, dict[str, tuple[Piece, ...]]]:
    """The texts of states, by state and language."""
    if "texts" not in r.data:
        return {}
    inner = Reader(r.data["texts"], r.problems, "texts")
    inner.only(names(TEXTS))
    return {state: _message(inner, state, compiler) for state in names(TEXTS) if state in inner.data}


def _actions(r: Reader) -> tuple[dict[str, str], dict[int, dict[str, str]]]:
    """What to do: of the highest level that says it, and by level where levels differ."""
    found = r.data.get("action")
    if found is None or not isinstance(found.data, dict) or not any(name in LADDER for name in found.data):
        return r.words("action"), {}
    inner = Reader(found, r.problems, "action")
    inner.only(LADDER)
    actions = {LADDER.index(name) + 1: inner.words(name) for name in LADDER if name in inner.data}
    return actions[max(actions)], actions
