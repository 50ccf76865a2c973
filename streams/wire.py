"""What travels on the topics that others write to: filings, exposure reports, quotes, and how one is refused.

`docs/filings.md` explains them for people who send them; `docs/schemas/` holds the JSON Schemas made from the
structs here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

DAY = 86_400
CONTENT_TYPE = "content-type"
LATEST_REVISION = 2**31 - 1

_TIME = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d))?", re.ASCII)
_YEARS = range(1900, 2200)

Code = Annotated[str, Meta(min_length=1, max_length=64, description="Code of a registered institution.")]
Time = Annotated[
    str,
    Meta(
        pattern=f"^{_TIME.pattern}$",
        description="An instant with its offset, 2026-03-31T10:15:00Z; or a date, 2026-03-31, which means its first"
        " moment in the catalogue's time zone.",
    ),
]
AsOf = Annotated[
    str,
    Meta(
        pattern=f"^{_TIME.pattern}$",
        description="A date, 2026-03-31; of an intraday form an instant with its offset. Midnight of any offset is"
        " the date that is written; monthly to yearly forms have ends of periods.",
    ),
]
Day = Annotated[
    str,
    Meta(
        pattern=f"^{_TIME.pattern}$",
        description="A date, 2026-03-31; midnight of any offset is the date that is written.",
    ),
]
Revision = Annotated[
    int,
    Meta(ge=0, le=LATEST_REVISION, description="0 for the first filing of an as-of date; corrections add 1."),
]

NO_REVISION = -1
"""What a decoder's struct has for a revision that is left out, which counts as 0."""


class Confirms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who answers for the units of a filing, and why they are right."""

    by: Annotated[str, Meta(min_length=1, max_length=64, description="Name of the person who looked.")]
    reason: Annotated[str, Meta(min_length=1, max_length=500, description="Why the values are right as they are.")]


class Filing(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One institution's values for one form and one as-of date: one record on topic `filings`."""

    institution: Code
    form: Annotated[str, Meta(min_length=1, description="Id of a form in the catalogue.")]
    as_of: AsOf
    submitted_at: Time
    values: Annotated[
        dict[str, float | None],
        Meta(description="Indicator id to value. null, or no entry, means not reported, never zero."),
    ]
    revision: Revision = 0
    meta: Annotated[
        dict[str, Any] | None, Meta(description="Anything the sender wants to keep with the filing; ignored.")
    ] = None
    confirms: Annotated[
        Confirms | None, Meta(description="Sent with a filing whose units were in question, and are right.")
    ] = None


