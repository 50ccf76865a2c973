"""`guanlan quotes`: prices and market series from files to Kafka."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from guanlan.quote_rows import Row
    from streams.columns import Refused
    from streams.wire import Quote

PIECE = 5_000
SHOWN = 20


def command(
    files: Annotated[list[Path], typer.Argument(help="CSV: a date, then a price for each series; or JSON Lines.")],
    market_caps: Annotated[Path | None, typer.Option(help="CSV like the prices: market value of equity.")] = None,
    market: Annotated[str, typer.Option(help="Column that is the market index; it becomes MARKET.")] = "",
    revision: Annotated[int, typer.Option(min=0, help="Of the quotes of tables: 1 and on for corrections.")] = 0,
    catalogue: Annotated[list[str] | None, typer.Option(help="Catalogue, by name or file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge the quotes; send nothing.")] = False,
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")] = None,
) -> None:
    """Judge quotes and send them to Kafka, keyed by series; exit 1 when any was rejected."""
    from datetime import UTC, datetime

    from guanlan.quote_rows import quotes_from, read_whole
    from guanlan.settings import load_settings
    from rules.catalogue import load_catalogue
    from rules.problems import InputError
    from streams.publish import Parcel, Publisher
    from streams.quotes import decode_quotes
    from streams.registry import read_institutions
    from streams.tape import OWN_SERIES
    from streams.topics import INSTITUTIONS, QUOTES, require_topic
    from streams.wire import instant_text

    settings = load_settings(bootstrap=bootstrap, catalogue=catalogue)
    declared = load_catalogue(settings.catalogue)
    stress = declared.stress
    series = {*OWN_SERIES, *(stress.series if stress else ())}
    topic = settings.topic_prefix + QUOTES
    known: set[str] | None = None
    if not dry_run:
        require_topic(settings.bootstrap, topic)
        known = {i.code for i in read_institutions(settings.bootstrap, settings.topic_prefix + INSTITUTIONS)}
    at = instant_text(int(datetime.now(UTC).timestamp()))
    accepted = 0
    reasons: Counter[str] = Counter()
    with nullcontext() if dry_run else Publisher(settings.bootstrap, topic) as publisher:
        told = (row for path in files for row in quotes_from(path, market_caps, market, at, revision))
        for rows in _pieces(read_whole(told)):
            good, bad = decode_quotes([row.value for row in rows], settings.max_record_bytes, declared.timezone)
            good, strange = _judge(good, series, known if known is not None else {q.series for _, q in good})
            for refused in [*bad, *strange]:
                reasons[str(refused.reason)] += 1
                if sum(reasons.values()) <= SHOWN:
                    row = rows[refused.position]
                    typer.echo(f"{row.file} row {row.row}: {refused.reason}: {refused.detail}", err=True)
            if publisher is not None:
                publisher.deliver([Parcel(p, quote.series.encode(), rows[p].value) for p, quote in good])
            accepted += len(good)
    if not accepted and not reasons:
        raise InputError(f"there are no quotes in {', '.join(map(str, files))}")
    typer.echo(f"{accepted:,} {'acceptable' if dry_run else 'accepted'}, {sum(reasons.values()):,} rejected")
    for reason, count in sorted(reasons.items()):
        typer.echo(f"  {reason} {count:,}")
    if reasons:
        sys.exit(1)


def _pieces(rows: Iterator[Row]) -> Iterator[list[Row]]:
    piece: list[Row] = []
    for row in rows:
        piece.append(row)
        if len(piece) == PIECE:
            yield piece
            piece = []
    if piece:
        yield piece


def _judge(
    good: list[tuple[int, Quote]], series: set[str], institutions: set[str]
) -> tuple[list[tuple[int, Quote]], list[Refused]]:
    """Part the quotes into those that the worker will take and the others."""
    from streams.columns import Refused
    from streams.quotes import judge_quote

    told = [(position, quote, judge_quote(quote, series, institutions)) for position, quote in good]
    wrong = [Refused(position, *rejection) for position, _, rejection in told if rejection is not None]
    return [(position, quote) for position, quote, rejection in told if rejection is None], wrong
