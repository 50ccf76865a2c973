"""Quotes from the wire: prices of institutions' shares, the market index, and market series."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from rules.problems import nearest
from streams.columns import Refused, sort_out
from streams.decode import MAX_BYTES
from streams.diagnose import diagnose_quote
from streams.tape import CREDIT, MARKET
from streams.times import read_day
from streams.twins import has_twins
from streams.wire import DAY, Quote, Reason, Rejection, to_seconds

MOST_CREDIT = 6.0
"""More credit over GDP than any country has had by the BIS's long series: beyond it is a number in percent."""

_parse = msgspec.json.Decoder(Quote).decode


def decode_quotes(
    records: Sequence[bytes | None], max_bytes: int = MAX_BYTES, zone: str = "UTC"
) -> tuple[list[tuple[int, Quote]], list[Refused]]:
    """Return the good quotes with their positions, and the refused records; nothing is raised.

    Whether anybody knows the series is for the reader of the registry to say. A date of submission is the day's
    first moment in `zone`.
    """
    return sort_out(_decode_one(record, max_bytes, zone) for record in records)


def judge_quote(quote: Quote, series: Collection[str], institutions: Collection[str]) -> Rejection | None:
    """Return why a quote of the right shape is refused: nobody knows the series, or a price is none; else None.

    `series` are MARKET, CREDIT_TO_GDP and those of the catalogue; what institutions and MARKET have are prices.
    """
    if quote.series not in series and quote.series not in institutions:
        hint = nearest(quote.series, [*series, *institutions])
        detail = f"no institution and no series of the catalogue is called {quote.series!r}"
        return Rejection(Reason.UNKNOWN_SERIES, detail + (f": {hint}" if hint else ""))
    if is_traded(quote.series, series) and not quote.value > 0:
        return Rejection(Reason.OUT_OF_RANGE, f"'value' of {quote.series} is {quote.value:g}; a price is above 0")
    if quote.series == CREDIT and not 0 < quote.value <= MOST_CREDIT:
        percent = 0 < quote.value / 100 <= MOST_CREDIT
        hint = f"; it is a fraction of GDP, {quote.value:g} % is {quote.value / 100:g}" if percent else ""
        detail = f"'value' of {CREDIT} is {quote.value:g}, outside (0, {MOST_CREDIT:g}]{hint}"
        return Rejection(Reason.OUT_OF_RANGE, detail)
    return None


def is_traded(series: str, declared: Collection[str]) -> bool:
    """Whether the series has prices: the market index and institutions have."""
    return series == MARKET or series not in declared


def _decode_one(record: bytes | None, max_bytes: int, zone: str) -> Quote | Rejection:
    try:
        if record is None or len(record) > max_bytes:
            raise ValueError
        quote = _parse(record)
        if has_twins(record):
            raise ValueError
        as_of, submitted_at = read_day(quote.as_of), to_seconds(quote.submitted_at, zone)
    except Exception as err:  # no record whatever may stop the stream
        return diagnose_quote(record, max_bytes, str(err)[:200])
    if as_of > submitted_at + DAY:
        detail = f"'as_of' is {quote.as_of}, more than a day after 'submitted_at', {quote.submitted_at}"
        return Rejection(Reason.AS_OF_IN_FUTURE, detail)
    return quote
