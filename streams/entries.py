"""What is kept of one institution: reports, balance sheets and other figures by date, newest first."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Literal, TypeVar

import msgspec

DATES = 8
VALID_SECONDS = 184 * 86_400
MARGIN_VALID = 62 * 86_400

Verdict = Literal["accepted", "replayed", "duplicate", "revision_backwards", "beyond"]


class Report(msgspec.Struct, frozen=True, array_like=True):
    """One institution's claims as of a date: amounts by counterparty.

    `owed` are its debts by lender, `services` the shares of its services by provider; None where not told.
    `totals` are what it has lent and borrowed, where it could not say to and from whom; `claims` are then empty.
    `movable` are the parts of services that it could move in time, `chains` what its providers depend on.
    """

    as_of: int
    revision: int
    claims: dict[str, float]
    owed: dict[str, float] | None = None
    services: dict[str, float] | None = None
    totals: tuple[float, float] | None = None
    movable: dict[str, float] | None = None
    chains: dict[str, dict[str, float]] | None = None


class Margin(msgspec.Struct, frozen=True, array_like=True):
    """One institution's interbank assets and liabilities by its balance sheet; None where not told."""

    as_of: int
    revision: int
    lent: float | None
    borrowed: float | None


class Level(msgspec.Struct, frozen=True, array_like=True):
    """One institution's equity and total assets as of a date; None where a revision took the value away."""

    as_of: int
    revision: int
    equity: float | None
    assets: float | None = None


class Sheet(msgspec.Struct, frozen=True, array_like=True):
    """Other figures of one institution's filing that measures need; those that were not told are left out."""

    as_of: int
    revision: int
    values: dict[str, float]


Entry = TypeVar("Entry", Report, Level, Margin, Sheet)


class Margins(msgspec.Struct):
    """Margins by institution, newest first: the newest of each of the last `DATES` months.

    They are filed daily and the network is measured quarterly: a margin makes nothing due by itself.
    """

    held: dict[str, list[Margin]] = {}

    def put(self, code: str, margin: Margin) -> None:
        """Take in what an institution has lent and borrowed in total."""
        held = self.held.setdefault(code, [])
        month = _month(margin.as_of)
        for position, old in enumerate(held):
            if _month(old.as_of) == month:
                if (margin.as_of, margin.revision) > (old.as_of, old.revision):
                    held[position] = margin
                return
        place(held, margin)

    def at(self, code: str, date: int) -> tuple[float, float] | None:
        """Return what was lent and borrowed as of a date, None where it is not known or older than two months."""
        found = latest(self.held.get(code, ()), date)
        if found is None or found.lent is None or found.borrowed is None or date - found.as_of > MARGIN_VALID:
            return None
        return found.lent, found.borrowed


def place(held: list[Entry], new: Entry) -> Verdict:
    """Put `new` in its place, newest first, dropping what is too old to keep."""
    for position, old in enumerate(held):
        if old.as_of == new.as_of:
            if new.revision > old.revision:
                held[position] = new
                return "accepted"
            return "duplicate" if new.revision == old.revision else "revision_backwards"
    if len(held) >= DATES and new.as_of < held[-1].as_of:
        return "beyond"
    insort(held, new, key=lambda entry: -entry.as_of)
    del held[DATES:]
    return "accepted"


@cache
def _month(seconds: int) -> tuple[int, int]:
    day = datetime.fromtimestamp(seconds, UTC)
    return day.year, day.month


def latest(held: Iterable[Entry], date: int, valid: int = VALID_SECONDS) -> Entry | None:
    """Return the newest entry as of a date, None where there is none or it is older than `valid` seconds."""
    for entry in held:
        if entry.as_of <= date:
            return entry if date - entry.as_of <= valid else None
    return None


def joined(claims: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Sum claims on the same counterparty, of whatever instrument.

    >>> joined([("A", 1.0), ("B", 2.0), ("A", 3.0)])
    {'A': 4.0, 'B': 2.0}
    """
    out: dict[str, float] = {}
    for counterparty, amount in claims:
        out[counterparty] = out.get(counterparty, 0.0) + amount
    return out
