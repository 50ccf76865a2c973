"""Sending what was taken in to Kafka, a piece at a time, with a journal of how far it has come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from guanlan.settings import Settings
from rules.catalogue import Catalogue
from rules.problems import InputError
from streams.batches import RowRefusal
from streams.clients import end_offsets, read_to_end
from streams.encode import recode
from streams.encodings import Encoding
from streams.journal import Journal, Prefix
from streams.publish import Parcel, Publisher
from streams.questions import with_confirms
from streams.registry import read_institutions
from streams.topics import FILINGS, INSTITUTIONS, require_topic
from streams.wire import Confirms, Reason

if TYPE_CHECKING:
    from rich.console import Console

    from streams.intake import Taken
    from streams.spool import Frame

PIECE = 2_000
PIECE_BYTES = 16_000_000
RANGES = 12


@dataclass(slots=True)
class Sent:
    """What of the files is in Kafka: `done` filings in order, the last at `last`, `before` of them from an earlier run.

    Where sending broke off, `acknowledged` and `unanswered` are the places of filings of the piece that was open.
    """

    files: list[str]
    done: int = 0
    before: int = 0
    last: tuple[str, int] | None = None
    broken: bool = False
    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    unanswered: list[tuple[str, int]] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield what a person must know after sending broke off."""
        upto = f": all up to {self.last[0]} row {self.last[1]:,}" if self.last else ""
        yield f"{self.done:,} filings are in Kafka{upto}."
        if self.acknowledged:
            yield f"So are {len(self.acknowledged):,} of those behind: {rows(self.acknowledged)}."
        if self.unanswered:
            yield f"Of {len(self.unanswered):,} the broker did not say whether it has them: {rows(self.unanswered)}."
        yield "No other filing was sent. The same command with --resume looks which are there, and sends the others."


def rows(places: Sequence[tuple[str, int]]) -> str:
    """Return places in words, rows that follow each other as ranges.

    >>> rows([("f.csv", 2), ("f.csv", 3), ("f.csv", 4), ("f.csv", 7)])
    'f.csv rows 2 to 4, 7'
    """
    ranges: list[list[object]] = []
    for file, row in places:
        if ranges and ranges[-1][0] == file and row == ranges[-1][2] + 1:  # type: ignore[operator]
            ranges[-1][2] = row
        else:
            ranges.append([file, row, row])
    words, previous = [], None
    for file, first, last in ranges[:RANGES]:
        span = f"{first:,}" if first == last else f"{first:,} to {last:,}"
        words.append(span if file == previous else f"{file} rows {span}")
        previous = file
    more = f" and {len(ranges) - RANGES:,} more ranges" if len(ranges) > RANGES else ""
    return ", ".join(words) + more


