"""`guanlan rules lint`: packs, history and date from the command line to the checks, and what they find on screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rich.console import Console
from rich.text import Text

from guanlan.packs import DEFAULT_CATALOGUE
from rules.catalogue import Catalogue, load_catalogue
from rules.lint import History, lint
from rules.pack import PackText, available, load_packs, wanted_catalogues
from rules.problems import Problem

COLOURS = {"error": "bold red", "warning": "yellow", "information": "cyan"}


def run_lint(
    packs: Sequence[str] | None,
    catalogue: Sequence[str] | None,
    *,
    today: date,
    filings: Sequence[Path] = (),
    mapping: Path | None = None,
    institutions: Path | None = None,
    strict: bool = False,
) -> bool:
    """Check packs, print what is found, and return whether they may pass: no error, and with `strict` no warning."""
    console = Console(highlight=False, soft_wrap=True)
    found: list[Problem] = []
    count = 0
    for names, texts in _groups(load_packs(packs or available()), catalogue):
        known = load_catalogue(names)
        history = load_history(filings, mapping, institutions, known) if filings else None
        found += lint(texts, known, today, history)
        count += len(texts)
    for problem in found:
        console.print(_line(problem))
    console.print(_summary(count, found))
    refused = {"error", "warning"} if strict else {"error"}
    return not any(problem.severity in refused for problem in found)


def _groups(texts: Sequence[PackText], catalogue: Sequence[str] | None) -> list[tuple[tuple[str, ...], list[PackText]]]:
    """Packs by the catalogues they are compiled against: those of one catalogue are used together."""
    groups: dict[tuple[str, ...], list[PackText]] = {}
    for text in texts:
        names = tuple(catalogue or sorted(wanted_catalogues([text])) or [DEFAULT_CATALOGUE])
        groups.setdefault(names, []).append(text)
    return list(groups.items())


def load_history(
    filings: Sequence[Path], mapping: Path | None, institutions: Path | None, catalogue: Catalogue
) -> History:
    """Read filings and a registry; whoever files and is not registered is there without attributes."""
    from guanlan.backtests import read_history

    registry, batches, rejected = read_history(filings, mapping, institutions, catalogue)
    if rejected:
        Console(stderr=True).print(f"history: {_many(rejected, 'filing')} that a worker would reject left out")
    return History(registry, batches)


def _line(problem: Problem) -> Text:
    before, severity, after = str(problem).partition(f" {problem.severity}: ")
    return Text.assemble(before, " ", (severity.strip(), COLOURS[problem.severity]), " ", after)


def _summary(packs: int, found: Sequence[Problem]) -> str:
    counts = Counter(problem.severity for problem in found)
    what = [_many(counts[severity], severity) for severity in ("error", "warning") if counts[severity]]
    return f"{_many(packs, 'pack')}: {', '.join(what) or 'no problem found'}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"
