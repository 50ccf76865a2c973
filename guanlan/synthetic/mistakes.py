"""Kinds of mistakes in filings, as senders make them."""

from __future__ import annotations

import re
from typing import Any

import msgspec

KINDS = {
    "cut_off": "not_json",
    "percent": "out_of_range",
    "text": "wrong_shape",
    "misspelt": "unknown_indicator",
    "not_a_number": "not_finite",
    "tomorrow": "as_of_in_future",
}
"""Kind of mistake to the reason for which it is refused."""


def spoil(filing: dict[str, Any], kind: str) -> bytes:
    """Return a daily liquidity filing's bytes with one kind of mistake in them; the filing is spoilt too."""
    values = filing["values"]
    match kind:
        case "percent":
            values["lcr"] = values["lcr"] * 100
        case "text":
            values["total_deposits"] = f"{values['total_deposits']:,.0f}"
        case "misspelt":
            values["hqal"] = values.pop("hqla")
        case "tomorrow":
            filing["as_of"] = filing["submitted_at"][:4] + "-12-31" if filing["as_of"][5:] != "12-31" else "2199-12-31"
    encoded = msgspec.json.encode(filing)
    if kind == "cut_off":
        return encoded[: len(encoded) * 2 // 3]
    if kind == "not_a_number":
        return re.sub(rb'"hqla":[^,}]+', b'"hqla":NaN', encoded)
    return encoded
