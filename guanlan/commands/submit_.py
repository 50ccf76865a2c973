"""`guanlan submit`: filings from files to Kafka."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.encodings import Encoding

if TYPE_CHECKING:
    from rich.console import Console

    from guanlan.sending import Sent
    from streams.intake import Taken
    from streams.rows import Draft

SHOWN = 20


@dataclass(slots=True)
class Gauge:
    """What has been read so far, for a person who waits."""

    count: int = 0
    started: float = field(default_factory=time.monotonic)
    doing: str = "read"

    def __rich__(self) -> str:
        rate = self.count / max(1e-3, time.monotonic() - self.started)
        return f"{self.count:,} {self.doing}, {rate:,.0f} a second"

    def over(self, drafts: Iterable[Draft]) -> Iterator[Draft]:
        """Yield the filings, and count them."""
        for draft in drafts:
            self.count += 1
            yield draft


def command(
    files: Annotated[list[Path], typer.Argument(help="CSV, JSON Lines, Parquet or XLSX files.")],
    mapping: Annotated[str | None, typer.Option(help="A mapping file, or the name of one of ours.")] = None,
    form: Annotated[str, typer.Option(help="Form of tables that have no column 'form'.")] = "",
    catalogue: Annotated[list[str] | None, typer.Option(help="Catalogue, by name or file.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge the filings; send nothing.")] = False,
    send_rejected: Annotated[
        bool, typer.Option("--send-rejected", help="Send the rejected too; the worker judges and keeps them.")
    ] = False,
    encoding: Annotated[
        Encoding,
        typer.Option(help="How filings are written: JSON by name, JSON array in the form's order, or Arrow."),
    ] = Encoding.JSON,
    on_time: Annotated[
        bool, typer.Option("--on-time", help="Where a file tells no submission time, take the due day, not now.")
    ] = False,
    accept_scale: Annotated[
        list[str] | None, typer.Option(help="Indicator whose units are right though they seem wrong; needs --by.")
    ] = None,
    by: Annotated[str, typer.Option(help="Name of the person who answers for --accept-scale.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where sending the same files broke off.")] = False,
    decimal: Annotated[str, typer.Option(help="Decimal mark of numbers in text, . or , if no mapping says it.")] = "",
    sheet: Annotated[str, typer.Option(help="Sheet of a workbook, if no mapping says it.")] = "",
    show: Annotated[int, typer.Option(help="How many rejected filings are listed.", min=0)] = SHOWN,
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")] = None,
) -> None:
    """Judge filings by the catalogue and send them to Kafka; exit 1 when any was rejected."""
    from datetime import UTC, datetime

    from rich.console import Console

    from guanlan.sending import Sending
    from guanlan.settings import load_settings
    from rules.catalogue import load_catalogue
    from rules.problems import ConfigError, InputError
    from streams.column_scale import ColumnScale, check_columns
    from streams.decode import Decoder
    from streams.intake import take_in
    from streams.limits import Limits
    from streams.readers import check_file
    from streams.submit import at, filings_from, on_the_due_day
    from streams.wire import from_seconds, to_seconds

    if decimal not in ("", ".", ","):
        raise ConfigError(f"--decimal can't be {decimal!r}: use . or ,")
    for path in files:
        check_file(path)
    settings = load_settings(bootstrap=bootstrap, catalogue=catalogue)
    known = load_catalogue(settings.catalogue)
    decoder = Decoder(known, settings.max_record_bytes)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    now = from_seconds(int(datetime.now(UTC).timestamp()))
    sending = None if dry_run else Sending(settings, files, now, resume, encoding, known, console)
    moment = datetime.fromtimestamp(to_seconds(sending.at if sending else now), UTC)
    limits = Limits(
        unpacked_bytes=settings.max_file_bytes,
        rows=settings.max_file_rows,
        cells=settings.max_file_cells,
        columns=settings.max_file_columns,
    )
    clock = on_the_due_day(known) if on_time else at(moment)
    drafts = filings_from(files, mapping, known, form, clock, sheet=sheet, decimal=decimal, limits=limits)
    gauge, scale = Gauge(), ColumnScale(known)
    registered = sending.registered if sending else frozenset[str]()
    with (
        _progress(console, gauge) as shown,
        take_in(
            gauge.over(drafts),
            decoder,
            registered,
            observers=[scale],
            spooled=not dry_run,
            send_rejected=send_rejected,
            keep=show,
        ) as taken,
    ):
        if not taken.judged:
            raise InputError(f"there are no filings in {', '.join(map(str, files))}")
        confirms = check_columns(scale.asked(), accept_scale or [], by, known.indicators)
        if sending is None:
            shown.stop()
            _tell(taken, None, show, console)
        else:
            try:
                sending.send(taken, confirms)
            finally:
                shown.stop()
                _tell(taken, sending.sent, show, console)
        if taken.refused:
            sys.exit(1)


class _Shown:
    def stop(self) -> None:
        """Nothing is shown."""


@contextmanager
def _progress(console: Console, gauge: Gauge) -> Iterator[_Shown]:
    """Show the gauge while files are read, where the console is a terminal."""
    from rich.live import Live

    if not console.is_terminal:
        yield _Shown()
        return
    with Live(gauge, console=console, transient=True, refresh_per_second=4) as live:
        yield live  # type: ignore[misc]


def _tell(taken: Taken, sent: Sent | None, show: int, console: Console) -> None:
    """Print what was refused and how many filings came through; of a sending that broke off, what is in Kafka."""
    if sent is not None and sent.broken:
        for line in sent.lines():
            console.print(line, markup=False, style="yellow")
        return
    for refusal in taken.refused.all():
        console.print(f"{refusal.file} row {refusal.row}: {refusal.reason}: {refusal.detail}", markup=False)
    if len(taken.refused) > show:
        console.print(f"… and {len(taken.refused) - show:,} more rejected")
    lines = [f"{taken.accepted:,} {'acceptable' if sent is None else 'accepted'}, {len(taken.refused):,} rejected"]
    for reason, count in sorted(taken.refused.reasons.items(), key=lambda item: (-item[1], item[0])):
        lines.append(f"  {reason} {count:,}")
    if taken.repeats:
        console.print(f"{taken.repeats:,} of the filings stand in the files again, with the same values.")
    if sent is not None and sent.before:
        console.print(f"{sent.before:,} of the filings were in Kafka before.")
    typer.echo("\n".join(lines))
