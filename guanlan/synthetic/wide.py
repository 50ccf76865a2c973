"""Filings of any width for load tests: their own catalogue, institutions, and encoded records.

Values of an indicator wander around 1.0 with a spread of 5 %, so that a rule with a level two spreads off
the mean fires for a few percent of filings; of all values, `MISSING` are null.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from guanlan.synthetic.sector import Record
from guanlan.synthetic.timeline import DAY, to_date
from rules.registry import Institution
from streams.encode import recode
from streams.encodings import Encoding

FORM = "wide.d"
MISSING = 0.01
FIRST_DAY = 20_454
_BLOCK = 2_000


@dataclass(frozen=True, slots=True)
class Wide:
    """A load: the catalogue as YAML text, the institutions, and how to draw the records."""

    catalogue: str
    institutions: tuple[Institution, ...]
    indicators: tuple[str, ...]
    filings: int
    seed: int

    def records(self, encoding: Encoding = Encoding.JSON) -> Iterator[Record]:
        """Yield the filings in an encoding, date by date, every institution once a date."""
        rng = np.random.default_rng(self.seed)
        encode = _encoder(self.indicators, encoding)
        count, width = len(self.institutions), len(self.indicators)
        for start in range(0, self.filings, _BLOCK):
            rows = min(_BLOCK, self.filings - start)
            values = np.round(rng.normal(1.0, 0.05, (rows, width)), 4)
            values[rng.random((rows, width)) < MISSING] = np.nan
            for offset, numbers in enumerate(values.tolist()):
                turn, who = divmod(start + offset, count)
                code = self.institutions[who].code
                day = FIRST_DAY + turn
                filing = {
                    "institution": code,
                    "form": FORM,
                    "as_of": to_date(day).isoformat(),
                    "submitted_at": f"{to_date(day + 1).isoformat()}T08:00:00Z",
                    "values": dict(zip(self.indicators, numbers, strict=True)),
                }
                yield Record("filings", code, encode(filing), (day + 1) * DAY + 8 * 3600)


def _encoder(indicators: tuple[str, ...], encoding: Encoding) -> Callable[[dict[str, Any]], bytes]:
    if encoding is Encoding.JSON:
        return msgspec.json.encode
    return lambda filing: recode(msgspec.json.encode(filing), indicators, encoding)


def wide_filings(institutions: int, indicators: int, filings: int, seed: int = 7) -> Wide:
    """Return a load of so many filings, of so many indicators each.

    >>> wide = wide_filings(institutions=3, indicators=2, filings=4)
    >>> [record.key for record in wide.records()]
    ['W00000', 'W00001', 'W00002', 'W00000']
    """
    names = tuple(f"x{number:04d}" for number in range(indicators))
    lines = [
        "catalogue: wide",
        "title: {en: Indicators for load tests}",
        "sets: {ALL: [bank]}",
        "forms:",
        # by the wall clock these filings are old: nothing may run out
        f"  - {{id: {FORM}, title: {{en: A wide daily form}}, frequency: daily, grace_days: 36500}}",
        "indicators:",
        *(f"  - {{id: {name}, form: {FORM}, unit: ratio, range: [0, 10]}}" for name in names),
    ]
    members = tuple(
        Institution(f"W{number:05d}", {"en": f"Wide Bank {number}"}, type="bank", region="East", peer_group="bank")
        for number in range(institutions)
    )
    return Wide("\n".join(lines) + "\n", members, names, filings, seed)
