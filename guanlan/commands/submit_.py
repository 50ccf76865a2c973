"""`guanlan submit`: filings from files to Kafka."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.encodings import Encoding

if TYPE_CHECKING:
    from rich.console import Console

    from guanlan.settings import Settings
    from rules.catalogue import Catalogue
    from streams.column_scale import Asked
    from streams.columns import Columns
    from streams.decode import Decoder
    from streams.publish import Parcel
    from streams.submit import Batch, RowRefusal
    from streams.wire import Confirms

SHOWN = 20


@dataclass(slots=True)
class Tally:
    """What became of the filings so far: how many were accepted, and those that were not."""

    accepted: int = 0
    refused: list[RowRefusal] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    def __len__(self) -> int:
        return self.accepted + len(self.refused)

    def __rich__(self) -> str:
        rate = len(self) / max(1e-3, time.monotonic() - self.started)
        return f"{self.accepted:,} accepted, {len(self.refused):,} rejected, {rate:,.0f} a second"

    def lines(self, verb: str) -> Iterator[str]:
        """Yield the lines that `guanlan submit` ends with."""
        yield f"{self.accepted:,} {verb}, {len(self.refused):,} rejected"
        reasons = Counter(str(r.reason) for r in self.refused)
        for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
            yield f"  {reason} {count:,}"


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
    show: Annotated[int, typer.Option(help="How many rejected filings are listed.", min=0)] = SHOWN,
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port[,host:port].")] = None,
) -> None:
    """Judge filings by the catalogue and send them to Kafka; exit 1 when any was rejected."""
    from datetime import UTC, datetime

    from rich.console import Console

    from guanlan.settings import load_settings
    from rules.catalogue import load_catalogue
    from rules.problems import InputError
    from streams.column_scale import check_columns
    from streams.decode import Decoder
    from streams.submit import at, filings_from, in_batches, on_the_due_day

    settings = load_settings(bootstrap=bootstrap, catalogue=catalogue)
    known = load_catalogue(settings.catalogue)
    decoder = Decoder(known, settings.max_record_bytes)
    clock = on_the_due_day(known) if on_time else at(datetime.now(UTC))
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    tally = Tally()
    asked = _asked(in_batches(filings_from(files, mapping, known, form, clock)), decoder)
    confirms = check_columns(asked, accept_scale or [], by, known.indicators)
    batches = in_batches(filings_from(files, mapping, known, form, clock))
    try:
        with _progress(console, tally):
            if dry_run:
                judge(batches, decoder, tally)
            else:
                send(batches, decoder, tally, settings, send_rejected, encoding, console, confirms)
    finally:
        if len(tally):
            _tell(tally, "acceptable" if dry_run else "accepted", show, console)
    if not len(tally):
        raise InputError(f"there are no filings in {', '.join(map(str, files))}")
    if tally.refused:
        sys.exit(1)


def judge(batches: Iterable[Batch], decoder: Decoder, tally: Tally) -> None:
    """Judge the filings and send nothing."""
    for batch in batches:
        columns, refused = batch.judge(decoder)
        tally.accepted += sum(map(len, columns))
        tally.refused += refused


def send(
    batches: Iterable[Batch],
    decoder: Decoder,
    tally: Tally,
    settings: Settings,
    send_rejected: bool,
    encoding: Encoding,
    console: Console,
    confirms: Confirms | None = None,
) -> None:
    """Judge the filings, by the registry too, and send them in the files' order; `tally` counts them.

    The rejected go as they are in the file: what is no filing has no other encoding. `confirms` goes with the filings
    that have implausible values: somebody has answered for them.
    """
    from streams.publish import Publisher
    from streams.registry import read_institutions
    from streams.topics import FILINGS, INSTITUTIONS, require_topic

    topic = settings.topic_prefix + FILINGS
    require_topic(settings.bootstrap, topic)
    known = read_institutions(settings.bootstrap, settings.topic_prefix + INSTITUTIONS)
    if not known:
        console.print(
            "No institution is registered: the worker will refuse every filing until"
            " `guanlan institutions load` has run.",
            style="yellow",
        )
    registered = frozenset(i.code for i in known)
    with Publisher(settings.bootstrap, topic) as publisher:
        for batch in batches:
            columns, refused = batch.judge(decoder, registered)
            parcels = _parcels(batch, columns, refused if send_rejected else [], decoder.catalogue, encoding, confirms)
            too_large = publisher.deliver(parcels)
            tally.accepted += sum(map(len, columns))
            tally.refused += refused
            _take_back(tally, batch, too_large)
    if not publisher.idempotent:
        console.print(
            "The broker does not allow idempotent producers: after a lost answer a filing may be there"
            " twice, which the worker refuses as a duplicate.",
            style="yellow",
        )


def _asked(batches: Iterable[Batch], decoder: Decoder) -> list[Asked]:
    """Read everything once, and return the columns whose units are in question."""
    from streams.column_scale import ColumnScale

    scale = ColumnScale(decoder.catalogue)
    for batch in batches:
        for columns in batch.judge(decoder)[0]:
            scale.take(columns)
    return scale.asked()


def _parcels(
    batch: Batch,
    columns: list[Columns],
    refused: list[RowRefusal],
    catalogue: Catalogue,
    encoding: Encoding,
    confirms: Confirms | None,
) -> list[Parcel]:
    """Return the records to send, in order: the good ones in the encoding, the refused as they are."""
    from streams.encode import recode
    from streams.publish import Parcel
    from streams.questions import with_confirms

    parcels = []
    for form in columns:
        indicators = catalogue.reported(form.form)
        odd = [False] * len(form) if form.odd is None else form.odd.tolist()
        for position, code, doubtful in zip(form.index.tolist(), form.institutions, odd, strict=True):
            record = batch.drafts[position - batch.start].record or b""
            if confirms is not None and doubtful:
                record = with_confirms(record, (), confirms)
            record = recode(record, indicators, encoding)
            parcels.append(Parcel(position, code.encode(), record, encoding.headers))
    for refusal in refused:
        record = batch.drafts[refusal.position - batch.start].record
        if record is not None:
            parcels.append(Parcel(refusal.position, _own_key(record), record))
    return sorted(parcels)


def _take_back(tally: Tally, batch: Batch, too_large: list[Parcel]) -> None:
    """Count the filings that the broker found too large as rejected; those that were rejected before stay so."""
    from streams.submit import RowRefusal
    from streams.wire import Reason

    already = {refusal.position for refusal in tally.refused}
    for parcel in too_large:
        if parcel.position not in already:
            draft = batch.drafts[parcel.position - batch.start]
            detail = f"the record of {len(parcel.value):,} bytes is over the topic's max.message.bytes"
            tally.refused.append(RowRefusal(parcel.position, Reason.TOO_LARGE, detail, draft.file, draft.row))
            tally.accepted -= 1


@contextmanager
def _progress(console: Console, tally: Tally) -> Iterator[None]:
    """Show the tally while filings are sent, where the console is a terminal."""
    from rich.live import Live

    if not console.is_terminal:
        yield
        return
    with Live(tally, console=console, transient=True, refresh_per_second=4):
        yield


def _tell(tally: Tally, verb: str, show: int, console: Console) -> None:
    for refusal in tally.refused[:show]:
        console.print(f"{refusal.file} row {refusal.row}: {refusal.reason}: {refusal.detail}", markup=False)
    if len(tally.refused) > show:
        console.print(f"… and {len(tally.refused) - show:,} more rejected")
    typer.echo("\n".join(tally.lines(verb)))


def _own_key(record: bytes) -> bytes | None:
    """Return the institution that a refused record names, so that it goes where the institution's others go."""
    import msgspec

    try:
        told = msgspec.json.decode(record, type=dict[str, msgspec.Raw])
        return msgspec.json.decode(told["institution"], type=str).encode()
    except (msgspec.DecodeError, UnicodeError, RecursionError, KeyError):
        return None
