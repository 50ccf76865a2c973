"""`guanlan filings`: filings that are held because their units are in question."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.questions import Open

app = typer.Typer(help="List and answer questions on the units of filings.", no_args_is_help=True)

Bootstrap = Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")]


@app.command()
def questions(
    json_lines: Annotated[bool, typer.Option("--json", help="One question a line, as JSON.")] = False,
    language: Annotated[str | None, typer.Option(help="Language of sentences.")] = None,
    bootstrap: Bootstrap = None,
) -> None:
    """List the filings that are held until somebody answers, the most urgent first."""
    import msgspec

    from guanlan.settings import load_settings

    settings = load_settings(bootstrap=bootstrap, language=language)
    found = _open(settings.bootstrap, settings.topic_prefix)
    for one in found:
        if json_lines:
            typer.echo(msgspec.json.encode(one.told).decode())
        else:
            typer.echo(f"{one.told.message.get(settings.language, one.told.message['en'])} [{one.told.expires}]")
    if not found and not json_lines:
        typer.echo("no question is open")


@app.command()
def confirm(
    institution: Annotated[str, typer.Argument(help="Code of the institution.")],
    form: Annotated[str, typer.Argument(help="Form of the filing, as in cn.liquidity.d.")],
    as_of: Annotated[str, typer.Argument(help="As-of date of the filing, as in 2026-03-31.")],
    by: Annotated[str, typer.Option(help="Name of the person who answers for the units.")],
    reason: Annotated[str, typer.Option(help="Why the values are right as they are.")],
    bootstrap: Bootstrap = None,
) -> None:
    """Say that the units of a held filing are right: the very same filing is sent again, with your answer in it."""
    from guanlan.settings import load_settings
    from rules.problems import InputError, nearest
    from streams.publish import Parcel, Publisher
    from streams.questions import with_confirms
    from streams.topics import FILINGS, require_topic
    from streams.wire import Confirms

    for name, text, longest in (("--by", by.strip(), 64), ("--reason", reason.strip(), 500)):
        if not 1 <= len(text) <= longest:
            raise InputError(f"{name} must be a text of 1 to {longest} characters")
    settings = load_settings(bootstrap=bootstrap)
    found = _open(settings.bootstrap, settings.topic_prefix)
    mine = [one for one in found if (one.told.institution, one.told.form, one.told.as_of) == (institution, form, as_of)]
    if not mine:
        asked = {f"{one.told.institution} {one.told.form} {one.told.as_of}" for one in found}
        hint = nearest(f"{institution} {form} {as_of}", asked)
        raise InputError(f"no question is open on {institution} {form} {as_of}; {hint}".rstrip("; "))
    topic = settings.topic_prefix + FILINGS
    require_topic(settings.bootstrap, topic)
    one = mine[-1]
    record = with_confirms(one.record, one.headers, Confirms(by.strip(), reason.strip()))
    with Publisher(settings.bootstrap, topic) as publisher:
        too_large = publisher.deliver([Parcel(0, institution.encode(), record, one.headers)])
    if too_large:
        typer.echo(f"the record of {len(record):,} bytes is over the topic's max.message.bytes", err=True)
        sys.exit(1)
    typer.echo(f"{institution} {form} {as_of}, revision {one.told.revision}: confirmed by {by.strip()} and sent")


def _open(bootstrap: str, prefix: str) -> list[Open]:
    from streams.clients import read_to_end
    from streams.questions import open_questions
    from streams.topics import QUESTIONS

    return open_questions(read_to_end(bootstrap, prefix + QUESTIONS))
