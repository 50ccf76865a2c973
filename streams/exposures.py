"""Exposure reports from the wire."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.columns import Refused, sort_out
from streams.decode import MAX_BYTES
from streams.diagnose import diagnose_exposures
from streams.times import read_day
from streams.twins import has_twins
from streams.wire import DAY, ExposureReport, Reason, Rejection, to_seconds

_parse = msgspec.json.Decoder(ExposureReport).decode


def decode_exposures(
    records: Sequence[bytes | None], max_bytes: int = MAX_BYTES, zone: str = "UTC"
) -> tuple[list[tuple[int, ExposureReport]], list[Refused]]:
    """Return the good reports with their positions, and the refused records; nothing is raised.

    Amounts are in units of the base currency. A counterparty may stand more than once (several instruments). A date
    of submission is the day's first moment in `zone`.
    """
    return sort_out(_decode_one(record, max_bytes, zone) for record in records)


def _decode_one(record: bytes | None, max_bytes: int, zone: str) -> ExposureReport | Rejection:
    try:
        if record is None or len(record) > max_bytes:
            raise ValueError
        report = _parse(record)
        if has_twins(record):
            raise ValueError
        as_of, submitted_at = read_day(report.as_of), to_seconds(report.submitted_at, zone)
    except Exception as err:  # no record whatever may stop the stream
        return diagnose_exposures(record, max_bytes, str(err)[:200])
    if report.exposures is None and report.totals is None:
        return diagnose_exposures(record, max_bytes)
    if as_of > submitted_at + DAY:
        detail = f"'as_of' is {report.as_of}, more than a day after 'submitted_at', {report.submitted_at}"
        return Rejection(Reason.AS_OF_IN_FUTURE, detail)
    for name, entries in (("exposures", report.exposures or ()), ("borrowings", report.borrowings or ())):
        for position, exposure in enumerate(entries):
            if exposure.counterparty == report.institution:
                detail = f"{name}[{position}].counterparty is the reporter itself, {report.institution!r}"
                return Rejection(Reason.WRONG_SHAPE, detail)
    return report
