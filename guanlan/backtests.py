"""A backtest from files: reads filings, registry and events, and drives the engine over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from rules.backtest import Chart, Episode, KnownEvent, RuleScore, charts, episodes, replay, score
from rules.calendar import parse_instant
from rules.catalogue import Catalogue, load_catalogue
from rules.engine import Engine, FormBatch
from rules.pack import Program, compile_packs, load_packs, wanted_catalogues
from rules.problems import ConfigError, InputError
from rules.registry import Institution
from rules.transitions import SEVERITIES, Transition
from streams.column_scale import ColumnScale, check_columns
from streams.columns import Columns
from streams.readers import read_table
from streams.registry import read_seed
from streams.submit import RowRefusal, load_columns

CHARTS = 24


@dataclass(frozen=True, slots=True)
class Run:
    """A finished backtest: what went in, what came out, and how it did against known events."""

    program: Program
    institutions: tuple[Institution, ...]
    filings: tuple[FormBatch, ...]
    rejected: tuple[RowRefusal, ...]
    refused: tuple[tuple[int, str, str], ...]
    transitions: tuple[Transition, ...]
    episodes: tuple[Episode, ...]
    events: tuple[KnownEvent, ...]
    scores: tuple[RuleScore, ...]
    severity: str
    evaluated: int

    @property
    def count(self) -> int:
        """Filings applied."""
        return sum(len(batch.rows) for batch in self.filings)

    def names(self, language: str = "en") -> dict[str, str]:
        """Institutions' names by code."""
        return {i.code: i.title(language) for i in self.institutions}

    def charts(self) -> list[Chart]:
        """Plots worth showing: rules that fired, institutions with a known event first, at most 24."""
        failed = {event.institution for event in self.events}
        pairs: dict[tuple[str, str], int] = {}
        for e in self.episodes:
            pairs[e.rule, e.institution] = pairs.get((e.rule, e.institution), 0) + 1
        chosen = sorted(pairs, key=lambda p: (p[1] not in failed, -pairs[p], p))[:CHARTS]
        return charts(self.program, self.institutions, self.filings, chosen)


def run(
    *,
    packs: Sequence[str],
    files: Sequence[Path],
    mapping: Path | None = None,
    institutions: Path | None = None,
    events: Path | None = None,
    catalogue: Sequence[str] | None = None,
    severity: str = "warning",
    window_days: float = 730,
    accept_scale: Sequence[str] = (),
    by: str = "",
) -> Run:
    """Run packs over files; raise PackError, ConfigError or InputError with what a person can mend."""
    if severity not in SEVERITIES[1:]:
        raise ConfigError(f"--severity can't be {severity!r}: use one of {', '.join(SEVERITIES[1:])}")
    texts = load_packs(packs)
    known = load_catalogue(catalogue or wanted_catalogues(texts) or ["cn"])
    program = compile_packs(texts, known)
    columns, rejected = load_columns(files, mapping, known)
    scale = ColumnScale(known)
    for form in columns:
        scale.take(form)
    check_columns(scale.asked(), accept_scale, by, known.indicators, "backtest")
    registry = _registry(columns, institutions, mapping)
    known_events = read_events(events, known.timezone) if events else []
    engine = Engine(program, registry.values())
    batches = [_batch(engine, form) for form in columns]
    transitions: list[Transition] = []
    refused: list[tuple[int, str, str]] = []
    evaluated = 0
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Judging filings", total=None)
        for outcome in replay(engine, batches):
            transitions += outcome.transitions
            refused += outcome.refused
            evaluated += outcome.evaluated
            progress.update(task, description=f"Judging filings: {len(transitions):,} transitions")
    found = episodes(transitions, severity)
    rules = [rule.id for rule in program.rules]
    return Run(
        program=program,
        institutions=tuple(registry.values()),
        filings=tuple(batches),
        rejected=tuple(rejected),
        refused=tuple(refused),
        transitions=tuple(transitions),
        episodes=tuple(found),
        events=tuple(known_events),
        scores=tuple(score(rules, found, known_events, window_days)),
        severity=severity,
        evaluated=evaluated,
    )


def _registry(columns: Sequence[Columns], institutions: Path | None, mapping: Path | None) -> dict[str, Institution]:
    """Institutions by code: those of the seed file, and bare ones for whoever files besides."""
    registry = {i.code: i for i in read_seed([institutions], mapping)} if institutions else {}
    for form in columns:
        for code in form.institutions:
            registry.setdefault(code, Institution(code))
    return registry


def read_history(
    files: Sequence[Path], mapping: Path | None, institutions: Path | None, catalogue: Catalogue
) -> tuple[tuple[Institution, ...], tuple[FormBatch, ...], int]:
    """Return institutions, filings whose rows are positions among them, and how many filings a worker would reject.

    Those are left out. Raises InputError for a file that can't be read.
    """
    columns, rejected = load_columns(files, mapping, catalogue)
    registry = _registry(columns, institutions, mapping)
    engine = Engine(compile_packs([], catalogue), registry.values())
    return tuple(registry.values()), tuple(_batch(engine, form) for form in columns), len(rejected)


def _batch(engine: Engine, form: Columns) -> FormBatch:
    import numpy as np

    return FormBatch(
        form=form.form,
        rows=engine.rows(form.institutions),
        as_of=form.as_of,
        submitted_at=form.submitted_at,
        revision=form.revision,
        offset=np.full(len(form), -1, np.int64),
        sequence=form.index,
        values=form.values,
    )


def read_events(path: Path, zone: str) -> list[KnownEvent]:
    """Read a CSV with the columns `institution` and `date` (ISO); raise InputError with the line otherwise.

    An instant without its offset is local time in `zone`.
    """
    table = read_table(path)
    missing = {"institution", "date"} - set(table.columns)
    if missing:
        raise InputError(f"{path}: needs the columns institution,date; missing: {', '.join(sorted(missing))}")
    found = []
    for row in table.rows:
        if row.problem:
            raise InputError(f"{path}:{row.number}: {row.problem}")
        code, day = str(row.cells["institution"]).strip(), str(row.cells["date"]).strip()
        try:
            found.append(KnownEvent(code, parse_instant(day, zone)))
        except ValueError:
            raise InputError(f"{path}:{row.number}: {day!r} is not an ISO date such as 2023-03-10") from None
    return found
