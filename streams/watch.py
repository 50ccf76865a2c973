"""The watch side: filings of the partitions this worker holds, judged institution by institution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rules.catalogue import Catalogue, Indicator
from rules.checkpoint import dates, export_core, export_dated, restore_pieces
from rules.engine import Engine, FormBatch
from rules.laps import Laps
from rules.pack import Program
from rules.problems import nearest
from rules.registry import Institution
from rules.showing import alerts, newest
from streams.checkpoint import block_of
from streams.columnar import StateTable
from streams.columns import Decoded
from streams.cross_section import Slice, forwarded
from streams.decode import Decoder
from streams.exporter import Column, Snapshot, exported, subject_labels
from streams.fetching import Record
from streams.needs import needed
from streams.outbox import Post
from streams.partitions import home
from streams.place import STATE_OF_FILINGS
from streams.roster import Roster
from streams.side import Effects, Names, Side
from streams.stages import busy
from streams.wire import Reason, Rejection

GUESSES = 5


@dataclass(frozen=True, slots=True)
class Filings:
    """Records and what they were decoded into."""

    records: Sequence[Record]
    decoded: Decoded
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Wants:
    """What rules want of the watch side beside the engine: what is decoded, passed on by form, and shown."""

    program: Program
    decoder: Decoder
    forwarded: Mapping[str, tuple[str, ...]]
    shown: Sequence[Indicator]

    @classmethod
    def of(cls, program: Program, max_bytes: int) -> Wants:
        """Return what this program, the whole of it, wants."""
        return cls(
            program.at("watch"),
            Decoder(fileable(program.catalogue), max_bytes),
            forwarded(program.at("system"), needed(program.catalogue)),
            [i for i in exported(program.catalogue) if not i.form.startswith("measures.")],
        )


class Watch(Side[Filings]):
    """One engine over the institutions whose filings come to this worker, judged by the program's part for them."""

    name = STATE_OF_FILINGS
    placement = "watch"
    stands_still = 0.0025

    def __init__(
        self,
        program: Program,
        roster: Roster,
        table: StateTable,
        topic: str,
        names: Names,
        partitions: int,
        max_bytes: int,
    ) -> None:
        self._roster = roster
        self._count = partitions
        self._max_bytes = max_bytes
        self.prepare(program)()
        super().__init__(table, frozenset({topic}), names)
        self.reset(frozenset())

    def prepare(self, program: Program) -> Callable[[], None]:
        """Return what has the side decode, pass on and show what this program, the whole of it, wants."""
        return partial(self._use, Wants.of(program, self._max_bytes))

    def _use(self, wants: Wants) -> None:
        self._program, self._decoder = wants.program, wants.decoder
        self._forwarded, self._shown = wants.forwarded, wants.shown

    def blocks(self) -> Iterator[tuple[int, str, list[int]]]:
        """Yield the blocks that have institutions."""
        count = len(self.engine.institutions)
        places = np.stack([self._home[:count], self._block[:count]])
        for partition, block in np.unique(places, axis=1).T.tolist():
            if rows := self._rows(partition, name := f"{block:02x}"):
                yield partition, name, rows

    def reset(self, partitions: frozenset[int]) -> None:
        """Begin with a new engine over the institutions of these partitions."""
        self.engine = Engine(self._program, clock=busy)
        self._ours = partitions
        self._home: NDArray[np.int32] = np.full(64, -1, np.int32)
        self._block: NDArray[np.int32] = np.zeros(64, np.int32)
        self._labels: list[tuple[str, ...]] = []
        ours = [i for i in self._roster.institutions.values() if home(i.code, self._count) in partitions]
        self.engine.reserve(len(ours))
        # those of one block stand together, so that copying it reads memory in one go
        for institution in sorted(ours, key=lambda i: self._place(i.code)):
            self.put_institution(institution)

    def _place(self, code: str) -> tuple[int, str]:
        return home(code, self._count), block_of(code)

    def put_institution(self, institution: Institution) -> None:
        """Register an institution of our partitions, or take its new attributes."""
        if (partition := home(institution.code, self._count)) in self._ours:
            row = self.engine.put_institution(institution)
            if row >= len(self._home):
                self._home = np.append(self._home, np.full(len(self._home), -1, np.int32))
                self._block = np.append(self._block, np.zeros(len(self._block), np.int32))
            self._home[row] = partition
            self._block[row] = int(block_of(institution.code), 16)
            self._labels += [()] * (row + 1 - len(self._labels))
            self._labels[row] = subject_labels(institution)

    def retire(self, code: str, now: int) -> Effects:
        """Resolve the alerts of an institution that left."""
        effects = Effects()
        if self.engine.row(code) >= 0:
            effects.tell(self.names.alerts, self.engine.retire(code, now).transitions)
            self.keeper.mark_whole(home(code, self._count), block_of(code))
        return effects

    def export(self, partition: int, block: str) -> bytes:
        """Return how the rules stand for the block's institutions."""
        return export_core(self.engine, self._rows(partition, block))

    def parts(self, partition: int, block: str) -> Collection[str]:
        """Return a part for each form and as-of date of which the block's institutions have filings."""
        return {_part(form, as_of) for form, as_of in dates(self.engine, self._rows(partition, block))}

    def export_part(self, partition: int, block: str, part: str) -> bytes:
        """Return what the block's institutions filed in a form for a date."""
        form, _, as_of = part.rpartition("/")
        return export_dated(self.engine, self._rows(partition, block), form, int(as_of))

    def _rows(self, partition: int, block: str) -> list[int]:
        count = len(self.engine.institutions)
        ours = (self._home[:count] == partition) & (self._block[:count] == int(block, 16))
        found: list[int] = np.flatnonzero(ours & self.engine.registered).tolist()
        return found

    def restore(self, partition: int, block: str, state: bytes, parts: Mapping[str, bytes]) -> None:
        """Take in a block; institutions that left the registry meanwhile are retired by `gone`."""
        for code in restore_pieces(self.engine, state, parts.values()):
            if code not in self._roster:
                self.put_institution(Institution(code))

    def gone(self) -> list[str]:
        """Return codes that have state but are no longer in the registry."""
        engine = self.engine
        return [i.code for i in engine.institutions if i.code not in self._roster and engine.row(i.code) >= 0]

    def read(self, records: Sequence[Record]) -> Filings:
        """Decode filings into columns."""
        laps = Laps(busy)
        laps.start()
        found = self._decoder.sort([r.value for r in records], [r.key for r in records], [r.headers for r in records])
        laps.lap("decode")
        decoded = found.finish()
        laps.lap("validate")
        return Filings(records, decoded, laps.take())

    def strangers(self, read: Filings) -> bool:
        """Say whether a filing is of an institution that is not in the registry."""
        known = self._roster.institutions
        return any(code not in known for columns in read.decoded.forms for code in columns.institutions)

    def apply(self, read: Filings) -> Effects:
        """Judge filings; reject those that are bad, not ours, or contradict what is known."""
        laps = Laps(busy)
        laps.start()
        effects = Effects(seconds=Counter(read.seconds))
        records = read.records
        for refused in read.decoded.rejected:
            effects.reject(self.names.rejected, records[refused.position], Rejection(refused.reason, refused.detail))
        batches = self._batches(read, effects)
        replayed = [batch.offset <= self.engine.applied[batch.rows] for batch in batches]
        laps.lap("validate")
        outcome = self.engine.apply(batches)
        effects.seconds.update(outcome.seconds)
        laps.start()
        for sequence, reason, detail in outcome.refused:
            effects.reject(self.names.rejected, records[sequence], Rejection(Reason(reason), detail))
        effects.tell(self.names.alerts, outcome.transitions)
        refused_at = np.array([sequence for sequence, _, _ in outcome.refused], np.int64)
        for batch, again in zip(batches, replayed, strict=True):
            good = ~again & ~np.isin(batch.sequence, refused_at)
            if good.any():
                self._account(batch if good.all() else batch.take(np.flatnonzero(good)), effects)
        effects.replayed += outcome.replayed
        effects.evaluated += outcome.evaluated
        laps.lap("produce")
        effects.seconds.update(laps.take())
        return effects

    def _batches(self, read: Filings, effects: Effects) -> list[FormBatch]:
        records = read.records
        partition = np.fromiter((r.partition for r in records), np.int32, len(records))
        offset = np.fromiter((r.offset for r in records), np.int64, len(records))
        batches = []
        guesses = GUESSES
        for columns in read.decoded.forms:
            rows = self.engine.rows(columns.institutions)
            astray = (rows < 0) | (self._home[rows] != partition[columns.index])
            if astray.any():
                for i in np.flatnonzero(astray).tolist():
                    record = records[int(columns.index[i])]
                    rejection = self._astray(columns.institutions[i], record.partition, guesses > 0)
                    effects.reject(self.names.rejected, record, rejection)
                    guesses -= 1
                columns = columns.take(~astray)
                rows = rows[~astray]
            batches.append(
                FormBatch(
                    columns.form,
                    rows,
                    columns.as_of,
                    columns.submitted_at,
                    columns.revision,
                    offset[columns.index],
                    columns.index,
                    columns.values,
                )
            )
        return batches

    def _astray(self, code: str, partition: int, guess: bool) -> Rejection:
        if code not in self._roster:
            hint = nearest(code, self._roster.institutions) if guess else ""
            detail = f"there is no institution {code!r} in the registry" + (f": {hint}" if hint else "")
            return Rejection(Reason.UNKNOWN_INSTITUTION, detail)
        belongs = home(code, self._count)
        return Rejection(
            Reason.WRONG_SHAPE,
            f"the record is in partition {partition}, but {code!r} belongs to partition {belongs}:"
            " let Kafka's default partitioner choose it by the key",
        )

    def _account(self, batch: FormBatch, effects: Effects) -> None:
        effects.accepted[batch.form] += len(batch.rows)
        effects.values += int(np.count_nonzero(~np.isnan(batch.values)))
        filed = np.stack([self._home[batch.rows], self._block[batch.rows], batch.as_of])
        for partition, block, as_of in np.unique(filed, axis=1).T.tolist():
            self.keeper.mark(partition, f"{block:02x}", _part(batch.form, as_of))
        wanted = self._forwarded.get(batch.form)
        if wanted is not None:
            reported = self._program.catalogue.reported(batch.form)
            codes = [self.engine.institutions[row].code for row in batch.rows.tolist()]
            values = batch.values[[reported.index(name) for name in wanted]]
            for part in Slice.of(batch, codes, wanted, values):
                effects.posts.append(Post(self.names.cross_section, None, part.encode()))

    def save(self, read: Filings) -> bytes:
        """Copy the state of the institutions that the filings speak of."""
        rows = {int(r) for c in read.decoded.forms for r in self.engine.rows(c.institutions) if r >= 0}
        return self.engine.export(sorted(rows))

    def load(self, saved: bytes) -> None:
        """Put that state back."""
        self.engine.restore(saved)

    def tick(self, now: int) -> Effects:
        """Judge rules on what is overdue."""
        effects = Effects()
        outcome = self.engine.tick(now)
        effects.seconds.update(outcome.seconds)
        effects.tell(self.names.alerts, outcome.transitions)
        effects.evaluated += outcome.evaluated
        everyone = [institution.code for institution in self.engine.institutions]
        for code in everyone if outcome.evaluated else {t.subject for t in outcome.transitions}:
            self.keeper.mark(home(code, self._count), block_of(code))
        return effects

    def show(self, snapshot: Snapshot) -> None:
        """Add newest values, alerts and unknowns of our institutions."""
        rows, found = newest(self.engine, [indicator.id for indicator in self._shown])
        subjects = [self._labels[row] for row in rows.tolist()]
        for indicator in self._shown:
            one = found[indicator.id]
            snapshot.columns.append(Column(indicator, subjects, one.values, one.as_of))
        snapshot.institutions += [self.engine.institutions[row] for row in rows.tolist()]
        show_alerts(self.engine, snapshot)


def _part(form: str, as_of: int) -> str:
    return f"{form}/{as_of}"


def fileable(catalogue: Catalogue) -> Catalogue:
    """Return the catalogue without the forms that only the system agent files."""
    forms = {name: form for name, form in catalogue.forms.items() if not name.startswith("measures.")}
    return replace(catalogue, forms=forms)


def show_alerts(engine: Engine, snapshot: Snapshot) -> None:
    """Add an engine's alerts (those of shadow rules left out) and unknown outcomes to a scrape."""
    snapshot.alerts += alerts(engine)
    for rule, reasons in engine.unknown_counts().items():
        for reason, count in reasons.items():
            snapshot.unknown[rule, reason] = snapshot.unknown.get((rule, reason), 0) + count
