"""The checks of `guanlan rules lint`: one function each, under its name, with its severity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rules.lint.subject import Subject
from rules.problems import Place, Problem, Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check has to say of one place; `fix` ends the sentence with how to mend it."""

    place: Place
    summary: str
    fix: str = ""


Run = Callable[[Subject], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, which comments in a pack use, how much its findings weigh, and what it looks for."""

    name: str
    severity: Severity
    doc: str
    run: Run

    def problems(self, subject: Subject) -> Iterator[Problem]:
        """Run the check and name its findings."""
        for found in self.run(subject):
            yield Problem(found.place, self.name, found.summary, found.fix, self.severity)


CHECKS: dict[str, Check] = {}


def check(name: str, severity: Severity = "warning") -> Callable[[Run], Run]:
    """Register a check; a second of the same name is refused. Its docstring is what authors read."""

    def register(run: Run) -> Run:
        if name in CHECKS:
            raise ValueError(f"the check {name!r} is registered twice")
        CHECKS[name] = Check(name, severity, " ".join((run.__doc__ or "").split()), run)
        return run

    return register
