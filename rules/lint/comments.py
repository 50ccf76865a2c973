"""Comments that quieten a check: `# lint: disable CHECK`, `# lint: snooze CHECK until 2027-01-01`.

A comment inside a rule, or right above it, is about that rule; one above the first rule is about the whole pack.
A reason may follow behind a comma or a colon.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from rules.pack import PackText
from rules.problems import Place, Problem, nearest, short
from rules.source import parse_yaml

CHECK = "lint-comment"
_COMMENT = re.compile(r"(?:^|\s)#\s*lint:\s*(.*)$")
_SAID = re.compile(r"(disable|snooze)\s+([\w-]+)(?:\s+until\s+([^\s,:]+))?\s*(?:[,:].*)?\Z")


@dataclass(frozen=True, slots=True)
class Quiet:
    """A check that shall say nothing of lines `first` to `last` of a file."""

    file: str
    check: str
    first: int
    last: int


def read_comments(
    packs: Sequence[PackText], checks: Collection[str], today: date, problems: list[Problem]
) -> list[Quiet]:
    """Return what the packs' comments ask for; those that ask wrongly, or whose time is over, go to `problems`."""
    return [quiet for pack in packs for quiet in _comments(pack, checks, today, problems)]


def is_quiet(problem: Problem, quiet: Sequence[Quiet]) -> bool:
    """Whether a comment asks to say nothing of this problem."""
    place = problem.place
    return any(q.check == problem.check and q.file == place.file and q.first <= place.line <= q.last for q in quiet)


def _comments(pack: PackText, checks: Collection[str], today: date, problems: list[Problem]) -> Iterator[Quiet]:
    lines = pack.text.splitlines()
    spans = _spans(pack, lines)
    for number, line in enumerate(lines, start=1):
        found = _COMMENT.search(line)
        if found is None:
            continue
        place = Place(pack.file, number, found.start(1) + 1)
        said = _SAID.match(found.group(1).strip())
        if said is None or (said.group(1) == "snooze") != (said.group(3) is not None):
            summary = f"a lint comment can't say {short(found.group(1).strip())}"
            fix = "'disable CHECK' or 'snooze CHECK until 2027-01-01', a reason behind a comma"
            problems.append(Problem(place, CHECK, summary, fix))
            continue
        name = said.group(2)
        if name not in checks:
            problems.append(Problem(place, CHECK, f"there is no check {name!r}", nearest(name, checks)))
            continue
        if said.group(3) is not None and not _still(said.group(3), name, place, today, problems):
            continue
        first, last = next((span for span in spans if span[0] <= number <= span[1]), (1, len(lines) + 1))
        yield Quiet(pack.file, name, first, last)


def _still(until: str, name: str, place: Place, today: date, problems: list[Problem]) -> bool:
    try:
        end = date.fromisoformat(until)
    except ValueError:
        problems.append(Problem(place, CHECK, f"{short(until)} is no date", "as in 2027-01-01"))
        return False
    if end <= today:
        problems.append(Problem(place, CHECK, f"{name!r} was snoozed until {until}", "look again", "warning"))
        return False
    return True


def _spans(pack: PackText, lines: Sequence[str]) -> list[tuple[int, int]]:
    """First and last line of every rule, the comments right above it included."""
    root = parse_yaml(pack.text, pack.file).data
    assert isinstance(root, dict)
    listed = root["rules"].data
    assert isinstance(listed, list)
    starts = []
    for value in listed:
        first = value.place.line
        while first > 1 and lines[first - 2].lstrip().startswith("#"):
            first -= 1
        starts.append(first)
    return [(first, after - 1) for first, after in zip(starts, [*starts[1:], len(lines) + 1], strict=True)]
