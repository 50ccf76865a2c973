"""`guanlan rules publish` and `releases`: packs checked, what they change of open alerts shown, and the record sent."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from guanlan.packs import test_file
from guanlan.settings import Settings
from rules.catalogue import SYSTEM
from rules.pack import PackText, Program, load_packs
from rules.plan import Rule
from rules.problems import ConfigError
from rules.radius import Change, Radius, radius, total
from rules.registry import Institution
from streams.kept import kept_by_system, kept_by_watchers
from streams.place import Place, look_at_place
from streams.programs import compile_texts
from streams.registry import read_institutions
from streams.releases import InForce, Release, Text, hash_of, in_force, publish, read_releases
from streams.topics import INSTITUTIONS, RULES, require_topic

SHOWN = 5
"""How many alerts are named for a rule."""

Ask = Callable[[str], bool]


def read_texts(packs: Sequence[str]) -> tuple[Text, ...]:
    """Read packs and the tests beside them; raise ConfigError where two would have one name."""
    found = []
    for pack in load_packs(packs):
        tests = test_file(pack.file)
        found.append(
            Text(Path(pack.file).name, pack.text, tests.read_text(encoding="utf-8") if tests.is_file() else "")
        )
    twice = [name for name, count in Counter(text.file for text in found).items() if count > 1]
    if twice:
        raise ConfigError(f"two packs are called {twice[0]!r}: a release needs a name for each, rename one")
    return tuple(found)


def compile_release(texts: Sequence[Text], settings: Settings, asked_catalogue: bool) -> Program:
    """Compile packs together, as a worker will; raise PackError or CatalogueError with what is wrong."""
    return compile_texts([PackText(text.text, text.file) for text in texts], settings, asked_catalogue)


def run_publish(
    texts: tuple[Text, ...],
    program: Program,
    settings: Settings,
    *,
    author: str,
    approver: str,
    most: int,
    ask: Ask | None,
    asked_catalogue: bool = False,
) -> bool:
    """Show what a release changes of open alerts and publish it; return whether it was published.

    most: how many alerts may change without a question; ask: answers it, None where nobody can be asked. Raises
    ServiceError when the broker does not answer.
    """
    console = Console(highlight=False, soft_wrap=True)
    place = look_at_place(settings)
    topic = place.topic(RULES)
    before = in_force(
        place.bootstrap, topic, lambda packs: compile_texts(packs, settings, asked_catalogue=asked_catalogue)
    )
    for line in _edits(before, program):
        console.print(line, markup=False)
    found = find_radius(place, program)
    for line in _told(found, place.group):
        console.print(line, markup=False)
    question = _question(found, most)
    if question and (ask is None or not ask(question)):
        console.print("nothing was published" + ("" if ask else f": {question} --yes says so"), style="bold red")
        return False
    newest = max((release.version for _, release in read_releases(place.bootstrap, topic)), default=0)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    release = Release(newest + 1, hash_of(texts), author.strip(), approver.strip(), now, texts)
    publish(place.bootstrap, topic, release)
    console.print(f"{release} is published: by {release.author}, approved by {release.approver}", markup=False)
    return True


def find_radius(place: Place, program: Program) -> Radius | None:
    """Return what the program changes of alerts open now, by the state workers keep; None where they keep none."""
    institutions = read_institutions(place.bootstrap, place.topic(INSTITUTIONS))
    watched = kept_by_watchers(place, program, institutions)
    system = kept_by_system(place, program, [Institution(SYSTEM), *institutions])
    engines = [engine for engine in (watched, system) if engine is not None]
    return total([radius(engine) for engine in engines]) if engines else None


def _edits(before: InForce | None, program: Program) -> list[str]:
    """What of the rules is new, edited, deleted or judged elsewhere, against the release in force."""
    if before is None:
        return ["no release is in force yet: workers run the packs of their settings"]
    old, new = ({rule.id: rule for rule in p.rules} for p in (before.program, program))
    names = {name for rule in new.values() for name in rule.renamed_from}
    parts = [
        ("new", [ident for ident in new if ident not in old and not set(new[ident].renamed_from) & old.keys()]),
        ("edited", [ident for ident in new if ident in old and new[ident].hash != old[ident].hash]),
        ("deleted", [ident for ident in old if ident not in new and ident not in names]),
    ]
    told = ", ".join(f"{len(idents)} {what} ({', '.join(idents)})" for what, idents in parts if idents)
    lines = [f"against {before.release}: {told or 'no rule is another'}"]
    moved = [rule for rule in new.values() if _moves(rule, old.get(rule.id))]
    return lines + [
        f"{rule.id} is judged by the {rule.placement} agent from now on: alerts of it that are open are not carried"
        " over; a new id that `replaces` the old one ends them"
        for rule in moved
    ]


def _moves(rule: Rule, before: Rule | None) -> bool:
    return before is not None and rule.placement != before.placement


def _told(found: Radius | None, group: str) -> list[str]:
    if found is None:
        return [f"no worker of group {group!r} has kept any state: what changes of open alerts is not known"]
    lines = [f"open alerts, as the workers of group {group!r} kept them last: {found.before}"]
    by_rule: dict[str, list[Change]] = {}
    for change in found.changes:
        by_rule.setdefault(change.rule, []).append(change)
    for rule, changes in sorted(by_rule.items()):
        counts = ", ".join(f"{n} {what}" for what, n in Counter(change.what for change in changes).items())
        lines.append(f"  {rule}: {counts}")
        lines += [f"    {_line(change)}" for change in changes[:SHOWN]]
        lines += [f"    … and {len(changes) - SHOWN} more"] if len(changes) > SHOWN else []
    quiet = len(found.changes) - found.loud
    silent = f"; {quiet} more notify nobody" if quiet else ""
    return [*lines, f"people would be notified of {found.loud} change{'' if found.loud == 1 else 's'}{silent}"]


def _line(change: Change) -> str:
    quiet = " (notifies nobody)" if change.quiet else ""
    return f"{change.subject} {change.what}: {change.before} → {change.after}{quiet}"


def _question(found: Radius | None, most: int) -> str:
    if found is None:
        return "Publish without knowing what changes?"
    return f"That is more than {most}. Publish?" if found.loud > most else ""


def at_terminal(question: str) -> bool:
    """Ask at the terminal."""
    import typer

    return typer.confirm(question)


def asking(yes: bool) -> Ask | None:
    """Return who answers: yes always, the terminal, or nobody where there is none."""
    if yes:
        return lambda _: True
    return at_terminal if sys.stdin.isatty() else None


def list_releases(settings: Settings) -> None:
    """Print the releases of the topic, oldest first; the last that compiles is in force."""
    topic = settings.topic_prefix + RULES
    require_topic(settings.bootstrap, topic)
    table = Table("release", "hash", "published", "author", "approver", "packs", box=None, pad_edge=False)
    for _, release in read_releases(settings.bootstrap, topic):
        packs = ", ".join(pack.file for pack in release.packs)
        who = release.author, release.approver
        table.add_row(str(release.version), release.hash, release.published_at, *who, packs)
    Console(soft_wrap=True, highlight=False).print(table)


def fetch_release(settings: Settings, version: int, folder: Path) -> None:
    """Write the packs and tests of a release into a folder; raise ConfigError where there is no such release."""
    topic = settings.topic_prefix + RULES
    require_topic(settings.bootstrap, topic)
    found = {release.version: release for _, release in read_releases(settings.bootstrap, topic)}
    if version not in found:
        raise ConfigError(f"there is no release {version}; see guanlan rules releases")
    folder.mkdir(parents=True, exist_ok=True)
    for pack in found[version].packs:
        path = (folder / Path(pack.file).name).with_suffix(".yaml")
        path.write_text(pack.text, encoding="utf-8")
        if pack.tests:
            path.with_suffix(".test.yaml").write_text(pack.tests, encoding="utf-8")
