"""Values of the system that a catalogue declares: read from the engine at the dates that filings touch.

Any expression over all institutions can be one: a Herfindahl index, the share of assets in breach. They are filed as
measures, so rules name them and they are series.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec
import numpy as np

from rules.aggregates import coverages, is_aggregate
from rules.catalogue import Catalogue
from rules.context import Context
from rules.engine import Engine
from rules.operations import number
from rules.pack import PackText, compile_packs
from rules.plan import Node, Rule, walk
from rules.problems import CatalogueError, PackError, Problem
from rules.values import PACK, silent_rules
from streams.measured import VALUES_FORM, Measured

DATES = 8


def value_packs(catalogue: Catalogue) -> list[PackText]:
    """Return the pack whose rules read the declared values; none where the catalogue declares none.

    Raises CatalogueError, at the value's place, for one that does not compile.
    """
    title = "{en: Values of the system, zh: 系统性数值}"
    problems: list[Problem] = []
    for value in catalogue.values:
        try:
            compile_packs([PackText(silent_rules(PACK, title, [(value.id, value.value)]), PACK, True)], catalogue)
        except PackError as err:
            problems += [replace(problem, place=value.place) for problem in err.problems]
    if problems:
        raise CatalogueError(list(dict.fromkeys(problems)))
    text = silent_rules(PACK, title, ((v.id, v.value) for v in catalogue.values))
    return [PackText(text, PACK, True)] if text else []


class ValueState(msgspec.Struct):
    """The dates whose values are to be read again, each with the version that asked; the latest submission."""

    due: dict[int, int] = {}
    version: int = 0
    seen: int = 0


class ValueBook:
    """Knows which values which forms change, and of which dates they are due."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.state = ValueState()
        own = {rule.id.removeprefix(f"{PACK}."): rule for rule in rules if rule.id.startswith(f"{PACK}.")}
        self._nodes: dict[str, Node] = {name: rule.levels[0].condition.args[0] for name, rule in own.items()}
        self.forms = frozenset[str]().union(*(rule.forms for rule in own.values()))

    def mark(self, form: str, dates: Iterable[int], at: int) -> bool:
        """Note that filings of a form, submitted by `at`, changed these dates; say whether a value reads the form."""
        if form not in self.forms:
            return False
        self.state.version += 1
        self.state.seen = max(self.state.seen, at)
        self.state.due.update(dict.fromkeys(dates, self.state.version))
        for date in sorted(self.state.due)[:-DATES]:
            del self.state.due[date]
        return True

    def read(self, engine: Engine, dates: Mapping[int, int]) -> list[Measured]:
        """Read every value at these dates, each with the version it is due in.

        A value carries the coverage of the groups that it is made of.
        """
        found: list[Measured] = []
        for date, version in sorted(dates.items()):
            at = engine.system_at([date])
            one = Measured(date, version, 0.0, forms=("", VALUES_FORM))
            for name, node in self._nodes.items():
                one.coverages[name] = _coverage(node, at)
                value = float(number(node, at)[0])
                if np.isfinite(value):
                    one.system[name] = value
                else:
                    detail = f"{one.coverages[name]:.0%} of those who should have filed for the date"
                    one.lack((name,), "too_few_filings", f"{detail}, or there is nothing to share")
            found.append(one)
        return found

    def done(self, dates: Mapping[int, int]) -> None:
        """The values of these dates were filed, each from its version."""
        for date, version in dates.items():
            if self.state.due.get(date) == version:
                del self.state.due[date]


def _coverage(node: Node, at: Context) -> float:
    """Return the least share that has filed of the groups which a value is made of."""
    shares = [c.share for n in walk(node) if is_aggregate(n) for c in coverages(n, at) if c is not None]
    return min(shares, default=0.0)
