"""Files measures: into the engine, so that rules read them like indicators, and on the topic `measures`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from rules.calendar import format_instant
from rules.catalogue import SYSTEM, Catalogue
from rules.engine import Engine, FormBatch
from rules.pack import Program, rule_nodes
from rules.plan import walk
from streams.measured import SYSTEM_FORMS, Lack, Measured
from streams.outbox import Post

BOUNDS = ("_low", "_high")
DATES = 32
"""Dates of a form of which it is known what was filed: more than are ever due (`streams.entries`, `streams.tape`)."""


class Filer:
    """Knows what was filed, so that only what changed is filed again, as a new revision."""

    def __init__(self, catalogue: Catalogue, spread: Collection[str], topic: str) -> None:
        self._topic = topic
        self._filed: dict[str, dict[int, dict[str, bytes]]] = {}
        self.use(catalogue, spread)

    def use(self, catalogue: Catalogue, spread: Collection[str]) -> None:
        """Go by another catalogue, and file these forms of the system for each institution too.

        What was filed counts as before.
        """
        self._catalogue = catalogue
        self._spread = spread

    def forget(self) -> None:
        """Begin anew: everything counts as changed."""
        self._filed.clear()

    def batches(
        self, measured: Measured, engine: Engine, institutions: Sequence[str], seen: int
    ) -> Iterator[FormBatch]:
        """Yield what changed, for the engine. Measures of the system go to all `institutions` where a rule asks."""
        sequence = 0
        of_institution, of_system = measured.forms
        everyone = (SYSTEM, *institutions) if of_system in self._spread else (SYSTEM,)
        whole = {name: np.full(len(everyone), value) for name, value in measured.system.items()}
        for form, codes, columns in (
            (of_institution, measured.codes, measured.institutions),
            (of_system, everyone, whole),
        ):
            if not form:
                continue
            names = self._catalogue.reported(form)
            values = np.array([columns.get(name, np.full(len(codes), np.nan)) for name in names])
            rows = engine.rows(codes)
            known = [i for i in range(len(codes)) if rows[i] >= 0]
            fresh = [i for i in known if self._changed(form, measured.as_of, codes[i], values[:, i])]
            if fresh:
                chosen = rows[fresh]
                n = len(fresh)
                yield FormBatch(
                    form,
                    chosen,
                    np.full(n, measured.as_of, np.int64),
                    np.full(n, seen, np.int64),
                    _revisions(engine, form, chosen, measured.as_of),
                    np.full(n, -1, np.int64),
                    np.arange(sequence, sequence + n, dtype=np.int64),
                    values[:, fresh],
                )
                sequence += n

    def _changed(self, form: str, as_of: int, code: str, values: NDArray[np.float64]) -> bool:
        dates = self._filed.setdefault(form, {})
        if as_of not in dates:
            dates[as_of] = {}
            if len(dates) > DATES:
                del dates[min(dates.keys() - {as_of})]
        filed, new = dates[as_of], values.tobytes()
        if filed.get(code) == new:
            return False
        filed[code] = new
        return True

    def posts(self, measured: Measured, batch: FormBatch, codes: Sequence[str]) -> Iterator[Post]:
        """Yield what a batch says, for people: bounds stand beside the measure they bound."""
        names = self._catalogue.reported(batch.form)
        for i, code in enumerate(codes):
            if batch.form in SYSTEM_FORMS and code != SYSTEM:
                continue
            values = dict(zip(names, batch.values[:, i].tolist(), strict=True))
            for name, value in values.items():
                if not np.isnan(value) and not (name.endswith(BOUNDS) and name.rpartition("_")[0] in values):
                    yield self._post(name, code, measured, value, _more(name, measured, values))

    def lack(self, name: str, measured: Measured, lack: Lack) -> Post:
        """Return why a measure has no value, for people."""
        return self._post(name, SYSTEM, measured, None, {"reason": lack.reason, "detail": lack.detail})

    def _post(self, name: str, code: str, measured: Measured, value: float | None, more: Mapping[str, object]) -> Post:
        body = {
            "measure": name,
            "subject": code,
            "as_of": format_instant(measured.as_of),
            "value": value,
            "unit": self._catalogue.indicators[name].unit,
            "coverage": measured.covered(name),
            **more,
        }
        return Post(self._topic, code.encode(), msgspec.json.encode(body))


def _more(name: str, measured: Measured, values: Mapping[str, float]) -> dict[str, object]:
    """Return what stands beside a value: bounds and what they are, parts or cases, and what moved it."""
    more: dict[str, object] = {}
    low, high = (values.get(name + suffix, float("nan")) for suffix in BOUNDS)
    if not np.isnan(low) and not np.isnan(high):
        more |= {"low": low, "high": high, "interval": measured.interval_of(name)}
    if name in measured.parts:
        more["parts"] = measured.parts[name]
    if name in measured.cases:
        more["cases"] = measured.cases[name]
    if name in measured.moves:
        steps = sorted(measured.moves[name].items(), key=lambda step: -abs(step[1][1] - step[1][0]))
        more["moves"] = [{"part": part, "before": before, "after": after} for part, (before, after) in steps]
    return more


def _revisions(engine: Engine, form: str, rows: NDArray[np.int32], as_of: int) -> NDArray[np.int32]:
    """Return the revision after the one the engine holds of this date, 0 where it holds none."""
    store = engine.world.stores[form]
    same = store.as_of[:, rows] == as_of
    held = store.revision[same.argmax(axis=0), rows]
    return np.where(same.any(axis=0), held + 1, 0).astype(np.int32)


def read_as_own(program: Program) -> frozenset[str]:
    """Return the forms of the system that rules on institutions read: they are filed for each of them too."""
    return frozenset(
        str(node.params[0])
        for rule in program.rules
        if rule.scope == "institution"
        for top in rule_nodes(rule)
        for node in walk(top)
        if node.op == "column" and node.params[0] in SYSTEM_FORMS
    )
