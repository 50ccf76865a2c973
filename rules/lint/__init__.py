"""`guanlan rules lint`: what compiles may still be wrong. Packs, a date and perhaps history in; problems out.

A check is one function in `rules/lint/checks/`; docs/lint.md shows each with a bad and a good example.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from rules.catalogue import Catalogue
from rules.lint import checks
from rules.lint.comments import is_quiet, read_comments
from rules.lint.registry import CHECKS, Check
from rules.lint.subject import History, Subject, written
from rules.pack import PackText, compile_packs
from rules.problems import PackError, Problem

__all__ = ["CHECKS", "Check", "History", "checks", "lint"]


def lint(packs: Sequence[PackText], catalogue: Catalogue, today: date, history: History | None = None) -> list[Problem]:
    """Return every problem of packs that are used together, by place: what does not compile, else what checks find.

    A pack that does not compile is left out, and the others are still checked.
    """
    problems: list[Problem] = []
    good = list(packs)
    try:
        program = compile_packs(good, catalogue)
    except PackError as err:
        problems += err.problems
        bad = {problem.place.file for problem in err.problems}
        good = [pack for pack in good if pack.file not in bad]
        try:
            program = compile_packs(good, catalogue)
        except PackError:  # what remains needs what is wrong
            good = []
    if good:
        subject = Subject(program, written(program, good), today, history)
        quiet = read_comments(good, CHECKS, today, problems)
        found = [problem for check in CHECKS.values() for problem in check.problems(subject)]
        problems += [problem for problem in found if not is_quiet(problem, quiet)]
    return sorted(dict.fromkeys(problems), key=lambda problem: (problem.place, problem.check))
