"""Packs for the command line: compiled each with the catalogue it asks for, and their tests run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from rich.console import Console

from rules.catalogue import load_catalogue
from rules.pack import PACKS, Program, available, compile_packs, load_packs, wanted_catalogues
from rules.plan import Rule
from rules.problems import ConfigError, ProblemsError, nearest
from rules.testing import Result, coverage, read_tests, run_case

DEFAULT_CATALOGUE = "cn"


def compile_each(packs: Sequence[str] | None, catalogue: Sequence[str] | None) -> Iterator[tuple[str, Program]]:
    """Compile each pack on its own; raise one error with the problems of all that are wrong, at the end."""
    problems = []
    for name in packs or available():
        texts = load_packs([name])
        try:
            yield (
                name,
                compile_packs(texts, load_catalogue(catalogue or wanted_catalogues(texts) or [DEFAULT_CATALOGUE])),
            )
        except ProblemsError as err:
            problems += err.problems
    if problems:
        raise ProblemsError(problems)


def find_rule(ident: str, packs: Sequence[str] | None, catalogue: Sequence[str] | None) -> tuple[Rule, Program]:
    """Return the rule of this id and the program of its pack; raise ConfigError with the nearest id."""
    known = []
    for _, program in compile_each(packs, catalogue):
        for rule in program.rules:
            if rule.id == ident:
                return rule, program
            known.append(rule.id)
    raise ConfigError(f"there is no rule {ident!r}: {nearest(ident, known) or 'see guanlan rules list'}")


def test_file(pack: str) -> Path:
    """Path of the tests beside a pack: NAME.test.yaml."""
    path = Path(pack) if pack.endswith((".yaml", ".yml")) else PACKS / f"{pack}.yaml"
    return path.with_suffix(".test.yaml")


def run_tests(packs: Sequence[str] | None, catalogue: Sequence[str] | None) -> bool:
    """Run the tests beside packs and print what failed; return whether all passed."""
    console = Console(highlight=False)
    ok = True
    for name, program in compile_each(packs, catalogue):
        path = test_file(name)
        if not path.is_file():
            console.print(f"{name}: no tests beside it ({path.name})", style="yellow")
            continue
        cases, problems = read_tests(path.read_text(encoding="utf-8"), path.name, program)
        if problems:
            raise ProblemsError(problems)
        results = [run_case(case, program) for case in cases]
        ok &= all(result.ok for result in results)
        _print(console, name, results, program)
    return ok


def _print(console: Console, name: str, results: Sequence[Result], program: Program) -> None:
    for result in results:
        if not result.ok:
            console.print(f"FAILED {result.case.place}: {result.case.name} ({result.case.rule})", style="bold red")
            console.print(result.timeline(), markup=False)
    passed = sum(result.ok for result in results)
    console.print(f"{name}: {passed} of {len(results)} tests passed")
    for c in coverage(program, results):
        if c.missed:
            console.print(f"  not reached by a test: {c.rule}: {', '.join(c.missed)}", style="dim")


def day(text: str, option: str) -> date:
    """Return the date an option gives, today's without; raise ConfigError for what is no date."""
    try:
        return date.fromisoformat(text) if text else date.today()
    except ValueError:
        raise ConfigError(f"{option} can't be {text!r}: write a date as 2026-12-31") from None
