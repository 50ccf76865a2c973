"""Which rules would fire on the state in which a scenario ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from guanlan.packs import DEFAULT_CATALOGUE
from guanlan.whatif_files import RuleRequest
from rules.catalogue import FREQUENCY_DAYS, Catalogue, load_catalogue
from rules.engine import Engine, FormBatch
from rules.pack import Program, compile_packs, load_packs, wanted_catalogues
from rules.problems import InputError, nearest
from rules.registry import Institution
from systemic.arrays import Vector
from systemic.whatif import Outcome

DAY = 86_400
AFTER = 20_000 * DAY
QUIET_FILINGS = 4


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that changes its state for an institution because of the scenario."""

    rule: str
    title: dict[str, str]
    institution: str
    state: str
    severity: str


@dataclass(frozen=True, slots=True)
class Judges:
    """Rules compiled once for all severities, with the catalogue that they read."""

    request: RuleRequest
    rules: Program
    catalogue: Catalogue


def judges(request: RuleRequest) -> Judges:
    """Compile the packs of a request; InputError names an indicator that is not reported."""
    packs = load_packs(request.packs)
    catalogue = load_catalogue(list(request.catalogue) or wanted_catalogues(packs) or [DEFAULT_CATALOGUE])
    for name in request.indicators:
        if name not in catalogue.indicators:
            raise InputError(f"there is no indicator {name!r}. {nearest(name, catalogue.indicators)}".strip())
        if not catalogue.indicators[name].form:
            raise InputError(f"the indicator {name!r} is derived; name one that is reported")
    return Judges(request, compile_packs(packs, catalogue), catalogue)


def fired_rules(by: Judges, names: tuple[str, ...], outcome: Outcome) -> list[Fired]:
    """Return the rules that fire, escalate or are pending once the state after the shock is filed.

    The state before is filed for four periods and the state after for one, each indicator in its own form, so
    a rule that is in force already is not listed, and one that asks for two filings is pending. Other
    indicators are missing: a rule that needs one is unknown and silent.
    """
    request, catalogue = by.request, by.catalogue
    engine = Engine(by.rules, _institutions(request, names))
    rows = np.array([engine.row(name) for name in names], np.int32)
    before, after = _states(outcome)
    found: list[Fired] = []
    titles = {rule.id: rule.title for rule in engine.rules}
    for period in range(-QUIET_FILINGS, 1):
        values = after if period == 0 else before
        batches = []
        for number, form in enumerate(sorted({catalogue.indicators[n].form for n in request.indicators})):
            at = AFTER + period * max(int(FREQUENCY_DAYS[catalogue.forms[form].frequency] * DAY), 1)
            columns = [values.get(request.indicators.get(i, ""), None) for i in catalogue.reported(form)]
            table = np.array([np.full(len(names), np.nan) if c is None else c for c in columns], np.float64)
            batches.append(_batch(form, rows, at, table, number * len(names)))
        transitions = engine.apply(batches).transitions
        if period == 0:
            found = [
                Fired(t.rule, titles[t.rule], t.subject, t.state, t.severity)
                for t in transitions
                if t.state in ("pending", "firing", "escalated") and not t.suppressed_by
            ]
    return sorted(found, key=lambda f: (f.rule, f.institution))


def _states(outcome: Outcome) -> tuple[dict[str, Vector], dict[str, Vector]]:
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where(outcome.equity_before > 0.0, outcome.losses.sum(axis=0) / outcome.equity_before, np.nan)
        assets_before = np.asarray(outcome.assets_before)
    before = {
        "ratio": outcome.ratio_before,
        "equity": outcome.equity_before,
        "assets": assets_before,
        "loss_share": np.zeros_like(lost),
    }
    after = {"ratio": outcome.ratio, "equity": outcome.equity, "assets": outcome.assets, "loss_share": lost}
    return before, after


def _institutions(request: RuleRequest, names: tuple[str, ...]) -> list[Institution]:
    if request.institutions is None:
        return [Institution(code=name) for name in names]
    from streams.registry import read_seed

    known = {institution.code: institution for institution in read_seed([request.institutions], None)}
    return [known.get(name, Institution(code=name)) for name in names]


def _batch(form: str, rows: np.ndarray, at: int, values: np.ndarray, first: int) -> FormBatch:
    count = len(rows)
    return FormBatch(
        form,
        rows,
        np.full(count, at, np.int64),
        np.full(count, at + DAY, np.int64),
        np.zeros(count, np.int32),
        np.full(count, -1, np.int64),
        np.arange(first, first + count, dtype=np.int64),
        values,
    )
