"""`guanlan topics`: make Kafka's topics, and say how they differ from what they should be."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guanlan.settings import Settings
    from streams.topics import Difference, Topic

app = typer.Typer(help="Make and check the topics in Kafka.", no_args_is_help=True)

Bootstrap = Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")]
Partitions = Annotated[int | None, typer.Option(help="Partitions of the topics that are cut by institution.")]
Replication = Annotated[int | None, typer.Option(help="Copies of each partition.")]


@app.command()
def create(bootstrap: Bootstrap = None, partitions: Partitions = None, replication: Replication = None) -> None:
    """Create what is missing and mend settings; exit 1 when something differs that can't be mended."""
    from streams.topics import create_topics

    settings, table = _table(bootstrap, partitions, replication)
    created, different = create_topics(settings.bootstrap, table)
    there = len(table) - len(created)
    typer.echo(f"{len(created)} topics created, {there} were there")
    _end(different)


@app.command()
def describe(bootstrap: Bootstrap = None, partitions: Partitions = None, replication: Replication = None) -> None:
    """Show the topics as they should be, and what differs; exit 1 when something does."""
    from rich.console import Console
    from rich.table import Table

    from streams.topics import differences

    settings, table = _table(bootstrap, partitions, replication)
    different = differences(settings.bootstrap, table)
    shown = Table("topic", "partitions", "copies", "keeps", "state", box=None, pad_edge=False)
    for topic in table:
        own = [d for d in different if d.topic == topic.name]
        state = "ok" if not own else "missing" if not own[0].found else "differs"
        keeps = _keeps(topic.settings)
        shown.add_row(topic.name, str(topic.partitions), str(topic.replication), keeps, state)
    Console(soft_wrap=True, highlight=False).print(shown)
    _end(different)


@app.command()
def forget(bootstrap: Bootstrap = None, group: Annotated[str | None, typer.Option(help="Their group.")] = None) -> None:
    """Delete what workers remember, once they are stopped: at their next start they read everything again."""
    from guanlan.settings import load_settings
    from streams.place import forget_state

    settings = load_settings(bootstrap=bootstrap, group=group)
    deleted = forget_state(settings)
    typer.echo(f"forgotten: how far group {settings.group!r} has read, and {', '.join(deleted) or 'no state'}")


def _table(
    bootstrap: str | None, partitions: int | None, replication: int | None
) -> tuple[Settings, tuple[Topic, ...]]:
    from guanlan.settings import load_settings
    from streams.topics import topic_table

    settings = load_settings(bootstrap=bootstrap, partitions=partitions, replication=replication)
    return settings, topic_table(settings.topic_prefix, settings.partitions, settings.replication)


def _keeps(settings: dict[str, str]) -> str:
    if settings.get("cleanup.policy") == "compact":
        return "the latest of each key"
    milliseconds = int(settings.get("retention.ms", "-1"))
    return "everything" if milliseconds < 0 else f"{milliseconds // 86_400_000} days"


def _end(different: list[Difference]) -> None:
    for difference in different:
        typer.echo(str(difference), err=True)
    if different:
        sys.exit(1)
