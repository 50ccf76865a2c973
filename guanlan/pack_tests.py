"""`guanlan rules test`: the tables beside packs run, failures as timelines, and what no test reaches."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console

from guanlan.packs import compile_each, own_part, test_file
from rules.pack import Program
from rules.problems import ConfigError, ProblemsError
from rules.rendering import Renderer, renderer
from rules.testing import Coverage, Result, coverage, read_tests, run_case
from rules.testing.coverage import share
from streams.opening import read_whole_text


def run_tests(
    packs: Sequence[str] | None,
    catalogue: Sequence[str] | None,
    *,
    show_coverage: bool = False,
    least: float | None = None,
) -> bool:
    """Run the tests beside packs and print what failed, and with `show_coverage` what no test reaches.

    Returns whether all passed, and each pack's coverage is at least `least` (0 to 1).
    """
    console = Console(highlight=False, soft_wrap=True)
    ok = True
    for name, program in compile_each(packs, catalogue, whole=True):
        results = _run(console, name, program)
        ok &= all(result.ok for result in results)
        if show_coverage or least is not None:
            found = coverage(own_part(name, program), results)
            enough = least is None or share(found) >= least
            _print_coverage(console, name, found, renderer(program) if show_coverage or not enough else None)
            if least is not None and not enough:
                console.print(f"{name}: that is less than {least:.0%}", style="bold red")
            ok &= enough
    return ok


def run_beside(packs: Sequence[str], program: Program) -> bool:
    """Run the tests beside packs that are compiled together, print what failed, and return whether all passed."""
    console = Console(highlight=False, soft_wrap=True)
    results = [result for name in packs for result in _run(console, name, program)]
    return all(result.ok for result in results)


def _run(console: Console, name: str, program: Program) -> list[Result]:
    path = test_file(name)
    if not path.is_file():
        console.print(f"{name}: no tests beside it ({path.name})", style="yellow")
        return []
    cases, problems = read_tests(read_whole_text(path), path.name, program)
    if problems:
        raise ProblemsError(problems)
    results = [run_case(case, program) for case in cases]
    for result in results:
        if not result.ok:
            console.print(f"FAILED {result.case.place}: {result.case.name} ({result.case.rule})", style="bold red")
            console.print(result.timeline(), markup=False)
    console.print(f"{name}: {sum(result.ok for result in results)} of {len(results)} tests passed")
    return results


def _print_coverage(console: Console, name: str, found: Sequence[Coverage], render: Renderer | None) -> None:
    reached = sum(len(one.reached) for one in found)
    total = reached + sum(len(one.unreached) for one in found)
    for one in found:
        for line in one.lines(render) if render is not None else ():
            console.print(f"  {one.rule.id}: {line}", style="dim", markup=False)
    # rounded down, so that 100% is said only of all
    console.print(f"{name}: {reached} of {total} levels and branches reached, {int(100 * share(found))}%")


def percentage(text: str) -> float:
    """Return 0.9 for 90% or 90; raise ConfigError for what is no percentage."""
    found = re.fullmatch(r"\s*(\d{1,3}(?:\.\d+)?)\s*%?\s*", text)
    if found is None or float(found.group(1)) > 100:
        raise ConfigError(f"--min-coverage can't be {text!r}: write a percentage as 90%")
    return float(found.group(1)) / 100
