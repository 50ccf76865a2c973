"""Packs for the command line: compiled each with the catalogue it asks for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from rules.catalogue import load_catalogue
from rules.pack import PACKS, PackText, Program, available, compile_packs, load_packs, wanted_catalogues
from rules.plan import Rule
from rules.problems import ConfigError, Problem, ProblemsError, nearest
from rules.registry import Institution
from rules.source import Reader, parse_yaml

DEFAULT_CATALOGUE = "cn"


def compile_each(
    packs: Sequence[str] | None, catalogue: Sequence[str] | None, whole: bool = False
) -> Iterator[tuple[str, Program]]:
    """Compile each pack on its own, or with the others where it names their rules; then with `whole` theirs stay in.

    Raises one error with the problems of all that are wrong, at the end.
    """
    problems: list[Problem] = []
    texts = {name: load_packs([name])[0] for name in packs or available()}
    for name, text in texts.items():
        wanted = _catalogues(text, catalogue)
        try:
            yield name, compile_packs([text], load_catalogue(wanted))
        except ProblemsError as err:
            others = [t for t in texts.values() if _catalogues(t, catalogue) == wanted]
            if len(others) < 2 or not any(problem.check == "unknown-rule" for problem in err.problems):
                problems += err.problems
                continue
            try:
                program = compile_packs(others, load_catalogue(wanted))
            except ProblemsError as together:
                problems += together.problems
                continue
            yield name, program if whole else own_part(name, program)
    if problems:
        raise ProblemsError(list(dict.fromkeys(problems)))


def _catalogues(text: PackText, catalogue: Sequence[str] | None) -> list[str]:
    return [*(catalogue or wanted_catalogues([text]) or [DEFAULT_CATALOGUE])]


def own_part(name: str, program: Program) -> Program:
    """Return a program with only the rules of one of its packs."""
    (text,) = load_packs([name])
    pack = Reader(parse_yaml(text.text, text.file), [], "a pack").text("pack")
    return replace(program, rules=tuple(rule for rule in program.rules if rule.pack == pack))


def headed(packs: Sequence[str] | None, catalogue: Sequence[str] | None) -> list[tuple[str, Program]]:
    """Compile each pack, and say what it is called: its title in English and Chinese, else its name."""
    found = []
    for name, program in compile_each(packs, catalogue):
        (text,) = load_packs([name])
        title = Reader(parse_yaml(text.text, text.file), [], "a pack").words("title")
        called = " · ".join(title[language] for language in ("en", "zh") if title.get(language))
        found.append((called or Path(name).stem, program))
    return found


def find_rule(ident: str, packs: Sequence[str] | None, catalogue: Sequence[str] | None) -> tuple[Rule, Program]:
    """Return the rule of this id and the program of its pack; raise ConfigError with the nearest id."""
    known = []
    for _, program in compile_each(packs, catalogue):
        for rule in program.rules:
            if rule.id == ident:
                return rule, program
            known.append(rule.id)
    raise ConfigError(f"there is no rule {ident!r}: {nearest(ident, known) or 'see guanlan rules list'}")


def find_institution(code: str, registry: Path | None) -> Institution:
    """Return the institution of a registry file, or one of which only the code is known without a file.

    Raises ConfigError with the nearest code for one that is not in the file.
    """
    if registry is None:
        return Institution(code)
    from streams.registry import read_seed

    known = {institution.code: institution for institution in read_seed([registry], None)}
    if code not in known:
        raise ConfigError(f"there is no institution {code!r} in {registry}: {nearest(code, known) or 'check the code'}")
    return known[code]


def test_file(pack: str) -> Path:
    """Path of the tests beside a pack: NAME.test.yaml."""
    path = Path(pack) if pack.endswith((".yaml", ".yml")) else PACKS / f"{pack}.yaml"
    return path.with_suffix(".test.yaml")


def day(text: str, option: str) -> date:
    """Return the date an option gives, today's without; raise ConfigError for what is no date."""
    try:
        return date.fromisoformat(text) if text else date.today()
    except ValueError:
        raise ConfigError(f"{option} can't be {text!r}: write a date as 2026-12-31") from None
