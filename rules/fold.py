"""The fold: from levels that hold at one date to a state that has memory, for many rules at once.

Only what is not quiet is stored. A record says how one rule stands for one institution after one date;
records of the same rule and institution form a chain back in time, so that a late or revised filing can
rewind to the date before its own and fold again. A pair without a record is quiet: nothing holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rules.plan import Rule
from rules.store import NEVER, Bools, Ints, Longs, Picker

LEVELS = 3
FIRST_RECORDS = 1024
Bytes = NDArray[np.int8]


@dataclass(slots=True)
class Records:
    """States of rule × institution pairs after a date, as columns of one length.

    level    0 quiet or pending, 1 watch, 2 warning, 3 critical: the severity of the open alert
    held     the highest level that held at the date itself; -1 unknown
    started  as-of seconds of the episode's first firing; NEVER while none is open
    run, since        for each level [3, n]: filings in a row on which it or a higher one held, and from when
    clear_run, clear_since   the same for the rule's `clear`
    muted    what silences the open alert, as bits of `rules.muting`; 0 while none is open
    previous index of the record before it in time; -1 for none
    """

    rule: Ints
    row: Ints
    date: Longs
    level: Bytes
    held: Bytes
    started: Longs
    run: NDArray[np.int32]
    since: Longs
    clear_run: Ints
    clear_since: Longs
    muted: Ints
    previous: Ints

    @classmethod
    def empty(cls, n: int = 0) -> Self:
        """Return n quiet records."""
        return cls(
            rule=np.zeros(n, np.int32),
            row=np.zeros(n, np.int32),
            date=np.full(n, NEVER),
            level=np.zeros(n, np.int8),
            held=np.zeros(n, np.int8),
            started=np.full(n, NEVER),
            run=np.zeros((LEVELS, n), np.int32),
            since=np.full((LEVELS, n), NEVER),
            clear_run=np.zeros(n, np.int32),
            clear_since=np.full(n, NEVER),
            muted=np.zeros(n, np.int32),
            previous=np.full(n, -1, np.int32),
        )

    def __len__(self) -> int:
        return len(self.rule)

    def take(self, index: NDArray[np.intp] | Ints | Bools) -> Self:
        """Return the chosen records."""
        return type(self)(*(getattr(self, f.name)[..., index] for f in fields(self)))

    @property
    def pending(self) -> Bools:
        """Where a level holds but has not held long enough to fire."""
        found: Bools = (self.level == 0) & (self.run[0] > 0)
        return found

    @property
    def quiet(self) -> Bools:
        """Where nothing is remembered."""
        found: Bools = (self.level == 0) & (self.run[0] == 0)
        return found


class Fold:
    """All states of one program, and how they move.

    `place` says where each rule stands in `awake`, [rules, rows]: which pairs are not quiet.
    """

    def __init__(self, rules: Sequence[Rule], rows: int, place: Ints | None = None) -> None:
        self.place: Ints = np.arange(len(rules), dtype=np.int32) if place is None else place
        self.hold_filings = np.array([r.hold.filings for r in rules], np.int32)
        self.hold_seconds = np.array([r.hold.seconds for r in rules], np.int64)
        self.guarded = np.array([r.clear is not None for r in rules], np.bool_)
        self.clear_filings = np.array([r.clear_hold.filings for r in rules], np.int32)
        self.clear_seconds = np.array([r.clear_hold.seconds for r in rules], np.int64)
        self._number = {rule.id: number for number, rule in enumerate(rules)}
        self.latest: Ints = np.full((len(rules), rows), -1, np.int32)
        self.awake: Bools = np.zeros((len(rules), rows), np.bool_)
        self._records = Records.empty(FIRST_RECORDS)
        self._count = 0

    def grow(self, rows: int) -> None:
        """Make room for `rows` institutions."""
        wider = np.full((len(self.latest), rows), -1, np.int32)
        wider[:, : self.latest.shape[1]] = self.latest
        awake = np.zeros(wider.shape, np.bool_)
        awake[:, : self.awake.shape[1]] = self.awake
        self.latest, self.awake = wider, awake

    def state(self, rule: Ints, row: Ints) -> Records:
        """Return the newest state of each pair."""
        return self.at(self.latest[rule, row], rule, row)

    def at(self, index: Ints, rule: Ints, row: Ints) -> Records:
        """Return the states of pairs as records of these numbers say them; -1 is quiet."""
        found = self._records.take(np.maximum(index, 0))
        gone = index < 0
        if gone.any():
            blank = Records.empty(1)
            for f in fields(Records):
                getattr(found, f.name)[..., gone] = getattr(blank, f.name)
        found.rule, found.row = rule, row
        return found

    def level_at(self, rule: int, row: Ints, date: Longs) -> Bytes:
        """Return the level of each pair's alert after the newest of its dates at or before `date`."""
        index = self.latest[rule, row]
        while (later := (index >= 0) & (self._records.date[index] > date)).any():
            index = np.where(later, self._records.previous[index], index)
        return np.where(index >= 0, self._records.level[np.maximum(index, 0)], 0).astype(np.int8)

    def level_of(self, ident: str, row: Ints, date: Longs) -> Bytes:
        """Return what `level_at` does of the rule with this id; nothing holds of one that is not here."""
        number = self._number.get(ident)
        return np.zeros(len(row), np.int8) if number is None else self.level_at(number, row, date)

    def step(
        self,
        rule: Ints,
        row: Ints,
        date: Longs,
        held: Bytes,
        clear: Bools,
        muted: Ints | None = None,
        still: Bools | None = None,
    ) -> tuple[Records, Records]:
        """Fold one more date into each pair; return the states before and after.

        rule, row: the pairs, no pair twice. date: seconds, later than the pair's newest record. held:
        highest level that holds, -1 unknown. clear: whether the rule's `clear` is known to hold. muted: what
        silences the alert. still: pairs whose level stays as it is, because only what silences it has a date.
        """
        index = self.latest[rule, row]
        before = self.at(index, rule, row)
        after = self._advance(before, date, held, clear)
        if still is not None:
            _stay(after, before, still)
        if muted is not None:
            after.muted = np.where(after.level > 0, muted, 0).astype(np.int32)
        after.previous = index
        quiet = after.quiet
        if quiet.any():
            # quiet pairs are not stepped, so their `clear` would not be counted on: it is counted from the start
            after.clear_run[quiet], after.clear_since[quiet] = 0, NEVER
        keep = ~quiet | (index >= 0)
        self._append(after.take(keep), rule[keep], row[keep])
        self.awake[self.place[rule], row] = ~quiet
        return before, after

    def _advance(self, before: Records, date: Longs, held: Bytes, clear: Bools) -> Records:
        rule = before.rule
        after = Records.empty(len(before))
        after.rule, after.row, after.date, after.held = rule, before.row, date, held
        candidate = np.zeros(len(before), np.int8)
        filings, seconds = self.hold_filings[rule], self.hold_seconds[rule]
        for number in range(1, LEVELS + 1):
            holds = held >= number
            run, since = before.run[number - 1], before.since[number - 1]
            after.since[number - 1] = np.where(holds, np.where(run > 0, since, date), NEVER)
            after.run[number - 1] = np.where(holds, run + 1, 0)
            long_enough = (after.run[number - 1] >= filings) & (date - after.since[number - 1] >= seconds)
            candidate[holds & long_enough] = number
        known = held >= 0
        clears = clear & known
        after.clear_run = np.where(clears, before.clear_run + 1, 0).astype(np.int32)
        began = np.where(before.clear_run > 0, before.clear_since, date)
        after.clear_since = np.where(clears, began, NEVER)
        cleared = (after.clear_run >= self.clear_filings[rule]) & (date - after.clear_since >= self.clear_seconds[rule])
        may_fall = known & (held < before.level) & np.where(self.guarded[rule], clears & cleared, True)
        after.level = np.where(candidate > before.level, candidate, np.where(may_fall, held, before.level)).astype(
            np.int8
        )
        opens = (before.level == 0) & (after.level > 0)
        after.started = np.where(opens, date, np.where(after.level > 0, before.started, NEVER))
        return after

    def lift(self, rule: int, row: int, bit: int, since: int, until: int) -> tuple[Records, Records]:
        """Take a bit from the masks of a pair's records dated from `since` until before `until`.

        Return the pair's newest state before and after.
        """
        pair = np.array([rule], np.int32), np.array([row], np.int32)
        before = self.state(*pair)
        index = int(self.latest[rule, row])
        while index >= 0:
            if since <= self._records.date[index] < until:
                self._records.muted[index] &= ~bit
            index = int(self._records.previous[index])
        return before, self.state(*pair)

    def _append(self, new: Records, rule: Ints, row: Ints) -> None:
        if not len(new):
            return
        first, last = self._count, self._count + len(new)
        if last > len(self._records):
            old, self._records = self._records, Records.empty(max(2 * len(self._records), last))
            for f in fields(Records):
                getattr(self._records, f.name)[..., : self._count] = getattr(old, f.name)[..., : self._count]
        for f in fields(Records):
            getattr(self._records, f.name)[..., first:last] = getattr(new, f.name)
        self._count = last
        self.latest[rule, row] = np.arange(first, last, dtype=np.int32)

    def remembered(self, rules: Ints, pick: Picker) -> Bools:
        """Of which pairs of the rules something is remembered, [rules, n]. It may be a view."""
        places = self.place[rules]
        if (np.diff(places) == 1).all():  # as those of a group that is whole
            return pick(self.awake[places[0] : places[-1] + 1])
        return pick(self.awake[places])

    def rewind(self, rules: Ints, rows: Ints, since: Longs) -> Records:
        """Take back the records of these rules for these rows, each from its date on; return them.

        since: seconds [n], of the rows. The records come by rule, by row, and oldest first.
        """
        place, position = np.nonzero(self.latest[np.ix_(rules, rows)] >= 0)
        rule, row, date = rules[place], rows[position], since[position]
        index = self.latest[rule, row]
        taken: list[Ints] = []
        while True:
            back = (index >= 0) & (self._records.date[index] >= date)
            if not back.any():
                break
            taken.append(index[back])
            index = np.where(back, self._records.previous[index], index)
        if not taken:
            return Records.empty()
        self.latest[rule, row] = index
        self.awake[self.place[rule], row] = ~self.at(index, rule, row).quiet
        found = self._records.take(np.concatenate(taken))
        return found.take(np.lexsort((found.date, found.row, found.rule)))

    def chain(self, rows: Ints) -> Records:
        """Return every live record of these institutions, newest first within a pair."""
        index = self.latest[:, rows].reshape(-1)
        index = index[index >= 0]
        found = []
        while len(index):
            found.append(index)
            index = self._records.previous[index]
            index = index[index >= 0]
        return self._records.take(np.concatenate(found) if found else np.zeros(0, np.int32))

    def restore(self, records: Records) -> None:
        """Put back records that `chain` returned; pairs must be without records. Newest first within a pair."""
        if not len(records):
            return
        pair = records.rule.astype(np.int64) * self.latest.shape[1] + records.row
        order = np.argsort(pair, kind="stable")
        records, pair = records.take(order), pair[order]
        newest = np.append(True, pair[1:] != pair[:-1])
        index = np.arange(self._count, self._count + len(pair), dtype=np.int32)
        records.previous = np.where(np.append(newest[1:], True), -1, index + 1).astype(np.int32)
        self._append(records, records.rule, records.row)
        self.latest[records.rule[newest], records.row[newest]] = index[newest]
        self.awake[self.place[records.rule[newest]], records.row[newest]] = ~records.quiet[newest]

    def forget(self, rows: Ints) -> None:
        """Drop all records of these institutions."""
        self.latest[:, rows] = -1
        self.awake[:, rows] = False

    def compact(self, boundary: NDArray[np.int64]) -> None:
        """Drop records that no rewind can reach. boundary: [rules, rows] seconds; NEVER keeps everything."""
        live = self.latest[self.latest >= 0]
        keep = []
        while len(live):
            keep.append(live)
            record = self._records
            edge = boundary[record.rule[live], record.row[live]]
            following = record.previous[live]
            last = record.date[live] < edge
            record.previous[live[last]] = -1
            live = following[~last & (following >= 0)]
        index = np.sort(np.concatenate(keep)) if keep else np.zeros(0, np.int32)
        moved = np.full(max(self._count, 1), -1, np.int32)
        moved[index] = np.arange(len(index), dtype=np.int32)
        self._count = count = len(index)
        for f in fields(Records):  # in its place: memory that is touched for the first time costs more than the copy
            column = getattr(self._records, f.name)
            column[..., :count] = column[..., index]
        previous = self._records.previous[:count]
        previous[:] = np.where(previous >= 0, moved[previous], -1)
        self.latest = np.where(self.latest >= 0, moved[self.latest], -1).astype(np.int32)
        if 4 * count < len(self._records):  # the room of a shock that is over is given back
            self._records = self._records.take(np.arange(max(FIRST_RECORDS, 2 * count)))

    @property
    def size(self) -> int:
        """Records stored, dead ones included."""
        return self._count

    def open(self) -> Records:
        """Return the newest record of every pair that is pending or firing."""
        rule, row = np.nonzero(self.awake[self.place])
        return self.state(rule.astype(np.int32), row.astype(np.int32))


def _stay(after: Records, before: Records, still: Bools) -> None:
    for name in ("level", "held", "started", "run", "since", "clear_run", "clear_since"):
        getattr(after, name)[..., still] = getattr(before, name)[..., still]
