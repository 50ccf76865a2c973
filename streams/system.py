"""The system side: the cross-section of all partitions, exposures and quotes, and the measures made of them.

It runs on the one worker that holds the single partition of `exposures`, `cross-section` and `market.quotes`.
Measures are filed into its engine under the forms of the catalogue `measures` (`streams.filer`), so rules read
them like any indicator. What is computed when is `streams.work`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial

import msgspec
import numpy as np

from rules.aggregates import is_aggregate
from rules.catalogue import MEASURES, SYSTEM, Indicator
from rules.engine import Engine, FormBatch
from rules.pack import Program, rule_nodes
from rules.plan import walk
from rules.problems import InputError, nearest
from rules.registry import Institution
from rules.showing import newest
from rules.working_days import is_business_day
from streams.book import Book, Ledger, Shelf, Wanted
from streams.checkpoint import Offsets, block_of
from streams.columnar import StateTable, yield_to_loop
from streams.columns import Refused
from streams.cross_section import Slice, decode_slice
from streams.entries import Level, Margin, Margins, Report, Sheet, joined
from streams.exporter import Column, Snapshot, exported, subject_labels
from streams.exposures import decode_exposures
from streams.fetching import Record
from streams.filer import Filer, read_as_own
from streams.measured import SYSTEM_FORM, SYSTEM_FORMS, Lack, Measured
from streams.needs import MEASURED, purposes
from streams.outbox import Post
from streams.place import STATE_OF_SYSTEM
from streams.quotes import decode_quotes, is_traded, judge_quote
from streams.roster import Roster
from streams.side import Effects, Names, Side
from streams.stages import busy
from streams.stress import StressBook, StressState, pieces
from streams.tape import DAY, OWN_SERIES, Due, Line, Tape
from streams.times import read_day
from streams.values import ValueBook, ValueState
from streams.watch import show_alerts
from streams.wire import ExposureReport, Quote, Reason, Rejection, Service, to_seconds
from streams.work import Compute, Job, Planner, Sources

BOOK, MARGINS, STRESS, TAPE, UNTOLD, VALUES = "book", "margins", "stress", "tape", "untold", "values"
LINE, SHELF = "tape/", "book/"
WHOLE = "whole"
"""The one block of the system side: its parts are of one moment. It comes after the names of all blocks before it."""
PARTITION = 0
TOLD_AT_ONCE = 2_000
STRANGE = 5
"""How many unknown institutions a rejection names."""

log = logging.getLogger("guanlan.worker")

Waiting = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
"""Key, value and headers of a transition that is not told yet."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """Records of all topics, decoded: slices, exposure reports and quotes with their positions."""

    records: Sequence[Record]
    slices: list[tuple[int, Slice]]
    reports: list[tuple[int, ExposureReport]]
    quotes: list[tuple[int, Quote]]
    rejected: list[Refused]
    seconds: float


@dataclass(frozen=True, slots=True)
class Wants:
    """What rules and their catalogue want of the system side beside the engine.

    shown: measures that are series. series: those of the market. form: of what is measured, empty for none. purposes:
    further figures by purpose, `figures` all of them. entangled: some rule sees peers. spread: forms of the system that
    are filed for each institution too. stress, values: books of the rules, without state.
    """

    program: Program
    shown: Sequence[Indicator]
    series: frozenset[str]
    form: str
    purposes: Mapping[str, frozenset[str]]
    figures: frozenset[str]
    entangled: bool
    spread: frozenset[str]
    stress: StressBook
    values: ValueBook

    @classmethod
    def of(cls, program: Program) -> Wants:
        """Return what the system part of a program wants."""
        catalogue = program.catalogue
        form = catalogue.indicators[MEASURED[0]].form if MEASURED[0] in catalogue.indicators else ""
        wanted = purposes(catalogue)
        tops = [top for rule in program.rules if rule.scope != "system" for top in rule_nodes(rule)]
        return cls(
            program,
            [i for i in exported(catalogue) if i.form.startswith(f"{MEASURES}.")],
            frozenset(OWN_SERIES) | (catalogue.stress.series if catalogue.stress else set()),
            form,
            wanted,
            frozenset[str]().union(*wanted.values()),
            any(is_aggregate(node) for top in tops for node in walk(top)),
            read_as_own(program),
            StressBook(catalogue, program.rules),
            ValueBook(program.rules),
        )


class SystemSide(Side[Crossing]):
    """One engine over all institutions and the system itself.

    Its state is one block, because everything in it depends on everything else: a filing of one changes how rules
    stand for its peers. What it finds depends on how records are cut into batches, on clocks and on when measures are
    done, so a crash may lose states that do not come again. Hence its transitions are part of the state, `untold`,
    until they may be told: when state that contains them is durable.
    """

    name = STATE_OF_SYSTEM
    placement = "system"
    tells_later = True

    def __init__(
        self,
        program: Program,
        roster: Roster,
        table: StateTable,
        exposures: str,
        cross_section: str,
        quotes: str,
        names: Names,
        max_bytes: int,
        market_seconds: float = 0.0,
    ) -> None:
        self._roster = roster
        self._exposures = exposures
        self._quotes = quotes
        self._max_bytes = max_bytes
        self._market_seconds = market_seconds
        self.planner = Planner(market_seconds)
        self._ours = frozenset[int]()
        wants = Wants.of(program.at(self.placement))
        self.filer = Filer(wants.program.catalogue, wants.spread, names.measures)
        self._use(wants)
        is_business_day(date(2026, 1, 1), program.catalogue.country)  # reads the calendar, which takes a while once
        super().__init__(table, frozenset({exposures, cross_section, quotes}), names)
        self.reset(frozenset())

    def prepare(self, program: Program) -> Callable[[], None]:
        """Return what has the side measure, file and show what this program, the whole of it, wants."""
        return partial(self._go_by, Wants.of(program.at(self.placement)))

    def _go_by(self, wants: Wants) -> None:
        """Go by other rules; what was measured stays."""
        self._use(wants)
        wants.stress.state, wants.values.state = self.stress.state, self.values.state
        self.stress, self.values = wants.stress, wants.values
        self.planner.try_again()

    def _use(self, wants: Wants) -> None:
        self._program, self._shown, self._series = wants.program, wants.shown, wants.series
        self._form, self._purposes, self._figures = wants.form, wants.purposes, wants.figures
        self._entangled = wants.entangled
        self.filer.use(wants.program.catalogue, wants.spread)

    def blocks(self) -> Iterator[tuple[int, str, list[int]]]:
        """Yield the one block, some institutions at a time."""
        for codes in self._members.values():
            rows = (self.engine.row(code) for code in codes)
            yield PARTITION, WHOLE, [row for row in rows if row >= 0]

    def reset(self, partitions: frozenset[int]) -> None:
        """Begin with a new engine and an empty book."""
        self.engine = Engine(self._program)
        self.book = Book()
        self.margins = Margins()
        self.tape = Tape()
        self.stress = StressBook(self._program.catalogue, self._program.rules)
        self.values = ValueBook(self._program.rules)
        if partitions != self._ours:  # else state is only made again: what was given up fails again
            self.planner = Planner(self._market_seconds)
        self._values_turn = False
        self._parts: dict[str, Measured] = {}
        self._lacking: dict[str, Measured] = {}
        self.filer.forget()
        self.untold = []
        self._former: list[str] = []
        self._members: dict[str, dict[str, None]] = {}
        self._ours = partitions
        for institution in (Institution(SYSTEM), *self._roster.institutions.values()):
            self.put_institution(institution)

    def put_institution(self, institution: Institution) -> None:
        """Register an institution, or take its new attributes."""
        if self._ours:
            if self.engine.row(institution.code) < 0:
                self._changed(block_of(institution.code))  # when it came belongs to the state
            self.engine.put_institution(institution)
            self._members.setdefault(block_of(institution.code), {})[institution.code] = None

    def retire(self, code: str, now: int) -> Effects:
        """Resolve the system rules' alerts of an institution that left, and take it out of the network."""
        effects = Effects()
        if self.engine.row(code) >= 0:
            self._tell(self.engine.retire(code, now), effects)
            self._changed(block_of(code))
        self.book.mark(0)
        self._changed(BOOK)
        return effects

    def hold(self, posts: Sequence[Post]) -> None:
        """Have these transitions wait until they may be told."""
        self.untold += posts
        self._changed(UNTOLD)

    def contained(self) -> Sequence[Post]:
        """Return the transitions that may be told once the state that is copied now is durable."""
        changed = self.keeper.dirty.get(PARTITION, {}).get(WHOLE, ())
        return () if UNTOLD in changed else tuple(self.untold)

    def told(self, posts: Iterable[Post]) -> None:
        """These transitions have been handed over to be sent."""
        super().told(posts)
        self._changed(UNTOLD)

    def _changed(self, *parts: str) -> None:
        self.keeper.mark(PARTITION, WHOLE, *parts)

    def export(self, partition: int, block: str) -> bytes:
        """Return nothing: all state is in parts."""
        return b""

    def parts(self, partition: int, block: str) -> Collection[str]:
        """Return the names of all that is kept, groups of institutions among them."""
        shelves = (SHELF + group for group in self.book.shelves)
        lines = (LINE + series for series in self.tape.lines)
        return {BOOK, MARGINS, STRESS, TAPE, UNTOLD, VALUES, *self._members, *shelves, *lines}

    def export_part(self, partition: int, block: str, part: str) -> bytes:
        """Return the book or a shelf of it, the tape or a line of it, what is due or untold, or institutions."""
        if part == BOOK:
            return msgspec.msgpack.encode(self.book.state)
        if part.startswith(SHELF):
            return msgspec.msgpack.encode(self.book.shelves[part.removeprefix(SHELF)])
        if part == VALUES:
            return msgspec.msgpack.encode(self.values.state)
        if part == MARGINS:
            return msgspec.msgpack.encode(self.margins)
        if part == STRESS:
            return msgspec.msgpack.encode(self.stress.state)
        if part == TAPE:
            return msgspec.msgpack.encode(self.tape.state)
        if part == UNTOLD:
            return msgspec.msgpack.encode([(post.key, post.value, post.headers) for post in self.untold])
        if part.startswith(LINE):
            return msgspec.msgpack.encode(self.tape.lines[part.removeprefix(LINE)])
        rows = (self.engine.row(code) for code in self._members.get(part, ()))
        return self.engine.export([row for row in rows if row >= 0])

    def _rows(self) -> list[tuple[str, int]]:
        codes = (i.code for i in self.engine.institutions)
        return [(code, row) for code in dict.fromkeys(codes) if (row := self.engine.row(code)) >= 0]

    def restore(self, partition: int, block: str, state: bytes, parts: Mapping[str, bytes]) -> None:
        """Take in the parts; a block of another name is one of many, as former versions wrote them."""
        if block != WHOLE:
            self._former.append(block)
            self._changed(block)
            parts = {block: state}
        for name, part in parts.items():
            self._take_in_part(name, part)

    async def _read_back(self, partitions: frozenset[int]) -> dict[int, Offsets]:
        resume = await super()._read_back(partitions)
        for block in self._former:  # they are deleted when what they hold is written anew
            self.keeper.discard(PARTITION, block)
        return resume

    def _take_in_part(self, block: str, state: bytes) -> None:
        if block == BOOK:
            self.book.state = msgspec.msgpack.decode(state, type=Ledger)
        elif block.startswith(SHELF):
            self.book.put_shelf(block.removeprefix(SHELF), msgspec.msgpack.decode(state, type=Shelf))
        elif block == VALUES:
            self.values.state = msgspec.msgpack.decode(state, type=ValueState)
        elif block == MARGINS:
            self.margins = msgspec.msgpack.decode(state, type=Margins)
        elif block == STRESS:
            self.stress.state = msgspec.msgpack.decode(state, type=StressState)
        elif block == TAPE:
            self.tape.state = msgspec.msgpack.decode(state, type=Due)
        elif block == UNTOLD:
            self.untold = [Post(self.names.alerts, *post) for post in msgspec.msgpack.decode(state, type=list[Waiting])]
        elif block.startswith(LINE):
            series = block.removeprefix(LINE)
            self.tape.load(series, msgspec.msgpack.decode(state, type=Line), is_traded(series, self._series))
        else:
            self._members.setdefault(block, {}).update(dict.fromkeys(self.engine.restore(state)))

    def gone(self) -> list[str]:
        """Return codes that have state but are no longer in the registry."""
        return [code for code, _ in self._rows() if code != SYSTEM and code not in self._roster]

    def read(self, records: Sequence[Record]) -> Crossing:
        """Decode slices, exposure reports and quotes."""
        began = busy()
        slices: list[tuple[int, Slice]] = []
        refused: list[Refused] = []
        positions: list[int] = []
        quoted: list[int] = []
        for position, record in enumerate(records):
            if record.topic == self._exposures:
                positions.append(position)
            elif record.topic == self._quotes:
                quoted.append(position)
            else:
                try:
                    slices.append((position, decode_slice(record.value)))
                except InputError as err:
                    refused.append(Refused(position, Reason.WRONG_SHAPE, str(err)))
        zone = self._program.catalogue.timezone
        reports, rejected = decode_exposures([records[p].value for p in positions], self._max_bytes, zone)
        quotes, bad = decode_quotes([records[p].value for p in quoted], self._max_bytes, zone)
        refused += [Refused(positions[r.position], r.reason, r.detail) for r in rejected]
        return Crossing(
            records,
            slices,
            [(positions[i], report) for i, report in reports],
            [(quoted[i], quote) for i, quote in quotes],
            refused + [Refused(quoted[r.position], r.reason, r.detail) for r in bad],
            busy() - began,
        )

    def strangers(self, read: Crossing) -> bool:
        """Say whether a report, a slice or a quote is of somebody who is not in the registry."""
        if any(q.series not in self._roster and q.series not in self._series for _, q in read.quotes):
            return True
        if any(report.institution not in self._roster for _, report in read.reports):
            return True
        return any(code not in self._roster for _, part in read.slices for code in part.codes)

    def apply(self, read: Crossing) -> Effects:
        """Take columns into the cross-section, reports into the book, quotes to the tape; dates touched become due."""
        began = busy()
        effects = Effects()
        for refused in read.rejected:
            if (record := read.records[refused.position]).topic not in (self._exposures, self._quotes):
                log.error("record %d of %s goes aside: %s", record.offset, record.topic, refused.detail)
            rejection = Rejection(refused.reason, refused.detail)
            effects.reject(self.names.rejected, read.records[refused.position], rejection)
        version = self.book.state.version
        self._take_slices(
            [part for place, part in read.slices if self._has_place(read.records[place], part, effects)], effects
        )
        for position, report in read.reports:
            self._take_report(read.records[position], report, effects)
        for position, quote in read.quotes:
            self._take_quote(read.records[position], quote, effects)
        if self.book.state.version != version:
            self._changed(BOOK)
        effects.seconds.update({"system_decode": read.seconds, "system_judge": busy() - began})
        return effects

    def _has_place(self, record: Record, part: Slice, effects: Effects) -> bool:
        """Say whether columns can be taken; put the record aside where all or some of them can't."""
        if part.form not in self._program.catalogue.forms:
            detail = f"there is no form {part.form!r} in the catalogue"
            effects.reject(self.names.rejected, record, Rejection(Reason.UNKNOWN_FORM, detail))
            return False
        if strange := sorted({code for code in part.codes if self.engine.row(code) < 0}):
            detail = f"not in the registry, so passed over: {', '.join(strange[:STRANGE])}"
            detail += f" and {len(strange) - STRANGE} more" if len(strange) > STRANGE else ""
            effects.reject(self.names.rejected, record, Rejection(Reason.UNKNOWN_INSTITUTION, detail))
        return True

    def _take_slices(self, slices: Sequence[Slice], effects: Effects) -> None:
        sequence = 0
        batches: list[FormBatch] = []
        for part in slices:
            batch = part.batch(self._program.catalogue.reported(part.form), self.engine.rows(part.codes), sequence)
            sequence += len(part.codes)
            self._take_balances(part, batch)
            self._mark(part.codes)
            if batch.form in self.stress.forms:
                # the engine keeps few dates: what came at once for many is read before it moves on
                for piece in pieces(batch):
                    self._judge([*batches, piece], effects)
                    batches = []
            else:
                batches.append(batch)
        self._judge(batches, effects)

    def _judge(self, batches: Sequence[FormBatch], effects: Effects) -> None:
        """Apply batches to the engine, and read what the stress index is made of at the dates they touch."""
        if not batches:
            return
        self._tell(self.engine.apply(batches), effects)
        for batch in batches:
            dates = np.unique(batch.as_of).tolist()
            if dates and self.stress.read(self.engine, batch.form, dates, int(batch.submitted_at.max())):
                self._changed(STRESS)
            if dates and self.values.mark(batch.form, dates, int(batch.submitted_at.max())):
                self._changed(VALUES)

    def _mark(self, codes: Iterable[str]) -> None:
        """Note whose state changes: the system's; with rules that see peers, a filing of one changes all."""
        for code in (code for code, _ in self._rows()) if self._entangled else (SYSTEM, *codes):
            self._changed(block_of(code))

    def _take_balances(self, part: Slice, batch: FormBatch) -> None:
        """Put equity and total assets, and what is lent and borrowed in all, into the book."""
        reported = self._program.catalogue.reported(part.form)
        nothing = np.full(len(part.codes), np.nan)
        found = [batch.values[reported.index(name)] if name in reported else nothing for name in MEASURED]
        columns = [c.tolist() for c in (batch.as_of, batch.revision, batch.submitted_at, *found)]
        equity, lent = MEASURED[0] in part.indicators, MEASURED[2] in part.indicators
        for code, as_of, revision, at, own, total, given, taken in zip(part.codes, *columns, strict=True):
            if equity:
                self.book.level(code, Level(as_of, revision, _known(own), _known(total)), at)
                self._shelve(code)
            if lent:
                self.margins.put(code, Margin(as_of, revision, _known(given), _known(taken)))
        if lent:
            self._changed(MARGINS)
        if further := [(k, name) for k, name in enumerate(reported) if name in self._figures & {*part.indicators}]:
            for n, (code, as_of, revision, at, *_) in enumerate(zip(part.codes, *columns, strict=True)):
                told = {name: x for k, name in further if not np.isnan(x := float(batch.values[k, n]))}
                self.book.sheet(part.form, code, Sheet(as_of, revision, told), at)
                self._shelve(code)

    def _shelve(self, code: str) -> None:
        self._changed(SHELF + block_of(code))

    def _take_report(self, record: Record, report: ExposureReport, effects: Effects) -> None:
        code = report.institution
        rejection: Rejection | None = None
        if code not in self._roster:
            hint = nearest(code, self._roster.institutions)
            detail = f"there is no institution {code!r} in the registry" + (f": {hint}" if hint else "")
            rejection = Rejection(Reason.UNKNOWN_INSTITUTION, detail)
        else:
            verdict = self.book.report(code, _entry(report), record.offset, self._submitted(report))
            self._shelve(code)
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

    def _submitted(self, told: ExposureReport | Quote) -> int:
        return to_seconds(told.submitted_at, self._program.catalogue.timezone)

    def _take_quote(self, record: Record, quote: Quote, effects: Effects) -> None:
        rejection = judge_quote(quote, self._series, self._roster.institutions)
        if rejection is None:
            day, at = read_day(quote.as_of), self._submitted(quote)
            verdict = self.tape.put(
                quote.series, day, quote.value, quote.market_cap, quote.revision, record.offset, at,
                is_traded(quote.series, self._series),
            )  # fmt: skip
            what = f"revision {quote.revision} of {quote.series} of {quote.as_of}"
            if verdict == "duplicate":
                rejection = Rejection(Reason.DUPLICATE, f"{what} was quoted before")
            elif verdict == "revision_backwards":
                rejection = Rejection(Reason.REVISION_BACKWARDS, f"{what} is older than the revision that is known")
            elif verdict == "replayed":
                effects.replayed += 1
            else:
                effects.quotes += 1
                self._changed(LINE + quote.series, TAPE)
                if self._program.catalogue.stress and quote.series in self._program.catalogue.stress.series:
                    self.stress.mark(day, self.tape.dates())
                    self.stress.state.seen = max(self.stress.state.seen, at)
                    self._changed(STRESS)
        if rejection is not None:
            effects.reject(self.names.rejected, record, rejection)

    def save(self, read: Crossing) -> bytes:
        """Copy everything: book, tape and stress indicators, and all institutions."""
        rows = [row for _, row in self._rows()]
        shelves = (SHELF + block for block in self.book.shelves)
        blocks = (BOOK, MARGINS, STRESS, TAPE, VALUES, *shelves, *(LINE + series for series in self.tape.lines))
        kept = {block: self.export_part(PARTITION, WHOLE, block) for block in blocks}
        return msgspec.msgpack.encode((kept, self.engine.export(rows)))

    def load(self, saved: bytes) -> None:
        """Put that back."""
        kept, engine = msgspec.msgpack.decode(saved, type=tuple[dict[str, bytes], bytes])
        self.book, self.tape = Book(), Tape()
        for block, state in kept.items():
            self._take_in_part(block, state)
        self.engine.restore(engine)

    def tick(self, now: int) -> Effects:
        """Judge system rules on what is overdue."""
        effects = Effects()
        outcome = self.engine.tick(now)
        self._tell(outcome, effects)
        if outcome.evaluated:
            self._mark(code for code, _ in self._rows())
        elif outcome.transitions:
            self._mark({transition.subject for transition in outcome.transitions})
        return effects

    def due(self) -> Job | None:
        """Return what is to be computed next; None when there is nothing."""
        if not self.partitions:
            return None
        self._values_turn = not self._values_turn
        first, second = (self._values, self._planned) if self._values_turn else (self._planned, self._values)
        return first() or second()

    def _values(self) -> Job | None:
        """Return the values that are due: they are read here, from the engine, so nothing is left to compute."""
        dates = self.planner.open("values", self.values.state.due)
        if not dates:
            return None

        def gather() -> Compute:
            read = self.values.read(self.engine, dates)
            return lambda: read

        return self.planner.offer("values", dates, self.values.state.seen, gather)

    def _planned(self) -> Job | None:
        catalogue = self._program.catalogue
        return self.planner.next(
            Sources(
                self.book,
                self.margins,
                self.tape,
                self.stress,
                lambda date: self._owing([self._form] if self._form else [], date),
                self._roster.institutions,
                lambda date: {purpose: self._wanted(names, date) for purpose, names in self._purposes.items()},
                catalogue.asset_classes,
                self._series.difference(OWN_SERIES),
            )
        )

    def _owing(self, forms: Iterable[str], date: int) -> tuple[str, ...]:
        """Return the registered institutions that owe any of the forms for a date; all, where there is no form."""
        found = [self.engine.owing(form, date) for form in forms]
        owing = frozenset[str]().union(*found) if found else self._roster.institutions
        return tuple(code for code in self._roster.institutions if code in owing)

    def _wanted(self, names: frozenset[str], date: int) -> Wanted:
        """Return who should file these indicators, with which forms, and for how long what they filed holds."""
        catalogue = self._program.catalogue
        forms = sorted({catalogue.indicators[name].form for name in names})
        expected = self._owing(forms, date)
        valid = max(int(catalogue.forms[form].validity_days * DAY) for form in forms)
        return Wanted(names, tuple(forms), expected, valid)

    async def file(self, job: Job, measured: Sequence[Measured]) -> Effects:
        """Publish measures and judge the rules that read them. Only what changed is filed, as a new revision.

        Nothing may be applied meanwhile, but the event loop has a turn now and then.
        """
        effects = Effects()
        for one in measured:
            await self._file(one, job.seen, effects)
        if job.kind in ("network", "cascade"):
            if job.kind == "network":
                self.book.state.lacking |= {one.as_of: one.lacking for one in measured}
            for one in measured:
                self.book.done(one.as_of, one.version, slow=job.kind == "cascade")
            self._changed(BOOK)
        elif job.kind in ("market", "simulated"):
            for one in measured:
                self.tape.done(one.as_of, one.version, slow=job.kind == "simulated")
            self._changed(TAPE)
        elif job.kind == "values":
            self.values.done(job.dates)
            self._changed(VALUES)
        else:
            self.stress.done(job.dates)
            self._changed(STRESS)
        return effects

    async def _file(self, measured: Measured, seen: int, effects: Effects) -> None:
        batches = list(self.filer.batches(measured, self.engine, sorted(self._roster.institutions), seen))
        for batch in batches:
            await yield_to_loop()
            codes = [self.engine.institutions[row].code for row in batch.rows.tolist()]
            self._mark(codes)
            for number, post in enumerate(self.filer.posts(measured, batch, codes), start=1):
                effects.posts.append(post)
                if not number % TOLD_AT_ONCE:
                    await yield_to_loop()
        await yield_to_loop()
        self._judge(batches, effects)
        form = measured.forms[1] or measured.forms[0]
        said = self._said(measured, form)
        for name, lack in measured.lacking.items():
            if said.get(name) != lack:
                effects.posts.append(self.filer.lack(name, measured, lack))
        for kept in (self._lacking, self._parts) if measured.parts or measured.cases else (self._lacking,):
            if form not in kept or kept[form].as_of <= measured.as_of:
                kept[form] = measured

    def _said(self, measured: Measured, form: str) -> dict[str, Lack]:
        """Return what was said of this date before, of what can't be computed."""
        if form == SYSTEM_FORM:
            return self.book.state.lacking.get(measured.as_of, {})
        before = self._lacking.get(form)
        return before.lacking if before is not None and before.as_of == measured.as_of else {}

    def show(self, snapshot: Snapshot) -> None:
        """Add measures, why others have no value, and the alerts and unknowns of system rules."""
        engine = self.engine
        rows, found = newest(engine, [indicator.id for indicator in self._shown])
        whole, each = np.flatnonzero(rows == engine.row(SYSTEM)), np.flatnonzero(rows != engine.row(SYSTEM))
        subjects = [subject_labels(engine.institutions[row]) for row in rows[each].tolist()]
        for indicator in self._shown:
            one, these, called = found[indicator.id], each, subjects
            if indicator.form in SYSTEM_FORMS:
                these = whole[~np.isnan(one.values[whole])]
                called = [()] * len(these)
            snapshot.columns.append(Column(indicator, called, one.values[these], one.as_of[these]))
        told = [one.lacking for one in self._lacking.values()]
        if self.book.state.lacking and SYSTEM_FORM not in self._lacking:
            told.append(self.book.state.lacking[max(self.book.state.lacking)])
        snapshot.unavailable = {(name, lack.reason): 1 for lacking in told for name, lack in lacking.items()}
        for one in self._parts.values():
            for name, parts in one.parts.items():
                snapshot.parts |= {(name, part): value for part, value in parts.items()}
            for name, cases in one.cases.items():
                snapshot.cases |= {(name, case): value for case, value in cases.items()}
            for name, moves in one.moves.items():
                snapshot.moves |= {(name, part): after - before for part, (before, after) in moves.items()}
        show_alerts(engine, snapshot)


