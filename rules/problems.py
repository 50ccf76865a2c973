"""What can be wrong with what a person wrote, as data and as exceptions.

GuanlanError                 every error meant for a person: one message, no traceback
├── ConfigError              a setting is wrong; the message ends with the fix
├── CatalogueError           a catalogue file is wrong   (carries problems)
├── PackError                a rule pack does not compile (carries problems)
└── InputError               a file a person named can't be read as what it should be
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "information"]


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in a file: `line` and `column` count from 1; 0 means the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


NOWHERE = Place("")
LONG = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about a file.

    `check` names the kind (stable, for disabling), `summary` says what is wrong, `fix` how to mend it.
    """

    place: Place
    check: str
    summary: str
    fix: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        tail = f" ({self.fix})" if self.fix else ""
        return f"{self.place}: {self.severity}: {self.summary}{tail} [{self.check}]"


class GuanlanError(Exception):
    """An error for a person: the command line prints the message alone and exits with `exit_code`."""

    exit_code = 1


class ConfigError(GuanlanError):
    """A setting is wrong or a needed part is missing; raised before anything starts."""

    exit_code = 2


class InputError(GuanlanError):
    """A file can't be read as what the command expects."""

    exit_code = 2


class ProblemsError(GuanlanError):
    """An error that carries every problem found, not only the first."""

    exit_code = 1

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class CatalogueError(ProblemsError):
    """A catalogue does not hold together."""


class PackError(ProblemsError):
    """A rule pack does not compile."""


def short(text: object) -> str:
    """Return what somebody wrote as a message quotes it: on one line, cut where it is long.

    >>> short("a while")
    "'a while'"
    """
    quoted = repr(text)
    return quoted if len(quoted) <= LONG else f"{quoted[: LONG - 1]}…"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the closest of `known`, or an empty string.

    >>> nearest("lrc", ["lcr", "nsfr"])
    "did you mean 'lcr'?"
    """
    if len(name) > LONG:
        return ""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""