class Sending:
    """One command's sending; asks the broker for topic and registry at once, so that a file is not read in vain.

    Raises ServiceError when no broker answers, InputError when there is nothing to resume.
    """

    def __init__(
        self,
        settings: Settings,
        files: Sequence[Path],
        now: str,
        resume: bool,
        encoding: Encoding,
        catalogue: Catalogue,
        console: Console,
    ) -> None:
        self.settings = settings
        self.encoding = encoding
        self.catalogue = catalogue
        self.console = console
        self.resume = resume
        self.topic = settings.topic_prefix + FILINGS
        self.journal = Journal(settings.data_dir, files, self.topic, now)
        if resume:
            self.journal.load()
        self.at = self.journal.progress.at
        self.confirms: Confirms | None = None
        self.sent = Sent([str(path) for path in files])
        require_topic(settings.bootstrap, self.topic)
        self.registered = self._registry()

    def _registry(self) -> frozenset[str]:
        known = read_institutions(self.settings.bootstrap, self.settings.topic_prefix + INSTITUTIONS)
        if not known:
            self.console.print(
                "No institution is registered: the worker will refuse every filing until"
                " `guanlan institutions load` has run.",
                style="yellow",
            )
        return frozenset(i.code for i in known)

    def send(self, taken: Taken, confirms: Confirms | None = None) -> None:
        """Send what was taken in, in order, and wait until each filing is on all replicas.

        `confirms` goes with the filings that have implausible values: somebody has answered for them.
        Raises ServiceError when the broker stops answering; `sent` then says what is in Kafka, as it does after an
        interruption, and so does the journal after a kill.
        """
        self.confirms = confirms
        frames, prefix = taken.frames(), Prefix()
        assert taken.spool is not None
        names = taken.spool.files
        there = self._take_up(frames, prefix, names) if self.resume else frozenset[str]()
        self.sent.broken = True
        with Publisher(self.settings.bootstrap, self.topic) as publisher:
            publisher.ends.update(self.journal.progress.ends or end_offsets(self.settings.bootstrap, self.topic))
            for piece in _pieces(frames):
                self._send_piece(publisher, taken, piece, prefix, there, names)
            self.journal.remove()
            if not publisher.idempotent:
                self.console.print(
                    "The broker does not allow idempotent producers: after a lost answer a filing may be there"
                    " twice, which the worker refuses as a duplicate.",
                    style="yellow",
                )
        self.sent.broken = False

    def _take_up(self, frames: Iterator[Frame], prefix: Prefix, names: list[str]) -> frozenset[str]:
        """Pass over the filings that an earlier command sent; return digests of what else is there."""
        progress = self.journal.progress
        found, count = "", 0
        for frame in islice(frames, progress.done):
            found, count = prefix.add([frame.record]), count + 1
            self.sent.last = (names[frame.file], frame.row)
        if count != progress.done or found != progress.prefix:
            raise InputError(
                f"{', '.join(self.sent.files)}: other filings come out now than when sending broke off (by another"
                " mapping, catalogue or registry); submit without --resume: what is there already is not taken twice"
            )
        self.sent.done = self.sent.before = progress.done
        if not progress.open:
            return frozenset()
        records = read_to_end(self.settings.bootstrap, self.topic, begin=progress.ends)
        return frozenset(_digest(r.key, r.value or b"") for r in records)

    def _send_piece(
        self,
        publisher: Publisher,
        taken: Taken,
        piece: list[Frame],
        prefix: Prefix,
        there: frozenset[str],
        names: list[str],
    ) -> None:
        parcels = [self._parcel(frame) for frame in piece]
        if there:
            missing = [parcel for parcel in parcels if _digest(parcel.key, parcel.value) not in there]
            self.sent.before += len(parcels) - len(missing)
            parcels = missing
        progress = self.journal.progress
        progress.open, progress.ends = len(piece), dict(publisher.ends)
        self.journal.save()
        places = {frame.position: (names[frame.file], frame.row) for frame in piece}
        try:
            too_large = publisher.deliver(parcels)
        except BaseException:
            known, unknown = publisher.acknowledged, publisher.unanswered
            self.sent.acknowledged = [place for position, place in places.items() if position in known]
            self.sent.unanswered = [place for position, place in places.items() if position in unknown]
            raise
        for parcel in too_large:
            file, row = places[parcel.position]
            form = next(frame.form for frame in piece if frame.position == parcel.position)
            if form:  # others were refused before
                detail = f"the record of {len(parcel.value):,} bytes is over the topic's max.message.bytes"
                taken.refused.add([RowRefusal(parcel.position, Reason.TOO_LARGE, detail, file, row)])
        progress.prefix = prefix.add(frame.record for frame in piece)
        progress.done += len(piece)
        progress.open = 0
        self.sent.done = progress.done
        self.sent.last = places[piece[-1].position]

    def _parcel(self, frame: Frame) -> Parcel:
        """Return the record to send: a good one in the encoding, a refused one as it is in the file."""
        if not frame.form:
            return Parcel(frame.position, frame.key, frame.record)
        record = frame.record
        if self.confirms is not None and frame.odd:
            record = with_confirms(record, (), self.confirms)
        record = recode(record, self.catalogue.reported(frame.form), self.encoding)
        return Parcel(frame.position, frame.key, record, self.encoding.headers)


def _pieces(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    piece: list[Frame] = []
    size = 0
    for frame in frames:
        piece.append(frame)
        size += len(frame.record)
        if len(piece) >= PIECE or size >= PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _digest(key: bytes | None, value: bytes) -> str:
    return sha256((key or b"") + b"\0" + value).hexdigest()
