"""`guanlan institutions`: the registry of supervised institutions."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Load and list the registry of institutions.", no_args_is_help=True)

Bootstrap = Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")]


@app.command()
def load(
    files: Annotated[list[Path], typer.Argument(help="YAML, CSV, JSON Lines, Parquet or XLSX files.")],
    mapping: Annotated[str | None, typer.Option(help="A mapping with a section 'institutions'.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check; send nothing.")] = False,
    catalogue: Annotated[
        list[str] | None, typer.Option(help="Catalogue whose types are known, by name or file.")
    ] = None,
    bootstrap: Bootstrap = None,
) -> None:
    """Put institutions into the registry; one that is there already is replaced."""
    from guanlan.settings import load_settings
    from rules.catalogue import available, load_catalogue
    from streams.codes import known_types
    from streams.registry import publish_institutions, read_registrations, read_seed, registered
    from streams.topics import INSTITUTIONS, require_topic

    settings = load_settings(bootstrap=bootstrap, catalogue=catalogue)
    types = known_types(load_catalogue(settings.catalogue))
    if mapping is not None and catalogue is None:  # a mapping chooses its types by name, of whatever catalogue
        types |= frozenset().union(*(known_types(load_catalogue([name])) for name in available()))
    found = read_seed(files, mapping, types)
    if not dry_run:
        topic = settings.topic_prefix + INSTITUTIONS
        require_topic(settings.bootstrap, topic)
        known = read_registrations(settings.bootstrap, topic)
        publish_institutions(settings.bootstrap, topic, registered(found, known, int(time.time())))
    typer.echo(f"{len(found):,} institutions {'read' if dry_run else 'loaded'}")


@app.command("list")
def show(
    json_lines: Annotated[bool, typer.Option("--json", help="One institution a line, as JSON.")] = False,
    language: Annotated[str | None, typer.Option(help="Language of names.")] = None,
    bootstrap: Bootstrap = None,
) -> None:
    """List the institutions in the registry; exit 1 when there is none."""
    import msgspec
    from rich.console import Console
    from rich.table import Table

    from guanlan.settings import load_settings
    from streams.registry import read_institutions
    from streams.topics import INSTITUTIONS

    settings = load_settings(bootstrap=bootstrap, language=language)
    found = read_institutions(settings.bootstrap, settings.topic_prefix + INSTITUTIONS)
    if not found:
        typer.echo("no institution is registered; run: guanlan institutions load FILE", err=True)
        sys.exit(1)
    if json_lines:
        for institution in found:
            typer.echo(msgspec.json.encode(institution).decode())
        return
    shown = Table("code", "name", "type", "region", "peer group", box=None, pad_edge=False)
    for i in found:
        shown.add_row(i.code, i.title(settings.language), i.type, i.region, i.peer_group)
    Console(soft_wrap=True, highlight=False, markup=False).print(shown)
