"""Alerts whose data ran out: open, and a form that their rule's levels read was not filed when it was due.

Such an alert is stale. It stays open at its severity, because nothing is known that would end it, and says which
forms are overdue until they come. Whether it is stale follows from its level, the newest filings and the clock
alone, so the order in which filings and ticks come is of no account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from rules.calendar import runs_out
from rules.catalogue import SYSTEM, Form
from rules.context import World
from rules.fold import Fold, Records
from rules.judge import FIRING, STALE, Event, Lapse, Said
from rules.obligations import of_type
from rules.plan import Rule
from rules.spans import EVER
from rules.store import NEVER, Bools, Ints, Longs, Picker

FORMS = 64
"""More forms than a rule reads: what was told of a pair is the last moment at which one ran out, and how many did."""

Because = Callable[[int], Said]
"""What came in for a row, as something said of it: its cause, when it was seen, by what, and where in the order."""


class Staleness:
    """Which pairs have been told to be stale: when a form ran out last, times FORMS, plus how many have.

    `forms` are those that levels read. `look` asks the next tick to look at every open alert, and not only where
    a form ran out since the last one.
    """

    def __init__(self, rules: Sequence[Rule], world: World, fold: Fold, rows: int) -> None:
        # a rule that watches deadlines is never without its data
        self._own = [() if rule.clocks else tuple(sorted(rule.own)) for rule in rules]
        self._world = world
        self._fold = fold
        self.forms = sorted({form for forms in self._own for form in forms})
        self._told: dict[int, dict[int, int]] = {}
        self._waiting: Bools = np.zeros(rows, np.bool_)
        self.look = True

    def grow(self, rows: int) -> None:
        """Make room for `rows` institutions."""
        wider = np.zeros(rows, np.bool_)
        wider[: len(self._waiting)] = self._waiting
        self._waiting = wider

    def forget(self, rows: Ints) -> None:
        """Forget what was told of these institutions."""
        for row in rows[self._waiting[rows]].tolist():
            del self._told[row]
        self._waiting[rows] = False

    def told(self, rows: Ints) -> list[tuple[int, int, int]]:
        """Return (rule, row, moment) of the pairs of these institutions that were told to be stale."""
        waiting = rows[self._waiting[rows]].tolist()
        return [(rule, row, moment) for row in waiting for rule, moment in self._told[row].items()]

    def restore(self, told: Iterable[tuple[int, int, int]]) -> None:
        """Take in what `told` gave."""
        for rule, row, moment in told:
            self._tell(rule, row, moment)
        self.look = True

    def is_told(self, rule: int, row: int) -> bool:
        """Whether the pair was told to be stale."""
        return self._since(rule, row) != EVER

    def lapses(self, rule: int, row: int, until: int) -> tuple[Lapse, ...]:
        """Return the forms of the pair that ran out until a moment, with when they did."""
        found = []
        for form in self._own[rule]:
            (end,), (newest,) = self._ends(form, np.array([row], np.int32))
            if end <= until:
                found.append(Lapse(form, int(end), int(newest)))
        return tuple(found)

    def ran_out(self, last: int, now: int) -> bool:
        """Whether any form of any institution ran out after `last` and until `now`."""
        rows = np.arange(len(self._waiting), dtype=np.int32)
        return any(((ends > last) & (ends <= now)).any() for ends, _ in (self._ends(f, rows) for f in self.forms))

    def pass_time(self, now: int) -> list[Said]:
        """Look at every open alert; return what to tell of those that are stale now, or for want of other forms."""
        self.look = False
        standing = self._fold.open()
        standing = standing.take(standing.level > 0)
        moments = self._moments(standing.rule, standing.row, standing.started, now)
        told = [self._since(rule, row) for rule, row in zip(standing.rule.tolist(), standing.row.tolist(), strict=True)]
        found = []
        for i in np.flatnonzero(moments != np.array(told, np.int64)).tolist():
            event = self._change(standing.take(np.array([i])), int(moments[i]))
            found.append(self._clock(event) if event.kind == STALE else Said(event, "rule-changed", now, "edit"))
        return sorted(found, key=lambda one: one.event.date)

    def settle(
        self, said: Sequence[Said], rows: Ints, forms: Iterable[str], only: Bools, because: Because, now: int
    ) -> list[Said]:
        """Bring the overdue forms onto what is said; return what else to say of stale alerts whose forms were filed.

        rows: institutions that filed. forms: what they filed. only: rules to look at beside those that speak, [rules].
        """
        pairs = {(one.event.rule, one.event.row) for one in said}
        for row in rows[self._waiting[rows]].tolist():
            pairs.update((rule, row) for rule in self._told[row] if only[rule])
        pairs.update(self._begun_late(rows, forms, only, now))
        if not pairs:
            return []
        rule, row = (np.array(column, np.int32) for column in zip(*sorted(pairs), strict=True))
        state = self._fold.state(rule, row)
        moments = np.where(state.level > 0, self._moments(rule, row, state.started, now), EVER)
        speaking = {(one.event.rule, one.event.row, one.event.alert) for one in said}
        found = []
        for i in np.flatnonzero((moments != EVER) | self._waiting[row]).tolist():
            pair, moment = (int(rule[i]), int(row[i])), int(moments[i])
            if state.level[i] == 0 or (*pair, int(state.started[i])) in speaking:
                self._tell(*pair, moment)
            elif moment != self._since(*pair):
                event = self._change(state.take(np.array([i])), moment)
                found.append(self._clock(event) if event.kind == STALE else replace(because(pair[1]), event=event))
        for one in said:
            if one.event.level and one.event.alert != NEVER and self.is_told(one.event.rule, one.event.row):
                one.overdue = self.lapses(one.event.rule, one.event.row, now)
        return found

    def _begun_late(self, rows: Ints, forms: Iterable[str], only: Bools, now: int) -> Iterable[tuple[int, int]]:
        """Open alerts of the rows whose first filing of a form had run out already when it came: no tick tells them."""
        late = np.zeros(len(rows), np.bool_)
        for form in set(forms) & set(self.forms):
            first = ~self._world.stores[form].filed(Picker(rows), 1).there
            if first.any():
                late[first] |= self._ends(form, rows[first])[0] <= now
        if not late.any():
            return ()
        standing = self._fold.open()
        mine = np.isin(standing.row, rows[late]) & (standing.level > 0) & only[standing.rule]
        return zip(standing.rule[mine].tolist(), standing.row[mine].tolist(), strict=True)

    def _change(self, one: Records, moment: int) -> Event:
        """Note that a pair is stale otherwise than was told, EVER for not any more; return what happened."""
        rule, row, level, started = (int(column[0]) for column in (one.rule, one.row, one.level, one.started))
        self._tell(rule, row, moment)
        kind, at = STALE, moment // FORMS
        if moment == EVER:
            here = np.array([row], np.int32)
            kind, at = FIRING, max(int(self._world.stores[form].newest(here)[0]) for form in self._own[rule])
        return Event(rule, row, at, kind, level, level, started, muted=int(one.muted[0]))

    def _clock(self, event: Event) -> Said:
        return Said(event, "clock", event.date, "clock", overdue=self.lapses(event.rule, event.row, event.date))

    def _since(self, rule: int, row: int) -> int:
        """What was told of the pair: EVER for not stale."""
        return self._told.get(row, {}).get(rule, EVER)

    def _tell(self, rule: int, row: int, moment: int) -> None:
        if moment != EVER:
            self._told.setdefault(row, {})[rule] = moment
        elif row in self._told:
            self._told[row].pop(rule, None)
            if not self._told[row]:
                del self._told[row]
        self._waiting[row] = row in self._told

    def _moments(self, rule: Ints, row: Ints, started: Longs, now: int) -> Longs:
        """How the data of each pair's alert have run out, not before its start; EVER where they have not."""
        rows, place = np.unique(row, return_inverse=True)
        ends: dict[str, Longs] = {}
        last, count = started.astype(np.int64), np.zeros(len(rule), np.int64)
        for number in np.unique(rule).tolist():
            mine = np.flatnonzero(rule == number)
            for form in self._own[number]:
                if form not in ends:
                    ends[form] = self._ends(form, rows)[0]
                end = ends[form][place[mine]]
                over = end <= now
                count[mine] += over
                last[mine[over]] = np.maximum(last[mine[over]], end[over])
        return np.where(count > 0, last * FORMS + count, EVER)

    def _ends(self, form_id: str, rows: Ints) -> tuple[Longs, Longs]:
        """From when each row's data of the form has run out, EVER where nothing was filed; and its newest as-of.

        Of an institution that closes before, they do not run out: it owes nothing then.
        """
        form = self._world.catalogue.forms[form_id]
        newest = self._world.stores[form_id].newest(rows)
        owed = self._owed(form, rows)
        dates, place = np.unique(newest, return_inverse=True)
        found = np.full(len(rows), EVER)
        for owes in (True, False):
            ends = [
                EVER if date == NEVER else runs_out(form, date, self._world.country, owes) for date in dates.tolist()
            ]
            found = np.where(owed == owes, np.array(ends, np.int64)[place], found)
        return np.where(found < self._world.tenure.closed[rows], found, EVER), newest

    def _owed(self, form: Form, rows: Ints) -> Bools:
        """Who has to file the form; to the system it is owed by everybody."""
        world = self._world
        owed: Bools = of_type(world, form, rows) | (world.texts["code"][rows] == world.code(SYSTEM))
        return owed
