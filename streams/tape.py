"""The tape: what was quoted, by series and day, and of which days the market measures are due.

Plain state; `streams.market` computes what it says.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

MARKET = "MARKET"
CREDIT = "CREDIT_TO_GDP"
OWN_SERIES = (MARKET, CREDIT)
KEPT = 2_000
DATES = 8
DAY = 86_400
RECENT = 10 * DAY

Verdict = Literal["accepted", "replayed", "duplicate", "revision_backwards", "beyond"]


class Line(msgspec.Struct, array_like=True):
    """One series, oldest first, at most `KEPT` days: values, market values (None where not told), revisions.

    `applied` is the offset of its last record.
    """

    days: list[int] = []
    values: list[float] = []
    caps: list[float | None] = []
    revisions: list[int] = []
    applied: int = -1

    def put(self, day: int, value: float, cap: float | None, revision: int, offset: int) -> Verdict:
        """Take in a quote; it replaces an earlier revision of its day."""
        if offset <= self.applied:
            return "replayed"
        self.applied = offset
        at = bisect_left(self.days, day)
        if at < len(self.days) and self.days[at] == day:
            if revision <= self.revisions[at]:
                return "duplicate" if revision == self.revisions[at] else "revision_backwards"
            self.values[at], self.caps[at], self.revisions[at] = value, cap, revision
            return "accepted"
        if at == 0 and len(self.days) >= KEPT:
            return "beyond"
        for column, entry in ((self.days, day), (self.values, value), (self.caps, cap), (self.revisions, revision)):
            column.insert(at, entry)  # type: ignore[attr-defined]
            del column[:-KEPT]
        return "accepted"

    def latest(self, count: int, until: int) -> Line:
        """Return a copy of the last `count` days up to `until`."""
        end = bisect_left(self.days, until + 1)
        part = slice(max(0, end - count), end)
        return Line(self.days[part], self.values[part], self.caps[part], self.revisions[part], self.applied)


class Due(msgspec.Struct):
    """Days whose measures are to be computed, each with the `version` that asked for it; the latest submission.

    `slow` is the newest day, of which the simulations are due.
    """

    due: dict[int, int] = {}
    slow: dict[int, int] = {}
    version: int = 0
    seen: int = 0


@dataclass(frozen=True, slots=True)
class Prices:
    """Quotes on one axis of T days: the market (T,), institutions (T, n) and their market values; NaN missing."""

    days: NDArray[np.int64]
    market: NDArray[np.float64]
    codes: tuple[str, ...]
    prices: NDArray[np.float64]
    caps: NDArray[np.float64]


class Tape:
    """All lines, and what is due."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.state = Due()
        self._newest: list[int] = []

    def put(
        self,
        series: str,
        day: int,
        value: float,
        cap: float | None,
        revision: int,
        offset: int,
        at: int,
        traded: bool = True,
    ) -> Verdict:
        """Take in a quote that was submitted `at` (seconds); only a `traded` one makes its day a trading day."""
        line = self.lines.setdefault(series, Line())
        verdict = line.put(day, value, cap, revision, offset)
        if verdict == "accepted":
            self.state.seen = max(self.state.seen, at)
            if traded:
                self._trade(day)
            self.mark(day)
        return verdict

    def load(self, series: str, line: Line, traded: bool = True) -> None:
        """Take in a line that was kept."""
        self.lines[series] = line
        for day in line.days[-DATES:] if traded else ():
            self._trade(day)

    def _trade(self, day: int) -> None:
        if day not in self._newest:
            insort(self._newest, day)
            del self._newest[:-DATES]

    def dates(self) -> list[int]:
        """Return the newest days on which anything was quoted, oldest first."""
        return list(self._newest)

    def mark(self, since: int) -> None:
        """Quotes changed from `since` on."""
        self.state.version += 1
        self.state.due.update((day, self.state.version) for day in self.dates() if day >= since)
        self.state.slow = dict.fromkeys(self.dates()[-1:], self.state.version)

    def done(self, day: int, version: int, slow: bool = False) -> None:
        """The measures of a day, or its simulations, were filed, from the `version`."""
        due = self.state.slow if slow else self.state.due
        if due.get(day) == version:
            del due[day]

    def waiting(self) -> dict[int, int]:
        """Return the days that are due and still kept."""
        kept = set(self.dates())
        self.state.due = {day: version for day, version in self.state.due.items() if day in kept}
        return self.state.due

    def slow(self) -> dict[int, int]:
        """Return the day of which the simulations are due."""
        return self.state.slow

    def copy(self, until: int, count: int, codes: Iterable[str]) -> dict[str, Line]:
        """Return the market's, the credit ratio's and these institutions' last `count` days up to `until`."""
        wanted = [MARKET, CREDIT, *codes]
        return {series: self.lines[series].latest(count, until) for series in wanted if series in self.lines}


def on_one_axis(lines: dict[str, Line], count: int) -> Prices:
    """Put the market and institutions on the last `count` days of the market (of all, where there is no market)."""
    axis = lines[MARKET].days if MARKET in lines else sorted({d for s, line in lines.items() for d in line.days})
    days = np.array(axis[-count:], np.int64)
    codes = tuple(sorted(series for series in lines if series not in OWN_SERIES))
    prices, caps = np.full((len(days), len(codes)), np.nan), np.full((len(days), len(codes)), np.nan)
    market = np.full(len(days), np.nan)
    column = {code: number for number, code in enumerate(codes)}
    for series, line in lines.items():
        where, there = _places(days, line.days)
        if series == MARKET:
            market[where] = np.array(line.values)[there]
        elif series in column:
            prices[where, column[series]] = np.array(line.values)[there]
            caps[where, column[series]] = np.array([np.nan if c is None else c for c in line.caps])[there]
    return Prices(days, market, codes, prices, caps)


def _places(days: NDArray[np.int64], own: list[int]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return where each of a line's days is on the axis, and which of them are on it at all."""
    asked = np.array(own, np.int64)
    at = np.searchsorted(days, asked)
    there = (at < len(days)) & (days[np.minimum(at, len(days) - 1)] == asked) if len(days) else asked < 0
    return at[there], there
