"""`guanlan rules`: list, check, test, explain, compare, print and publish rule packs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="List, check, test, explain, compare, print and publish rule packs.", no_args_is_help=True)

Packs = Annotated[list[str] | None, typer.Argument(help="Pack files, or names of packs that come along. Default: all.")]
CatalogueOption = Annotated[list[str] | None, typer.Option("--catalogue", help="By default what the packs ask for.")]


@app.command("list")
def list_(packs: Packs = None, catalogue: CatalogueOption = None) -> None:
    """List the rules of packs."""
    from rich.console import Console
    from rich.table import Table

    from guanlan.packs import compile_each

    for name, program in compile_each(packs, catalogue):
        table = Table(title=name, title_justify="left", box=None, pad_edge=False)
        table.add_column("rule", no_wrap=True)
        for heading in ("title", "标题", "levels", "status"):
            table.add_column(heading)
        for rule in program.rules:
            levels = ", ".join(("watch", "warning", "critical")[level.number - 1] for level in rule.levels)
            table.add_row(rule.id, rule.title.get("en", ""), rule.title.get("zh", ""), levels, rule.status)
        Console().print(table)


@app.command()
def lint(
    packs: Packs = None,
    catalogue: CatalogueOption = None,
    filings: Annotated[list[Path] | None, typer.Option("--filings", help="History to try the rules on.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="How the files' columns become indicators.")] = None,
    institutions: Annotated[Path | None, typer.Option(help="Registry of institutions, with --filings.")] = None,
    today: Annotated[str, typer.Option(help="The date that decides what is about to lapse. Default: today.")] = "",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail as well.")] = False,
) -> None:
    """Check packs: file:line:column for everything that is wrong or looks it; exits with 1 on an error."""
    from guanlan.linting import run_lint
    from guanlan.packs import day

    ok = run_lint(
        packs,
        catalogue,
        today=day(today, "--today"),
        filings=filings or [],
        mapping=mapping,
        institutions=institutions,
        strict=strict,
    )
    if not ok:
        raise typer.Exit(1)


@app.command("test")
def run(
    packs: Packs = None,
    catalogue: CatalogueOption = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Say which levels and branches no test reaches.")
    ] = False,
    min_coverage: Annotated[str, typer.Option(help="Exit with 1 below it, as in 90%.")] = "",
) -> None:
    """Run the tests beside packs (NAME.test.yaml); exits with 1 if one fails."""
    from guanlan.pack_tests import percentage, run_tests

    least = percentage(min_coverage) if min_coverage else None
    if not run_tests(packs, catalogue, show_coverage=coverage, least=least):
        raise typer.Exit(1)


@app.command()
def explain(
    rule: Annotated[str, typer.Argument(help="The rule's id.")] = "",
    alert: Annotated[
        Path | None, typer.Option("--alert", help="An event of the topic alerts, in a file; - for standard input.")
    ] = None,
    pack: Annotated[list[str] | None, typer.Option("--pack", help="Packs to look in. Default: all.")] = None,
    catalogue: CatalogueOption = None,
    language: Annotated[str, typer.Option(help="en or zh.")] = "en",
    institution: Annotated[str, typer.Option(help="Show the parameters in force for this institution's code.")] = "",
    institutions: Annotated[Path | None, typer.Option(help="Registry with its attributes: CSV, YAML …")] = None,
    today: Annotated[str, typer.Option(help="The as-of date for --institution. Default: today.")] = "",
) -> None:
    """Say in words what a rule reads, where it runs and why, what has to hold, and its plan.

    With --alert, evaluate the evidence in an alert again and say whether it gives what was told; exits with 1 if not.
    """
    from guanlan.packs import day, find_institution, find_rule
    from rules.calendar import seconds
    from rules.explain import Whom
    from rules.explain import explain as lines
    from rules.problems import ConfigError

    if language not in ("en", "zh"):
        raise ConfigError(f"--language can't be {language!r}: use en or zh")
    if alert is not None:
        from guanlan.rechecking import run_recheck

        if not run_recheck(alert, pack, catalogue, language):
            raise typer.Exit(1)
        return
    if not rule:
        raise ConfigError("explain what? Give a rule's id, or --alert with an event")
    whom = None
    if institution:
        whom = Whom(find_institution(institution, institutions), seconds(day(today, "--today")))
    found, program = find_rule(rule, pack, catalogue)
    typer.echo("\n".join(lines(found, program, language, whom)))


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="The pack as it is: a file, or the name of one that comes along.")],
    new: Annotated[str, typer.Argument(help="The pack as it would be.")],
    filings: Annotated[list[Path], typer.Option("--filings", help="Filings: CSV, JSON Lines, Parquet or XLSX.")],
    mapping: Annotated[Path | None, typer.Option(help="How the files' columns become indicators.")] = None,
    institutions: Annotated[Path | None, typer.Option(help="Registry of institutions: CSV, YAML …")] = None,
    catalogue: CatalogueOption = None,
) -> None:
    """Run two versions of a pack over the same history: what fires newly, what falls silent, what changes."""
    from guanlan.rule_diff import run_diff

    run_diff(old, new, filings=filings, mapping=mapping, institutions=institutions, catalogue=catalogue)


@app.command()
def docs(
    packs: Packs = None,
    catalogue: CatalogueOption = None,
    out: Annotated[Path | None, typer.Option(help="Write there instead of to standard output.")] = None,
) -> None:
    """Write packs as a rule book in Markdown, English and Chinese."""
    from guanlan.packs import headed
    from rules.book import book

    text = book(headed(packs, catalogue))
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")


@app.command()
def publish(
    packs: Annotated[list[str], typer.Argument(help="All packs of the release: files, or names that come along.")],
    author: Annotated[str, typer.Option(help="Who wrote the change.")],
    approver: Annotated[str, typer.Option(help="Who approved it: somebody else.")],
    yes: Annotated[bool, typer.Option("--yes", help="Publish however many alerts change.")] = False,
    max_changes: Annotated[int, typer.Option(help="Ask when more alerts than this change.", min=0)] = 20,
    catalogue: CatalogueOption = None,
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")] = None,
    group: Annotated[str | None, typer.Option(help="Consumer group of the workers whose alerts are looked at.")] = None,
) -> None:
    """Check packs, show what they change of alerts open now, and put them in force in every worker, without a restart.

    Exits with 1 when nothing was published.
    """
    from datetime import date

    from guanlan.linting import run_lint
    from guanlan.pack_tests import run_beside
    from guanlan.publishing import asking, compile_release, read_texts, run_publish
    from guanlan.settings import load_settings
    from rules.problems import ConfigError
    from streams.releases import is_same

    if not author.strip() or not approver.strip() or is_same(author, approver):
        raise ConfigError(f"--author {author!r} and --approver {approver!r} must be two people")
    settings = load_settings(bootstrap=bootstrap, group=group, catalogue=catalogue or None)
    texts = read_texts(packs)
    if not run_lint(packs, catalogue, today=date.today()):
        raise typer.Exit(1)
    program = compile_release(texts, settings, bool(catalogue))
    published = run_beside(packs, program) and run_publish(
        texts,
        program,
        settings,
        author=author,
        approver=approver,
        most=max_changes,
        ask=asking(yes),
        asked_catalogue=bool(catalogue),
    )
    if not published:
        raise typer.Exit(1)


@app.command()
def releases(
    fetch: Annotated[int | None, typer.Option(help="Write the packs of this release into --out instead.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for --fetch.")] = None,
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")] = None,
) -> None:
    """List what was published, by whom and when; or get the packs of a release back."""
    from guanlan.publishing import fetch_release, list_releases
    from guanlan.settings import load_settings
    from rules.problems import ConfigError

    settings = load_settings(bootstrap=bootstrap)
    if fetch is None:
        list_releases(settings)
    elif out is None:
        raise ConfigError("--fetch needs --out FOLDER")
    else:
        fetch_release(settings, fetch, out)


@app.command()
def functions() -> None:
    """List the functions that expressions may call."""
    from rules.functions import FUNCTIONS, OF_ALL

    typer.echo(f"{OF_ALL}\n")
    for name in sorted(FUNCTIONS):
        typer.echo(f"{FUNCTIONS[name].usage}\n    " + FUNCTIONS[name].doc.replace("\n", "\n  "))


@app.command()
def schema(
    tests: Annotated[bool, typer.Option("--tests", help="The schema of test files instead.")] = False,
) -> None:
    """Print the JSON Schema of packs, for editors."""
    from rules.schema import as_text, schema_of_packs, schema_of_tests

    typer.echo(as_text(schema_of_tests() if tests else schema_of_packs()), nl=False)
