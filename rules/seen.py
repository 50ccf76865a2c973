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
from rules.plan import Node, Parameter
from rules.store import Bools, Indices, Ints, Picker

instant = lru_cache(maxsize=65_536)(format_instant)
Filing = tuple[str, int, int | None]
Value = float | bool | int | None


def _by_form(
    asked: Iterable[tuple[int, Sequence[tuple[str, str]], Indices]],
) -> dict[str, list[tuple[int, str, Indices]]]:
    found: dict[str, list[tuple[int, str, Indices]]] = {}
    for who, columns, at in asked:
        for form, name in columns:
            if form not in found:
                found[form] = []
            found[form].append((who, name, at))
    return found


class Seen:
    """Values at some places of a context. A place is the position of an institution and date in it.

    `asked` are the columns, as form and indicator, that are wanted at the places of each number: what a rule
    reads where it has something to tell. `before` are the columns that are wanted of the filing before as well.
    """

    def __init__(
        self,
        context: Context,
        asked: Iterable[tuple[int, Sequence[tuple[str, str]], Indices]],
        before: Iterable[tuple[int, Sequence[tuple[str, str]], Indices]] = (),
    ) -> None:
        self.context = context
        self.system = context.pick(context.world.system)
        self._columns: dict[tuple[Parameter, ...], list[float | None]] = {}
        self._earlier: dict[tuple[Parameter, ...], list[float | None]] = {}
        self._nodes: dict[tuple[int, int], Sequence[Value]] = {}
        self._filings: dict[str, list[Filing | None]] = {}
        self._exact: dict[str, Ints | None] = {}
        self._revisions: dict[frozenset[str], Ints | None] = {}
        for form, wanted in _by_form(asked).items():
            self._columns |= self._read(context, form, wanted, context.fresh(form))
        for form, wanted in _by_form(before).items():
            earlier, there = context.back(form, 1)
            self._earlier |= self._read(earlier, form, wanted, there)

    def _read(
        self, context: Context, form: str, wanted: Sequence[tuple[int, str, Indices]], known: Bools | None
    ) -> dict[tuple[Parameter, ...], list[float | None]]:
        store = self.context.world.stores[form]
        places = np.concatenate([at for _, _, at in wanted])
        columns = np.array([store.column[name] for _, name, _ in wanted], np.intp)
        filed = context.filed(form).take(places, Picker(context.rows[places]))
        sizes = [len(at) for _, _, at in wanted]
        found = store.read_each(filed, columns.repeat(sizes))
        numbers = found if known is None else np.where(known[places], found, np.nan)
        known_or_none = numbers.astype(object)
        known_or_none[np.isnan(numbers)] = None
        values: list[float | None] = known_or_none.tolist()
        first = 0
        read: dict[tuple[Parameter, ...], list[float | None]] = {}
        for (who, name, _), size in zip(wanted, sizes, strict=True):
            read[who, form, name] = values[first : (first := first + size)]
        return read

    def column(self, who: int, form: str, name: str) -> Sequence[float | None]:
        """Return an indicator's values at the places that were asked for; None where missing."""
        return self._columns[who, form, name]

    def earlier(self, who: int, form: str, name: str) -> Sequence[float | None]:
        """Return an indicator's values in the filing before, at the places that were asked for; None where missing."""
        return self._earlier[who, form, name]

    def node(self, who: int, node: Node, at: Indices) -> Sequence[Value]:
        """Return a node's values at the places, None where missing or unknown; codes of a text.

        A column must have been asked for, at these very places.
        """
        if node.op == "column":
            return self._columns[(who, *node.params)]
        key = (who, node.id)
        if key in self._nodes:
            return self._nodes[key]
        column = evaluate(node, self.context)
        found: Sequence[Value]
        if isinstance(column, Truth):
            outcomes = zip(column.yes[at].tolist(), column.no[at].tolist(), strict=True)
            found = [True if yes else False if no else None for yes, no in outcomes]
        else:
            found = [None if isnan(value) else value for value in column[at].tolist()]
        self._nodes[key] = found
        return found

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
