"""Filings date by date, ready to be sent: each date is a draw of its own of the documented generator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from benchmarks.jobs import Job
from guanlan.synthetic.timeline import to_date
from guanlan.synthetic.wide import FIRST_DAY, wide_filings

EPOCH = date(1970, 1, 1)


def feed(job: Job, turn: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and value of what everybody files on the date number `turn`, in the order of the institutions.

    >>> job = Job("two", institutions=2, indicators=1, rules=1, filings=2)
    >>> [key for key, _ in feed(job, 3)]
    [b'W00000', b'W00001']
    """
    wide = wide_filings(job.institutions, job.indicators, job.institutions, job.seed + turn)
    old = [to_date(FIRST_DAY + n).isoformat().encode() for n in (0, 1)]
    new = [to_date(FIRST_DAY + turn + n).isoformat().encode() for n in (0, 1)]
    for record in wide.records():
        head, _, values = record.value.partition(b'"values"')
        head = head.replace(b'"as_of":"' + old[0], b'"as_of":"' + new[0]).replace(
            b'"' + old[1] + b"T", b'"' + new[1] + b"T"
        )
        yield record.key.encode(), head + b'"values"' + values


def turn_of(as_of: str) -> int:
    """Return the number of the date."""
    return (date.fromisoformat(as_of) - EPOCH).days - FIRST_DAY