def _entry(report: ExposureReport) -> Report:
    """Return what the book keeps of a report: entries on the same counterparty or provider added up."""
    return Report(
        read_day(report.as_of),
        report.revision,
        joined([(e.counterparty, e.amount) for e in report.exposures or ()]),
        None if report.borrowings is None else joined([(e.counterparty, e.amount) for e in report.borrowings]),
        None if report.services is None else joined([(s.provider, s.share) for s in report.services]),
        (report.totals.lent, report.totals.borrowed) if report.totals and report.exposures is None else None,
        _movable(report.services or ()),
        _chains(report.services or ()),
    )


def _movable(services: Sequence[Service]) -> dict[str, float] | None:
    """Return the part of each provider's services that could be moved, entries weighing by their shares."""
    used = joined([(s.provider, s.share) for s in services])
    moved = joined([(s.provider, s.share * s.substitutable) for s in services])
    return {p: part / used[p] for p, part in moved.items() if part > 0} or None


def _chains(services: Sequence[Service]) -> dict[str, dict[str, float]] | None:
    """Return what providers depend on, as far as the reporter knows."""
    found: dict[str, dict[str, float]] = {}
    for service in services:
        for behind in service.relies_on or ():
            found.setdefault(service.provider, {})[behind.provider] = behind.share
    return found or None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
