"""What was seen where something changed: a form's columns are read together, whatever rules read them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import isnan

import numpy as np

from rules.calendar import format_instant
from rules.context import Context, Truth
from rules.operations import evaluate
from rules.plan import Node
from rules.store import Indices, Ints, Picker

instant = lru_cache(maxsize=65_536)(format_instant)
Filing = tuple[str, int, int | None]
Value = float | bool | int | None


class Seen:
    """Values at some places of a context. A place is the position of an institution and date in it.

    `asked` are the columns, as form and indicator, that are wanted at the places of each number: what a rule
    reads where it has something to tell.
    """

    def __init__(self, context: Context, asked: Iterable[tuple[int, Sequence[tuple[str, str]], Indices]]) -> None:
        self.context = context
        self.system = context.pick(context.world.system)
        self._columns: dict[tuple[int, str, str], list[float | None]] = {}
        self._filings: dict[str, list[Filing | None]] = {}
        self._exact: dict[str, Ints | None] = {}
        self._revisions: dict[frozenset[str], Ints | None] = {}
        by_form: dict[str, list[tuple[int, str, Indices]]] = {}
        for who, columns, at in asked:
            for form, name in columns:
                by_form.setdefault(form, []).append((who, name, at))
        for form, wanted in by_form.items():
            self._read(form, wanted)

    def _read(self, form: str, wanted: Sequence[tuple[int, str, Indices]]) -> None:
        context, store = self.context, self.context.world.stores[form]
        places = np.concatenate([at for _, _, at in wanted])
        columns = np.array([store.column[name] for _, name, _ in wanted], np.intp)
        filed = context.filed(form).take(places, Picker(context.rows[places]))
        found = store.read_each(filed, columns.repeat([len(at) for _, _, at in wanted]))
        fresh = context.fresh(form)
        numbers = found if fresh is None else np.where(fresh[places], found, np.nan)
        values = [None if isnan(value) else value for value in numbers.tolist()]
        first = 0
        for who, name, at in wanted:
            self._columns[who, form, name] = values[first : (first := first + len(at))]

    def column(self, who: int, form: str, name: str) -> Sequence[float | None]:
        """Return an indicator's values at the places that were asked for; None where missing."""
        return self._columns[who, form, name]

    def node(self, who: int, node: Node, at: Indices) -> Sequence[Value]:
        """Return a node's values at the places, None where missing or unknown; codes of a text.

        A column must have been asked for, and so must its places.
        """
        if node.op == "column":
            form, name = map(str, node.params)
            return self.column(who, form, name)
        column = evaluate(node, self.context)
        if isinstance(column, Truth):
            outcomes = zip(column.yes[at].tolist(), column.no[at].tolist(), strict=True)
            return [True if yes else False if no else None for yes, no in outcomes]
        return [None if isnan(value) else value for value in column[at].tolist()]

    def filings(self, form: str) -> list[Filing | None]:
        """Return as-of date, revision and offset of the filing at each place; None where there is none."""
        found = self._filings.get(form)
        if found is None:
            filed, store = self.context.filed(form), self.context.world.stores[form]
            columns = (filed.as_of, filed.read(store.revision), filed.read(store.offset), filed.there)
            found = self._filings[form] = [
                (instant(as_of), revision, offset if offset >= 0 else None) if there else None
                for as_of, revision, offset, there in zip(*(c.tolist() for c in columns), strict=True)
            ]
        return found

    def revisions(self, forms: frozenset[str], at: Indices) -> list[int]:
        """Return the highest revision among the forms' filings whose as-of date is the date judged."""
        if forms not in self._revisions:
            revised = [exact for form in forms if (exact := self._revision(form)) is not None]
            self._revisions[forms] = functools.reduce(np.maximum, revised) if revised else None
        found = self._revisions[forms]
        revisions: list[int] = [0] * len(at) if found is None else found[at].tolist()
        return revisions

    def _revision(self, form: str) -> Ints | None:
        """Revisions of filings for the dates judged, else 0; None where all are 0."""
        if form not in self._exact:
            filed = self.context.filed(form)
            revision = filed.read(self.context.world.stores[form].revision)
            exact = np.where(filed.as_of == self.context.at, revision, 0)
            self._exact[form] = exact if exact.any() else None
        return self._exact[form]