class OrderedFiling(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A filing with its values in the form's order: content type `application/vnd.guanlan.array+json`."""

    institution: Code
    form: Annotated[str, Meta(min_length=1, description="Id of a form in the catalogue.")]
    version: Annotated[
        str,
        Meta(
            pattern="^[0-9a-f]{8}$",
            description="Version of the form whose order the values have; `guanlan forms` tells it.",
        ),
    ]
    as_of: AsOf
    submitted_at: Time
    values: Annotated[
        list[float | None],
        Meta(description="One entry for each indicator of the form. null means not reported, never zero."),
    ]
    revision: Revision = 0
    meta: Annotated[
        dict[str, Any] | None, Meta(description="Anything the sender wants to keep with the filing; ignored.")
    ] = None
    confirms: Annotated[
        Confirms | None, Meta(description="Sent with a filing whose units were in question, and are right.")
    ] = None


class Exposure(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the reporter has lent to, or holds on, one counterparty."""

    counterparty: Code
    amount: Annotated[float, Meta(ge=0, description="In units of the base currency.")]
    instrument: Annotated[str, Meta(max_length=64, description="For example interbank_loan or bond.")] = ""


class Reliance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a provider itself depends on another provider for, as far as its user knows."""

    provider: Annotated[str, Meta(min_length=1, max_length=64, description="Code of the provider behind it.")]
    share: Annotated[float, Meta(ge=0, le=1, description="Share of the provider's own service it would stop.")]


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the reporter depends on one outside provider for."""

    provider: Annotated[str, Meta(min_length=1, max_length=64, description="Code of the provider; no institution.")]
    share: Annotated[float, Meta(ge=0, le=1, description="Share of the reporter's critical services it would stop.")]
    kind: Annotated[str, Meta(max_length=64, description="For example cloud, core_banking or data.")] = ""
    substitutable: Annotated[
        float, Meta(ge=0, le=1, description="Part of it that the reporter could move elsewhere in time.")
    ] = 0.0
    relies_on: Annotated[
        list[Reliance] | None, Meta(description="Providers behind this one (nth parties), as far as known.")
    ] = None


class Totals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the reporter has lent and borrowed inside the network, where it can't say to and from whom."""

    lent: Annotated[float, Meta(ge=0, description="In units of the base currency.")]
    borrowed: Annotated[float, Meta(ge=0, description="In units of the base currency.")]


class ExposureReport(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One institution's bilateral exposures as of a date: one record on topic `exposures`."""

    institution: Code
    as_of: Day
    submitted_at: Time
    exposures: Annotated[
        list[Exposure] | None, Meta(description="All of them; left out only where `totals` stand in their place.")
    ] = None
    borrowings: Annotated[
        list[Exposure] | None,
        Meta(description="What the reporter owes, by its own books; compared with what its lenders report."),
    ] = None
    totals: Annotated[Totals | None, Meta(description="In place of exposures; the network is then reconstructed.")] = (
        None
    )
    services: Annotated[list[Service] | None, Meta(description="Outside providers the reporter depends on.")] = None
    revision: Revision = 0
    meta: Annotated[
        dict[str, Any] | None, Meta(description="Anything the sender wants to keep with the report; ignored.")
    ] = None


class Quote(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One closing price, or one value of a market series, of one day: one record on topic `market.quotes`."""

    series: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            description="Code of a registered institution, MARKET (the market index), or a series of the catalogue.",
        ),
    ]
    as_of: Day
    submitted_at: Time
    value: Annotated[
        float,
        Meta(description="Price adjusted for splits and dividends, above 0; of another series its level."),
    ]
    market_cap: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="Market value of an institution's equity, in the base currency."),
    ] = None
    revision: Revision = 0
    meta: Annotated[
        dict[str, Any] | None, Meta(description="Anything the sender wants to keep with the quote; ignored.")
    ] = None


class Reason(StrEnum):
    """Why a record was refused; the header `reason` on topic `filings.rejected`."""

    NOT_JSON = "not_json"
    NOT_ARROW = "not_arrow"
    WRONG_SHAPE = "wrong_shape"
    EMPTY = "empty"
    NOT_FINITE = "not_finite"
    UNKNOWN_ENCODING = "unknown_encoding"
    UNKNOWN_INSTITUTION = "unknown_institution"
    UNKNOWN_FORM = "unknown_form"
    WRONG_VERSION = "wrong_version"
    UNKNOWN_SERIES = "unknown_series"
    UNKNOWN_INDICATOR = "unknown_indicator"
    OUT_OF_RANGE = "out_of_range"
    SCALE = "scale"
    DUPLICATE = "duplicate"
    REVISION_BACKWARDS = "revision_backwards"
    TOO_LARGE = "too_large"
    AS_OF_IN_FUTURE = "as_of_in_future"
    INTERNAL = "internal"


class Rejection(NamedTuple):
    """Why one record was refused: a code for programs and one sentence for people."""

    reason: Reason
    detail: str


def to_seconds(text: str, zone: str = "UTC") -> int:
    """Return the seconds since 1970-01-01 UTC of a date or an instant; fractions of a second are dropped.

    A date is its first second in a time zone.

    >>> to_seconds("1970-01-02"), to_seconds("1970-01-01T08:00:00+08:00"), to_seconds("1970-01-02", "Asia/Shanghai")
    (86400, 0, 57600)

    Raises ValueError for anything else, and for years outside 1900 to 2199.
    """
    if not _TIME.fullmatch(text):
        raise ValueError("it must be a date like 2026-03-31, or an instant like 2026-03-31T10:15:00Z")
    if int(text[:4]) not in _YEARS:
        raise ValueError(f"the year must be from {_YEARS[0]} to {_YEARS[-1]}")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as err:
        raise ValueError(f"there is no such day or hour ({err})") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return int(moment.timestamp() // 1)


def from_seconds(seconds: int) -> str:
    """Return a whole day as a date, any other second as an instant in UTC.

    >>> from_seconds(86400), from_seconds(86401)
    ('1970-01-02', '1970-01-02T00:00:01Z')
    """
    moment = datetime.fromtimestamp(int(seconds), UTC)
    if seconds % DAY == 0:
        return moment.strftime("%Y-%m-%d")
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def instant_text(seconds: int) -> str:
    """Return a second as an instant in UTC, midnight too.

    >>> instant_text(86400)
    '1970-01-02T00:00:00Z'
    """
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def encode(record: Filing | OrderedFiling | ExposureReport | Quote) -> bytes:
    """Return the record's bytes on the wire; the same record gives the same bytes.

    msgspec writes NaN and infinities as null, which readers take for missing: `record` must not hold any.
    """
    return msgspec.json.encode(record)


def rejection_headers(
    rejection: Rejection, topic: str, partition: int, offset: int, rejected_at: str
) -> list[tuple[str, bytes]]:
    """Return the Kafka headers of a rejected record, whose key and value stay the original bytes."""
    headers = {
        "reason": str(rejection.reason),
        "detail": rejection.detail,
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "rejected_at": rejected_at,
    }
    return [(name, value.encode("utf-8", "backslashreplace")) for name, value in headers.items()]


def kept_headers(headers: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return those headers of a record without which its bytes can't be read."""
    return [(name, value) for name, value in headers if name.lower() == CONTENT_TYPE]


def read_rejection(headers: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    """Return the headers of a rejected record as text by name."""
    return {name: value.decode("utf-8", "replace") for name, value in headers}
