"""Filings in the encodings of the wire, from what they say."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from streams.encodings import Encoding, form_version
from streams.wire import Filing, OrderedFiling, encode

_parse = msgspec.json.Decoder(Filing).decode


def encode_filing(filing: Filing, indicators: Sequence[str], encoding: Encoding) -> bytes:
    """Return a filing's bytes; `indicators` are its form's, in order. The same filing gives the same bytes.

    Raises ValueError when the filing has a value of another indicator and the encoding can't name it.
    """
    if encoding is Encoding.JSON:
        return encode(filing)
    strange = filing.values.keys() - set(indicators)
    if strange:
        raise ValueError(f"form {filing.form} has no indicator {sorted(strange)[0]!r}")
    version = form_version(filing.form, indicators)
    values = [filing.values.get(name) for name in indicators]
    if encoding is Encoding.ARRAY:
        return encode(
            OrderedFiling(
                filing.institution,
                filing.form,
                version,
                filing.as_of,
                filing.submitted_at,
                values,
                filing.revision,
                filing.meta,
                filing.confirms,
            )
        )
    from streams.arrow import write

    return write(
        {
            "institution": filing.institution,
            "form": filing.form,
            "version": version,
            "as_of": filing.as_of,
            "submitted_at": filing.submitted_at,
            "revision": filing.revision,
            "meta": filing.meta,
            "confirms": filing.confirms,
        },
        values,
    )


def recode(record: bytes, indicators: Sequence[str], encoding: Encoding) -> bytes:
    """Return a good filing that is JSON by name in another encoding; JSON by name stays the bytes it is."""
    return record if encoding is Encoding.JSON else encode_filing(_parse(record), indicators, encoding)
