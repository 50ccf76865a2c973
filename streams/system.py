"""The system side: the cross-section of all partitions, the book of exposures, and the measures made of them.

It runs on the one worker that holds the single partition of `exposures` and `cross-section`. Measures are
filed into its engine under the forms of the catalogue `measures`, so rules read them like any indicator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from aiokafka import ConsumerRecord
from numpy.typing import NDArray

from rules.aggregates import is_aggregate
from rules.calendar import format_instant
from rules.catalogue import SYSTEM
from rules.engine import Engine, FormBatch
from rules.pack import Program, rule_nodes
from rules.plan import walk
from rules.problems import nearest
from rules.registry import Institution
from streams.book import Book, Level, Report, joined
from streams.checkpoint import Post, block_of
from streams.columnar import StateTable, yield_to_loop
from streams.columns import Refused
from streams.cross_section import Slice, decode_slice
from streams.exporter import Column, Snapshot, exported, subject_labels
from streams.exposures import decode_exposures
from streams.measured import Lack, Measured, Network
from streams.place import STATE_OF_SYSTEM
from streams.roster import Roster
from streams.side import Effects, Names, Side
from streams.stages import busy
from streams.watch import show_alerts
from streams.wire import ExposureReport, Reason, Rejection, to_seconds

MEASURED = ("equity", "total_assets")
OF_INSTITUTION = "measures.institution"
OF_SYSTEM = "measures.system"
BOOK = "book"
PARTITION = 0


@dataclass(frozen=True, slots=True)
class Crossing:
    """Records of both topics, decoded: slices in order, and exposure reports with their positions."""

    records: Sequence[ConsumerRecord]
    slices: list[Slice]
    reports: list[tuple[int, ExposureReport]]
    rejected: list[Refused]
    seconds: float


class SystemSide(Side[Crossing]):
    """One engine over all institutions and the system itself."""

    name = STATE_OF_SYSTEM

    def __init__(
        self,
        program: Program,
        roster: Roster,
        table: StateTable,
        exposures: str,
        cross_section: str,
        names: Names,
        max_bytes: int,
    ) -> None:
        self._program = program
        self._roster = roster
        self._exposures = exposures
        self._max_bytes = max_bytes
        self._shown = [i for i in exported(program.catalogue) if i.form in (OF_INSTITUTION, OF_SYSTEM)]
        form = program.catalogue.indicators[MEASURED[0]].form if MEASURED[0] in program.catalogue.indicators else ""
        self._types = frozenset(program.catalogue.forms[form].types) if form else frozenset()
        tops = [top for rule in program.rules for top in rule_nodes(rule)]
        self._entangled = any(is_aggregate(node) for top in tops for node in walk(top))
        self._spread = reads_system_as_own(program)
        super().__init__(table, frozenset({exposures, cross_section}), names)
        self.reset(frozenset())

    def reset(self, partitions: frozenset[int]) -> None:
        """Begin with a new engine and an empty book."""
        self.engine = Engine(self._program)
        self.book = Book()
        self._filed: dict[tuple[str, int, str], bytes] = {}
        self._failed: dict[int, int] = {}
        self._members: dict[str, dict[str, None]] = {}
        self._ours = partitions
        for institution in (Institution(SYSTEM), *self._roster.institutions.values()):
            self.put_institution(institution)

    def put_institution(self, institution: Institution) -> None:
        """Register an institution, or take its new attributes."""
        if self._ours:
            self.engine.put_institution(institution)
            self._members.setdefault(block_of(institution.code), {})[institution.code] = None

    def retire(self, code: str, now: int) -> Effects:
        """Resolve the system rules' alerts of an institution that left, and take it out of the network."""
        effects = Effects()
        if self.engine.row(code) >= 0:
            effects.tell(self.names.alerts, self.engine.retire(code, now).transitions)
            self.keeper.mark(PARTITION, block_of(code))
        self.book.mark(0)
        self.keeper.mark(PARTITION, BOOK)
        return effects

    def export(self, partition: int, block: str) -> bytes:
        """Return the book, or the state of the block's institutions."""
        if block == BOOK:
            return msgspec.msgpack.encode(self.book)
        rows = (self.engine.row(code) for code in self._members.get(block, ()))
        return self.engine.export([row for row in rows if row >= 0])

    def _rows(self) -> list[tuple[str, int]]:
        codes = (i.code for i in self.engine.institutions)
        return [(code, row) for code in dict.fromkeys(codes) if (row := self.engine.row(code)) >= 0]

    def restore(self, partition: int, block: str, state: bytes) -> None:
        """Take in the book or a block."""
        if block == BOOK:
            self.book = msgspec.msgpack.decode(state, type=Book)
        else:
            self._members.setdefault(block, {}).update(dict.fromkeys(self.engine.restore(state)))

    def gone(self) -> list[str]:
        """Return codes that have state but are no longer in the registry."""
        return [code for code, _ in self._rows() if code != SYSTEM and code not in self._roster]

    def read(self, records: Sequence[ConsumerRecord]) -> Crossing:
        """Decode slices and exposure reports."""
        began = busy()
        slices: list[Slice] = []
        positions: list[int] = []
        for position, record in enumerate(records):
            if record.topic == self._exposures:
                positions.append(position)
            elif (found := decode_slice(record.value)) is not None:
                slices.append(found)
        reports, rejected = decode_exposures([records[p].value for p in positions], self._max_bytes)
        return Crossing(
            records,
            slices,
            [(positions[i], report) for i, report in reports],
            [Refused(positions[r.position], r.reason, r.detail) for r in rejected],
            busy() - began,
        )

    def strangers(self, read: Crossing) -> bool:
        """Say whether a report or a slice is of an institution that is not in the registry."""
        if any(report.institution not in self._roster for _, report in read.reports):
            return True
        return any(code not in self._roster for part in read.slices for code in part.codes)

    def apply(self, read: Crossing) -> Effects:
        """Take columns into the cross-section and reports into the book; dates they touch become due."""
        began = busy()
        effects = Effects()
        for refused in read.rejected:
            rejection = Rejection(refused.reason, refused.detail)
            effects.reject(self.names.rejected, read.records[refused.position], rejection)
        version = self.book.version
        self._take_slices(read.slices, effects)
        for position, report in read.reports:
            self._take_report(read.records[position], report, effects)
        if read.reports or self.book.version != version:
            self.keeper.mark(PARTITION, BOOK)
        effects.seconds.update({"system_decode": read.seconds, "system_judge": busy() - began})
        return effects

    def _take_slices(self, slices: Sequence[Slice], effects: Effects) -> None:
        batches: list[FormBatch] = []
        sequence = 0
        for part in slices:
            if part.form not in self._program.catalogue.forms:
                continue
            batch = part.batch(self._program.catalogue.reported(part.form), self.engine.rows(part.codes), sequence)
            sequence += len(part.codes)
            batches.append(batch)
            self._take_equity(part, batch)
            self._mark(part.codes)
        if batches:
            outcome = self.engine.apply(batches)
            effects.tell(self.names.alerts, outcome.transitions)
            effects.evaluated += outcome.evaluated

    def _mark(self, codes: Iterable[str]) -> None:
        """Note whose state changes: with rules across institutions a filing of one changes all."""
        for code in (code for code, _ in self._rows()) if self._entangled else codes:
            self.keeper.mark(PARTITION, block_of(code))

    def _take_equity(self, part: Slice, batch: FormBatch) -> None:
        if MEASURED[0] not in part.indicators:
            return
        reported = self._program.catalogue.reported(part.form)
        nothing = np.full(len(part.codes), np.nan)
        equity, assets = (batch.values[reported.index(name)] if name in reported else nothing for name in MEASURED)
        columns = (batch.as_of, batch.revision, equity, assets, batch.submitted_at)
        for code, as_of, revision, own, total, at in zip(part.codes, *(c.tolist() for c in columns), strict=True):
            self.book.level(code, Level(as_of, revision, _known(own), _known(total)), at)

    def _take_report(self, record: ConsumerRecord, report: ExposureReport, effects: Effects) -> None:
        code = report.institution
        rejection: Rejection | None = None
        if code not in self._roster:
            hint = nearest(code, self._roster.institutions)
            detail = f"there is no institution {code!r} in the registry" + (f": {hint}" if hint else "")
            rejection = Rejection(Reason.UNKNOWN_INSTITUTION, detail)
        else:
            verdict = self.book.report(code, _entry(report), record.offset, to_seconds(report.submitted_at))
            what = f"revision {report.revision} of {code} / exposures of {report.as_of}"
            if verdict == "duplicate":
                rejection = Rejection(Reason.DUPLICATE, f"{what} was filed before")
            elif verdict == "revision_backwards":
                rejection = Rejection(Reason.REVISION_BACKWARDS, f"{what} is older than the revision that is known")
            elif verdict == "replayed":
                effects.replayed += 1
            else:
                effects.reports += 1
        if rejection is not None:
            effects.reject(self.names.rejected, record, rejection)

    def save(self, read: Crossing) -> bytes:
        """Copy everything: the book, and all institutions."""
        rows = [row for _, row in self._rows()]
        return msgspec.msgpack.encode((msgspec.msgpack.encode(self.book), self.engine.export(rows)))

    def load(self, saved: bytes) -> None:
        """Put that back."""
        book, engine = msgspec.msgpack.decode(saved, type=tuple[bytes, bytes])
        self.book = msgspec.msgpack.decode(book, type=Book)
        self.engine.restore(engine)

    def tick(self, now: int) -> Effects:
        """Judge system rules on what is overdue."""
        effects = Effects()
        outcome = self.engine.tick(now)
        effects.tell(self.names.alerts, outcome.transitions)
        effects.evaluated += outcome.evaluated
        if outcome.evaluated:
            self._mark(code for code, _ in self._rows())
        elif outcome.transitions:
            self._mark({transition.subject for transition in outcome.transitions})
        return effects

    def due(self) -> Network | None:
        """Return what is known for the oldest date whose measures are to be computed; None when there is none."""
        kept = set(self.book.dates())
        self.book.due = {date: version for date, version in self.book.due.items() if date in kept}
        dates = [date for date, version in self.book.due.items() if self._failed.get(date) != version]
        if not self.partitions or not dates:
            return None
        institutions = self._roster.institutions.values()
        expected = [i.code for i in institutions if not self._types or i.type in self._types]
        return self.book.network(min(dates), expected)

    def give_up(self, network: Network) -> None:
        """The measures of a date can't be had from what is known now: wait until it changes."""
        self._failed[network.as_of] = network.version

    def file(self, measured: Measured) -> Effects:
        """Publish measures and judge the rules that read them. Only what changed is filed, as a new revision."""
        effects = Effects()
        batches = list(self._batches(measured))
        for batch in batches:
            names = self._program.catalogue.reported(batch.form)
            codes = [self.engine.institutions[row].code for row in batch.rows.tolist()]
            self._mark(codes)
            for i, code in enumerate(codes):
                if batch.form == OF_SYSTEM and code != SYSTEM:
                    continue
                for name, value in zip(names, batch.values[:, i].tolist(), strict=True):
                    if not np.isnan(value):
                        effects.posts.append(self._post(name, code, measured, value))
        if batches:
            outcome = self.engine.apply(batches)
            effects.tell(self.names.alerts, outcome.transitions)
            effects.evaluated += outcome.evaluated
        said = self.book.lacking.get(measured.as_of, {})
        for name, lack in measured.lacking.items():
            if said.get(name) != lack:
                effects.posts.append(self._post(name, SYSTEM, measured, None, lack))
        self.book.lacking[measured.as_of] = measured.lacking
        self.book.done(measured.as_of, measured.version)
        self.keeper.mark(PARTITION, BOOK)
        return effects

    def _batches(self, measured: Measured) -> Iterator[FormBatch]:
        catalogue = self._program.catalogue
        sequence = 0
        everyone = (SYSTEM, *sorted(self._roster.institutions)) if self._spread else (SYSTEM,)
        for form, codes, columns in (
            (OF_INSTITUTION, measured.codes, measured.institutions),
            (OF_SYSTEM, everyone, {n: np.full(len(everyone), value) for n, value in measured.system.items()}),
        ):
            names = catalogue.reported(form)
            values = np.array([columns.get(name, np.full(len(codes), np.nan)) for name in names])
            rows = self.engine.rows(codes)
            known = [i for i in range(len(codes)) if rows[i] >= 0]
            fresh = [i for i in known if self._changed(form, measured.as_of, codes[i], values[:, i])]
            if fresh:
                chosen = rows[fresh]
                n = len(fresh)
                yield FormBatch(
                    form,
                    chosen,
                    np.full(n, measured.as_of, np.int64),
                    np.full(n, self.book.seen, np.int64),
                    self._revisions(form, chosen, measured.as_of),
                    np.full(n, -1, np.int64),
                    np.arange(sequence, sequence + n, dtype=np.int64),
                    values[:, fresh],
                )
                sequence += n

    def _changed(self, form: str, as_of: int, code: str, values: NDArray[np.float64]) -> bool:
        key, new = (form, as_of, code), values.tobytes()
        if self._filed.get(key) == new:
            return False
        self._filed[key] = new
        return True

    def _revisions(self, form: str, rows: NDArray[np.int32], as_of: int) -> NDArray[np.int32]:
        """Return the revision after the one the engine holds of this date, 0 where it holds none."""
        store = self.engine.world.stores[form]
        same = store.as_of[:, rows] == as_of
        held = store.revision[same.argmax(axis=0), rows]
        return np.where(same.any(axis=0), held + 1, 0).astype(np.int32)

    def _post(self, name: str, code: str, measured: Measured, value: float | None, lack: Lack | None = None) -> Post:
        body = {
            "measure": name,
            "subject": code,
            "as_of": format_instant(measured.as_of),
            "value": value,
            "unit": self._program.catalogue.indicators[name].unit,
            "coverage": measured.covered(name),
        }
        if lack is not None:
            body |= {"reason": lack.reason, "detail": lack.detail}
        return Post(self.names.measures, code.encode(), msgspec.json.encode(body))

    async def show(self, snapshot: Snapshot) -> None:
        """Add measures, why others have no value, and the alerts and unknowns of system rules."""
        engine = self.engine
        labels = [() if i.code == SYSTEM else subject_labels(i) for i in engine.institutions]
        for indicator in self._shown:
            rows, values, as_of = engine.latest(indicator.id)
            if indicator.form == OF_SYSTEM:
                own = rows == engine.row(SYSTEM)
                rows, values, as_of = rows[own], values[own], as_of[own]
            snapshot.columns.append(Column(indicator, [labels[row] for row in rows.tolist()], values, as_of))
            await yield_to_loop()
        if self.book.lacking:
            newest = self.book.lacking[max(self.book.lacking)]
            snapshot.unavailable = {(name, lack.reason): 1 for name, lack in newest.items()}
        show_alerts(engine, snapshot)


def reads_system_as_own(program: Program) -> bool:
    """Whether a rule on institutions reads a measure of the system, which is then filed for each of them too."""
    return any(
        node.op == "column" and node.params[0] == OF_SYSTEM
        for rule in program.rules
        if rule.scope == "institution"
        for top in rule_nodes(rule)
        for node in walk(top)
    )


def _entry(report: ExposureReport) -> Report:
    """Return what the book keeps of a report: entries on the same counterparty or provider added up."""
    return Report(
        to_seconds(report.as_of),
        report.revision,
        joined([(e.counterparty, e.amount) for e in report.exposures]),
        None if report.borrowings is None else joined([(e.counterparty, e.amount) for e in report.borrowings]),
        None if report.services is None else joined([(s.provider, s.share) for s in report.services]),
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
